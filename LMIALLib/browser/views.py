"""Slice views of Slicer's MRML core whose images go to the page, and whose size comes from it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from trame_rca.utils import RcaViewAdapter
from trame_slicer.core import SlicerApp
from trame_slicer.rca_view.rca_view_factory import RcaRenderStrategy, RcaWindow
from trame_slicer.views import SliceView

from LMIALLib.browser.together import Together

MOST_PIXELS = 4_000_000
"""Of one image, which takes a hundred bytes each; a pane of a 4K screen has 2.5 million, a larger one is enlarged."""


class _Pane(RcaViewAdapter):
    """Tells when its size has changed, and takes no mouse event from anybody: those come as actions."""

    def __init__(self, *, resized: Callable[[], None], **options: Any) -> None:
        super().__init__(**options)
        self._resized = resized
        self.max_pixel_count = MOST_PIXELS

    def update_size(self, origin: str, size: dict[str, Any]) -> None:
        """The page says how large the pane is; ``size`` was checked (``asked.size``)."""
        super().update_size(origin, size)
        self._resized()

    def on_interaction(self, _: str, event: dict[str, Any]) -> None:
        """Nothing."""


class PageView:
    """One slice view on the page."""

    def __init__(self, app: SlicerApp, server: Any, name: str, resized: Callable[[], None], together: Together) -> None:
        self.name = name
        self._tell_resized = resized
        self.sized = False
        self._view = SliceView(scene=app.scene, app_logic=app.app_logic, name=f"LMIAL-{name}")
        self._view.set_background_color([6, 8, 10])
        # before any segmentation is drawn, else its translucent fill is laid on black instead of on the image
        self._view._render_manager._AddSliceActorToRendererIfNeeded()
        self.node = self._view.get_view_node()
        self._window = RcaWindow(self._view.render_window(), state=server.state, active_view_cursor=f"cursor_{name}")
        self._scheduler = together.add(name, self._window)
        self._view.set_scheduled_render(RcaRenderStrategy(self._scheduler))
        self.pane = _Pane(
            window=self._window,
            name=name,
            scheduler=self._scheduler,
            do_schedule_render_on_interaction=False,
            resized=self._resized,
        )
        self._fit_node()

    def _resized(self) -> None:
        self.sized = True
        self._fit_node()
        self._tell_resized()

    def _fit_node(self) -> None:
        width, height = self.size
        self._view.interactor().UpdateSize(width, height)
        self.node.SetDimensions(width, height, 1)

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in pixels."""
        width, height = self.pane.image_size if hasattr(self, "pane") else (300, 300)
        return max(int(width), 10), max(int(height), 10)

    def show(self, background: Any, foreground: Any = None, opacity: float = 0.0) -> None:
        """Show volume nodes; None shows nothing."""
        composite = self._view._logic.GetSliceCompositeNode()
        composite.SetBackgroundVolumeID(background.GetID() if background is not None else None)
        composite.SetForegroundVolumeID(foreground.GetID() if foreground is not None else None)
        composite.SetForegroundOpacity(opacity)
        self._scheduler.schedule_render()

    def refresh(self) -> None:
        """Draw and send the image again."""
        self._scheduler.schedule_render()
