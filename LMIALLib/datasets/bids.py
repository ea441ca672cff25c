"""Longitudinal BIDS (https://bids-specification.readthedocs.io): ``sub-XX/ses-YY/anat/*_FLAIR.nii.gz``."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

from LMIALLib.datasets.layout import NIFTI, Layout, LayoutCase, Listing, Remark, checked_root, in_order
from LMIALLib.datasets.visit_order import order_of_visits
from LMIALLib.errors import BadInput, WrongUse
from LMIALLib.study.names import portable_name


def bids_cases(root: Path, contrast: str = "FLAIR", order: Sequence[str] = ()) -> Listing:
    """Pairs of consecutive sessions of each subject, named ``sub-XX_ses-A_ses-B``.

    Args:
        root: the folder that holds ``sub-XX``.
        contrast: suffix of the scans: FLAIR, T1w, T2w, PDw, ...
        order: names of sessions, earliest first, where neither dates nor names show their order.

    Sessions are ordered by date (scans.tsv, the JSON beside the image, sessions.tsv), else by their names (pre and
    post, baseline and 1y, ses-2 before ses-10), see ``visit_order``; a note names the basis, and a subject whose
    order is unknown is left out. A session without the contrast is passed over. Of several scans in a session the one
    with the fewest entities, then the first by name, is taken. A subject's or session's name that a study cannot use
    becomes a pseudonym. A truth is what ``_truth_of`` says; a brain mask is not taken from derivatives, because theirs
    mostly lie on the grid of another contrast.

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
        scans: dict[str, Path] = {}
        passed = []
        for session in sorted((p for p in folder.glob("ses-*") if p.is_dir()), key=lambda p: in_order(p.name)):
            found = _scans(session / "anat", contrast)
            if not found:
                passed.append(Remark(subject, subject, f"{session}: no anat/*_{contrast}.nii.gz."))
                continue
            scans[session.name] = found[0]
            if len(found) > 1:
                remark = f"{session}: {len(found)} scans end in _{contrast}; {found[0].name} is taken."
                notes.append(Remark(subject, subject, remark))
        if len(scans) < 2:
            remark = f"{folder}: {len(scans)} session(s) with anat/*_{contrast}.nii.gz; a pair needs two."
            left_out.append(Remark(subject, subject, remark))
            continue
        visits = order_of_visits(folder, scans, order)
        if visits.names is None:
            left_out.append(Remark(subject, subject, f"{folder}: {visits.sentence}"))
            continue
        notes += [*passed, Remark(subject, subject, visits.sentence)]
        for before, after in pairwise(visits.names):
            name = portable_name(f"{folder.name}_{before}_{after}", "case")
            truth, covers, remark = _truth_of(root, folder.name, after, contrast)
            notes += [Remark(name, subject, remark)] if remark else []
            days = (visits.days.get(before), visits.days.get(after))
            cases.append(LayoutCase(name, subject, scans[before], scans[after], truth=truth, covers=covers, dates=days))
    return Listing(tuple(cases), tuple(left_out), tuple(notes))


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
        label = f"{entities.get('desc', '')} {entities.get('label', '')}".lower()
        if "change" in label or re.search(r"\bnew", label):
            found.append((file, () if "change" in label else ("new",)))
        elif "lesion" in label:
            lesions.append(file)
    if not found:
        remark = f"{lesions[0]}: a lesion mask of one visit is no mask of change; it is not used." if lesions else ""
        return None, (), remark
    (file, covers), others = found[0], len(found) - 1
    return file, covers, f"{file} is the truth; {others} more mask(s) of change are not used." if others else ""


BIDS = Layout("bids", bids_cases, takes=frozenset({"contrast", "order"}))
