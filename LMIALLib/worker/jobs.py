"""What the worker can be asked to do. Each job is a function of the study folder and a request, and returns plain JSON.

A job never writes to ``study.sqlite``: it leaves files in the study folder and returns what the session that asked for
it will record. Torch is imported only by the jobs that need it, so that ``prepare`` starts at once.
"""

from __future__ import annotations

import platform
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

import LMIALLib
from LMIALLib.errors import BadInput
from LMIALLib.progress import Progress
from LMIALLib.queries.strategy import FORMULAS
from LMIALLib.worker.training_job import finetune_job

if TYPE_CHECKING:
    from LMIALLib.network.predicted import Prediction
    from LMIALLib.pairs.pair import Pair
    from LMIALLib.queries.pool import CaseMaps
    from LMIALLib.queries.strategies import Strategy
    from LMIALLib.study.store import Study
    from LMIALLib.worker.study_cases import StudyCases

PASSES = 10
"""Stochastic passes of strategies that need them (T of the published comparisons)."""


def run_job(study_folder: Path, request: dict[str, Any], progress: Progress) -> dict[str, Any]:
    """Run the job that ``request["do"]`` names; see the functions below for the fields of each."""
    jobs: dict[str, Callable[[Path, dict[str, Any], Progress], dict[str, Any]]] = {
        "prepare": prepare_job,
        "register": register_job,
        "region": region_job,
        "predict": predict_job,
        "rank": rank_job,
        "finetune": finetune_job,
        "export": export_job,
    }
    return jobs[request["do"]](study_folder, request, progress)


def prepare_job(study_folder: Path, request: dict[str, Any], progress: Progress) -> dict[str, Any]:
    """Read, register and scale a pair into ``staged`` (a folder of the study). Fields: pair (PairRequest), staged."""
    from LMIALLib.pairs.prepare import PairRequest, prepare

    staged = _inside(study_folder, request["staged"])
    pair = prepare(PairRequest.from_dict(request["pair"]), staged, progress=progress)
    return {"registration": pair.registration, "slices": pair.n_slices, "axis": pair.axis, "digest": pair.digest()}


def register_job(study_folder: Path, request: dict[str, Any], progress: Progress) -> dict[str, Any]:
    """Register a case again into ``staged`` (a folder of the study). Fields: case, kind (rigid, affine), staged."""
    from LMIALLib.pairs.again import register_again
    from LMIALLib.study.store import Study

    staged = _inside(study_folder, request["staged"])
    with Study.open(study_folder, read_only=True) as study:
        case = study.cases.get(request["case"])
    folder = study_folder / "cases" / case.name
    pair = register_again(folder, case.pair_number, staged, kind=str(request["kind"]), progress=progress)
    return {"case": case.name, "staged": str(staged), "registration": pair.registration}


def region_job(study_folder: Path, request: dict[str, Any], progress: Progress) -> dict[str, Any]:
    """Give a case another region in ``staged`` (a folder of the study). Fields: case, choice, staged, perhaps mask."""
    from LMIALLib.pairs.again import region_again
    from LMIALLib.study.store import Study

    staged = _inside(study_folder, request["staged"])
    with Study.open(study_folder, read_only=True) as study:
        case = study.cases.get(request["case"])
    mask = Path(request["mask"]) if request.get("mask") else None
    choice, folder = str(request["choice"]), study_folder / "cases" / case.name
    pair = region_again(folder, case.pair_number, staged, choice=choice, mask=mask, progress=progress)
    return {"case": case.name, "staged": str(staged), "registration": pair.registration}


