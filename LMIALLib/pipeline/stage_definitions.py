"""The six stages: from nothing but scans to an nnU-Net that learned from a few answers, and to a list of lesions."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import numpy as np

from LMIALLib.errors import Do, Step
from LMIALLib.pipeline.pseudo import read_pseudo
from LMIALLib.pipeline.stage import Chosen, Done, Stage, Work
from LMIALLib.pipeline.state import key_of
from LMIALLib.progress import Cancelled
from LMIALLib.study.store import Study


def _steps(work: Work, *actions: Do) -> tuple[Step, ...]:
    """Things to do with the study of the pipeline."""
    return tuple(Step(do, str(work.study.folder)) for do in actions)


def _pairs(work: Work) -> dict[str, str]:
    return {case.name: case.digest for case in work.study.cases.all()}


def _teacher_depends(work: Work) -> dict[str, Any]:
    return {"teacher": work.settings.teacher, "pairs": _pairs(work)}


def _pseudo_label(work: Work) -> Done:
    from LMIALLib.pipeline.teachers.choosing import teacher_named
    from LMIALLib.pipeline.teachers.pseudo_labelling import make_pseudo_labels

    teacher = teacher_named(work.settings.teacher, device=work.settings.nnunet.device)
    made = make_pseudo_labels(work.study, teacher, existing="keep", progress=work.progress, cancelled=work.cancelled)
    if made.cancelled:
        raise Cancelled
    judged, failed = sum(one.judged for one in made.cases), sum(len(one.failed) for one in made.cases)
    summary = f"{made.teacher} judged {judged} slices of {len(made.cases)} cases"
    return Done(f"{summary}, and failed on {failed}." if failed else f"{summary}.", {"teacher": made.teacher})


def _pretraining_depends(work: Work) -> dict[str, Any]:
    from LMIALLib.pipeline.nnunet.labels import PseudoLabels

    teacher = work.state.left("teacher", "teacher", str)
    labels = PseudoLabels(work.study, teacher)
    settings = work.settings.pretraining
    return {
        "labels": {case.name: labels.key(case) for case in work.study.cases.all()},
        "pairs": _pairs(work),
        "nnunet": {"config": settings.config, "size": settings.size, **settings.of_training},
    }


def _pretrain(work: Work) -> Done:
    from LMIALLib.pipeline.nnunet.pretraining import pretrain

    teacher = work.state.left("teacher", "teacher", str)
    done = pretrain(
        work.study, teacher, settings=work.settings.pretraining, progress=work.progress, cancelled=work.cancelled
    )
    return Done(
        f"nnU-Net learned from the pseudo-labels of {done.cases[0]} cases, {done.cases[1]} held out: loss "
        f"{done.losses[0]:.3f} to {done.losses[-1]:.3f} in {len(done.losses)} epochs.",
        asdict(done),
    )


def _pretraining_there(work: Work) -> bool:
    """The work folder may be removed at any time: then it is done again once there is something new to learn."""
    from LMIALLib.pipeline.nnunet.pretraining import pretrained_weights

    weights = pretrained_weights(work.study, work.settings.pretraining.config)
    return weights.is_file() or work.state.finished("fine-tuning", _finetuning_depends(work))


def _core_set_depends(work: Work) -> dict[str, Any]:
    settings = work.settings
    chosen = {name: getattr(settings, name) for name in ("budget", "embedding", "distance", "seed")}
    return {**chosen, "teacher": work.state.left("teacher", "teacher", str), "pairs": _pairs(work)}


def _choose(work: Work) -> Done:
    settings = work.settings
    if all(len(work.study.answers.current(case.name)) == case.n_slices for case in work.study.cases.all()):
        return Done("Every slice is annotated already, so nothing is chosen.", {"chosen": []})
    from LMIALLib.pipeline.core_set import NothingToChoose, core_set

    try:
        found = core_set(
            work.study,
            writing=work.writing,
            budget=settings.budget,
            embedding=settings.embedding,
            distance=settings.distance,
            seed=settings.seed,
            teacher=work.state.left("teacher", "teacher", str),
            device=settings.nnunet.device,
            progress=work.progress,
            cancelled=work.cancelled,
        )
    except NothingToChoose:
        return Done("Every slice that holds brain is annotated already, so nothing is chosen.", {"chosen": []})
    chosen = [[query.case, query.slice] for query in found.queries]
    summary = f"{len(chosen)} of {found.slices} slices are chosen for a reader; see {found.report.name} in the study."
    return Done(" ".join([summary, *found.notes]), {"chosen": chosen})


def _chosen(work: Work) -> list[tuple[str, int]]:
    """The slices that the core-set stage chose."""
    return work.state.left("core-set", "chosen", list[tuple[str, int]])


def _reading_depends(work: Work) -> dict[str, Any]:
    return {"chosen": _chosen(work)}


def _read(work: Work) -> Done:
    chosen = _chosen(work)
    waiting = _unread(work.study, chosen)
    if waiting:
        _ask_for_the_core_set(work)
    if waiting and work.answer is not None:
        with work.writing() as study:
            work.answer(study, waiting)
        waiting = _unread(work.study, chosen)
    if waiting:
        return Done(
            f"{len(waiting)} of {len(chosen)} chosen slices wait for a reader. Annotate them, then go on.",
            {},
            finished=False,
            steps=_steps(work, Do.ANNOTATE, Do.PIPELINE_RESUME),
        )
    if not chosen:
        return Done("Nothing was chosen to be read.", {})
    put_off = {name: work.study.answers.skipped(name) for name in _names(work.study)}
    skipped = sum(number in put_off.get(case, ()) for case, number in chosen)
    summary = f"{skipped} of {len(chosen)} chosen slices were skipped, the others are read."
    return Done(summary if skipped else f"All {len(chosen)} chosen slices are read.", {})


def _ask_for_the_core_set(work: Work) -> None:
    """Make the core-set the queue again where another ranking took its place before it was read."""
    latest = work.study.rankings.latest()
    if latest is None or latest.is_core_set:
        return
    chosen = next((one for one in reversed(work.study.rankings.all()) if one.is_core_set), None)
    if chosen is not None:
        with work.writing() as study:
            study.rankings.store(chosen)


def _unread(study: Study, chosen: Chosen) -> list[tuple[str, int]]:
    """Chosen slices that were neither answered nor skipped, as the queue sees it, too."""
    done = {name: study.answers.current(name).keys() | study.answers.skipped(name) for name in _names(study)}
    return [(case, number) for case, number in chosen if case in done and number not in done[case]]


def _names(study: Study) -> set[str]:
    return {case.name for case in study.cases.all()}


def _finetuning_depends(work: Work) -> dict[str, Any]:
    settings = work.settings.finetuning
    return {
        "pretraining": key_of(work.state.result("pretraining")),
        "answers": work.study.answers.highest_id(),
        "opinions_above": work.settings.opinions_above,
        "nnunet": {"config": settings.config, "folds": settings.folds, **settings.of_training},
    }


def _finetune(work: Work) -> Done:
    from LMIALLib.pipeline.nnunet.finetuning import finetune

    done = finetune(
        work.study,
        writing=work.writing,
        teacher=work.state.left("teacher", "teacher", str),
        opinions_above=work.settings.opinions_above,
        settings=work.settings.finetuning,
        progress=work.progress,
        cancelled=work.cancelled,
    )
    summary = f"{done.model} learned from {done.read} read slices, {done.folds} folds. {done.reason}"
    if done.adopted:
        with work.writing() as study:
            _ask_by_disagreement(study, work.settings.seed)
        summary += " The queue is ordered by the disagreement of its folds now."
    newer = work.study.answers.highest_id() > done.upto
    if newer:
        summary += " It has not learned from the answers given meanwhile; go on to learn from them as well."
    return Done(summary, asdict(done), steps=_steps(work, *([Do.PIPELINE_RESUME] if newer else [])))


def _ask_by_disagreement(study: Study, seed: int) -> None:
    """Rank the open slices with the new model, as every face shows them, by the mutual information of its folds."""
    from LMIALLib.loop.session import LoopSettings, Session

    session = Session(study, settings=LoopSettings(strategy="bald", seed=seed, train=False))
    try:
        session.learning.wait(session.learning.request_ranking())
    finally:
        session.close()


def _lesions_depends(work: Work) -> dict[str, Any]:
    in_use = work.study.models.in_use()
    models = {"model": work.state.left("fine-tuning", "model", str), "in use": in_use.id if in_use else None}
    return {**models, "answers": work.study.answers.highest_id(), "pairs": _pairs(work)}


def _lesions(work: Work) -> Done:

    cases, total = work.study.cases.all(), 0
    with work.writing() as study:
        for number, case in enumerate(cases):
            work.progress(f"lesions of {case.name}", number, len(cases))
            total += len(study.lesions.of_case(case.name, _probability(work, case.name), keep=True).lesions)
    return Done(f"{total} changed lesions in {len(cases)} cases.", {"lesions": total}, steps=_steps(work, Do.LESIONS))


def _probability(work: Work, case: str) -> np.ndarray | None:
    """Probability of change (k, j, i) where nobody read: nnU-Net's if it is in use, else that of the
    pseudo-labels, NaN where there is none."""
    tuned, in_use = work.state.left("fine-tuning", "model", str), work.study.models.in_use()
    if in_use is not None and in_use.id == tuned:
        return work.study.maps.read(tuned, case, "mean")
    pseudo = read_pseudo(work.study, work.state.left("teacher", "teacher", str), case)
    if pseudo is None:
        return None
    probability = pseudo.probability.copy()
    np.moveaxis(probability, work.study.cases.get(case).axis, 0)[~pseudo.done] = np.nan
    return probability


STAGES = (
    Stage("teacher", _teacher_depends, _pseudo_label),
    Stage("pretraining", _pretraining_depends, _pretrain, _pretraining_there),
    Stage("core-set", _core_set_depends, _choose),
    Stage("reading", _reading_depends, _read),
    Stage("fine-tuning", _finetuning_depends, _finetune),
    Stage("lesions", _lesions_depends, _lesions),
)
"""In their order."""
