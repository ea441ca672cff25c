"""What is to be made a pair of: files of two visits, and how they are read and laid on one grid."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

GRIDS = ("follow-up", "baseline", "midway")
ALIGN = ("headers", "centres")
"""Where the search for the registration begins: as the headers say, or with the centres of both scans on each other."""


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
        dates: days of both visits as "2019-03-01", from a table or BIDS; a scan's own date takes precedence.
        align: one of ``ALIGN``. "centres" moves the baseline, for headers that lost the position (``NeedsAlignment``).

    Example:
        >>> PairRequest(Path("baseline.nii.gz"), Path("follow_up.nii.gz"), everything=True).grid
        'follow-up'
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
