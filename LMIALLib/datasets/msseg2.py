"""MSSEG-2 (MICCAI 2021), as distributed: one folder a patient, both scans registered in the middle of their spaces.

Its truth covers new lesions only (Commowick et al., "MSSEG-2 challenge proceedings", 2021).
"""

from __future__ import annotations

from pathlib import Path

from LMIALLib.datasets.layout import Layout, LayoutCase, Listing, Remark, checked_root, in_order, nifti
from LMIALLib.errors import BadInput
from LMIALLib.study.names import portable_name

BASELINE, FOLLOW_UP = "flair_time01_on_middle_space", "flair_time02_on_middle_space"
TRUTH, BRAIN = "ground_truth", "brain_mask"


def msseg2_cases(root: Path) -> Listing:
    """Every patient below ``root``, however deep (training/013, testing/018, or 013 itself).

    A patient's folder holds ``flair_time01_on_middle_space``, ``flair_time02_on_middle_space``, mostly the consensus
    ``ground_truth``, and perhaps a ``brain_mask`` (``.nii.gz`` or ``.nii``). The single experts' masks are not used.
    Folders of one name in two places get the place in their name: training-013. A patient without a consensus is
    imported without truth, which a note says. Raises BadInput where no patient is found.
    """
    root = checked_root(root)
    known = {f"{stem}{end}" for stem in (BASELINE, FOLLOW_UP, TRUTH) for end in (".nii.gz", ".nii")}
    folders = {file.parent for file in root.rglob("*.nii*") if file.name in known}
    if not folders:
        raise BadInput(
            f"{root}: no patient of MSSEG-2 was found; expected folders with {BASELINE}.nii.gz, {FOLLOW_UP}.nii.gz and "
            f"{TRUTH}.nii.gz."
        )
    folders |= {beside for one in folders if one != root for beside in _empty_beside(one, folders)}
    ordered = sorted(folders, key=lambda folder: in_order(str(folder)))
    names = [folder.name for folder in ordered]
    cases, left_out, notes = [], [], []
    for folder in ordered:
        given = folder.name if names.count(folder.name) == 1 else f"{folder.parent.name}-{folder.name}"
        name = portable_name(given, "case")
        scans = [nifti(folder, stem) for stem in (BASELINE, FOLLOW_UP)]
        if scans[0] is None or scans[1] is None:
            missing = [f"{stem}.nii.gz" for stem, scan in zip((BASELINE, FOLLOW_UP), scans, strict=True) if not scan]
            left_out.append(Remark(name, name, f"{folder}: {' and '.join(missing)} missing."))
            continue
        truth = nifti(folder, TRUTH)
        if truth is None:
            notes.append(Remark(name, name, f"{folder}: {TRUTH}.nii.gz is missing; it comes without truth."))
        covers = ("new",) if truth else ()
        cases.append(LayoutCase(name, name, scans[0], scans[1], nifti(folder, BRAIN), truth, covers=covers))
    return Listing(tuple(cases), tuple(left_out), tuple(notes))


def _empty_beside(patient: Path, folders: set[Path]) -> list[Path]:
    """Folders beside a patient's that hold no file of the layout, nor have any below: patients of whom all is missing.

    Only names made of digits count, as the patients of MSSEG-2 have.
    """
    beside = (place for place in patient.parent.iterdir() if place.is_dir() and place.name.isdecimal())
    return [place for place in beside if not any(one.is_relative_to(place) for one in folders)]


MSSEG2 = Layout("msseg2", msseg2_cases)
