"""Voxels of a segmentation on the pair's grid, from label maps of any geometry, extent, layer and value."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from LMIALLib.pairs.geometry import Grid
from LMIALLib.scene.labelmaps import read_labels, write_labels
from LMIALLib.scene.plane import ijk_to_ras
from LMIALLib.scene.segment_editor_label import SegmentEditorLabel
from LMIALLib.scene.segments import LABELMAP, add_segmentation, blank
from LMIALLib.scene.volumes import add_volume, matrix_of
from LMIALLib.study.labels import LabelSchema
from Testing.Python.scene.mrml_scene import Place
from Testing.Python.scene.sitting import Editor

VALUES = {"one": 1, "two": 2, "three": 3}


@pytest.fixture
def node(place: Place, oblique: Grid) -> Any:
    made, _ = add_segmentation(place.scene, oblique, "label", [(v, n, (1, v / 3, 0)) for n, v in VALUES.items()], "a")
    return made


@pytest.fixture
def array(oblique: Grid) -> np.ndarray:
    random = np.random.default_rng(5)
    drawn = random.random(oblique.shape) < 0.3
    return np.where(drawn, random.integers(1, 4, oblique.shape), 0).astype(np.uint8)


def lay(node: Any, name: str, array: np.ndarray, matrix: np.ndarray, start: tuple[int, int, int] = (0, 0, 0)) -> None:
    """Give a segment a label map of its own: bool (k, j, i), from its indices (i, j, k) to RAS, and its first index."""
    import slicer
    from vtk.util.numpy_support import vtk_to_numpy

    image = slicer.vtkOrientedImageData()
    size = array.shape[::-1]
    image.SetExtent(*(end for low, length in zip(start, size, strict=True) for end in (low, low + length - 1)))
    image.AllocateScalars(3, 1)
    vtk_to_numpy(image.GetPointData().GetScalars()).reshape(array.shape)[...] = array
    image.SetImageToWorldMatrix(matrix_of(matrix))
    segment = node.GetSegmentation().GetSegment(name)
    segment.SetLabelValue(1)
    segment.AddRepresentation(LABELMAP, image)


def test_what_is_written_is_read(node: Any, array: np.ndarray, oblique: Grid) -> None:
    assert not read_labels(node, VALUES, oblique).any()
    write_labels(node, VALUES, oblique, array)
    assert np.array_equal(read_labels(node, VALUES, oblique), array)
    assert node.GetSegmentation().GetNumberOfLayers() == 1


@pytest.mark.parametrize("turned", [(0, 1, 2), (1, 0, 2), (2, 1, 0), (1, 2, 0), (2, 0, 1), (0, 2, 1)])
@pytest.mark.parametrize("flipped", [(1, 1, 1), (-1, -1, 1), (1, 1, -1), (-1, 1, -1)])
def test_axes_in_another_order_or_the_other_way_round_are_read_exactly(
    node: Any, array: np.ndarray, oblique: Grid, turned: tuple[int, int, int], flipped: tuple[int, int, int]
) -> None:
    """The same lattice as another program stores it: axes ``turned``, some of them counted from the other end."""
    way = np.eye(4)
    way[:3, :3] = np.eye(3)[:, list(turned)] * flipped  # columns: the new axes, in old indices (i, j, k)
    for new, old in enumerate(turned):
        if flipped[new] < 0:
            way[old, 3] = oblique.size[old] - 1
    for name, value in VALUES.items():
        stored = np.moveaxis((array == value).transpose(2, 1, 0), turned, (0, 1, 2))  # by new axes (i, j, k)
        stored = stored[tuple(slice(None, None, sign) for sign in flipped)].transpose(2, 1, 0)
        lay(node, name, stored, ijk_to_ras(oblique) @ way)
    assert np.array_equal(read_labels(node, VALUES, oblique), array)


@pytest.mark.parametrize("finer", [(1, 1, 3), (2, 2, 1), (3, 2, 4)])
def test_a_finer_lattice_is_read_exactly(
    node: Any, array: np.ndarray, oblique: Grid, finer: tuple[int, int, int]
) -> None:
    """Each voxel in so many parts along i, j, k, as Slicer's "oversampling" and isotropic geometries have it."""
    way = np.diag([*(1 / parts for parts in finer), 1.0])
    way[:3, 3] = [(1 / parts - 1) / 2 for parts in finer]
    for name, value in VALUES.items():
        stored = array == value
        for axis, parts in zip((2, 1, 0), finer, strict=True):
            stored = np.repeat(stored, parts, axis)
        lay(node, name, stored, ijk_to_ras(oblique) @ way)
    assert np.array_equal(read_labels(node, VALUES, oblique), array)


