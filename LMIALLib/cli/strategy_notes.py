"""What a reader of the table of strategies must know: notation, spacing, strategies that are alike or left out."""

from __future__ import annotations

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
    "scores or distances; random draws (`random`, `foreground-random-*`) keep none. So a difference from them is score "
    "and distance together."
)
"""What is asked of all choices beside their formula."""
SAME_ORDER = (
    "With two classes margin is twice the least confidence: 1 - |2p - 1| = 2 (1 - max(p, 1-p)). So margin, "
    "difference-margin and difference-margin-normalised put slices in the very order of least-confidence, "
    "difference-least-confidence and difference-least-confidence-normalised. They are kept for their names, and are no "
    "further evidence: of the {names} names {orders} are distinct strategies."
)
"""Notes on strategies that differ in name only."""
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
