"""What the annotating tab can ask of the workspace, by name, and what values each action takes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from LMIALLib.browser.asked import Check, Senseless, flag, fraction, number, one_of, or_none, points, taken, whole, word
from LMIALLib.scene.brush import Brush
from LMIALLib.scene.workspace import Workspace
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
    "tighter_lesion",
    "wider_lesion",
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


VIEW, COUNT = one_of(*VIEWS), whole(0, MOST)


def actions_of(workspace: Workspace, brush: Brush) -> dict[str, Action]:
    """What a tab can ask for, by name."""
    return (
        _of_answers(workspace)
        | _of_views(workspace)
        | _of_images(workspace)
        | _of_drawing(workspace, brush)
        | _of_patient(workspace)
        | _of_background(workspace)
    )


def _of_answers(workspace: Workspace) -> dict[str, Action]:
    """Which slice is at hand, and what is answered."""
    answering, presenting, sight = workspace.answering, workspace.presenting, workspace.viewing.sight
    return {
        **{action: Action(partial(answering.answer, action)) for action in KIND_OF},
        "nothing_here": Action(lambda sure=False: answering.answer("nothing_here", sure=sure), (flag,), 0),
        "looked": Action(lambda place, ms: sight.looked(place, ms / 1000), (COUNT, number(0, 1e9, clamp=True))),
        "unask": Action(lambda: setattr(workspace.screen, "asking", "")),
        "take_back": Action(answering.take_back),
        "next": Action(presenting.next),
        "cross": Action(lambda: presenting.next(crossed=True)),
        "back": Action(presenting.back),
        "choose": Action(presenting.choose, (COUNT, or_none(word)), 1),
        "look_at": Action(presenting.go_to_case, (word,)),
    }


def _of_views(workspace: Workspace) -> dict[str, Action]:
    """Where the views look."""
    viewing = workspace.viewing
    return {
        "return": Action(viewing.return_to_query),
        "step": Action(viewing.step, (whole(-MOST, MOST),)),
        "go_to": Action(viewing.go_to, (COUNT,)),
        "lesion": Action(workspace.lesion_list.go_to, (COUNT,)),
        "shift": Action(viewing.shift, (VIEW, fraction, fraction)),
        "zoom": Action(viewing.zoom, (VIEW, number(1e-3, 1e3), fraction, fraction)),
        "fit": Action(viewing.fit),
        "planes": Action(viewing.turn_plane, (one_of("", *VIEWS), fraction, fraction), 0),
    }


def _of_images(workspace: Workspace) -> dict[str, Action]:
    """What the views show, and how."""
    tools, viewing, maps = workspace.screen.tools, workspace.viewing, workspace.maps

    def flips(name: str) -> Action:
        def act() -> None:
            setattr(tools, name, not getattr(tools, name))
            viewing.redraw()

        return Action(act)

    def grey_reset() -> None:
        tools.brightness, tools.width = 0.0, 1.0
        viewing.redraw()

    return {
        "contrast": Action(viewing.next_contrast),
        "flicker": flips("swapped"),
        "hide": flips("hidden"),
        "show": Action(maps.show, (flag,)),
        "always": Action(lambda: maps.show_always(not tools.always)),
        "own_map": Action(maps.flip_own_map),
        "opacity": _sets(workspace, "opacity", 0.0, 1.0, 100),
        "brightness": _sets(workspace, "brightness", -1.0, 1.0, 100),
        "width": _sets(workspace, "width", 0.1, 3.0, 100),
        "grey_reset": Action(grey_reset),
    }


def _of_drawing(workspace: Workspace, brush: Brush) -> dict[str, Action]:
    """The label of the slice at hand."""
    tools, painting = workspace.screen.tools, workspace.painting

    def change_class(lesion: int | None = None, value: int | None = None) -> None:
        if lesion is not None and lesion >= len(painting.lesions()):
            raise Senseless
        if value is not None:
            workspace.session.study.label_schema.name_of(value)
        painting.change_class(lesion, value)

    return {
        "accept": Action(lambda touching=None: painting.accept(touching=touching), (flag,), 0),
        "paint": Action(brush.paint, (VIEW, one_of("begin", "go", "end"), points)),
        "undo": Action(painting.undo),
        "redo": Action(painting.redo),
        "class": Action(change_class, (or_none(COUNT), or_none(COUNT)), 0),
        "tool": Action(lambda tool: setattr(tools, "tool", tool), (one_of("paint", "erase"),)),
        "erase": Action(lambda: setattr(tools, "tool", "erase")),
        "value": Action(painting.paint_with, (COUNT,)),
        "diameter": _sets(workspace, "diameter_mm", 1.0, 30.0),
    }


def _of_patient(workspace: Workspace) -> dict[str, Action]:
    """The patient as a whole, and lesions as wholes."""
    finishing, lesion_list = workspace.finishing, workspace.lesion_list
    return {
        "sweep": Action(finishing.sweep),
        "pace": Action(finishing.next_pace),
        "finish": Action(finishing.finish),
        "reopen": Action(finishing.reopen),
        "accept_lesion": Action(lesion_list.accept, (COUNT,)),
        "tighter_lesion": Action(lesion_list.tighter, (COUNT,)),
        "wider_lesion": Action(lesion_list.wider, (COUNT,)),
        "reject_lesion": Action(lesion_list.reject, (COUNT,)),
        "take_back_lesion": Action(lesion_list.take_back),
    }


def _of_background(workspace: Workspace) -> dict[str, Action]:
    """What is computed meanwhile, and who holds the study."""
    jobs = workspace.jobs
    return {
        "rank": Action(jobs.rank),
        "by_difference": Action(jobs.rank_by_difference),
        "register": Action(jobs.register_again, (one_of("rigid", "affine"),)),
        "region": Action(jobs.change_region, (one_of("brain", "everything", "drawn"),)),
        "cancel_training": Action(jobs.cancel_training),
        "take_over": Action(workspace.take_over),
    }


def _sets(workspace: Workspace, name: str, low: float, high: float, scale: float = 1.0) -> Action:
    """An action that sets a tool; the page counts in steps of 1 / ``scale``."""

    def act(value: float) -> None:
        setattr(workspace.screen.tools, name, value / scale)
        workspace.viewing.redraw()

    return Action(act, (number(low * scale, high * scale, clamp=True),))
