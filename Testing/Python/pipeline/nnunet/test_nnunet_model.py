"""Fine-tuned folds as a model of a study: maps, disagreement, rankings, and what such a model cannot do."""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from LMIALLib.errors import BadInput, WrongUse
from LMIALLib.loop.choosing_model import take_into_use
from LMIALLib.loop.replay import replay
from LMIALLib.loop.session import LoopSettings, Session
from LMIALLib.pipeline.nnunet.finetuning import Finetuned, finetune
from LMIALLib.pipeline.nnunet.places import WorkFolder
from LMIALLib.pipeline.nnunet.pretraining import pretrained_weights
from LMIALLib.pipeline.nnunet.settings import NnunetSettings
from LMIALLib.pipeline.pseudo import read_pseudo
from LMIALLib.queries.measures import binary_entropy
from LMIALLib.queries.query import Ranking
from LMIALLib.study.backup import write_backup
from LMIALLib.study.checks import check_study
from LMIALLib.study.store import Study
from LMIALLib.worker.requests import Rank, RankCase
from LMIALLib.worker.stored_evidence import stored_evidence
from LMIALLib.worker.study_cases import StudyCases
from LMIALLib.worker.transport import SubprocessTransport


def ranked(study: Study, strategy: str) -> Ranking:
    session = Session(study, reader="tests", settings=LoopSettings(strategy=strategy, train=False))
    try:
        session.learning.wait(session.learning.request_ranking())
    finally:
        session.close()
    stored = study.rankings.latest()
    assert stored is not None
    return Ranking.from_dict(stored.ranking)


def test_the_folds_are_a_model_whose_mean_finds_change_and_whose_disagreement_is_an_uncertainty(
    finetuned_study: tuple[Path, Finetuned],
) -> None:
    folder, done = finetuned_study
    with Study.open(folder, read_only=True) as study:
        model = study.models.get(done.model)
        assert model.report["folds"] == 2 and model.report["read"] == 15
        assert done.adopted and study.models.in_use() == model
        assert not check_study(study)
        for case in study.cases.all():
            mean, expected, variance, votes = (
                study.maps.read(model.id, case.name, name)
                for name in ("mean", "expected_entropy", "variance", "vote_entropy")
            )
            assert mean is not None and expected is not None and variance is not None and votes is not None
            inside = study.cases.load_pair(case.name).mask
            assert (mean[~inside] == 0).all() and mean.min() >= 0 and mean.max() <= 1
            assert (variance >= 0).all() and variance.max() > 1e-4
            assert (binary_entropy(mean)[inside] - expected[inside]).min() > -1e-5
            assert np.isclose(votes[..., None], [0, np.log(2)], atol=1e-6).any(axis=-1).all()
    assert done.dice_held_out is not None and done.dice_held_out > 0.5


def test_a_further_batch_of_queries_is_driven_by_their_disagreement(finetuned_folder: Path) -> None:
    with Study.open(finetuned_folder, reader="tests") as study:
        model = study.models.in_use()
        assert model is not None
        ranking = ranked(study, "bald")
        for case in study.cases.all():
            gain = study.maps.read(model.id, case.name, "bald")
            assert gain is not None
            totals = np.moveaxis(gain, case.axis, 0).sum(axis=(1, 2), dtype=np.float64)
            assert np.corrcoef(totals, ranking.scores[case.name])[0, 1] > 0.99 or np.ptp(totals) == 0
            answered = study.answers.current(case.name).keys()
            assert not any(query.slice in answered for query in ranking.queries if query.case == case.name)
            made_by = study.maps.made_by(model.id, case.name)
            assert made_by is not None and {"mean", "bald", "variance"} <= made_by["sha256"].keys()
        session = Session(study, reader="tests", settings=LoopSettings(train=False))
        query = session.next()
        assert query is not None and session.suggestions.maps(session.current) is not None
        stored = study.rankings.latest()
        assert stored is not None and replay(session, stored).identical
        session.close()


def test_what_stored_maps_cannot_answer_is_refused_with_a_sentence(finetuned_folder: Path) -> None:
    with Study.open(finetuned_folder, read_only=True) as study:
        model = study.models.in_use()
        assert model is not None
        request = Rank((RankCase("c1", 1),), model.id, "core-set", 0)
        cases = StudyCases(study, request, with_targets=False)
        with pytest.raises(WrongUse, match="known by its maps alone, and this strategy needs features"):
            next(stored_evidence(study, model.id, cases, {"features"}))
        (study.maps.folder(model.id, "c1") / "variance.nrrd").unlink()
        with pytest.raises(BadInput, match=r"maps of c1 by nnunet-2d-\w+ are missing"):
            next(stored_evidence(study, model.id, cases, {"passes"}))


