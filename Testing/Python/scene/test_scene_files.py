"""Scenes that Slicer writes and reads: what of ours is in the files, and what becomes of it in a scene that loads them.

Everything is written and read by MRML's own code, as the Save dialog and File > Load do.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from LMIALLib.pairs.geometry import Grid
from LMIALLib.scene.brush_label import BrushLabel
from LMIALLib.scene.case_scene import close_case, nodes_of
from LMIALLib.scene.hierarchy import arrange
from LMIALLib.scene.labelmaps import read_labels
from LMIALLib.scene.overlays import Overlays
from LMIALLib.scene.segment_editor_label import MASK_SEGMENT, SegmentEditorLabel
from LMIALLib.scene.segments import LABELMAP, add_segmentation
from LMIALLib.scene.slicer_files import label_saved, scene_loaded
from LMIALLib.scene.volumes import OURS, add_volume, voxels_of
from LMIALLib.study.labels import LabelSchema
from LMIALLib.study.store import Study
from Testing.Python.scene.mrml_scene import Place
from Testing.Python.scene.sitting import Editor, Sitting, names_below, nodes_in

CLASSES = [one.name for one in LabelSchema.default().classes]
VALUES = {one.name: one.value for one in LabelSchema.default().classes}
KINDS = pytest.mark.parametrize("kind", ["bundle", "files"])


def write_node(node: Any, stem: Path) -> Path:
    """Write one node as the Save dialog does; returns the file."""
    if node.GetStorageNode() is None:
        node.AddDefaultStorageNode()
    storage = node.GetStorageNode()
    storage.SetFileName(f"{stem}.{storage.GetDefaultWriteFileExtension()}")
    assert storage.WriteData(node)
    return Path(storage.GetFullNameFromFileName())


def save_scene(scene: Any, folder: Path, kind: str) -> Path:
    """Write a scene and all that the Save dialog lists: as a bundle, or each node into a file of its own."""
    folder.mkdir()
    if kind == "bundle":
        assert scene.WriteToMRB(str(folder / "scene.mrb"))
        return folder / "scene.mrb"
    scene.SetRootDirectory(str(folder))
    for node in nodes_in(scene):
        if node.IsA("vtkMRMLStorableNode") and node.GetSaveWithScene() and not node.GetHideFromEditors():
            write_node(node, folder / node.GetID())
    scene.SetURL(str(folder / "scene.mrml"))
    assert scene.Commit()
    return folder / "scene.mrml"


def load_scene(scene: Any, file: Path, cache: Path) -> None:
    """Read a scene into a scene, beside what is there."""
    import slicer

    manager, caching = slicer.vtkDataIOManager(), slicer.vtkCacheManager()
    cache.mkdir(exist_ok=True)
    caching.SetRemoteCacheDirectory(str(cache))
    manager.SetCacheManager(caching)
    scene.SetDataIOManager(manager)
    if file.suffix == ".mrb":
        assert scene.ReadFromMRB(str(file), False)
    else:
        scene.SetURL(str(file))
        assert scene.Import()


def unpacked(file: Path) -> list[Path]:
    """Every file of a saved scene."""
    import zipfile

    if file.suffix != ".mrb":
        return [one for one in file.parent.rglob("*") if one.is_file()]
    with zipfile.ZipFile(file) as bundle:
        bundle.extractall(file.parent / "unpacked")
    return [one for one in (file.parent / "unpacked").rglob("*") if one.is_file()]


def segments_in(file: Path) -> list[str]:
    """Ids of the segments that a .seg.nrrd file holds."""
    header = file.read_bytes().split(b"\n\n")[0].decode()
    return [line.partition(":=")[2] for line in header.splitlines() if line.split(":=")[0].endswith("_ID")]


def kinds_of(nodes: list[Any]) -> Counter[tuple[str, str]]:
    return Counter((node.GetClassName(), node.GetName()) for node in nodes)


def add_theirs(place: Place, grid: Grid) -> tuple[Any, Any]:
    """A volume and a segmentation of the user's own, under transforms and names of their own."""
    voxels = np.arange(np.prod(grid.shape), dtype=np.float32).reshape(grid.shape)
    volume = add_volume(place.scene, voxels, grid, "their scan", "")
    volume.RemoveAttribute(OURS)
    segmentation, array = add_segmentation(place.scene, grid, "their label", [(1, "tumour", (0, 1, 0))], "")
    array[3:5, 4:9, 2:7] = 1
    segmentation.RemoveAttribute(OURS)
    return volume, segmentation


