"""The checks before anything of nnU-Net's in a study is read: the study may have come from anywhere."""

from __future__ import annotations

from pathlib import Path

from LMIALLib.pipeline.nnunet.digests import check_own
from LMIALLib.pipeline.nnunet.places import WorkFolder
from LMIALLib.pipeline.nnunet.plan_table import check_plans
from LMIALLib.study.inside import check_no_links


def check_work(study_folder: Path) -> None:
    """Raise BadInput for a work folder with a link in it, with a plan that holds what LMIAL does not know, or that was
    not written by this user on this computer. One that is missing or empty passes."""
    works = WorkFolder.pretraining(study_folder), WorkFolder.finetuning(study_folder)
    check_no_links(works[0].root)
    check_plans(works)
    check_own(works[0].root)
