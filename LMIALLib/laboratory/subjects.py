"""The cases of a simulation: from a cohort or a study to pairs with their truth, kept in ``cases/<case>.npz``."""

from __future__ import annotations

import hashlib
import tempfile
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from LMIALLib.errors import BadInput
from LMIALLib.files import written_whole
from LMIALLib.laboratory.sources import Source
from LMIALLib.pairs.geometry import Grid
from LMIALLib.pairs.pair import Pair
from LMIALLib.pairs.unread import UNREAD

MARGIN = 2
"""Pixels around the brain that are kept of a slice."""
LARGEST = 1000.0
"""Intensities beyond so many robust spreads are cut, because float16 would not hold them."""


@dataclass(frozen=True)
class Subject:
    """A pair with its truth.

    Args:
        name: of the case.
        part: "train", "validation" or "test" in a cohort; "pool" where other slices judge.
        pair: slices along array axis 0.
        truth: uint8 (slices, rows, columns): 1 change, 0 none, 255 not known (equivocal, or a class not covered).
    """

    name: str
    part: str
    pair: Pair
    truth: np.ndarray

    @property
    def counted(self) -> np.ndarray:
        """Voxels that are judged: brain whose truth is known, bool."""
        return np.asarray(self.pair.mask & (self.truth != UNREAD))

    @property
    def unknown(self) -> float:
        """Share of the brain whose truth is not known, in [0, 1]."""
        return float((self.truth[self.pair.mask] == UNREAD).mean()) if self.pair.mask.any() else 0.0

    @property
    def voxel_mm(self) -> tuple[float, float, float]:
        """Spacing of slices, rows and columns."""
        return (self.pair.slice_spacing, *self.pair.in_plane_spacing)

    def digest(self) -> str:
        """SHA-256 over everything that a simulation sees of the case."""
        total = hashlib.sha256(f"{self.name} {self.part} {self.pair.digest()}".encode())
        total.update(np.ascontiguousarray(self.truth).tobytes())
        return total.hexdigest()


def made_subject(source: Source) -> Subject:
    """Read, and for a cohort register and scale, one case. Raises BadInput for files that cannot be used."""
    pair = _cohort_pair(source) if source.raw else _study_pair(source)
    truth = _truth(source.truth, pair)
    subject = Subject(source.name, source.part, *_along_slices(pair, truth))
    if source.pixel_mm is None:
        return subject
    return _cropped(_shrunk(subject, source.pixel_mm))


def _cohort_pair(source: Source) -> Pair:
    from LMIALLib.pairs.prepare import prepare
    from LMIALLib.pairs.request import PairRequest

    files = {name: source.folder / f"{name}.nii.gz" for name in ("baseline", "follow_up", "brain")}
    request = PairRequest(baseline=files["baseline"], follow_up=files["follow_up"], mask=files["brain"], force=True)
    with tempfile.TemporaryDirectory(prefix="lmial-") as folder:
        return prepare(request, Path(folder))


def _study_pair(source: Source) -> Pair:
    from LMIALLib.study.store import Study

    with Study.open(source.folder, read_only=True) as study:
        return study.cases.load_pair(source.name)


def _truth(path: Path, pair: Pair) -> np.ndarray:
    """A truth on a pair's grid as uint8 (k, j, i): 1 where any class of change is marked, 255 where it is not known.

    Without any change it holds 0 alone. A file that is turned, cropped or larger is mapped by where it lies; outside of
    its box a label map knows nothing, and in a segmentation nothing changed. Raises BadInput for a grid that cannot be
    mapped or for values that are no labels.
    """
    from LMIALLib.pairs.label_volume import read_label_volume
    from LMIALLib.pairs.mapping import mapped
    from LMIALLib.pairs.reading import FORMATS, suffix_of
    from LMIALLib.pairs.segmentation import REVIEWED, is_segmentation, read_segmentation

    if suffix_of(path) is None and not is_segmentation(path):
        raise BadInput(f"{path}: a truth is a volume; LMIAL reads {FORMATS}.")
    if is_segmentation(path):
        found = read_segmentation(path)
        grid: Grid | None = found.grid
        drawn = [one.inside for one in found.segments if one.name.casefold() != REVIEWED]
        values = np.any([np.zeros(found.grid.shape, bool), *drawn], axis=0).astype(np.uint8)
        reviewed = found.named(REVIEWED)
        if reviewed is not None:
            values[(values == 0) & ~reviewed] = UNREAD
        outside = 0 if reviewed is None else UNREAD
    else:
        volume = read_label_volume(path)
        grid, values, outside = volume.grid, volume.values, UNREAD
    if grid is None:
        raise BadInput(f"{path}: it is a plane that says nothing of space; a truth is a volume.")
    if not np.isin(np.unique(values), (*range(16), UNREAD)).all():
        raise BadInput(f"{path}: a truth holds 0, small whole numbers for change, and 255 where it is not known.")
    here = mapped(path, values, grid, pair.grid)
    if not here.covered[pair.mask].any():
        raise BadInput(f"{path}: this truth shows no part of the brain of its pair; is it of another space?")
    known = np.where(here.values == UNREAD, UNREAD, here.values > 0)
    return np.where(here.covered, known, outside).astype(np.uint8)


