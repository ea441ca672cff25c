"""What is to be ranked in the present state of a study, and in which order its patients are finished."""

from __future__ import annotations

from collections.abc import Sequence

from LMIALLib.errors import Do, LMIALError, Step, WrongUse
from LMIALLib.loop.ranking_inputs import committee_of, reading_time_of
from LMIALLib.loop.settings import LoopSettings
from LMIALLib.queries.strategies import strategy
from LMIALLib.study.case import Case
from LMIALLib.study.store import Study
from LMIALLib.worker.requests import Rank, RankCase


def ranking_request(
    study: Study, settings: LoopSettings, reader: str, *, keep: bool = False, model: str | None = None
) -> Rank:
    """What to rank now: every case.

    Args:
        study: an open study.
        settings: how slices are chosen.
        reader: who sits here; an empty string for nobody yet.
        keep: as in `Rank`.
        model: by which model; None: the one in use.

    Raises WrongUse for a study without a case and for an order that names a case that there is not; LMIALError for a
    study without a model.
    """
    needs = strategy(settings.strategy).needs
    in_use = study.models.in_use()
    if in_use is None:
        raise LMIALError("This study has no model.", "Check it.", Step(Do.CHECK, str(study.folder)))
    chosen = _in_order(study, study.cases.all(), settings.order)
    if not chosen:
        raise WrongUse("This study has no case to rank.", "Add one.", Step(Do.ADD, str(study.folder)))
    cases = (
        RankCase(
            name=case.name,
            pair=case.pair_number,
            answered=tuple(sorted(study.answers.current(case.name))),
            skipped=tuple(sorted(study.answers.skipped(case.name))),
            validation=case.split == "validation",
        )
        for case in chosen
    )
    return Rank(
        cases=tuple(cases),
        annotations_upto=study.answers.highest_id(),
        lesions_upto=study.lesion_answers.highest_id(),
        model=model or in_use.id,
        strategy=settings.strategy,
        seed=settings.seed,
        random_share=settings.random_share,
        spacing_mm=settings.spacing_mm,
        batch=settings.batch,
        device=settings.device,
        reader=_learns_from(study, reader),
        keep=keep,
        committee=tuple(committee_of(study)) if "members" in needs else (),
        reading_time=reading_time_of(study) if "seconds" in needs else None,
    )


def _in_order(study: Study, cases: Sequence[Case], order: Sequence[str]) -> list[Case]:
    """The cases in the order in which their patients are finished: as the settings say, else as they were ranked last,
    else as they came. Raises WrongUse for a name that there is not."""
    stored, first = study.rankings.latest(), list(order)
    by_name = {case.name: case for case in cases}
    if not first and stored is not None and stored.finishes:
        first = [name for name in stored.conditions.get("pairs", {}) if name in by_name]
    if wrong := [name for name in first if name not in by_name]:
        raise WrongUse(f"There is no case {wrong[0]!r} to put first.")
    return [by_name[name] for name in first] + [case for case in cases if case.name not in first]


def _learns_from(study: Study, reader: str) -> str:
    """Whose answers heads learn from: the reader's who sits here, or an empty string where nobody else answered."""
    readers = study.answers.readers()
    return reader if len(readers) > 1 and reader in readers else ""
