"""NIfTI as real tools write it: both versions, scaled values, and the two forms that say where a scan lies."""

from __future__ import annotations

import gzip
import struct
from pathlib import Path

import nibabel
import numpy as np
import pytest

from LMIALLib.errors import BadInput
from LMIALLib.pairs.label_volume import read_mask
from LMIALLib.pairs.reading import read_volume

STORED = np.random.default_rng(2).integers(0, 900, (12, 10, 8)).astype(np.int16)
"""Indexed i, j, k, as nibabel has it."""
STEPS = np.diag([1.0, 1.5, 3.0, 1.0])


def nifti(path: Path, affine: np.ndarray = STEPS, *, sform: int = 1, qform: int = 0, version: int = 1) -> Path:
    """A scan whose sform is ``affine`` to single precision, and whose qform, if it has a code, is ``STEPS``."""
    image = (nibabel.Nifti1Image if version == 1 else nibabel.Nifti2Image)(STORED, affine)
    image.set_qform(STEPS, qform)
    image.set_sform(affine, sform)
    image.header["pixdim"][1:4] = np.linalg.norm(affine[:3, :3], axis=0)
    nibabel.save(image, path)
    return path


def overwritten(path: Path, offset: int, form: str, *values: float) -> Path:
    raw = bytearray(path.read_bytes())
    struct.pack_into(form, raw, offset, *values)
    path.write_bytes(raw)
    return path


def grey(path: Path) -> np.ndarray:
    """What is read, indexed i, j, k."""
    import SimpleITK as sitk

    return sitk.GetArrayFromImage(read_volume(path).image).T


@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz"])
@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("version", [1, 2])
def test_both_versions_are_read(tmp_path, capfd, name, order, version):
    affine = STEPS.copy()
    affine[:3, 3] = 7, -20, 31
    image = (nibabel.Nifti1Image if version == 1 else nibabel.Nifti2Image)(STORED, affine)
    nibabel.save(type(image)(STORED, affine, image.header.as_byteswapped(order)), tmp_path / name)
    volume = read_volume(tmp_path / name)
    assert np.array_equal(grey(tmp_path / name), STORED) and volume.description == "NIfTI"
    # x and y point right and forward in NIfTI, left and back in LPS: they change their signs.
    assert volume.grid.origin == (-7, 20, 31) and volume.grid.spacing == (1.0, 1.5, 3.0)
    assert volume.grid.direction == (-1, 0, 0, 0, -1, 0, 0, 0, 1)
    assert volume.remarks == () and capfd.readouterr() == ("", "")


def test_a_file_beside_one_of_the_same_name_is_not_read_in_its_place(tmp_path):
    """ITK opens a.nii where a.nii.gz is asked for."""
    nifti(tmp_path / "a.nii.gz")
    other = nibabel.Nifti1Image(STORED[::-1], STEPS)
    nibabel.save(other, tmp_path / "a.nii")
    assert np.array_equal(grey(tmp_path / "a.nii.gz"), STORED)


SCALES = [
    # slope, intercept, factor, summand, remark: nibabel reads all of these so, but the last two, which it refuses
    (1.0, 0.0, 1.0, 0.0, ""),
    (0.0, 0.0, 1.0, 0.0, ""),
    (0.0, 5.0, 1.0, 0.0, ""),
    (0.0, np.nan, 1.0, 0.0, ""),
    (2.0, 0.0, 2.0, 0.0, ""),
    (-0.5, 3.0, -0.5, 3.0, ""),
    (1.0, -1024.0, 1.0, -1024.0, ""),
    (np.nan, np.nan, 1.0, 0.0, "as they are stored"),
    (np.nan, 5.0, 1.0, 0.0, "as they are stored"),
    (np.inf, 0.0, 1.0, 0.0, "as they are stored"),
    (-np.inf, np.nan, 1.0, 0.0, "as they are stored"),
    (1.0, np.nan, 1.0, 0.0, "nothing was added"),
    (2.0, np.inf, 2.0, 0.0, "nothing was added"),
]


