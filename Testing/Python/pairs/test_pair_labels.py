"""Labels and masks from elsewhere, mapped by where they lie: turned, mirrored, cropped, larger, between the voxels."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from LMIALLib.errors import BadInput
from LMIALLib.pairs.geometry import Grid
from LMIALLib.pairs.label_volume import read_label_volume, read_mask
from LMIALLib.pairs.labels import read_label_slice
from LMIALLib.pairs.mapping import mapped
from LMIALLib.study.segmentation_file import Segment, write_segmentation

IDENTITY = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0)
GRID = Grid((12, 10, 8), (1.0, 1.5, 3.0), (10.0, -20.0, 5.0), IDENTITY)
SLICE = 3
ROWS, COLUMNS = slice(2, 4), slice(5, 9)
"""Drawn in every file: rows 2 and 3, columns 5 to 8 of slice 3. Their centres lie at y = -20 + 1.5 * 2 = -17 to
-15.5 mm, x = 10 + 5 = 15 to 18 mm, z = 5 + 3 * 3 = 14 mm."""


def drawn(dtype: type = np.uint8) -> np.ndarray:
    volume = np.zeros(GRID.shape, dtype)
    volume[SLICE, ROWS, COLUMNS] = 1
    return volume


def image_of(array: np.ndarray, grid: Grid = GRID) -> sitk.Image:
    image = sitk.GetImageFromArray(array)
    image.SetSpacing(grid.spacing)
    image.SetOrigin(grid.origin)
    image.SetDirection(grid.direction)
    return image


def written(image: sitk.Image, path: Path) -> Path:
    sitk.WriteImage(image, str(path))
    return path


def label_of(path: Path, say: list[str] | None = None, number: int = SLICE) -> np.ndarray:
    said = [] if say is None else say
    return read_label_slice(path, grid=GRID, axis=0, number=number, allowed=[1, 2], say=said.append)


def is_as_drawn(values: np.ndarray) -> bool:
    expected = np.zeros((10, 12), bool)
    expected[ROWS, COLUMNS] = True
    return np.array_equal(values != 0, expected)


ENDINGS = (".nii.gz", ".nrrd", ".mha")


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("order", ["RAS", "LPS", "LAI", "PIR", "SAL", "ASR"])
def test_a_label_in_any_order_of_axes_is_mapped_by_its_geometry(tmp_path: Path, order: str, ending: str) -> None:
    said: list[str] = []
    path = written(sitk.DICOMOrient(image_of(drawn()), order), tmp_path / f"label{ending}")
    assert is_as_drawn(label_of(path, said)) and said == []


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize(
    "flip", [(False, False, False), (True, False, False), (False, True, False), (True, True, True)]
)
def test_a_label_of_one_plane_whose_axes_run_the_other_way(tmp_path: Path, flip: tuple[bool, ...], ending: str) -> None:
    plane = image_of(drawn())[:, :, SLICE : SLICE + 1]
    assert is_as_drawn(label_of(written(sitk.Flip(plane, flip), tmp_path / f"plane{ending}")))


def test_a_sagittal_plane_of_a_pair_read_in_sagittal_slices(tmp_path: Path) -> None:
    volume = drawn()
    plane = sitk.DICOMOrient(image_of(volume)[6:7, :, :], "PIR")
    path = written(plane, tmp_path / "sagittal.nii.gz")
    values = read_label_slice(path, grid=GRID, axis=2, number=6, allowed=[1])
    # slices along i hold rows k and columns j: row 3, columns 2 and 3
    assert np.argwhere(values).tolist() == [[3, 2], [3, 3]]


def test_the_thickness_of_a_plane_is_the_pairs_and_its_place_decides(tmp_path: Path) -> None:
    plane = image_of(drawn())[:, :, SLICE : SLICE + 1]
    plane.SetSpacing((1.0, 1.5, 1.0))  # what a tool writes that knows one plane only
    assert is_as_drawn(label_of(written(plane, tmp_path / "thin.nii.gz")))
    # slice 3 lies at z = 14 mm; slice 5 at 20 mm, 6 mm away
    with pytest.raises(BadInput, match="it lies on slice 3, 6 mm from slice 5"):
        label_of(tmp_path / "thin.nii.gz", number=5)
    said: list[str] = []
    plane.SetOrigin((10.0, -20.0, 15.2))  # 1.2 mm above the slice, less than half of 3 mm
    assert is_as_drawn(label_of(written(plane, tmp_path / "near.nii.gz"), said))
    assert len(said) == 1 and "up to 1.2 mm away" in said[0]
    plane.SetOrigin((10.0, -20.0, 300.0))
    with pytest.raises(BadInput, match="no voxel in common"):
        label_of(written(plane, tmp_path / "far.nii.gz"))


def test_a_plane_of_two_axes_as_nifti_runs_as_its_header_says(tmp_path: Path) -> None:
    import nibabel

    # Columns towards the right, rows towards the front: the first voxel is the last of both, x = 21, y = -6.5 mm, and
    # nobody says on which slice. In RAS x and y have the other sign.
    affine = np.diag([1.0, 1.5, 1.0, 1.0])
    affine[:2, 3] = -21.0, 6.5
    plane = np.ascontiguousarray(drawn()[SLICE, ::-1, ::-1].T)
    nibabel.save(nibabel.Nifti1Image(plane, affine), tmp_path / "flat.nii.gz")
    assert is_as_drawn(label_of(tmp_path / "flat.nii.gz"))
    exchanged = affine[:, [1, 0, 2, 3]]
    nibabel.save(nibabel.Nifti1Image(plane.T.copy(), exchanged), tmp_path / "exchanged.nii.gz")
    assert is_as_drawn(label_of(tmp_path / "exchanged.nii.gz"))
    cut = affine.copy()  # without the first two voxels along x and y: 2 and 3 mm further on
    cut[:2, 3] = -19.0, 9.5
    nibabel.save(nibabel.Nifti1Image(plane[2:, 2:].copy(), cut), tmp_path / "cut.nii.gz")
    assert is_as_drawn(label_of(tmp_path / "cut.nii.gz"))
    cut[0, 3] = -300.0
    nibabel.save(nibabel.Nifti1Image(plane[2:, 2:].copy(), cut), tmp_path / "far.nii.gz")
    with pytest.raises(BadInput, match="no voxel in common"):
        label_of(tmp_path / "far.nii.gz")


def test_a_plane_that_was_never_given_a_place_is_taken_row_by_row_and_says_so(tmp_path: Path) -> None:
    said: list[str] = []
    plane = sitk.GetImageFromArray(drawn()[SLICE : SLICE + 1])
    assert is_as_drawn(label_of(written(plane, tmp_path / "plane.nii.gz"), said))
    assert len(said) == 1 and "does not say where it lies" in said[0]
    with pytest.raises(BadInput, match="its shape is 10 x 11, the slice's is 10 x 12"):
        label_of(written(plane[:11], tmp_path / "small.nii.gz"))


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("order", ["LPS", "RAS", "SPR"])
def test_a_label_cropped_to_a_box(tmp_path: Path, order: str, ending: str) -> None:
    box = image_of(drawn())[4:10, 1:5, 2:5]  # 6 x 4 x 3 voxels, thinner than any scan
    said: list[str] = []
    path = written(sitk.DICOMOrient(box, order), tmp_path / f"box{ending}")
    assert is_as_drawn(label_of(path, said))
    assert len(said) == 1 and "covers a part of slice 3 only" in said[0]
    with pytest.raises(BadInput, match="it lies on slices 2 to 4, 9 mm from slice 7"):
        label_of(path, number=7)


def test_a_box_that_holds_the_lesion_alone_and_one_larger_than_the_scan(tmp_path: Path) -> None:
    assert is_as_drawn(label_of(written(image_of(drawn())[5:9, 2:4, 3:4], tmp_path / "full.nrrd")))
    wide = sitk.ConstantPad(image_of(drawn()), (5, 6, 2), (4, 3, 1), 0)
    said: list[str] = []
    assert is_as_drawn(label_of(written(wide, tmp_path / "wide.nrrd"), said)) and said == []
    wide[0, 0, 0] = 1
    assert is_as_drawn(label_of(written(wide, tmp_path / "lost.nrrd"), said))
    assert len(said) == 1 and "1 marked voxel(s) lie outside" in said[0]


def test_nearest_voxels_where_sizes_agree_and_a_refusal_that_says_by_how_much(tmp_path: Path) -> None:
    said: list[str] = []
    between = Grid(GRID.size, GRID.spacing, (10.3, -20.0, 5.0), IDENTITY)
    assert is_as_drawn(label_of(written(image_of(drawn(), between), tmp_path / "shift.nrrd"), said))
    assert len(said) == 1 and "up to 0.3 mm away" in said[0]
    said.clear()
    rounded = Grid(GRID.size, (1.001, 1.501, 3.001), (10.0, -20.001, 5.001), IDENTITY)
    # 11 steps of 0.001 mm, 9 of 0.001 less 0.001, 7 of 0.001 and 0.001: sqrt(.011^2 + .008^2 + .008^2) = 0.016 mm
    assert is_as_drawn(label_of(written(image_of(drawn(), rounded), tmp_path / "round.nrrd"), said)) and said == []
    coarse = Grid((6, 10, 8), (2.0, 1.5, 3.0), (10.5, -20.0, 5.0), IDENTITY)
    with pytest.raises(BadInput, match="differ by up to 1 mm") as caught:
        label_of(written(image_of(np.ones(coarse.shape, np.uint8), coarse), tmp_path / "coarse.nrrd"))
    assert "6 x 10 x 8" in str(caught.value) and "12 x 10 x 8" in str(caught.value)


def test_a_label_turned_by_some_degrees_takes_the_nearest_voxels() -> None:
    turn = np.radians(20)
    direction = (np.cos(turn), -np.sin(turn), 0.0, np.sin(turn), np.cos(turn), 0.0, 0.0, 0.0, 1.0)
    onto = Grid((9, 9, 3), (1.0, 1.0, 1.0), (0.0, 0.0, 0.0), IDENTITY)
    # about the centre voxel (4, 4): it stays, and one 3 mm along the label's first axis comes to 4 + 3 cos 20 = 6.8,
    # 4 + 3 sin 20 = 5.03, so to voxel (7, 5)
    centre = np.array([4.0, 4.0, 0.0])
    origin = centre - np.reshape(direction, (3, 3)) @ centre
    of = Grid((9, 9, 3), (1.0, 1.0, 1.0), tuple(origin.tolist()), direction)
    values = np.zeros((3, 9, 9), np.uint8)
    values[1, 4, 4], values[1, 4, 7] = 1, 2
    here = mapped(Path("a.nii"), values, of, onto)
    assert np.argwhere(here.values == 1).tolist() == [[1, 4, 4]]
    assert [1, 5, 7] in np.argwhere(here.values == 2).tolist()
    assert 0.3 < here.off_mm <= np.sqrt(0.5) + 1e-9
    assert not here.covered[1, 0, 0] and here.covered[1, 4].all()


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.uint32, np.int64, np.float32, np.float64])
def test_a_label_in_any_type_of_storage(tmp_path: Path, dtype: type) -> None:
    assert is_as_drawn(label_of(written(image_of(drawn(dtype)), tmp_path / "label.nrrd")))


def test_numbers_that_are_nearly_whole_are_whole_and_others_are_named(tmp_path: Path) -> None:
    label = drawn(np.float64) * 2
    label[SLICE, 2, 5], label[0, 0, 0] = 1.999998, -0.0009
    values = label_of(written(image_of(label), tmp_path / "near.nii.gz"))
    assert is_as_drawn(values) and set(np.unique(values)) == {0, 2}
    for number in (1.998, 0.5, 1.002):
        label[SLICE, 2, 5] = number
        path = written(image_of(label), tmp_path / "far.nii.gz")
        for read in (label_of, read_label_volume, lambda one: read_mask(one, GRID)):
            with pytest.raises(BadInput, match=f"it holds {re.escape(f'{number:g}')}; a label holds whole numbers"):
                read(path)
    for number in (np.nan, np.inf, 1e12):
        label[SLICE, 2, 5] = number
        with pytest.raises(BadInput):
            label_of(written(image_of(label), tmp_path / "none.nrrd"))


def test_a_mask_of_the_region_is_mapped_as_a_label_is(tmp_path: Path) -> None:
    region = np.zeros(GRID.shape, np.float32)
    region[2:6, 2:8, 3:9] = 0.9999
    image = image_of(region)
    for name, turned in (("ras", sitk.DICOMOrient(image, "RAS")), ("box", image[3:9, 2:8, 2:6])):
        assert np.array_equal(read_mask(written(turned, tmp_path / f"{name}.nii.gz"), GRID), region > 0)
    with pytest.raises(BadInput, match="one value"):
        read_mask(written(image_of(region * 0), tmp_path / "empty.nrrd"), GRID)


def segment(number: int, name: str, layer: int, value: int) -> Segment:
    return Segment(f"S{number}", name, (1.0, 0.0, 0.0), layer, value)


def test_a_segmentation_with_one_drawn_segment_is_its_label(tmp_path: Path) -> None:
    path, reviewed = tmp_path / "label.seg.nrrd", np.ones(GRID.shape, np.uint8)
    empty = segment(2, "other", 0, 7)
    write_segmentation(
        path, [drawn() * 3, reviewed], GRID, [segment(1, "mine", 0, 3), empty, segment(3, "reviewed", 1, 1)], {}
    )
    assert is_as_drawn(label_of(path))
    box = Grid((6, 4, 3), GRID.spacing, (14.0, -18.5, 11.0), IDENTITY)  # from column 4, row 1, slice 2 on
    write_segmentation(path, [drawn()[2:5, 1:5, 4:10]], box, [segment(1, "mine", 0, 1)], {})
    assert is_as_drawn(label_of(path))
    two = drawn()
    two[4, 0, 0] = 2
    write_segmentation(path, [two], GRID, [segment(1, "a", 0, 1), segment(2, "b", 0, 2)], {})
    with pytest.raises(BadInput, match=r"several segments \('a', 'b'\)"):
        label_of(path)
    raw = path.read_bytes()
    for damage in (b"Segment1_Layer:=0", b"Segment1_LabelValue:=2"):
        assert damage in raw
        path.write_bytes(raw.replace(damage, damage[:-1] + b"x"))
        with pytest.raises(BadInput, match="it has no layer"):
            label_of(path)
    path.write_bytes(raw[: len(raw) // 2])
    with pytest.raises(BadInput):
        label_of(path)


def test_a_file_that_holds_no_label(tmp_path: Path) -> None:
    several = sitk.JoinSeries([image_of(drawn()), image_of(drawn())])
    for ending in ENDINGS:
        with pytest.raises(BadInput, match=r"dimensions|values"):
            label_of(written(several, tmp_path / f"time{ending}"))
    with pytest.raises(BadInput, match="nothing is marked"):
        label_of(written(image_of(drawn() * 0), tmp_path / "empty.nrrd"))
    (tmp_path / "label.txt").write_text("1")
    with pytest.raises(BadInput, match="name ends in"):
        label_of(tmp_path / "label.txt")