def test_a_map_that_reaches_beyond_the_grid_or_lies_elsewhere_is_cut(
    node: Any, array: np.ndarray, oblique: Grid
) -> None:
    wide = np.pad(array == 1, 3, constant_values=True)
    lay(node, "one", wide, ijk_to_ras(oblique), (-3, -3, -3))
    lay(node, "two", np.ones((2, 2, 2), dtype=bool), ijk_to_ras(oblique), (100, 0, 0))
    lay(node, "three", np.ones((0, 2, 2), dtype=bool), ijk_to_ras(oblique))
    assert np.array_equal(read_labels(node, VALUES, oblique), (array == 1).astype(np.uint8))


def test_a_lattice_turned_in_space_is_read_by_its_nearest_voxels(node: Any, oblique: Grid) -> None:
    """Exact is impossible; a block is where it was, up to the voxels at its faces."""
    block = np.zeros(oblique.shape, dtype=np.uint8)
    block[3:9, 8:22, 6:18] = 1
    corners = np.array(list(np.ndindex(2, 2, 2))) * (np.array(oblique.size) - 1)  # i, j, k
    points = corners @ oblique.index_to_point()[:3, :3].T + oblique.index_to_point()[:3, 3]
    low, high = points.min(axis=0), points.max(axis=0)
    size = tuple(int(length) for length in np.ceil((high - low) / 0.7) + 1)
    straight = Grid(size, (0.7, 0.7, 0.7), tuple(low), (1, 0, 0, 0, 1, 0, 0, 0, 1))  # type: ignore[arg-type]
    k, j, i = np.indices(straight.shape)
    way = np.linalg.inv(ijk_to_ras(oblique)) @ ijk_to_ras(straight)
    index = np.rint(way @ np.stack([i.ravel(), j.ravel(), k.ravel(), np.ones(i.size)]))[:3].astype(int)
    inside = ((index >= 0) & (index < np.array(oblique.size)[:, None])).all(axis=0)
    stored = np.zeros(i.size, dtype=bool)
    stored[inside] = block[tuple(index[::-1, inside])] > 0
    lay(node, "one", stored.reshape(straight.shape), ijk_to_ras(straight))
    read = read_labels(node, VALUES, oblique)
    assert (read[4:8, 9:21, 7:17] == 1).all(), "within its faces"
    around = np.ones_like(block)
    around[2:10, 7:23, 5:19] = 0
    assert not read[around > 0].any(), "beyond them"


def test_layers_that_slicer_splits_and_merges_are_read(node: Any, array: np.ndarray, oblique: Grid) -> None:
    segmentation = node.GetSegmentation()
    write_labels(node, VALUES, oblique, array)
    segmentation.SeparateSegmentLabelmap("two")
    assert segmentation.GetNumberOfLayers() == 2
    assert np.array_equal(read_labels(node, VALUES, oblique), array)
    segmentation.SeparateSegmentLabelmap("three")
    segmentation.CollapseBinaryLabelmaps(False)  # as Slicer does before it writes a segmentation
    assert segmentation.GetNumberOfLayers() == 1
    assert np.array_equal(read_labels(node, VALUES, oblique), array)


