"""Slicer's slice views as a workspace wants them, the layout with the strip below, and the colour legends."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from LMIALLib.scene.layout import LAYOUT, TAGS, layout_xml, unlink

STRIP = "lmialstrip"
"""Element of the layout in which the strip stands."""


PLACES = ((0.5, 0.93, "centre"), (0.02, 0.5, "left"), (0.98, 0.5, "right"), (0.5, 0.99, "top"), (0.5, 0.01, "bottom"))
"""Of the title and of the letters in a view: fractions from the lower left corner, and the edge they lean on."""


def _text(widget: Any, place: tuple[float, float, str]) -> Any:
    """A text in a slice view; there is none to see until something is written."""
    import vtk

    x, y, lean = place
    actor = vtk.vtkTextActor()
    actor.GetPositionCoordinate().SetCoordinateSystemToNormalizedViewport()
    actor.SetPosition(x, y)
    style = actor.GetTextProperty()
    style.SetFontSize(15)
    style.SetColor(0.95, 0.95, 0.85)
    style.ShadowOn()
    style.SetJustification({"left": 0, "right": 2}.get(lean, 1))
    style.SetVerticalJustification({"bottom": 0, "top": 2}.get(lean, 1))
    widget.sliceView().renderWindow().GetRenderers().GetFirstRenderer().AddViewProp(actor)
    return actor


def _ring(widget: Any) -> Any:
    """A thin ring in a slice view, in pixels; not to be seen yet."""
    import vtk

    source = vtk.vtkRegularPolygonSource()
    source.SetNumberOfSides(60)
    source.GeneratePolygonOff()
    mapper = vtk.vtkPolyDataMapper2D()
    mapper.SetInputConnection(source.GetOutputPort())
    actor = vtk.vtkActor2D()
    actor.SetMapper(mapper)
    actor.GetProperty().SetColor(0.22, 0.78, 0.85)
    actor.GetProperty().SetOpacity(0.75)
    actor.VisibilityOff()
    widget.sliceView().renderWindow().GetRenderers().GetFirstRenderer().AddViewProp(actor)
    return actor


class SliceView:
    """One of our slice views; `scene.screen.View`.

    Args:
        widget: qMRMLSliceWidget.
    """

    def __init__(self, widget: Any) -> None:
        self._widget = widget
        self.node = widget.mrmlSliceNode()
        self.composite = widget.mrmlSliceCompositeNode()
        self._words: tuple[str, ...] = ()
        self._actors: list[Any] = []
        self._ring: Any = None
        self._ringed: list[float] = []

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in pixels."""
        width, height = self.node.GetDimensions()[:2]
        return max(int(width), 10), max(int(height), 10)

    def show(self, background: Any, foreground: Any = None, opacity: float = 0.0) -> None:
        """Show volume nodes; None shows nothing."""
        self.composite.SetBackgroundVolumeID(background.GetID() if background is not None else None)
        self.composite.SetForegroundVolumeID(foreground.GetID() if foreground is not None else None)
        self.composite.SetForegroundOpacity(opacity)
        self._widget.sliceView().scheduleRender()

    @property
    def window(self) -> Any:
        """The vtkRenderWindow of the view; it sends EndEvent when it was drawn."""
        return self._widget.sliceView().renderWindow()

    @property
    def visible(self) -> bool:
        """Whether the view is on the screen: a reader may enlarge one of them."""
        return bool(self._widget.visible)

    def ring(self, place: list[float]) -> None:
        """Ring a spot: x and y of its centre, half its width and height as fractions of the view; nothing for none."""
        if place == self._ringed:
            return
        self._ringed = place
        if self._ring is None:
            self._ring = _ring(self._widget)
        self._ring.SetVisibility(bool(place))
        if place:
            width, height = self.size
            source = self._ring.GetMapper().GetInputAlgorithm()
            source.SetCenter(place[0] * width, place[1] * height, 0.0)
            source.SetRadius(place[2] * width)
        self._widget.sliceView().scheduleRender()

    def write(self, title: str, letters: tuple[str, str, str, str]) -> None:
        """Write a title above the image, and letters at its left, right, top and bottom edge."""
        words = (title, *letters)
        if words == self._words:
            return
        self._words = words
        if not self._actors:
            self._actors = [_text(self._widget, place) for place in PLACES]
        for actor, word in zip(self._actors, words, strict=True):
            actor.SetInput(word)
        self._widget.sliceView().scheduleRender()

    def wipe(self) -> None:
        """Show nothing, and take the texts away."""
        renderer = self._widget.sliceView().renderWindow().GetRenderers().GetFirstRenderer()
        for actor in self._actors:
            renderer.RemoveViewProp(actor)
        if self._ring is not None:
            renderer.RemoveViewProp(self._ring)
        self._words, self._actors, self._ring, self._ringed = (), [], None, []
        self.show(None)

    def refresh(self) -> None:
        """Draw again what is shown."""
        self._widget.sliceView().scheduleRender()


