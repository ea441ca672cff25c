"""What the reader is to read next: the stored ranking without what was answered since, batch by batch, case by case."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from LMIALLib.queries.query import Query
from LMIALLib.study.store import Study


def waiting(
    queries: Sequence[Query], answered: Mapping[str, frozenset[int]], skipped: Mapping[str, frozenset[int]], batch: int
) -> list[Query]:
    """The queries still to be answered, in the order in which the reader meets them.

    Queries of one batch (``batch`` successive ranks) are grouped by case, cases in the order of their best rank, so
    that a reader changes patient as rarely as possible. Skipped slices come last.
    """
    ordered: list[Query] = []
    for start in range(0, len(queries), batch):
        group = queries[start : start + batch]
        first_seen = {query.case: position for position, query in reversed(list(enumerate(group)))}
        ordered += sorted(group, key=lambda query: (first_seen[query.case], query.rank))
    left = [query for query in ordered if query.slice not in answered.get(query.case, frozenset())]
    return sorted(left, key=lambda query: query.slice in skipped.get(query.case, frozenset()))


def one_patient_at_a_time(
    queries: Sequence[Query],
    answered: Mapping[str, frozenset[int]],
    skipped: Mapping[str, frozenset[int]],
) -> list[Query]:
    """The queries still to be answered where each patient is read to the end: skipped slices come last of a patient."""
    cases = list(dict.fromkeys(query.case for query in queries))
    left = [query for query in queries if query.slice not in answered.get(query.case, frozenset())]
    return sorted(left, key=lambda one: (cases.index(one.case), one.slice in skipped.get(one.case, frozenset())))


def queue_of(study: Study, batch: int) -> list[Query]:
    """The queries of a study's newest ranking that still wait, in the order in which the reader meets them."""
    stored = study.rankings.latest()
    if stored is None:
        return []
    slices = {case.name: case.n_slices for case in study.cases.all()}
    answered = {case.name: frozenset(study.answers.current(case.name)) for case in study.cases.all()}
    skipped = {case.name: study.answers.skipped(case.name) for case in study.cases.all()}
    # a case may have been removed since, and another, with fewer slices, have taken its name
    there = [query for query in stored.whole.queries if query.slice < slices.get(query.case, 0)]
    if stored.finishes:
        finished = study.patients.all()
        return one_patient_at_a_time([one for one in there if one.case not in finished], answered, skipped)
    return waiting(there, answered, skipped, batch)


def of_another_model(study: Study) -> bool:
    """Whether nothing is ranked yet, or not by the model that is in use now, as after going back to an earlier one."""
    stored, in_use = study.rankings.latest(), study.models.in_use()
    return stored is None or in_use is None or stored.model != in_use.id


def core_set_waits(study: Study) -> bool:
    """Whether the newest ranking is a core-set of which a slice waits that was neither answered nor skipped.

    A core-set is chosen to be read as a whole, so nothing is ranked again by itself before it is read.
    """
    stored = study.rankings.latest()
    if stored is None or not stored.is_core_set:
        return False
    done = {
        case.name: study.answers.skipped(case.name) | study.answers.current(case.name).keys()
        for case in study.cases.all()
    }
    return any(query.case in done and query.slice not in done[query.case] for query in stored.whole.queries)
