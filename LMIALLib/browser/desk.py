"""What a reader does at the browser face, as plain calls: a session, a case in a scene, and views. Knows no trame.

The desk holds what is on the screen and nothing that must survive: answers and drafts are in the study at once.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

from LMIALLib.errors import BadInput, LMIALError
from LMIALLib.loop.lesions import DrawnLesion, drawn_lesions, next_class
from LMIALLib.loop.session import Session
from LMIALLib.queries.ranking import Query
from LMIALLib.scene.case_scene import CaseScene, close_case, open_case
from LMIALLib.scene.images import VISITS, visit_node
from LMIALLib.study.annotations import Annotation
from LMIALLib.study.lease import SessionTakenOver

ZOOM_TO_QUERY = 1.35
"""How much closer than the whole brain a query opens."""


class View(Protocol):
    """What the desk needs of a slice view."""

    node: Any

    def show(self, background: Any, foreground: Any = None, opacity: float = 0.0) -> None:
        """Show volume nodes; None shows nothing."""

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
    contrast: int = 0
    brightness: float = 0.0
    width: float = 1.0


@dataclass
class Desk:
    """One reader in front of one study.

    Args:
        scene: a vtkMRMLScene of our own.
        views: "baseline", "follow_up" and "difference".
        opening: opens the study as a session; its argument says whether to take it over from a living session.
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
        self.answers: dict[int, Annotation] = {}
        self.drafts: frozenset[int] = frozenset()
        self.notices: list[tuple[str, str]] = []
        self.crossing: Query | None = None
        self.asking = ""
        self.touched: tuple[float, float] | None = None
        self._last: tuple[float, float] | None = None
        self._overlaid: tuple[Any, ...] = ()
        self._measured: list[DrawnLesion] | None = None
        self._framed: Query | str = ""

    # Opening ---------------------------------------------------------------------------------------------------

    @property
    def watching(self) -> bool:
        """Whether this session can only look."""
        return self.session.study.read_only

    def start(self) -> None:
        """Show the first query, or the first case while nothing is ranked; ranks where nothing was ranked yet."""
        self.refresh()
        if self.session.study.latest_ranking() is None and not self.watching and self.session.study.cases():
            self.session.learning.request_ranking()
            self.say("info", "Ranking the slices for the first time ...")
        if self.queue and not self.watching:
            self.next()
        elif self.session.study.cases():
            self.look_at(self.queue[0].case if self.queue else self.session.study.cases()[0].name)

    def refresh(self) -> None:
        """Read anew what the study holds: the queue and the answers of the case on the screen."""
        self.queue = self.session.queue()
        if self.open is not None:
            self.answers = self.session.study.current(self.open.case)
            self.drafts = frozenset(draft.slice for draft in self.session.study.drafts(self.open.case))

    def look_at(self, case: str) -> None:
        """Put a case on the screen, without any slice under the reader's hand."""
        self._open_case(case)
        self._show_answers()
        self.redraw()

    def go_to_case(self, case: str) -> None:
        """Go on in another case: its first query, or its slices to look at where nothing waits."""
        self.session.study.case(case)
        self.refresh()
        first = next((query for query in self.queue if query.case == case), None)
        if first is None or self.watching:
            self.session.current = None
            self.look_at(case)
        else:
            self.session.present(case, first.slice, first)
            self._present(first)

    def take_over(self) -> None:
        """Annotate here from now on; the session that held the study can save no more."""
        mask = self.open.drawing.mask if self.open and self.open.drawing.slice is not None else None
        here = self.session.current
        reader = self.session.reader
        self._end_session()
        self.session = self.opening(True)
        self.session.reader = reader or self.session.reader
        self.asking = ""
        self.refresh()
        if here is not None and mask is not None:  # what was drawn when the study was taken away
            self.session.choose(here.case, here.slice)
            self._present(None)
            if self.open is not None and self.open.drawing.replace(mask):
                self._keep_draft()
        else:
            self.next()

    def lost(self, sentence: str) -> None:
        """Another session took the study: look on, keep what is drawn on the screen."""
        here, reader = self.session.current, self.session.reader
        self._end_session()
        self.session = self.opening(False)
        self.session.reader, self.session.current = reader, here
        self.say("warning", sentence)

    def _end_session(self) -> None:
        with suppress(LMIALError):
            self.session.close()
        with suppress(LMIALError):
            self.session.study.close()

    def close(self) -> None:
        """Keep what is drawn as a draft, end the worker, give the study back."""
        if self.open is not None and self.session.current is not None and not self.watching:
            with suppress(LMIALError):
                self._keep_draft()
        self._end_session()

    def say(self, kind: str, sentence: str) -> None:
        """Queue a sentence for the reader: kind is info, good, warning or error."""
        self.notices.append((kind, sentence))

    # Slices under the reader's hand ------------------------------------------------------------------------------

    def next(self, *, crossed: bool = False) -> None:
        """Present the next query; into another case only when the reader says so (``crossed``)."""
        self.refresh()
        self.crossing = None
        if not self.queue:
            self._nothing_left()
            return
        first = self.queue[0]
        if self.open is not None and first.case != self.open.case and not crossed:
            self.crossing = first
            self.session.current = None
            self.open.drawing.close_slice()
            return
        self.session.present(first.case, first.slice, first)
        self._present(first)

    def _nothing_left(self) -> None:
        self.session.current = None
        if self.open is not None:
            self.open.drawing.close_slice()
            self._show_answers()
        if self.session.study.latest_ranking() is not None:
            self.say("good", "Every slice is answered.")

    def choose(self, number: int, case: str | None = None) -> None:
        """Put a slice of the reader's choice under their hand."""
        case = case or self._case().case
        self.session.choose(case, number)
        assert self.session.current is not None
        self._present(self.session.current.query)

    def back(self) -> None:
        """Return to the slice answered before."""
        if self.session.back() is None:
            self.say("info", "There is no earlier answer of this sitting.")
            return
        self._present(None)

    def take_back(self) -> None:
        """Withdraw the answer of the slice at hand."""
        here = self.session.current
        if here is None:
            return
        self.session.take_back()
        self.say("good", f"Slice {here.slice + 1} is in the pool again; what was said stays in the history.")
        self.choose(here.slice, here.case)

    def _present(self, query: Query | None) -> None:
        """Bring the session's present slice onto the screen: clean images first, an unsaved drawing back in place."""
        here = self.session.current
        assert here is not None
        self._open_case(here.case)
        opened = self._case()
        self.tools.showing = self.tools.hidden = self.tools.swapped = False
        self.refresh()
        self._take_maps()
        draft = self.session.study.draft(here.case, here.slice)
        answer = self.answers.get(here.slice)
        opened.drawing.slice = here.slice
        self._show_answers()
        opened.drawing.open_slice(here.slice, draft.mask if draft else answer.mask if answer else None)
        self._measured, self.touched, self.crossing, self.asking = None, None, None, ""
        if draft:
            self.say("info", f"What you drew before is back: a draft of {draft.saved_at[:16].replace('T', ' ')} UTC.")
        opened.navigation.turn(0)
        opened.navigation.go_to(here.slice)
        self._frame(query if query is not None and query.drawn == "strategy" else "brain")
        if self.tools.always:
            self.session.suggestion()
        self.redraw()

    def _frame(self, on: Query | str) -> None:
        """Zoom to the whole brain, and to a query of the strategy a little closer, on its most uncertain spot."""
        navigation, brain = self._case().navigation, self._case().images.pair.mask
        self._framed = on
        if isinstance(on, Query) and navigation.current == 0 and navigation.slice == on.slice:
            navigation.zoom_to(on.centre, ZOOM_TO_QUERY, brain, self.views["follow_up"].size)
        else:
            navigation.fit(brain, self.views["follow_up"].size)

    def _open_case(self, case: str) -> None:
        if self.open is not None and self.open.case == case:
            return
        if self.open is not None:
            for view in self.views.values():
                view.show(None)
            close_case(self.scene, self.open.case)
        self.open = None
        self.tools.contrast = 0
        self._overlaid = ()
        self.open = open_case(self.scene, self.session.study, case, [self.views["follow_up"].node])
        self.refresh()
        self.fit()

    def _take_maps(self) -> None:
        """Show the maps that belong to the slice at hand; no maps of slices that may not be shown yet."""
        opened, here = self._case(), self.session.current
        hidden = self.session.hidden(opened.case)
        if here is not None and here.query is not None and here.query.drawn == "random":
            hidden = hidden | {here.slice}
        opinion = self.session.opinion() if here else None
        key = (opinion.ranking if opinion else None, hidden)
        if key == self._overlaid:
            return
        self._overlaid = key
        if opinion is None:
            opened.overlays.clear()
        else:
            opened.overlays.show(opinion.probability, opinion.uncertainty, hidden)

    def _show_answers(self) -> None:
        self._case().drawing.show_answers({number: one.mask for number, one in self.answers.items()})

    # Answers -----------------------------------------------------------------------------------------------------

    def answer(self, what: str, *, sure: bool = False) -> None:
        """Say ``what`` of the slice at hand: save, nothing_here, equivocal, skip. On disk before the next one shows."""
        here = self.session.current
        if here is None:
            raise BadInput("No slice is under your hand.", "Choose one in the queue.")
        mask = self._case().drawing.mask
        if what == "save" and not mask.any():
            raise BadInput("Nothing is drawn on this slice.", "If nothing changed here, say so: N.")
        if what == "nothing_here" and mask.any() and not sure:
            self.asking = "nothing_here"
            return
        self.asking = ""
        if what == "save":
            done = self.session.save(mask)
        elif what == "nothing_here":
            done = self.session.nothing_here()
        elif what == "equivocal":
            done = self.session.equivocal(mask if mask.any() else None)
        else:
            done = self.session.skip()
        said = {"mask": "saved", "nothing": "nothing here", "equivocal": "equivocal", "skip": "skipped for now"}
        again = f", version {done.version}" if done.version > 1 else ""
        self.say("good", f"Slice {here.slice + 1}: {said[done.answer]}{again}.")
        if self.session.learning.trouble:
            self.say("warning", self.session.learning.trouble)
        self.next()

    # Drawing -----------------------------------------------------------------------------------------------------

    @property
    def paintable(self) -> bool:
        """Whether the slice at hand is on the screen, in the plane in which it was cut, and may be changed."""
        here = self.session.current
        if here is None or self.open is None or self.watching or self.tools.hidden:
            return False
        return self.open.navigation.current == 0 and self.open.navigation.slice == here.slice

    def paint(self, view: str, phase: str, points: list[tuple[float, float]]) -> None:
        """The brush goes along ``points`` (fractions of the view from its lower left corner); phase begin, go, end.

        Only the follow-up's view can be painted, and there only the slice at hand.
        """
        if view != "follow_up" or not self.paintable:
            self._last = None
            return
        opened = self._case()
        if phase == "begin":
            opened.drawing.begin_stroke()
            self._last = None
        elif self._last is None:
            return
        value = 0 if self.tools.tool == "erase" else self.tools.value
        for x, y in points:
            _, row, column = opened.navigation.plane.place(self.point(view, x, y))
            opened.drawing.stroke(self._last or (row, column), (row, column), self.tools.diameter_mm, value)
            self._last = (row, column)
        if self._last is not None:
            self.touched = self._last
        if phase == "end":
            self._last = None
            if opened.drawing.end_stroke():
                self._keep_draft()

    def undo(self) -> None:
        """Take the last step on this slice back."""
        if self.paintable and self._case().drawing.undo():
            self._keep_draft()

    def redo(self) -> None:
        """Do it again."""
        if self.paintable and self._case().drawing.redo():
            self._keep_draft()

    def accept(self) -> None:
        """Take the suggestion over as the label, as one undo step; classes given before stay."""
        if not self.paintable:
            return
        suggested = self.session.suggestion()
        if suggested is None:
            self.say("info", "There is no suggestion to take over on this slice.")
            return
        mask = self._case().drawing.mask
        if self._case().drawing.replace(np.where(suggested, np.where(mask > 0, mask, 1), 0).astype(np.uint8)):
            self._keep_draft()
        if not suggested.any():
            self.say("info", "The suggestion says that nothing changed on this slice.")

    def lesions(self) -> list[DrawnLesion]:
        """The lesions on the slice at hand, with the class that the difference proposes."""
        here = self.session.current
        if here is None or self.open is None or self.open.drawing.slice is None:
            return []
        if self._measured is None:
            pair = self.open.images.pair
            baseline, follow_up = (pair.stack(array)[here.slice] for array in (pair.baseline, pair.follow_up))
            self._measured = drawn_lesions(self.open.drawing.mask, baseline, follow_up, pair.in_plane_spacing)
        return self._measured

    def change_class(self, number: int | None = None, value: int | None = None) -> None:
        """Give a lesion a class: the one touched last unless ``number`` says which; the next class unless ``value``."""
        lesions = self.lesions()
        if not lesions or not self.paintable:
            return
        if number is None:
            number = self._touched_lesion(lesions)
        lesion = lesions[number]
        mask = self._case().drawing.mask
        mask[lesion.region] = value or next_class(lesion, self.session.study.label_schema)
        if self._case().drawing.replace(mask):
            self._keep_draft()

    def _touched_lesion(self, lesions: list[DrawnLesion]) -> int:
        if self.touched is None:
            return int(np.argmax([lesion.area_mm2 for lesion in lesions]))
        away = [
            float(np.min(((np.argwhere(lesion.region) - np.array(self.touched)) ** 2).sum(axis=1)))
            for lesion in lesions
        ]
        return int(np.argmin(away))

    def _keep_draft(self) -> None:
        """What is drawn goes to the disk as a draft; where it is the stored answer or nothing, no draft is kept."""
        here = self.session.current
        self._measured = None
        if here is None or self.watching:
            return
        mask = self._case().drawing.mask
        answer = self.answers.get(here.slice)
        known = answer.mask if answer and answer.mask is not None else np.zeros_like(mask)
        if np.array_equal(mask, known):
            if here.slice in self.drafts:
                self.session.study.drop_draft(here.case, here.slice)
                self.drafts = self.drafts - {here.slice}
        else:
            self.session.draft(mask)
            self.drafts = self.drafts | {here.slice}

    # Looking -----------------------------------------------------------------------------------------------------

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
        self._framed = ""
        navigation.shift(x * width * navigation.mm_per_pixel, y * height * navigation.mm_per_pixel)
        self.redraw()

    def zoom(self, view: str, factor: float, x: float, y: float) -> None:
        """Zoom about a place of a view."""
        self._framed = ""
        self._case().navigation.zoom(factor, self.point(view, x, y))
        self.redraw()

    def fit(self) -> None:
        """Show the whole brain."""
        if self.open is not None:
            self._frame("brain")
            self.redraw()

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

    def paint_with(self, value: int) -> None:
        """Paint this class from now on."""
        self.session.study.label_schema.name_of(value)
        self.tools.value = value

    @property
    def why_no_suggestion(self) -> str:
        """Why nothing is shown for the slice at hand."""
        here = self.session.current
        by_lot = here is not None and here.slice in self.session.hidden(here.case)
        return (
            "Drawn by lot: the suggestion stays hidden until you have answered."
            if by_lot
            else "The network has made no suggestion yet."
        )

    def size_changed(self) -> None:
        """A view has another size: what was framed is framed again, what the reader zoomed to stays."""
        if self.open is not None and self._framed:
            self._frame(self._framed)
        self.redraw()

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

    def _case(self) -> CaseScene:
        if self.open is None:
            raise BadInput("No case is on the screen.", "Add one: lmial add STUDY ...")
        return self.open

    # In the background -------------------------------------------------------------------------------------------

    def tick(self) -> list[tuple[Any, str]]:
        """Take in what the worker said; the slice under the reader's hand never moves. Call it from a timer."""
        from LMIALLib.loop.news import what_changed

        events = self.session.learning.poll()
        for job, event in events:
            if event == "ranked":
                before = self.queue
                self.refresh()
                if self.session.current is None and self.crossing is None and not self.watching:
                    self.next()
                else:
                    self.say("info", f"Ranked anew. {what_changed(before, self.queue, self.session.settings.batch)}")
            elif event == "model" and job.result is not None:
                told = " ".join(job.result["reasons"])
                if job.result["adopted"]:
                    self.say("good", "The network learned from your answers; the rest is being ranked again.")
                else:
                    self.say("info", f"The newly trained network is not used. {told}")
            elif event == "failed" and job.error is not None:
                self.say("error", str(job.error))
        return events

    def cancel_training(self) -> None:
        """Stop the running training; it is not begun again by itself."""
        self.session.learning.cancel_training()
        self.say("info", "Training is being cancelled; your answers are kept, and the next save trains again.")

    def look_around(self) -> None:
        """Notice that another session took the study; while watching, show what that session did."""
        study = self.session.study
        if not study.read_only and not study.still_ours():
            self.lost("This study was taken over by another session. What you drew stays on your screen.")
        elif study.read_only and self.open is not None:
            before = len(self.answers), len(self.queue)
            self.refresh()
            if before != (len(self.answers), len(self.queue)):
                self._show_answers()

    def stand(self) -> tuple[Any, ...]:
        """Changes whenever something happened in the background that the page shows."""
        job = self.session.learning.training
        return self.watching, len(self.queue), len(self.answers), job.state if job else "", self.open and self.open.case

    def guarded(self, action: Callable[[], None]) -> None:
        """Run an action of the reader; whatever goes wrong becomes a sentence."""
        try:
            action()
        except SessionTakenOver as error:
            self.lost(error.sentence[0].upper() + error.sentence[1:])
        except LMIALError as error:
            sentence = str(error)
            self.say("error", sentence[0].upper() + sentence[1:])
