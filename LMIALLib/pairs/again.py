"""What is done again to a case that a study has: another registration, another region. The older pairs stay."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from LMIALLib.errors import BadInput, WrongUse
from LMIALLib.pairs.geometry import Grid
from LMIALLib.pairs.inputs import Inputs
from LMIALLib.pairs.label_volume import read_mask
from LMIALLib.pairs.memory import check_memory
from LMIALLib.pairs.pair import Pair
from LMIALLib.pairs.prepare import STEPS, paired, region_of, scaled
from LMIALLib.pairs.reading import read_volume
from LMIALLib.pairs.regions import CHOICES
from LMIALLib.pairs.registration import KINDS, judged, register
from LMIALLib.pairs.registration_record import RegistrationRecord, check_registration
from LMIALLib.pairs.request import PairRequest
from LMIALLib.pairs.resampling import Placement, region_on_grid
from LMIALLib.pairs.storage import load_pair, save_pair, write_nrrd
from LMIALLib.progress import Progress, ignore

REGION = "region.nrrd"
"""A region that was given later, on the raw follow-up's grid, in the folder of the first pair that has it."""


def register_again(case_folder: Path, number: int, into: Path, *, kind: str, progress: Progress = ignore) -> Pair:
    """Register a case again from its stored sources, and write the pair into an empty folder.

    The search is thorough and draws other voxels than the one before. The new pair lies on the grid of the old one, so
    that every answer stays where it was drawn, and has its region.

    Args:
        case_folder: holds ``source/`` and ``pair-<number>/``, the newest one.
        kind: "rigid" or "affine", as the reader wants it.

    Raises WrongUse for another kind, BadInput where the pair does not lie on the follow-up's grid (the grid itself, or
    the images under the answers, would move), or sources are missing.
    """
    if kind not in KINDS[1:]:
        raise WrongUse(f"registration {kind!r} is unknown; use rigid or affine.")
    progress("reading", 0, STEPS)
    case_folder = Path(case_folder)
    old = load_pair(case_folder / f"pair-{number}")
    kept = check_registration(old.registration, "the pair's registration")
    if kept.request.grid != "follow-up":
        raise BadInput(
            f"this pair lies on the {kept.request.grid} grid, on which another registration would move the images"
            " under the answers.",
            "Add the pair again as another case.",
        )
    request, inputs = _kept(case_folder, number, kept)
    progress("finding the brain", 1, STEPS)
    region, method = region_of(inputs, everything=request.everything)
    progress("registering", 2, STEPS)
    registration = register(
        inputs.follow_up.image, inputs.baseline.image, fixed_mask=region, seed=number, kind=kind, thorough=True
    )
    progress("resampling", 4, STEPS)
    pair = paired(request, inputs, region, registration, method)
    if not pair.grid.same_as(old.grid) or pair.axis != old.axis:
        raise BadInput("the stored follow-up is not on the grid of the pair; nothing was changed.")
    pair = replace(pair, grid=old.grid)  # a file keeps products of spacing and direction: the last bit may differ
    _save(pair, inputs, into, progress)
    return pair


