"""From files to a `Pair`: everything is read and checked first, then registered, scaled and written."""

from __future__ import annotations

import platform
import re
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

import LMIALLib
from LMIALLib.errors import BadInput, NeedsConfirmation, WrongUse
from LMIALLib.files import sendable, sent
from LMIALLib.pairs.brain import find_brain
from LMIALLib.pairs.family import judge
from LMIALLib.pairs.geometry import slice_axis
from LMIALLib.pairs.intensity import scale_and_match
from LMIALLib.pairs.label_volume import read_mask
from LMIALLib.pairs.memory import check_memory
from LMIALLib.pairs.pair import Pair
from LMIALLib.pairs.reading import LEAST_OVERLAP, Volume, centre_of, check_two_visits, moved, overlap, read_volume
from LMIALLib.pairs.regions import region_report
from LMIALLib.pairs.registration import Registration, register, unregistered
from LMIALLib.pairs.registration_record import CONTRAST
from LMIALLib.pairs.resampling import Placement, inside_of, on_grid, placed, region_on_grid
from LMIALLib.pairs.storage import save_pair, write_nrrd
from LMIALLib.pairs.transforms import matrix_of
from LMIALLib.pairs.visit_date import day_beside
from LMIALLib.progress import Progress, ignore

GRIDS = ("follow-up", "baseline", "midway")
ALIGN = ("headers", "centres")
"""Where the search for the registration begins: as the headers say, or with the centres of both scans on each other."""
"""Called with what is being done, how many steps are done, and how many there are."""
STEPS = 6


@dataclass(frozen=True)
class PairRequest:
    """What to make a pair of.

    Args:
        baseline, follow_up: files or DICOM series folders.
        mask: brain region on the raw follow-up's grid; None: it is found.
        contrasts: further contrasts of both visits, (name, baseline, follow-up); for display only.
        grid: the grid of the pair: "follow-up" (which is then not interpolated at all), "baseline", or "midway".
        axis: slice axis, see ``geometry.slice_axis``.
        series: keys of DICOM volumes (``dicom_choice``), with commas between, where folders hold several.
        everything: the whole volume is searched, instead of a brain region.
        register: False trusts the positions in the headers.
        force: go on where the input is probably a mistake (same image twice, other patient, swapped dates).
        dates: days of both visits as "2019-03-01", told elsewhere (a table, BIDS); a scan's own date goes before.
        align: one of ``ALIGN``. "centres" moves the baseline, for headers that lost the position (``NeedsAlignment``).
    """

    baseline: Path
    follow_up: Path
    mask: Path | None = None
    contrasts: tuple[tuple[str, Path, Path], ...] = ()
    grid: str = "follow-up"
    axis: str | None = None
    series: str | None = None
    register: bool = True
    force: bool = False
    align: str = "headers"
    dates: tuple[str | None, str | None] = (None, None)
    everything: bool = False

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        values = asdict(self)
        for name in ("baseline", "follow_up", "mask"):
            values[name] = None if values[name] is None else sendable(values[name])
        values["contrasts"] = [[name, sendable(first), sendable(second)] for name, first, second in self.contrasts]
        return values

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> PairRequest:
        """The inverse of ``to_dict``. Raises WrongUse where a field is unknown or missing."""
        try:
            fields = {**values, "baseline": sent(values["baseline"]), "follow_up": sent(values["follow_up"])}
            fields["mask"] = None if fields.get("mask") is None else sent(fields["mask"])
            fields["contrasts"] = tuple(
                (str(name), sent(first), sent(second)) for name, first, second in fields.get("contrasts", ())
            )
            first_day, last_day = fields.get("dates", (None, None))
            fields["dates"] = (first_day, last_day)
            return cls(**fields)
        except (KeyError, TypeError, ValueError) as error:
            raise WrongUse("this request for a pair has unknown or missing fields.") from error


@dataclass(frozen=True)
class Inputs:
    """Everything that a pair is made of, read and checked."""

    baseline: Volume
    follow_up: Volume
    mask: np.ndarray | None
    contrasts: tuple[tuple[str, Volume, Volume], ...]
    confirmed: str
    remarks: tuple[str, ...]
    """What was guessed or left out in reading, each with the scan's name before it."""


def prepare(request: PairRequest, case_folder: Path, *, progress: Progress = ignore) -> Pair:
    """Read, check, register, scale and write one pair into an empty folder.

    Writes ``source/*.nrrd`` (as read, or as aligned by centres; identifiers removed) and ``pair-1/`` (see ``storage``).
    Nothing is written before all inputs were read and checked. Raises BadInput, NeedsConfirmation (not with ``force``),
    NeedsAlignment (not where the request aligns centres), WrongUse; OSError where the disk refuses, and the caller
    removes the folder.
    """
    progress("reading", 0, STEPS)
    inputs = _read(request)
    case_folder = Path(case_folder)
    progress("finding the brain", 1, STEPS)
    region, method = region_of(inputs, everything=request.everything)
    progress("registering", 2, STEPS)
    registration = _registered(request, inputs, region)
    progress("resampling", 3, STEPS)
    pair = paired(request, inputs, region, registration, method)
    progress("writing", 4, STEPS)
    _write_sources(inputs, case_folder / "source")
    del inputs, region  # writing needs memory too
    progress("writing", 5, STEPS)
    save_pair(pair, case_folder / "pair-1")
    progress("done", STEPS, STEPS)
    return pair


