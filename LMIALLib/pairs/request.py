"""What a pair is asked for with: the files, and how they are read, aligned and scaled."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from LMIALLib.errors import WrongUse
from LMIALLib.files import sendable, sent

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
