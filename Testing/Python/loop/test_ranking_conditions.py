"""Rankings whose scores rest on more than one model or on answers: what they name, and that they replay."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from LMIALLib.errors import WrongUse
from LMIALLib.evaluation.simulated_reader import ExactReader
from LMIALLib.loop import learning
from LMIALLib.loop import ranking_request as asking
from LMIALLib.loop.ranking_inputs import committee_of, reading_time_of
from LMIALLib.loop.ranking_request import ranking_request
from LMIALLib.loop.replay import replay
from LMIALLib.loop.session import Session
from LMIALLib.loop.settings import LoopSettings
from LMIALLib.queries import strategies
from LMIALLib.queries.measures import Measure
from LMIALLib.queries.pool import CaseMaps
from LMIALLib.queries.reading_time import ReadingTime, outline_mm
from LMIALLib.queries.strategies import STRATEGIES, Strategy
from LMIALLib.study.rankings import StoredRanking
from LMIALLib.study.store import Study
from LMIALLib.worker.jobs import rank_job
from LMIALLib.worker.requests import Rank, Ranked


class Here:
    """A worker in this very process."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def submit(self, request: Rank) -> Ranked:
        return rank_job(self.folder, request, lambda *words, **more: None)

    def wait(self, job: Ranked, *, watch: object = None) -> Ranked:
        return job

    def close(self) -> None:
        pass


def spread(maps: CaseMaps, value: np.ndarray) -> np.ndarray:
    """A number a slice as a map."""
    return np.where(maps.mask, value.reshape(len(value), *(value.shape[1:] or (1, 1))), 0).astype(np.float32)


MEASURES: dict[str, Callable[[CaseMaps], np.ndarray]] = {
    "members": lambda maps: spread(maps, maps.variance),
    "loss-prediction": lambda maps: spread(maps, maps.learned - maps.learned.min()),
    "seconds": lambda maps: spread(maps, maps.mean / maps.seconds[:, None, None]),
}


@pytest.fixture
def session(study_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], Session]]:
    """Sessions of a strategy that needs one thing, ranked in this process."""
    made: list[Session] = []

    def opened(need: str) -> Session:
        measure = Measure(f"of-{need}", MEASURES[need], "Uncertainty", frozenset({need}))
        chosen: Strategy = replace(STRATEGIES["entropy"], name=f"of-{need}", measure=measure)
        for module in (strategies, learning, asking):
            monkeypatch.setattr(module, "strategy", lambda name: chosen)
        study = Study.open(study_folder, reader="anna")
        settings = LoopSettings(strategy=chosen.name, train=False, device="cpu")
        made.append(Session(study, reader="anna", worker=Here(study_folder), settings=settings))  # type: ignore[arg-type]
        return made[-1]

    yield opened
    for one in made:
        one.study.close()


def ranked(session: Session) -> StoredRanking:
    """Rank and store, as a session does when its worker reports."""
    request = ranking_request(session.study, session.learning.settings, session.reader)
    result = session.learning.worker.submit(request)
    scores = {case: np.array(values) for case, values in result.ranking["scores"].items()}
    stored = StoredRanking(result.ranking, result.conditions, scores, result.annotations_upto)
    return session.study.rankings.get(session.study.rankings.store(stored))


def another_model(study: Study, seed: int, tmp_path: Path, *, adopted: bool = True) -> str:
    """A model that differs a little from the one in use, added to the study."""
    from LMIALLib.network.weights import load_weights, save_weights

    parent = study.models.in_use()
    network, _ = load_weights(study.models.path(parent.id))
    torch.manual_seed(seed)
    with torch.no_grad():
        network.head.bias.add_(0.3 * torch.randn(4))
    save_weights(network, tmp_path / "next.safetensors", {})
    return study.models.add(
        tmp_path / "next.safetensors", id=f"m{seed}", parent=parent.id, round=seed, adopted=adopted
    ).id


def test_the_committee_is_the_model_in_use_and_the_last_adopted_ones(session, tmp_path: Path) -> None:
    study = session("members").study
    start = study.models.in_use().id
    assert committee_of(study) == [start]
    for seed in range(1, 7):
        another_model(study, seed, tmp_path, adopted=seed != 5)
    assert committee_of(study) == ["m6", "m4", "m3", "m2", "m1"]
    study.models.adopt("m2")
    assert committee_of(study) == ["m2", "m6", "m4", "m3", "m1"]


def test_a_ranking_by_committee_names_its_models_and_replays(session, tmp_path: Path) -> None:
    one = session("members")
    with pytest.raises(WrongUse, match="at least two model snapshots"):
        ranked(one)
    start = one.study.models.in_use().id
    another_model(one.study, 1, tmp_path)
    stored = ranked(one)
    assert stored.conditions["committee"] == ["m1", start]
    digests = stored.conditions["committee_digests"]
    assert len(set(digests)) == 2 and stored.conditions["model_digest"] == digests[0]
    another_model(one.study, 2, tmp_path)
    again = replay(one, stored)
    assert again.identical and not again.differing, again.sentence
    assert ranked(one).conditions["committee"] == ["m2", "m1", start]


def test_a_ranking_learned_from_answers_replays_after_more_answers(session, phantom_truth: np.ndarray) -> None:
    one = session("loss-prediction")
    stored = ranked(one)
    assert stored.conditions["learned"].startswith("entropy: too little")
    ExactReader({"head": phantom_truth}).answer_next(one, 5)
    learned = ranked(one)
    assert learned.conditions["learned"] == "loss-prediction"
    ExactReader({"head": phantom_truth}).answer_next(one, 2)
    for was in (stored, learned):
        again = replay(one, was)
        assert again.identical and not again.differing, again.sentence


def test_reading_time_is_learned_from_the_studys_own_answers_and_replays(session, phantom_truth: np.ndarray) -> None:
    one = session("seconds")
    assert reading_time_of(one.study) == ReadingTime()
    stored = ranked(one)
    assert stored.conditions["reading_time"] == {"base": 8.0, "per_mm": 0.4}
    case, spacing = one.study.cases.get("head"), one.study.cases.load_pair("head").in_plane_spacing
    outlines = outline_mm(phantom_truth != 0, spacing)
    changed = np.flatnonzero(outlines)[:6].tolist()
    for number in [*changed, *[k for k in range(case.n_slices) if not outlines[k]][:4]]:
        one.present("head", number)
        mask = phantom_truth[number]
        seconds = 4.0 + 0.2 * outlines[number]
        one.save(mask, seconds=seconds) if mask.any() else one.nothing_here(seconds=seconds)
    found = reading_time_of(one.study)
    assert (found.base, found.per_mm) == pytest.approx((4.0, 0.2))
    assert ranked(one).conditions["reading_time"] == {"base": found.base, "per_mm": found.per_mm}
    assert replay(one, stored).identical


def test_answers_of_a_case_set_aside_for_validation_are_read_but_not_learned_from(
    session, phantom_truth: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    from LMIALLib.worker import study_cases
    from LMIALLib.worker.study_cases import StudyCases

    one = session("loss-prediction")
    ExactReader({"head": phantom_truth}).answer_next(one, 5)
    request = ranking_request(one.study, one.learning.settings, one.reader)
    (known,) = StudyCases(one.study, request, with_targets=True)
    assert len(known.answers) == 5 and all((target != 255).any() for target in known.answers.values())
    monkeypatch.setattr(study_cases, "training_examples", lambda study, upto=None: ())  # what a validation case gives
    (unknown,) = StudyCases(one.study, request, with_targets=True)
    assert unknown.answers.keys() == known.answers.keys()
    assert all((target == 255).all() for target in unknown.answers.values())
