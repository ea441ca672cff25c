"""The per-patient head: a small model, fitted to the answers of one patient, that corrects the frozen network's map.

Two members see the same features. The linear one is a logistic regression whose starting point is the network's own
logit, with a Gaussian prior on every coefficient, so that few answers change little. The other is gradient boosting of
shallow trees. Their mean logit is blended with the network's; how far is decided by cross-validation over the slices
that were answered (`blend`), so that a head that judges slices it has not seen worse than the network is not followed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from LMIALLib.adaptation.answers import UNKNOWN, Answered, SliceAnswer, gathered
from LMIALLib.adaptation.features import Features
from LMIALLib.adaptation.inputs import HeadInputs
from LMIALLib.adaptation.linear import LinearMember, fit_linear


@dataclass(frozen=True)
class HeadSettings:
    """How a head is fitted and blended.

    Args:
        fewest_marked: below so many voxels answered as change nothing is fitted, and the network's map stands.
        slices_to_half: the head's share is at most n / (n + this) after n answers.
        marked_to_half: and that times m / (m + this) with m voxels answered as change.
        ridge: precision of the linear member's prior, on standardised features.
        rounds, leaves, rate, fewest_in_leaf, leaf_ridge: of gradient boosting.
        most_rows: voxels without change that are learnt from at most; evenly thinned beyond, and weighted up.
        folds: of the cross-validation over slices.
        threshold: of the delivered label.
    """

    fewest_marked: int = 5
    slices_to_half: float = 3.0
    marked_to_half: float = 0.0
    ridge: float = 10.0
    rounds: int = 60
    leaves: int = 8
    rate: float = 0.1
    fewest_in_leaf: int = 40
    leaf_ridge: float = 5.0
    most_rows: int = 12_000
    folds: int = 2
    threshold: float = 0.5


@dataclass(frozen=True)
class Members:
    """The two members of a head, fitted to the same voxels.

    Args:
        linear: logistic regression around the network's logit.
        booster: scikit-learn's gradient boosting.
        shift: added to the booster's logit, nats: it learnt from voxels without change that were thinned.
    """

    linear: LinearMember
    booster: Any
    shift: float

    def logit(self, features: Features, rows: np.ndarray | slice) -> np.ndarray:
        """Mean logit of both at some rows of the features, float64."""
        values = features.values[rows]
        trees = self.booster.decision_function(values) + self.shift
        return np.asarray(0.5 * (self.linear.logit(values, features.logit[rows]) + trees))


@dataclass(frozen=True)
class Head:
    """A fitted head.

    Args:
        members: the fitted models.
        share: of the head in the blended logit, in [0, 1].
        digest: SHA-256 over features, answers in their order, settings, versions and threads.
        facts: what it was made from, JSON-ready: answers, marked voxels, share, settings, versions, threads.
    """

    members: Members
    share: float
    digest: str
    facts: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class AdaptedMaps:
    """Maps of a patient under the head, float32 (slices, rows, columns), 0 outside the region.

    Args:
        probability: of change; the network's own where the voxel is no candidate or there is no head.
        entropy: of that probability, nats.
        head: digest of the head; empty where the network's map stands.
    """

    probability: np.ndarray
    entropy: np.ndarray
    head: str


@dataclass(frozen=True)
class Rows:
    """What a head learns from.

    Args:
        index: int64, rows of `Features`.
        changed: bool, the answers.
        weight: float64, 1, or more where voxels without change were thinned.
        number: int64, slice of each.
    """

    index: np.ndarray
    changed: np.ndarray
    weight: np.ndarray
    number: np.ndarray

    def only(self, chosen: np.ndarray) -> Rows:
        """Some of them; ``chosen`` is bool."""
        return Rows(self.index[chosen], self.changed[chosen], self.weight[chosen], self.number[chosen])


def fit(features: Features, answers: Sequence[SliceAnswer], settings: HeadSettings | None = None) -> Head | None:
    """Fit the head to all answers of a patient, in under half a second; None where the network's map stands.

    Args:
        features: of the case, see `features_of`.
        answers: in the order they were given; the same answers in the same order give the same head.
        settings: None for the defaults.

    Raises ValueError for an answer of a slice that the case has not, or of another shape.
    """
    settings = settings or HeadSettings()
    answered = gathered(answers)
    _check(features, answered)
    rows = learnt_rows(features, answered, settings)
    if rows.changed.sum() < settings.fewest_marked or rows.changed.all():
        return None
    members = _members(features, rows, settings)
    share = blend(features, rows, settings)
    facts = {
        "answers": len(answers),
        "slices": sorted(int(k) for k in answered.targets),
        "marked": answered.marked,
        "share": share,
        "settings": asdict(settings),
        **_versions(),
    }
    digest = hashlib.sha256(f"{features.digest} {answered.digest} {facts}".encode()).hexdigest()
    return Head(members, share, digest, facts)


def adapted(features: Features, head: Head | None, maps: HeadInputs | None = None) -> AdaptedMaps:
    """Give the maps of every slice under the head; those of the network where ``head`` is None.

    Args:
        features: of the case.
        head: see `fit`.
        maps: the case's inputs; None for those that ``features`` were made of.
    """
    inputs = features.inputs if maps is None else maps
    probability = np.array(inputs.mean, np.float32)
    if head is not None:
        probability.ravel()[features.voxels] = _sigmoid(blended_logit(features, head))
    return AdaptedMaps(probability, _entropy(probability), "" if head is None else head.digest)


def blended_logit(features: Features, head: Head) -> np.ndarray:
    """The logit at every candidate under the head, float64 (candidates,)."""
    own = head.members.logit(features, slice(None))
    return (1.0 - head.share) * features.logit + head.share * own


def learnt_rows(features: Features, answered: Answered, settings: HeadSettings) -> Rows:
    """Candidates of which an answer says something; those without change thinned to at most ``most_rows``."""
    index, changed, number = [], [], []
    for k, target in sorted(answered.targets.items()):
        rows = features.rows_of(k)
        said = target.ravel()[features.plane_of(k)]
        known = np.flatnonzero(said != UNKNOWN)
        index.append(known + rows.start)
        changed.append(said[known] == 1)
        number.append(np.full(known.size, k))
    if not index:
        nothing = np.zeros(0, np.int64)
        return Rows(nothing, nothing > 0, nothing.astype(float), nothing)
    found = Rows(np.concatenate(index), np.concatenate(changed), np.ones(sum(map(len, index))), np.concatenate(number))
    empty = np.flatnonzero(~found.changed)
    if empty.size <= settings.most_rows:
        return found
    kept = empty[np.linspace(0, empty.size - 1, settings.most_rows).round().astype(int)]
    weight = np.where(found.changed, 1.0, empty.size / settings.most_rows)
    chosen = found.changed.copy()
    chosen[kept] = True
    return Rows(found.index, found.changed, weight, found.number).only(chosen)


def blend(features: Features, rows: Rows, settings: HeadSettings) -> float:
    """Decide the head's share in the blended logit, in [0, 1].

    The slices are dealt into folds; members fitted to the others judge each fold. The share is the one with the least
    sum of squared errors of the probability there, never above what the number of answers allows. With one slice alone
    nothing can be judged, and half of what is allowed is taken.
    """
    slices = np.unique(rows.number)
    marked = float(rows.changed.sum())
    allowed = len(slices) / (len(slices) + settings.slices_to_half)
    allowed *= marked / (marked + settings.marked_to_half)
    if len(slices) < 2 or settings.folds < 2:
        return 0.5 * allowed if settings.folds >= 2 else allowed
    own = np.full(len(rows.index), np.nan)
    # slices with most marks are dealt first, so that each fold holds some
    marks = np.array([rows.changed[rows.number == k].sum() for k in slices])
    order = slices[np.argsort(-marks, kind="stable")]
    folds = min(settings.folds, len(slices))
    for fold in range(folds):
        judged = np.isin(rows.number, order[fold::folds])
        others = rows.only(~judged)
        if others.changed.sum() < settings.fewest_marked or others.changed.all():
            continue
        own[judged] = _members(features, others, settings).logit(features, rows.index[judged])
    seen = np.isfinite(own)
    if not seen.any():
        return 0.5 * allowed
    return allowed * _best_share(
        features.logit[rows.index[seen]], own[seen], rows.changed[seen], rows.weight[seen], allowed
    )


def _best_share(network: np.ndarray, own: np.ndarray, changed: np.ndarray, weight: np.ndarray, allowed: float) -> float:
    """The part of ``allowed`` with the least squared error on voxels that the members were not fitted to."""
    parts = np.linspace(0.0, 1.0, 6)
    errors = []
    for part in parts * allowed:
        p = _sigmoid((1.0 - part) * network + part * own)
        errors.append(float((weight * (changed - p) ** 2).sum()))
    return float(parts[int(np.argmin(errors))])


def _members(features: Features, rows: Rows, settings: HeadSettings) -> Members:
    from sklearn.ensemble import HistGradientBoostingClassifier

    values = features.values[rows.index]
    linear = fit_linear(values, rows.changed, features.logit[rows.index], rows.weight, settings.ridge)
    booster = HistGradientBoostingClassifier(
        max_iter=settings.rounds,
        max_leaf_nodes=settings.leaves,
        learning_rate=settings.rate,
        min_samples_leaf=settings.fewest_in_leaf,
        l2_regularization=settings.leaf_ridge,
        early_stopping=False,
        random_state=0,
    )
    # no sample weights: scikit-learn then bins by weighted quantiles, which takes a hundred times as long
    return Members(linear, booster.fit(values, rows.changed), -float(np.log(rows.weight.max())))


def _check(features: Features, answered: Answered) -> None:
    slices, *plane = features.inputs.mean.shape
    for number, target in answered.targets.items():
        if number >= slices or target.shape != tuple(plane):
            raise ValueError(f"answer of slice {number} {target.shape}; the case has {slices} slices {tuple(plane)}")


def _versions() -> dict[str, Any]:
    import scipy
    import sklearn
    from threadpoolctl import threadpool_info

    threads = sorted({int(pool["num_threads"]) for pool in threadpool_info()})
    return {
        "scikit_learn": sklearn.__version__,
        "scipy": scipy.__version__,
        "numpy": np.__version__,
        "threads": threads,
    }


def _sigmoid(logit: np.ndarray) -> np.ndarray:
    return 1.0 / (1.0 + np.exp(-np.clip(logit, -30.0, 30.0)))


def _entropy(p: np.ndarray) -> np.ndarray:
    """Binary entropy in nats, float32."""
    found = np.zeros(p.shape, np.float32)
    unsure = (p > 0.0) & (p < 1.0)
    q = p[unsure]
    found[unsure] = -q * np.log(q) - (1.0 - q) * np.log1p(-q)
    return found
