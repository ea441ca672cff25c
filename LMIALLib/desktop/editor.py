"""Slicer's Segment Editor inside the module, with a node of its own and only the tools that obey masking."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from LMIALLib.scene.segment_editor_label import MASK_SEGMENT

TAG = "LMIAL"
"""Singleton tag of our editor node: the user's own Segment Editor keeps its selections."""
EFFECTS = ("Paint", "Erase", "Draw", "Level tracing", "Threshold", "Islands", "Smoothing", "Scissors", "Margin",
           "Grow from seeds")  # fmt: skip
"""In the order of their keys 1 to 0. Left out: Logical operators (can bypass masking), Hollow, Fill between slices and
Mask volume (act on other slices or on the image), and whatever other extensions bring."""
OWN_KEYS = {"Draw": ("A", "X")}
"""Effect to keys that it takes while it is active: Draw applies its outline with A and takes a point back with X."""
STEPS = 20
"""Steps of undo."""


def editor_node(scene: Any) -> Any:
    """Our vtkMRMLSegmentEditorNode of a scene, made where there is none."""
    node = scene.GetSingletonNode(TAG, "vtkMRMLSegmentEditorNode")
    if node is None:
        node = scene.CreateNodeByClass("vtkMRMLSegmentEditorNode")
        node.UnRegister(None)
        node.SetSingletonTag(TAG)
        node.SetSaveWithScene(False)  # in a loaded scene it would point at whatever has the id of our segmentation
        node = scene.AddNode(node)
    return node


class Editor:
    """The embedded qMRMLSegmentEditorWidget, and its undo history as `scene.segment_editor_label.History`.

    Args:
        layout: of the widget that holds it.
        effect_changed: called with the name of the effect that is active now, or with an empty string.
    """

    def __init__(self, layout: Any, effect_changed: Callable[[str], None]) -> None:
        import slicer

        self.widget = widget = slicer.qMRMLSegmentEditorWidget()
        widget.setMaximumNumberOfUndoStates(STEPS)
        self._effect, self._effect_changed = "", effect_changed
        self._tag = 0
        self._take_node(slicer.mrmlScene)
        widget.setMRMLSegmentEditorNode(self.node)  # before the scene, so that the first selections go there
        widget.setMRMLScene(slicer.mrmlScene)
        widget.setSegmentationNodeSelectorVisible(False)
        widget.setSourceVolumeNodeSelectorVisible(False)
        widget.setSwitchToSegmentationsButtonVisible(False)
        widget.setSpecifyGeometryButtonVisible(False)
        widget.setAddRemoveSegmentButtonsVisible(False)
        widget.setShow3DButtonVisible(False)
        widget.setMaskingSectionVisible(False)
        widget.setAutoShowSourceVolumeNode(False)  # it would replace what our views show
        widget.setJumpToSelectedSegmentEnabled(False)
        widget.setEffectNameOrder(list(EFFECTS))
        widget.unorderedEffectsVisible = False
        layout.addWidget(widget)
        slicer.util.findChild(widget, "SegmentsTableView").setHideSegments([MASK_SEGMENT])
        self._undo, self._redo = (slicer.util.findChild(widget, name) for name in ("UndoButton", "RedoButton"))

    def _take_node(self, scene: Any) -> None:
        self.node = editor_node(scene)
        self._tag = self.node.AddObserver("ModifiedEvent", lambda *_: self._look_at_effect())

    def _look_at_effect(self) -> None:
        effect = self.node.GetActiveEffectName() or ""
        if effect != self._effect:
            self._effect = effect
            self._effect_changed(effect)

    def edit(self, segmentation: Any, source: Any) -> None:
        """Draw on a segmentation; ``source`` is the image that Threshold and Grow from seeds look at."""
        self.widget.setSegmentationNode(segmentation)
        self.widget.setSourceVolumeNode(source)

    def rest(self) -> None:
        """Hold nothing: the case, the study or the scene is about to go."""
        self.widget.setActiveEffect(None)
        if self.widget.segmentationNode() is not None:  # without one the editor complains about any source
            self.widget.setSourceVolumeNode(None)
        self.widget.setSegmentationNode(None)

    def enter(self) -> None:
        """The module is shown."""
        import slicer

        self.node.RemoveObserver(self._tag)
        self._take_node(slicer.mrmlScene)
        self.widget.setMRMLSegmentEditorNode(self.node)
        self.widget.updateEffectList()  # other modules may have brought effects since
        self.widget.setupViewObservations()
        self.widget.installKeyboardShortcuts()
        self.widget.updateWidgetFromMRML()

    def leave(self) -> None:
        """The module is not shown any more."""
        self.widget.setActiveEffect(None)
        self.widget.uninstallKeyboardShortcuts()
        self.widget.removeViewObservations()

    @property
    def can_undo(self) -> bool:
        """Whether there is a step to undo; Slicer keeps its history to itself, but its button shows it."""
        return bool(self._undo.enabled)

    @property
    def can_redo(self) -> bool:
        """Whether there is a step to redo."""
        return bool(self._redo.enabled)

    def save_state(self) -> None:
        """Remember the segmentation as it is."""
        self.widget.saveStateForUndo()

    def undo(self) -> None:
        """Take the last step back."""
        self.widget.undo()

    def redo(self) -> None:
        """Do it again."""
        self.widget.redo()

    def clear(self) -> None:
        """Forget every step. Slicer 5.12 forgets where undo is enabled anew; others may where it is disabled."""
        self.widget.setUndoEnabled(False)
        self.widget.setUndoEnabled(True)