def of_user(scene: Any, name: str) -> list[Any]:
    return [node for node in nodes_in(scene) if node.GetName() == name and not node.GetAttribute(OURS)]


@pytest.fixture
def sitting(study_folder: Path, workspace_at: Callable[[Path], Sitting], place: Place, oblique: Grid) -> Sitting:
    """Something is drawn on the slice at hand, beside nodes of the user's."""
    add_theirs(place, oblique)
    workspace = workspace_at(study_folder)
    workspace.paint()
    workspace.maker.take_in()
    return workspace


@pytest.mark.parametrize("make", ["drawing", "edited", "suggestion"])
def test_an_empty_segmentation_of_ours_is_written_so_that_slicer_can_read_it(
    place: Place, oblique: Grid, tmp_path: Path, make: str
) -> None:
    import slicer

    schema = LabelSchema.default()
    if make == "drawing":
        node = BrushLabel(place.scene, oblique, 0, schema, "a", place.views[1:2]).label
    elif make == "edited":
        node = SegmentEditorLabel(place.scene, oblique, 0, schema, "a", place.views[1:2], history=Editor(place)).label
    else:
        node = Overlays(place.scene, oblique, 0, "a").suggestion
    file = write_node(node, tmp_path / "empty")
    storage = place.scene.AddNode(slicer.vtkMRMLSegmentationStorageNode())
    storage.SetFileName(str(file))
    read = place.scene.AddNewNodeByClass("vtkMRMLSegmentationNode")
    assert storage.ReadData(read)
    assert read.GetSegmentation().GetNumberOfSegments() == node.GetSegmentation().GetNumberOfSegments()
    assert not read_labels(read, VALUES, oblique).any()


@KINDS
def test_a_saved_scene_holds_the_label_without_helper_and_no_opinion_of_the_network(
    sitting: Sitting, tmp_path: Path, kind: str
) -> None:
    files = unpacked(save_scene(sitting.screen.scene, tmp_path / "saved", kind))
    labels = [segments_in(file) for file in files if file.name.endswith(".seg.nrrd")]
    assert sorted(labels) == sorted([CLASSES, ["tumour"]])
    assert not any("uncertainty" in file.name or "suggestion" in file.name for file in files)
    text = next(file for file in files if file.suffix == ".mrml").read_text()
    for word in ("uncertainty", "suggestion", "label in the editor", "LMIAL edit mask"):
        assert word not in text


@KINDS
def test_drawing_goes_on_after_a_save(sitting: Sitting, tmp_path: Path, kind: str) -> None:
    here, opened = sitting.at_hand
    before = opened.drawing.mask
    save_scene(sitting.screen.scene, tmp_path / "saved", kind)
    assert np.array_equal(opened.drawing.mask, before)
    sitting.paint(mode="Remove")
    sitting.maker.take_in()
    assert not opened.drawing.mask.any()
    sitting.painting.undo()
    assert np.array_equal(opened.drawing.mask, before)
    assert np.array_equal(label_of(opened), opened.drawing.stack())
    assert sitting.session.current is here


def label_of(opened: Any) -> np.ndarray:
    """What the label that Slicer saves holds, slices first."""
    pair = opened.images.pair
    return pair.stack(read_labels(opened.drawing.label, VALUES, pair.grid))


@KINDS
def test_the_saved_label_is_what_was_drawn(sitting: Sitting, elsewhere: Place, tmp_path: Path, kind: str) -> None:
    _, opened = sitting.at_hand
    load_scene(elsewhere.scene, save_scene(sitting.screen.scene, tmp_path / "saved", kind), tmp_path / "cache")
    (label,) = (node for node in nodes_of(elsewhere.scene, "head") if node.GetName() == "label")
    pair = opened.images.pair
    read = pair.stack(read_labels(label, VALUES, pair.grid))
    assert read.any() and np.array_equal(read, opened.drawing.stack())


