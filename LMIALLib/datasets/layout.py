"""What a data-set layout finds: pairs of scans with what is known of them, and what cannot be one.

A layout only looks which files are there; whether they can be read shows when they are imported.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from LMIALLib.errors import BadInput

NIFTI = (".nii.gz", ".nii")


@dataclass(frozen=True)
class LayoutCase:
    """One pair of a data set.

    Args:
        name: of the case; subject: whose scans they are. Names that a study accepts.
        baseline, follow_up: files or DICOM folders.
        mask: brain region on the follow-up's grid; None: it is found.
        truth: mask of what changed, in the follow-up's space unless ``truth_to_follow_up`` is given; None: unknown.
        truth_to_follow_up: file of an ITK transform from points of the truth to points of the follow-up (LPS, mm).
        covers: names of the classes that the truth covers; empty: all.
        outside: what is known outside of the truth's box, see ``truths.OUTSIDE``; None: as its format says.
        dates: days of both visits as "2019-03-01", from elsewhere than the scans themselves; None: unknown.
        align: where registration begins, see ``prepare.ALIGN``; None: as the import says.
    """

    name: str
    subject: str
    baseline: Path
    follow_up: Path
    mask: Path | None = None
    truth: Path | None = None
    truth_to_follow_up: Path | None = None
    covers: tuple[str, ...] = ()
    outside: str | None = None
    align: str | None = None
    dates: tuple[str | None, str | None] = (None, None)


@dataclass(frozen=True)
class Remark:
    """One line on a case: why it is left out, or what a person should know of it."""

    case: str
    subject: str
    sentence: str


@dataclass(frozen=True)
class Listing:
    """What a layout found: cases in a fixed order, what is left out, and remarks on cases that are not."""

    cases: tuple[LayoutCase, ...]
    left_out: tuple[Remark, ...] = ()
    notes: tuple[Remark, ...] = ()

    def of(self, subjects: Iterable[str]) -> Listing:
        """The part of some subjects. Raises BadInput for a subject that is not there."""
        wanted = set(subjects)
        there = {case.subject for case in self.cases} | {remark.subject for remark in self.left_out}
        known = sorted(there - {""}, key=in_order)
        unknown = sorted(wanted - set(known))
        if unknown:
            shown = ", ".join(known[:12]) + (", ..." if len(known) > 12 else "")
            raise BadInput(f"there is no subject {', '.join(unknown)}; there are: {shown or 'none'}.")
        return Listing(
            tuple(case for case in self.cases if case.subject in wanted),
            tuple(one for one in self.left_out if one.subject in wanted),
            tuple(one for one in self.notes if one.subject in wanted),
        )


@dataclass(frozen=True)
class Layout:
    """One way in which data sets lie on a disk.

    Args:
        name: as people give it.
        cases: (folder of the data set, or its table) -> what lies there; raises BadInput where it is of another layout.
            Called with ``contrast`` and ``order`` where they are given.
        takes: which of those two it understands.
    """

    name: str
    cases: Callable[..., Listing]
    takes: frozenset[str] = frozenset()


def checked_root(root: Path) -> Path:
    """The absolute folder. Raises BadInput where there is none."""
    if not root.is_dir():
        raise BadInput(f"{root}: there is no such folder.")
    return root.absolute()


def nifti(folder: Path, stem: str) -> Path | None:
    """The file ``stem.nii.gz``, or else ``stem.nii``, in a folder."""
    return next((file for end in NIFTI if (file := folder / f"{stem}{end}").is_file()), None)


def in_order(name: str) -> tuple[tuple[int, int, str], ...]:
    """Sorting key that takes digits for numbers: ses-2 comes before ses-10."""
    return tuple((0, int(p), "") if p.isdecimal() else (1, 0, p) for p in re.split(r"(\d+)", name) if p)
