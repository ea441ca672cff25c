"""A changed lesion and how it is measured: its class, its size and where it lies."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np

from LMIALLib.pairs.pair import Pair
from LMIALLib.study.case import Case
from LMIALLib.study.labels import UNREAD, LabelSchema
from LMIALLib.study.lesion_class import proposed_class
from LMIALLib.study.lesion_numbers import places_of

READ, PARTLY_READ, ACCEPTED, MODELS_ALONE = "read", "partly read", "accepted as a whole", "model's alone"


@dataclass(frozen=True)
class Lesion:
    """A changed lesion.

    Args:
        number: its identity in the case; see ``lesion_numbers``.
        status: "read" when every voxel of it and every neighbour of them was read by a person, "accepted as a whole"
            when no slice of it was read and a reader accepted or outlined some of it as a lesion, "model's alone" when
            neither is so, else "partly read".
        classes: names of the classes that readers gave its voxels, the commonest first; empty for the model's alone.
        confirmed: the commonest of those classes that names a kind of change; empty where no reader gave one, since the
            first class of a schema only says that something changed.
        proposed: name of the class that both visits propose for all its voxels, see ``proposed_class``; or empty.
        voxels, volume_ml: how large it is.
        slices, first_slice, last_slice: slices that it touches, how many and from where to where, 0-based.
        largest_slice: the slice on which its area is largest, the first of several.
        largest_spot: row and column of its middle there, fractions of voxels.
        centroid_lps: mean place of its voxels, LPS mm; may lie outside of a bent lesion.
        place_ras: the voxel of it that lies nearest to the centroid, RAS mm.
        diameter_mm: the largest distance between two points of its surface, which passes half way between a voxel of it
            and the next that is not (maximum 3D diameter, L0JK of the Image Biomarker Standardisation Initiative).
        difference_sd: mean of follow-up minus baseline, in robust standard deviations of the brain; above 0 = brighter.
        confidence: mean probability of change that the model gives its voxels; None where it was not predicted.
    """

    number: int
    status: str
    classes: tuple[str, ...]
    confirmed: str
    proposed: str
    voxels: int
    volume_ml: float
    slices: int
    first_slice: int
    last_slice: int
    largest_slice: int
    largest_spot: tuple[float, float]
    centroid_lps: tuple[float, float, float]
    place_ras: tuple[float, float, float]
    diameter_mm: float
    difference_sd: float
    confidence: float | None

    @property
    def kind(self) -> str:
        """The class in a word: confirmed, else proposed, else "change"."""
        return self.confirmed or self.proposed or "change"

    @property
    def described(self) -> str:
        """The class as lists show it: "new", or "new, proposed" where no reader confirmed it."""
        return f"{self.kind}, proposed" if self.proposed and not self.confirmed else self.kind

    @property
    def name(self) -> str:
        """As segments are named: "lesion 3 (new)", "lesion 4 (shrunk, proposed, model only)"."""
        return f"lesion {self.number} ({self.described}{', model only' if self.status == MODELS_ALONE else ''})"


def measured_lesions(
    volume: np.ndarray,
    case: Case,
    schema: LabelSchema,
    pair: Pair,
    values: np.ndarray,
    probability: np.ndarray | None,
    unseen: Collection[int] = (),
    accepted: np.ndarray | None = None,
) -> tuple[Lesion, ...]:
    """The lesions of a volume with everything that is known of them, by number.

    Args:
        volume: int32 (k, j, i), see ``Lesions.volume``.
        case, schema, pair: whose lesions they are, and the pair on whose grid they lie.
        values, probability: as for ``Lesions.volume``.
        unseen: slices that are left out, because their predictions must stay hidden.
        accepted: bool (k, j, i), change that a reader accepted or outlined as a whole lesion.
    """
    lesions = []
    for number, place in places_of(volume).items():
        index = np.stack(np.unravel_index(place, volume.shape), axis=1)
        if unseen:
            index = index[~np.isin(index[:, case.axis], list(unseen))]
        if len(index):
            lesions.append(_measured(number, index, case, schema, pair, values, probability, accepted))
    return tuple(lesions)


def _measured(
    number: int,
    index: np.ndarray,
    case: Case,
    schema: LabelSchema,
    pair: Pair,
    values: np.ndarray,
    probability: np.ndarray | None,
    accepted: np.ndarray | None,
) -> Lesion:
    """One lesion, from the array indices (n, 3) of its voxels."""
    around = tuple(
        slice(max(int(low) - 1, 0), int(high) + 2)
        for low, high in zip(index.min(axis=0), index.max(axis=0), strict=True)
    )
    inside = np.zeros(values[around].shape, bool)
    inside[tuple((index - [part.start for part in around]).T)] = True
    baseline, follow_up = pair.baseline[around], pair.follow_up[around]
    classes = _classes(values[around][inside], schema)
    confirmed = [name for name in classes if name != schema.classes[0].name]
    probabilities = None if probability is None else probability[around][inside]
    predicted = None if probabilities is None else probabilities[np.isfinite(probabilities)]
    areas = np.bincount(index[:, case.axis])
    largest = int(areas.argmax())
    rows, columns = (axis for axis in range(3) if axis != case.axis)
    spot = index[index[:, case.axis] == largest].mean(axis=0)
    middle = index.mean(axis=0)
    spacing = np.array(case.grid.spacing[::-1])
    nearest = index[np.linalg.norm((index - middle) * spacing, axis=1).argmin()]
    left, posterior, superior = _lps(case, nearest)
    return Lesion(
        number=number,
        status=_status(inside, values[around], None if accepted is None else accepted[around]),
        classes=classes,
        confirmed=confirmed[0] if confirmed else "",
        proposed=proposed_class(inside, baseline, follow_up),
        voxels=len(index),
        volume_ml=len(index) * case.grid.voxel_ml,
        slices=int((areas > 0).sum()),
        first_slice=int(np.flatnonzero(areas)[0]),
        last_slice=len(areas) - 1,
        largest_slice=largest,
        largest_spot=(float(spot[rows]), float(spot[columns])),
        centroid_lps=_lps(case, middle),
        place_ras=(-left, -posterior, superior),
        diameter_mm=_diameter(index * spacing, spacing),
        difference_sd=float((follow_up[inside] - baseline[inside]).mean()),
        confidence=float(predicted.mean()) if predicted is not None and predicted.size else None,
    )


def _classes(values: np.ndarray, schema: LabelSchema) -> tuple[str, ...]:
    found, counts = np.unique(values[values != UNREAD], return_counts=True)
    return tuple(schema.name_of(int(found[n])) for n in np.argsort(-counts, kind="stable"))


def _status(inside: np.ndarray, values: np.ndarray, accepted: np.ndarray | None) -> str:
    from scipy import ndimage

    unread = values == UNREAD
    if unread[inside].all():
        return MODELS_ALONE if accepted is None or not accepted[inside].any() else ACCEPTED
    beside = ndimage.binary_dilation(inside, structure=np.ones((3, 3, 3), bool))
    return PARTLY_READ if unread[beside].any() else READ


def _lps(case: Case, index: np.ndarray) -> tuple[float, float, float]:
    """LPS mm of a place given by array index (k, j, i), fractions included."""
    left, posterior, superior = (case.grid.index_to_point() @ [*index[::-1], 1.0])[:3]
    return float(left), float(posterior), float(superior)


def _diameter(places: np.ndarray, spacing: np.ndarray) -> float:
    """Largest distance in mm between surface points of voxels centred at ``places`` (n, 3) mm along k, j, i."""
    from scipy.spatial import ConvexHull
    from scipy.spatial.distance import pdist

    half = np.diag(spacing) / 2
    faces = np.concatenate([places + sign * step for step in half for sign in (-1, 1)])
    return float(pdist(faces[ConvexHull(faces).vertices]).max())
