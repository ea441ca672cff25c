"""What the annotating tab can ask of the desk, by name. Values come from outside and are checked here."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from LMIALLib.browser.brush import BrushDesk

VIEWS = ("baseline", "follow_up", "difference")
NEED_READER = ("save", "nothing_here", "equivocal", "skip", "take_back", "paint", "accept", "class")
"""Actions that need to know who reads."""
NEED_CASE = ("paint", "step", "go_to", "lesion", "shift", "zoom", "planes", "contrast", "flicker", "register")
"""Actions that mean nothing while no case is on the screen."""
QUICK = (
    "step", "go_to", "lesion", "return", "shift", "zoom", "fit", "planes", "contrast", "flicker", "hide", "show",
    "tool", "erase", "value", "diameter", "opacity", "brightness", "width", "grey_reset", "undo", "redo",
)  # fmt: skip
"""Actions after which queue, strip and banner are as before."""


def actions_of(desk: BrushDesk) -> dict[str, Callable[..., None]]:
    """What a tab can ask for, by name; every value that comes along is checked or made a number here."""
    tools = desk.tools

    def sets(name: str, kind: Callable[[Any], Any], low: Any = None, high: Any = None) -> Callable[[Any], None]:
        def act(value: Any) -> None:
            given = kind(value)
            setattr(tools, name, given if low is None else min(max(given, low), high))
            desk.redraw()

        return act

    def flips(name: str) -> Callable[[], None]:
        def act() -> None:
            setattr(tools, name, not getattr(tools, name))
            desk.redraw()

        return act

    def grey_reset() -> None:
        tools.brightness, tools.width = 0.0, 1.0
        desk.redraw()

    return {
        "save": lambda: desk.answer("save"),
        "nothing_here": lambda sure=False: desk.answer("nothing_here", sure=sure is True),
        "equivocal": lambda: desk.answer("equivocal"),
        "skip": lambda: desk.answer("skip"),
        "unask": lambda: setattr(desk, "asking", ""),
        "next": desk.next,
        "rank": desk.rank,
        "cross": lambda: desk.next(crossed=True),
        "back": desk.back,
        "take_back": desk.take_back,
        "choose": lambda number, case=None: desk.choose(int(number), None if case is None else str(case)),
        "look_at": lambda case: desk.go_to_case(str(case)),
        "return": desk.return_to_query,
        "step": lambda slices: desk.step(int(slices)),
        "go_to": lambda number: desk.go_to(int(number)),
        "lesion": lambda number: desk.go_to_lesion(int(number)),
        "shift": lambda view, x, y: desk.shift(_view(view), float(x), float(y)),
        "zoom": lambda view, factor, x, y: desk.zoom(_view(view), float(factor), float(x), float(y)),
        "fit": desk.fit,
        "planes": lambda view="", x=0.5, y=0.5: desk.turn_plane(_view(view) if view else "", float(x), float(y)),
        "contrast": desk.next_contrast,
        "flicker": flips("swapped"),
        "hide": flips("hidden"),
        "show": lambda on: desk.show(on is True),
        "always": lambda: desk.show_always(not tools.always),
        "accept": desk.accept,
        "paint": lambda view, phase, points: desk.paint(_view(view), str(phase), _points(points)),
        "undo": desk.undo,
        "redo": desk.redo,
        "class": lambda number=None, value=None: desk.change_class(_whole(number), _whole(value)),
        "tool": lambda tool: setattr(tools, "tool", "erase" if tool == "erase" else "paint"),
        "erase": lambda: setattr(tools, "tool", "erase"),
        "value": lambda value: desk.paint_with(int(value)),
        "diameter": sets("diameter_mm", float, 1.0, 30.0),
        "opacity": sets("opacity", lambda per_cent: float(per_cent) / 100, 0.0, 1.0),
        "brightness": sets("brightness", lambda per_cent: float(per_cent) / 100, -1.0, 1.0),
        "width": sets("width", lambda per_cent: float(per_cent) / 100, 0.1, 3.0),
        "grey_reset": grey_reset,
        "register": lambda kind: desk.register_again(str(kind)),
        "cancel_training": desk.cancel_training,
        "take_over": desk.take_over,
    }


def _view(name: Any) -> str:
    if name not in VIEWS:
        raise ValueError(name)
    return str(name)


def _points(values: Any) -> list[tuple[float, float]]:
    return [(float(x), float(y)) for x, y in values][:500]


def _whole(value: Any) -> int | None:
    return None if value is None else int(value)
