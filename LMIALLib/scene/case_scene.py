"""Everything of one case in a scene, put in and taken out together; nodes of anybody else are left alone."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from LMIALLib.scene.brush_label import BrushLabel
from LMIALLib.scene.images import Images, add_images
from LMIALLib.scene.label import Label
from LMIALLib.scene.navigation import Navigation
from LMIALLib.scene.overlays import Overlays
from LMIALLib.scene.segments import show_only_in
from LMIALLib.scene.volumes import OURS

if TYPE_CHECKING:
    from LMIALLib.study.store import Study


@dataclass
class CaseScene:
    """A case in a scene: images, overlays and drawing, and where its views look."""

    case: str
    images: Images
    overlays: Overlays
    drawing: Label
    navigation: Navigation


def open_case(
    scene: Any,
    study: Study,
    case: str,
    painted_views: Collection[Any],
    make_drawing: Callable[..., Label] = BrushLabel,
) -> CaseScene:
    """Put a case into a scene; label and suggestion are shown in ``painted_views`` (slice nodes) only.

    What a loaded scene still holds of the case goes first: the study is the truth, nodes are views of it.
    ``make_drawing``: as `label.LabelMaker.new_label`.
    """
    close_case(scene, case)
    images = add_images(scene, study, case)
    grid, axis = images.pair.grid, images.pair.axis
    overlays = Overlays(scene, grid, axis, case)
    show_only_in(overlays.suggestion, painted_views)
    drawing = make_drawing(scene, grid, axis, study.label_schema, case, painted_views)
    return CaseScene(case, images, overlays, drawing, Navigation.of(grid, axis))


def close_case(scene: Any, case: str) -> None:
    """Take every node of a case out of a scene, with what shows and what stores it."""
    for node in nodes_of(scene, case):
        parts = []
        if hasattr(node, "GetNumberOfDisplayNodes"):
            parts += [node.GetNthDisplayNode(number) for number in range(node.GetNumberOfDisplayNodes())]
        if hasattr(node, "GetStorageNode"):
            parts.append(node.GetStorageNode())
        scene.RemoveNode(node)  # first: whoever still shows it, a legend or a table, asks for its display nodes
        for part in reversed(parts):
            if part is not None and part.GetScene() is not None:  # Slicer may have taken it out with its node
                scene.RemoveNode(part)


def nodes_of(scene: Any, case: str) -> list[Any]:
    """Every node of ours that belongs to a case."""
    nodes = (scene.GetNthNode(number) for number in range(scene.GetNumberOfNodes()))
    return [node for node in nodes if node.GetAttribute(OURS) == case]
