"""The per-patient head: a small model, fitted to the answers of one patient, that corrects the frozen network's map.

Two members see the same features. The linear one is a logistic regression whose starting point is the network's own
logit, with a Gaussian prior on every coefficient, so that few answers change little. The other is gradient boosting of
shallow trees. Their mean logit is blended with the network's, the more the more was answered (`share_of`), and the less
the more a voxel is unlike those that were read: a head that has seen one kind of change knows nothing of another.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass, field
from typing import Any, cast

import numpy as np

from LMIALLib.adaptation.answers import UNKNOWN, Answered, SliceAnswer, gathered
from LMIALLib.adaptation.features import Features
from LMIALLib.adaptation.inputs import HeadInputs
from LMIALLib.adaptation.linear import FREE_CONSTANT, LinearMember, fit_linear


@dataclass(frozen=True)
class HeadSettings:
    """How a head is fitted and blended.

    Args:
        fewest_marked: below so many voxels answered as change the head only lowers probabilities.
        lowering_to_half: its share is then n / (n + this) after n answers.
        slices_to_half: the head's share is at most n / (n + this) after n answers.
        marked_to_half: and that times m / (m + this) with m voxels answered as change.
        unlike: a voxel's share is divided by 1 + this times the variance of the linear member's logit there, so that
            voxels unlike all that were read are left to the network.
        ridge: precision of the linear member's prior, on standardised features.
        rounds, leaves, rate, fewest_in_leaf, leaf_ridge: of gradient boosting.
        most_rows: voxels without change that are learnt from at most; evenly thinned beyond, and weighted up.
    """

    fewest_marked: int = 5
    lowering_to_half: float = 3.0
    slices_to_half: float = 1.0
    marked_to_half: float = 50.0
    unlike: float = 0.3
    ridge: float = 10.0
    rounds: int = 60
    leaves: int = 8
    rate: float = 0.1
    fewest_in_leaf: int = 40
    leaf_ridge: float = 5.0
    most_rows: int = 8_000


@dataclass(frozen=True)
class Members:
    """The two members of a head, fitted to the same voxels.

    Args:
        linear: logistic regression around the network's logit.
        booster: scikit-learn's gradient boosting; None where too little was marked: the head then only lowers.
        shift: added to the booster's logit, nats: it learnt from voxels without change that were thinned.
    """

    linear: LinearMember
    booster: Any
    shift: float

    def logit(self, features: Features, rows: np.ndarray | slice) -> np.ndarray:
        """Mean logit of both at some rows of the features, float64."""
        values = features.values[rows]
        linear = self.linear.logit(values, features.logit[rows])
        if self.booster is None:
            return np.minimum(linear, features.logit[rows])
        return np.asarray(0.5 * (linear + self.booster.decision_function(values) + self.shift))


@dataclass(frozen=True)
class Head:
    """A fitted head.

    Args:
        members: the fitted models.
        share: of the head in the blended logit, in [0, 1], where voxels are like those that were read.
        unlike: how much less it is elsewhere, see `HeadSettings`.
        digest: SHA-256 over features, answers in their order, settings, versions and threads.
        facts: what it was made from, JSON-ready: answers, marked voxels, share, settings, versions, threads.
    """

    members: Members
    share: float
    unlike: float
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
    """Fit the head to all answers of a patient, in under half a second; None where nothing was answered.

    Where nearly nothing is marked yet the head only lowers probabilities: answers "nothing here" take suggestions away
    and never add any.

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
    if rows.changed.size == 0 or rows.changed.all():
        return None
    marked = int(rows.changed.sum())
    with _one_thread():
        members = _members(features, rows, settings, trees=marked >= settings.fewest_marked)
    slices = sum(bool((target != UNKNOWN).any()) for target in answered.targets.values())
    share = share_of(slices, marked, settings)
    facts = {
        "answers": len(answers),
        "slices": sorted(int(k) for k in answered.targets),
        "marked": answered.marked,
        "share": share,
        "settings": asdict(settings),
        **_versions(),
    }
    digest = hashlib.sha256(f"{features.digest} {answered.digest} {facts}".encode()).hexdigest()
    return Head(members, share, settings.unlike, digest, facts)


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
    with _one_thread():
        own = head.members.logit(features, slice(None))
        share = head.share / (1.0 + head.unlike * head.members.linear.variance(features.values))
    return np.asarray((1.0 - share) * features.logit + share * own)


def learnt_rows(features: Features, answered: Answered, settings: HeadSettings) -> Rows:
    """Candidates of which an answer says something; those without change thinned to at most ``most_rows``."""
    index, changed, number = [], [], []
    for k, target in sorted(answered.targets.items()):
        rows = features.rows_of(k)
        values = target.ravel()[features.plane_of(k)]
        known = np.flatnonzero(values != UNKNOWN)
        index.append(known + rows.start)
        changed.append(values[known] == 1)
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


def share_of(slices: int, marked: int, settings: HeadSettings) -> float:
    """Decide the head's share in the blended logit, in [0, 1), after so many slices with so many marked voxels.

    Both numbers hold it back: slices, because voxels of one slice resemble each other, and marked voxels, because a few
    of them do harm (a head that was fitted to five took the delivered Dice of a pair from 0.87 to 0.59).
    """
    if marked < settings.fewest_marked:
        return slices / (slices + settings.lowering_to_half)
    return slices / (slices + settings.slices_to_half) * marked / (marked + settings.marked_to_half)


def _members(features: Features, rows: Rows, settings: HeadSettings, *, trees: bool) -> Members:
    values = features.values[rows.index]
    constant = FREE_CONSTANT if trees else settings.ridge
    linear = fit_linear(values, rows.changed, features.logit[rows.index], rows.weight, settings.ridge, constant)
    if not trees:
        return Members(linear, None, 0.0)
    from sklearn.ensemble import HistGradientBoostingClassifier

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

    return {"scikit_learn": sklearn.__version__, "scipy": scipy.__version__, "numpy": np.__version__, "threads": 1}


def _one_thread() -> AbstractContextManager[Any]:
    """Work in one thread.

    So little data gains nothing by more, waits long where the machine is busy, and the bits do not depend on their
    number.
    """
    from threadpoolctl import threadpool_limits

    return cast(AbstractContextManager[Any], threadpool_limits(limits=1))


def _sigmoid(logit: np.ndarray) -> np.ndarray:
    return 1.0 / (1.0 + np.exp(-np.clip(logit, -30.0, 30.0)))


def _entropy(p: np.ndarray) -> np.ndarray:
    """Binary entropy in nats, float32."""
    found = np.zeros(p.shape, np.float32)
    unsure = (p > 0.0) & (p < 1.0)
    q = p[unsure]
    found[unsure] = -q * np.log(q) - (1.0 - q) * np.log1p(-q)
    return found
