"""DICOM series as scanners, archives and reformatting tools write them: read, or each volume offered by a name."""

from __future__ import annotations

import itertools
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest

from LMIALLib.errors import BadInput
from LMIALLib.pairs.dicom_choice import choice_in, volumes_in
from LMIALLib.pairs.dicom_slice import patient_of
from LMIALLib.pairs.reading import read_volume

UID = "1.2.826.0.1.3680043.2.1125.7"
COUNT = 6


@pytest.fixture
def voxels() -> np.ndarray:
    return np.random.default_rng(5).integers(0, 900, (COUNT, 9, 11))


def edited(files: list[Path], edit: Callable[[int, Any], object]) -> None:
    """Change every file of a series; ``edit`` takes its number and its data set."""
    for number, file in enumerate(files):
        header = pydicom.dcmread(file)
        edit(number, header)
        header.save_as(file)


def grey(folder: Path, series: str | None = None) -> np.ndarray:
    """What is read (k, j, i)."""
    import SimpleITK as sitk

    return sitk.GetArrayFromImage(read_volume(folder, series=series).image)


NAMES = [
    ("ISO_IR 100", "Müller^Jürg".encode("latin-1")),
    ("ISO_IR 192", "Müller^Jü".encode()),
    ("GB18030", "王^小东".encode("gb18030")),
    ("GBK", "王^小东".encode("gbk")),
    ("ISO_IR 144", "Люкceмбypг".encode("iso8859-5")),
    ("ISO_IR 13", b"\xd4\xcf\xc0\xde^\xc0\xdb\xb3"),
    ("\\ISO 2022 IR 149", b"Hong=\x1b$)C\xfb\xf3"),
    ("ISO 2022 IR 87", b"\x1b$B;3ED\x1b(B^a"),
    ("ISO_IR 192", b"M\xfcller^J\xfcrg"),  # Latin-1 where UTF-8 is promised
    ("GB18030", b"\xff\xff\xff^\xff"),
    ("ISO_IR 999", b"M\xfcller^J\xfcrg"),
    ("", b"M\xfcller^J\xfcrg"),
    ("no such thing\\at all", b"M\xfcller^J\xfcrg"),
]


@pytest.mark.parametrize(("characters", "name"), NAMES)
def test_text_in_any_character_set_is_no_obstacle(tmp_path, voxels, write_series, capfd, characters, name):
    files = write_series(tmp_path, voxels, tags={"0008|0005": characters, "0008|103e": "SECRET^NAME"})
    for file in files:
        raw = file.read_bytes()
        assert raw.count(b"SECRET^NAME ") == 2
        file.write_bytes(raw.replace(b"SECRET^NAME ", name.ljust(12)[:12]))
    volume = read_volume(tmp_path)
    assert np.array_equal(grey(tmp_path), voxels) and volume.date == "2014-03-02"
    assert volume.subject_key is not None
    assert capfd.readouterr() == ("", "")


def test_a_name_is_the_same_in_two_character_sets(tmp_path, voxels, write_series):
    keys = []
    for characters, code, name in (
        ("ISO_IR 100", "latin-1", "Mü^J"),
        ("ISO_IR 192", "utf-8", "Mü^J"),
        ("ISO_IR 6", "ascii", "Mu^J"),
    ):
        files = write_series(tmp_path / characters, voxels, tags={"0008|0005": characters})
        raw = files[0].read_bytes().replace(b"SECRET^NAME ", name.encode(code).ljust(12))
        files[0].write_bytes(raw)
        keys.append(patient_of(tmp_path, str(files[0])))
    assert keys[0] == keys[1] != keys[2]


def turned(degrees: float) -> str:
    """An orientation turned about the normal."""
    a, b = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    return f"{a:.9f}\\{b:.9f}\\0\\{-b:.9f}\\{a:.9f}\\0"


def test_directions_that_differ_a_little_are_one(tmp_path, voxels, write_series):
    random = np.random.default_rng(1)
    files = write_series(tmp_path, voxels)

    def jitter(_: int, header: Any) -> None:
        header.ImageOrientationPatient = [f"{v + random.normal(0, 3e-6):.9f}" for v in (1, 0, 0, 0, 1, 0)]
        header.PixelSpacing = [f"{v + random.normal(0, 3e-6):.9f}" for v in (1.5, 1.0)]
        header.ImagePositionPatient = [f"{float(v) + random.normal(0, 1e-3):.9f}" for v in header.ImagePositionPatient]

    edited(files, jitter)
    volume = read_volume(tmp_path)
    assert np.array_equal(grey(tmp_path), voxels)
    assert np.abs(volume.grid.corners()[-1] - (13, 8, 20)).max() < 0.01  # (3, -4, 5) and 10 x 1, 8 x 1.5, 5 x 3 mm
    assert volume.remarks == ()


