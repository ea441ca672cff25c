"""What the worker can be asked to do. Each job is a function of the study folder and a request, and returns plain JSON.

A job never writes to ``study.sqlite``: it leaves files in the study folder and returns what the session that asked for
it will record. Torch is imported only by the jobs that need it, so that ``prepare`` starts at once.
"""

from __future__ import annotations

import platform
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

import LMIALLib
from LMIALLib.errors import BadInput

if TYPE_CHECKING:
    from LMIALLib.network.prediction import Prediction
    from LMIALLib.network.training import Example
    from LMIALLib.pairs.pair import Pair
    from LMIALLib.queries.pool import CaseMaps
    from LMIALLib.study.store import Study

PASSES = 10
"""Stochastic passes of strategies that need them (T of the published comparisons)."""

VOLUME_CASES = 4
"""Cases whose predicted volume the adoption rule compares; more would make a reader wait."""

UNREAD_SLICES = 48
"""Unread slices, drawn with the seed, on which fine-tuning keeps the model's opinion."""


class Cancelled(Exception):
    """The running job was asked to stop."""


class Progress(Protocol):
    """Tells how far a job is; raises Cancelled when it was asked to stop."""

    def __call__(self, stage: str, done: int, total: int, **figures: Any) -> None: ...


def run_job(study_folder: Path, request: dict[str, Any], progress: Progress) -> dict[str, Any]:
    """Run the job that ``request["do"]`` names; see the functions below for the fields of each."""
    jobs: dict[str, Callable[[Path, dict[str, Any], Progress], dict[str, Any]]] = {
        "prepare": prepare_job,
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


def predict_job(study_folder: Path, request: dict[str, Any], progress: Progress) -> dict[str, Any]:
    """Write the probability maps of some cases. Fields: cases, model, and optionally passes, seed, device, threads."""
    from LMIALLib.study.maps import write_maps
    from LMIALLib.study.store import Study

    with Study.open(study_folder, read_only=True) as study:
        network, _ = _network(study, request["model"])
        for number, case in enumerate(request["cases"]):
            progress("predict", number, len(request["cases"]))
            pair = study.load_pair(case)
            prediction = _predict(network, pair, request, progress)
            maps = {"mean": pair.unstack(prediction.mean)}
            write_maps(study, request["model"], case, maps, prediction.conditions)
    return {"cases": list(request["cases"])}


def rank_job(study_folder: Path, request: dict[str, Any], progress: Progress) -> dict[str, Any]:
    """Rank the slices nobody answered.

    Fields: cases (objects with name, pair, answered, skipped), model (id), strategy, seed; optionally passes, threads,
    device, count, random_share, spacing_mm, batch, write_maps. Returns the ranking, the scores of every slice, and the
    conditions under which they were computed.
    """
    from LMIALLib.queries.ranking import rank, score_case, uncertainty_map
    from LMIALLib.queries.strategies import strategy as strategy_named
    from LMIALLib.study.maps import write_maps
    from LMIALLib.study.store import Study

    chosen = strategy_named(request["strategy"])
    passes = int(request.get("passes") or (PASSES if "passes" in chosen.needs else 1))
    request = {**request, "passes": passes}
    scored, pairs, conditions = [], {}, {}
    with Study.open(study_folder, read_only=True) as study:
        network, info = _network(study, request["model"])
        for position, wanted in enumerate(request["cases"]):
            progress("rank", position, len(request["cases"]), case=wanted["name"])
            pair = study.load_pair(wanted["name"], wanted["pair"])
            prediction = _predict(network, pair, request, progress)
            maps = _case_maps(wanted, pair, prediction)
            scored.append(score_case(maps, chosen))
            conditions = _conditions(prediction)
            pairs[wanted["name"]] = {"number": wanted["pair"], "digest": pair.digest()}
            if request.get("write_maps", True):
                shown = {"mean": prediction.mean, chosen.name: uncertainty_map(maps, chosen)}
                on_grid = {name: pair.unstack(stack) for name, stack in shown.items()}
                write_maps(study, request["model"], wanted["name"], on_grid, conditions)
    options = {key: request[key] for key in ("count", "random_share", "spacing_mm", "batch") if key in request}
    ranking = rank(scored, chosen, seed=int(request["seed"]), **options)
    conditions |= {"pairs": pairs, "model": request["model"], "strategy": chosen.name, "seed": int(request["seed"])}
    return {
        "ranking": ranking.to_dict(),
        "conditions": conditions | {"model_digest": info.digest},
        "annotations_upto": int(request.get("annotations_upto", 0)),
    }


def finetune_job(study_folder: Path, request: dict[str, Any], progress: Progress) -> dict[str, Any]:
    """Train on what was annotated and say whether the result should be adopted.

    Fields: model (id it starts from), new_model (id), upto (highest annotation id that counts), seed; optionally steps,
    minutes, device, threads. The weights are written to ``models/<new_model>.safetensors`` either way.
    """
    from LMIALLib.network.adoption import judge
    from LMIALLib.network.training import FinetuneSettings, finetune
    from LMIALLib.study.store import Study

    with Study.open(study_folder, read_only=True) as study:
        read = study.training_examples(upto=request.get("upto"))
        if not read:
            raise BadInput("No slice of this study has been annotated yet.", "Annotate one first: lmial label.")
        examples, unread, cases = _training_slices(study, read, int(request["seed"]))
        settings = FinetuneSettings(
            seed=int(request["seed"]),
            device=request.get("device") or "auto",
            **{key: request[key] for key in ("steps", "minutes", "threads") if request.get(key) is not None},
        )
        out = study.model_path(request["new_model"])
        checkpoint = out.with_name(f".{out.stem}.checkpoint.safetensors")
        report = finetune(
            study.model_path(request["model"]),
            examples,
            unread,
            out,
            settings=settings,
            checkpoint=checkpoint,
            progress=lambda done, total, **figures: progress("finetune", done, total, **figures),
        )
        checkpoint.unlink(missing_ok=True)
        volumes = {}
        for case in cases[:VOLUME_CASES]:
            progress("check", 1, 2, case=case)
            volumes[case] = _volumes(study, case, request, out)
    adoption = judge(report, volumes)
    return {
        "model": request["new_model"],
        "parent": request["model"],
        "report": asdict(report) | {"volumes_ml": volumes, "settings": asdict(settings), "read": len(read)},
        "adopted": adoption.adopted,
        "reasons": list(adoption.reasons),
    }


def export_job(study_folder: Path, request: dict[str, Any], progress: Progress) -> dict[str, Any]:
    """Write files into ``out``. Fields: out, what, format, case (None for all), reader, unread; see ``study.exports``.

    The suggestion and the uncertainty are the maps that the last ranking left.
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
        )
        files = export(study, Path(request["out"]), wanted)
    return {"files": [str(file) for file in files]}


def _exported_maps(study: Study, request: dict[str, Any]) -> tuple[dict[str, np.ndarray], str | None]:
    """The maps that an export needs, by case, and the model that made them."""
    from LMIALLib.study.maps import read_map

    stored = study.latest_ranking()
    if stored is None or request["what"] == "labels":
        return {}, None
    model = str(stored.conditions["model"])
    measure = str(stored.conditions["strategy"]) if request["what"] == "uncertainty" else "mean"
    names = [request["case"]] if request["case"] else [case.name for case in study.cases()]
    found = {name: read_map(study, model, name, measure) for name in names}
    return {name: volume for name, volume in found.items() if volume is not None}, model


def _inside(study_folder: Path, place: str) -> Path:
    """A folder that a request names, refused when it is not inside the study: clients are not trusted with paths."""
    folder = Path(place).resolve()
    if not folder.is_relative_to(Path(study_folder).resolve()):
        raise BadInput(f"{place} is not inside the study {study_folder}.")
    return folder


def _network(study: Study, model: str) -> Any:
    from LMIALLib.network.weights import load_weights

    return load_weights(study.model_path(model))


def _predict(network: Any, pair: Pair, request: dict[str, Any], progress: Progress) -> Prediction:
    from LMIALLib.network.prediction import predict

    return predict(
        network,
        pair,
        passes=int(request.get("passes") or 1),
        seed=int(request.get("seed") or 0),
        device=request.get("device") or "auto",
        threads=request.get("threads"),
        progress=progress,
        **{key: request[name] for key, name in (("dtype", "dtype"), ("batch", "slices_at_once")) if name in request},
    )


def _case_maps(wanted: dict[str, Any], pair: Pair, prediction: Prediction) -> CaseMaps:
    from LMIALLib.queries.pool import CaseMaps

    return CaseMaps(
        case=wanted["name"],
        mean=prediction.mean,
        mask=pair.stack(pair.mask),
        difference=pair.stack(pair.difference),
        expected_entropy=prediction.expected_entropy,
        variance=prediction.variance,
        features=prediction.features,
        slice_spacing=pair.slice_spacing,
        answered=frozenset(wanted.get("answered", ())),
        skipped=frozenset(wanted.get("skipped", ())),
    )


def _conditions(prediction: Prediction) -> dict[str, Any]:
    """Everything besides inputs, model and strategy that can change a score in its last bit."""
    versions = {
        "lmial": LMIALLib.__version__,
        "python": platform.python_version(),
        "numpy": np.__version__,
        **prediction.conditions["versions"],
    }
    return {**prediction.conditions, "versions": versions}


def _training_slices(
    study: Study, read: Sequence[Any], seed: int
) -> tuple[list[Example], list[tuple[np.ndarray, np.ndarray, np.ndarray]], list[str]]:
    """Examples of the annotated slices, a seeded draw of unread slices, and the cases that have annotations."""
    from LMIALLib.network.training import Example

    targets: dict[str, dict[int, np.ndarray]] = {}
    for item in read:
        targets.setdefault(item.case, {})[item.slice] = item.target
    cases = sorted(targets)
    random = np.random.default_rng(seed)
    examples: list[Example] = []
    unread: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []
    share = max(UNREAD_SLICES // len(cases), 1)
    for case in cases:
        pair = study.load_pair(case)
        stacks = [pair.stack(volume) for volume in (pair.baseline, pair.follow_up, pair.mask)]
        for number, target in sorted(targets[case].items()):
            baseline, follow_up, mask = (stack[number].copy() for stack in stacks)
            examples.append(Example(baseline, follow_up, mask, target, pair.in_plane_spacing))
        answered = set(study.current(case))
        free = [k for k in range(pair.n_slices) if k not in answered and stacks[2][k].any()]
        for number in sorted(random.permutation(free)[:share].tolist()):
            baseline, follow_up, mask = (stack[number].copy() for stack in stacks)
            unread.append((baseline, follow_up, mask))
    return examples, unread, cases


def _volumes(study: Study, case: str, request: dict[str, Any], new_weights: Path) -> dict[str, float]:
    """Predicted change in millilitres before and after, for the adoption rule."""
    from LMIALLib.network.prediction import predict
    from LMIALLib.network.weights import load_weights

    pair = study.load_pair(case)
    volumes = {}
    for name, path in (("before", study.model_path(request["model"])), ("after", new_weights)):
        prediction = predict(
            load_weights(path)[0], pair, device=request.get("device") or "auto", threads=request.get("threads")
        )
        volumes[name] = float((prediction.mean >= 0.5).sum()) * pair.grid.voxel_ml
    return volumes
