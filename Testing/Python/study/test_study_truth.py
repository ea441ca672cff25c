"""A truth lies beside a case: read back exactly, checked, carried by backups, and never an annotation."""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from LMIALLib.errors import BadInput
from LMIALLib.study import UNREAD, Study
from LMIALLib.study.backup import write_backup
from LMIALLib.study.checks import check_study
from LMIALLib.study.status import status_of
from LMIALLib.study.targets import label_volume, training_examples


@pytest.fixture
def truth() -> np.ndarray:
    """A truth of case "a": some new, some not covered."""
    values = np.zeros((6, 8, 10), np.uint8)
    values[2, 1:3, 4:7] = 2
    values[3] = UNREAD
    return values


def test_a_truth_is_read_back_and_is_no_annotation(study: Study, truth: np.ndarray) -> None:
    assert study.truths.read("a") is None
    before = status_of(study).cases
    study.truths.write("a", truth)
    found = study.truths.read("a")
    assert found is not None and found.dtype == np.uint8 and np.array_equal(found, truth)
    assert status_of(study).cases == before
    assert study.answers.current("a") == {} and training_examples(study) == () and study.answers.all() == ()
    values, reviewed = label_volume(study, "a")
    assert (values == UNREAD).all() and not reviewed.any()


def test_check_and_backup_know_the_truth(study: Study, truth: np.ndarray, tmp_path: Path) -> None:
    study.truths.write("a", truth)
    assert check_study(study) == ()
    with zipfile.ZipFile(write_backup(study, tmp_path / "copy.zip")) as archive:
        archive.extractall(tmp_path / "restored")
    with Study.open(tmp_path / "restored") as again:
        assert check_study(again) == () and np.array_equal(again.truths.read("a"), truth)
    file = study.folder / "cases" / "a" / "truth.nrrd"
    file.write_bytes(file.read_bytes()[:-3])
    assert [problem.where for problem in check_study(study)] == ["cases/a/truth.nrrd"]
    with pytest.raises(BadInput, match=r"truth.nrrd"):
        study.truths.read("a")
    file.unlink()
    assert "missing" in check_study(study)[0].sentence


def test_what_cannot_be_a_truth_is_refused(study: Study, truth: np.ndarray) -> None:
    for wrong, said in ((truth[1:], "shape"), (truth + 9, "holds 8, 9, 11"), (truth.astype(float) / 4, "holds 0.5")):
        with pytest.raises(BadInput, match=said):
            study.truths.write("a", wrong)
    assert study.truths.read("a") is None and check_study(study) == ()
    study.truths.write("a", truth)
    with pytest.raises(BadInput, match="never overwritten"):
        study.truths.write("a", truth)
    with pytest.raises(BadInput, match="no case"):
        study.truths.read("b")


def test_a_truth_that_a_crash_left_without_its_row_counts_for_nothing(study: Study, truth: np.ndarray) -> None:
    (study.folder / "cases" / "a" / "truth.nrrd").write_bytes(b"half")
    assert study.truths.read("a") is None
    study.truths.write("a", truth)
    assert np.array_equal(study.truths.read("a"), truth)


def test_pairs_of_one_subject_are_never_on_both_sides(study: Study, add_case: Callable, make_pair: Callable) -> None:
    for visit in ("1_2", "2_3"):
        for number in range(7):
            add_case(study, f"sub-{number}_{visit}", pair=make_pair((4, 4, 4)), subject=f"sub-{number}")
    sides: dict[str, set[str]] = {}
    for case in study.cases.all():
        sides.setdefault(case.subject, set()).add(case.split)
    assert all(len(found) == 1 for found in sides.values()) and {"validation"} in sides.values()
