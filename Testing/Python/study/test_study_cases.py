"""Cases: put in place whole or not at all, moved aside but never deleted, and the split of their subjects."""

from __future__ import annotations

import base64
import json
import shutil
import sqlite3
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from LMIALLib.errors import BadInput, WrongUse
from LMIALLib.pairs.storage import save_pair
from LMIALLib.study import NewAnswer, Study, cases, removal
from LMIALLib.study.checks import check_study
from LMIALLib.study.subject_split import split_of


def test_a_case_tells_its_geometry(study: Study, add_case: Callable, make_pair: Callable) -> None:
    pair = make_pair((6, 8, 10), axis=1)
    case = add_case(study, "b", pair=pair, subject="s-7", covered=["new", 3])
    assert case == study.cases.get("b")
    assert (case.subject, case.axis, case.n_slices, case.slice_shape) == ("s-7", 1, 8, (6, 10))
    assert case.slice_spacing == pair.slice_spacing
    assert case.grid == pair.grid
    assert case.covered == (2, 3)
    assert case.digest == study.cases.load_pair("b").digest() == pair.digest()
    assert [c.name for c in study.cases.all()] == ["a", "b"]
    assert study.cases.pair_folder("b") == study.folder / "cases" / "b" / "pair-1"


@pytest.mark.parametrize("name", ["../out", "a/b", "..", "con", "a", "A"])
def test_names_that_cannot_be_used_are_refused_before_any_work(study: Study, name: str) -> None:
    with pytest.raises(BadInput, match="case"):
        study.cases.stage(name)
    assert sorted(p.name for p in (study.folder / "cases").iterdir()) == ["a"]


def test_unknown_cases_and_classes_are_named(study: Study, add_case: Callable) -> None:
    with pytest.raises(BadInput, match="it has: a"):
        study.cases.get("nobody")
    with pytest.raises(BadInput, match="covered classes: growing"):
        add_case(study, "b", covered=["growing"])
    with pytest.raises(BadInput, match="subject"):
        add_case(study, "c", subject="=evil")


def test_a_staged_folder_without_a_pair_is_refused(study: Study) -> None:
    staged = study.cases.stage("b")
    with pytest.raises(BadInput):
        study.cases.add("b", staged)
    assert staged.is_dir()
    study.cases.drop_staged(staged)
    assert not staged.exists()
    with pytest.raises(WrongUse):
        study.cases.drop_staged(study.folder / "cases" / "a")
    assert (study.folder / "cases" / "a").is_dir()


