"""The case on the screen and where its views look: scrolling, zooming, planes, contrasts, and what was seen of it."""

from __future__ import annotations

from LMIALLib.scene.case_scene import close_case, open_case
from LMIALLib.scene.images import VISITS, visit_node
from LMIALLib.scene.label import LabelMaker
from LMIALLib.scene.screen import Screen
from LMIALLib.scene.sight import Sight


class Viewing:
    """Puts a case on the screen and moves its views together.

    Args:
        screen: what is on the screen.
        maker: draws the labels of cases.
    """

    def __init__(self, screen: Screen, maker: LabelMaker) -> None:
        self._screen, self._maker = screen, maker
        self.sight = Sight()
        self.framed = False  # the whole brain is shown, as a slice that was just put there has it
        self._openings = 0
        self._moving = False

    # The case --------------------------------------------------------------------------------------------------

    @property
    def pair_shown(self) -> str:
        """Names the images on the screen; another name, other images. Empty while none are."""
        return f"{self._screen.open.case} {self._openings}" if self._screen.open is not None else ""

    def open_case(self, case: str) -> None:
        """Put a case on the screen, unless it is there already."""
        screen = self._screen
        if screen.open is None or screen.open.case != case:
            self.put_away()
            self._openings += 1
            painted = [screen.views["follow_up"].node]
            screen.open = open_case(screen.scene, screen.session.study, case, painted, self._maker.new_label)
            screen.refresh()
            self.fit()
        self._maker.case_opened()

    def put_away(self) -> None:
        """Take the case on the screen out of the scene."""
        screen = self._screen
        if screen.open is not None:
            for view in screen.views.values():
                view.show(None)
            close_case(screen.scene, screen.open.case)
        screen.open = None
        screen.tools.contrast = 0

    def show_answers(self) -> None:
        """Show the answers of the other slices, and above them what was drawn there and not saved."""
        screen, opened = self._screen, self._screen.opened()
        drafts = {one.slice: one.mask for one in screen.session.study.drafts.all(opened.case)}
        opened.drawing.show_answers({number: one.mask for number, one in screen.answers.items()} | drafts)

    # Where the views look --------------------------------------------------------------------------------------

    def go_to(self, number: int) -> None:
        """Show a slice without putting it under the reader's hand."""
        self._screen.opened().navigation.go_to(number)
        self.redraw()

    def go_to_spot(self, number: int, spot: tuple[float, float]) -> None:
        """Show a slice of the plane in which slices are counted, with a spot (row, column) of it in the middle."""
        navigation = self._screen.opened().navigation
        self.framed = False
        navigation.turn(0)
        navigation.go_to(number, spot)
        self.redraw()

    def step(self, slices: int) -> None:
        """Scroll."""
        self._screen.opened().navigation.step(slices)
        self.redraw()

    def return_to_query(self) -> None:
        """Show the slice at hand again."""
        here, opened = self._screen.session.current, self._screen.open
        if here is not None and opened is not None:
            opened.navigation.turn(0)
            opened.navigation.go_to(here.slice)
            self.redraw()

    def shift(self, view: str, x: float, y: float) -> None:
        """Move the image by fractions of a view."""
        width, height = self._screen.views[view].size
        navigation = self._screen.opened().navigation
        self.framed = False
        navigation.shift(x * width * navigation.mm_per_pixel, y * height * navigation.mm_per_pixel)
        self.redraw()

    def zoom(self, view: str, factor: float, x: float, y: float) -> None:
        """Zoom about a place of a view."""
        self.framed = False
        self._screen.opened().navigation.zoom(factor, self._screen.point(view, x, y))
        self.redraw()

    def fit(self) -> None:
        """Show the whole brain."""
        if self._screen.open is not None:
            self.frame()
            self.redraw()

    def frame(self) -> None:
        """Let the views look at the whole brain from the next drawing on."""
        opened = self._screen.opened()
        self.framed = True
        opened.navigation.fit(opened.images.pair.mask, self._screen.views["follow_up"].size)

    def turn_plane(self, view: str = "", x: float = 0.5, y: float = 0.5) -> None:
        """Show the next plane through the crosshair: the place under the pointer, or the middle."""
        opened = self._screen.opened()
        opened.navigation.turn(through=self._screen.point(view, x, y) if view else None)
        self.redraw()

    def size_changed(self) -> None:
        """A view has another size: where the whole brain was shown it is again, what the reader zoomed to stays."""
        if self._screen.open is not None and self.framed:
            self.frame()
        self.redraw()

    def view_moved(self, view: str) -> None:
        """A reader scrolled, moved or zoomed a view by its own means: the other views follow."""
        screen = self._screen
        if screen.open is None or self._moving:
            return
        self._moving = True
        try:
            if screen.open.navigation.adopt(screen.views[view].node):
                self.framed = False
                self._note_place()
                screen.open.navigation.apply([one.node for name, one in screen.views.items() if name != view])
        finally:
            self._moving = False

    # What they show --------------------------------------------------------------------------------------------

    def next_contrast(self) -> None:
        """Show both visits in their next contrast."""
        contrasts = self._screen.opened().images.contrasts
        if len(contrasts) == 1:
            self._screen.say("info", "This pair has one contrast.")
        self._screen.tools.contrast = (self._screen.tools.contrast + 1) % len(contrasts)
        self.redraw()

    def redraw(self) -> None:
        """Give every view its volumes and its place; none of them counts as moved by the reader by that."""
        if self._screen.open is None:
            return
        self._moving, before = True, self._moving
        try:
            self._draw()
        finally:
            self._moving = before

    def _draw(self) -> None:
        screen, opened = self._screen, self._screen.opened()
        tools, images, views = screen.tools, opened.images, screen.views
        contrast = images.contrasts[tools.contrast]
        visits = {
            visit: visit_node(screen.scene, screen.session.study, opened.case, images, contrast, visit)
            for visit in VISITS
        }
        for (name, visit), node in images.nodes.items():
            low, high = images.windows[name, visit]
            middle, half = (low + high) / 2 - tools.brightness * (high - low), (high - low) / 2 * tools.width
            node.GetDisplayNode().SetWindowLevelMinMax(middle - half, middle + half)
        visible = (tools.showing or tools.always) and not tools.hidden
        opened.overlays.suggestion.GetDisplayNode().SetVisibility(visible)
        opened.drawing.node.GetDisplayNode().SetVisibility(not tools.hidden)
        views["baseline"].show(visits["baseline"])
        views["follow_up"].show(
            visits["baseline" if tools.swapped else "follow_up"],
            opened.overlays.uncertainty if visible else None,
            tools.opacity,
        )
        views["difference"].show(images.difference)
        opened.navigation.apply([view.node for view in views.values()])
        self._note_place()

    def _note_place(self) -> None:
        opened, size = self._screen.opened(), self._screen.views["follow_up"].size
        follow_up_shown = not self._screen.tools.swapped
        self.sight.move(opened.case, self.pair_shown, opened.navigation, size, follow_up_shown=follow_up_shown)
