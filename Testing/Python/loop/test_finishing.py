"""Finishing a patient: each answer changes the rest at once; a real study, a real worker process."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from LMIALLib.errors import BadInput, WrongUse
from LMIALLib.evaluation.simulated_reader import ExactReader
from LMIALLib.loop.ranking_request import ranking_request
from LMIALLib.loop.replay import replay
from LMIALLib.loop.session import Session
from LMIALLib.loop.settings import LoopSettings
from LMIALLib.progress import ignore
from LMIALLib.study.rankings import StoredRanking
from LMIALLib.study.store import Study
from LMIALLib.worker.predicting import predict_case
from LMIALLib.worker.requests import Trained

Opened = Callable[..., Session]


@pytest.fixture
def opened(study_folder: Path) -> Iterator[Opened]:
    sessions: list[Session] = []

    def make(folder: Path = study_folder, **settings: object) -> Session:
        study = Study.open(folder, reader="anna", take_over=folder != study_folder)
        sessions.append(Session(study, reader="anna", settings=LoopSettings(**{"train": False, **settings})))
        return sessions[-1]

    yield make
    for session in sessions:
        session.close()
        session.study.close()


def adapt(session: Session) -> StoredRanking:
    """Take what was answered into the rest of its patient, and wait for it."""
    session.learning.adapt_when_possible()
    assert session.learning.ranking is not None and not session.learning.trouble
    session.learning.wait(session.learning.ranking)
    stored = session.study.rankings.latest()
    assert stored is not None
    return stored


def delivered_dice(session: Session, truth: np.ndarray) -> float:
    from LMIALLib.study.delivered import delivered_label

    study = session.study
    found = delivered_label(study, "head", study.maps.suggested("head")).values > 0
    return float(2 * (found & (truth > 0)).sum() / (found.sum() + (truth > 0).sum()))


def test_each_answer_makes_the_rest_of_the_patient_better_at_once(opened: Opened, phantom_truth: np.ndarray) -> None:
    session = opened()
    study, reader = session.study, ExactReader({"head": phantom_truth})
    first = study.rankings.latest()
    assert first is not None and first.finishes and first.map_of("head") == "mean"
    start = delivered_dice(session, phantom_truth)
    for count in range(1, 5):
        reader.answer_next(session, 1)
        stored = adapt(session)
        assert stored.annotations_upto == study.answers.highest_id() == count
    head = stored.conditions["heads"]["head"]
    assert head["slices"] == sorted(study.answers.current("head")) and head["scikit_learn"]
    assert stored.map_of("head") != "mean"
    assert not np.array_equal(study.maps.suggested("head"), study.maps.read(stored.model, "head", "mean"))
    assert delivered_dice(session, phantom_truth) > start
    assert [one.answers for one in session.patient.curve("head")] == [0, 1, 2, 3, 4]


def test_what_is_shown_is_what_was_ranked(opened: Opened, phantom_truth: np.ndarray) -> None:
    session = opened()
    ExactReader({"head": phantom_truth}).answer_next(session, 2)
    stored = adapt(session)
    query = session.next()
    assert query is not None
    opinion = session.suggestions.maps(session.current)
    assert opinion is not None and opinion.ranking == stored.number
    axis = session.study.cases.get("head").axis
    error = np.moveaxis(opinion.uncertainty, axis, 0)[query.slice].sum(dtype=np.float64)
    np.testing.assert_allclose(query.terms["sum"], error, rtol=1e-6)
    assert "of the suggestion may be wrong" in query.reason or query.drawn == "random"


def test_a_session_with_answers_replays_bit_for_bit(opened: Opened, phantom_truth: np.ndarray) -> None:
    session = opened(seed=3)
    reader = ExactReader({"head": phantom_truth})
    session.learning.wait(session.learning.request_ranking())
    for _ in range(2):
        reader.answer_next(session, 1)
        adapt(session)
    session.next()
    session.skip()
    reader.answer_next(session, 1)
    session.choose("head", min(session.study.answers.current("head")))
    session.take_back()
    adapt(session)
    session.close()
    session.study.close()
    again = opened()
    results = [replay(again, stored) for stored in again.study.rankings.all()]
    assert len(results) == 5
    assert all(one.identical and not one.differing for one in results), [one.sentence for one in results]


def test_a_withdrawn_answer_is_learnt_no_more(opened: Opened, phantom_truth: np.ndarray) -> None:
    session = opened()
    reader = ExactReader({"head": phantom_truth})
    reader.answer_next(session, 1)
    before = adapt(session)
    reader.answer_next(session, 1)
    adapt(session)
    last = max(session.study.answers.current("head").values(), key=lambda one: one.id)
    session.choose("head", last.slice)
    session.take_back()
    after = adapt(session)
    assert after.conditions["heads"].get("head", {}).get("digest") == before.conditions["heads"].get("head", {}).get(
        "digest"
    )
    assert np.array_equal(after.scores["head"], before.scores["head"])


def test_an_answer_without_its_head_is_learnt_at_the_next_ranking(
    opened: Opened, study_folder: Path, phantom_truth: np.ndarray
) -> None:
    """As after a kill between an answer and its head: nothing is lost, and the next ranking is what it would be."""
    session = opened()
    ExactReader({"head": phantom_truth}).answer_next(session, 1)
    copied = Path(shutil.copytree(study_folder, study_folder.with_name("killed")))
    whole = adapt(session)
    again = opened(copied)
    again.learning.wait(again.learning.request_ranking())
    later = again.study.rankings.latest()
    assert later is not None
    assert later.conditions["heads"] == whole.conditions["heads"]
    assert np.array_equal(later.scores["head"], whole.scores["head"])


def test_only_the_newest_maps_of_heads_are_kept(opened: Opened, phantom_truth: np.ndarray) -> None:
    session = opened()
    reader = ExactReader({"head": phantom_truth})
    for _ in range(6):
        reader.answer_next(session, 1)
        stored = adapt(session)
    folder = session.study.maps.folder(stored.model, "head")
    assert 1 <= len(list(folder.glob("adapted-*.nrrd"))) <= 4
    assert session.study.maps.suggested("head") is not None


def test_a_lesion_that_is_accepted_as_a_whole_changes_the_rest_and_reads_no_slice(opened: Opened) -> None:
    session = opened()
    study = session.study
    region = study.cases.load_pair("head").mask.sum(axis=(1, 2))
    stack = study.maps.suggested("head") >= 0.5
    empty = int(np.argmax(np.where(stack.any(axis=(1, 2)), 0, region)))
    session.choose("head", empty)
    session.nothing_here()
    before = adapt(session)
    probability = study.maps.suggested("head")
    assert probability is not None
    axis = study.cases.get("head").axis
    stack = np.moveaxis(probability >= 0.5, axis, 0)
    shown = [int(k) for k in np.flatnonzero(stack.any(axis=(1, 2)))]
    session.patient.say_of_lesion("head", "accepted", probability >= 0.5, shown)
    session.learning.wait(session.learning.ranking)
    after = study.rankings.latest()
    assert after is not None and after.conditions["lesions_upto"] == 1
    assert after.conditions["heads"]["head"]["marked"] > 0 and study.answers.current("head").keys() == {empty}
    session.patient.take_back_lesion("head")
    session.learning.wait(session.learning.ranking)
    latest = study.rankings.latest()
    assert latest is not None and np.array_equal(latest.scores["head"], before.scores["head"])
    with pytest.raises(WrongUse):
        session.patient.take_back_lesion("head")
    assert all(replay(session, one).identical for one in study.rankings.all())


def test_a_finished_patient_is_asked_nothing_until_it_is_reopened(opened: Opened) -> None:
    session = opened()
    left = session.patient.left_to_sweep("head")
    assert left == list(range(session.study.cases.get("head").n_slices))
    session.patient.swept("head", [(number, 0.5) for number in left[:3]], label_shown=False)
    assert session.patient.left_to_sweep("head") == left[3:]
    standing = session.patient.standing("head")
    assert (standing.viewed, standing.read, standing.finished) == (3, 0, False)
    assert standing.estimate is not None and standing.estimate.sentence
    session.patient.finish("head")
    assert session.patient.standing("head").finished and not session.queue()
    session.patient.reopen("head")
    assert session.queue()


def test_a_study_that_was_ranked_by_the_network_gets_its_heads_on_the_next_ranking(
    opened: Opened, phantom_truth: np.ndarray
) -> None:
    session = opened(strategy="difference-entropy-normalised")
    session.learning.wait(session.learning.request_ranking())
    ExactReader({"head": phantom_truth}).answer_next(session, 2)
    session.close()
    session.study.close()
    later = opened()
    stored = adapt(later)
    assert stored.finishes and len(stored.conditions["heads"]["head"]["slices"]) == 2


def test_the_reason_card_names_the_slices_that_were_learnt(opened: Opened, phantom_truth: np.ndarray) -> None:
    session = opened(random_share=0.0)
    session.learning.wait(session.learning.request_ranking())
    ExactReader({"head": phantom_truth}).answer_next(session, 2)
    stored = adapt(session)
    assert stored.learnt_from("head") == tuple(sorted(session.study.answers.current("head")))


@pytest.fixture
def two_patients(study_folder: Path) -> Path:
    """The study with one more case, whose pair is that of the first; ranked."""
    with Study.open(study_folder, reader="anna") as study:
        staged = study.cases.stage("other")
        for part in ("source", "pair-1"):
            shutil.copytree(study_folder / "cases" / "head" / part, staged / part)
        study.cases.add("other", staged)
        session = Session(study, reader="anna", settings=LoopSettings(train=False))
        session.learning.wait(session.learning.request_ranking())
        session.close()
    return study_folder


def test_maps_that_were_deleted_are_made_again_with_the_next_answer(
    opened: Opened, two_patients: Path, phantom_truth: np.ndarray
) -> None:
    """Of the patient that was answered, whose features lie in memory, and of the one of which nothing changed."""
    session = opened()
    study, reader = session.study, ExactReader({"head": phantom_truth, "other": phantom_truth})
    reader.answer_next(session, 1)
    model = adapt(session).model
    for name in ("head", "other"):
        shutil.rmtree(study.maps.folder(model, name))
    reader.answer_next(session, 1)
    stored = adapt(session)
    for name in ("head", "other"):
        assert study.maps.probability(stored, name) is not None
        assert study.maps.read(model, name, "mean") is not None
    assert replay(session, stored).identical


def test_replays_predict_once_for_one_way_of_computing(
    opened: Opened, study_folder: Path, phantom_truth: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    from LMIALLib.worker import finishing

    session = opened()
    ExactReader({"head": phantom_truth}).answer_next(session, 2)
    request = replace(
        ranking_request(session.study, session.learning.settings, session.reader), write_maps=False, threads=1
    )
    predicted = []

    def counted(*values: Any, **options: Any) -> Any:
        predicted.append(values[2])
        return predict_case(*values, **options)

    monkeypatch.setattr(finishing, "predict_case", counted)
    first, again, otherwise = (
        finishing.finish_job(study_folder, one, ignore)
        for one in (replace(request, annotations_upto=1), request, replace(request, threads=2))
    )
    assert [one.threads for one in predicted] == [1, 2]
    assert first.conditions["threads"] == again.conditions["threads"] == 1 and otherwise.conditions["threads"] == 2


def test_a_ranking_says_which_maps_were_made_elsewhere(opened: Opened, two_patients: Path) -> None:
    session = opened()
    stored = session.study.rankings.latest()
    assert stored is not None and stored.conditions["made_otherwise"] == {}
    record = session.study.maps.folder(stored.model, "other") / "made_by.json"
    record.write_text(json.dumps({**json.loads(record.read_text()), "cpu": "another machine"}))
    session.choose("head", 20)
    session.nothing_here()
    kept = adapt(session)  # the other patient stays as it was ranked
    assert kept.conditions["made_otherwise"] == {}
    session.learning.wait(session.learning.request_ranking())
    for _ in range(2):
        stored = session.study.rankings.latest()
        assert stored is not None
        cpus = {case: made["cpu"] for case, made in stored.conditions["made_otherwise"].items()}
        cpus = {case: cpus.get(case, stored.conditions["cpu"]) for case in ("head", "other")}
        assert cpus["other"] == "another machine" != cpus["head"]
        session.choose("head", 21)
        session.nothing_here()
        adapt(session)
    assert "made_otherwise" in replay(session, stored).differing or "cpu" in replay(session, stored).differing


def adopt_another(session: Session, tmp_path: Path, name: str) -> None:
    """Record a network whose weights differ a little from those in use, as after a fine-tuning that went well."""
    from LMIALLib.network.weights import load_weights, save_weights

    study, learning = session.study, session.learning
    parent = study.models.in_use()
    assert parent is not None
    network, _ = load_weights(study.models.path(parent.id))
    with torch.no_grad():
        network.head.bias.add_(0.2)
    save_weights(network, study.models.path(name), {})
    learning.settings = replace(learning.settings, train=True)
    learning._record_model(Trained(name, parent.id, {}, adopted=True, reasons=()))
    learning.settings = replace(learning.settings, train=False)


def test_a_reader_goes_on_with_the_ranking_before_while_a_new_network_ranks(
    opened: Opened, two_patients: Path, phantom_truth: np.ndarray, tmp_path: Path
) -> None:
    session = opened()
    study, reader = session.study, ExactReader({"head": phantom_truth, "other": phantom_truth})
    reader.answer_next(session, 1)
    old = adapt(session).model
    adopt_another(session, tmp_path, "new")
    anew = session.learning.ranking_anew
    assert anew is not None and not anew.over
    reader.answer_next(session, 1)
    meanwhile = adapt(session)
    assert (meanwhile.model, meanwhile.annotations_upto) == (old, 2), "it would have waited for every case"
    session.learning.wait(anew)
    first = study.rankings.latest()
    assert first is not None and (first.model, first.annotations_upto) == ("new", 1)
    assert session.learning.ranking is not None
    session.learning.wait(session.learning.ranking)
    last = study.rankings.latest()
    assert last is not None and (last.model, last.annotations_upto) == ("new", 2)
    assert last.conditions["heads"]["head"]["slices"] == sorted(study.answers.current("head"))
    assert all(replay(session, one).identical for one in study.rankings.all()), "paused or not, the bits are the same"


def test_a_ranking_by_the_network_before_that_ends_too_late_is_not_the_newest(
    opened: Opened, two_patients: Path, phantom_truth: np.ndarray, tmp_path: Path
) -> None:
    session = opened()
    study, learning = session.study, session.learning
    reader = ExactReader({"head": phantom_truth, "other": phantom_truth})
    reader.answer_next(session, 1)
    adapt(session)
    adopt_another(session, tmp_path, "new")
    anew = learning.ranking_anew
    assert anew is not None
    while not anew.over:
        learning.worker.poll(0.1)  # done, but this session has not recorded it yet
    reader.answer_next(session, 1)
    learning.adapt_when_possible()
    late = learning.ranking
    assert late is not None and late.request.model != "new"  # type: ignore[attr-defined]
    assert anew.result is not None
    learning._record(anew, anew.result)
    learning.wait(late)
    while learning.ranking is not late and learning.ranking is not None and not learning.ranking.over:
        learning.poll(0.1)
    stored = study.rankings.latest()
    assert stored is not None and (stored.model, stored.annotations_upto) == ("new", 2)
    assert [one.model for one in study.rankings.all()].count("new") == 2


def test_a_second_new_network_puts_an_end_to_the_ranking_of_the_first(
    opened: Opened, two_patients: Path, phantom_truth: np.ndarray, tmp_path: Path
) -> None:
    session = opened()
    ExactReader({"head": phantom_truth, "other": phantom_truth}).answer_next(session, 1)
    adapt(session)
    adopt_another(session, tmp_path, "new")
    first = session.learning.ranking_anew
    adopt_another(session, tmp_path, "newer")
    second = session.learning.ranking_anew
    assert first is not None and second is not None
    while not first.over:
        session.learning.poll(0.1)
    assert first.state == "cancelled" and session.learning.ranking_anew is second and not second.over


def test_a_box_on_a_slice_is_answered_and_the_slice_stays_unread(opened: Opened, phantom_truth: np.ndarray) -> None:
    from LMIALLib.study.delivered import LESION, delivered_label

    session = opened()
    study, axis = session.study, session.study.cases.get("head").axis
    suggested = study.maps.suggested("head")
    assert suggested is not None
    number = int((np.moveaxis(phantom_truth, axis, 0) > 0).sum(axis=(1, 2)).argmax())
    mask = np.moveaxis(phantom_truth, axis, 0)[number] > 0
    rows, columns = (slice(int(places.min()), int(places.max()) + 1) for places in np.nonzero(mask))
    box = (rows, slice(columns.start, (columns.start + columns.stop) // 2 + 1))
    session.patient.answer_box("head", number, box, mask.astype(np.uint8))
    session.learning.wait(session.learning.ranking)
    delivered = delivered_label(study, "head", study.maps.suggested("head"))
    values, origin = (np.moveaxis(volume, axis, 0)[number] for volume in (delivered.values, delivered.origin))
    assert np.array_equal(values[box] > 0, mask[box]) and (origin[box] == LESION).all()
    assert (origin == LESION).sum() == origin[box].size and not study.answers.current("head")
    stored = study.rankings.latest()
    assert stored is not None and stored.conditions["heads"]["head"]["marked"] == int(mask[box].sum())
    assert number in {query.slice for query in stored.whole.queries}, "it may still be asked"
    session.patient.answer_box("head", number, (slice(0, 2), slice(0, 2)), None)
    session.patient.take_back_lesion("head")
    assert len(study.lesion_answers.current("head")) == 1
    for wrong in ((slice(0, 10_000), slice(0, 2)), (slice(3, 3), slice(0, 2)), (slice(-1, 2), slice(0, 2))):
        with pytest.raises(BadInput, match="none on a slice"):
            session.patient.answer_box("head", number, wrong, None)
    with pytest.raises(BadInput, match="shape"):
        session.patient.answer_box("head", number, box, mask[:-1])
    session.choose("head", number)
    session.nothing_here()
    with pytest.raises(BadInput, match="was read"):
        session.patient.answer_box("head", number, box, mask)
