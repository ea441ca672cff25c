"""Longitudinal BIDS (https://bids-specification.readthedocs.io): ``sub-XX/ses-YY/anat/*_FLAIR.nii.gz``."""

from __future__ import annotations

import re
from datetime import datetime
from itertools import pairwise
from pathlib import Path

from LMIALLib.cohorts.layouts.layout import NIFTI, LayoutCase, Listing, Remark, checked_root, in_order
from LMIALLib.cohorts.layouts.table import read_rows
from LMIALLib.errors import BadInput, WrongUse
from LMIALLib.study.names import portable_name


def bids_cases(root: Path, contrast: str = "FLAIR") -> Listing:
    """Pairs of consecutive sessions of each subject, named ``sub-XX_ses-A_ses-B``.

    Args:
        root: the folder that holds ``sub-XX``.
        contrast: suffix of the scans: FLAIR, T1w, T2w, PDw, ...

    Sessions go by ``acq_time`` in ``sub-XX_sessions.tsv`` where it dates all of them, else by name (ses-2 before
    ses-10). A session without the contrast is passed over. Of several scans in a session the one with the fewest
    entities, then the first by name, is taken. A subject's or session's name that a study cannot use becomes a
    pseudonym. A truth is what ``_truth_of`` says; a brain mask is not taken from derivatives, because theirs mostly
    lie on the grid of another contrast.

    Raises BadInput where no subject is found.
    """
    if not re.fullmatch(r"[A-Za-z0-9]+", contrast):
        raise WrongUse(f"the contrast {contrast!r} is no BIDS suffix; use one such as FLAIR, T1w or T2w.")
    root = checked_root(root)
    folders = sorted((p for p in root.glob("sub-*") if p.is_dir()), key=lambda p: in_order(p.name))
    if not folders:
        raise BadInput(f"{root}: no folder sub-... is in it; expected a BIDS data set.")
    cases: list[LayoutCase] = []
    left_out: list[Remark] = []
    notes: list[Remark] = []
    for folder in folders:
        subject = portable_name(folder.name, "subject")
        visits: list[tuple[str, Path]] = []
        passed = []
        for session in _sessions(folder):
            scans = _scans(session / "anat", contrast)
            if not scans:
                passed.append(Remark(subject, subject, f"{session}: no anat/*_{contrast}.nii.gz."))
                continue
            visits.append((session.name, scans[0]))
            if len(scans) > 1:
                told = f"{session}: {len(scans)} scans end in _{contrast}; {scans[0].name} is taken."
                notes.append(Remark(subject, subject, told))
        if len(visits) < 2:
            told = f"{folder}: {len(visits)} session(s) with anat/*_{contrast}.nii.gz; a pair needs two."
            left_out.append(Remark(subject, subject, told))
            continue
        notes += passed
        for (before, baseline), (after, follow_up) in pairwise(visits):
            name = portable_name(f"{folder.name}_{before}_{after}", "case")
            truth, covers, told = _truth_of(root, folder.name, after, contrast)
            notes += [Remark(name, subject, told)] if told else []
            cases.append(LayoutCase(name, subject, baseline, follow_up, truth=truth, covers=covers))
    return Listing(tuple(cases), tuple(left_out), tuple(notes))


def _sessions(folder: Path) -> list[Path]:
    """The sessions of a subject in the order of time."""
    sessions = sorted((p for p in folder.glob("ses-*") if p.is_dir()), key=lambda p: in_order(p.name))
    times = _times(folder / f"{folder.name}_sessions.tsv")
    if sessions and all(session.name in times for session in sessions):
        return sorted(sessions, key=lambda session: times[session.name])
    return sessions


def _times(table: Path) -> dict[str, datetime]:
    """``acq_time`` by ``session_id``, for those that have one that can be read."""
    if not table.is_file():
        return {}
    try:
        header, *rows = [cells for _, cells in read_rows(table, delimiters="\t")]
        session, time = header.index("session_id"), header.index("acq_time")
    except (BadInput, ValueError):  # then it dates nothing, and sessions go by name
        return {}
    found = {}
    for cells in rows:
        try:
            found[cells[session]] = datetime.fromisoformat(cells[time])
        except (ValueError, IndexError):
            continue  # "n/a", or shifted to a year that no calendar has
    return {name: day.replace(tzinfo=None) for name, day in found.items()}


def _scans(folder: Path, contrast: str) -> list[Path]:
    """Scans of one contrast in a folder ``anat``, the best first."""
    names = [p for p in folder.glob(f"*_{contrast}.nii*") if p.name.endswith(tuple(f"_{contrast}{e}" for e in NIFTI))]
    return sorted(names, key=lambda p: (p.name.count("_"), in_order(p.name)))


def _truth_of(root: Path, subject: str, session: str, contrast: str) -> tuple[Path | None, tuple[str, ...], str]:
    """The mask of change of a follow-up session: file, classes that it covers, and what a person should know.

    It is ``derivatives/*/sub-XX/ses-YY/anat/*_mask.nii.gz`` or ``*_dseg.nii.gz`` of the follow-up session, in that
    session's space (no entity ``space``, or ``space-orig``, or the contrast's), with an entity ``desc`` or ``label``
    that says "change" or "new", as ``desc-change_mask`` or ``label-newlesion_mask``. "New" alone covers new lesions
    only. A lesion mask of one visit shows all lesions, not what changed: it is no truth.
    """
    found, lesions = [], []
    for file in sorted(root.glob(f"derivatives/*/{subject}/{session}/anat/*.nii*")):
        stem = next((file.name.removesuffix(end) for end in NIFTI if file.name.endswith(end)), "")
        if not stem.endswith(("_mask", "_dseg")):
            continue
        entities = dict(part.split("-", 1) for part in stem.split("_") if "-" in part)
        if entities.get("space", "orig").lower() not in ("orig", contrast.lower()):
            continue
        said = f"{entities.get('desc', '')} {entities.get('label', '')}".lower()
        if "change" in said or re.search(r"\bnew", said):
            found.append((file, () if "change" in said else ("new",)))
        elif "lesion" in said:
            lesions.append(file)
    if not found:
        told = f"{lesions[0]}: a lesion mask of one visit is no mask of change; it is not used." if lesions else ""
        return None, (), told
    (file, covers), others = found[0], len(found) - 1
    return file, covers, f"{file} is the truth; {others} more mask(s) of change are not used." if others else ""
