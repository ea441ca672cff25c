"""From files to a `Pair`: everything is read and checked first, then registered, scaled and written."""

from __future__ import annotations

import platform
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from LMIALLib.errors import BadInput
from LMIALLib.pairs.brain import find_brain
from LMIALLib.pairs.family import judge
from LMIALLib.pairs.geometry import slice_axis
from LMIALLib.pairs.inputs import Inputs, read_inputs
from LMIALLib.pairs.intensity import scale_and_match
from LMIALLib.pairs.pair import Pair
from LMIALLib.pairs.regions import region_report
from LMIALLib.pairs.registration import Registration, register, unregistered
from LMIALLib.pairs.request import PairRequest
from LMIALLib.pairs.resampling import Placement, inside_of, on_grid, placed, region_on_grid
from LMIALLib.pairs.storage import save_pair, write_nrrd
from LMIALLib.pairs.transforms import matrix_of
from LMIALLib.progress import Progress, ignore
from LMIALLib.version import __version__

STEPS = 6


def prepare(request: PairRequest, case_folder: Path, *, progress: Progress = ignore) -> Pair:
    """Read, check, register, scale and write one pair into an empty folder.

    Writes ``source/*.nrrd`` (as read, or as aligned by centres; identifiers removed) and ``pair-1/`` (see ``storage``).
    Nothing is written before all inputs were read and checked. Raises as `made`; OSError where the disk refuses, and
    the caller removes the folder.
    """
    pair, inputs = made(request, progress=progress)
    case_folder = Path(case_folder)
    progress("writing", 4, STEPS)
    _write_sources(inputs, case_folder / "source")
    del inputs  # writing needs memory too
    progress("writing", 5, STEPS)
    save_pair(pair, case_folder / "pair-1")
    progress("done", STEPS, STEPS)
    return pair


def made(request: PairRequest, *, progress: Progress = ignore) -> tuple[Pair, Inputs]:
    """Read, check, register and scale one pair in memory; return it, and the scans as they were read.

    Raises BadInput, NeedsConfirmation (not with ``force``), NeedsAlignment (not where the request aligns centres),
    WrongUse.
    """
    progress("reading", 0, STEPS)
    inputs = read_inputs(request)
    progress("finding the brain", 1, STEPS)
    region, method = region_of(inputs, everything=request.everything)
    progress("registering", 2, STEPS)
    registration = _registered(request, inputs, region)
    progress("resampling", 3, STEPS)
    return paired(request, inputs, region, registration, method), inputs


def region_of(inputs: Inputs, *, everything: bool = False) -> tuple[np.ndarray, str]:
    """The region on the raw follow-up's grid, and how it came about: see ``regions.region_report``."""
    if inputs.mask is not None:
        return inputs.mask, "given"
    if everything:
        return np.ones(inputs.follow_up.grid.shape, dtype=bool), "everything"
    region, report = find_brain(inputs.follow_up.image)
    return region, str(report["method"])


def _registered(request: PairRequest, inputs: Inputs, region: np.ndarray) -> Registration:
    fixed, moving = inputs.follow_up.image, inputs.baseline.image
    if request.register:
        return register(fixed, moving, fixed_mask=region)
    return unregistered(fixed, moving, fixed_mask=region)


def paired(request: PairRequest, inputs: Inputs, region: np.ndarray, registration: Registration, method: str) -> Pair:
    """Both scans and the region on the pair's grid, scaled, with the record of how they came there.

    ``region`` (bool, (k, j, i)) lies on the raw follow-up's grid; ``method`` says how it came about. Raises BadInput
    where the baseline shows nothing of it.
    """
    forward = matrix_of(registration.transform)
    placement = placed(request.grid, inputs.follow_up.grid, inputs.baseline.grid, forward)
    pair = scaled(inputs, region, placement, method)
    report = dict(registration.report)
    report |= {
        **pair.registration,
        "to_source": {
            "baseline": placement.to_baseline.ravel().tolist(),
            "follow_up": placement.to_follow_up.ravel().tolist(),
        },
        "contrasts": {},
        "request": {
            "grid": request.grid,
            "axis": request.axis,
            "register": request.register,
            "force": request.force,
            "align": request.align,
            "mask": "given" if request.mask is not None else "everything" if request.everything else "found",
            "contrasts": [name for name, _, _ in request.contrasts],
        },
        "confirmed": inputs.confirmed,
        "remarks": list(inputs.remarks),
        "sources": {"baseline": inputs.baseline.description, "follow_up": inputs.follow_up.description},
        "dates": {"baseline": inputs.baseline.date, "follow_up": inputs.follow_up.date},
        "versions": _versions(),
    }
    if inputs.contrasts:
        in_baseline = region_on_grid(region, inputs.follow_up.grid, inputs.baseline.grid, np.linalg.inv(forward))
        _add_contrasts(report, inputs, placement, (in_baseline, region), request.register)
    return replace(pair, axis=slice_axis(placement.grid, request.axis), registration=report)