@KINDS
def test_a_loaded_scene_has_the_users_nodes_and_opening_the_case_leaves_one_set_of_ours(
    sitting: Sitting, elsewhere: Place, study_folder: Path, oblique: Grid, tmp_path: Path, kind: str
) -> None:
    wanted = kinds_of(nodes_of(sitting.screen.scene, "head"))
    here, opened = sitting.at_hand
    drawn = opened.drawing.mask
    file = save_scene(sitting.screen.scene, tmp_path / "saved", kind)
    sitting.close()
    load_scene(elsewhere.scene, file, tmp_path / "cache")
    (volume,), (segmentation,) = (of_user(elsewhere.scene, name) for name in ("their scan", "their label"))
    assert np.array_equal(voxels_of(volume), np.arange(np.prod(oblique.shape)).reshape(oblique.shape))
    assert read_labels(segmentation, {"tumour": 1}, oblique).sum() == 2 * 5 * 5
    workspace = Sitting.at(elsewhere, study_folder)
    workspace.presenting.choose(here.slice, "head")
    assert kinds_of(nodes_of(elsewhere.scene, "head")) == wanted
    assert np.array_equal(workspace.at_hand[1].drawing.mask, drawn), "the draft comes from the study"
    workspace.close()
    close_case(elsewhere.scene, "head")
    left = Counter(node.GetClassName() for node in nodes_in(elsewhere.scene))
    assert left["vtkMRMLScalarVolumeNode"] == left["vtkMRMLScalarVolumeDisplayNode"] == 1
    assert left["vtkMRMLSegmentationNode"] == left["vtkMRMLSegmentationDisplayNode"] == 1
    assert left["vtkMRMLSegmentationStorageNode"] == left["vtkMRMLVolumeArchetypeStorageNode"] == 1
    assert left["vtkMRMLLinearTransformNode"] == 0
    assert [node.GetName() for node in nodes_in(elsewhere.scene) if "colours" in node.GetName()] == []


def test_the_hierarchy_of_a_loaded_scene_is_made_anew_when_its_case_is_opened(
    sitting: Sitting, place: Place, elsewhere: Place, study_folder: Path, tmp_path: Path
) -> None:
    def in_tree(at: Place) -> list[str]:
        return names_below(at.tree, at.tree.GetSceneItemID(), deep=True)

    _, opened = sitting.at_hand
    arrange(place.scene, opened, "subject-7", {})
    wanted = in_tree(place)
    helper = place.tree.CreateHierarchyItem(place.tree.GetItemByDataNode(opened.drawing.node), "helper", "x", -1)
    place.tree.SetItemAttribute(helper, "segmentID", MASK_SEGMENT)  # as Slicer's own plugin does for every segment
    file = save_scene(sitting.screen.scene, tmp_path / "saved", "bundle")
    sitting.close()
    load_scene(elsewhere.scene, file, tmp_path / "cache")
    workspace = Sitting.at(elsewhere, study_folder)
    arrange(elsewhere.scene, workspace.at_hand[1], "subject-7", {})
    assert in_tree(elsewhere) == wanted and wanted.count("label") == wanted.count("uncertainty") == 1
    workspace.close()


@KINDS
def test_a_scene_with_our_nodes_loaded_beside_an_open_case_leaves_the_open_one_alone(
    sitting: Sitting, tmp_path: Path, kind: str
) -> None:
    file = save_scene(sitting.screen.scene, tmp_path / "saved", kind)
    here, opened = sitting.at_hand
    wanted, drawn = kinds_of(nodes_of(sitting.screen.scene, "head")), opened.drawing.mask
    sitting.paint(mode="Remove")  # the reader went on, and the editor has not told us yet
    load_scene(sitting.screen.scene, file, tmp_path / "cache")
    assert kinds_of(nodes_of(sitting.screen.scene, "head")) != wanted
    assert scene_loaded(sitting)
    assert kinds_of(nodes_of(sitting.screen.scene, "head")) == wanted
    assert len(of_user(sitting.screen.scene, "their label")) == 2, "the user's own are loaded beside what was there"
    assert sitting.at_hand[0] is here and drawn.any() and not sitting.at_hand[1].drawing.mask.any()
    sitting.paint()
    sitting.maker.take_in()
    assert np.array_equal(sitting.at_hand[1].drawing.mask, drawn), "drawing goes on"
    assert not scene_loaded(sitting), "nothing was loaded since"


