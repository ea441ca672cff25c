"""The delivered label in the laboratory: with and without heads, its columns and its crossings."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from LMIALLib.errors import WrongUse
from LMIALLib.laboratory import rounds
from LMIALLib.laboratory.delivered import CROSSINGS, crossings, overlap
from LMIALLib.laboratory.readers import correcting_seconds
from LMIALLib.laboratory.report_tables import delivered_table
from LMIALLib.laboratory.rounds import Job
from LMIALLib.laboratory.settings import SimulationSettings
from LMIALLib.laboratory.subjects import Subject
from LMIALLib.laboratory.summary import summarise
from LMIALLib.laboratory.write_tables import write_tables

Simulated = Callable[..., Job]
Make = Callable[..., Subject]
NEW = ("dice_delivered", "minutes_correcting")


def _entries(job: Job) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(job.result.read_text())["rounds"]
    return found


def _cohort(make: Make) -> list[Subject]:
    return [make("a", "train"), make("b", "train", seed=1), make("c", "test", seed=2)]


def _table(path: Path) -> list[dict[str, str]]:
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


def test_levels_count_where_the_dice_stays_and_what_is_not_known_is_none() -> None:
    found = crossings([0.5, 0.85, 0.7, 0.82, 0.92], [0, 2, 4, 6, 8], [0.0, 1.0, 2.0, 3.0, float("nan")])
    assert tuple(found) == CROSSINGS
    assert (found["slices_to_80"], found["slices_to_90"], found["slices_to_95"]) == (6, 8, None)
    assert (found["minutes_to_80"], found["minutes_to_90"], found["minutes_to_95"]) == (3.0, None, None)
    assert set(crossings([float("nan")] * 2, [0, 1], [0, 1]).values()) == {None}


def test_the_delivered_label_by_hand() -> None:
    suggested = np.zeros((2, 2, 3), dtype=bool)
    suggested[:, 0] = True
    truth = np.array([[[1, 1, 255], [0, 0, 0]], [[1, 0, 0], [0, 0, 1]]], np.uint8)
    assert overlap(suggested, truth, {}) == (3, 5 + 4)
    assert overlap(suggested, truth, {1: truth[1] == 1}) == (4, 4 + 4)
    assert overlap(suggested, truth, {1: truth[1] == 1}, unread_only=True) == (2, 4)
    a_look = 8.0
    assert correcting_seconds(truth[1] == 1, truth[1], (1.0, 1.0)) == a_look
    assert correcting_seconds(suggested[0], truth[0], (1.0, 1.0)) == a_look  # what is not known is not corrected
    assert correcting_seconds(suggested[1], truth[1], (1.0, 1.0)) > a_look


def test_a_simulation_without_the_option_is_written_as_before() -> None:
    settings = SimulationSettings(("random",))
    assert "learning" not in settings.to_dict() and "learning" not in settings.shared()
    assert SimulationSettings.from_dict(settings.to_dict()) == settings
    chosen = SimulationSettings(("random",), learning="head")
    assert chosen.shared()["learning"] == "head" and SimulationSettings.from_dict(chosen.to_dict()) == chosen
    with pytest.raises(WrongUse, match="learning"):
        SimulationSettings(("random",), learning="everything")


def test_fine_tuning_named_is_fine_tuning_as_ever(subject: Make, simulated: Simulated) -> None:
    options: dict[str, Any] = {"initial": 3, "query": 2}
    plain, named = (
        _entries(simulated("entropy", "cohort", _cohort(subject), key=key, **options, **more))
        for key, more in (("plain", {}), ("named", {"learning": "finetune"}))
    )
    assert [entry["row"] for entry in plain] == [entry["row"] for entry in named]
    assert [entry["chosen"] for entry in plain] == [entry["chosen"] for entry in named]
    assert all(entry["row"][name] is not None for entry in plain for name in NEW)


def test_the_head_finishes_one_patient_after_the_other_without_training(
    subject: Make, simulated: Simulated, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(rounds.Learner, "trained", lambda *_, **__: pytest.fail("the network is left alone"))
    options: dict[str, Any] = {"initial": 0, "query": 3, "rounds": 2}
    jobs = [
        simulated("expected-gain", "cohort", _cohort(subject), key=learning, learning=learning, **options)
        for learning in ("none", "head")
    ]
    none, head = ([entry["row"] for entry in _entries(job)] for job in jobs)
    chosen = [c for entry in _entries(jobs[1]) for c in entry["chosen"]]
    assert {c[3] for c in chosen} == {"a"} and len({c[4] for c in chosen}) == 6
    assert none[0]["dice_delivered"] == head[0]["dice_delivered"] < head[-1]["dice_delivered"]
    assert [row["dice_unlabelled"] for row in none] == [row["dice_start_same_slices"] for row in none]
    assert head[-1]["dice_unlabelled"] != head[-1]["dice_start_same_slices"]
    assert none[-1]["dice_fixed"] == none[0]["dice_fixed"] == head[-1]["dice_fixed"]
    assert 0 == head[0]["minutes_correcting"] < 0.5 + 6 * 8 / 60 <= head[-1]["minutes_correcting"]

    write_tables(tmp_path, jobs)
    rows = _table(tmp_path / "delivered.csv")
    assert [(row["strategy"], row["learning"]) for row in rows] == [
        ("expected-gain", "none"),
        ("expected-gain", "head"),
    ]
    assert rows[1]["dice_delivered"] == f"{head[-1]['dice_delivered']:.6f}" and rows[1]["slices_to_95"] == ""


def test_all_of_a_patient_read_is_a_delivered_label_without_a_fault(subject: Make, simulated: Simulated) -> None:
    small = subject("a", slices=14)
    job = simulated("expected-error", "study", [small], query=7, rounds=2, initial=0, learning="head")
    last = _entries(job)[-1]["row"]
    assert last["fraction"] == 1.0 and last["dice_delivered"] == 1.0 and last["dice_unlabelled"] is None


def test_rounds_of_before_have_no_delivered_figures_and_stay_readable(
    subject: Make, simulated: Simulated, tmp_path: Path
) -> None:
    job = simulated("random", "cohort", _cohort(subject), initial=3, query=2)
    stored = json.loads(job.result.read_text())
    for entry in stored["rounds"]:
        for name in NEW:
            del entry["row"][name]
    job.result.write_text(json.dumps(stored))
    write_tables(tmp_path, [job])
    assert {row[name] for row in _table(tmp_path / "rounds.csv") for name in NEW} == {""}
    (row,) = _table(tmp_path / "delivered.csv")
    assert row["learning"] == "finetune" and {row[name] for name in CROSSINGS} == {""}


@pytest.mark.parametrize("learning", ["head", "both"])
def test_a_job_with_heads_that_was_stopped_goes_on_to_the_same_end(
    subject: Make, simulated: Simulated, monkeypatch: pytest.MonkeyPatch, learning: str
) -> None:
    options: dict[str, Any] = {"initial": 2, "query": 2, "rounds": 2, "training": "warm", "learning": learning}
    whole = simulated("expected-gain-nearby", "cohort", _cohort(subject), key="whole", **options)

    class Killed(BaseException):
        pass

    keep = rounds._Simulation._keep_round

    def keep_until_the_last(self: Any, number: int, entry: Any) -> None:
        if number == 3:
            raise Killed
        keep(self, number, entry)

    with monkeypatch.context() as broken:
        broken.setattr(rounds._Simulation, "_keep_round", keep_until_the_last)
        with pytest.raises(Killed):
            simulated("expected-gain-nearby", "cohort", _cohort(subject), key="stopped", **options)
    resumed = simulated("expected-gain-nearby", "cohort", _cohort(subject), key="stopped", **options)
    for name in ("row", "chosen"):
        assert [entry[name] for entry in _entries(resumed)] == [entry[name] for entry in _entries(whole)]


def test_the_table_of_the_delivered_label_takes_medians_over_seeds(tmp_path: Path) -> None:
    head = "strategy,seed,round,fraction,dice_fixed,labelled,dice_delivered,minutes_correcting\n"
    dice = {0: (0.5, 0.85, 0.92), 1: (0.5, 0.7, 0.82)}
    lines = [f"a,{s},{k},{k / 10},0.5,{2 * k},{dice[s][k]},{1.5 * k}\n" for s in dice for k in range(3)]
    (tmp_path / "rounds.csv").write_text(head + "".join(lines))
    table = delivered_table(summarise(tmp_path))
    assert table is not None
    assert table.rows == (("a", "0.870", "3", "not reached", "not reached", "2.25", "not reached", "not reached"),)
    (tmp_path / "rounds.csv").write_text("strategy,seed,round,fraction,dice_fixed\na,0,0,0,0.5\na,0,1,0.1,0.6\n")
    assert delivered_table(summarise(tmp_path)) is None
