"""Stage 3 on small studies with the real bundled model: a queue that readers meet, and a page that shows it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("transformers", reason="the extra [teachers] is not installed")
from small_studies import TINY, head, put

from LMIALLib.errors import BadInput, LMIALError, WrongUse
from LMIALLib.evaluation.case_views import case_views
from LMIALLib.loop.exporting import export_files
from LMIALLib.loop.queue import core_set_waits
from LMIALLib.loop.replay import replay
from LMIALLib.loop.session import Session
from LMIALLib.loop.settings import LoopSettings
from LMIALLib.pipeline import stored_predictions
from LMIALLib.pipeline.core_set import core_set
from LMIALLib.pipeline.core_set_choice import CoreSet
from LMIALLib.pipeline.pseudo import Pseudo, write_pseudo
from LMIALLib.progress import Cancelled
from LMIALLib.study.answer import NewAnswer
from LMIALLib.study.store import Study
from LMIALLib.worker.requests import Trained


def choose(study: Study, **options: object) -> CoreSet:
    return core_set(study, **{"budget": "40%", "device": "cpu", "masked": TINY, **options})  # type: ignore[arg-type]


def places(found: CoreSet) -> list[tuple[str, int]]:
    return [(query.case, query.slice) for query in found.queries]


def read_everything(study: Study, case: str, slices: list[int] | None = None) -> None:
    for number in range(10) if slices is None else slices:
        study.answers.save(NewAnswer(case, number, "nothing", reader="anna"))


def test_the_queue_keeps_to_the_budget_spreads_over_subjects_and_leaves_empty_slices_out(
    make_study: Callable[..., Study],
) -> None:
    study = make_study(3)
    found = choose(study)
    assert (found.budget, found.slices, found.subjects, found.most_a_subject) == (12, 30, 3, 5)
    assert len(found.queries) == 12 and len(set(places(found))) == 12
    per_case = [sum(query.case == f"case{number}" for query in found.queries) for number in range(3)]
    assert max(per_case) <= 5 and min(per_case) >= 1
    brain = {name: study.cases.load_pair(name).mask.any(axis=(1, 2)) for name in ("case0", "case1", "case2")}
    assert all(brain[query.case][query.slice] for query in found.queries)
    assert [query.rank for query in found.queries] == list(range(1, 13))


def test_one_in_six_is_chosen_at_random_and_shows_nothing_of_the_slice(make_study: Callable[..., Study]) -> None:
    found = choose(make_study(3))
    at_random = [query for query in found.queries if query.drawn == "random"]
    assert len(at_random) == 2 and {query.reason for query in at_random} == {
        "Chosen at random, to measure progress fairly."
    }
    chosen = [query for query in found.queries if query.drawn == "strategy"]
    assert all(f"distance {query.score:.2g}" in query.reason for query in chosen)


@pytest.mark.parametrize("embedding", ["bundled", "mae", "dinov2"])
@pytest.mark.parametrize("distance", ["cosine", "euclidean"])
def test_same_study_and_seed_give_the_same_slices_and_scores(
    embedding: str, distance: str, make_study: Callable[..., Study], dinov2_folder: Path
) -> None:
    word = f"dinov2:{dinov2_folder}" if embedding == "dinov2" else embedding
    first, again = (choose(make_study(2), embedding=word, distance=distance, budget="6") for _ in range(2))
    assert [query.to_dict() for query in first.queries] == [query.to_dict() for query in again.queries]
    assert first.embedding == embedding and first.distance == distance


def test_annotated_slices_count_as_centres_and_are_not_asked_for_again(make_study: Callable[..., Study]) -> None:
    study = make_study(2)
    before = choose(study, budget="4")
    first = before.queries[0]
    read_everything(study, first.case, [first.slice])
    after = choose(study, budget="4")
    assert (first.case, first.slice) not in places(after)
    scores = study.rankings.get(after.ranking).scores[first.case]
    assert scores[first.slice] == pytest.approx(0.0, abs=1e-9), "its distance to the nearest annotated slice"


def test_what_was_computed_is_not_computed_again(
    make_study: Callable[..., Study], monkeypatch: pytest.MonkeyPatch
) -> None:
    study = make_study(2)
    first = choose(study, embedding="mae")
    monkeypatch.setattr(stored_predictions, "case_evidence", lambda *given, **options: pytest.fail("predicted again"))
    assert places(choose(study, embedding="mae")) == places(first)
    shutil.rmtree(study.folder / "maps")
    with pytest.raises(pytest.fail.Exception):  # maps may be deleted; then they are made anew
        choose(study)


def test_a_cancelled_run_stores_no_ranking_and_the_next_goes_on(make_study: Callable[..., Study]) -> None:
    study = make_study(2)
    asked: list[int] = []

    def second_time() -> bool:
        asked.append(1)
        return len(asked) > 1

    with pytest.raises(Cancelled, match="after 1 of 2 cases"):
        choose(study, cancelled=second_time)
    assert study.rankings.latest() is None and not (study.folder / "core-set.html").exists()
    assert choose(study).ranking == 1


def test_readers_meet_the_chosen_slices_as_any_queue(make_study: Callable[..., Study]) -> None:
    study = make_study(3)
    found = choose(study)
    session = Session(study, reader="anna", settings=LoopSettings(train=False))
    assert {(q.case, q.slice) for q in session.queue()} == set(places(found))
    query = session.next()
    assert query is not None and query.rank == 1
    opinion = session.suggestions.maps(session.current)
    assert opinion is not None and (opinion.model, opinion.strategy) == ("first", "core-set-cosine")
    answer = session.nothing_here()
    assert (answer.ranking, answer.query_rank, answer.model) == (found.ranking, 1, "first")
    lot = next(one for one in session.queue() if one.drawn == "random")
    session.present(lot.case, lot.slice, lot)
    assert session.suggestion() is None and lot.slice in session.suggestions.withheld(lot.case)
    tested = session.nothing_here()
    assert tested.drawn == "random" and tested.test is not None and tested.test.model == "first"
    session.close()


def test_a_core_set_is_read_to_its_end_before_anything_is_ranked_anew(make_study: Callable[..., Study]) -> None:
    study = make_study(2)
    found = choose(study, budget="3")
    for number, (case, slice_number) in enumerate(places(found)):
        assert core_set_waits(study)
        kind = "skip" if number == 2 else "nothing"
        study.answers.save(NewAnswer(case, slice_number, kind, reader="anna"))
    assert not core_set_waits(study)


def test_an_adopted_model_leaves_a_waiting_core_set_in_place(make_study: Callable[..., Study]) -> None:
    study = make_study(2)
    choose(study, budget="3")
    session = Session(study, reader="anna", settings=LoopSettings(train=True))
    shutil.copyfile(study.models.path("first"), study.models.path("second"))
    session.learning._record_model(Trained("second", "first", {}, adopted=True, reasons=()))
    assert study.models.in_use().id == "second" and session.learning.ranking is None  # type: ignore[union-attr]
    files = export_files(session.learning, study.folder.parent / "out", what="suggestion", case="case0")
    assert files and len(study.rankings.all()) == 1, "also an export asks for no ranking now"
    session.close()


def test_replay_says_that_a_core_set_is_chosen_by_its_own_command(make_study: Callable[..., Study]) -> None:
    study = make_study(2)
    choose(study, budget="3")
    session = Session(study, settings=LoopSettings(train=False))
    stored = study.rankings.latest()
    assert stored is not None and "core-set" in replay(session, stored).sentence
    session.close()


def pseudo_of(study: Study, case: str, *, silent: int) -> Pseudo:
    """A teacher that marks a block on every slice, and says nothing of one."""
    shape = study.cases.get(case).grid.shape
    probability = np.zeros(shape, np.float32)
    probability[:, 10:14, 8:12] = 0.9
    done = np.ones(shape[0], bool)
    done[silent] = False
    probability[silent] = 0
    return Pseudo(probability, np.ones(shape, np.float32), done, {silent: "out of memory"}, {"teacher": "tiny"})


def test_a_teachers_pseudo_labels_are_the_suggestion_and_the_model_is_still_what_is_tested(
    make_study: Callable[..., Study],
) -> None:
    study = make_study(2)
    silent = 5
    for case in ("case0", "case1"):
        write_pseudo(study, "tiny", case, pseudo_of(study, case, silent=silent))
    found = choose(study, budget="60%")
    assert found.teacher == "tiny"
    session = Session(study, reader="anna", settings=LoopSettings(train=False))
    query = next(q for q in found.queries if q.drawn == "strategy" and q.slice != silent)
    session.present(query.case, query.slice, query)
    shown = session.suggestion()
    assert shown is not None and shown[10:14, 8:12].all() and shown.sum() == 16
    answer = session.save(shown.astype(np.uint8))
    assert answer.accepted_unchanged and answer.model == "pseudo-tiny"
    mean = study.maps.read("first", query.case, "mean")
    assert mean is not None and answer.test is not None
    assert (answer.test.model, answer.test.predicted) == ("first", int((mean[query.slice] >= 0.5).sum()))
    session.close()


def test_a_slice_that_the_teacher_failed_on_shows_no_suggestion_rather_than_an_empty_one(
    make_study: Callable[..., Study],
) -> None:
    study = make_study(1)
    write_pseudo(study, "tiny", "case0", pseudo_of(study, "case0", silent=5))
    choose(study, budget="3")
    session = Session(study, reader="anna", settings=LoopSettings(train=False))
    session.present("case0", 5)
    assert session.suggestion() is None and 5 in session.suggestions.withheld("case0")
    views = case_views(study, "case0", [4, 5])
    assert views[1].suggestion is None
    session.close()


def test_of_several_teachers_one_must_be_named(make_study: Callable[..., Study]) -> None:
    study = make_study(1)
    for teacher in ("tiny", "a-teacher-with-a-very-long-name"):
        write_pseudo(study, teacher, "case0", pseudo_of(study, "case0", silent=5))
    with pytest.raises(BadInput, match="2 teachers"):
        choose(study, budget="3")
    with pytest.raises(BadInput, match="'unknown'"):
        choose(study, budget="3", teacher="unknown")
    assert choose(study, budget="3", teacher="a-teacher-with-a-very-long-name").teacher is not None


def test_subjects_set_aside_for_validation_get_random_slices_only(make_study: Callable[..., Study]) -> None:
    study = make_study(6)
    aside = {case.name for case in study.cases.all() if case.split == "validation"}
    assert aside
    found = choose(study, budget="50%")
    assert {query.drawn for query in found.queries if query.case in aside} <= {"random"}


def test_one_subject_is_chosen_from_and_the_page_says_what_that_means(make_study: Callable[..., Study]) -> None:
    found = choose(make_study(1), budget="3")
    assert len(found.queries) == 3 and "one subject" in found.notes[0]
    assert "one subject" in found.report.read_text(encoding="utf-8")


def test_when_fewer_slices_are_left_than_the_budget_all_of_them_are_asked_for(
    make_study: Callable[..., Study],
) -> None:
    study = make_study(2)
    read_everything(study, "case0")
    read_everything(study, "case1", [0, 1, 2, 3, 4, 5])
    found = choose(study, budget="10")
    assert {case for case, _ in places(found)} == {"case1"} and len(found.queries) < 10
    assert any("are left" in note for note in found.notes)


def refused(study: Study, error: type[LMIALError], said: str, code: int, **options: object) -> None:
    rankings = len(study.rankings.all())
    with pytest.raises(error, match=said) as told:
        choose(study, **options)
    assert told.value.exit_code == code and "\n" not in str(told.value)
    assert len(study.rankings.all()) == rankings and not (study.folder / "core-set.html").exists()


def test_studies_that_nothing_can_be_chosen_from_are_refused_with_a_sentence(make_study: Callable[..., Study]) -> None:
    refused(make_study(0), BadInput, "no case", 3)
    refused(make_study(2, brain=False), BadInput, "no slice .* holds brain", 3)
    refused(make_study(2, brain=False), BadInput, "holds brain", 3, embedding="mae")
    done = make_study(1)
    read_everything(done, "case0")
    refused(done, BadInput, "annotated", 3, budget="3")
    looking = Study.open(make_study(1).folder, read_only=True)
    refused(looking, BadInput, "looking only", 3)
    looking.close()


def test_unusable_options_are_refused_before_any_work(make_study: Callable[..., Study], tmp_path: Path) -> None:
    study = make_study(1)
    refused(study, BadInput, "budget", 3, budget="0%")
    refused(study, BadInput, "budget", 3, budget="100%")
    refused(study, BadInput, "budget", 3, budget="many")
    refused(study, BadInput, "does not exist", 3, embedding=f"dinov2:{tmp_path / 'nowhere'}")
    refused(study, WrongUse, "embedding", 2, embedding="resnet")
    refused(study, WrongUse, "distance", 2, distance="manhattan")
    assert not (study.folder / "embeddings").exists() and not (study.folder / "maps").exists()


def test_the_page_needs_nothing_else_and_shows_every_chosen_slice(make_study: Callable[..., Study]) -> None:
    study = make_study(3)
    read_everything(study, "case0", [4])
    found = choose(study)
    page = found.report.read_text(encoding="utf-8")
    assert page.count('<img alt="follow-up" src="data:') == page.count('<img alt="difference" src="data:') == 12
    assert "annotated before" in page
    assert all(f'id="rank-{number}"' in page for number in range(1, 13))
    assert "<script src" not in page and "<link" not in page


def test_names_cannot_bring_markup_into_the_page(make_study: Callable[..., Study]) -> None:
    study = make_study(1)
    put(study, "other", head(5), "x<script>alert(1)</script>")
    page = choose(study, budget="4").report.read_text(encoding="utf-8")
    assert "<script>alert(1)" not in page


def test_a_study_grown_by_a_case_chooses_from_it_as_well(make_study: Callable[..., Study]) -> None:
    study = make_study(2)
    choose(study, budget="4", embedding="mae")
    put(study, "late", head(9), "late")
    grown = choose(study, budget="9", embedding="mae", masked=replace(TINY, steps=4))
    assert "late" in {case for case, _ in places(grown)}
    record = json.loads((study.folder / "embeddings" / "mae" / "run.json").read_text())
    assert set(record["pairs"]) == {"case0", "case1", "late"} and record["settings"]["steps"] == 4
