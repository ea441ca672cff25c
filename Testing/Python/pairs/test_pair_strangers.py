"""NIfTI, DICOM, pictures and transforms of strangers: what makes their readers crash, hang or shift is refused."""

from __future__ import annotations

import os
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest

from LMIALLib.errors import BadInput
from LMIALLib.pairs.dicom_structure import DEEPEST, series_of
from LMIALLib.pairs.geometry import Grid
from LMIALLib.pairs.labels import read_label_slice
from LMIALLib.pairs.reading import read_volume
from LMIALLib.pairs.transforms import read_transform


def refused(path: Path, words: str, capfd: pytest.CaptureFixture[str]) -> None:
    """Reading fails with one sentence, and ITK prints nothing."""
    with pytest.raises(BadInput, match=words):
        read_volume(path)
    assert capfd.readouterr() == ("", "")


BAD_NIFTI = [
    *[((108, "<f", (begin,)), "voxels begin at byte") for begin in (0.0, 1.0, 348.0, 351.0, -352.0, np.nan, np.inf)],
    ((108, "<f", (1e9,)), "promises"),
    ((280 + 12, "<f", (np.nan,)), "position in space"),
    ((280 + 28, "<f", (np.inf,)), "position in space"),
    ((280 + 44, "<f", (3e38,)), "position in space"),
    ((280, "<f", (np.nan,)), "usable vectors"),
    ((280, "<f", (3e38,)), "usable vectors"),
    ((268, "<f", (np.nan,)), "position in space"),
    ((256, "<f", (2.0,)), "quaternion"),
    ((260, "<f", (np.nan,)), "quaternion"),
    ((264, "<f", (np.inf,)), "quaternion"),
]


@pytest.mark.parametrize(("edit", "words"), BAD_NIFTI)
def test_nifti_fields_that_no_scan_has(tmp_path, small_image, capfd, edit, words):
    import SimpleITK as sitk

    path = tmp_path / "a.nii"
    sitk.WriteImage(small_image, str(path))
    raw = bytearray(path.read_bytes())
    offset, form, values = edit
    struct.pack_into(form, raw, offset, *values)
    path.write_bytes(raw)
    refused(path, words, capfd)


@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("size", [348, 540, 4000])
@pytest.mark.parametrize("dim", [(0,), (8,), (3, 10, 10, 10), (3, 1 << 62, 1 << 62, 1 << 62), (3, -1, 10, 10)])
def test_nifti_2_headers_that_lie_are_refused(tmp_path, capfd, order, size, dim):
    """ITK complains of them past Python; a quaternion of 1e300 overflowed."""
    path = tmp_path / "a.nii"
    raw = bytearray(size)
    struct.pack_into(f"{order}i8s", raw, 0, 540, b"n+2\0\r\n\x1a\n")
    struct.pack_into(f"{order}h", raw, 12, 4)
    struct.pack_into(f"{order}{len(dim)}q", raw, 16, *dim)
    struct.pack_into(f"{order}8d", raw, 104, *[1.0] * 8)
    struct.pack_into(f"{order}q", raw, 168, 544)
    if size > 400:
        struct.pack_into(f"{order}2i6d", raw, 344, 1, 1, *[1e300] * 6)
    path.write_bytes(raw)
    refused(path, "dimensions|position in space|at least one voxel|too short", capfd)


@pytest.mark.parametrize("size", [0, 8, -16, 17, 1 << 30, 64])
def test_nifti_extensions_of_any_size_are_passed_over(tmp_path, small_image, capfd, size):
    import SimpleITK as sitk

    path = tmp_path / "a.nii"
    sitk.WriteImage(small_image, str(path))
    raw = bytearray(path.read_bytes())
    raw[348] = 1
    raw[352:352] = struct.pack("<2i", size, 6) + bytes(56)
    struct.pack_into("<f", raw, 108, 352 + 64)
    path.write_bytes(raw)
    assert np.array_equal(sitk.GetArrayFromImage(read_volume(path).image), sitk.GetArrayFromImage(small_image))
    assert capfd.readouterr().out == ""


TYPES = {
    "US": "0028-0002 0028-0010 0028-0011 0028-0100 0028-0101 0028-0102 0028-0103",
    "UI": "0008-0016 0008-0018 0020-000d 0020-000e 0020-0052",
    "CS": "0008-0060 0028-0004 0010-0040",
    "DS": "0018-0088 0020-0032 0020-0037 0028-0030 0028-1050 0028-1051 0028-1052 0028-1053",
    "IS": "0020-0011 0020-0013",
    "DA": "0008-0020 0008-0022 0010-0030",
    "OW": "7fe0-0010",
}
TYPE = {tuple(int(part, 16) for part in tag.split("-")): kind for kind, tags in TYPES.items() for tag in tags.split()}
"""Types of the elements that SimpleITK writes; LO for the others."""