def test_a_case_whose_rows_cannot_be_saved_is_not_in_place(
    study: Study, make_pair: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise sqlite3.OperationalError("database or disk is full")

    staged = study.cases.stage("b")
    save_pair(make_pair(), staged / "pair-1")
    monkeypatch.setattr(cases.Cases, "_insert_case", full)
    with pytest.raises(sqlite3.OperationalError):
        study.cases.add("b", staged)
    assert staged.is_dir()
    assert not (study.folder / "cases" / "b").exists()
    monkeypatch.undo()
    assert study.cases.add("b", staged).name == "b"


def test_paths_stay_short_enough_for_every_system(tmp_path: Path, make_pair: Callable) -> None:
    folder = tmp_path / ("x" * (109 - len(str(tmp_path))))
    with Study.create(folder) as study:
        with pytest.raises(BadInput, match="characters"):
            study.cases.stage("a" * 40)
        staged = study.cases.stage("a")
        save_pair(make_pair(), staged / "pair-1")
        (staged / "source").mkdir()
        (staged / "source" / ("long" * 40)).write_text("")
        with pytest.raises(BadInput, match="characters"):
            study.cases.add("a", staged)
        (staged / "source" / ("long" * 40)).unlink()
        assert study.cases.add("a", staged).name == "a"


def test_what_a_crash_leaves_is_cleared_at_the_next_opening(study: Study) -> None:
    left = study.cases.stage("b")
    (left / "half.nrrd").write_text("half")
    study.close()
    shutil.copytree(study.folder / "cases" / "a", study.folder / "cases" / "ghost")
    with Study.open(study.folder, read_only=True) as look:
        assert {p.where for p in check_study(look)} == {f"cases/{left.name}", "cases/ghost"}
    with Study.open(study.folder) as again:
        assert not check_study(again)
        assert not left.exists()
        (kept,) = (study.folder / "removed").iterdir()
        assert kept.name.startswith("ghost-")
        assert (kept / "case" / "pair-1" / "baseline.nrrd").is_file()
        assert again.cases.stage("ghost").is_dir()


def test_a_removed_case_is_kept_aside_with_everything_said_of_it(
    study: Study, spot: np.ndarray, add_case: Callable
) -> None:
    study.answers.save(NewAnswer("a", 2, "mask", spot, reader="r"))
    study.drafts.save("a", 3, spot, "r")
    kept = study.cases.remove("a")
    assert study.cases.all() == ()
    assert study.answers.all() == ()
    assert not check_study(study)
    assert (kept / "case" / "pair-1" / "baseline.nrrd").is_file()
    said = json.loads((kept / "annotations.json").read_text(encoding="utf-8"))
    (annotation,) = said["annotations"]
    raw = zlib.decompress(base64.b64decode(annotation["mask"]))
    assert np.array_equal(np.frombuffer(raw, np.uint8).reshape(8, 10), spot)
    assert len(said["drafts"]) == 1
    assert [e.kind for e in study.log.events()] == ["created", "case added", "annotation", "case removed"]
    add_case(study, "a")
    number = study.answers.save(NewAnswer("a", 2, "nothing", reader="r")).id
    assert number > annotation["id"], "the number of a removed annotation is never given again"


def test_a_crash_while_removing_loses_nothing(study: Study, monkeypatch: pytest.MonkeyPatch) -> None:
    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(removal, "rename", killed)
    with pytest.raises(KeyboardInterrupt):
        study.cases.remove("a")
    monkeypatch.undo()
    study.close()
    with Study.open(study.folder) as again:
        assert not check_study(again)
        kept = list((study.folder / "removed").rglob("baseline.nrrd")) + [
            study.folder / "cases" / case.name for case in again.cases.all()
        ]
        assert len(kept) == 1, "the case is either in the study or moved aside"


def test_the_split_is_decided_once_and_never_moves(study: Study, add_case: Callable, make_pair: Callable) -> None:
    pair = make_pair((4, 4, 4))
    seen: dict[str, str] = {"a": study.cases.get("a").split}
    for number in range(14):
        add_case(study, f"c{number:02}", pair=pair, subject=f"s{number:02}")
        now = {case.subject: case.split for case in study.cases.all()}
        assert seen.items() <= now.items(), "a subject moved"
        seen = now
    assert list(seen.values())[:4] == ["train"] * 4
    for block in range(3):
        assert list(seen.values())[5 * block : 5 * block + 5].count("validation") == 1
    add_case(study, "again", pair=pair, subject="s03")
    assert study.cases.get("again").split == seen["s03"]
    with pytest.raises(sqlite3.IntegrityError, match="never changes"):
        study.database._connection.execute("UPDATE subjects SET split = 'train'")


def test_a_removed_subject_keeps_its_split(study: Study, add_case: Callable, make_pair: Callable) -> None:
    for number in range(1, 5):
        add_case(study, f"c{number}", pair=make_pair((4, 4, 4)))
    assert study.cases.get("c4").split == "validation"
    study.cases.remove("c4")
    assert add_case(study, "c4", pair=make_pair((4, 4, 4))).split == "validation"


def test_the_draw_follows_its_seed() -> None:
    one, other = ([split_of(n, seed) for n in range(200)] for seed in ("a", "b"))
    assert one == [split_of(n, "a") for n in range(200)]
    assert one != other
    assert one.count("validation") == 40