@pytest.mark.parametrize(("millimetres", "read"), [(0.02, True), (0.09, True), (0.12, False), (2.0, False)])
def test_the_limit_of_directions_is_what_moves_a_pixel(tmp_path, voxels, write_series, millimetres, read):
    """The farthest pixel lies (10, 12) mm from the first, 15.62 mm: turned by x / 15.62 rad it moves by x."""
    files = write_series(tmp_path, voxels)
    angle = float(np.degrees(millimetres / np.hypot(10, 12)))
    edited(files[3:4], lambda _, header: setattr(header, "ImageOrientationPatient", turned(angle).split("\\")))
    if read:
        assert np.array_equal(grey(tmp_path), voxels)
        assert read_volume(tmp_path).grid.direction == (1, 0, 0, 0, 1, 0, 0, 0, 1)
        return
    with pytest.raises(BadInput, match=r"orientations|volumes") as caught:
        read_volume(tmp_path)
    assert millimetres > 1 or "by 0.12 mm" in str(caught.value)


def test_directions_with_few_decimals_become_the_nearest_at_right_angles(tmp_path, voxels, write_series):
    """Rows (0.98, 0.17), columns (-0.18, 0.98): the nearest rotation has the angle atan2(0.17 + 0.18, 2 x 0.98)."""
    few = ["0.98", "0.17", "0", "-0.18", "0.98", "0"]
    edited(write_series(tmp_path, voxels), lambda _, header: setattr(header, "ImageOrientationPatient", few))
    volume = read_volume(tmp_path)
    direction = np.reshape(volume.grid.direction, (3, 3))
    assert np.arctan2(direction[1, 0], direction[0, 0]) == pytest.approx(np.arctan2(0.35, 1.96), abs=1e-4)
    (told,) = volume.remarks
    assert "few decimals" in told


RESCALES = {
    "first is 1": ([1.0, 0.004, 0.0045, 0.3, 2.0, 0.004], [0.0] * COUNT),
    "all whole": ([1.0, 2.0, 3.0, 1.0, 1.0, 5.0], [0.0] * COUNT),
    "intercepts": ([1.0] * COUNT, [0.0, -3.0, 0.5, 7.0, 0.0, 0.0]),
    "both": ([0.5, 0.25, 0.125, 2.0, 1.0, 4.0], [0.0, -1024.0, 3.0, 0.5, 1.0, 0.25]),
    "one is missing": ([0.5, None, 0.5, 0.5, 0.5, 0.5], [1.0, None, 1.0, 1.0, 1.0, 1.0]),
    "the same for all": ([0.5] * COUNT, [-3.0] * COUNT),
    "negative": ([-1.0, 1.0, -0.5, 1.0, 1.0, 1.0], [10.0] * COUNT),
    "none is a slope": ([1.0, 0.0, 1.0, 1.0, 1.0, 1.0], [0.0] * COUNT),
}


@pytest.mark.parametrize("name", RESCALES)
@pytest.mark.parametrize("modality", ["PT", "MR", "CT"])
def test_each_slice_is_rescaled_by_its_own_header(tmp_path, voxels, write_series, capfd, name, modality):
    slopes, intercepts = RESCALES[name]

    def rescale(number: int, header: Any) -> None:
        header.Modality = modality
        if slopes[number] is not None:
            header.RescaleSlope, header.RescaleIntercept = slopes[number], intercepts[number]

    edited(write_series(tmp_path, voxels), rescale)
    factors = np.array([1.0 if slope in (None, 0.0) else slope for slope in slopes])[:, None, None]
    summands = np.array([0.0 if value is None else value for value in intercepts])[:, None, None]
    assert np.allclose(grey(tmp_path), voxels * factors + summands, rtol=1e-6, atol=0)
    assert bool(read_volume(tmp_path).remarks) == (0.0 in slopes)
    assert capfd.readouterr() == ("", "")


def test_slices_stored_in_different_ways_keep_their_values(tmp_path, voxels, write_series):
    def unsigned(number: int, header: Any) -> None:
        if number >= 2:
            header.PixelRepresentation = 0
            header.PixelData = (voxels[number] + 60000).astype("<u2").tobytes()

    edited(write_series(tmp_path, voxels), unsigned)
    expected = voxels + np.array([0, 0, 60000, 60000, 60000, 60000])[:, None, None]
    assert np.array_equal(grey(tmp_path), expected)