def _element(tag: tuple[int, int], kind: bytes, value: bytes, length: int | None = None) -> bytes:
    """An element that names its type."""
    size = len(value) if length is None else length
    wide = kind in (b"SQ", b"OB", b"OW", b"UN")
    return (
        struct.pack("<2H", *tag)
        + kind
        + struct.pack("<HI" if wide else "<H", *((0, size) if wide else (size,)))
        + value
    )


def _nested(depth: int) -> bytes:
    """Sequences within sequences, all of undefined length."""
    begin = (struct.pack("<2H", 8, 0x1115) + b"SQ\0\0\xff\xff\xff\xff" + b"\xfe\xff\x00\xe0\xff\xff\xff\xff") * depth
    return begin + (b"\xfe\xff\x0d\xe0" + bytes(4) + b"\xfe\xff\xdd\xe0" + bytes(4)) * depth


def _insert(path: Path, element: bytes) -> None:
    """Put an element before the rows of a slice that SimpleITK wrote, and let all elements name their types."""
    raw = path.read_bytes()
    place = raw.index(b"1.2.840.10008.1.2\0")
    begin = raw.index(b"\x08\x00\x16\x00", place)
    out = raw[: place - 2] + struct.pack("<H", 20) + b"1.2.840.10008.1.2.1\0" + raw[place + 18 : begin]
    while begin < len(raw):
        group, number, length = struct.unpack_from("<2HI", raw, begin)
        if (group, number) == (0x28, 0x10):
            out += element
        kind = TYPE.get((group, number), "LO").encode()
        out += _element((group, number), kind, raw[begin + 8 : begin + 8 + length])
        begin += 8 + length
    path.write_bytes(out)


@pytest.mark.parametrize(
    "element",
    [
        _nested(DEEPEST + 2),
        _nested(20_000),
        _nested(20_000)[: 20_000 * 20],
        _element((8, 0x1115), b"SQ", b"\xfe\xff\x00\xe0" + struct.pack("<I", 0x7FFFFFFF)),
        _element((9, 0x10), b"LO", b"x", 0xFFFF),
        _element((9, 0x10), b"OB", b"", 0xFFFFFFFE),
        _element((9, 0x10), b"XX", b""),
        _element((9, 0x10), b"UN", b"\xfe\xff\x00\xe0" + struct.pack("<I", 8) + b"no item."),
    ],
    ids=["18 deep", "20000 deep", "open", "item", "long", "longer", "no type", "no item"],
)
def test_dicom_files_whose_structure_is_broken_are_not_shown_to_gdcm(tmp_path, write_series, capfd, element):
    files = write_series(tmp_path / "series", np.arange(480).reshape(6, 8, 10))
    _insert(files[3], element)
    refused(tmp_path / "series", "slice003.dcm is damaged", capfd)


@pytest.mark.parametrize("depth", [DEEPEST + 2, 20_000])
def test_sequences_without_named_types_are_followed_too(tmp_path, write_series, capfd, depth):
    files = write_series(tmp_path / "series", np.arange(480).reshape(6, 8, 10))
    raw = files[3].read_bytes()
    place = raw.index(struct.pack("<2HI", 0x28, 0x10, 2))
    deep = (struct.pack("<2H", 8, 0x1115) + b"\xff\xff\xff\xff" + b"\xfe\xff\x00\xe0\xff\xff\xff\xff") * depth
    files[3].write_bytes(raw[:place] + deep + raw[place:])
    refused(tmp_path / "series", "slice003.dcm is damaged", capfd)


def test_dicom_sequences_as_deep_as_real_ones_are_read(tmp_path, write_series):
    files = write_series(tmp_path / "series", np.arange(480).reshape(6, 8, 10))
    for path in files:
        _insert(path, _nested(6))
    assert read_volume(tmp_path / "series").grid.size == (10, 8, 6)
    (tmp_path / "series" / "README.txt").write_text("x" * 1000)
    (tmp_path / "series" / "empty").write_bytes(b"")
    assert read_volume(tmp_path / "series").grid.size == (10, 8, 6)
    assert series_of(files[0]) == "1.2.826.0.1.3680043.2.1125.7"


def test_a_dicom_file_cut_short_is_named(tmp_path, write_series, capfd):
    files = write_series(tmp_path / "series", np.arange(480).reshape(6, 8, 10))
    files[2].write_bytes(files[2].read_bytes()[:-30])
    refused(tmp_path / "series", "slice002.dcm is damaged", capfd)


GRID = Grid((12, 10, 8), (1.0, 1.0, 1.0), (0.0, 0.0, 0.0), (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0))


def _label(path: Path) -> np.ndarray:
    return read_label_slice(path, grid=GRID, axis=0, number=3, allowed=[1, 2])