class Layout:
    """Our layout: shown while a study is open, and what was there before put back."""

    def __init__(self, strip: Any) -> None:
        import slicer

        self._before: int | None = None
        self._strip = strip
        self._factory = slicer.qSlicerSingletonViewFactory()
        self._factory.setTagName(STRIP)
        self._factory.setWidget(strip)
        slicer.app.layoutManager().registerViewFactory(self._factory)

    def show(self, *, prior_left: bool) -> dict[str, SliceView]:
        """Switch to our layout; our views by name."""
        import slicer

        manager = slicer.app.layoutManager()
        node = manager.layoutLogic().GetLayoutNode()
        xml = f'<layout type="vertical" split="true"><item splitSize="880">{layout_xml(prior_left=prior_left)}</item>'
        xml += f'<item splitSize="120"><{STRIP}></{STRIP}></item></layout>'
        if node.IsLayoutDescription(LAYOUT):
            node.SetLayoutDescription(LAYOUT, xml)
        else:
            node.AddLayoutDescription(LAYOUT, xml)
        if manager.layout != LAYOUT:
            self._before = manager.layout
        manager.setLayout(LAYOUT)
        node.SetSaveWithScene(False)  # a Slicer that does not know our layout would load the scene and show no view
        views = {name: SliceView(manager.sliceWidget(tag)) for name, tag in TAGS.items()}
        for view in views.values():
            view.node.SetSaveWithScene(False)
            view.composite.SetSaveWithScene(False)
        unlink([view.composite for view in views.values()])
        return views

    def put_back(self) -> None:
        """Show again what the user had."""
        import slicer

        manager = slicer.app.layoutManager()
        if manager is not None and self._before is not None:
            manager.layoutLogic().GetLayoutNode().SetSaveWithScene(True)
            if manager.layout == LAYOUT:
                manager.setLayout(self._before)
        self._before = None

    def forget(self) -> None:
        """The strip goes. Slicer keeps the factory, which Python cannot unregister; a newer one comes before it."""
        self._factory.setWidget(None)
        self._strip.setParent(None)
        self._strip.deleteLater()


@contextmanager
def waiting() -> Iterator[None]:
    """Show the pointer that waits while something is done."""
    import qt

    qt.QApplication.setOverrideCursor(qt.QCursor(qt.Qt.WaitCursor))
    try:
        yield
    finally:
        qt.QApplication.restoreOverrideCursor()


def cursor(views: dict[str, SliceView]) -> tuple[str, float, float] | None:
    """The view of ours under the mouse and the place in it, as fractions from its lower left corner; else None."""
    import slicer

    crosshair = slicer.util.getNode("Crosshair")
    place = [0.0, 0.0, 0.0]
    node = crosshair.GetCursorPositionXYZ(place)
    for name, view in views.items():
        if node is not None and node.GetID() == view.node.GetID():
            return name, place[0] / view.size[0], place[1] / view.size[1]
    return None


def add_legend(volume: Any, title: str, view: SliceView) -> Any:
    """A colour legend of a volume in one view; it goes when the volume goes."""
    import slicer

    legend = slicer.modules.colors.logic().AddDefaultColorLegendDisplayNode(volume)
    legend.SetTitleText(title)
    legend.SetSize(0.07, 0.35)
    legend.SetPosition(0.98, 0.08)
    legend.SetNumberOfLabels(3)
    legend.SetLabelFormat("%.2g")
    for style in (legend.GetTitleTextProperty(), legend.GetLabelTextProperty()):
        style.SetFontSize(11)
    legend.SetSaveWithScene(volume.GetSaveWithScene())
    legend.SetViewNodeIDs([view.node.GetID()])
    return legend
