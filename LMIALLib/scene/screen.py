"""The state that the parts of a workspace share: session, case on the screen, tools; nothing in it must survive.

Knows neither trame nor Qt.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

from LMIALLib.errors import BadInput, Do, Step
from LMIALLib.loop.lesions import DrawnLesion
from LMIALLib.loop.session import Session
from LMIALLib.queries.query import Query
from LMIALLib.scene.case_scene import CaseScene
from LMIALLib.study.answer import Answer


class View(Protocol):
    """What a workspace needs of a slice view."""

    node: Any

    def show(self, background: Any, foreground: Any = None, opacity: float = 0.0) -> None:
        """Show volume nodes; None shows nothing."""

    def refresh(self) -> None:
        """Draw again what is shown: writing into a label map asks no view to do so."""

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in pixels."""


@dataclass
class Tools:
    """How the reader's tools are set: everything here may be lost without harm."""

    tool: str = "paint"
    diameter_mm: float = 6.0
    value: int = 1
    opacity: float = 0.6
    showing: bool = False
    always: bool = False
    hidden: bool = False
    swapped: bool = False
    own_map: bool = False
    contrast: int = 0
    brightness: float = 0.0
    width: float = 1.0


@dataclass
class Screen:
    """A study in front of a reader.

    Args:
        scene: a vtkMRMLScene of our own.
        views: "baseline", "follow_up" and "difference".
        opening: opens the study as a session; its argument says whether to take it over from a living session.
        tools: how the reader's tools are set.
        clock: seconds, monotonic.
    """

    scene: Any
    views: Mapping[str, View]
    opening: Callable[[bool], Session]
    tools: Tools = field(default_factory=Tools)
    clock: Callable[[], float] = time.monotonic

    def __post_init__(self) -> None:
        self.session = self.opening(False)
        self.open: CaseScene | None = None
        self.queue: list[Query] = []
        self.answers: dict[int, Answer] = {}
        self.drafts: frozenset[int] = frozenset()
        self.notices: list[tuple[str, str]] = []
        self.asking = ""  # "nothing_here" or "accept": what the face has to ask in a dialog
        self.touched: tuple[float, float] | None = None  # row and column that the reader touched last
        self.measured: list[DrawnLesion] | None = None  # the lesions drawn on the slice at hand, while they are known

    @property
    def watching(self) -> bool:
        """Whether this session can only look."""
        return self.session.study.read_only

    @property
    def shown_slice(self) -> int | None:
        """Number of the slice on the screen, None while another plane or no case is shown."""
        if self.open is None or self.open.navigation.current != 0:
            return None
        return self.open.navigation.slice

    @property
    def paintable(self) -> bool:
        """Whether the slice at hand is on the screen, in the plane in which it was cut, and may be changed."""
        here = self.session.current
        if here is None or self.open is None or self.watching or self.tools.hidden:
            return False
        return self.shown_slice == here.slice

    def opened(self) -> CaseScene:
        """The case on the screen. BadInput where there is none."""
        if self.open is None:
            raise BadInput("No case is on the screen.", "Add one.", Step(Do.ADD, str(self.session.study.folder)))
        return self.open

    def point(self, view: str, x: float, y: float) -> np.ndarray:
        """RAS point (3,) under a place of a view, given as fractions from its lower left corner."""
        size = self.views[view].size
        return self.opened().navigation.point_at(x * size[0], y * size[1], size)

    def say(self, kind: str, sentence: str) -> None:
        """Queue a sentence for the reader: kind is info, good, warning or error."""
        self.notices.append((kind, sentence))

    def refresh(self) -> None:
        """Read anew what the study holds: the queue and the answers of the case on the screen."""
        self.queue = self.session.queue()
        if self.open is not None:
            self.answers = self.session.study.answers.current(self.open.case)
            self.drafts = frozenset(draft.slice for draft in self.session.study.drafts.all(self.open.case))