def test_slicers_own_save_of_the_label_saves_the_slice_and_its_file_has_no_helper(
    sitting: Sitting, tmp_path: Path
) -> None:
    here, opened = sitting.at_hand
    label = opened.drawing.label
    file = write_node(label, tmp_path / "label")
    assert segments_in(file) == CLASSES
    label_saved(sitting, opened.images.difference.GetID(), str(file))
    label_saved(sitting, label.GetID(), str(tmp_path / "copy.seg.nrrd"))  # an export: the id is another scene's
    assert sitting.session.current is here and not sitting.session.study.answers.current("head")
    mask = opened.drawing.mask
    label_saved(sitting, label.GetID(), str(file))
    assert np.array_equal(sitting.session.study.answers.current("head")[here.slice].mask, mask)
    assert sitting.session.current is not here


def test_slicers_save_of_an_empty_label_says_nothing(
    study_folder: Path, workspace_at: Callable[[Path], Sitting], tmp_path: Path
) -> None:
    workspace = workspace_at(study_folder)
    _, opened = workspace.at_hand
    file = write_node(opened.drawing.label, tmp_path / "label")
    label_saved(workspace, opened.drawing.label.GetID(), str(file))
    assert not workspace.session.study.answers.current("head")


def test_what_was_drawn_on_the_label_itself_counts_and_other_slices_do_not(sitting: Sitting) -> None:
    here, opened = sitting.at_hand
    label, grid = opened.drawing.label, opened.images.pair.grid
    before = opened.drawing.stack()
    from vtk.util.numpy_support import vtk_to_numpy

    image = label.GetSegmentation().GetSegment(CLASSES[0]).GetRepresentation(LABELMAP)
    array = vtk_to_numpy(image.GetPointData().GetScalars()).reshape(grid.shape)
    opened.images.pair.stack(array)[:, 40:44, 30:34] = 2  # another module's brush, on every slice
    sitting.maker.take_in()
    assert (opened.drawing.mask[40:44, 30:34] == 2).all()
    after = opened.drawing.stack()
    assert np.array_equal(np.delete(after, here.slice, 0), np.delete(before, here.slice, 0))
    assert np.array_equal(label_of(opened), after)
    kept = sitting.session.study.drafts.get("head", here.slice)
    assert kept is not None and np.array_equal(kept.mask, opened.drawing.mask)
    sitting.painting.undo()
    assert np.array_equal(opened.drawing.stack(), before) and np.array_equal(label_of(opened), before)


def test_a_scene_that_is_closed_loses_nothing_and_the_case_opens_in_it_again(
    sitting: Sitting, place: Place, study_folder: Path
) -> None:
    here, opened = sitting.at_hand
    sitting.paint(mode="Remove")
    sitting.paint([here.slice])
    drawn = opened.drawing.mask
    sitting.maker.take_in()
    place.scene.Clear(0)
    sitting.close()
    assert nodes_of(place.scene, "head") == []
    place.views[:] = [place.scene.AddNewNodeByClass("vtkMRMLSliceNode", name) for name in ("a", "b", "c")]
    workspace = Sitting.at(place, study_folder)
    workspace.presenting.choose(here.slice, "head")
    assert np.array_equal(workspace.at_hand[1].drawing.mask, drawn)
    workspace.paint(mode="Remove")
    workspace.maker.take_in()
    assert not workspace.at_hand[1].drawing.mask.any()
    workspace.close()
    with Study.open(study_folder, read_only=True) as study:
        assert study.drafts.get("head", here.slice) is None


def test_what_a_loaded_scene_still_holds_of_a_case_goes_when_it_is_opened(
    place: Place, study_folder: Path, workspace_at: Callable[[Path], Sitting]
) -> None:
    stale = place.scene.AddNewNodeByClass("vtkMRMLSegmentationNode", "label")
    stale.SetAttribute(OURS, "head")
    _, opened = workspace_at(study_folder).at_hand
    assert [node for node in nodes_in(place.scene) if node.GetName() == "label"] == [opened.drawing.label]
