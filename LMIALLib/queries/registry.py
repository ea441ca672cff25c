"""The strategies that LMIAL brings: each composes a measure, an aggregation and a choice under one name."""

from __future__ import annotations

from dataclasses import replace
from types import MappingProxyType

from LMIALLib.queries import aggregations, choices, noise
from LMIALLib.queries.measures import MEASURES
from LMIALLib.queries.registry_finish import FINISH
from LMIALLib.queries.registry_uncertainty import BALD, ENTROPY, LMI_AL, NNACTIVE, NORMALISED, UNCERTAINTY, WEIGHTED
from LMIALLib.queries.strategy import Strategy

NOTATION = (
    "In the formulas p is the probability of change at a pixel, p_t that of one of several predictions (of a pass, of "
    "a member of a committee or of a view, as the strategy needs), H the binary entropy in nats, Sum runs over the "
    "pixels of a slice's brain region, w = min(|difference| / 5, 1) with the difference in robust spreads of the "
    "brain, s is the score of a slice, f its feature vector, n the queries of a batch, L what is labelled, S what is "
    "chosen."
)
"""What the symbols in `Strategy.formula` mean."""
SPACING = (
    "Queries of one round and case keep a distance (12 mm unless another is asked for) where a strategy goes by "
    "scores or distances; draws by lot (`random`, `foreground-random-*`) keep none. So a difference from them is score "
    "and distance together."
)
"""What is asked of all choices beside their formula."""
SAME_ORDER = (
    "With two classes margin is twice the least confidence: 1 - |2p - 1| = 2 (1 - max(p, 1-p)). So margin, "
    "difference-margin and difference-margin-normalised put slices in the very order of least-confidence, "
    "difference-least-confidence and difference-least-confidence-normalised. They are kept for their names, and are no "
    "further evidence: of the {names} names {orders} are distinct strategies."
)
"""What is said of strategies that differ in name only."""
LEFT_OUT = (
    ("first, last", "an order of file names says nothing of slices; `random` is the baseline"),
    ("CDAL", "k-center on class distributions; with two classes that is the mean p of a slice, one number"),
    ("DeepFool", "the smallest perturbation that flips a pixel; for two classes `margin` ranks pixels the same way"),
    ("Fisher information", "needs the inverse of a gradient covariance of the pool; `badge` stands for gradients"),
    ("TOD", "the change of a prediction since an earlier model; `committee-variance` measures it over snapshots"),
    ("DPP", "sampling by determinants; `typiclust`, `probcover` and `k-means` stand for diversity"),
)
"""Strategies that the literature names and that are not here, each with the reason."""
CHANGED = (
    (
        "all by entropy",
        "sure pixels had a floor of 1.7e-6 nats, by which sure slices were ranked; it is gone. Where slices are "
        "resampled for the network, entropy is made at its pixels and then resampled",
    ),
    (
        "bald and what builds on it",
        "where slices are resampled, mean and expected entropy were resampled apart, and most of their difference was "
        "that; BALD is made at the network's pixels and then resampled",
    ),
    (
        "all *-normalised",
        "the least divisor was a tenth of the median of Sum w, so that end slices won; it is the median",
    ),
    ("class-entropy, clasp", "the background was a class of its own, asked for in every third turn; it is none now"),
    ("clasp", "beta ended at 100^((K - 1) / K), 21.5 for three rounds; it ends at 100 in the last round"),
    (
        "power-entropy, power-bald, soft-rank-bald, clasp",
        "a slice kept its noise for the whole study; it is drawn anew once more was answered",
    ),
    ("typiclust", "a cluster's n slices had min(20, n - 1) neighbours; they have min(20, n // 2)"),
    ("cluster-margin", "a pool under ten batches was shortlisted whole, whatever its margins; half of it is at most"),
    ("k-means-bald", "features were centred and scaled over the pool; they are scaled over the 2n best, not centred"),
    (
        "selective-entropy",
        "it was the sum of H(p) over p >= 1/4, now foreground-entropy; it is the method of its source now",
    ),
    (
        "expected-dice",
        "the change of empty slices entered with a Dice near 0; a class that nothing predicts is left out",
    ),
    ("stochastic-batches", "100 batches were drawn that overlapped; the shuffled pool is cut into batches"),
)
"""Names whose formulas changed on 2026-11-28 (`strategy.FORMULAS` 2), each with what it was and is."""

_STOCHASTIC = "Kirsch et al., arXiv 2106.12059"

_CHANCE = (
    Strategy(
        "random",
        MEASURES["entropy"],
        aggregations.mean_in_brain,
        choices.random,
        "Slices drawn by lot, each with the same chance.",
        "uniform draw without replacement",
        "uniform",
    ),
    Strategy(
        "foreground-random-prediction",
        MEASURES["predicted-change"],
        aggregations.total,
        choices.foreground_by_lot,
        "Two of three slices drawn by lot where the network predicts change, one among all; no truth is looked at.",
        NNACTIVE + " (66 %, there from the truth)",
        "uniform over slices with any p >= 1/2, in 2 of 3 turns",
    ),
    Strategy(
        "foreground-random-difference",
        MEASURES["visible-difference"],
        aggregations.total,
        choices.foreground_by_lot,
        "Two of three slices drawn by lot where the scans visibly differ, one among all; no truth is looked at.",
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
        summary="The most uncertain of many batches drawn by lot.",
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
        "Slices that a classifier tells apart from the labelled ones.",
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
        "Slices within a small distance of which most others lie that nothing read stands for.",
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
