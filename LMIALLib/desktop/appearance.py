"""What Slicer has around a case on the screen: the editor's volumes, legends, observers, its place in the hierarchy."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from LMIALLib.desktop.editor import Editor
from LMIALLib.desktop.views import SliceView, add_legend
from LMIALLib.scene.case_scene import CaseScene
from LMIALLib.scene.hierarchy import arrange, forget
from LMIALLib.scene.segment_editor import SegmentEditor
from LMIALLib.scene.workspace import Workspace


class Appearance:
    """Made when a case has come, made anew for the next one, taken away when the study closes.

    Args:
        editor: draws on the case.
        drawn: called after the segmentation changed, by whomever.
    """

    def __init__(self, editor: Editor, drawn: Callable[..., None]) -> None:
        self._editor, self._drawn = editor, drawn
        self._surrounded: CaseScene | None = None
        self._legends: list[Any] = []
        self._observed: list[tuple[Any, int]] = []

    def fit(self, workspace: Workspace, drawer: SegmentEditor, views: dict[str, SliceView]) -> None:
        """Surround the case on the screen with all this, unless that is done already."""
        import slicer
        from slicer.i18n import tr as _

        opened = workspace.open
        if opened is None or opened is self._surrounded:
            return
        self.take_off()
        self._surrounded = opened
        drawing = opened.drawing.node
        self._editor.edit(drawing, opened.images.nodes["", "follow_up"])
        drawer.edit_others(drawer.others)  # the editor took its masking from the node it had before
        for node in (drawing, opened.drawing.label):
            tag = node.AddObserver(slicer.vtkSegmentation.SourceRepresentationModified, self._drawn)
            self._observed.append((node, tag))
        self._legends = [
            add_legend(opened.images.difference, _("difference (robust SD)"), views["difference"]),
            add_legend(opened.overlays.uncertainty, _("uncertainty"), views["follow_up"]),
        ]
        dates = opened.images.pair.registration.get("dates", {})
        subject = workspace.session.study.cases.get(opened.case).subject
        arrange(slicer.mrmlScene, opened, subject, {name: str(value) for name, value in dates.items() if value})

    def show_legends(self, wanted: bool, *, overlay: bool) -> None:
        """Show the legend of the difference, and that of the uncertainty where its overlay is shown."""
        for legend, visible in zip(self._legends, (True, overlay), strict=False):
            legend.SetVisibility(wanted and visible)

    def take_off(self) -> None:
        """The case is about to go, or has gone."""
        import slicer

        for node, tag in self._observed:
            node.RemoveObserver(tag)
        if self._surrounded is not None:
            forget(slicer.mrmlScene, self._surrounded.case)
        self._surrounded, self._legends, self._observed = None, [], []
