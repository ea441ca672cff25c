"""The handlers of all requests but training; see `requests` for what each takes and returns.

Torch is imported only by those that need it, so that ``Prepare`` starts at once.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from LMIALLib.errors import BadInput
from LMIALLib.progress import Progress
from LMIALLib.worker.handling import handles
from LMIALLib.worker.predicting import PASSES, conditions_of, model_of, options_of, predict_case, queue_options
from LMIALLib.worker.requests import (
    ChangeRegion,
    Export,
    Exported,
    Predict,
    Predicted,
    Prepare,
    Prepared,
    Rank,
    RankAnew,
    Ranked,
    Register,
    Registered,
)

if TYPE_CHECKING:
    from LMIALLib.network.predicted import Prediction
    from LMIALLib.queries.pool import CaseMaps
    from LMIALLib.queries.strategies import Strategy
    from LMIALLib.study.store import Study
    from LMIALLib.worker.study_cases import StudyCases


@handles(Prepare)
def prepare_job(study_folder: Path, request: Prepare, progress: Progress) -> Prepared:
    """Read, register and scale a pair."""
    from LMIALLib.pairs.prepare import prepare

    pair = prepare(request.pair, _inside(study_folder, request.staged), progress=progress)
    return Prepared(pair.registration, pair.n_slices, pair.axis, pair.digest())


@handles(Register)
def register_job(study_folder: Path, request: Register, progress: Progress) -> Registered:
    """Register a case again."""
    from LMIALLib.pairs.again import register_again

    staged = _inside(study_folder, request.staged)
    folder, number = _pair_in_use(study_folder, request.case)
    pair = register_again(folder, number, staged, kind=request.kind, progress=progress)
    return Registered(folder.name, str(staged), pair.registration)


@handles(ChangeRegion)
def region_job(study_folder: Path, request: ChangeRegion, progress: Progress) -> Registered:
    """Give a case another region."""
    from LMIALLib.pairs.again import region_again

    staged = _inside(study_folder, request.staged)
    folder, number = _pair_in_use(study_folder, request.case)
    mask = Path(request.mask) if request.mask else None
    pair = region_again(folder, number, staged, choice=request.choice, mask=mask, progress=progress)
    return Registered(folder.name, str(staged), pair.registration)


@handles(Predict)
def predict_job(study_folder: Path, request: Predict, progress: Progress) -> Predicted:
    """Write the probability maps of some cases."""
    from LMIALLib.study.store import Study

    with Study.open(study_folder, read_only=True) as study:
        model = model_of(study, request.model)
        for number, case in enumerate(request.cases):
            progress("predict", number, len(request.cases))
            pair = study.cases.load_pair(case)
            prediction = predict_case(model, pair, request, progress, passes=request.passes or 1)
            maps = {"mean": pair.unstack(prediction.mean)}
            study.maps.write(request.model, case, maps, prediction.conditions)
    return Predicted(request.cases)


@handles(RankAnew)
@handles(Rank)
def rank_job(study_folder: Path, request: Rank, progress: Progress) -> Ranked:
    """Rank the slices that nobody answered."""
    from LMIALLib.queries.ranking import rank, score_case, uncertainty_map
    from LMIALLib.queries.strategies import strategy as strategy_named
    from LMIALLib.study.kept import goes_by_stored_maps
    from LMIALLib.study.store import Study
    from LMIALLib.worker.study_cases import StudyCases

    chosen = strategy_named(request.strategy)
    if chosen.purpose == "finish":
        from LMIALLib.worker.finishing import finish_job

        return finish_job(study_folder, request, progress)
    stored = goes_by_stored_maps(request.model)
    scored, pairs, conditions = [], {}, {}
    with Study.open(study_folder, read_only=True) as study:
        cases = StudyCases(study, request, with_targets="loss-prediction" in chosen.needs)
        about, evidence = _evidence(study, request, chosen, cases, progress)
        for position, wanted in enumerate(request.cases):
            progress("rank", position, len(request.cases), case=wanted.name)
            maps, prediction = next(evidence)
            scored.append(score_case(maps, chosen))
            conditions = conditions_of(prediction)
            pair = cases[position].pair
            pairs[wanted.name] = {"number": wanted.pair, "digest": pair.digest()}
            if not request.write_maps:
                continue
            shown = pair.unstack(uncertainty_map(maps, chosen))
            if stored:
                study.maps.add(request.model, wanted.name, chosen.name, shown)
            else:
                on_grid = {"mean": pair.unstack(prediction.mean), chosen.name: shown}
                study.maps.write(request.model, wanted.name, on_grid, conditions)
    options = queue_options(request, "count", "random_share", "spacing_mm", "batch")
    options["random_only"] = [case.name for case in request.cases if case.validation]
    ranking = rank(scored, chosen, seed=request.seed, **options)
    conditions |= {"pairs": pairs, "model": request.model, "strategy": chosen.name, "seed": request.seed}
    return Ranked(ranking.to_dict(), conditions | about, request.annotations_upto or 0)


def _evidence(
    study: Study, request: Rank, chosen: Strategy, cases: StudyCases, progress: Progress
) -> tuple[dict[str, Any], Iterator[tuple[CaseMaps, Prediction]]]:
    """What the ranking is made from, case by case, and its conditions on models and reading time."""
    from LMIALLib.network.evidence import case_evidence
    from LMIALLib.queries.reading_time import ReadingTime
    from LMIALLib.study.kept import goes_by_stored_maps
    from LMIALLib.worker.stored_evidence import stored_evidence

    about: dict[str, Any] = {}
    reading_time = None
    if "seconds" in chosen.needs:
        reading_time = request.reading_time or ReadingTime()
        about["reading_time"] = asdict(reading_time)
    if goes_by_stored_maps(request.model):
        about["model_digest"] = study.models.get(request.model).digest
        return about, stored_evidence(study, request.model, cases, chosen.needs, reading_time=reading_time)
    if "members" in chosen.needs:
        about["committee"] = list(dict.fromkeys([request.model, *request.committee]))
    loaded = [model_of(study, model) for model in about.get("committee", [request.model])]
    digests = [model.digest for model in loaded]
    if "committee" in about:
        about["committee_digests"] = digests
    evidence = case_evidence(
        loaded,
        cases,
        chosen.needs,
        passes=request.passes or PASSES,
        reading_time=reading_time,
        **options_of(request, progress),
    )
    return about | {"model_digest": digests[0]}, evidence


@handles(Export)
def export_job(study_folder: Path, request: Export, progress: Progress) -> Exported:
    """Write files for others; the suggestion and the uncertainty are the maps that the last ranking left."""
    from LMIALLib.study.exports import ExportRequest, export
    from LMIALLib.study.store import Study

    with Study.open(study_folder, read_only=True) as study:
        progress("export", 0, 1)
        maps, model = _exported_maps(study, request)
        stored = study.rankings.latest()
        wanted = ExportRequest(
            what=request.what,
            format=request.format,
            case=request.case,
            reader=request.reader,
            unread=request.unread,
            maps=maps,
            model=model,
            estimates=stored.conditions.get("estimates") if stored is not None else None,
            suggestions=request.suggestions,
            keep_numbers=request.keep_numbers,
        )
        files = export(study, Path(request.out), wanted)
    return Exported(tuple(str(file) for file in files), request.what)


def _exported_maps(study: Study, request: Export) -> tuple[dict[str, np.ndarray], str | None]:
    """The maps that an export needs, by case, and the model that made them."""
    stored = study.rankings.latest()
    if stored is None or request.what == "labels":
        return {}, None
    made = study.maps.doubt if request.what == "uncertainty" else study.maps.probability
    names = [request.case] if request.case else [case.name for case in study.cases.all()]
    found = {name: made(stored, name) for name in names}
    return {name: volume for name, volume in found.items() if volume is not None}, stored.model


def _pair_in_use(study_folder: Path, case: str) -> tuple[Path, int]:
    """The folder of a case, and the number of its pair in use. Raises BadInput for an unknown case."""
    from LMIALLib.study.store import Study

    with Study.open(study_folder, read_only=True) as study:
        found = study.cases.get(case)
    return study_folder / "cases" / found.name, found.pair_number


def _inside(study_folder: Path, place: str) -> Path:
    """A folder that a request names, refused when it is not inside the study: clients are not trusted with paths."""
    folder = Path(place).resolve()
    if not folder.is_relative_to(Path(study_folder).resolve()):
        raise BadInput(f"{place} is not inside the study {study_folder}.")
    return folder
