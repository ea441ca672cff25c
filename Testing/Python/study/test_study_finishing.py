"""Shelves for finishing a patient: viewed slices, finished patients, answers about lesions as a whole."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from LMIALLib.errors import BadInput, WrongUse
from LMIALLib.study.store import Study
from Testing.Python.study.kill_while_saving import make_study


@pytest.fixture
def study(tmp_path: Path) -> Study:
    make_study(tmp_path / "study")
    with Study.open(tmp_path / "study", reader="anna") as opened:
        yield opened


def blob(study: Study, *slices: int) -> np.ndarray:
    case = study.cases.get("a")
    voxels = np.zeros(case.grid.shape, bool)
    np.moveaxis(voxels, case.axis, 0)[list(slices), 2:4, 3:5] = True
    return voxels


def test_what_was_swept_is_viewed_and_not_read(study: Study) -> None:
    study.sweeps.save("a", [(1, 0.8), (2, 1.2)], "anna", label_shown=False)
    study.sweeps.save("a", [(2, 0.5)], "anna", label_shown=True)
    assert study.sweeps.viewed("a") == {1, 2}
    assert [(one.slice, one.seconds, one.label_shown) for one in study.sweeps.all("a")] == [
        (1, 0.8, False), (2, 1.2, False), (2, 0.5, True)
    ]  # fmt: skip
    assert not study.answers.current("a")


@pytest.mark.parametrize("seen", [[(1, 0.5), (10_000, 0.5)], [(1, 0.5), (2, -1.0)], [(1, float("nan"))]])
def test_a_sweep_that_cannot_be_is_refused_as_a_whole(study: Study, seen: list[tuple[int, float]]) -> None:
    with pytest.raises(BadInput):
        study.sweeps.save("a", seen, "anna", label_shown=False)
    assert not study.sweeps.all("a")


def test_a_patient_is_finished_and_reopened_by_the_readers_word(study: Study) -> None:
    assert study.patients.finished("a") is None and not study.patients.all()
    with pytest.raises(WrongUse, match="not finished"):
        study.patients.reopen("a", "anna")
    study.patients.finish("a", "anna")
    with pytest.raises(WrongUse, match="finished already"):
        study.patients.finish("a", "berta")
    assert study.patients.all()["a"].reader == "anna"
    study.patients.reopen("a", "berta")
    assert study.patients.finished("a") is None
    assert [event.kind for event in study.log.events()][-2:] == ["patient finished", "patient reopened"]


def test_a_lesion_answer_speaks_for_what_was_on_the_screen(study: Study) -> None:
    voxels = blob(study, 1, 2, 3)
    saved = study.lesion_answers.save("a", "accepted", voxels, [1, 2], "anna")
    axis = study.cases.get("a").axis
    assert [part.sum() for part in saved.of_slice(2, axis)] == [4, 4]
    assert [part.sum() for part in saved.of_slice(3, axis)] == [0, 0]
    (again,) = study.lesion_answers.current("a")
    assert np.array_equal(again.voxels, voxels) and again.shown == {1, 2} and again.verdict == "accepted"
    assert not study.answers.current("a"), "no slice becomes read by it"


def test_a_change_of_mind_about_a_lesion_is_a_new_row(study: Study) -> None:
    first = study.lesion_answers.save("a", "accepted", blob(study, 1), [1], "anna")
    moment = study.lesion_answers.highest_id()
    study.lesion_answers.withdraw("a", first.id, "anna")
    with pytest.raises(WrongUse):
        study.lesion_answers.withdraw("a", first.id, "anna")
    second = study.lesion_answers.save("a", "rejected", blob(study, 1), [1], "anna")
    assert [one.id for one in study.lesion_answers.current("a")] == [second.id]
    assert [one.id for one in study.lesion_answers.current("a", upto=moment)] == [first.id]
    assert len(study.lesion_answers.all("a")) == 2


def test_a_lesion_that_was_outlined_anew_speaks_for_both_outlines(study: Study) -> None:
    suggested, outline = blob(study, 1, 2), blob(study, 2)
    axis = study.cases.get("a").axis
    wider = np.moveaxis(outline, axis, 0)
    wider[2] |= np.roll(wider[2], 1, axis=0)
    study.lesion_answers.save("a", "outlined", suggested, [1, 2], "anna", outline=outline)
    (again,) = study.lesion_answers.current("a")
    assert np.array_equal(again.voxels, suggested | outline) and np.array_equal(again.change, outline)
    laid = study.lesion_answers.laid_over("a", np.full(suggested.shape, 0.3, np.float32))
    stack = np.moveaxis(laid, axis, 0)
    assert (np.moveaxis(laid, axis, 0)[2] == 1).sum() == wider[2].sum() > 4
    assert (stack[1] == 0).sum() == 4 and (stack[3] == np.float32(0.3)).all()


@pytest.mark.parametrize("what", ["verdict", "shape", "empty", "unseen", "slice", "outline", "no outline", "nothing"])
def test_a_lesion_answer_that_cannot_be_is_refused(study: Study, what: str) -> None:
    voxels, shown, verdict = blob(study, 1), [1], "accepted"
    if what == "verdict":
        verdict = "perhaps"
    elif what == "shape":
        voxels = voxels[:-1]
    elif what == "empty":
        voxels = np.zeros_like(voxels)
    elif what == "unseen":
        shown = [2]
    elif what == "slice":
        shown = [10_000]
    elif what in ("no outline", "nothing"):
        verdict = "outlined"
    outline = {"outline": voxels, "nothing": np.zeros_like(voxels)}.get(what)
    with pytest.raises(BadInput):
        study.lesion_answers.save("a", verdict, voxels, shown, "anna", outline=outline)
    assert not study.lesion_answers.all("a")


@pytest.mark.parametrize(
    "damage",
    [
        "voxels = x'00'",
        "digest = 'no'",
        "shown = '[\"one\"]'",
        "shown = '[-1]'",
        "verdict = 'perhaps'",
        "pair = 0",
        "verdict = 'outlined'",
        "outline = x'00'",
        "verdict = 'outlined', outline = voxels",
    ],
)
def test_a_damaged_lesion_answer_is_said_to_be(study: Study, damage: str) -> None:
    study.lesion_answers.save("a", "accepted", blob(study, 1), [1], "anna")
    folder = study.folder
    study.close()
    with closing(sqlite3.connect(folder / "study.sqlite")) as connection:
        text = "lesion_answers_are_never_overwritten"
        (trigger,) = connection.execute("SELECT sql FROM sqlite_master WHERE name = ?", (text,)).fetchone()
        connection.executescript(f"DROP TRIGGER {text}; UPDATE lesion_answers SET {damage}; {trigger};")
    with pytest.raises(BadInput), Study.open(folder, read_only=True) as opened:
        opened.lesion_answers.current("a")


def test_a_removed_case_keeps_what_was_said_of_it(study: Study) -> None:
    study.lesion_answers.save("a", "rejected", blob(study, 1), [1], "anna")
    study.sweeps.save("a", [(1, 0.5)], "anna", label_shown=False)
    study.patients.finish("a", "anna")
    study.cases.remove("a")
    (file,) = study.folder.glob("removed/a-*/annotations.json")
    text = file.read_text()
    assert all(f'"{table}"' in text for table in ("sweeps", "patients", "lesion_answers"))
    rows = study.database.rows("SELECT count(*) AS n FROM lesion_answers")
    assert rows[0]["n"] == 0
