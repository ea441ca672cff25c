"""What Slicer's own loading and saving of files means for a workspace: a saved label counts as an answer."""

from __future__ import annotations

from pathlib import Path

from LMIALLib.scene.case_scene import nodes_of
from LMIALLib.scene.workspace import Workspace


def label_saved(workspace: Workspace, node_id: str, file: str) -> None:
    """Save the slice at hand after Slicer wrote a node to a file, where that is our label and something is drawn.

    An export goes by way of a copy in a scene of its own, whose id may be that of our label here: so the label must
    have been written to this very file.
    """
    screen = workspace.screen
    if screen.open is None or screen.session.current is None or screen.watching:
        return
    label = screen.open.drawing.label
    storage = label.GetStorageNode()
    if node_id != label.GetID() or storage is None:
        return
    written = {Path(storage.GetFileName() or ""), Path(storage.GetFullNameFromFileName())}
    if Path(file) in written and screen.open.drawing.mask.any():
        workspace.guarded(lambda: workspace.answering.answer("save"))


def scene_loaded(workspace: Workspace) -> bool:
    """Put the case at hand in anew, from the study, where a scene that was loaded into ours brought nodes of it.

    Returns whether it did.
    """
    screen = workspace.screen
    if screen.open is None:
        return False
    case, here, drawing = screen.open.case, screen.session.current, screen.open.drawing
    own = (drawing.node, drawing.label, screen.open.overlays.suggestion)
    labels = [node for node in nodes_of(screen.scene, case) if node.IsA("vtkMRMLSegmentationNode")]
    if all(node in own for node in labels):
        return False
    workspace.maker.take_in()
    workspace.viewing.put_away()
    if here is not None:
        workspace.presenting.present()
    else:
        workspace.presenting.look_at(case)
    return True
