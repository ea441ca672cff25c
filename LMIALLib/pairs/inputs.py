"""Reading what a pair is made of: both visits, further contrasts, and a brain region that is given."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from LMIALLib.errors import BadInput, NeedsConfirmation, WrongUse
from LMIALLib.pairs.geometry import slice_axis
from LMIALLib.pairs.label_volume import read_mask
from LMIALLib.pairs.memory import check_memory
from LMIALLib.pairs.reading import LEAST_OVERLAP, Volume, centre_of, check_two_visits, moved, overlap, read_volume
from LMIALLib.pairs.registration_record import CONTRAST
from LMIALLib.pairs.request import ALIGN, GRIDS, PairRequest
from LMIALLib.pairs.visit_date import day_beside


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


def read_inputs(request: PairRequest) -> Inputs:
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
        raise WrongUse("a mask was given, and everything is to be searched; choose one.")
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


def _dated(volume: Volume, listed: str | None, beside: str | None) -> Volume:
    """The volume with its date, from its header, else the list, else the JSON beside it; a remark where they differ."""
    known = (("its header", volume.date), ("the list", listed), ("the JSON beside it", beside))
    dates = [(source, day) for source, day in known if day]
    if not dates:
        return volume
    others = [f"{source} says {day}" for source, day in dates if day != dates[0][1]]
    remark = f"it was acquired on {dates[0][1]}, says {dates[0][0]}, but {' and '.join(others)}."
    return replace(volume, date=dates[0][1], remarks=(*volume.remarks, remark) if others else volume.remarks)


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