def predict_job(study_folder: Path, request: dict[str, Any], progress: Progress) -> dict[str, Any]:
    """Write the probability maps of some cases. Fields: cases, model, and optionally passes, seed, device, threads."""
    from LMIALLib.study.store import Study

    with Study.open(study_folder, read_only=True) as study:
        network, _ = _network(study, request["model"])
        for number, case in enumerate(request["cases"]):
            progress("predict", number, len(request["cases"]))
            pair = study.cases.load_pair(case)
            prediction = _predict(network, pair, request, progress)
            maps = {"mean": pair.unstack(prediction.mean)}
            study.maps.write(request["model"], case, maps, prediction.conditions)
    return {"cases": list(request["cases"])}


def rank_job(study_folder: Path, request: dict[str, Any], progress: Progress) -> dict[str, Any]:
    """Rank the slices nobody answered.

    Fields: cases (objects with name, pair, answered, skipped, validation), model (id), strategy, seed; optionally
    passes, threads, device, count, random_share, spacing_mm, batch, write_maps; for strategies that need them committee
    (ids of models, the one in use first), annotations_upto (answers that a score may be learned from), reading_time
    (base, per_mm). Returns the ranking, the scores of every slice, and the conditions under which they were computed.
    A model that goes by stored maps is not computed: its maps are read.
    """
    from LMIALLib.queries.ranking import rank, score_case, uncertainty_map
    from LMIALLib.queries.strategies import strategy as strategy_named
    from LMIALLib.study.kept import goes_by_stored_maps
    from LMIALLib.study.store import Study
    from LMIALLib.worker.study_cases import StudyCases

    chosen = strategy_named(request["strategy"])
    stored = goes_by_stored_maps(request["model"])
    scored, pairs, conditions = [], {}, {}
    with Study.open(study_folder, read_only=True) as study:
        cases = StudyCases(study, request, with_targets="loss-prediction" in chosen.needs)
        told, evidence = _evidence(study, request, chosen, cases, progress)
        for position, wanted in enumerate(request["cases"]):
            progress("rank", position, len(request["cases"]), case=wanted["name"])
            maps, prediction = next(evidence)
            scored.append(score_case(maps, chosen))
            conditions = _conditions(prediction)
            pair = cases[position].pair
            pairs[wanted["name"]] = {"number": wanted["pair"], "digest": pair.digest()}
            if not request.get("write_maps", True):
                continue
            shown = pair.unstack(uncertainty_map(maps, chosen))
            if stored:
                study.maps.add(request["model"], wanted["name"], chosen.name, shown)
            else:
                on_grid = {"mean": pair.unstack(prediction.mean), chosen.name: shown}
                study.maps.write(request["model"], wanted["name"], on_grid, conditions)
    options: dict[str, Any] = {
        key: request[key] for key in ("count", "random_share", "spacing_mm", "batch") if key in request
    }
    options["by_lot_only"] = [case["name"] for case in request["cases"] if case.get("validation")]
    ranking = rank(scored, chosen, seed=int(request["seed"]), **options)
    conditions |= {"pairs": pairs, "model": request["model"], "strategy": chosen.name, "seed": int(request["seed"])}
    return {
        "ranking": ranking.to_dict(),
        "conditions": conditions | told,
        "annotations_upto": int(request.get("annotations_upto", 0)),
    }


def _evidence(
    study: Study, request: dict[str, Any], chosen: Strategy, cases: StudyCases, progress: Progress
) -> tuple[dict[str, Any], Iterator[tuple[CaseMaps, Prediction]]]:
    """What the ranking goes by, case by case, and what its conditions tell of models and reading time."""
    from LMIALLib.network.evidence import case_evidence
    from LMIALLib.queries.reading_time import ReadingTime
    from LMIALLib.study.kept import goes_by_stored_maps
    from LMIALLib.worker.stored_evidence import stored_evidence

    told: dict[str, Any] = {}
    if "seconds" in chosen.needs:
        told["reading_time"] = request.get("reading_time") or asdict(ReadingTime())
    reading_time = ReadingTime(**told["reading_time"]) if "reading_time" in told else None
    if goes_by_stored_maps(request["model"]):
        told["model_digest"] = study.models.get(request["model"]).digest
        return told, stored_evidence(study, request["model"], cases, chosen.needs, reading_time=reading_time)
    if "members" in chosen.needs:
        told["committee"] = list(dict.fromkeys([request["model"], *request.get("committee", ())]))
    loaded = [_network(study, model) for model in told.get("committee", [request["model"]])]
    digests = [info.digest for _, info in loaded]
    if "committee" in told:
        told["committee_digests"] = digests
    evidence = case_evidence(
        [network for network, _ in loaded],
        cases,
        chosen.needs,
        passes=int(request.get("passes") or PASSES),
        reading_time=reading_time,
        **_options(request, progress),
    )
    return told | {"model_digest": digests[0]}, evidence