def test_identical_copies_are_left_out_with_a_remark(tmp_path, voxels, write_series):
    files = write_series(tmp_path / "a", voxels)
    for file in files[:3]:
        shutil.copy(file, file.with_name(f"{file.stem} (1).dcm"))
    again = pydicom.dcmread(files[4])  # sent twice: another identifier, another comment, the same picture
    again.SOPInstanceUID, again.ImageComments = "1.2.3.4", "second export"
    again.save_as(tmp_path / "a" / "again.dcm")
    volume = read_volume(tmp_path / "a")
    assert np.array_equal(grey(tmp_path / "a"), voxels) and volume.description == "DICOM series of 6 files"
    assert volume.remarks == ("4 of its files are copies of others and were left out.",)
    write_series(tmp_path / "b", voxels)
    write_series(tmp_path / "b", voxels, start=50)
    assert np.array_equal(grey(tmp_path / "b"), voxels)


def test_two_pictures_of_one_place_are_refused(tmp_path, voxels, write_series, capfd):
    files = write_series(tmp_path, voxels)
    other = pydicom.dcmread(files[2])
    other.PixelData = (voxels[2] + 1).astype("<i2").tobytes()
    other.save_as(tmp_path / "slice002 (1).dcm")
    with pytest.raises(BadInput, match="at the same place and show different things"):
        read_volume(tmp_path)
    assert capfd.readouterr() == ("", "")


STACKS = {
    "echo time": [{"0018|0081": "12"}, {"0018|0081": "95"}],
    "echo": [{"0018|0086": "1"}, {"0018|0086": "2"}, {"0018|0086": "3"}],
    "temporal position": [{"0020|0100": str(number)} for number in range(1, 12)],
    "image type": [{"0008|0008": f"ORIGINAL\\PRIMARY\\{kind}\\ND"} for kind in "MP"],
    "trigger time": [{"0018|1060": "0"}, {"0018|1060": "40.5"}],
    "acquisition": [{"0020|0012": "1"}, {"0020|0012": "2"}],
    "inversion time": [{"0018|0082": "150"}, {"0018|0082": "2500"}],
    "sequence": [{"0018|0024": "ep_b0"}, {"0018|0024": "ep_b1000#1"}],
}


@pytest.mark.parametrize("kind", STACKS)
@pytest.mark.parametrize("shift", [0.0, 0.002])
def test_each_volume_of_a_series_is_offered_and_can_be_chosen(tmp_path, voxels, write_series, capfd, kind, shift):
    for number, tags in enumerate(STACKS[kind]):
        places = np.array([[3.0, -4.0, 5.0 + 3.0 * k + shift * number / len(STACKS[kind])] for k in range(COUNT)])
        write_series(tmp_path, voxels + number, tags=tags, start=10 * number, positions=places)
    with pytest.raises(BadInput, match=f"holds {len(STACKS[kind])} volumes") as caught:
        read_volume(tmp_path)
    text = str(caught.value)
    assert f"{UID}:1 (series 4, MR, {kind} " in text and f"{UID}:2 (" in text and "as :1 for the first" in text
    assert "SECRET" not in text and text.isprintable()
    choices = volumes_in(tmp_path)
    assert [one.key for one in choices] == [f"{UID}:{n + 1}" for n in range(len(STACKS[kind]))]
    assert {one.slices for one in choices} == {COUNT}
    for number, one in enumerate(choices):
        assert np.array_equal(grey(tmp_path, one.key), voxels + number)
        assert np.array_equal(grey(tmp_path, f":{number + 1}"), voxels + number)
        assert kind in read_volume(tmp_path, series=one.key).description
    for wrong in (":0", ":99", ":x", f"{UID}:-1", f"{UID}:"):
        with pytest.raises(BadInput, match=r"holds no volume|volumes"):
            read_volume(tmp_path, series=wrong)
    assert capfd.readouterr() == ("", "")


def test_b_values_are_binary_numbers(tmp_path, voxels, write_series):
    for number, value in enumerate((0.0, 1000.0)):
        files = write_series(tmp_path, voxels + number, start=10 * number)

        def diffusion(_: int, header: Any, value: float = value) -> None:
            header.DiffusionBValue = value

        edited(files, diffusion)
    assert [one.words for one in volumes_in(tmp_path)] == [
        "series 4, MR, b-value 0, 6 files",
        "series 4, MR, b-value 1000, 6 files",
    ]
    assert np.array_equal(grey(tmp_path, ":2"), voxels + 1)