def scaled(inputs: Inputs, region: np.ndarray, placement: Placement, method: str) -> Pair:
    """Both scans and the region on one grid, scaled, with what was found of the region and of the family.

    The axis is 0, and the record has ``brain`` (``regions.region_report``) and ``family`` (``family.judge``) only.
    """
    forward = placement.to_baseline @ np.linalg.inv(placement.to_follow_up)
    baseline, follow_up = inputs.baseline, inputs.follow_up
    family = judge(baseline.image, follow_up.image, region, forward, asked=method in ("given", "everything"))
    mask = region_on_grid(region, follow_up.grid, placement.grid, placement.to_follow_up)
    seen = inside_of(placement.grid, baseline.grid, placement.to_baseline)
    if not (mask & seen).any():
        raise BadInput("after registration the baseline shows no part of the region that is searched.")
    unseen = int(np.count_nonzero(mask & ~seen))
    mask &= seen
    spacing = placement.grid.spacing
    first, second, scaling = scale_and_match(
        on_grid(baseline.image, placement.grid, placement.to_baseline),
        on_grid(follow_up.image, placement.grid, placement.to_follow_up),
        mask,
        spacing=(spacing[2], spacing[1], spacing[0]),
        in_place=True,
    )
    record = {"brain": region_report(method, mask, unseen, placement.grid), "family": family}
    return Pair(first, second, mask, placement.grid, 0, record, scaling)


def _add_contrasts(
    report: dict[str, Any],
    inputs: Inputs,
    placement: Placement,
    regions: tuple[np.ndarray, np.ndarray],
    wanted: bool,
) -> None:
    """Register each further contrast to the main image of its visit (rigid: one head, one sitting).

    ``regions``: the brain on the raw baseline's and on the raw follow-up's grid.
    """
    visits = (
        ("baseline", inputs.baseline, placement.to_baseline),
        ("follow_up", inputs.follow_up, placement.to_follow_up),
    )
    for name, *volumes in inputs.contrasts:
        found = {}
        for (visit, main, to_visit), region, volume in zip(visits, regions, volumes, strict=True):
            if wanted:
                registration = register(main.image, volume.image, fixed_mask=region, kind="rigid", same_contrast=False)
            else:
                registration = unregistered(main.image, volume.image, fixed_mask=region, same_contrast=False)
            found[visit] = registration.report
            matrix = matrix_of(registration.transform) @ to_visit
            report["to_source"][f"{name}-{visit}"] = matrix.ravel().tolist()
        report["contrasts"][name] = found


def _versions() -> dict[str, str]:
    import scipy
    import SimpleITK as sitk

    return {
        "lmial": __version__,
        "python": platform.python_version(),
        "numpy": np.__version__,
        "scipy": scipy.__version__,
        "SimpleITK": sitk.Version.VersionString(),
    }


def _write_sources(inputs: Inputs, folder: Path) -> None:
    """The inputs as read: original voxels and grid, nothing that could name the patient."""
    import SimpleITK as sitk

    folder.mkdir(parents=True)
    volumes = {"baseline": inputs.baseline, "follow_up": inputs.follow_up}
    for name, first, second in inputs.contrasts:
        volumes |= {f"{name}-baseline": first, f"{name}-follow_up": second}
    for name, volume in volumes.items():
        write_nrrd(folder / f"{name}.nrrd", sitk.GetArrayViewFromImage(volume.image), volume.grid)
    if inputs.mask is not None:
        write_nrrd(folder / "mask.nrrd", inputs.mask, inputs.follow_up.grid)
