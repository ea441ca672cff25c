"""What each offered effect of Slicer's Segment Editor does to the label: on the open slice it works, no other changes.

The effects themselves are Qt code. What they hand to vtkSlicerSegmentEditorLogic is done here as they do it, in the
modes and the order of Slicer 5.12 (Modules/Loadable/Segmentations/EditorEffects); the logic is Slicer's own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import pytest
from scipy import ndimage

from LMIALLib.desktop.editor import EFFECTS
from LMIALLib.pairs.geometry import Grid
from LMIALLib.scene.segment_editor_label import MASK_SEGMENT, SegmentEditorLabel
from LMIALLib.scene.segments import LABELMAP
from LMIALLib.scene.volumes import add_volume
from LMIALLib.study.labels import LabelSchema
from Testing.Python.scene.mrml_scene import Place
from Testing.Python.scene.sitting import Editor

CLASSES = [one.name for one in LabelSchema.default().classes]
SELECTED = CLASSES[0]
Step = tuple[str, str, np.ndarray]
"""Segment, mode and voxels (k, j, i) of one modification."""


def ball(shape: tuple[int, ...], radius: int = 5) -> np.ndarray:
    """A sphere brush in the middle of the open slice, that reaches its neighbours."""
    middle = [length // 2 for length in shape]
    return sum((axis - at) ** 2 for axis, at in zip(np.indices(shape), middle, strict=True)) <= radius**2


def column(shape: tuple[int, ...]) -> np.ndarray:
    """What scissors cut out of all slices, and what is drawn in another plane."""
    inside = np.zeros(shape, dtype=bool)
    inside[:, shape[1] // 3 : 2 * shape[1] // 3, shape[2] // 3 : 2 * shape[2] // 3] = True
    return inside


def largest(region: np.ndarray) -> np.ndarray:
    islands, count = ndimage.label(region)
    sizes = ndimage.sum_labels(region, islands, range(1, count + 1))
    return islands == 1 + int(np.argmax(sizes))


def smooth(region: np.ndarray) -> np.ndarray:
    return ndimage.median_filter(region.astype(np.uint8), 3) > 0


def grown(parts: dict[str, np.ndarray]) -> Iterator[Step]:
    """Every voxel goes to the nearest seed."""
    seeds = np.zeros(next(iter(parts.values())).shape, dtype=int)
    for number, region in enumerate(parts.values(), 1):
        seeds[region] = number
    nearest = ndimage.distance_transform_edt(seeds == 0, return_distances=False, return_indices=True)
    for number, name in enumerate(parts, 1):
        yield name, "Set", seeds[tuple(nearest)] == number


def islands(what: Callable[[np.ndarray], np.ndarray]) -> Callable[[dict[str, np.ndarray]], Iterator[Step]]:
    """The segment is emptied first, then set to what stays (SegmentEditorIslandsEffect.splitSegments)."""

    def steps(parts: dict[str, np.ndarray]) -> Iterator[Step]:
        yield SELECTED, "Set", np.zeros_like(parts[SELECTED])
        yield SELECTED, "Set", what(parts[SELECTED])

    return steps


def one(mode: str, what: Callable[[np.ndarray], np.ndarray]) -> Callable[[dict[str, np.ndarray]], Iterator[Step]]:
    """A single modification of the selected segment."""

    def steps(parts: dict[str, np.ndarray]) -> Iterator[Step]:
        yield SELECTED, mode, what(parts[SELECTED])

    return steps


DONE: dict[str, Callable[[dict[str, np.ndarray]], Iterator[Step]]] = {
    "Paint, sphere": one("Add", lambda now: ball(now.shape)),
    "Erase, sphere": one("Remove", lambda now: ball(now.shape)),
    "Erase, all segments": one("RemoveAll", lambda now: ball(now.shape)),
    "Draw in another plane": one("Add", lambda now: column(now.shape)),
    "Level tracing in another plane": one("Add", lambda now: column(now.shape)),
    "Threshold": one("Set", lambda now: np.random.default_rng(1).random(now.shape) < 0.4),
    "Islands, keep largest": islands(largest),
    "Islands, remove small": islands(lambda now: ndimage.binary_opening(now)),
    "Islands, keep selected": one("Set", largest),
    "Islands, remove selected": one("Remove", largest),
    "Islands, add selected": lambda parts: iter([(SELECTED, "Add", largest(parts[CLASSES[1]]))]),
    "Smoothing": one("Set", smooth),
    "Smoothing, joint": lambda parts: ((name, "Set", smooth(region)) for name, region in parts.items()),
    "Scissors, erase inside": one("Remove", lambda now: column(now.shape)),
    "Scissors, erase outside": one("Remove", lambda now: ~column(now.shape)),
    "Scissors, fill inside": one("Add", lambda now: column(now.shape)),
    "Margin, grow": one("Set", lambda now: ndimage.binary_dilation(now, iterations=2)),
    "Margin, shrink": one("Set", lambda now: ndimage.binary_erosion(now)),
    "Grow from seeds": grown,
}
HELD = [name for name in DONE if not name.startswith(("Erase", "Scissors, erase", "Islands, remove selected"))]
"""Those that do not work by ModificationModeRemove or RemoveAll."""


@dataclass
class Drawn:
    """A label on every slice, one slice open."""

    drawing: SegmentEditorLabel
    editor: Editor
    axis: int
    before: np.ndarray
    open: int

    def parts(self) -> dict[str, np.ndarray]:
        """Each class as the editor sees it, bool (k, j, i)."""
        array = np.moveaxis(self.drawing.stack(), 0, self.axis)
        return {one.name: array == one.value for one in LabelSchema.default().classes}

    def do(self, effect: str) -> None:
        """Apply an effect as one undo step."""
        for number, (name, mode, array) in enumerate(DONE[effect](self.parts())):
            self.editor.modify(self.drawing.node, name, mode, array.astype(np.uint8), remember=number == 0)

    def others(self) -> bytes:
        """All slices but the open one."""
        return np.delete(self.drawing.stack(), self.open, 0).tobytes()


@pytest.fixture(params=[0, 1, 2])
def drawn(request: pytest.FixtureRequest, place: Place, oblique: Grid) -> Drawn:
    editor, axis = Editor(place), request.param
    drawing = SegmentEditorLabel(
        place.scene, oblique, axis, LabelSchema.default(), "a", place.views[1:2], history=editor
    )
    editor.edit(drawing.node, add_volume(place.scene, np.zeros(oblique.shape, np.float32), oblique, "CURRENT", "a"))
    drawing.limit(editor.node)
    random = np.random.default_rng(3)
    shape = drawing.stack().shape
    blobs = ndimage.binary_dilation(random.random(shape) < 0.015) | ball(shape, 3)
    middle = shape[0] // 2
    classes = random.integers(2, 6, shape[:1])
    classes[middle] = 2
    before = (blobs * classes[:, None, None]).astype(np.uint8)
    before[:, : shape[1] // 2] = blobs[:, : shape[1] // 2]
    drawing.show_answers(dict(enumerate(before)))
    drawing.open_slice(middle, before[middle])
    return Drawn(drawing, editor, axis, before, middle)


def test_each_offered_effect_is_tried() -> None:
    assert {name.partition(",")[0].removesuffix(" in another plane") for name in DONE} == set(EFFECTS)


@pytest.mark.parametrize("effect", DONE)
def test_an_effect_changes_the_open_slice_alone_and_undo_takes_it_back(drawn: Drawn, effect: str) -> None:
    drawing, others = drawn.drawing, drawn.others()
    drawn.do(effect)
    drawing.restrain()
    assert drawn.others() == others
    assert not np.array_equal(drawing.mask, drawn.before[drawn.open]), "else this test shows nothing"
    drawn.do(effect)  # twice: what the first left of the helper is what the second is limited by
    drawing.restrain()
    assert drawn.others() == others
    while drawing.undo():
        drawing.restrain()
        assert drawn.others() == others
    assert np.array_equal(drawing.mask, drawn.before[drawn.open])


@pytest.mark.parametrize("effect", HELD)
def test_the_editors_own_mask_holds_whatever_does_not_erase(drawn: Drawn, effect: str) -> None:
    others = drawn.others()
    drawn.do(effect)
    assert drawn.others() == others and not drawn.drawing.restrain()


@pytest.mark.parametrize("effect", DONE)
def test_undo_after_a_save_changes_nothing(drawn: Drawn, effect: str) -> None:
    drawing = drawn.drawing
    drawn.do(effect)
    drawing.restrain()
    drawing.open_slice(drawn.open + 1, drawn.before[drawn.open + 1])  # what a save goes on to
    after = drawing.stack().tobytes()
    assert not drawing.undo() and not drawing.redo()
    drawn.editor.logic.Undo()  # the editor's own button
    drawn.editor.logic.Redo()
    assert drawing.stack().tobytes() == after and not drawing.restrain()


def test_the_helper_is_the_open_slice_after_every_effect(drawn: Drawn) -> None:
    from vtk.util.numpy_support import vtk_to_numpy

    for effect in DONE:
        drawn.do(effect)
        drawn.drawing.restrain()
        image = drawn.drawing.node.GetSegmentation().GetSegment(MASK_SEGMENT).GetRepresentation(LABELMAP)
        low, high = image.GetExtent()[2 * (2 - drawn.axis) :][:2]
        assert (low, high) == (drawn.open, drawn.open) and (
            vtk_to_numpy(image.GetPointData().GetScalars()) == 1
        ).all(), effect


def test_a_stroke_that_follows_an_eraser_at_once_changes_no_other_slice_either(drawn: Drawn) -> None:
    """Before the first was taken in: Erase adds what it erased elsewhere to the helper."""
    others = drawn.others()
    for effect in ("Scissors, erase outside", "Erase, sphere", "Paint, sphere", "Threshold"):
        drawn.do(effect)
    drawn.drawing.restrain()
    assert drawn.others() == others


def test_a_suggestion_taken_over_at_once_after_an_eraser_keeps_the_other_slices(drawn: Drawn) -> None:
    drawing, others = drawn.drawing, drawn.others()
    drawn.do("Scissors, erase outside")
    assert drawn.others() != others, "the editor's own mask does not hold here"
    suggested = np.full_like(drawing.mask, 4)
    assert drawing.replace(suggested)
    drawing.restrain()
    assert drawn.others() == others and np.array_equal(drawing.mask, suggested)


def test_what_islands_splits_off_stays_in_its_class(drawn: Drawn) -> None:
    """SegmentEditorIslandsEffect.splitSegments: further islands go to new segments, NAME_2 and so on."""
    import slicer

    drawing, others, mask = drawn.drawing, drawn.others(), drawn.drawing.mask
    region = drawn.parts()[SELECTED]
    numbered, count = ndimage.label(region)
    assert count > 2
    drawn.editor.modify(drawing.node, SELECTED, "Set", np.zeros(region.shape, np.uint8))
    segmentation = drawing.node.GetSegmentation()
    for number in range(1, count + 1):
        name = SELECTED
        if number > 1:
            segment = slicer.vtkSegment()
            segment.SetName(f"{SELECTED}_{number}")
            segment.AddRepresentation(LABELMAP, segmentation.GetSegment(SELECTED).GetRepresentation(LABELMAP))
            segmentation.AddSegment(segment)
            name = segmentation.GetSegmentIdBySegment(segment)
            segment.SetLabelValue(segmentation.GetUniqueLabelValueForSharedLabelmap(SELECTED))
        mode = "Set" if number == 1 else "Add"
        drawn.editor.modify(drawing.node, name, mode, (numbered == number).astype(np.uint8), remember=False)
    assert np.array_equal(drawing.mask > 0, mask > 0)
    drawing.restrain()
    assert np.array_equal(drawing.mask, mask) and drawn.others() == others
    assert set(segmentation.GetSegmentIDs()) == {*CLASSES, MASK_SEGMENT}
    assert list(drawing.label.GetSegmentation().GetSegmentIDs()) == CLASSES
    drawing.undo()
    drawing.restrain()
    assert np.array_equal(drawing.mask, mask) and drawn.others() == others