@pytest.mark.parametrize("name", ["a.png", "a.tif", "a.bmp", "a.nrrd", "a.mha", "a.nii"])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_a_plane_is_read_in_every_format(tmp_path, name, dtype):
    import SimpleITK as sitk
    from PIL import Image

    plane = np.zeros((10, 12), dtype)
    plane[2:4, 3:7] = 2
    path = tmp_path / name
    if name.endswith("bmp"):
        Image.fromarray(plane.astype(np.uint8)).save(path)
    else:
        sitk.WriteImage(sitk.GetImageFromArray(plane), str(path))
    assert np.array_equal(_label(path), plane)


def _png(width: int, height: int, data: bytes) -> bytes:
    chunks = [(b"IHDR", struct.pack(">2I5B", width, height, 8, 0, 0, 0, 0)), (b"IDAT", data), (b"IEND", b"")]
    parts = [struct.pack(">I", len(v)) + k + v + struct.pack(">I", zlib.crc32(k + v)) for k, v in chunks]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def test_pictures_that_nobody_wrote_in_good_faith(tmp_path):
    import SimpleITK as sitk

    path = tmp_path / "a.png"
    for width, height in ((100_000, 100_000), (0xFFFFFFFF, 1), (0, 0), (12, 10)):
        path.write_bytes(_png(width, height, zlib.compress(bytes(10))))
        with pytest.raises(BadInput):
            _label(path)
    path = tmp_path / "a.tif"
    plane = np.zeros((10, 12), np.uint8)
    plane[3, 3] = 1
    sitk.WriteImage(sitk.GetImageFromArray(plane), str(path))
    raw = bytearray(path.read_bytes())
    directory = struct.unpack_from("<I", raw, 4)[0]
    count = struct.unpack_from("<H", raw, directory)[0]
    struct.pack_into("<I", raw, directory + 2 + 12 * count, directory)  # the next picture is this one, for ever
    path.write_bytes(raw)
    _refused_or_read(path)
    for name in ("a.png", "a.tif", "a.bmp"):
        (tmp_path / name).write_bytes(os.urandom(500))
        with pytest.raises(BadInput, match="cannot be read as an image"):
            _label(tmp_path / name)
    with pytest.raises(BadInput, match="cannot be read"):
        _label(tmp_path / ("x" * 300 + ".png"))
    (tmp_path / "b.nrrd").write_bytes(
        b"NRRD0004\ntype: uchar\ndimension: 2\nsizes: 100000 100000\nspacings: 1 1\nencoding: raw\n\n"
    )
    with pytest.raises(BadInput, match="promises"):
        _label(tmp_path / "b.nrrd")


def _refused_or_read(path: Path) -> None:
    try:
        _label(path)
    except BadInput:
        return


LINES = {
    "Transform": "AffineTransform_double_3_3",
    "Parameters": "1 0 0 0 0.8 -0.6 0 0.6 0.8 2 3 4",
    "FixedParameters": "5 6 7",
}


def _transform(path: Path, **lines: str) -> Path:
    text = "".join(f"{name}: {value}\n" for name, value in (LINES | lines).items())
    path.write_text(f"#Insight Transform File V1.0\n#Transform 0\n{text}")
    return path


@pytest.mark.parametrize("kind", ["AffineTransform_double_3_3", "MatrixOffsetTransformBase_double_3_3"])
def test_a_transform_is_read_as_itk_reads_it(tmp_path, kind):
    import SimpleITK as sitk

    path = _transform(tmp_path / "a.txt", Transform=kind)
    ours, theirs = read_transform(path).GetInverse(), sitk.ReadTransform(str(path)).GetInverse()
    for point in np.random.default_rng(0).normal(size=(20, 3)) * 100:
        assert ours.TransformPoint(point) == theirs.TransformPoint(point)


@pytest.mark.parametrize(
    "lines",
    [
        {"Parameters": ""},
        {"Parameters": "1 2"},
        {"Parameters": "0 " * 12},
        {"Parameters": "1 " * 100_000},
        {"Parameters": "nan " * 12},
        {"Parameters": "1 0 0 0 1 0 0 0 1 1e400 0 0"},
        {"FixedParameters": ""},
        {"FixedParameters": "1e300 0 0"},
        {"Transform": "CompositeTransform_double_3_3"},
        {"Transform": "BSplineTransform_double_3_3"},
        {"Transform": "A" * 5000},
        {"Other": "1"},
    ],
)
def test_transforms_that_itk_crashes_on_are_refused(tmp_path, lines):
    with pytest.raises(BadInput) as caught:
        read_transform(_transform(tmp_path / "a.txt", **lines))
    assert str(tmp_path / "a.txt") in str(caught.value) and len(str(caught.value)) < 600
    (tmp_path / "b.txt").write_bytes(b"")
    with pytest.raises(BadInput, match="cannot be read as an ITK transform"):
        read_transform(tmp_path / "b.txt")