@pytest.mark.parametrize(("slope", "intercept", "factor", "summand", "remark"), SCALES)
@pytest.mark.parametrize("version", [1, 2])
def test_scaling_of_grey_values(tmp_path, capfd, slope, intercept, factor, summand, remark, version):
    path = nifti(tmp_path / "a.nii", version=version)
    overwritten(path, *((112, "<2f") if version == 1 else (176, "<2d")), slope, intercept)
    (tmp_path / "b.nii.gz").write_bytes(gzip.compress(path.read_bytes()))
    for one in (path, tmp_path / "b.nii.gz"):
        assert np.array_equal(grey(one), STORED * factor + summand)
        told = read_volume(one).remarks
        assert len(told) == bool(remark) and remark in "".join(told)
    assert capfd.readouterr() == ("", "")


def test_scaled_values_that_overflow_are_refused(tmp_path, capfd):
    path = overwritten(nifti(tmp_path / "a.nii"), 112, "<2f", 3e38, 0.0)
    with pytest.raises(BadInput, match=r"not a number|values up to"):
        read_volume(path)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(("unit", "factor"), [(0, 1.0), (1, 1000.0), (2, 1.0), (3, 0.001), (10, 1.0)])
def test_lengths_in_other_units(tmp_path, unit, factor):
    """Code 1 is metres, 2 millimetres, 3 micrometres; 10 is seconds and no unit of length."""
    affine = STEPS.copy()
    affine[:3, 3] = 4, 5, 6
    affine[:3] /= factor
    grid = read_volume(overwritten(nifti(tmp_path / "a.nii", affine), 123, "B", unit)).grid
    assert np.allclose(grid.spacing, (1, 1.5, 3)) and np.allclose(grid.origin, (-4, -5, 6))


def moved() -> np.ndarray:
    """STEPS moved by 10 mm to the right."""
    affine = STEPS.copy()
    affine[0, 3] = 10
    return affine


def test_where_sform_and_qform_differ_the_sform_is_used_for_every_volume(tmp_path):
    scan = read_volume(nifti(tmp_path / "scan.nii.gz", moved(), sform=2, qform=1))
    # 10 mm to the right is -10 in LPS, where +x is left; the qform says 0.
    assert scan.grid.origin == (-10.0, 0.0, 0.0)
    (told,) = scan.remarks
    assert "up to 10 mm apart" in told and "the sform was used" in told
    mask = np.zeros(STORED.shape, np.uint8)
    mask[3:6, 2:5, 4] = 1
    nibabel.save(nibabel.Nifti1Image(mask, moved()), tmp_path / "mask.nii.gz")  # its sform alone
    assert np.array_equal(read_mask(tmp_path / "mask.nii.gz", scan.grid).T, mask > 0)


@pytest.mark.parametrize(("sform", "qform", "x"), [(0, 1, 0.0), (4, 0, -10.0), (1, 1, -10.0), (1, 3, -10.0)])
def test_a_form_without_a_code_does_not_count(tmp_path, sform, qform, x):
    volume = read_volume(nifti(tmp_path / "a.nii", moved(), sform=sform, qform=qform))
    assert volume.grid.origin[0] == x
    assert len(volume.remarks) == (sform > 0 and qform > 0)


def test_equal_forms_and_no_form(tmp_path):
    assert read_volume(nifti(tmp_path / "a.nii", STEPS, sform=1, qform=1)).remarks == ()
    (told,) = read_volume(nifti(tmp_path / "a.nii", STEPS, sform=0, qform=0)).remarks
    assert "does not say where it lies" in told


def turned(degrees: float, decimals: int) -> tuple[np.ndarray, float]:
    """An affine turned about z, its numbers cut to ``decimals``, and the angle of the rotation nearest to it.

    Of a matrix (a, -b; c, d) the nearest rotation has the angle atan2(b + c, a + d).
    """
    angle = np.radians(degrees)
    a, b = np.cos(angle), np.sin(angle)
    affine = STEPS.copy()
    affine[:2, :2] = np.round([[a, -1.5 * b], [b, 1.5 * a]], decimals)
    unit = affine[:2, :2] / np.linalg.norm(affine[:2, :2], axis=0)
    return affine, float(np.degrees(np.arctan2(unit[1, 0] - unit[0, 1], unit[0, 0] + unit[1, 1])))


