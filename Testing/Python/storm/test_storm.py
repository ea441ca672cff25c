"""A small part of the storm (``make storm``): nothing acknowledged is lost and no claim is false, with a fixed seed."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from LMIALLib.study.answer import NewAnswer
from LMIALLib.study.store import Study
from Testing.Python.storm.faults import Fault
from Testing.Python.storm.looking import COLUMNS, Ended, Found, answers_of_session, look, state_of
from Testing.Python.storm.operations import OPERATIONS as ALL
from Testing.Python.study.kill_while_saving import make_study

STORM = Path(__file__).with_name("storm.py")
RUNS = 40
OPERATIONS = "label", "adopt", "remove", "backup"
"""Those that need no other process: the others take seconds each."""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the failing disk is a library for Linux")
def test_nothing_is_lost_and_no_claim_is_false(require_program: Callable[[str, str], str], tmp_path: Path) -> None:
    require_program("gcc", "gcc")
    result = tmp_path / "storm.json"
    options = ["--runs", str(RUNS), "--seed", "16", "--json", str(result), "--operations", *OPERATIONS]
    done = subprocess.run(
        [sys.executable, str(STORM), *options], capture_output=True, text=True, timeout=600, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    runs = json.loads(result.read_text())["runs"]
    struck = [run for run in runs if run["ended"]["moment"]]
    assert len(runs) == RUNS and len(struck) > 0.9 * RUNS, (
        "a full disk does not strike the last calls: they need no room"
    )
    assert {run["fault"]["kind"] for run in runs} == {"SIGKILL", "SIGINT", "SIGTERM", "EIO", "ENOSPC"}


@pytest.fixture
def looked(tmp_path: Path) -> Callable[..., Found]:
    """What is found after a labelling that ended in some way, on a study with one answer that was tampered with."""
    make_study(tmp_path / "study")
    with Study.open(tmp_path / "study") as study:
        mask = np.ones(study.cases.get("a").slice_shape, np.uint8)
        study.answers.save(NewAnswer("a", 0, "mask", mask, reader="anna"))
        before = state_of(study)

    def look_at(*, sql: str = "", remove: str = "", add: str = "", kind: str = "", **ended: Any) -> Found:
        with closing(sqlite3.connect(tmp_path / "study" / "study.sqlite")) as connection:
            connection.executescript(sql)
        if remove:
            (tmp_path / remove).unlink()
        if add:
            (tmp_path / add).write_text("")
        label = next(one for one in ALL if one.name == "label")
        how = Ended(**{"code": 3, "out": "", "err": "", **ended})
        return look(tmp_path, tmp_path / "log", label, Fault(kind), how, before)

    return look_at


def test_a_run_that_changed_nothing_is_well(looked: Callable[..., Found]) -> None:
    assert looked(err="lmial: nothing was saved.").well


@pytest.mark.parametrize(
    ("column", "what"),
    [
        ("lost", {"sql": "DELETE FROM annotations"}),
        ("missing", {"remove": "study/cases/a/pair-1/mask.nrrd"}),
        ("strays", {"add": "study/.tmp-0.nrrd"}),
        ("claims", {"code": 0}),
        ("claims", {"out": "Saved: a, slice 5, mask"}),
        (
            "claims",
            {
                "sql": "DELETE FROM drafts; UPDATE settings SET value = 'x' WHERE key = 'created'",
                "err": "nothing was saved",
            },
        ),
        ("claims", {"err": "Traceback (most recent call last):"}),
        ("claims", {"kind": "SIGINT", "moment": "line 1", "code": 1}),
        ("claims", {"orphans": 1}),
        ("claims", {"hung": True}),
    ],
)
def test_what_is_wrong_is_found(looked: Callable[..., Found], column: str, what: dict[str, Any]) -> None:
    assert getattr(looked(**what), column)


ASKED = {"asked": "skip", "case": "a", "slice": 1}
STORED = (7, "a", 1, 1, "skip")


@pytest.mark.parametrize(
    ("sentence", "there", "column"),
    [
        ("The disk is full: nothing was saved.", True, "claims"),
        ("The disk is full: nothing was saved.", False, ""),
        ("The disk reported a fault: what was saved is there now, but a power cut could undo it.", True, ""),
        ("The disk reported a fault: what was saved is there now, but a power cut could undo it.", False, "lost"),
        ("The disk failed; whether this was saved shows when the study is next opened.", True, ""),
        ("The disk failed; whether this was saved shows when the study is next opened.", False, ""),
    ],
)
def test_each_sentence_about_a_save_is_held_to(sentence: str, there: bool, column: str) -> None:
    found, again = Found(), (8, "a", 1, 2, "nothing")
    stored = [STORED, again] if there else [again]
    log = [
        ASKED,
        {"told": "error", "sentence": sentence},
        ASKED | {"asked": "nothing_here"},
        {"told": "good", "sentence": "Slice 2: nothing here."},
    ]
    answers_of_session({"annotations": stored}, {"annotations": []}, log, found)
    assert [name for name in COLUMNS if getattr(found, name)] == ([column] if column else [])
