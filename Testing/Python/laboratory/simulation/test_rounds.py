"""One job, round by round: what is asked, what is judged, and that it goes on where it was stopped."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from LMIALLib.laboratory import rounds
from LMIALLib.laboratory.round_metrics import COLUMNS
from LMIALLib.laboratory.rounds import Job, run_job
from LMIALLib.laboratory.subjects import Subject, load_subject
from LMIALLib.laboratory.tracks import GUARD, blocks, tracks_of

Simulated = Callable[..., Job]
Make = Callable[..., Subject]


def _result(job: Job) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(job.result.read_text())
    return found


def _rows(job: Job) -> list[dict[str, Any]]:
    return [entry["row"] for entry in _result(job)["rounds"]]


def _cohort(make: Make) -> list[Subject]:
    return [make("a", "train"), make("b", "train", seed=1), make("c", "validation", seed=2), make("d", "test", seed=3)]


def test_blocks_of_about_six_slices_alternate_with_a_guard_between() -> None:
    askable = np.zeros(50, dtype=bool)
    askable[4:46] = True
    kind = blocks(askable)
    assert (kind[:4] == GUARD).all() and (kind[46:] == GUARD).all()
    edges = np.flatnonzero(np.diff(kind[4:46]))
    assert all(GUARD in (kind[4 + e], kind[5 + e]) for e in edges)  # never pool beside test
    lengths = np.diff(np.flatnonzero(np.concatenate(([True], kind[4:46] == GUARD, [True])))) - 1
    assert set(lengths) <= {5, 6, 7, 8} and (kind == GUARD).sum() - 8 == len(lengths) - 1
    assert abs(int((kind == 0).sum()) - int((kind == 1).sum())) <= 1


def test_the_folds_of_a_study_are_each_others_test_set(subject: Make) -> None:
    pool, first, second = tracks_of("study", [subject("a"), subject("b", slices=30)])
    assert pool.size == 52 and not pool.test
    for name in ("a", "b"):
        assert (first.pool[name] == second.test[name]).all() and (second.pool[name] == first.test[name]).all()
        assert not (first.pool[name] & first.test[name]).any()


def test_a_cohort_asks_training_subjects_and_judges_test_subjects(subject: Make, simulated: Simulated) -> None:
    job = simulated("entropy", "cohort", _cohort(subject), initial=3, query=2)
    rows, chosen = _rows(job), [c for entry in _result(job)["rounds"] for c in entry["chosen"]]
    assert [row["labelled"] for row in rows] == [0, 3, 5, 7] and list(rows[0]) == list(COLUMNS)
    assert {c[3] for c in chosen} <= {"a", "b"} and len({(c[3], c[4]) for c in chosen}) == 7
    assert [c[2] for c in chosen] == list(range(1, 8)) and {c[0] for c in chosen} == {"pool"}
    assert rows[0]["seconds"] == 0 and rows[-1]["seconds"] > rows[1]["seconds"]
    assert rows[0]["dice_unlabelled"] == rows[0]["dice_start_same_slices"] == rows[0]["dice_all"]


def test_every_strategy_begins_with_the_same_lot_and_the_same_model(subject: Make, simulated: Simulated) -> None:
    jobs = [simulated(name, "cohort", _cohort(subject), initial=3, query=2) for name in ("entropy", "random")]
    first, second = (_result(job)["rounds"] for job in jobs)
    assert first[1]["chosen"] == second[1]["chosen"]
    assert {k: v for k, v in first[1]["row"].items() if k != "strategy"} == {
        k: v for k, v in second[1]["row"].items() if k != "strategy"
    }


def test_in_a_fold_as_large_a_share_is_labelled_as_in_the_pool(subject: Make, simulated: Simulated) -> None:
    job = simulated("random", "study", [subject("a", slices=46)], initial=6, query=6, rounds=1)
    chosen = [c for entry in _result(job)["rounds"] for c in entry["chosen"]]
    counted = {part: sum(c[0] == part for c in chosen) for part in ("pool", "fold0", "fold1")}
    assert counted["pool"] == 12 and counted["fold0"] == counted["fold1"] == 5
    row = _rows(job)[-1]
    assert row["labelled"] == 12 and row["fraction"] == pytest.approx(12 / 46)


def test_what_is_left_is_judged_without_what_was_read_and_without_what_is_not_known(
    subject: Make, simulated: Simulated, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = subject("a")
    one.truth[5] = np.where(one.truth[5] == 1, 255, one.truth[5])
    right = {"a": np.where(one.truth == 1, 1.0, 0.0).astype(np.float32)}
    right["a"][5] = 1.0  # says change everywhere on the slice of which a part is not known
    monkeypatch.setattr(rounds.Learner, "probabilities", lambda self, network, cases: right)
    job = simulated("random", "study", [one], initial=0, query=4, rounds=1)
    begin, after = _rows(job)
    called = int((one.counted[5]).sum())
    true = int((one.truth == 1).sum())
    read = [c[4] for c in _result(job)["rounds"][1]["chosen"] if c[0] == "pool"]
    assert begin["dice_all"] == pytest.approx(2 * true / (2 * true + called))
    left = true - sum(int((one.truth[k] == 1).sum()) for k in read)
    called = 0 if 5 in read else called
    assert after["dice_unlabelled"] == pytest.approx(2 * left / (2 * left + called))
    assert after["dice_all"] == begin["dice_all"] and after["dice_fixed"] == begin["dice_fixed"]


def test_the_reference_learns_from_the_whole_pool(subject: Make, simulated: Simulated) -> None:
    (row,) = _rows(simulated("full", "study", [subject("a")], query=2))
    assert (row["strategy"], row["round"], row["labelled"], row["fraction"]) == ("full", 0, 22, 1.0)
    assert row["dice_unlabelled"] is None and row["dice_fixed"] is not None and row["foreground_fraction"] == 1.0


def test_a_pool_that_is_used_up_ends_the_rounds(subject: Make, simulated: Simulated) -> None:
    rows = _rows(
        simulated("entropy", "cohort", [subject("a", "train"), subject("b", "test")], initial=10, query=9, rounds=5)
    )
    assert [row["labelled"] for row in rows] == [0, 10, 19, 22] and rows[-1]["fraction"] == 1.0


@pytest.mark.parametrize(
    "strategy",
    [
        *("default", "bald", "committee-vote", "view-consistency", "expected-dice", "badge", "hybrid", "typiclust"),
        *("loss-prediction", "discriminator", "cost-aware", "clasp", "foreground-random-difference"),
    ],
)
def test_strategies_get_what_they_need(subject: Make, simulated: Simulated, strategy: str) -> None:
    rows = _rows(
        simulated(strategy, "cohort", [subject("a", "train"), subject("b", "test")], initial=5, query=2, rounds=2)
    )
    assert [row["labelled"] for row in rows] == [0, 5, 7, 9] and {row["strategy"] for row in rows} == {strategy}


def test_a_study_can_be_learned_as_the_product_does(subject: Make, simulated: Simulated) -> None:
    from LMIALLib.network.weights import read_weights
    from LMIALLib.resources import resource

    digest = read_weights(resource("Weights", "change.safetensors"))[1].digest
    options = {"start": "bundled", "start_digest": digest, "recipe": "product", "steps": 1}
    one = subject("a", slices=14)
    rows = _rows(simulated("committee-bald", "study", [one], query=3, rounds=1, training="warm", **options))
    assert [row["labelled"] for row in rows] == [0, 3]
    assert rows[0]["dice_fixed"] is not None and rows[0]["dice_start_same_slices"] == rows[0]["dice_unlabelled"]


@pytest.mark.parametrize("training", ["fresh", "warm"])
def test_a_job_that_was_stopped_goes_on_to_the_same_end(
    subject: Make, simulated: Simulated, monkeypatch: pytest.MonkeyPatch, training: str
) -> None:
    options: dict[str, Any] = {"initial": 3, "query": 2, "rounds": 4, "training": training}
    whole = simulated("bald", "cohort", _cohort(subject), key="whole", **options)

    class Killed(BaseException):
        pass

    keep = rounds._Simulation._keep_round

    def keep_until_the_third(self: Any, number: int, entry: Any) -> None:
        if number == 3:
            raise Killed
        keep(self, number, entry)

    with monkeypatch.context() as broken:
        broken.setattr(rounds._Simulation, "_keep_round", keep_until_the_third)
        with pytest.raises(Killed):
            simulated("bald", "cohort", _cohort(subject), key="stopped", **options)
    trained: list[Any] = []
    learn = rounds.Learner.trained
    monkeypatch.setattr(rounds.Learner, "trained", lambda *a, **k: trained.append(1) or learn(*a, **k))
    resumed = simulated("bald", "cohort", _cohort(subject), key="stopped", **options)
    assert len(trained) == 3  # rounds 3 to 5, of which the last three are new
    assert _rows(resumed) == _rows(whole)
    assert [e["chosen"] for e in _result(resumed)["rounds"]] == [e["chosen"] for e in _result(whole)["rounds"]]
    assert not resumed.state.exists()
    assert run_job(resumed) == resumed.key and len(trained) == 3


def test_cases_survive_the_way_to_disk(subject: Make, simulated: Simulated, tmp_path: Path) -> None:
    one = subject("a")
    one.truth[2, 5:9] = 255
    simulated("full", "study", [one], query=2)
    back = load_subject(tmp_path / "cases" / "a.npz")
    assert back.digest() == one.digest() and back.voxel_mm == (3.0, 2.0, 2.0)
    with np.load(tmp_path / "cases" / "a.npz") as file:
        assert file["baseline"].dtype == np.float16 and file["truth"].dtype == file["mask"].dtype == bool