def export_job(study_folder: Path, request: dict[str, Any], progress: Progress) -> dict[str, Any]:
    """Write files into ``out``. Fields: out, what, format, case (None for all), reader, unread, keep_numbers; see
    ``study.exports``.

    The suggestion and the uncertainty are the maps that the last ranking left. The numbers of lesions are stored only
    when the session asks for it: it then annotates alone.
    """
    from LMIALLib.study.exports import ExportRequest, export
    from LMIALLib.study.store import Study

    with Study.open(study_folder, read_only=True) as study:
        progress("export", 0, 1)
        maps, model = _exported_maps(study, request)
        wanted = ExportRequest(
            what=request["what"],
            format=request["format"],
            case=request["case"],
            reader=request["reader"],
            unread=int(request["unread"]),
            maps=maps,
            model=model,
            keep_numbers=bool(request.get("keep_numbers")),
        )
        files = export(study, Path(request["out"]), wanted)
    return {"files": [str(file) for file in files], "what": request["what"]}


def _exported_maps(study: Study, request: dict[str, Any]) -> tuple[dict[str, np.ndarray], str | None]:
    """The maps that an export needs, by case, and the model that made them."""

    stored = study.rankings.latest()
    if stored is None or request["what"] == "labels":
        return {}, None
    model = stored.model
    measure = stored.strategy if request["what"] == "uncertainty" else "mean"
    names = [request["case"]] if request["case"] else [case.name for case in study.cases.all()]
    found = {name: study.maps.read(model, name, measure) for name in names}
    return {name: volume for name, volume in found.items() if volume is not None}, model


def _inside(study_folder: Path, place: str) -> Path:
    """A folder that a request names, refused when it is not inside the study: clients are not trusted with paths."""
    folder = Path(place).resolve()
    if not folder.is_relative_to(Path(study_folder).resolve()):
        raise BadInput(f"{place} is not inside the study {study_folder}.")
    return folder


def _network(study: Study, model: str) -> Any:
    from LMIALLib.network.weights import load_weights

    try:
        return load_weights(study.models.path(model))
    except BadInput as error:
        raise BadInput(error.sentence, "Restore the study from a backup.") from error


def _predict(network: Any, pair: Pair, request: dict[str, Any], progress: Progress) -> Prediction:
    from LMIALLib.network.prediction import predict

    return predict(network, pair, passes=int(request.get("passes") or 1), **_options(request, progress))


def _options(request: dict[str, Any], progress: Progress) -> dict[str, Any]:
    """How a request wants to be computed, as the network room takes it."""
    return {
        "seed": int(request.get("seed") or 0),
        "device": request.get("device") or "auto",
        "threads": request.get("threads"),
        "progress": progress,
        **{key: request[name] for key, name in (("dtype", "dtype"), ("batch", "slices_at_once")) if name in request},
    }


def _conditions(prediction: Prediction) -> dict[str, Any]:
    """Everything besides inputs, model and strategy that can change a score in its last bit."""
    versions = {
        "lmial": LMIALLib.__version__,
        "python": platform.python_version(),
        "numpy": np.__version__,
        "formulas": FORMULAS,
        **prediction.conditions["versions"],
    }
    return {**prediction.conditions, "versions": versions}
