"""What keys and buttons can ask of the workspace, by the names of the one table of shortcuts."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from LMIALLib.scene.segment_editor import SegmentEditor
from LMIALLib.scene.workspace import Workspace
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
    "tighter_lesion", "wider_lesion",
)  # fmt: skip
"""Actions that mean nothing while no case is on the screen."""

PUT_AWAY = (
    "next", "finish", "cross", "back", "choose", "look_at", "take_back", "register",
    *(action for action, kind in KIND_OF.items() if not kind.settles),
)  # fmt: skip
"""Actions that would put away what is drawn and could not be kept."""

Cursor = Callable[[], tuple[str, float, float] | None]


def actions_of(workspace: Workspace, drawer: SegmentEditor, cursor: Cursor) -> dict[str, Callable[..., None]]:
    """Name to call; ``cursor`` gives the view under the mouse and the place in it, as `views.cursor` does."""
    answering, presenting, jobs = workspace.answering, workspace.presenting, workspace.jobs
    finishing, lesion_list = workspace.finishing, workspace.lesion_list
    actions: dict[str, Callable[..., None]] = {
        **{action: partial(answering.answer, action) for action in KIND_OF},
        "nothing_here": lambda sure=False: answering.answer("nothing_here", sure=sure),
        "take_back": answering.take_back,
        "next": presenting.next,
        "cross": lambda: presenting.next(crossed=True),
        "back": presenting.back,
        "choose": presenting.choose,
        "look_at": presenting.go_to_case,
        "others": drawer.edit_others,
        "rank": jobs.rank,
        "by_difference": jobs.rank_by_difference,
        "register": jobs.register_again,
        "region": jobs.change_region,
        "train": lambda: workspace.session.learning.train_when_possible(),
        "cancel_training": jobs.cancel_training,
        "sweep": finishing.sweep,
        "pace": finishing.next_pace,
        "finish": finishing.finish,
        "reopen": finishing.reopen,
        "lesion": lesion_list.go_to,
        "accept_lesion": lesion_list.accept,
        "reject_lesion": lesion_list.reject,
        "tighter_lesion": lesion_list.tighter,
        "wider_lesion": lesion_list.wider,
        "take_back_lesion": lesion_list.take_back,
        "take_over": workspace.take_over,
    }
    return actions | _of_images(workspace, cursor)


def _of_images(workspace: Workspace, cursor: Cursor) -> dict[str, Callable[..., None]]:
    """What is done with the images and the label on them."""
    screen, viewing, maps, painting = workspace.screen, workspace.viewing, workspace.maps, workspace.painting
    tools = screen.tools

    def flips(name: str) -> Callable[[], None]:
        def act() -> None:
            setattr(tools, name, not getattr(tools, name))
            viewing.redraw()

        return act

    def opacity(value: float) -> None:
        tools.opacity = min(max(float(value), 0.0), 1.0)
        viewing.redraw()

    def planes() -> None:
        viewing.turn_plane(*(cursor() or ()))

    def change_class(number: int | None = None) -> None:
        there = cursor()
        if number is None and there is not None and screen.open is not None:
            _, row, column = screen.open.navigation.plane.place(screen.point(*there))
            screen.touched = row, column
        painting.change_class(number)

    return {
        "return": viewing.return_to_query,
        "go_to": viewing.go_to,
        "fit": viewing.fit,
        "planes": planes,
        "contrast": viewing.next_contrast,
        "flicker": flips("swapped"),
        "hide": flips("hidden"),
        "show": maps.show,
        "always": maps.show_always,
        "own_map": maps.flip_own_map,
        "opacity": opacity,
        "legends": viewing.redraw,
        "accept": painting.accept,
        "class": change_class,
    }


def texts_of(values: dict[str, Any]) -> dict[str, str]:
    """The lines of text of the face, from `scene.view_state`: banner, query, details."""
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
