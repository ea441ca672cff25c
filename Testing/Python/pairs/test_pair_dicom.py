"""DICOM series folders: read as one regular stack, or refused with one sentence that names no patient."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from LMIALLib.errors import BadInput
from LMIALLib.pairs.reading import read_volume


@pytest.fixture
def voxels() -> np.ndarray:
    return np.random.default_rng(5).integers(0, 900, (6, 9, 11))


def refused(folder: Path, words: str, capfd: pytest.CaptureFixture[str], series: str | None = None) -> str:
    with pytest.raises(BadInput, match=words) as caught:
        read_volume(folder, series=series)
    text = str(caught.value)
    assert str(folder) in text and "\n" not in text
    assert "SECRET" not in text and "12345" not in text
    assert capfd.readouterr() == ("", "")
    return text


def test_a_series_is_read_in_order_with_its_geometry(tmp_path, voxels, write_series):
    import SimpleITK as sitk

    order = [3, 0, 5, 1, 4, 2]  # files named in another order than the slices lie
    places = np.array([[3.0, -4.0, 5.0 + 3.0 * k] for k in order])
    write_series(tmp_path / "visit", voxels[order], positions=places)
    (tmp_path / "visit" / "notes.txt").write_text("not DICOM")
    volume = read_volume(tmp_path / "visit")
    assert np.array_equal(sitk.GetArrayFromImage(volume.image), voxels)
    assert volume.grid.size == (11, 9, 6)
    assert np.allclose(volume.grid.spacing, (1.0, 1.5, 3.0)) and np.allclose(volume.grid.origin, (3, -4, 5))
    assert volume.date == "2014-03-02" and volume.description == "DICOM series of 6 files"
    assert volume.subject_key is not None and "SECRET" not in volume.subject_key
    assert not volume.image.GetMetaDataKeys()


def test_an_oblique_series_keeps_its_corners(tmp_path, voxels, write_series):
    angle = np.radians(20)
    row, column = np.array([1, 0, 0]), np.array([0, np.cos(angle), np.sin(angle)])
    normal = np.cross(row, column)
    places = np.array([np.array([3.0, -4.0, 5.0]) + 3.0 * k * normal for k in range(6)])
    orientation = "\\".join(f"{v:.6f}" for v in (*row, *column))
    write_series(tmp_path / "visit", voxels, positions=places, orientation=orientation)
    volume = read_volume(tmp_path / "visit")
    far = places[-1] + 10 * 1.0 * row + 8 * 1.5 * column
    assert np.abs(volume.grid.corners()[-1] - far).max() < 1e-4


def test_subjects_are_told_apart_and_not_named(tmp_path, voxels, write_series):
    write_series(tmp_path / "a", voxels)
    write_series(tmp_path / "b", voxels + 1, tags={"0010|0010": "secret^name "})
    write_series(tmp_path / "c", voxels, tags={"0010|0020": "ID-2"})
    write_series(tmp_path / "d", voxels, tags={"0010|0020": "", "0010|0010": "", "0008|0022": "", "0008|0020": ""})
    a, b, c, d = (read_volume(tmp_path / name) for name in "abcd")
    assert a.subject_key == b.subject_key != c.subject_key
    assert d.subject_key is None and d.date is None


def test_folders_without_a_series(tmp_path, capfd):
    refused(tmp_path, "no readable DICOM series", capfd)
    (tmp_path / "readme.txt").write_text("nothing here")
    refused(tmp_path, "no readable DICOM series", capfd)


def test_several_series_are_listed_and_one_is_chosen(tmp_path, voxels, write_series, capfd):
    write_series(tmp_path, voxels, uid="1.2.3.1")
    write_series(tmp_path, voxels[:5] + 7, uid="1.2.3.2", start=50, tags={"0020|0011": "9"})
    text = refused(tmp_path, "2 series", capfd)
    assert "1.2.3.1 (series 4, MR, 6 files)" in text and "1.2.3.2 (series 9, MR, 5 files)" in text
    assert read_volume(tmp_path, series="1.2.3.2").grid.size == (11, 9, 5)
    refused(tmp_path, "holds no series '1.2.9'", capfd, series="1.2.9")


def test_uneven_spacing_and_missing_slices(tmp_path, voxels, write_series, capfd):
    heights = np.array([0, 3, 6, 9, 12, 15.0])
    for name, change in (("late", [0, 0, 0, 0, 0, 1.0]), ("gap", [0, 0, 0, 3, 3, 3])):
        places = np.array([[0, 0, z] for z in heights + change])
        write_series(tmp_path / name, voxels, positions=places)
        refused(tmp_path / name, "unevenly spaced", capfd)
    write_series(tmp_path / "twice", voxels, positions=np.array([[0, 0, z] for z in (0, 0, 3, 3, 6, 6)]))
    refused(tmp_path / "twice", "same place", capfd)


def test_gantry_tilt(tmp_path, voxels, write_series, capfd):
    places = np.array([[0, 3.0 * k * np.sin(np.radians(12)), 3.0 * k] for k in range(6)])
    write_series(tmp_path / "places", voxels, positions=places)
    refused(tmp_path / "places", "gantry tilt", capfd)
    write_series(tmp_path / "tag", voxels, tags={"0008|0060": "CT", "0018|1120": "-12.5"})
    refused(tmp_path / "tag", "gantry tilt of -12.5", capfd)


def test_multi_frame_colour_and_mixed_slices(tmp_path, voxels, write_series, as_image, capfd):
    import SimpleITK as sitk

    (tmp_path / "frames").mkdir()
    sitk.WriteImage(as_image(voxels, dtype=np.uint8), str(tmp_path / "frames" / "all.dcm"))
    refused(tmp_path / "frames", "multi-frame", capfd)
    write_series(tmp_path / "mixed", voxels[:3])
    turned = np.array([[3.0 * k, 0, 0] for k in range(3)])
    write_series(tmp_path / "mixed", voxels[3:], start=3, orientation="0\\1\\0\\0\\0\\1", positions=turned)
    refused(tmp_path / "mixed", "orientations", capfd)
    write_series(tmp_path / "few", voxels[:2])
    refused(tmp_path / "few", "2 slices", capfd)
    with pytest.raises(BadInput, match=r"single DICOM file|name ends"):
        read_volume(tmp_path / "frames" / "all.dcm")


def test_spoilt_spacing(tmp_path, voxels, write_series, capfd):
    write_series(tmp_path / "zero", voxels)
    for file in (tmp_path / "zero").iterdir():
        raw = file.read_bytes()
        file.write_bytes(
            raw.replace(b"\x28\x00\x30\x00\x06\x00\x00\x001.5\\1 ", b"\x28\x00\x30\x00\x06\x00\x00\x000.0\\0 ")
        )
    refused(tmp_path / "zero", "pixel spacing", capfd)


def test_truncated_slice(tmp_path, voxels, write_series, capfd):
    files = write_series(tmp_path, voxels)
    raw = files[2].read_bytes()
    files[2].write_bytes(raw[: len(raw) - 60])
    refused(tmp_path, ".", capfd)


@pytest.mark.parametrize("shape", [(6, 3, 12), (6, 12, 2), (6, 1, 1)])
def test_slices_with_too_few_rows_or_columns_are_refused(tmp_path, write_series, shape):
    """Smoothing needs four voxels along each axis; three columns ended a worker's job on an unforeseen error."""
    write_series(tmp_path / "thin", np.random.default_rng(1).integers(0, 900, shape))
    with pytest.raises(BadInput, match=f"{shape[1]} rows and {shape[2]} columns"):
        read_volume(tmp_path / "thin")