@pytest.mark.parametrize("decimals", [2, 3])
@pytest.mark.parametrize("suffix", [".nii.gz", ".nrrd", ".mha"])
def test_axes_with_few_decimals_become_the_nearest_rotation(tmp_path, capfd, decimals, suffix):
    affine, angle = turned(10, decimals)
    path = tmp_path / f"a{suffix}"
    if suffix == ".nii.gz":
        nifti(path, affine)
    else:
        _text(path, affine)
    volume = read_volume(path)
    direction = np.reshape(volume.grid.direction, (3, 3))
    assert np.abs(direction.T @ direction - np.eye(3)).max() < 1e-9
    assert np.degrees(np.arctan2(direction[1, 0], direction[0, 0])) % 180 == pytest.approx(angle, abs=1e-5)
    # Every entry is off by half a unit of the last digit at most: (11, 9, 0) voxels away, 14 of them in each direction.
    (told,) = volume.remarks
    off = float(told.split("more than ")[1].removesuffix(" mm."))
    assert "few decimals" in told and 0 < off <= 0.5 * 10.0**-decimals * 20 * 2**0.5
    assert capfd.readouterr() == ("", "")


def _text(path: Path, affine: np.ndarray) -> None:
    """The scan as NRRD (RAS, so that signs stay) or MetaImage, whose matrix is of unit vectors cut to the decimals."""
    data = STORED.astype("<i2").tobytes(order="F")
    if path.suffix == ".nrrd":
        axes = " ".join(f"({','.join(f'{v:.9g}' for v in column)})" for column in affine[:3, :3].T)
        head = f"NRRD0004\ntype: short\ndimension: 3\nspace: RAS\nsizes: 12 10 8\nspace directions: {axes}\n"
        path.write_bytes(f"{head}endian: little\nencoding: raw\n\n".encode() + data)
        return
    rows = " ".join(f"{v:.9g}" for v in (affine[:3, :3] / (1, 1.5, 3)).T.ravel())
    head = f"ObjectType = Image\nNDims = 3\nDimSize = 12 10 8\nElementType = MET_SHORT\nTransformMatrix = {rows}\n"
    path.write_bytes(f"{head}ElementSpacing = 1 1.5 3\nElementDataFile = LOCAL\n".encode() + data)


def test_axes_as_exact_as_single_precision_get_no_remark(tmp_path):
    for degrees in (3, 45, 179.9):
        affine, _ = turned(degrees, 12)
        assert read_volume(nifti(tmp_path / "a.nii", affine)).remarks == ()
        assert read_volume(nifti(tmp_path / "a.nii", affine, qform=1, sform=0)).remarks == ()


@pytest.mark.parametrize("shear", [0.02, 0.3])
def test_a_sheared_grid_is_refused(tmp_path, capfd, shear):
    affine = STEPS.copy()
    affine[0, 1] = 1.5 * shear
    with pytest.raises(BadInput, match="right angles"):
        read_volume(nifti(tmp_path / "a.nii", affine))
    assert capfd.readouterr() == ("", "")


def test_a_small_shear_of_a_large_grid_is_refused_by_what_it_moves(tmp_path):
    """0.5 degrees over 400 mm are 3.5 mm, of which the nearest rotation leaves half."""
    data = np.random.default_rng(0).integers(0, 99, (4, 400, 4)).astype(np.uint8)
    affine = np.diag([5.0, 1.0, 5.0, 1.0])
    affine[0, 1] = np.tan(np.radians(0.5))
    nibabel.save(nibabel.Nifti1Image(data, affine), tmp_path / "a.nii")
    with pytest.raises(BadInput, match=r"farthest voxel by 1\.[78]"):
        read_volume(tmp_path / "a.nii")


@pytest.mark.parametrize("more", [(1,), (1, 1), (1, 1, 1, 1)])
@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
def test_further_axes_of_length_one(tmp_path, more, suffix):
    nibabel.save(nibabel.Nifti1Image(STORED.reshape(*STORED.shape, *more), STEPS), tmp_path / f"a{suffix}")
    assert np.array_equal(grey(tmp_path / f"a{suffix}"), STORED)