def _along_slices(pair: Pair, truth: np.ndarray) -> tuple[Pair, np.ndarray]:
    """Pair and truth with the slice axis first."""
    volumes = (pair.stack(v) for v in (pair.baseline, pair.follow_up, pair.mask, truth))
    baseline, follow_up, mask, truth = (np.ascontiguousarray(v) for v in volumes)
    return stacked_pair(baseline, follow_up, mask, (pair.slice_spacing, *pair.in_plane_spacing)), truth


def stacked_pair(
    baseline: np.ndarray, follow_up: np.ndarray, mask: np.ndarray, voxel_mm: tuple[float, float, float]
) -> Pair:
    """A pair of stacks (slices, rows, columns), intensities as float16 holds them; where it lay is not kept."""
    slices, rows, columns = mask.shape
    grid = Grid((columns, rows, slices), (voxel_mm[2], voxel_mm[1], voxel_mm[0]), (0.0,) * 3, tuple(np.eye(3).ravel()))
    first, second = (np.clip(v, -LARGEST, LARGEST).astype(np.float16).astype(np.float32) for v in (baseline, follow_up))
    return Pair(first, second, mask.astype(bool), grid, 0)


def _shrunk(subject: Subject, pixel_mm: float) -> Subject:
    """In-plane pixels of about ``pixel_mm``; brain and truth hold where they fill more than half of a pixel.

    A pixel whose larger part is not known is not known. Slices that are as coarse already keep their size.
    """
    from LMIALLib.network.slices import resized

    pair = subject.pair
    spacing = pair.in_plane_spacing
    rows, columns = (max(8, round(n * mm / pixel_mm)) for n, mm in zip(pair.slice_shape, spacing, strict=True))
    shape = (min(rows, pair.slice_shape[0]), min(columns, pair.slice_shape[1]))
    if shape == pair.slice_shape:
        return subject

    def share(marked: np.ndarray) -> np.ndarray:
        return np.asarray(resized(marked.astype(np.float32), shape) > 0.5)

    mask, change, unknown = share(pair.mask), share(subject.truth == 1), share(subject.truth == UNREAD)
    sides = [mm * old / new for mm, old, new in zip(spacing, pair.slice_shape, shape, strict=True)]
    made = stacked_pair(
        resized(pair.baseline, shape), resized(pair.follow_up, shape), mask, (pair.slice_spacing, sides[0], sides[1])
    )
    return Subject(subject.name, subject.part, made, np.where(unknown, UNREAD, change).astype(np.uint8))


def _cropped(subject: Subject) -> Subject:
    """Rows and columns that hold brain, with a margin; all slices stay, so that their numbers do."""
    mask = subject.pair.mask
    box = []
    for axis in (1, 2):
        filled = np.flatnonzero(mask.any(axis=tuple({0, 1, 2} - {axis})))
        box.append(slice(max(int(filled[0]) - MARGIN, 0), int(filled[-1]) + 1 + MARGIN))
    cut = (slice(None), *box)
    pair = stacked_pair(subject.pair.baseline[cut], subject.pair.follow_up[cut], mask[cut], subject.voxel_mm)
    return Subject(subject.name, subject.part, pair, np.ascontiguousarray(subject.truth[cut]))


def save_subject(subject: Subject, path: Path) -> None:
    """Write a case whole or not at all: stacks baseline and follow_up (float16), mask, truth and ignored (bool), and
    voxel_mm, name, part. Raises OSError where the disk refuses."""
    pair = subject.pair
    with written_whole(Path(path)) as temporary:
        np.savez_compressed(
            temporary,
            baseline=pair.baseline.astype(np.float16),
            follow_up=pair.follow_up.astype(np.float16),
            mask=pair.mask,
            truth=subject.truth == 1,
            ignored=subject.truth == UNREAD,
            voxel_mm=np.array(subject.voxel_mm),
            name=np.array(subject.name),
            part=np.array(subject.part),
        )


def load_subject(path: Path) -> Subject:
    """Read a case back. Raises BadInput where the file is missing or broken."""
    import zipfile

    try:
        with np.load(path, allow_pickle=False) as file:
            stored: dict[str, Any] = {name: file[name] for name in file.files}
        slice_mm, row_mm, column_mm = (float(v) for v in stored["voxel_mm"])
        truth = np.where(stored["ignored"], UNREAD, stored["truth"]).astype(np.uint8)
        pair = stacked_pair(stored["baseline"], stored["follow_up"], stored["mask"], (slice_mm, row_mm, column_mm))
        return Subject(str(stored["name"]), str(stored["part"]), pair, truth)
    except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
        raise BadInput(f"{path}: this case of the simulation is missing or broken.", "Start again.") from error


@lru_cache(maxsize=1)
def loaded_subjects(folder: str, digest: str) -> dict[str, Subject]:
    """All cases of a simulation by name; a worker keeps those with this digest from one job to the next."""
    subjects = [load_subject(path) for path in sorted((Path(folder) / "cases").glob("*.npz"))]
    return {subject.name: subject for subject in subjects}
