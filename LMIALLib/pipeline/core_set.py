"""Stage 3: a core-set of the slices of a study, the few that stand for all, as the queue of its readers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from LMIALLib.errors import BadInput, Do, LMIALError, Step, WrongUse, disk_errors
from LMIALLib.files import written_whole
from LMIALLib.loop.settings import LoopSettings
from LMIALLib.pipeline.budget import slices_of
from LMIALLib.pipeline.core_set_choice import CoreSet
from LMIALLib.pipeline.core_set_report import core_set_page, plotly_library
from LMIALLib.pipeline.embeddings.encoders import (
    BUNDLED,
    SliceEncoder,
    case_embedding,
    checked_embedding,
    encoder_for,
)
from LMIALLib.pipeline.embeddings.masked_autoencoder import MaskedTraining
from LMIALLib.pipeline.map_2d import Embedded
from LMIALLib.pipeline.spread_core_set import SIGN, most_a_subject, signs_of_change, spread
from LMIALLib.pipeline.stored_predictions import Seeing
from LMIALLib.pipeline.suggestions import maps_name, suggested, teacher_of
from LMIALLib.progress import Cancelled, Progress, ignore
from LMIALLib.queries.pool import CaseScores
from LMIALLib.queries.query import Ranking
from LMIALLib.queries.ranking import rank, score_case
from LMIALLib.queries.strategies import strategy
from LMIALLib.study.kept import CORE_SET_PAGE, goes_by_stored_maps
from LMIALLib.study.rankings import StoredRanking
from LMIALLib.study.store import Study

if TYPE_CHECKING:
    from LMIALLib.queries.strategies import Strategy
    from LMIALLib.study.case import Case
    from LMIALLib.study.models import Model

STRATEGIES = {"cosine": "core-set-cosine", "euclidean": "core-set"}
"""Distance to the strategy that goes by it."""


class NothingToChoose(BadInput):
    """Every slice that could be chosen is annotated."""


def core_set(  # half of it says what the arguments mean
    study: Study,
    *,
    budget: str,
    writing: Callable[[], AbstractContextManager[Study]] | None = None,
    embedding: str = BUNDLED,
    distance: str = "cosine",
    seed: int = 0,
    teacher: str | None = None,
    random_share: float = LoopSettings.random_share,
    masked: MaskedTraining | None = None,
    device: str = "auto",
    progress: Progress = ignore,
    cancelled: Callable[[], bool] = lambda: False,
) -> CoreSet:
    """Choose the slices that a reader is to read, store them as the study's queue, and draw their map.

    k-center, greedily (Sener and Savarese, arXiv 1708.00489): each next slice is the one farthest from all annotated
    and chosen ones, first among slices with signs of change (see `signs_of_change`; by the teacher, else the model in
    use), as foreground-aware draws do (nnActive, arXiv 2511.19183). Slices without brain, or with hardly any, are left
    out. Of each subject at most
    ceil(budget / subjects) + 1 slices are chosen while another subject has an open one (see `spread`). As in any queue
    of LMIAL, one slice in six is random and shown without suggestion, two chosen in one batch of six keep 12 mm
    distance, and subjects set aside for validation get random slices only.

    Args:
        study: an open study; while slices are compared it is only read.
        budget: of new slices, see `slices_of`.
        writing: opens the study for writing when the choice is stored, see `pipeline.study_writer`; None: the study
            itself can be written.
        embedding: "bundled" (features of the model in use), "mae" (trained on the study first), "dinov2:FOLDER".
        distance: "cosine" or "euclidean".
        seed: of ties, random slices, and the masked autoencoder.
        teacher: whose pseudo-labels are suggested; None for the only one in the study, or the model in use.
        random_share: share of the slices that is chosen at random.
        masked: how the masked autoencoder is trained; None for the defaults, with the seed and device given here.
        device: "cpu", "cuda" or "auto".
        progress: called with (sentence, done, total).
        cancelled: called now and then; True raises Cancelled. What was computed stays, so that the next run is faster.

    Same study, options and seed give the same slices. Raises BadInput for a study that cannot be written, has no case,
    no brain, or nothing left to annotate, and for a budget, teacher or folder that cannot be used; WrongUse for unknown
    words.
    """
    check_asked(embedding, distance)
    if writing is None and study.read_only:
        raise BadInput(f"{study.folder} cannot be changed now: {study.why_read_only}")
    model, upto = _checked(study), study.answers.highest_id()
    cases = study.cases.all()
    total = sum(case.n_slices for case in cases)
    count = slices_of(budget, total)
    teacher = teacher_of(study, teacher)
    masked = masked or MaskedTraining(seed=seed, device=device)
    encoder = encoder_for(study, embedding, masked=masked, progress=progress, cancelled=cancelled)
    plain = strategy(STRATEGIES[distance])
    seeing = Seeing(study, model, plain, device)
    scored, signs, without_label = _scored(study, seeing, encoder, teacher, plain, progress, cancelled)
    _check_open(study, scored)
    subject_of = {case.name: case.subject for case in cases}
    aside = [case.name for case in cases if case.split == "validation"]
    subjects = len({case.subject for case in cases if case.name not in aside})
    most = most_a_subject(count, subjects)
    ranking = rank(
        scored,
        replace(plain, choice=spread(plain.choice, subject_of, most, signs)),
        seed=seed,
        random_share=random_share,
        spacing_mm=LoopSettings.spacing_mm,
        batch=LoopSettings.batch,
        count=count,
        random_only=aside,
    )
    chosen = {
        "budget": budget,
        "count": count,
        "embedding": embedding.partition(":")[0],
        "encoder": encoder.digest if encoder else seeing.digest,
        "distance": distance,
        "most_a_subject": most,
        "sign": SIGN,
        **({"masked_autoencoder": asdict(masked)} if embedding == "mae" else {}),
    }
    conditions = {**_conditions(cases, model, seeing, plain, seed), "core_set": chosen}
    if teacher:
        conditions |= {"suggestions": maps_name(teacher), "teacher": teacher, "no_suggestion": without_label}
    stored = StoredRanking(ranking.to_dict(), conditions, ranking.scores, upto)
    done = CoreSet(
        ranking=0,
        queries=ranking.queries,
        budget=count,
        slices=total,
        subjects=subjects,
        most_a_subject=most,
        embedding=str(chosen["embedding"]),
        distance=distance,
        teacher=teacher,
        report=study.folder / CORE_SET_PAGE,
        notes=_notes(ranking, count, subjects),
    )
    progress("drawing the map", len(cases), len(cases))
    page = core_set_page(study, done, [_embedded(one, subject_of[one.case]) for one in scored], seed=seed)
    with writing() if writing else nullcontext(study) as written:
        number = written.rankings.store(stored)
    with disk_errors("writing the map of the core-set"), written_whole(done.report) as temporary:
        temporary.write_text(page, encoding="utf-8")
    return replace(done, ranking=number)


def _conditions(cases: Sequence[Case], model: Model, seeing: Seeing, plain: Strategy, seed: int) -> dict[str, Any]:
    """What must be the same for the same ranking."""
    return {
        **seeing.conditions,
        "pairs": {case.name: {"number": case.pair_number, "digest": case.digest} for case in cases},
        "model": model.id,
        "model_digest": seeing.digest,
        "strategy": plain.name,
        "seed": seed,
    }


def check_asked(embedding: str, distance: str) -> None:
    """Refuse before any work what a core-set cannot do, and a missing package. Raises as ``core_set``."""
    if distance not in STRATEGIES:
        raise WrongUse(f"There is no distance {distance!r}.", f"Use {' or '.join(STRATEGIES)}.")
    checked_embedding(embedding)
    plotly_library()


def _scored(
    study: Study,
    seeing: Seeing,
    encoder: SliceEncoder | None,
    teacher: str | None,
    plain: Strategy,
    progress: Progress,
    cancelled: Callable[[], bool],
) -> tuple[list[CaseScores], dict[str, np.ndarray], dict[str, list[int]]]:
    """Every case with a vector for each of its slices, which slices show signs of change, and the slices of each
    without a pseudo-label."""
    scored: list[CaseScores] = []
    signs: dict[str, np.ndarray] = {}
    without_label: dict[str, list[int]] = {}
    cases = study.cases.all()
    for number, case in enumerate(cases):
        if cancelled():
            raise Cancelled(f"The core-set was cancelled after {number} of {len(cases)} cases.", "Run it again.")
        progress(f"looking at {case.name}", number, len(cases))
        pair = study.cases.load_pair(case.name)
        maps = seeing.look(case.name, pair)
        if teacher is not None:
            maps, without_label[case.name] = suggested(study, teacher, maps, pair, plain)
        if encoder is not None:
            maps = replace(maps, features=case_embedding(study, case.name, pair, encoder))
        signs[case.name] = signs_of_change(maps.mean)
        scored.append(score_case(maps, plain))
    if len({one.features.shape[1] for one in scored if one.features is not None}) > 1:
        raise BadInput(
            f"the vectors that are kept in {study.folder / 'embeddings'} have different lengths.",
            "Remove that folder; they are made again.",
        )
    progress("choosing", len(cases), len(cases))
    return scored, signs, without_label


def _checked(study: Study) -> Model:
    """The last model in use that looks at slices itself, once a core-set can be chosen from the study."""
    if not study.cases.all():
        raise BadInput(
            f"{study.folder} has no case to choose slices from.", "Add one.", Step(Do.ADD, str(study.folder))
        )
    model = study.models.in_use()
    while model is not None and goes_by_stored_maps(model.id):
        model = study.models.get(model.parent) if model.parent else None  # the one that was in use before it
    if model is None:
        raise LMIALError("This study has no model.", "Check the study.", Step(Do.CHECK, str(study.folder)))
    return model


def _check_open(study: Study, scored: list[CaseScores]) -> None:
    """Raise BadInput where no slice can be chosen, NothingToChoose where none is left."""
    if not any(scores.eligible.any() for scores in scored):
        raise BadInput(f"no slice of {study.folder} holds brain, so there is nothing to choose.")
    if all(set(np.flatnonzero(scores.eligible)) <= scores.answered for scores in scored):
        raise NothingToChoose(
            f"every slice of {study.folder} that holds brain is annotated; there is nothing to choose."
        )


def _notes(ranking: Ranking, count: int, subjects: int) -> tuple[str, ...]:
    notes = []
    if subjects == 1:
        notes.append("All slices are of one subject, so the core-set says little of others.")
    if (found := len(ranking.queries)) < count:
        notes.append(f"The budget is {count} slices, but only {found} are left to annotate.")
    return tuple(notes)


def _embedded(scores: CaseScores, subject: str) -> Embedded:
    """What the map needs of a case: its slices that hold brain."""
    assert scores.features is not None
    slices = np.flatnonzero(scores.eligible)
    return Embedded(scores.case, subject, slices, scores.features[slices], scores.answered)
