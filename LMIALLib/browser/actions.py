"""What the annotating tab can ask of the desk, by name, and what values each action takes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from LMIALLib.browser.asked import Check, Senseless, flag, fraction, number, one_of, or_none, points, taken, whole, word
from LMIALLib.browser.brush import BrushDesk
from LMIALLib.study.answer import KIND_OF

VIEWS = ("baseline", "follow_up", "difference")
NEED_READER = (
    *KIND_OF, "take_back", "paint", "accept", "class", "sweep", "finish", "reopen",
    "accept_lesion", "reject_lesion", "take_back_lesion",
)  # fmt: skip
"""Actions that need to know who reads."""
NEED_CASE = (
    "looked",
    "paint",
    "step",
    "go_to",
    "lesion",
    "shift",
    "zoom",
    "planes",
    "contrast",
    "flicker",
    "register",
    "region",
    "sweep",
    "finish",
    "reopen",
    "own_map",
    "accept_lesion",
    "reject_lesion",
    "take_back_lesion",
)
"""Actions that mean nothing while no case is on the screen."""
QUICK = (
    "step", "go_to", "lesion", "return", "shift", "zoom", "fit", "planes", "contrast", "flicker", "hide", "show",
    "tool", "erase", "value", "diameter", "opacity", "brightness", "width", "grey_reset", "undo", "redo",
)  # fmt: skip
"""Actions after which queue, strip and banner are as before."""
MOST = 1_000_000
"""No slice, lesion or class has a higher number."""


@dataclass(frozen=True)
class Action:
    """Something a tab can ask for.

    Args:
        do: what is done.
        takes: a check of each value that may come along.
        needs: how many of them must come; all, if not given.
    """

    do: Callable[..., Any]
    takes: tuple[Check, ...] = ()
    needs: int | None = None

    def __call__(self, *values: Any) -> None:
        """Do it with values from a page. Senseless where they are not what it takes; nothing was done then."""
        self.do(*taken(values, self.takes, self.needs))


def actions_of(desk: BrushDesk) -> dict[str, Action]:
    """What a tab can ask for, by name."""
    tools = desk.tools

    def sets(name: str, low: float, high: float, scale: float = 1.0) -> Action:
        def act(value: float) -> None:
            setattr(tools, name, value / scale)
            desk.redraw()

        return Action(act, (number(low * scale, high * scale, clamp=True),))

    def flips(name: str) -> Action:
        def act() -> None:
            setattr(tools, name, not getattr(tools, name))
            desk.redraw()

        return Action(act)

    def grey_reset() -> None:
        tools.brightness, tools.width = 0.0, 1.0
        desk.redraw()

    def change_class(lesion: int | None = None, value: int | None = None) -> None:
        if lesion is not None and lesion >= len(desk.lesions()):
            raise Senseless
        if value is not None:
            desk.session.study.label_schema.name_of(value)
        desk.change_class(lesion, value)

    view, count = one_of(*VIEWS), whole(0, MOST)
    return {
        **{action: Action(partial(desk.answer, action)) for action in KIND_OF},
        "nothing_here": Action(lambda sure=False: desk.answer("nothing_here", sure=sure), (flag,), 0),
        "looked": Action(lambda place, ms: desk.looked(place, ms / 1000), (count, number(0, 1e9, clamp=True))),
        "unask": Action(lambda: setattr(desk, "asking", "")),
        "next": Action(desk.next),
        "rank": Action(desk.rank),
        "cross": Action(lambda: desk.next(crossed=True)),
        "back": Action(desk.back),
        "take_back": Action(desk.take_back),
        "choose": Action(desk.choose, (count, or_none(word)), 1),
        "look_at": Action(desk.go_to_case, (word,)),
        "return": Action(desk.return_to_query),
        "step": Action(desk.step, (whole(-MOST, MOST),)),
        "go_to": Action(desk.go_to, (count,)),
        "lesion": Action(desk.go_to_lesion, (count,)),
        "shift": Action(desk.shift, (view, fraction, fraction)),
        "zoom": Action(desk.zoom, (view, number(1e-3, 1e3), fraction, fraction)),
        "fit": Action(desk.fit),
        "planes": Action(desk.turn_plane, (one_of("", *VIEWS), fraction, fraction), 0),
        "contrast": Action(desk.next_contrast),
        "flicker": flips("swapped"),
        "hide": flips("hidden"),
        "show": Action(desk.show, (flag,)),
        "always": Action(lambda: desk.show_always(not tools.always)),
        "accept": Action(lambda touching=None: desk.accept(touching=touching), (flag,), 0),
        "paint": Action(desk.paint, (view, one_of("begin", "go", "end"), points)),
        "undo": Action(desk.undo),
        "redo": Action(desk.redo),
        "class": Action(change_class, (or_none(count), or_none(count)), 0),
        "tool": Action(lambda tool: setattr(tools, "tool", tool), (one_of("paint", "erase"),)),
        "erase": Action(lambda: setattr(tools, "tool", "erase")),
        "value": Action(desk.paint_with, (count,)),
        "diameter": sets("diameter_mm", 1.0, 30.0),
        "opacity": sets("opacity", 0.0, 1.0, 100),
        "brightness": sets("brightness", -1.0, 1.0, 100),
        "width": sets("width", 0.1, 3.0, 100),
        "grey_reset": Action(grey_reset),
        "register": Action(desk.register_again, (one_of("rigid", "affine"),)),
        "region": Action(desk.change_region, (one_of("brain", "everything", "drawn"),)),
        "by_difference": Action(desk.rank_by_difference),
        "sweep": Action(desk.finishing.sweep),
        "pace": Action(desk.finishing.next_pace),
        "finish": Action(desk.finishing.finish),
        "reopen": Action(desk.finishing.reopen),
        "own_map": Action(desk.flip_own_map),
        "accept_lesion": Action(desk.finishing.accept_lesion, (count,)),
        "reject_lesion": Action(desk.finishing.reject_lesion, (count,)),
        "take_back_lesion": Action(desk.finishing.take_back_lesion),
        "cancel_training": Action(desk.cancel_training),
        "take_over": Action(desk.take_over),
    }
