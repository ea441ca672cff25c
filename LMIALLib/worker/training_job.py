"""The job that trains: annotated slices in, a new model and the advice to adopt it or not out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from LMIALLib.errors import BadInput
from LMIALLib.progress import Progress
from LMIALLib.study.targets import training_examples, validation_examples

if TYPE_CHECKING:
    from LMIALLib.network.training import Example
    from LMIALLib.study.store import Study
    from LMIALLib.study.targets import ReadSlice

VOLUME_CASES = 4
"""Cases whose predicted volume the adoption rule compares; more would make a reader wait."""

UNREAD_SLICES = 48
"""Unread slices, drawn with the seed, on which fine-tuning keeps the model's opinion."""


def finetune_job(study_folder: Path, request: dict[str, Any], progress: Progress) -> dict[str, Any]:
    """Train on what was annotated and say whether the result should be adopted.

    Fields: model (id it starts from), new_model (id), upto (highest id of answers that count), seed; optionally steps,
    minutes, device, threads. The weights are written to ``models/<new_model>.safetensors`` either way.
    """
    from LMIALLib.network.adoption import judge
    from LMIALLib.network.training import FinetuneSettings, finetune
    from LMIALLib.study.store import Study

    with Study.open(study_folder, read_only=True) as study:
        read = training_examples(study, upto=request.get("upto"))
        if not read:
            raise BadInput(
                "No slice that may be learned from has been annotated yet (cases set aside for validation never are).",
                "Annotate one first: lmial label.",
            )
        examples, unread, cases = _training_slices(study, read, int(request["seed"]))
        settings = FinetuneSettings(
            seed=int(request["seed"]),
            device=request.get("device") or "auto",
            **{key: request[key] for key in ("steps", "minutes", "threads") if request.get(key) is not None},
        )
        out = study.models.path(request["new_model"])
        checkpoint = out.with_name(f".{out.stem}.checkpoint.safetensors")
        report = finetune(
            study.models.path(request["model"]),
            examples,
            unread,
            out,
            settings=settings,
            checkpoint=checkpoint,
            progress=progress,
        )
        checkpoint.unlink(missing_ok=True)
        volumes, validation = {}, None
        if report.finite:
            for case in cases[:VOLUME_CASES]:
                progress("check", 1, 2, case=case)
                volumes[case] = _volumes(study, case, request, out)
            validation = _validation(study, request, out)
    adoption = judge(report, volumes, validation=validation)
    return {
        "model": request["new_model"],
        "parent": request["model"],
        "report": asdict(report)
        | {"volumes_ml": volumes, "validation": validation, "settings": asdict(settings), "read": len(read)},
        "adopted": adoption.adopted,
        "reasons": list(adoption.reasons),
    }


def _training_slices(
    study: Study, read: Sequence[ReadSlice], seed: int
) -> tuple[list[Example], list[Example], list[str]]:
    """Examples of the annotated slices, a seeded draw of unread slices, and the cases that have annotations."""
    from LMIALLib.network.training import Example

    cases = sorted({item.case for item in read})
    random = np.random.default_rng(seed)
    unread = []
    share = max(UNREAD_SLICES // len(cases), 1)
    for case in cases:
        pair = study.cases.load_pair(case)
        brain, answered = pair.stack(pair.mask), set(study.answers.current(case))
        free = [k for k in range(pair.n_slices) if k not in answered and brain[k].any()]
        unread += [Example.of_pair(pair, number) for number in sorted(random.permutation(free)[:share].tolist())]
    return _examples(study, read), unread, cases


def _examples(study: Study, read: Sequence[ReadSlice]) -> list[Example]:
    """What a person read, as the network takes it, by case and slice."""
    from LMIALLib.network.training import Example

    examples = []
    for case in sorted({item.case for item in read}):
        pair = study.cases.load_pair(case)
        of_case = sorted((one for one in read if one.case == case), key=lambda one: one.slice)
        examples += [Example.of_pair(pair, one.slice, one.target) for one in of_case]
    return examples


def _validation(study: Study, request: dict[str, Any], new_weights: Path) -> tuple[float, float] | None:
    """Dice before and after on read slices of subjects set aside for good; None while there are none with change."""
    from LMIALLib.network.fit import read_figures
    from LMIALLib.network.weights import load_weights

    held = validation_examples(study, upto=request.get("upto"))
    if not held:
        return None
    examples = _examples(study, held)
    before, after = (
        read_figures(load_weights(path)[0], examples)[0] for path in (study.models.path(request["model"]), new_weights)
    )
    return None if before is None or after is None else (before, after)


def _volumes(study: Study, case: str, request: dict[str, Any], new_weights: Path) -> dict[str, float]:
    """Predicted change in millilitres before and after, for the adoption rule."""
    from LMIALLib.network.prediction import predict
    from LMIALLib.network.weights import load_weights

    pair = study.cases.load_pair(case)
    volumes = {}
    for name, path in (("before", study.models.path(request["model"])), ("after", new_weights)):
        prediction = predict(
            load_weights(path)[0], pair, device=request.get("device") or "auto", threads=request.get("threads")
        )
        volumes[name] = float((prediction.mean >= 0.5).sum()) * pair.grid.voxel_ml
    return volumes
