"""Bringing a data set into a study, case by case: what is there already stays, what cannot be read is named."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from LMIALLib.datasets import LayoutCase, Listing, Remark
from LMIALLib.errors import LMIALError
from LMIALLib.loop.session import Session
from LMIALLib.loop.studies import Watch, new_case, new_study
from LMIALLib.pairs.registration_record import alarms
from LMIALLib.pairs.request import PairRequest
from LMIALLib.study.labels import LabelSchema
from LMIALLib.study.lease import SessionTakenOver
from LMIALLib.study.store import check_new_place
from LMIALLib.worker.requests import Prepared

if TYPE_CHECKING:
    import numpy as np

    from LMIALLib.datasets.truths import MaskOfChange, PlacedTruth
    from LMIALLib.pairs.pair import Pair

Watching = Callable[[str], AbstractContextManager[Watch]]
"""Takes a title and gives, for a while, what follows a job (see ``studies.Watch``)."""


@dataclass(frozen=True)
class ImportedCase:
    """One case that was imported.

    Args:
        truth_covers: names of the classes that its truth covers; None without truth.
        registration, alarm: how well its scans fit.
        remarks: what was guessed or left out in reading the scans.
        truth: what a person should know of how the truth was placed; empty where there is nothing to know.
        truth_unknown: share of the brain region, in [0, 1], of which the truth knows nothing; None without truth.
    """

    case: str
    subject: str
    slices: int
    truth_covers: tuple[str, ...] | None
    registration: str
    alarm: bool
    remarks: tuple[str, ...] = ()
    truth: str = ""
    truth_unknown: float | None = None


class Import:
    """One run over a listing. A run that was stopped is repeated: cases that the study has are left alone.

    Args:
        listing: what ``datasets.list_cases`` found.
        force: go on where a pair is probably a mistake, or the study's folder is no safe place.
        align: of all pairs for which the listing says nothing, see ``prepare.ALIGN``; None: as the headers say.
        outside: of all truths for which the listing says nothing, see ``truths.read_mask_of_change``.
        watching: shows the progress of one case.
        say: takes each case that was imported or left out, as it comes.
    """

    def __init__(
        self,
        listing: Listing,
        *,
        force: bool = False,
        align: str | None = None,
        outside: str | None = None,
        watching: Watching = lambda title: nullcontext(),
        say: Callable[[ImportedCase | Remark], None] = lambda outcome: None,
    ) -> None:
        self.imported: list[ImportedCase] = []
        self.already: list[str] = []
        self.left_out: list[Remark] = []
        self.waiting = list(listing.cases)
        self._force, self._align, self._outside = force, align, outside
        self._watching, self._say = watching, say
        self._total = len(self.waiting)
        for remark in listing.left_out:
            self._leave_out(remark)

    def make_study(self, folder: Path) -> None:
        """Make the study with the first case that can be imported; where none can be, there is no study afterwards.

        Raises BadInput where ``folder`` is in use or cannot be a study, NeedsConfirmation for a network or synced one.
        """
        check_new_place(Path(folder).absolute(), self._force)

        def make(case: str, pair: PairRequest, **options: Any) -> Prepared:
            return new_study(folder, case, pair, **options)

        while self.waiting and not self.imported:
            self._bring(self.waiting.pop(0), LabelSchema.default(), make)

    def extend(self, session: Session) -> None:
        """Add every case that waits and that the study does not have.

        Raises what ends the whole import: a session that was taken over, a study that cannot be written any more.
        """

        def add(case: str, pair: PairRequest, **options: Any) -> Prepared:
            return new_case(session, case, pair, **options)

        there = {case.name.casefold() for case in session.study.cases.all()}
        while self.waiting:
            case = self.waiting.pop(0)
            if case.name.casefold() in there:
                self.already.append(case.name)
            elif not self._bring(case, session.study.label_schema, add):
                session.study.heartbeat()

    def _bring(self, case: LayoutCase, schema: LabelSchema, make: Callable[..., Prepared]) -> bool:
        """Import one case, or say why not."""
        from LMIALLib.datasets.truths import read_mask_of_change

        try:
            align = case.align or self._align or "headers"
            scans = case.baseline, case.follow_up
            request = PairRequest(*scans, case.mask, force=self._force, align=align, dates=case.dates)
            known: MaskOfChange | None = None
            placed: list[PlacedTruth] = []
            if case.truth is not None:
                transform = case.truth_to_follow_up
                known = read_mask_of_change(
                    case.truth,
                    case.covers,
                    schema,
                    to_follow_up=transform,
                    outside=case.outside or self._outside,
                )
            with self._watching(f"{self._total - len(self.waiting)} of {self._total}: {case.name}") as watch:
                result = make(
                    case.name,
                    request,
                    subject=case.subject,
                    covered=known.covers if known else None,
                    truth=_placing(known, placed) if known else None,
                    watch=watch,
                )
        except SessionTakenOver:
            raise
        except LMIALError as problem:
            self._leave_out(Remark(case.name, case.subject, problem.sentence))
            return False
        registration = result.registration
        done = ImportedCase(
            case.name,
            case.subject,
            result.slices,
            known.covers if known else None,
            registration.get("sentence", ""),
            bool(alarms(registration)),
            tuple(registration.get("remarks", ())),
            placed[0].sentence if placed else "",
            placed[0].unknown if placed else None,
        )
        self.imported.append(done)
        self._say(done)
        return True

    def _leave_out(self, remark: Remark) -> None:
        self.left_out.append(remark)
        self._say(remark)


def _placing(known: MaskOfChange, placed: list[PlacedTruth]) -> Callable[[Pair], np.ndarray]:
    """A function that makes the truth of a pair once that is there, and keeps its remarks."""

    def place(pair: Pair) -> np.ndarray:
        placed.append(known.placed_on(pair))
        return placed[-1].values

    return place
