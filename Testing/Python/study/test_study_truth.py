"""A truth lies beside a case: read back exactly, checked, carried by backups, and never an annotation."""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from LMIALLib.errors import BadInput
from LMIALLib.study import UNREAD, Study
from LMIALLib.study.truth import read_truth, write_truth


@pytest.fixture
def truth() -> np.ndarray:
    """A truth of case "a": some new, some not covered."""
    values = np.zeros((6, 8, 10), np.uint8)
    values[2, 1:3, 4:7] = 2
    values[3] = UNREAD
    return values


def test_a_truth_is_read_back_and_is_no_annotation(study: Study, truth: np.ndarray) -> None:
    assert read_truth(study, "a") is None
    before = study.status().cases
    write_truth(study, "a", truth)
    found = read_truth(study, "a")
    assert found is not None and found.dtype == np.uint8 and np.array_equal(found, truth)
    assert study.status().cases == before
    assert study.current("a") == {} and study.training_examples() == () and study.annotations() == ()
    values, reviewed = study.label_volume("a")
    assert (values == UNREAD).all() and not reviewed.any()


def test_check_and_backup_know_the_truth(study: Study, truth: np.ndarray, tmp_path: Path) -> None:
    write_truth(study, "a", truth)
    assert study.check() == ()
    with zipfile.ZipFile(study.backup(tmp_path / "copy.zip")) as archive:
        archive.extractall(tmp_path / "restored")
    with Study.open(tmp_path / "restored") as again:
        assert again.check() == () and np.array_equal(read_truth(again, "a"), truth)
    file = study.folder / "cases" / "a" / "truth.nrrd"
    file.write_bytes(file.read_bytes()[:-3])
    assert [problem.where for problem in study.check()] == ["cases/a/truth.nrrd"]
    with pytest.raises(BadInput, match=r"truth.nrrd"):
        read_truth(study, "a")
    file.unlink()
    assert "missing" in study.check()[0].sentence


def test_what_cannot_be_a_truth_is_refused(study: Study, truth: np.ndarray) -> None:
    for wrong, said in ((truth[1:], "shape"), (truth + 9, "holds 8, 9, 11"), (truth.astype(float) / 4, "holds 0.5")):
        with pytest.raises(BadInput, match=said):
            write_truth(study, "a", wrong)
    assert read_truth(study, "a") is None and study.check() == ()
    write_truth(study, "a", truth)
    with pytest.raises(BadInput, match="never overwritten"):
        write_truth(study, "a", truth)
    with pytest.raises(BadInput, match="no case"):
        read_truth(study, "b")


def test_a_truth_that_a_crash_left_without_its_row_counts_for_nothing(study: Study, truth: np.ndarray) -> None:
    (study.folder / "cases" / "a" / "truth.nrrd").write_bytes(b"half")
    assert read_truth(study, "a") is None
    write_truth(study, "a", truth)
    assert np.array_equal(read_truth(study, "a"), truth)


def test_pairs_of_one_subject_are_never_on_both_sides(study: Study, add_case: Callable, make_pair: Callable) -> None:
    for visit in ("1_2", "2_3"):
        for number in range(7):
            add_case(study, f"sub-{number}_{visit}", pair=make_pair((4, 4, 4)), subject=f"sub-{number}")
    sides: dict[str, set[str]] = {}
    for case in study.cases():
        sides.setdefault(case.subject, set()).add(case.split)
    assert all(len(found) == 1 for found in sides.values()) and {"validation"} in sides.values()
