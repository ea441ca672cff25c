"""The sentence that gives a reader the reason for a query, made from the very terms of its score."""

from __future__ import annotations

from collections.abc import Mapping

from LMIALLib.errors import as_sentence
from LMIALLib.queries.reason_words import novelty
from LMIALLib.queries.strategies import Strategy

_KINDS = {"passes": "passes", "members": "the last models", "views": "views"}


def reason(terms: Mapping[str, float], strategy: Strategy, drawn: str, *, alike: bool, skipped: bool) -> str:
    """One sentence for a reader: "Uncertainty 0.31 in 2 spots, difference +2.4, unlike anything labelled so far."

    A random query has no details of the slice, because the network's prediction must not lead its answer.

    Args:
        terms: the query's own terms.
        strategy: gives the words for measure, aggregation and choice.
        drawn: "random" or "strategy".
        alike: whether all scores were equal, so that the order by score is chance.
        skipped: whether the slice was skipped before.
    """
    choice = strategy.choice
    words = choice.words(terms) if choice.words is not None and drawn != "random" else ""
    if drawn == "random":
        parts = ["chosen at random, to measure progress fairly"]
    elif words and not choice.by_score:
        parts = [words]
    elif alike:
        parts = ["all slices score alike, so chance decides the order"]
    elif words and choice.words_suffice:
        parts = [words]
    else:
        parts = [words, *_score(terms, strategy), novelty(terms), "chance added" if strategy.noise else ""]
    sentence = ", ".join(part for part in parts if part)
    return f"{as_sentence(sentence)}{'; skipped before' if skipped else ''}."


def _score(terms: Mapping[str, float], strategy: Strategy) -> list[str]:
    """What made the score: the map at the place the reader is brought to, or what came from elsewhere."""
    words = strategy.aggregation.words
    change = f"difference {terms['difference']:+.1f}"
    if not strategy.aggregation.of_map and words is not None:
        return [words(terms), change]
    return [_doubt(terms, strategy), change, words(terms) if words is not None else ""]


def _doubt(terms: Mapping[str, float], strategy: Strategy) -> str:
    spots = int(terms["spots"])
    where = f" in {spots} spot{'s' if spots > 1 else ''}" if spots else ""
    word = strategy.measure.word.replace("passes", _KINDS.get(strategy.several, "passes"))
    return f"{word[0].lower()}{word[1:]} {terms['uncertainty']:.2g}{where}"
