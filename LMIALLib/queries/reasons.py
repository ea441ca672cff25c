"""The sentence that tells a reader why they were brought to a slice, made from the very terms of its score."""

from __future__ import annotations

from collections.abc import Mapping

from LMIALLib.queries.strategies import Strategy

UNLIKE, ALIKE = 1.5, 0.5
"""From so many times the typical distance to anything labelled a slice is called unlike it; up to the second, alike."""


def reason(terms: Mapping[str, float], strategy: Strategy, drawn: str, *, alike: bool, skipped: bool) -> str:
    """One sentence for a reader: "Uncertainty 0.31 in 2 spots, difference +2.4, unlike anything labelled so far."

    A random query tells nothing about the slice, because its answer must not be led by what the network thinks.

    Args:
        terms: the query's own terms.
        strategy: gives the word for the measure.
        drawn: "random" or "strategy".
        alike: whether all scores were equal, so that the order among strategy queries is chance.
        skipped: whether the slice was skipped before.
    """
    if drawn == "random":
        sentence = "Drawn by lot, to measure progress fairly"
    elif "features" in strategy.choice.needs:
        sentence = f"{_novelty(terms) or 'Differs most from the slices in the queue so far'}{_distance(terms)}"
    elif alike:
        sentence = "All slices score alike, so chance decides the order"
    else:
        sentence = ", ".join(part for part in (_doubt(terms, strategy), _change(terms), _novelty(terms)) if part)
    return f"{sentence[0].upper()}{sentence[1:]}{'; skipped before' if skipped else ''}."


def _doubt(terms: Mapping[str, float], strategy: Strategy) -> str:
    spots = int(terms["spots"])
    where = f" in {spots} spot{'s' if spots > 1 else ''}" if spots else ""
    return f"{strategy.measure.word} {terms['uncertainty']:.2g}{where}"


def _change(terms: Mapping[str, float]) -> str:
    return f"difference {terms['difference']:+.1f}"


def _distance(terms: Mapping[str, float]) -> str:
    return f" (distance {terms['distance']:.2g})"


def _novelty(terms: Mapping[str, float]) -> str:
    """How near the nearest labelled slice is for this pool; empty when it is as usual or nothing is labelled."""
    typical = terms.get("typical_distance", 0.0)
    if typical <= 0.0:
        return ""
    if terms["distance"] >= UNLIKE * typical:
        return "unlike anything labelled so far"
    return "much like a labelled slice" if terms["distance"] <= ALIKE * typical else ""
