"""Choices: from scores and features to an order of slices. Each begins a chooser that hands out one slice at a time."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

from LMIALLib.queries import clusters, covers, diversity, reason_words
from LMIALLib.queries.aggregations import Aggregation, boundary_mean
from LMIALLib.queries.candidates import Candidates
from LMIALLib.queries.choosers import Chooser, ClassStratified, ForegroundRandom, HighestFirst, RandomOrder, Selective
from LMIALLib.queries.measures import MEASURES, Measure

_FEATURES = frozenset({"features"})


@dataclass(frozen=True)
class Choice:
    """A named choice.

    Args:
        name: as in `CHOICES`.
        begin: (candidates, spacing in mm) to a fresh `Chooser`.
        uniform: whether every pick is a uniform draw, and may feed unbiased estimates.
        needs: "features" or "gradients" where slices need such vectors.
        by_score: whether the scores of slices decide, alone or among other things.
        also: further scores, in `Candidates.others`: each a measure and its aggregation, None for the strategy's own.
        words: from a query's terms to words for a reader, on what the choice used beside the score.
        words_suffice: whether these words alone give the reason for a query; the map's figures stay in the details.
        distances: candidates to a function from features (n, d) to the distances (n,) at the start, where it goes by
            distance.
    """

    name: str
    begin: Callable[[Candidates, float], Chooser]
    uniform: bool = False
    needs: frozenset[str] = frozenset()
    by_score: bool = True
    also: tuple[tuple[Measure, Aggregation | None], ...] = ()
    words: Callable[[Mapping[str, float]], str] | None = None
    words_suffice: bool = False
    distances: Callable[[Candidates], Callable[[np.ndarray], np.ndarray]] | None = None


highest_first = Choice("highest-first", HighestFirst)
most_wrong_first = Choice("most-wrong-first", HighestFirst, words=reason_words.expected_error, words_suffice=True)
random = Choice("random", RandomOrder, uniform=True, by_score=False, words=reason_words.at_random)
foreground_random = Choice("foreground-by-lot", ForegroundRandom, by_score=False, words=reason_words.foreground_random)
class_stratified = Choice(
    "class-stratified",
    ClassStratified,
    also=((MEASURES["change-entropy"], None),),
    words=reason_words.turn,
)
selective = Choice(
    "selective",
    Selective,
    also=((MEASURES["selective-entropy"], boundary_mean),),
    words=reason_words.selective_turn,
)
stochastic_batches = Choice("stochastic-batches", clusters.StochasticBatches, words=reason_words.drawn_batch)
k_center = Choice(
    "k-center",
    diversity.KCenterGreedy,
    needs=_FEATURES,
    by_score=False,
    words=reason_words.farthest,
    distances=diversity.starting_distances,
)
k_center_cosine = Choice(
    "k-center-cosine",
    diversity.CosineKCenter,
    needs=_FEATURES,
    by_score=False,
    words=reason_words.farthest,
    distances=diversity.starting_angles,
)
k_means = Choice("k-means", clusters.KMeansNearest, needs=_FEATURES, by_score=False, words=reason_words.group)
typiclust = Choice(
    "typiclust", clusters.TypiClust, needs=_FEATURES, by_score=False, words=reason_words.unlabelled_group
)
max_cover = Choice("max-cover", covers.MaxCover, needs=_FEATURES, by_score=False, words=reason_words.cover)
probcover = Choice("probcover", covers.ProbCover, needs=_FEATURES, by_score=False, words=reason_words.ball)
k_means_of_best = Choice("k-means-of-best", clusters.KMeansBald, needs=_FEATURES, words=reason_words.apart)
cluster_margin = Choice("cluster-margin", clusters.ClusterMargin, needs=_FEATURES, words=reason_words.shortlisted_group)
hybrid = Choice("hybrid", diversity.Hybrid, needs=_FEATURES, words=reason_words.dissimilar)
badge = Choice("badge", diversity.Badge, needs=frozenset({"gradients"}), by_score=False, words=reason_words.gradient)

CHOICES = MappingProxyType(
    {
        choice.name: choice
        for choice in (
            highest_first,
            most_wrong_first,
            random,
            foreground_random,
            class_stratified,
            selective,
            stochastic_batches,
            k_center,
            k_center_cosine,
            k_means,
            typiclust,
            max_cover,
            probcover,
            k_means_of_best,
            cluster_margin,
            hybrid,
            badge,
        )
    }
)
"""Every choice by its name; cannot be changed."""