def test_a_backup_brings_opinions_and_maps_that_no_worker_could_make_again(
    finetuned_folder: Path, tmp_path: Path
) -> None:
    with Study.open(finetuned_folder, read_only=True) as study:
        pseudo = read_pseudo(study, "tests", "a1")
        with zipfile.ZipFile(write_backup(study, tmp_path / "copy.zip")) as archive:
            archive.extractall(tmp_path / "restored")
    assert pseudo is not None and not (tmp_path / "restored" / "nnunet").exists()
    with Study.open(tmp_path / "restored", reader="tests") as again:
        same = read_pseudo(again, "tests", "a1")
        assert same is not None and (same.probability == pseudo.probability).all() and same.failed == pseudo.failed
        in_use = again.models.in_use()
        assert in_use is not None and ranked(again, "bald").queries and take_into_use(again, in_use.id) == in_use


def test_maps_that_were_lost_are_made_again_without_training_again(
    finetuned_folder: Path, tiny: NnunetSettings, transports: list[SubprocessTransport]
) -> None:
    with Study.open(finetuned_folder, reader="tests") as study:
        model = study.models.in_use()
        assert model is not None
        before = study.maps.read(model.id, "c1", "variance")
        (study.maps.folder(model.id, "c1") / "variance.nrrd").unlink()
        with pytest.raises(BadInput, match="known by its maps alone, and those of c1 are missing"):
            take_into_use(study, model.id)
        done = finetune(study, settings=tiny)
        assert done.model == model.id and done.adopted and len(transports) == 1
        after = study.maps.read(model.id, "c1", "variance")
        assert before is not None and after is not None and np.allclose(after, before, atol=1e-6)
        assert take_into_use(study, model.id) == model


def test_folds_that_forgot_go_back_and_a_start_that_knew_nothing_is_left(
    finetuned_folder: Path, finetuned_study: tuple[Path, Finetuned], environment: Callable
) -> None:
    environment(finetuned_folder)
    import torch

    from LMIALLib.pipeline.nnunet.ensemble import Ensemble, best_kept, mixed, trained_folds

    work = WorkFolder.finetuning(finetuned_folder)
    with Study.open(finetuned_folder, read_only=True) as study:
        trained, start = trained_folds(work, "2d", 2, pretrained_weights(study, "2d"))
        noise = torch.Generator().manual_seed(0)

        def shuffled(state: dict[str, Any]) -> dict[str, Any]:
            order = {name: torch.randperm(value.numel(), generator=noise) for name, value in state.items()}
            return {name: value.flatten()[order[name]].reshape(value.shape) for name, value in state.items()}

        forgot = Ensemble(tuple(map(shuffled, trained.folds)), trained.about)
        told: dict[str, Any] = {"device": torch.device("cpu"), "progress": lambda *told, **figures: None}
        assert best_kept(study, work, forgot, start, **told) == 0.75, "as far back as there is"
        assert best_kept(study, work, trained, shuffled(start), **told) < 0.5
        half = mixed(trained, start, 0.5)
        for name, value in half.folds[1].items():
            own = trained.folds[1][half.about["same"].get(name, name)]
            assert torch.allclose(value, (own + start[name]) / 2, atol=1e-6)
        stored = study.models.get(finetuned_study[1].model).report
    assert stored["kept"] in (0.0, 0.25, 0.5, 0.75)


def test_read_slices_without_brain_say_nothing_of_what_to_keep(finetuned_folder: Path, environment: Callable) -> None:
    environment(finetuned_folder)
    import torch

    from LMIALLib.pipeline.nnunet import ensemble
    from LMIALLib.pipeline.nnunet.places import read_record, write_record

    work = WorkFolder.finetuning(finetuned_folder)
    with Study.open(finetuned_folder, read_only=True) as study:
        told = read_record(work.raw)
        assert told is not None
        for one in told["cases"]:
            pair = study.cases.load_pair(one["case"])
            one["read"] = [k for k, brain in enumerate(pair.stack(pair.mask)) if not brain.any()][:1]
        assert any(one["read"] for one in told["cases"]), "the study has such slices"
        write_record(work.raw, told)
        trained, start = ensemble.trained_folds(work, "2d", 2, pretrained_weights(study, "2d"))
        options: dict[str, Any] = {"device": torch.device("cpu"), "progress": lambda *told, **figures: None}
        assert ensemble.best_kept(study, work, trained, start, **options) == max(ensemble.KEPT)


def test_it_does_not_learn_between_answers_and_saving_goes_on(finetuned_folder: Path) -> None:
    with Study.open(finetuned_folder, reader="tests") as study:
        session = Session(study, reader="tests", settings=LoopSettings())
        with pytest.raises(WrongUse, match="does not learn between answers"):
            session.learning.request_training()
        session.choose("a2", 4)
        session.nothing_here()
        assert 4 in study.answers.current("a2") and session.learning.trouble == "" and session.learning.training is None
        session.close()
