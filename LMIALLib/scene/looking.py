"""What is on the screen of a face and where it looks; holds nothing that must survive. Knows neither trame nor Qt."""

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
from LMIALLib.scene.answering import Doubt
from LMIALLib.scene.case_scene import CaseScene, close_case, open_case
from LMIALLib.scene.drawing import Drawing
from LMIALLib.scene.edited import EditedDrawing
from LMIALLib.scene.images import VISITS, visit_node
from LMIALLib.scene.sight import Sight
from LMIALLib.study.answer import Answer


class View(Protocol):
    """What the desk needs of a slice view."""

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
class Looking:
    """A study in front of a reader.

    Args:
        scene: a vtkMRMLScene of our own.
        views: "baseline", "follow_up" and "difference".
        opening: opens the study as a session; its argument says whether to take it over from a living session.
        make_drawing: see `case_scene.open_case`.
        clock: seconds, monotonic.
    """

    scene: Any
    views: Mapping[str, View]
    opening: Callable[[bool], Session]
    tools: Tools = field(default_factory=Tools)
    make_drawing: Callable[..., Drawing | EditedDrawing] = Drawing
    clock: Callable[[], float] = time.monotonic

    def __post_init__(self) -> None:
        self.session = self.opening(False)
        self.open: CaseScene | None = None
        self.queue: list[Query] = []
        self.answers: dict[int, Answer] = {}
        self.drafts: frozenset[int] = frozenset()
        self.notices: list[tuple[str, str]] = []
        self.crossing: Query | None = None
        self.arriving = False  # nothing is ranked yet, and the reader has chosen no case
        self.asking = ""  # "nothing_here" or "accept": what the face has to ask in a dialog
        self.doubt: Doubt | None = None
        self.touched: tuple[float, float] | None = None
        self._overlaid: tuple[Any, ...] = ()
        self._measured: list[DrawnLesion] | None = None
        self._framed = False
        self._openings = 0
        self._came = 0.0  # when the slice at hand was put there, by the clock
        self.sight = Sight()

    @property
    def watching(self) -> bool:
        """Whether this session can only look."""
        return self.session.study.read_only

    def say(self, kind: str, sentence: str) -> None:
        """Queue a sentence for the reader: kind is info, good, warning or error."""
        self.notices.append((kind, sentence))

    def refresh(self) -> None:
        """Read anew what the study holds: the queue and the answers of the case on the screen."""
        self.queue = self.session.queue()
        if self.open is not None:
            self.answers = self.session.study.answers.current(self.open.case)
            self.drafts = frozenset(draft.slice for draft in self.session.study.drafts.all(self.open.case))

    def _case(self) -> CaseScene:
        if self.open is None:
            raise BadInput("No case is on the screen.", "Add one.", Step(Do.ADD, str(self.session.study.folder)))
        return self.open

    def _open_case(self, case: str) -> None:
        if self.open is not None and self.open.case == case:
            return
        self._put_away()
        painted = [self.views["follow_up"].node]
        self._openings += 1
        self.open = open_case(self.scene, self.session.study, case, painted, self.make_drawing)
        self.refresh()
        self.fit()

    def _put_away(self) -> None:
        """Take the case on the screen out of the scene."""
        if self.open is not None:
            for view in self.views.values():
                view.show(None)
            close_case(self.scene, self.open.case)
        self.open = None
        self.tools.contrast = 0
        self._overlaid = ()

    def _unseen(self) -> frozenset[int]:
        """Slices of the case on the screen of which nothing that the network thinks may be known yet."""
        here, case = self.session.current, self._case().case
        by_lot = here is not None and here.case == case and here.query is not None and here.query.drawn == "random"
        return self.session.hidden(case) | ({here.slice} if by_lot and here is not None else frozenset())

    def _take_maps(self) -> None:
        """Show the maps that belong to the slice at hand; no maps of slices that may not be shown yet."""
        opened, here = self._case(), self.session.current
        hidden = self._unseen()
        own = self.tools.own_map
        opinion = None if not here else self.session.network_opinion() if own else self.session.opinion()
        key = (opinion.ranking if opinion else None, hidden, own)
        if key == self._overlaid:
            return
        self._overlaid = key
        if opinion is None:
            opened.overlays.clear()
        else:
            opened.overlays.show(opinion.probability, opinion.uncertainty, hidden)

    def _show_answers(self) -> None:
        """Answers of the other slices, and above them what was drawn there and not saved."""
        drafts = {one.slice: one.mask for one in self.session.study.drafts.all(self._case().case)}
        self._case().drawing.show_answers({number: one.mask for number, one in self.answers.items()} | drafts)

    def point(self, view: str, x: float, y: float) -> np.ndarray:
        """RAS point (3,) under a place of a view, given as fractions from its lower left corner."""
        size = self.views[view].size
        return self._case().navigation.point_at(x * size[0], y * size[1], size)

    def go_to(self, number: int) -> None:
        """Show a slice without putting it under the reader's hand."""
        self._case().navigation.go_to(number)
        self.redraw()

    def step(self, slices: int) -> None:
        """Scroll."""
        self._case().navigation.step(slices)
        self.redraw()

    def return_to_query(self) -> None:
        """Show the slice at hand again."""
        if self.session.current is not None and self.open is not None:
            self.open.navigation.turn(0)
            self.open.navigation.go_to(self.session.current.slice)
            self.redraw()

    def shift(self, view: str, x: float, y: float) -> None:
        """Move the image by fractions of a view."""
        width, height = self.views[view].size
        navigation = self._case().navigation
        self._framed = False
        navigation.shift(x * width * navigation.mm_per_pixel, y * height * navigation.mm_per_pixel)
        self.redraw()

    def zoom(self, view: str, factor: float, x: float, y: float) -> None:
        """Zoom about a place of a view."""
        self._framed = False
        self._case().navigation.zoom(factor, self.point(view, x, y))
        self.redraw()

    def fit(self) -> None:
        """Show the whole brain."""
        if self.open is not None:
            self._frame()
            self.redraw()

    def _frame(self) -> None:
        self._framed = True
        self._case().navigation.fit(self._case().images.pair.mask, self.views["follow_up"].size)

    def size_changed(self) -> None:
        """A view has another size: where the whole brain was shown it is again, what the reader zoomed to stays."""
        if self.open is not None and self._framed:
            self._frame()
        self.redraw()

    def looked(self, place: int, seconds: float) -> None:
        """The face says that a place (`sight.Place.number`) has been drawn in all views for so many seconds."""
        self.sight.looked(place, seconds)

    @property
    def pair_shown(self) -> str:
        """Names the images on the screen; another name, other images. Empty while none are."""
        return f"{self.open.case} {self._openings}" if self.open is not None else ""

    @property
    def shown_slice(self) -> int | None:
        """Number of the slice on the screen, None while another plane or no case is shown."""
        if self.open is None or self.open.navigation.current != 0:
            return None
        return self.open.navigation.slice

    def _note_place(self) -> None:
        if self.open is not None:
            size = self.views["follow_up"].size
            self.sight.move(
                self.open.case, self.pair_shown, self.open.navigation, size, follow_up_shown=not self.tools.swapped
            )

    def turn_plane(self, view: str = "", x: float = 0.5, y: float = 0.5) -> None:
        """Show the next plane through the crosshair: the place under the pointer, or the middle."""
        opened = self._case()
        opened.navigation.turn(through=self.point(view, x, y) if view else None)
        self.redraw()

    def next_contrast(self) -> None:
        """Show both visits in their next contrast."""
        opened = self._case()
        if len(opened.images.contrasts) == 1:
            self.say("info", "This pair has one contrast.")
        self.tools.contrast = (self.tools.contrast + 1) % len(opened.images.contrasts)
        self.redraw()

    def show(self, on: bool) -> None:
        """Show suggestion and uncertainty, or clean images again; the first look is noted in the answer."""
        self.tools.showing = on
        if on and self.session.current is not None and self.session.suggestion() is None:
            self.say("info", self.why_no_suggestion)
        self.redraw()

    def show_always(self, on: bool) -> None:
        """Keep suggestion and uncertainty shown on every slice, or only while the key is held."""
        self.tools.always = on
        self.show(False)
        if on and self.session.current is not None and self.session.suggestion() is None:
            self.say("info", self.why_no_suggestion)

    @property
    def why_no_suggestion(self) -> str:
        """Why nothing is shown for the slice at hand."""
        here = self.session.current
        by_lot = here is not None and here.slice in self.session.hidden(here.case)
        return (
            "Chosen at random: the suggestion stays hidden until you have answered."
            if by_lot
            else "The network has made no suggestion yet."
        )

    def redraw(self) -> None:
        """Give every view its volumes and its place."""
        opened = self.open
        if opened is None:
            return
        tools, images = self.tools, opened.images
        contrast = images.contrasts[tools.contrast]
        visits = {
            visit: visit_node(self.scene, self.session.study, opened.case, images, contrast, visit) for visit in VISITS
        }
        for (name, visit), node in images.nodes.items():
            low, high = images.windows[name, visit]
            middle, half = (low + high) / 2 - tools.brightness * (high - low), (high - low) / 2 * tools.width
            node.GetDisplayNode().SetWindowLevelMinMax(middle - half, middle + half)
        visible = (tools.showing or tools.always) and not tools.hidden
        opened.overlays.suggestion.GetDisplayNode().SetVisibility(visible)
        opened.drawing.node.GetDisplayNode().SetVisibility(not tools.hidden)
        self.views["baseline"].show(visits["baseline"])
        self.views["follow_up"].show(
            visits["baseline" if tools.swapped else "follow_up"],
            opened.overlays.uncertainty if visible else None,
            tools.opacity,
        )
        self.views["difference"].show(images.difference)
        opened.navigation.apply([view.node for view in self.views.values()])
        self._note_place()
