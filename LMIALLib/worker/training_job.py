"""The handler that trains: annotated slices in, a new model and the advice to adopt it or not out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from LMIALLib.errors import BadInput, Do, Step
from LMIALLib.progress import Progress
from LMIALLib.study.targets import training_examples, validation_examples
from LMIALLib.worker.handling import handles
from LMIALLib.worker.requests import Finetune, Trained

if TYPE_CHECKING:
    from LMIALLib.network.change_model import ChangeModel
    from LMIALLib.network.finetuning import Example
    from LMIALLib.study.store import Study
    from LMIALLib.study.targets import ReadSlice

VOLUME_CASES = 4
"""Cases whose predicted volume the adoption rule compares; more would make a reader wait."""


@handles(Finetune)
def finetune_job(study_folder: Path, request: Finetune, progress: Progress) -> Trained:
    """Train on the annotated slices, and state whether the result should be adopted."""
    from LMIALLib.network.adoption import judge
    from LMIALLib.network.families import load_model
    from LMIALLib.network.finetuning import FinetuneSettings
    from LMIALLib.study.store import Study

    with Study.open(study_folder, read_only=True) as study:
        read = training_examples(study, upto=request.upto)
        if not read:
            raise BadInput(
                "No slice that may be learned from has been annotated yet (cases set aside for validation never are).",
                "Annotate one first.",
                Step(Do.LABEL, str(study.folder)),
            )
        examples, unread, cases = _training_slices(study, read, request.seed, request.upto)
        settings = FinetuneSettings(
            seed=request.seed,
            device=request.device,
            minutes=request.minutes,
            threads=request.threads,
            **({} if request.steps is None else {"steps": request.steps}),
        )
        out = study.models.path(request.new_model)
        checkpoint = out.with_name(f".{out.stem}.checkpoint.safetensors")
        old = load_model(study.models.path(request.model))
        report = old.finetune(
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
            new = load_model(out)
            for case in cases[:VOLUME_CASES]:
                volumes[case] = _volumes(study, case, request, old, new, progress)
            progress("check", 1, 2)
            validation = _validation(study, request, old, new)
    adoption = judge(report, volumes, validation=validation)
    about = {"volumes_ml": volumes, "validation": validation, "settings": asdict(settings), "read": len(read)}
    return Trained(
        model=request.new_model,
        parent=request.model,
        report=asdict(report) | about,
        adopted=adoption.adopted,
        reasons=tuple(adoption.reasons),
    )


def _training_slices(
    study: Study, read: Sequence[ReadSlice], seed: int, upto: int | None
) -> tuple[list[Example], list[Example], list[str]]:
    """Examples of the annotated slices, a seeded draw of unread slices, and the cases that have annotations."""
    from LMIALLib.network.finetuning_batches import UNREAD_SLICES, unread_examples

    cases = sorted({item.case for item in read})
    random = np.random.default_rng(seed)
    unread: list[Example] = []
    share = max(UNREAD_SLICES // len(cases), 1)
    for case in cases:
        answered = study.answers.current(case, upto=upto).keys()
        unread += unread_examples(study.cases.load_pair(case), answered, share, random)
    return _examples(study, read), unread, cases


def _examples(study: Study, read: Sequence[ReadSlice]) -> list[Example]:
    """What a person read, as the network takes it, by case and slice."""
    from LMIALLib.network.finetuning import Example

    examples = []
    for case in sorted({item.case for item in read}):
        pair = study.cases.load_pair(case)
        of_case = sorted((one for one in read if one.case == case), key=lambda one: one.slice)
        examples += [Example.of_pair(pair, one.slice, one.target) for one in of_case]
    return examples


def _validation(study: Study, request: Finetune, old: ChangeModel, new: ChangeModel) -> tuple[float, float] | None:
    """Dice before and after on slices of subjects set aside for good; None while there are none with change.

    Only slices that were drawn at random, and so read without a suggestion, can judge: where patients are finished,
    the others were chosen because the model in use was expected to be wrong there.
    """
    from LMIALLib.network.example_metrics import figures_of

    held = [one for one in validation_examples(study, upto=request.upto) if one.drawn == "random"]
    if not held:
        return None
    examples = _examples(study, held)
    before, after = (figures_of(model.probability, examples)[0] for model in (old, new))
    return None if before is None or after is None else (before, after)


def _volumes(
    study: Study, case: str, request: Finetune, old: ChangeModel, new: ChangeModel, progress: Progress
) -> dict[str, float]:
    """Predicted change in millilitres before and after, for the adoption rule; ``progress`` is called often."""
    pair = study.cases.load_pair(case)
    volumes = {}
    for name, model in (("before", old), ("after", new)):
        progress("check", 1, 2, case=case)
        prediction = model.predict(
            pair,
            device=request.device,
            threads=request.threads,
            progress=lambda *_, **__: progress("check", 1, 2, case=case),
        )
        volumes[name] = float((prediction.mean >= 0.5).sum()) * pair.grid.voxel_ml
    return volumes
