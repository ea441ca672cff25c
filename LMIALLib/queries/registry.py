"""The strategies that LMIAL brings: each composes a measure, an aggregation and a choice under one name."""

from __future__ import annotations

from dataclasses import replace
from types import MappingProxyType

from LMIALLib.queries import aggregations, choices, noise
from LMIALLib.queries.measures import MEASURES
from LMIALLib.queries.registry_finish import FINISH
from LMIALLib.queries.registry_uncertainty import BALD, ENTROPY, LMI_AL, NNACTIVE, NORMALISED, UNCERTAINTY, WEIGHTED
from LMIALLib.queries.strategy import Strategy

_STOCHASTIC = "Kirsch et al., arXiv 2106.12059"

_CHANCE = (
    Strategy(
        "random",
        MEASURES["entropy"],
        aggregations.mean_in_brain,
        choices.random,
        "Slices chosen at random, each with the same chance.",
        "uniform draw without replacement",
        "uniform",
    ),
    Strategy(
        "foreground-random-prediction",
        MEASURES["predicted-change"],
        aggregations.total,
        choices.foreground_random,
        "Two of three slices chosen at random where the network predicts change, one among all; no truth is used.",
        NNACTIVE + " (66 %, there from the truth)",
        "uniform over slices with any p >= 1/2, in 2 of 3 turns",
    ),
    Strategy(
        "foreground-random-difference",
        MEASURES["visible-difference"],
        aggregations.total,
        choices.foreground_random,
        "Two of three slices chosen at random where the scans visibly differ, one among all; no truth is used.",
        NNACTIVE + " (66 %, there from the truth)",
        "uniform over slices with any |difference smoothed over 5 x 5| >= 2.5, in 2 of 3 turns",
    ),
    replace(
        ENTROPY,
        name="power-entropy",
        noise=noise.power_one,
        formula="ln s + Gumbel(0, 1), s = Sum H(p)",
        summary="Slices drawn with a chance in proportion to their entropy.",
        source=_STOCHASTIC,
    ),
    replace(
        BALD,
        name="power-bald",
        noise=noise.power_one,
        formula="ln s + Gumbel(0, 1), s = BALD",
        summary="Slices drawn with a chance in proportion to the disagreement of stochastic passes.",
        source=_STOCHASTIC,
    ),
    replace(
        BALD,
        name="soft-rank-bald",
        noise=noise.soft_ranks,
        formula="-ln rank + Gumbel(0, 1), rank by BALD",
        summary="Slices drawn with a chance in proportion to one over their rank by disagreement of stochastic passes.",
        source=_STOCHASTIC,
    ),
    replace(
        ENTROPY,
        name="stochastic-batches",
        choice=choices.stochastic_batches,
        formula="argmax of mean Sum H(p) over the batches of n into which the shuffled pool is cut",
        summary="The most uncertain of many random batches.",
        source="Gaillochet et al., arXiv 2301.07670",
    ),
)

_CLASSES = (
    replace(
        ENTROPY,
        name="class-entropy",
        choice=choices.class_stratified,
        formula="Sum p H(p) in 2 of 3 turns, Sum H(p) in the third",
        summary="Slices uncertain of change, two of three, and uncertain altogether.",
        source=NNACTIVE,
    ),
    replace(
        ENTROPY,
        name="clasp",
        choice=choices.class_stratified,
        noise=noise.power_growing,
        formula="class-entropy with ln s + Gumbel(0, 1/beta), beta = 100^(k / (K - 1)) in round k = 0 ... K - 1",
        summary="Slices uncertain of change, two of three, and altogether, with chance that shrinks over the budget.",
        source="ClaSP PE, arXiv 2601.13677",
    ),
)


def _other(name: str, aggregation: aggregations.Aggregation, formula: str, summary: str, source: str) -> Strategy:
    """A strategy that takes its score from elsewhere and shows the entropy."""
    return replace(ENTROPY, name=name, aggregation=aggregation, formula=formula, summary=summary, source=source)