def region_again(
    case_folder: Path,
    number: int,
    into: Path,
    *,
    choice: str,
    mask: Path | np.ndarray | None = None,
    progress: Progress = ignore,
) -> Pair:
    """Give a case another region, and write the pair into an empty folder: same grid and transform, scaled again.

    How well the scans fit each other is judged again within that region.

    Args:
        case_folder: holds ``source/`` and ``pair-<number>/``, the newest one.
        choice: "brain" (found in the follow-up), "everything", or "given".
        mask: for "given", a file on the pair's grid or the raw follow-up's, or bool (k, j, i) on the pair's grid.

    Raises WrongUse for another choice, or a mask that is missing or not wanted; BadInput for a mask that cannot be
    used, for one of which the baseline shows nothing, and where sources are missing.
    """
    if choice not in CHOICES:
        raise WrongUse(f"the region {choice!r} is unknown; use {', '.join(CHOICES)}.")
    if (mask is not None) != (choice == "given"):
        raise WrongUse("a region that is given needs a mask, and no other region takes one.")
    progress("reading", 0, STEPS)
    case_folder = Path(case_folder)
    old = load_pair(case_folder / f"pair-{number}")
    kept = check_registration(old.registration, "the pair's registration")
    if not {"baseline", "follow_up"} <= set(kept.to_source or {}):
        raise BadInput("the record of this pair has no position of its scans, so its region cannot be changed.")
    _, inputs = _kept(case_folder, number, kept, with_mask=False)
    places = [np.reshape((kept.to_source or {})[visit], (4, 4)) for visit in ("baseline", "follow_up")]
    placement = Placement(old.grid, places[0], places[1])
    if mask is not None:
        inputs = replace(inputs, mask=_given(mask, placement, inputs.follow_up.grid))
    progress("finding the brain", 1, STEPS)
    region, method = region_of(inputs, everything=choice == "everything")
    progress("resampling", 2, STEPS)
    new = scaled(inputs, region, placement, method)
    progress("registering", 3, STEPS)
    forward = placement.to_baseline @ np.linalg.inv(placement.to_follow_up)
    fit = judged(inputs.follow_up.image, inputs.baseline.image, forward, fixed_mask=region)
    asked = {"brain": "found"}.get(choice, choice)
    record = old.registration | fit | new.registration
    record["request"] = {**old.registration.get("request", {}), "mask": asked}
    pair = replace(new, axis=old.axis, registration=record)
    _save(pair, inputs, into, progress)
    return pair


def _given(mask: Path | np.ndarray, placement: Placement, follow_up: Grid) -> np.ndarray:
    """A region on the raw follow-up's grid, bool (k, j, i), from one on that grid or the pair's."""
    if isinstance(mask, np.ndarray):
        if mask.shape != placement.grid.shape or not mask.any():
            raise WrongUse("a region is drawn on the pair's grid, and something must be marked.")
        region = np.asarray(mask, dtype=bool)
    else:
        found = read_volume(mask, may_be_empty=True).grid
        on_pair = found.same_as(placement.grid, tolerance_mm=0.1)
        region = read_mask(mask, placement.grid if on_pair else follow_up, name="region")
        if not on_pair:
            return region
    return region_on_grid(region, placement.grid, follow_up, np.linalg.inv(placement.to_follow_up))


def _save(pair: Pair, inputs: Inputs, into: Path, progress: Progress) -> None:
    """Write a pair, and the region where a reader gave it."""
    progress("writing", STEPS - 1, STEPS)
    save_pair(pair, into)
    if inputs.mask is not None:
        write_nrrd(Path(into) / REGION, inputs.mask, inputs.follow_up.grid)
    progress("done", STEPS, STEPS)


def _kept(
    case_folder: Path, number: int, kept: RegistrationRecord, *, with_mask: bool = True
) -> tuple[PairRequest, Inputs]:
    """The request and the inputs of a pair again, from the sources that lie in its case."""
    stored, source = kept.request, case_folder / "source"
    files = {name: (source / f"{name}-baseline.nrrd", source / f"{name}-follow_up.nrrd") for name in stored.contrasts}
    later = case_folder / f"pair-{number}" / REGION
    request = PairRequest(
        source / "baseline.nrrd",
        source / "follow_up.nrrd",
        mask=(later if later.is_file() else source / "mask.nrrd") if stored.mask == "given" and with_mask else None,
        everything=stored.mask == "everything",
        contrasts=tuple((name, *paths) for name, paths in files.items()),
        axis=stored.axis,
        force=stored.force,
        align=stored.align,
    )
    visits = {
        visit: replace(
            read_volume(path),
            date=getattr(kept.dates, visit),
            description=getattr(kept.sources, visit) or "",
        )
        for visit, path in (("baseline", request.baseline), ("follow_up", request.follow_up))
    }
    check_memory(*(one.grid for one in visits.values()))
    mask = None if request.mask is None else read_mask(request.mask, visits["follow_up"].grid)
    contrasts = tuple((name, read_volume(first), read_volume(last)) for name, (first, last) in files.items())
    return request, Inputs(**visits, mask=mask, contrasts=contrasts, confirmed=kept.confirmed, remarks=kept.remarks)
