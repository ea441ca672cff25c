"""What keys and buttons can ask of the desk, by the names of the one table of shortcuts."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from LMIALLib.scene.editing import EditorDesk
from LMIALLib.study.answer import KIND_OF

ANSWERS = tuple(action for action, kind in KIND_OF.items() if kind.settles)
"""Actions that say something of the slice; what is drawn on it is no draft any more."""
NEED_READER = (
    *KIND_OF, "take_back", "accept", "class", "sweep", "finish", "reopen",
    "accept_lesion", "reject_lesion", "take_back_lesion",
)  # fmt: skip
"""Actions that need to know who reads."""
NEED_CASE = (
    "accept", "class", "flicker", "planes", "contrast", "hide", "show", "fit", "go_to", "lesion", "return", "register",
    "region", "sweep", "finish", "reopen", "own_map", "accept_lesion", "reject_lesion", "take_back_lesion",
)  # fmt: skip
"""Actions that mean nothing while no case is on the screen."""

PUT_AWAY = (
    "next", "finish", "cross", "back", "choose", "look_at", "take_back", "register",
    *(action for action, kind in KIND_OF.items() if not kind.settles),
)  # fmt: skip
"""Actions that would put away what is drawn and could not be kept."""

Cursor = Callable[[], tuple[str, float, float] | None]


def actions_of(desk: EditorDesk, cursor: Cursor) -> dict[str, Callable[..., None]]:
    """Name to call; ``cursor`` tells the view under the mouse and the place in it, as `views.cursor` does."""
    tools = desk.tools

    def flips(name: str) -> Callable[[], None]:
        def act() -> None:
            setattr(tools, name, not getattr(tools, name))
            desk.redraw()

        return act

    def opacity(value: float) -> None:
        tools.opacity = min(max(float(value), 0.0), 1.0)
        desk.redraw()

    def planes() -> None:
        desk.turn_plane(*(cursor() or ()))

    def change_class(number: int | None = None) -> None:
        there = cursor()
        if number is None and there is not None and desk.open is not None:
            _, row, column = desk.open.navigation.plane.place(desk.point(*there))
            desk.touched = row, column
        desk.change_class(number)

    return {
        **{action: partial(desk.answer, action) for action in KIND_OF},
        "nothing_here": lambda sure=False: desk.answer("nothing_here", sure=sure),
        "next": desk.next,
        "cross": lambda: desk.next(crossed=True),
        "back": desk.back,
        "take_back": desk.take_back,
        "choose": desk.choose,
        "look_at": desk.go_to_case,
        "return": desk.return_to_query,
        "go_to": desk.go_to,
        "lesion": desk.go_to_lesion,
        "fit": desk.fit,
        "planes": planes,
        "contrast": desk.next_contrast,
        "flicker": flips("swapped"),
        "hide": flips("hidden"),
        "show": desk.show,
        "always": desk.show_always,
        "opacity": opacity,
        "legends": desk.redraw,
        "accept": desk.accept,
        "class": change_class,
        "others": desk.edit_others,
        "rank": desk.rank,
        "register": desk.register_again,
        "region": desk.change_region,
        "by_difference": desk.rank_by_difference,
        "sweep": desk.finishing.sweep,
        "pace": desk.finishing.next_pace,
        "finish": desk.finishing.finish,
        "reopen": desk.finishing.reopen,
        "own_map": desk.flip_own_map,
        "accept_lesion": desk.finishing.accept_lesion,
        "reject_lesion": desk.finishing.reject_lesion,
        "take_back_lesion": desk.finishing.take_back_lesion,
        "train": lambda: desk.session.learning.train_when_possible(),
        "cancel_training": desk.cancel_training,
        "take_over": desk.take_over,
    }


def told(values: dict[str, Any]) -> dict[str, str]:
    """The lines of text of the face, from `scene.shown`: banner, query, details."""
    from slicer.i18n import tr as _

    banner, query, look = values["banner"], values["query"], values["look"]
    unknown = _("date unknown")
    dates = _("PRIOR {prior}   CURRENT {current}").format(
        prior=banner["prior"] or unknown, current=banner["current"] or unknown
    )
    case = f"{banner['case']}, {banner['subject']}" if banner["case"] else _("no case")
    registration = banner["registration"] or {"text": "", "alarm": False}
    others = [one["title"] for one in banner["alarms"] if one["about"] != "registration"]
    line = _("No slice is under your hand.")
    if query["slice"]:
        line = _("Slice {slice} of {of}").format(slice=query["slice"], of=query["of"])
    if query["slice"] and query["rank"]:
        line += ", " + _("query {rank}").format(rank=query["rank"])
        line += ", " + _("score {score}").format(score=query["score"]) if query["score"] else ""
    away = _("away from the query") if look.get("away") else ""
    parts = [line, query["answered"], _("draft") if query.get("draft") else "", away]
    return {
        "banner": "   ".join(part for part in (case, dates, registration["text"], *others) if part),
        "query": "; ".join(part for part in parts if part),
        "reason": query["reason"],
        "patient": values["patient"]["sentence"],
        "details": "\n".join(f"{name}: {value}" for name, value in query["details"]),
    }
