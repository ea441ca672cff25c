"""Bringing a data set into a study, case by case: what is there already stays, what cannot be read is named."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from LMIALLib.cohorts.layouts import LayoutCase, Listing, Remark
from LMIALLib.errors import LMIALError
from LMIALLib.loop.session import Session
from LMIALLib.loop.studies import Watch, new_case, new_study
from LMIALLib.pairs.prepare import PairRequest
from LMIALLib.study.labels import LabelSchema
from LMIALLib.study.lease import SessionTakenOver
from LMIALLib.study.store import check_new_place

Watching = Callable[[str], AbstractContextManager[Watch]]
"""Takes a title and gives, for a while, what follows a job (see ``studies.Watch``)."""


@dataclass(frozen=True)
class ImportedCase:
    """One case that was imported: slices, what its truth covers (None without truth), how well its scans fit."""

    case: str
    subject: str
    slices: int
    truth_covers: tuple[str, ...] | None
    registration: str
    alarm: bool


class Import:
    """One run over a listing. A run that was stopped is repeated: cases that the study has are left alone.

    Args:
        listing: what ``cohorts.layouts.list_cases`` found.
        force: go on where a pair is probably a mistake, or the study's folder is no safe place.
        watching: shows the progress of one case.
        say: takes each case that was imported or left out, as it comes.
    """

    def __init__(
        self,
        listing: Listing,
        *,
        force: bool = False,
        watching: Watching = lambda title: nullcontext(),
        say: Callable[[ImportedCase | Remark], None] = lambda outcome: None,
    ) -> None:
        self.imported: list[ImportedCase] = []
        self.already: list[str] = []
        self.left_out: list[Remark] = []
        self.waiting = list(listing.cases)
        self._force, self._watching, self._say = force, watching, say
        self._total = len(self.waiting)
        for remark in listing.left_out:
            self._leave_out(remark)

    def make_study(self, folder: Path) -> None:
        """Make the study with the first case that can be imported; where none can be, there is no study afterwards.

        Raises BadInput where ``folder`` is in use or cannot be a study, NeedsConfirmation for a network or synced one.
        """
        check_new_place(Path(folder).absolute(), self._force)

        def make(case: str, pair: dict[str, Any], **options: Any) -> dict[str, Any]:
            return new_study(folder, case, pair, **options)

        while self.waiting and not self.imported:
            self._bring(self.waiting.pop(0), LabelSchema.default(), make)

    def extend(self, session: Session) -> None:
        """Add every case that waits and that the study does not have.

        Raises what ends the whole import: a session that was taken over, a study that cannot be written any more.
        """

        def add(case: str, pair: dict[str, Any], **options: Any) -> dict[str, Any]:
            return new_case(session, case, pair, **options)

        there = {case.name.casefold() for case in session.study.cases.all()}
        while self.waiting:
            case = self.waiting.pop(0)
            if case.name.casefold() in there:
                self.already.append(case.name)
            elif not self._bring(case, session.study.label_schema, add):
                session.study.heartbeat()

    def _bring(self, case: LayoutCase, schema: LabelSchema, make: Callable[..., dict[str, Any]]) -> bool:
        """Import one case, or say why not."""
        from LMIALLib.cohorts.truths import read_mask_of_change

        try:
            request = PairRequest(case.baseline, case.follow_up, case.mask, force=self._force)
            known = None
            if case.truth is not None:
                transform = case.truth_to_follow_up
                known = read_mask_of_change(case.truth, case.covers, schema, to_follow_up=transform)
            with self._watching(f"{self._total - len(self.waiting)} of {self._total}: {case.name}") as watch:
                result = make(
                    case.name,
                    request.to_dict(),
                    subject=case.subject,
                    covered=known.covers if known else None,
                    truth=known.on if known else None,
                    watch=watch,
                )
        except SessionTakenOver:
            raise
        except LMIALError as problem:
            self._leave_out(Remark(case.name, case.subject, problem.sentence))
            return False
        registration = result["registration"]
        done = ImportedCase(
            case.name,
            case.subject,
            result["slices"],
            known.covers if known else None,
            registration.get("sentence", ""),
            bool(registration.get("alarm")),
        )
        self.imported.append(done)
        self._say(done)
        return True

    def _leave_out(self, remark: Remark) -> None:
        self.left_out.append(remark)
        self._say(remark)
