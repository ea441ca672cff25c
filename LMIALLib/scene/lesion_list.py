"""The changed lesions of the case on the screen as a list: jumping to one, accepting, rejecting, outlining it."""

from __future__ import annotations

from typing import Any

import numpy as np

from LMIALLib.errors import BadInput, LMIALError
from LMIALLib.scene.maps import Maps
from LMIALLib.scene.screen import Screen
from LMIALLib.scene.sight import unseen_share
from LMIALLib.scene.viewing import Viewing
from LMIALLib.study.label_values import label_values
from LMIALLib.study.lesion import READ, Lesion, measured_lesions
from LMIALLib.study.lesion_outline import TIGHTEST, WIDEST, outlined


class LesionList:
    """The lesions of a case, as far as they may be shown, and what a reader says of one as a whole.

    Args:
        screen: what is on the screen.
        viewing: shows a lesion, and knows what was seen of it.
        maps: knows of which slices nothing may be shown yet.
    """

    def __init__(self, screen: Screen, viewing: Viewing, maps: Maps) -> None:
        self._screen, self._viewing, self._maps = screen, viewing, maps
        self._known: tuple[Any, ...] = ()
        self._lesions: tuple[Lesion, ...] = ()
        self._levels: dict[int, int] = {}  # of lesions whose outline was made tighter or wider, and not yet accepted

    def lesions(self) -> tuple[Lesion, ...]:
        """The changed lesions, by number, as answers and the newest ranking have them; drafts are left out.

        They are found anew only when an answer, the ranking, what may be shown of it, or the pair has changed. What the
        network predicts on a slice that was chosen at random and waits for its answer is left out.
        """
        screen = self._screen
        if screen.open is None:
            return ()
        study, withheld = screen.session.study, self._maps.withheld
        case, ranking = study.cases.get(screen.open.case), study.rankings.latest()
        answers = tuple(sorted(answer.id for answer in screen.answers.values()))
        answered = study.lesion_answers.highest_id()
        now = case.name, case.pair_number, answers, answered, ranking and ranking.number, withheld
        if now != self._known:
            self._known, self._levels = now, {}
            try:
                self._lesions = self._found(withheld)
            except LMIALError as error:
                self._lesions = ()
                screen.say("warning", f"The lesions of this case cannot be listed: {error}")
        return self._lesions

    def _found(self, withheld: frozenset[int]) -> tuple[Lesion, ...]:
        screen, study, opened = self._screen, self._screen.session.study, self._screen.opened()
        case, pair = study.cases.get(opened.case), opened.images.pair
        values = label_values(case, screen.answers)
        probability = screen.session.suggestions.newest(case.name, screen.session.current)
        volume = study.lesions.volume(case.name, values, probability, keep=not screen.watching)
        accepted = study.lesion_answers.accepted(case.name)
        return measured_lesions(volume, case, study.label_schema, pair, values, probability, withheld, accepted)

    def suggested(self, number: int) -> np.ndarray:
        """The suggested voxels of a lesion of the list, bool (k, j, i); none on slices that were read, or of which
        nothing may be shown yet."""
        screen, study = self._screen, self._screen.session.study
        case = study.cases.get(screen.opened().case)
        values = label_values(case, screen.answers)
        volume = study.lesions.volume(
            case.name, values, screen.session.suggestions.newest(case.name, screen.session.current), keep=False
        )
        return self._open_part(volume == number)

    def _open_part(self, voxels: np.ndarray) -> np.ndarray:
        """Without slices that were read, or of which nothing may be shown yet."""
        screen = self._screen
        found = voxels.copy()
        stack = np.moveaxis(found, screen.session.study.cases.get(screen.opened().case).axis, 0)
        stack[sorted(screen.answers.keys() | self._maps.withheld)] = False
        return found

    def go_to(self, number: int) -> None:
        """Show the slice on which a lesion's area is largest, the lesion in the middle; BadInput where it is gone.

        Where the suggestion of the slice at hand is part of the lesion, its answer notes that it was seen.
        """
        found, session = self._of(number), self._screen.session
        here = session.current
        if here is not None and found.status != READ and found.first_slice <= here.slice <= found.last_slice:
            session.suggestion()
        self._viewing.go_to_spot(found.largest_slice, found.largest_spot)

    def accept(self, number: int) -> None:
        """Say that a suggested lesion is one, as it is outlined now; its number is that of the list.

        BadInput where it cannot be one.
        """
        self._judge(number, "accepted")

    def reject(self, number: int) -> None:
        """Say that a suggested lesion is none."""
        self._judge(number, "rejected")

    def tighter(self, number: int) -> None:
        """Show the outline of a suggested lesion one step tighter; accepting it stores that. BadInput as `accept`."""
        self._outline(number, -1)

    def wider(self, number: int) -> None:
        """Show its outline one step wider."""
        self._outline(number, 1)

    def _outline(self, number: int, step: int) -> None:
        """Show the next outline that differs from this one."""
        self._unread(number)
        level = self._levels.get(number, 0)
        before = after = self._outlined(number, level)
        while np.array_equal(after, before) and TIGHTEST <= level + step <= WIDEST:
            level += step
            after = self._outlined(number, level)
        if np.array_equal(after, before):
            self._screen.say("info", f"The outline of lesion {number} gets no {'wider' if step > 0 else 'tighter'}.")
            return
        self._levels[number] = level
        self._maps.outline(before, after)

    def _outlined(self, number: int, level: int) -> np.ndarray:
        """A suggested lesion outlined at a level, bool (k, j, i)."""
        suggested = self.suggested(number)
        session, opened = self._screen.session, self._screen.opened()
        probability = session.suggestions.newest(opened.case, session.current)
        if not level or probability is None or not suggested.any():
            return suggested
        pair = opened.images.pair
        spacing = pair.grid.spacing[::-1]
        return self._open_part(outlined(probability, suggested, level, axis=pair.axis, spacing=spacing))

    def _unread(self, number: int) -> None:
        if self._of(number).status == READ:
            raise BadInput(f"Lesion {number} was read: its slices have their answers.", "Answer the slice again.")

    def take_back(self) -> None:
        """Withdraw the last word on a lesion as a whole."""
        self._screen.session.patient.take_back_lesion(self._screen.opened().case)
        self._screen.say("good", "The last answer to a lesion is taken back.")

    def _judge(self, number: int, verdict: str) -> None:
        screen, opened, case = self._screen, self._screen.opened(), self._screen.opened().case
        self._unread(number)
        voxels = self.suggested(number)
        drawn = self._outlined(number, self._levels.get(number, 0))
        outline = drawn if verdict == "accepted" and not np.array_equal(drawn, voxels) else None
        verdict = verdict if outline is None else "outlined"
        stack = opened.images.pair.stack(voxels if outline is None else voxels | outline)
        shown = [
            int(k) for k in np.flatnonzero(stack.any(axis=(1, 2)))
            if unseen_share(stack[k], self._viewing.sight.seen(case, int(k))) == 0.0
        ]  # fmt: skip
        if not shown:
            raise BadInput(f"Lesion {number} was not on the screen yet.", "Click on it in the list, and look.")
        screen.session.patient.say_of_lesion(case, verdict, voxels, shown, outline=outline)
        self._maps.update()
        self._viewing.redraw()
        everywhere = "" if len(shown) == np.count_nonzero(stack.any(axis=(1, 2))) else ", where you saw it"
        done = "accepted as you outlined it" if outline is not None else verdict
        screen.say("good", f"Lesion {number} is {done}{everywhere}.")

    def _of(self, number: int) -> Lesion:
        found = next((one for one in self.lesions() if one.number == number), None)
        if found is None:
            raise BadInput(f"This case has no lesion {number} now.")
        return found
