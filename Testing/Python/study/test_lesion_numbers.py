"""A lesion keeps its number over new answers and new opinions; a number is never given twice."""

from __future__ import annotations

import json
import multiprocessing
import os
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from LMIALLib.errors import BadInput
from LMIALLib.study import NewAnswer, Study
from LMIALLib.study.backup import write_backup
from LMIALLib.study.checks import check_study
from LMIALLib.study.lesion_numbers import read_numbers
from LMIALLib.study.lesion_separation import separate_lesions
from LMIALLib.study.targets import label_volume

SHAPE = (6, 8, 10)
STEPS = (3.0, 1.5, 1.0)


def spots(*boxes: tuple[int, int, int, int, int, int]) -> np.ndarray:
    """bool (k, j, i): boxes given by first and last (exclusive) index along each axis."""
    change = np.zeros(SHAPE, bool)
    for k0, k1, j0, j1, i0, i1 in boxes:
        change[k0:k1, j0:j1, i0:i1] = True
    return change


def numbers(study: Study, change: np.ndarray, *, keep: bool = True) -> np.ndarray:
    return study.lesions.number("a", separate_lesions(change, STEPS), keep=keep)


A, B, C = (0, 2, 0, 3, 0, 3), (3, 5, 4, 6, 6, 8), (0, 1, 6, 8, 8, 10)


def test_numbers_begin_with_the_largest_and_last_over_what_grows_and_comes(study: Study) -> None:
    first = numbers(study, spots(A, B))
    assert first.dtype == np.int32 and first[0, 0, 0] == 1 and first[3, 4, 6] == 2
    grown = (3, 6, 3, 7, 5, 9)  # larger than A now
    again = numbers(study, spots(C, A, grown))
    assert (again[0, 0, 0], again[3, 4, 6], again[0, 6, 8]) == (1, 2, 3)


def test_a_number_that_vanished_is_never_given_to_another_lesion(study: Study) -> None:
    numbers(study, spots(A, B))
    assert numbers(study, spots(A))[0, 0, 0] == 1
    assert numbers(study, spots(A, C))[0, 6, 8] == 3
    back = numbers(study, spots(A, B, C))
    assert back[3, 4, 6] == 2, "the same lesion is back: an answer was taken back, say"
    assert not numbers(study, spots()).any()
    assert numbers(study, spots((5, 6, 0, 1, 9, 10)))[5, 0, 9] == 4


def test_where_two_grow_into_one_and_fall_apart_again_the_numbers_return(study: Study) -> None:
    left, right, bridge = (1, 2, 0, 2, 0, 4), (1, 2, 0, 2, 6, 9), (1, 2, 0, 1, 4, 6)
    numbers(study, spots(left, right))
    merged = numbers(study, spots(left, right, bridge))
    assert np.unique(merged[merged > 0]).tolist() == [1], "the one that shares most gives its number"
    apart = numbers(study, spots(left, right))
    assert (apart[1, 0, 0], apart[1, 0, 7]) == (1, 2)
    thirds = numbers(study, spots((1, 2, 0, 2, 0, 1), (1, 2, 0, 2, 2, 4), right))
    assert (thirds[1, 0, 3], thirds[1, 0, 0], thirds[1, 0, 7]) == (1, 3, 2), "the smaller share is new"


def test_reading_another_slice_keeps_the_number(study: Study) -> None:
    opinion = spots((1, 4, 2, 4, 3, 6), (5, 6, 7, 8, 0, 2)).astype(np.float32)
    before = study.lesions.volume("a", label_volume(study, "a")[0], opinion, keep=True)
    assert (before[2, 2, 3], before[5, 7, 0]) == (1, 2)
    drawn = np.zeros((8, 10), np.uint8)
    drawn[3:6, 3:6] = 2
    study.answers.save(NewAnswer("a", 2, "mask", drawn, reader="r"))
    study.answers.save(NewAnswer("a", 5, "nothing", reader="r"))
    after = study.lesions.volume("a", label_volume(study, "a")[0], opinion, keep=True)
    assert after[2, 5, 4] == after[1, 2, 3] == 1 and not after[5].any()
    study.answers.take_back("a", 5, "r")
    assert study.lesions.volume("a", label_volume(study, "a")[0], opinion, keep=True)[5, 7, 0] == 2