_SCORERS = (
    replace(
        BALD,
        name="expected-dice",
        aggregation=aggregations.expected_dice,
        formula="1 - mean over t of the soft Dice of p_t with the mean, without a class that neither predicts",
        summary="Slices whose stochastic passes overlap least with their mean.",
        source=NNACTIVE,
    ),
    _other(
        "loss-prediction",
        aggregations.predicted_loss,
        "l(features), trained to rank losses",
        "Slices on which a trained head expects the largest loss.",
        "Yoo and Kweon, arXiv 1905.03677",
    ),
    _other(
        "discriminator",
        aggregations.unlabelled_probability,
        "1 - P(labelled | f)",
        "Slices that a classifier can distinguish from the labelled ones.",
        "Gissin and Shalev-Shwartz, arXiv 1907.06347; VAAL, arXiv 1904.00370",
    ),
    _other(
        "cost-aware",
        aggregations.weighted_total_per_second,
        "Sum w H(p) / predicted seconds",
        "Slices that are most uncertain where the scans differ, for each second of reading.",
        "Settles et al., NIPS Workshop on Cost-Sensitive Learning, 2008; " + LMI_AL,
    ),
)


def _diverse(name: str, choice: choices.Choice, formula: str, summary: str, source: str) -> Strategy:
    """A strategy that goes by feature or gradient vectors and shows the entropy."""
    return Strategy(name, MEASURES["entropy"], aggregations.mean_in_brain, choice, summary, source, formula)


_DIVERSITY = (
    _diverse(
        "core-set",
        choices.k_center,
        "argmax_u min_{l in L+S} |f_u - f_l|",
        "Slices least like anything labelled or already in the queue.",
        "Sener and Savarese, arXiv 1708.00489",
    ),
    _diverse(
        "core-set-cosine",
        choices.k_center_cosine,
        "argmax_u min_{l in L+S} (1 - cos(f_u, f_l))",
        "Slices whose features point least where those of labelled or queued ones do.",
        "Sener and Savarese, arXiv 1708.00489; survey, arXiv 2310.14230",
    ),
    _diverse(
        "k-means",
        choices.k_means,
        "argmin_u |f_u - centre| in each of as many clusters as a batch has queries",
        "The most typical slice of each of as many groups as a batch has queries.",
        "survey, arXiv 2310.14230",
    ),
    _diverse(
        "badge",
        choices.badge,
        "k-means++ on d loss / d last layer at the pseudo-label",
        "Slices that would change the network most and most differently.",
        "Ash et al., arXiv 1906.03671",
    ),
    _diverse(
        "max-cover",
        choices.max_cover,
        "argmax_j Sum_x max_{s in L+S+j} cos(f_x, f_s)",
        "Slices that together resemble all others most.",
        "Yang et al., arXiv 1706.04737; survey, arXiv 2310.14230",
    ),
    _diverse(
        "typiclust",
        choices.typiclust,
        "in the largest cluster without a label argmax 1 / mean distance to min(20, m // 2) of its m open slices",
        "The most typical slices of the largest groups that nobody has read from.",
        "Hacohen et al., arXiv 2202.02794",
    ),
    _diverse(
        "probcover",
        choices.probcover,
        "argmax_u |{x not covered: |f_x - f_u| <= delta}|",
        "Slices near which most slices lie that no slice read represents.",
        "Yehuda et al., arXiv 2205.11320",
    ),
    replace(
        BALD,
        name="k-means-bald",
        choice=choices.k_means_of_best,
        formula="2n highest BALD, then farthest-first on f / std(f) over those 2n, from the largest norm",
        summary="Of the slices on which stochastic passes disagree most, those that differ most from each other.",
        source=NNACTIVE,
    ),
    Strategy(
        "cluster-margin",
        MEASURES["margin"],
        aggregations.total,
        choices.cluster_margin,
        "Slices between change and no change, dealt from groups of similar slices, smallest group first.",
        "Citovsky et al., arXiv 2107.14263",
        "10n lowest margin, at most half of what is open, then round robin over clusters of f",
    ),
    replace(
        BALD,
        name="hybrid",
        choice=choices.hybrid,
        formula="10n highest BALD, then argmax -norm(mean cos(f, f_l), l in L+S) + norm(BALD) / 2",
        summary="Of the slices on which stochastic passes disagree most, those least like what was read or queued.",
        source=LMI_AL + ", its code's hybrid with the sign of similarity put right",
    ),
)

STRATEGIES = MappingProxyType(
    {
        strategy.name: strategy
        for strategy in (
            *FINISH,
            *_CHANCE[:3],
            *UNCERTAINTY,
            *WEIGHTED,
            *NORMALISED,
            *_CHANCE[3:],
            *_CLASSES,
            *_SCORERS,
            *_DIVERSITY,
        )
    }
)
"""Every strategy by its name; cannot be changed, so that no name quietly changes its meaning."""
