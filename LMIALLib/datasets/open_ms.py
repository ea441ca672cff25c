"""The longitudinal open-ms database as it lies on disk (Lesjak et al., Neuroinformatics 2016; CC-BY)."""

from __future__ import annotations

from pathlib import Path

from LMIALLib.datasets.layout import Layout, LayoutCase, Listing, Remark, checked_root, in_order
from LMIALLib.datasets.open_ms_patient import is_open_ms_pair, open_ms_pair
from LMIALLib.errors import BadInput
from LMIALLib.study.names import portable_name

FOLDER = "longitudinal"


def open_ms_cases(root: Path) -> Listing:
    """Every patient with two time points; the others are named as left out.

    Args:
        root: the folder ``longitudinal``, or one that holds it, directly or in ``open_ms``.

    The truth is the expert's mask of all change, which the supplied transform brings from the common space to the
    follow-up. Raises BadInput where no patient is found.
    """
    root = checked_root(root)
    places = (root, root / FOLDER, root / "open_ms" / FOLDER)
    found = next((p for p in places if any(p.glob("patient*/gt.nii.gz")) or any(p.glob("patient*/study*"))), None)
    if found is None:
        raise BadInput(f"{root}: no patient of open-ms was found; expected folders {FOLDER}/patientNN.")
    cases, left_out = [], []
    for folder in sorted((p for p in found.glob("patient*") if p.is_dir()), key=lambda p: in_order(p.name)):
        name = portable_name(folder.name, "case")
        if is_open_ms_pair(folder):
            pair = open_ms_pair(folder)
            to_follow_up = folder / "study2_FLAIR_to_common_space.txt"
            cases.append(
                LayoutCase(
                    name,
                    name,
                    pair.baseline,
                    pair.follow_up,
                    truth=folder / "gt.nii.gz",
                    truth_to_follow_up=to_follow_up,
                )
            )
            continue
        scans = [f for f in ("study1_FLAIR.nii.gz", "study2_FLAIR.nii.gz") if (folder / f).is_file()]
        if len(scans) == 2:
            sentence = "its truth (gt.nii.gz) or its transform (study2_FLAIR_to_common_space.txt) is missing."
        else:
            sentence = f"one time point only ({scans[0]})." if scans else "masks only, no scan."
        left_out.append(Remark(name, name, f"{folder}: {sentence}"))
    return Listing(tuple(cases), tuple(left_out))


OPEN_MS = Layout("open-ms", open_ms_cases)