def test_without_keeping_nothing_is_written_and_the_same_state_gives_the_same_numbers(study: Study) -> None:
    file = study.folder / "cases" / "a" / "lesions.json"
    told = numbers(study, spots(A, B), keep=False)
    assert not file.exists()
    assert np.array_equal(told, numbers(study, spots(A, B)))
    stamp = file.stat().st_mtime_ns
    numbers(study, spots(A, B))
    assert file.stat().st_mtime_ns == stamp, "what has not changed is not written again"
    with Study.open(study.folder, read_only=True) as watching:
        assert numbers(watching, spots(A, B, C), keep=False)[0, 6, 8] == 3
    assert read_numbers(file).highest == 2


def test_the_stored_places_come_back_voxel_for_voxel(study: Study) -> None:
    change = spots(A, B, C)
    told = numbers(study, change)
    stored = read_numbers(study.folder / "cases" / "a" / "lesions.json")
    assert stored.there == {1, 2, 3} and stored.highest == 3
    for number, place in stored.voxels.items():
        assert np.array_equal(place, np.flatnonzero(told == number))


@pytest.mark.parametrize("text", ["{", "[]", '{"grid": {}, "highest": 1, "there": [1], "voxels": {}}'])
def test_a_broken_file_is_told_in_a_sentence_and_by_check(study: Study, text: str) -> None:
    file = study.folder / "cases" / "a" / "lesions.json"
    file.write_text(text)
    with pytest.raises(BadInput, match=r"lesions\.json: the numbers of the lesions cannot be read") as caught:
        numbers(study, spots(A))
    assert "remove it" in caught.value.hint and file.read_text() == text
    assert "cases/a/lesions.json" in [one.where for one in check_study(study)]


def test_another_grid_begins_with_fresh_numbers(study: Study) -> None:
    numbers(study, spots(A, B))
    file = study.folder / "cases" / "a" / "lesions.json"
    stored = json.loads(file.read_text())
    file.write_text(json.dumps(stored | {"grid": stored["grid"] | {"size": [8, 10, 6]}}))
    assert sorted(np.unique(numbers(study, spots(A, B))).tolist()) == [0, 3, 4]


def test_a_backup_holds_the_numbers(study: Study, tmp_path: Path) -> None:
    numbers(study, spots(A))
    with zipfile.ZipFile(write_backup(study, tmp_path / "b.zip")) as archive:
        assert "cases/a/lesions.json" in archive.namelist()
        archive.extractall(tmp_path / "again")
    with Study.open(tmp_path / "again") as restored:
        assert numbers(restored, spots(C, A))[0, 6, 8] == 2


def test_a_lock_that_a_dead_process_left_is_taken_away(study: Study) -> None:
    lock = study.folder / "cases" / "a" / "lesions.lock"
    lock.touch()
    os.utime(lock, (0, 0))
    assert numbers(study, spots(A)).max() == 1
    assert not lock.exists()


def _number_others(folder: str, row: int) -> None:
    with Study.open(Path(folder), read_only=True) as study:
        for column in range(0, 10, 2):
            study.lesions.number(
                "a", separate_lesions(spots((row, row + 1, 0, 1, column, column + 1)), STEPS), keep=True
            )


def test_two_processes_never_give_one_number_to_two_lesions(study: Study) -> None:
    context = multiprocessing.get_context("spawn")
    others = [context.Process(target=_number_others, args=(str(study.folder), row)) for row in (0, 5)]
    for one in others:
        one.start()
    for one in others:
        one.join(60)
    assert [one.exitcode for one in others] == [0, 0]
    stored = read_numbers(study.folder / "cases" / "a" / "lesions.json")
    assert stored.highest == len(stored.voxels) == 10
    places = {tuple(place.tolist()) for place in stored.voxels.values()}
    assert len(places) == 10


def test_a_full_disk_is_told_and_leaves_the_old_numbers(
    study: Study, monkeypatch: pytest.MonkeyPatch, add_case: Callable
) -> None:
    numbers(study, spots(A))
    file = study.folder / "cases" / "a" / "lesions.json"
    before = file.read_bytes()

    def full(*_: object, **__: object) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_text", full)
    with pytest.raises(BadInput, match="disk is full"):
        numbers(study, spots(A, B))
    assert file.read_bytes() == before
    assert {path.name for path in file.parent.iterdir()} == {"lesions.json", "pair-1", "source"}