def test_two_kinds_at_once_and_orientations(tmp_path, voxels, write_series):
    for number, (echo, kind) in enumerate(itertools.product(("12", "95"), "MP")):
        tags = {"0018|0081": echo, "0008|0008": f"ORIGINAL\\PRIMARY\\{kind}"}
        write_series(tmp_path / "a", voxels + number, tags=tags, start=10 * number)
    words = [one.words for one in volumes_in(tmp_path / "a")]
    assert words[1] == "series 4, MR, echo time 12 ms, image type ORIGINAL/PRIMARY/P, 6 files"
    assert all(np.array_equal(grey(tmp_path / "a", f":{n + 1}"), voxels + n) for n in range(4))
    write_series(tmp_path / "b", voxels)
    places = np.array([[3.0 * k, 0, 0] for k in range(5)])
    write_series(tmp_path / "b", voxels[:5] + 1, start=20, orientation="0\\1\\0\\0\\0\\1", positions=places)
    axial, sagittal = volumes_in(tmp_path / "b")
    assert "plane axial" in axial.words and "plane sagittal" in sagittal.words and sagittal.slices == 5
    assert np.array_equal(grey(tmp_path / "b", ":2"), voxels[:5] + 1)


def test_echoes_between_one_another_are_no_volume(tmp_path, voxels, write_series):
    """Echo 2 lies half a slice higher: together they would be an even stack of twelve slices."""
    write_series(tmp_path, voxels, tags={"0018|0081": "12"})
    places = np.array([[3.0, -4.0, 6.5 + 3.0 * k] for k in range(COUNT)])
    write_series(tmp_path, voxels + 1, tags={"0018|0081": "95"}, start=20, positions=places)
    assert len(volumes_in(tmp_path)) == 2
    assert np.array_equal(grey(tmp_path, ":2"), voxels + 1)


def test_what_changes_within_one_volume_does_not_separate_it(tmp_path, voxels, write_series):
    """Odd and even slices in two acquisitions, echo times with different last digits, an image type of each slice."""

    def change(number: int, header: Any) -> None:
        header.AcquisitionNumber = 1 + number % 2
        header.EchoTime = f"{95 + number * 1e-6:.6f}"
        header.ImageType = ["ORIGINAL", "PRIMARY", f"POS{number}"]

    both = np.concatenate([voxels, voxels + 1])
    edited(write_series(tmp_path, both), change)
    assert np.array_equal(grey(tmp_path), both)


def test_a_dark_slice_of_two_echoes_is_no_copy(tmp_path, voxels, write_series):
    dark = voxels.copy()
    dark[0] = 0
    for number, echo in enumerate(("12", "95")):
        write_series(tmp_path, dark, tags={"0018|0081": echo}, start=10 * number)
    assert [one.slices for one in volumes_in(tmp_path)] == [COUNT, COUNT]


def test_which_of_the_wanted_volumes_a_folder_holds(tmp_path, voxels, write_series):
    for folder, uid in (("a", "1.2.1"), ("b", "1.2.2")):
        for number, echo in enumerate(("12", "95")):
            write_series(tmp_path / folder, voxels, uid=uid, tags={"0018|0081": echo}, start=10 * number)
    write_series(tmp_path / "c", voxels, uid="1.2.3")
    a, b, c = (tmp_path / name for name in "abc")
    assert choice_in(a, "1.2.1:2,1.2.2:1", 0) == "1.2.1:2" and choice_in(b, "1.2.1:2,1.2.2:1", -1) == "1.2.2:1"
    assert choice_in(a, ":2", 0) == ":2" == choice_in(b, ":2", -1)
    assert choice_in(a, "1.2.1:1,1.2.1:2", 0) == "1.2.1:1" and choice_in(a, "1.2.1:1,1.2.1:2", -1) == "1.2.1:2"
    assert choice_in(c, "1.2.1:2", -1) is None  # holds one series: nothing to choose


def test_a_folder_whose_name_is_no_utf_8(tmp_path, voxels, write_series):
    write_series(tmp_path / "visit", voxels)
    write_series(tmp_path / "visit", voxels + 1, start=20, tags={"0018|0081": "95"})
    edited(
        sorted((tmp_path / "visit").iterdir())[:COUNT],
        lambda number, header: setattr(header, "RescaleSlope", number + 1),
    )
    folder = (tmp_path / "visit").rename(os.fsdecode(os.fsencode(tmp_path) + b"/M\xfcller"))
    assert np.array_equal(grey(folder, ":1"), voxels * np.arange(1, COUNT + 1)[:, None, None])
    assert np.array_equal(grey(folder, ":2"), voxels + 1)
    with pytest.raises(BadInput, match="volumes") as caught:
        read_volume(folder)
    assert "M\\xfcller: its series holds 2 volumes" in str(caught.value)


def test_colours_are_refused(tmp_path, voxels, write_series, capfd):
    def coloured(_: int, header: Any) -> None:
        header.SamplesPerPixel, header.PhotometricInterpretation, header.PlanarConfiguration = 3, "RGB", 0
        header.PixelData = bytes(9 * 11 * 3 * 2)

    edited(write_series(tmp_path, voxels), coloured)
    with pytest.raises(BadInput, match="colour"):
        read_volume(tmp_path)
    assert capfd.readouterr() == ("", "")