def _read(request: PairRequest) -> Inputs:
    """Everything that is read from outside, checked; nothing is written."""
    if request.grid not in GRIDS:
        raise WrongUse(f"grid {request.grid!r} is unknown; use one of {', '.join(GRIDS)}.")
    if request.align not in ALIGN:
        raise WrongUse(f"align {request.align!r} is unknown; use one of {', '.join(ALIGN)}.")
    names = [name for name, _, _ in request.contrasts]
    for name in names:
        if not re.fullmatch(CONTRAST, name):
            raise WrongUse(f"contrast name {name!r} cannot be used; letters, digits and _ make one, 32 at most.")
    if len({name.lower() for name in names}) != len(names):
        raise WrongUse(f"two contrasts have the same name ({', '.join(names)}).")
    baseline = read_volume(request.baseline, series=_series(request, request.baseline, 0))
    follow_up = read_volume(request.follow_up, series=_series(request, request.follow_up, -1))
    try:
        slice_axis(follow_up.grid, request.axis)
    except ValueError as error:
        raise WrongUse(f"{error}.") from error
    baseline = _dated(baseline, request.dates[0], day_beside(request.baseline))
    follow_up = _dated(follow_up, request.dates[1], day_beside(request.follow_up))
    confirmed, by = "", np.zeros(3)
    if request.align == "centres":
        by = centre_of(follow_up.grid) - centre_of(baseline.grid)
        baseline = moved(baseline, by)
        aligned = f"it was moved by {np.linalg.norm(by):.0f} mm, its centre onto the follow-up's, then registered."
        baseline = replace(baseline, remarks=(*baseline.remarks, aligned))
    try:
        check_two_visits(baseline, follow_up)
    except NeedsConfirmation as doubt:
        if not request.force:
            raise
        confirmed = doubt.sentence
    if request.everything and request.mask is not None:
        raise WrongUse("a mask was given, and everything shall be searched; give one of both.")
    check_memory(baseline.grid, follow_up.grid)
    mask = None if request.mask is None else read_mask(request.mask, follow_up.grid)
    contrasts = tuple(
        (
            name,
            _contrast(request, name, first, baseline, by, 0),
            _contrast(request, name, second, follow_up, np.zeros(3), -1),
        )
        for name, first, second in request.contrasts
    )
    read = {"baseline": baseline, "follow-up": follow_up}
    for name, first, second in contrasts:
        read |= {f"{name} of the baseline": first, f"{name} of the follow-up": second}
    remarks = tuple(f"{name}: {remark}" for name, volume in read.items() for remark in volume.remarks)
    return Inputs(baseline, follow_up, mask, contrasts, confirmed, remarks)


def _dated(volume: Volume, told: str | None, beside: str | None) -> Volume:
    """The volume with its day: by its own header, else as told, else by the JSON beside it; what differs is said."""
    known = (("its header", volume.date), ("the list", told), ("the JSON beside it", beside))
    said = [(source, day) for source, day in known if day]
    if not said:
        return volume
    others = [f"{source} says {day}" for source, day in said if day != said[0][1]]
    remark = f"it was acquired on {said[0][1]}, says {said[0][0]}, but {' and '.join(others)}."
    return replace(volume, date=said[0][1], remarks=(*volume.remarks, remark) if others else volume.remarks)


def _contrast(request: PairRequest, name: str, path: Path, main: Volume, by: np.ndarray, pick: int) -> Volume:
    """A further image of a visit, moved as its main image was (``by``, mm), or onto it where both lie apart."""
    volume = moved(read_volume(path, series=_series(request, path, pick)), by)
    if request.align == "centres" and overlap(main.grid, volume.grid) < LEAST_OVERLAP:
        volume = moved(volume, centre_of(main.grid) - centre_of(volume.grid))
    if overlap(main.grid, volume.grid) < LEAST_OVERLAP:
        raise BadInput(f"{path}: this {name} image does not overlap in space with the main image of its visit.")
    if main.subject_key and volume.subject_key and main.subject_key != volume.subject_key:
        raise BadInput(f"{path}: this {name} image belongs to another patient than the main image of its visit.")
    return volume


def _series(request: PairRequest, path: Path, pick: int) -> str | None:
    """Which of the wanted series a folder holds; of several in one folder the baseline takes the first, the follow-up
    the last. A folder with a single series needs no choice."""
    if request.series is None or not Path(path).is_dir():
        return None
    from LMIALLib.pairs.dicom_choice import choice_in

    return choice_in(Path(path), request.series, pick)


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
    """Both scans and the region at their places, scaled, and what is to be said of the region and of the family.

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
        "lmial": LMIALLib.__version__,
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