def test_of_two_segments_that_overlap_the_later_class_counts(node: Any, oblique: Grid) -> None:
    shape = oblique.shape
    first, second = np.zeros(shape, dtype=bool), np.zeros(shape, dtype=bool)
    first[2:6, 4:12, 4:12], second[4:8, 8:16, 8:16] = True, True
    lay(node, "one", first, ijk_to_ras(oblique))
    lay(node, "three", second, ijk_to_ras(oblique))
    node.GetSegmentation().CollapseBinaryLabelmaps(False)
    read = read_labels(node, VALUES, oblique)
    assert np.array_equal(read == 3, second) and np.array_equal(read == 1, first & ~second)


@pytest.mark.parametrize("overwrite", ["OverwriteNone", "OverwriteVisibleSegments", "OverwriteAllSegments"])
def test_segments_that_share_a_layer_after_the_editor_painted_are_read(
    place: Place, oblique: Grid, overwrite: str
) -> None:
    """Where segments may overlap, the editor gives the painted one a layer of its own."""
    editor, schema = Editor(place), LabelSchema.default()
    drawing = SegmentEditorLabel(place.scene, oblique, 0, schema, "a", place.views[1:2], history=editor)
    editor.edit(drawing.node, add_volume(place.scene, np.zeros(oblique.shape, np.float32), oblique, "CURRENT", "a"))
    drawing.limit(editor.node)
    editor.node.SetOverwriteMode(getattr(editor.node, overwrite))
    drawing.open_slice(5, None)
    first, second = np.zeros(oblique.shape, np.uint8), np.zeros(oblique.shape, np.uint8)
    first[:, 4:12, 4:12], second[:, 8:16, 8:16] = 1, 1
    editor.modify(drawing.node, schema.classes[0].name, "Add", first)
    drawing.restrain()
    editor.modify(drawing.node, schema.classes[2].name, "Add", second)
    drawing.restrain()
    wanted = np.where(second[5] > 0, 3, first[5])
    assert np.array_equal(drawing.mask, wanted) and not np.delete(drawing.stack(), 5, 0).any()
    assert np.array_equal(read_labels(drawing.label, {c.name: c.value for c in schema.classes}, oblique)[5], wanted)


def test_an_editor_in_another_geometry_draws_on_the_open_slice_alone(place: Place, oblique: Grid) -> None:
    """The reader gave the segmentation a finer geometry: read by its nearest voxels, and put back where it strayed."""
    import slicer

    editor, schema = Editor(place), LabelSchema.default()
    drawing = SegmentEditorLabel(place.scene, oblique, 0, schema, "a", place.views[1:2], history=editor)
    finer = Grid(
        tuple(2 * length for length in oblique.size),  # type: ignore[arg-type]
        tuple(length / 2 for length in oblique.spacing),  # type: ignore[arg-type]
        tuple(np.array(oblique.origin) - np.array(oblique.direction).reshape(3, 3) @ (np.array(oblique.spacing) / 4)),  # type: ignore[arg-type]
        oblique.direction,
    )
    volume = add_volume(place.scene, np.zeros(finer.shape, np.float32), finer, "finer", "a")
    editor.edit(drawing.node, volume)
    drawing.limit(editor.node)
    before = np.zeros(oblique.shape, np.uint8)
    before[:, 20:24, 3:9] = 2
    drawing.show_answers(dict(enumerate(before)))
    drawing.open_slice(5, before[5])
    drawing.node.SetReferenceImageGeometryParameterFromVolumeNode(volume)
    for name in drawing.node.GetSegmentation().GetSegmentIDs():  # what "Specify geometry" does
        segment = drawing.node.GetSegmentation().GetSegment(name)
        slicer.vtkOrientedImageDataResample.ResampleOrientedImageToReferenceOrientedImage(
            segment.GetRepresentation(LABELMAP), blank(finer), segment.GetRepresentation(LABELMAP)
        )
    assert np.array_equal(drawing.stack(), before)
    spot = np.zeros(finer.shape, np.uint8)
    spot[:, 8:24, 8:24] = 1
    editor.modify(drawing.node, schema.classes[0].name, "Add", spot)
    drawing.restrain()
    wanted = before.copy()
    wanted[5, 4:12, 4:12] = 1
    assert np.array_equal(drawing.stack(), wanted)
