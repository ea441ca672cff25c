"""NRRD and MetaImage headers of strangers: what ITK would choke on is refused by name, what real writers write is read.

ITK's own readers write behind their memory where a field is over-long, and follow a list of data files out of a folder.
"""

from __future__ import annotations

import bz2
import gzip
import itertools
import re
import zlib
from pathlib import Path

import numpy as np
import pytest

from LMIALLib.errors import BadInput
from LMIALLib.pairs.headers_metaimage import _FIELDS as METAIMAGE_FIELDS
from LMIALLib.pairs.headers_nrrd import _FIELDS as NRRD_FIELDS
from LMIALLib.pairs.reading import read_image, read_volume
from LMIALLib.pairs.storage import read_nrrd, write_nrrd

SIZE = (5, 6, 7)
VOXELS = np.random.default_rng(2).integers(0, 200, SIZE[::-1]).astype(np.uint8)


def nrrd(path: Path, *fields: str, data: bytes = VOXELS.tobytes(), without: tuple[str, ...] = ()) -> Path:
    """A NRRD of plain bytes with further header lines, and perhaps without some of the usual ones."""
    usual = {
        "type": "uchar",
        "dimension": "3",
        "space": "left-posterior-superior",
        "sizes": "5 6 7",
        "space directions": "(1,0,0) (0,1.5,0) (0,0,2)",
        "encoding": "raw",
    }
    lines = [f"{name}: {value}" for name, value in usual.items() if name not in without]
    path.write_bytes("\n".join(["NRRD0004", *lines, *fields, "", ""]).encode() + data)
    return path


def metaimage(path: Path, *fields: str, data: bytes = VOXELS.tobytes(), without: tuple[str, ...] = ()) -> Path:
    """The same as MetaImage; the data file is named last, unless ``fields`` does it."""
    usual = {
        "ObjectType": "Image",
        "NDims": "3",
        "DimSize": "5 6 7",
        "ElementSpacing": "1 1.5 2",
        "ElementType": "MET_UCHAR",
    }
    lines = [f"{name} = {value}" for name, value in usual.items() if name not in without]
    last = [] if any(field.startswith("ElementDataFile") for field in fields) else ["ElementDataFile = LOCAL"]
    path.write_bytes("\n".join([*lines, *fields, *last, ""]).encode() + data)
    return path


def refused(path: Path, words: str, capfd: pytest.CaptureFixture[str]) -> None:
    """Reading fails with one short sentence that holds the words and nothing that a terminal would obey."""
    for read in (read_volume, read_nrrd) if path.suffix in (".nrrd", ".nhdr") else (read_volume,):
        with pytest.raises(BadInput, match=words) as caught:
            read(path)
        sentence = str(caught.value).replace(str(path), "")
        assert len(sentence) < 500 and sentence.isprintable()
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("length", [1_000, 5_000, 100_000])
@pytest.mark.parametrize("name", sorted({*NRRD_FIELDS, "unknown", "block size", "space units", "axis mins"}))
def test_no_field_of_a_nrrd_is_longer_than_real_ones(tmp_path, capfd, name, length):
    if name == "content" and length == 1_000:
        return  # programs write there what they did to a volume
    for value in ("x" * length, "1 " * (length // 2)):
        refused(nrrd(tmp_path / "a.nrrd", f"{name}: {value}"), ".", capfd)
        refused(nrrd(tmp_path / "a.nrrd", f"{name}: {value}", without=(name, "space directions")), ".", capfd)


@pytest.mark.parametrize("name", ["x" * 1_000, "x" * 100_000, "nothing known", "block size", "space\x1b[2J"])
def test_unknown_fields_of_a_nrrd_are_refused_by_name(tmp_path, capfd, name):
    refused(nrrd(tmp_path / "a.nrrd", f"{name}: 1"), "does not know|characters|line of", capfd)


@pytest.mark.parametrize("length", [300, 5_000, 100_000])
@pytest.mark.parametrize("name", sorted(METAIMAGE_FIELDS))
def test_no_field_of_a_metaimage_is_longer_than_real_ones(tmp_path, capfd, name, length):
    refused(metaimage(tmp_path / "a.mha", f"{name} = {'x' * length}", without=(name,)), f"field '{name}'", capfd)


@pytest.mark.parametrize("field", [f"{'x' * 1000} = 1", f"further = {'x' * 100_000}", "Name = a\nName = b"])
def test_further_fields_of_a_metaimage_are_bounded(tmp_path, capfd, field):
    refused(metaimage(tmp_path / "a.mha", field), "characters|twice", capfd)


NO_NUMBERS = ["1e400", "nan", "-inf", "9" * 30, "9" * 5000, "-4", "\u0663", "0x10", "1_0", "", "1e-320", "4 4", "1\x00"]


@pytest.mark.parametrize("value", NO_NUMBERS)
def test_numbers_that_no_header_has(tmp_path, capfd, value):
    rest = "space directions"
    for name, place in itertools.product(("sizes", "spacings", "axis mins", "old min", "space origin"), range(3)):
        three = ["5", "6", "7"]
        three[place] = value
        line = f"{name}: ({','.join(three)})" if name == "space origin" else f"{name}: {' '.join(three)}"
        other = ("sizes", "space", rest) if name != "space origin" else ()
        more = () if name in ("spacings", "space origin") else ("spacings: 1 1 1",)
        sizes = () if name in ("sizes", "space origin") else ("sizes: 5 6 7",)
        path = nrrd(tmp_path / "a.nrrd", line, *more, *sizes, without=other)
        _refused_or_read(path)
        for field in ("DimSize", "ElementSpacing", "Offset", "ElementMin"):
            _refused_or_read(metaimage(tmp_path / "a.mha", f"{field} = {' '.join(three)}", without=(field,)))
    for field in ("dimension", "byte skip", "line skip", "space dimension", "number"):
        _refused_or_read(nrrd(tmp_path / "a.nrrd", f"{field}: {value}", without=(field,)))
    for field in ("NDims", "HeaderSize", "ElementNumberOfChannels", "CompressedDataSize"):
        _refused_or_read(metaimage(tmp_path / "a.mha", f"{field} = {value}", without=(field,)))
    assert capfd.readouterr() == ("", "")


def _refused_or_read(path: Path) -> None:
    """No other outcome than BadInput, or a volume whose geometry is made of usable numbers."""
    try:
        volume = read_volume(path)
    except BadInput as error:
        sentence = str(error).replace(str(path), "")
    else:
        sentence = ""
        assert np.isfinite(volume.grid.corners()).all()
        assert np.abs(volume.grid.corners()).max() < 1e8
    assert len(sentence) < 500


def test_spacing_and_position_have_the_size_of_a_person(tmp_path, small_image, capfd):
    import SimpleITK as sitk

    for spacing, origin, words in (
        ((1, 1, 1e5), (0, 0, 0), "LMIAL takes|usable vectors"),
        ((1, 1e-5, 1), (0, 0, 0), "LMIAL takes|usable vectors"),
        ((1, 1, 1), (0, 1e9, 0), "position in space"),
        ((1, 1, 0.1), (0, 0, 0), "it shows 12 x 10 x 0.8 mm"),
        ((1, 1, 9e3), (0, 0, 0), "it shows"),
    ):
        small_image.SetSpacing(spacing)
        small_image.SetOrigin(origin)
        for suffix in (".nrrd", ".mha", ".nii"):
            path = tmp_path / f"a{suffix}"
            sitk.WriteImage(small_image, str(path))
            with pytest.raises(BadInput, match=words):
                read_volume(path)
    assert "itk" not in capfd.readouterr().err.lower()


def test_values_that_single_precision_cannot_hold(tmp_path, as_image, capfd):
    import SimpleITK as sitk

    for value, dtype in ((1e300, np.float64), (-3e38, np.float32)):
        array = np.arange(720.0).reshape(8, 9, 10)
        array[0, 0, 0] = value
        path = tmp_path / "a.nrrd"
        sitk.WriteImage(as_image(array, dtype=dtype), str(path))
        with pytest.raises(BadInput, match="values up to"):
            read_volume(path)
    assert capfd.readouterr() == ("", "")


def _detached(folder: Path, kind: str, name: str, outside: Path) -> Path:
    """A header beside which nothing lies but what the header could name."""
    lists = (f"{outside}\n" * SIZE[2]).encode()
    if kind == "nhdr":
        return nrrd(folder / "a.nhdr", f"data file: {name}", data=lists)
    return metaimage(folder / "a.mhd", f"ElementDataFile = {name}", data=lists)


ELSEWHERE = [
    *("LIST", "LISTx", "LIST2", "LIST 2", "LIST 3", "LIST\t2", "LIST:", "LIST=", "List", "list", "LIST.raw"),
    *(
        "LISTING x",
        "'LIST'",
        '"LIST"',
        '"data.raw"',
        "data%d.raw",
        "data%03d.raw 1 7 1",
        "%s",
        "data.raw 1",
        "./../up.raw",
    ),
    *("../up.raw", "..", ".", "/", "~/up.raw", "$HOME/up.raw", "up.raw\x00", "inner/../../up.raw", "..\\up.raw"),
    *("C:up.raw", "file:///up.raw", "link.raw", "folder/up.raw", "\x0b../up.raw", "../up.raw ", "LOCAL ../up.raw"),
    *("data.raw;../up.raw", "data.raw\x0d../up.raw", "x" * 250, "x" * 5000, "a/" * 100 + "b"),
]


@pytest.mark.parametrize("kind", ["nhdr", "mhd"])
@pytest.mark.parametrize("name", ELSEWHERE)
def test_a_detached_header_reads_its_own_folder_only(tmp_path, capfd, kind, name):
    folder = tmp_path / "headers"
    (folder / "inner").mkdir(parents=True)
    outside = tmp_path / "up.raw"
    outside.write_bytes(VOXELS.tobytes())
    (folder / "link.raw").symlink_to(outside)
    (folder / "folder").symlink_to(tmp_path)
    refused(_detached(folder, kind, name, outside), ".", capfd)
    # Even where a file of that very name lies in the folder, its own bytes are read or nothing.
    own = np.full(SIZE[::-1], 7, np.uint8)
    own[0] = 8
    plain = name.strip()
    taken = (".", "..", "link.raw", "folder")
    if plain and len(plain) < 200 and not {"/", "\x00", "\\", "\x0d"} & set(plain) and plain not in taken:
        (folder / plain).write_bytes(own.tobytes())
        try:
            image, _ = read_image(_detached(folder, kind, name, outside))
        except BadInput:
            return
        assert image[0, 0, 0] == 8 and image[0, 0, 1] == 7


def test_the_header_itself_may_be_a_link(tmp_path):
    """A person named it; data sets are trees of links. Its data file lies beside the link."""
    elsewhere, here = tmp_path / "elsewhere", tmp_path / "here"
    elsewhere.mkdir()
    here.mkdir()
    (here / "a.nhdr").symlink_to(nrrd(elsewhere / "a.nhdr", "data file: a.raw", data=b""))
    (elsewhere / "a.raw").write_bytes(VOXELS.tobytes())
    with pytest.raises(BadInput, match="missing from its folder"):
        read_volume(here / "a.nhdr")
    (here / "a.raw").write_bytes(VOXELS.tobytes())
    assert read_volume(here / "a.nhdr").grid.size == SIZE


def test_what_real_writers_write_is_read(tmp_path, capfd):
    """Further entries of 3D Slicer, teem's comments and obsolete fields, DICOM tags that ITK writes into a .mha."""
    segments = [
        f"Segment{n}_{key}:={value}"
        for n in range(300)
        for key, value in {
            "Color": "0.5 0.68 0.5",
            "ID": f"Segment_{n}",
            "Tags": "TerminologyEntry:Segmentation category: a~SCT^85756007^Tissue~^^~Anatomic|",
            "Extent": "0 4 0 5 0 6",
        }.items()
    ]
    slicer = nrrd(
        tmp_path / "a.seg.nrrd",
        "kinds: domain domain domain",
        "endian: little",
        "space origin: (1,2,3)",
        'space units: "mm" "mm" "mm"',
        "measurement frame: (1,0,0) (0,1,0) (0,0,1)",
        "# Complete NRRD file format specification at:",
        "content: a scan: of somebody",
        'labels: "x" "y" "z"',
        "old min: 0",
        "Segmentation_ConversionParameters:=Decimation factor|0.0|Desired: reduction&" + "Smoothing|0.5|" * 300,
        *segments,
    )
    assert read_volume(slicer).grid.origin == (1.0, 2.0, 3.0)
    plain = nrrd(
        tmp_path / "b.nrrd",
        "spacings: 1 1.5 2",
        "axis mins: 10 20 30",
        "centerings: cell node ???",
        "thicknesses: nan nan 2",
        'units: "mm" "mm" "mm"',
        "number: 210",
        without=("space", "space directions"),
    )
    assert read_volume(plain).grid.origin == (10.5, 20.0, 31.0)
    mha = metaimage(
        tmp_path / "a.mha",
        "TransformMatrix = 1 0 0 0 1 0 0 0 1",
        "Offset = 1 2 3",
        "CenterOfRotation = 0 0 0",
        "AnatomicalOrientation = RAI",
        "ITK_InputFilterName = MetaImageIO",
        "0008|0060 = MR",
        "0028|0030 = 1\\1.5",
        "0008|103e = " + "x" * 2000,
        "Comment = of: somebody = else",
        "Gr\u00f6\u00dfe = \u00fc",
    )
    assert read_volume(mha).grid.origin == (1.0, 2.0, 3.0)
    assert capfd.readouterr() == ("", "")


TURNED = np.linalg.qr(np.random.default_rng(5).normal(size=(3, 3)))[0]
SPACES = ["left-posterior-superior", "LPS", "right-anterior-superior", "RAS", "scanner-xyz", "3D-left-handed", "dim"]


def _as_itk_reads(path: Path) -> None:
    """LMIAL's image and ITK's have the same type, voxels and geometry, to the last bit."""
    import SimpleITK as sitk

    ours, theirs = read_image(path)[0], sitk.ReadImage(str(path))
    if theirs.GetDimension() == 4:
        theirs = sitk.Extract(theirs, [*theirs.GetSize()[:3], 0])
    if "vector" in theirs.GetPixelIDTypeAsString():
        theirs = sitk.VectorIndexSelectionCast(theirs, 0)
    assert ours.GetPixelID() == theirs.GetPixelID()
    assert [repr(f(ours)) for f in _GEOMETRY] == [repr(f(theirs)) for f in _GEOMETRY]
    assert np.array_equal(sitk.GetArrayFromImage(ours), sitk.GetArrayFromImage(theirs))


_GEOMETRY = tuple(lambda image, name=name: getattr(image, name)() for name in ("GetSize", "GetSpacing", "GetOrigin"))
_GEOMETRY += (lambda image: image.GetDirection(),)


@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize(
    ("code", "name", "meta"),
    [
        ("i1", "int8", "CHAR"),
        ("u1", "unsigned char", "UCHAR"),
        ("i2", "short", "SHORT"),
        ("u2", "uint16_t", "USHORT"),
        ("i4", "signed int", "INT"),
        ("i4", "int", "LONG"),
        ("u4", "unsigned int", "UINT"),
        ("i8", "long long int", "LONG_LONG"),
        ("u8", "uint64", "ULONG_LONG"),
        ("f4", "float", "FLOAT"),
        ("f8", "double", "DOUBLE"),
    ],
)
def test_all_types_are_read_as_itk_reads_them(tmp_path, code, name, meta, order):
    bits = np.random.default_rng(1).integers(0, 255, (*SIZE[::-1], int(code[1])), np.uint8)
    values = bits.view(code)[..., 0] if code[0] != "f" else np.random.default_rng(1).normal(size=SIZE[::-1])
    raw = values.astype(order + code).tobytes()
    endian = "little" if order == "<" else "big"
    for encoding, data in (
        ("raw", raw),
        ("gzip", gzip.compress(raw)),
        ("gz", gzip.compress(raw[:99]) + gzip.compress(raw[99:])),
    ):
        fields = (f"type: {name}", f"endian: {endian}", f"encoding: {encoding}")
        _as_itk_reads(nrrd(tmp_path / "a.nrrd", *fields, data=data, without=("type", "encoding")))
    for packed in (False, True):
        data = zlib.compress(raw) if packed else raw
        fields = (f"ElementType = MET_{meta}", f"BinaryDataByteOrderMSB = {order == '>'}", f"CompressedData = {packed}")
        size = (f"CompressedDataSize = {len(data)}",)
        _as_itk_reads(metaimage(tmp_path / "a.mha", *fields, *size, data=data, without=("ElementType",)))
    path = nrrd(
        tmp_path / "b.nrrd",
        *(f"type: {name}", f"endian: {endian}", "encoding: bzip2"),
        data=bz2.compress(raw),
        without=("type", "encoding"),
    )
    assert np.array_equal(read_nrrd(path)[0], values.astype(code))  # this ITK was built without bzip2


@pytest.mark.parametrize(
    "axes", [np.eye(3), TURNED, -np.eye(3), np.eye(3)[[2, 0, 1]]], ids=["id", "turned", "-", "zxy"]
)
def test_all_conventions_are_read_as_itk_reads_them(tmp_path, axes):
    vectors = [tuple(float(v) for v in axes[:, c] * (0.7, 1.3, 2.1)[c]) for c in range(3)]
    listed = " ".join(f"({','.join(map(repr, vector))})" for vector in vectors)
    for space in SPACES:
        fields = ("space dimension: 3" if space == "dim" else f"space: {space}", f"space directions: {listed}")
        three = ("space", "space directions")
        _as_itk_reads(nrrd(tmp_path / "a.nrrd", *fields, "space origin: (-7.1,0,3.3)", without=three))
        four = ("dimension: 4", "sizes: 5 6 7 1", fields[0], f"{fields[1]} none", "kinds: domain domain domain list")
        _as_itk_reads(nrrd(tmp_path / "a.nrrd", *four, without=(*three, "sizes", "dimension")))
    for names in itertools.product(("TransformMatrix", "Rotation", "Orientation"), ("Offset", "Position", "Origin")):
        matrix = " ".join(repr(float(value)) for value in axes.T.ravel())
        fields = (f"{names[0]} = {matrix}", f"{names[1]} = -7.1 -0.0 3.3")
        _as_itk_reads(metaimage(tmp_path / "a.mha", *fields))
    full = np.eye(4)
    full[:3, :3] = axes
    fields = (
        *("NDims = 4", "DimSize = 5 6 7 1", "ElementSpacing = 1 2 3 1", "Offset = 1 2 3 0"),
        f"TransformMatrix = {' '.join(repr(float(value)) for value in full.T.ravel())}",
    )
    _as_itk_reads(metaimage(tmp_path / "a.mha", *fields, without=("NDims", "DimSize", "ElementSpacing")))


def test_left_anterior_superior_turns_the_second_axis(tmp_path):
    """Older ITK turned the first one."""
    path = nrrd(tmp_path / "a.nrrd", "space: LAS", "space origin: (1,2,3)", without=("space",))
    grid = read_volume(path).grid
    assert grid.origin == (1.0, -2.0, 3.0)
    assert grid.direction == (1, 0, 0, 0, -1, 0, 0, 0, 1)


@pytest.mark.parametrize("kind", ["nhdr", "mhd"])
def test_voxels_at_the_end_of_their_file(tmp_path, kind):
    (tmp_path / "a.raw").write_bytes(b"a header of another program" + VOXELS.tobytes())
    if kind == "nhdr":
        path = nrrd(tmp_path / "a.nhdr", "data file: a.raw", "byte skip: -1", data=b"")
    else:
        path = metaimage(tmp_path / "a.mhd", "HeaderSize = -1", "ElementDataFile = a.raw", data=b"")
    _as_itk_reads(path)


def test_geometry_that_contradicts_itself_is_refused(tmp_path, capfd):
    refused(nrrd(tmp_path / "a.nrrd", "spacings: 1 1 1"), "does not understand", capfd)
    refused(nrrd(tmp_path / "a.nrrd", "space: nowhere", without=("space",)), "does not know", capfd)
    refused(nrrd(tmp_path / "a.nrrd", without=("space",)), "does not understand", capfd)
    refused(nrrd(tmp_path / "a.nrrd", "type: short", without=("type",), data=bytes(420)), "byte order", capfd)
    refused(nrrd(tmp_path / "a.nrrd", "kinds: domain"), "one entry for each", capfd)
    refused(metaimage(tmp_path / "a.mha", "Offset = 1 2 3", "Position = 1 2 4"), "different numbers", capfd)
    refused(metaimage(tmp_path / "a.mha", "TransformMatrix = 2 0 0 0 1 0 0 0 1"), "length 1", capfd)
    refused(metaimage(tmp_path / "a.mha", "TransformMatrix = 1 0 0 0 1 0"), "other than 9", capfd)


def test_damaged_and_endless_compressed_data(tmp_path, capfd):
    raw = VOXELS.tobytes()
    packed = bytearray(gzip.compress(raw))
    packed[-6] ^= 1  # the checksum
    for data in (bytes(packed), gzip.compress(raw)[:-9], gzip.compress(raw[:100]), b"", b"\x1f\x8b"):
        path = nrrd(tmp_path / "a.nrrd", "encoding: gzip", without=("encoding",), data=data)
        refused(path, "damaged|cut short", capfd)
    more = nrrd(tmp_path / "b.nrrd", "encoding: gzip", without=("encoding",), data=gzip.compress(raw) + b"and more")
    assert np.array_equal(read_nrrd(more)[0], VOXELS)


def test_a_bomb_is_refused_before_it_is_unpacked(tmp_path, capfd):
    size = "sizes: 4000 4000 4000"
    path = nrrd(
        tmp_path / "a.nrrd", size, "encoding: gzip", without=("sizes", "encoding"), data=gzip.compress(bytes(1 << 20))
    )
    refused(path, "promises", capfd)


def test_own_files_are_read_back_exactly_without_itk(tmp_path, small_image, monkeypatch):
    import SimpleITK as sitk

    from LMIALLib.pairs.geometry import Grid

    grid, array = Grid.of(small_image), sitk.GetArrayFromImage(small_image)
    write_nrrd(tmp_path / "a.nrrd", array, grid, fields={"LMIAL": "a study"})
    monkeypatch.setattr(sitk, "ReadImage", None)
    found, where = read_nrrd(tmp_path / "a.nrrd")
    assert where == grid and np.array_equal(found, array) and found.dtype == array.dtype
    assert re.search(rb"LMIAL:=a study", (tmp_path / "a.nrrd").read_bytes())


FURTHER_AXES = {
    # sizes, space directions, further lines: an axis of length 1 that is no axis of space, in every place
    "list at the end": ("5 6 7 1", "(1,0,0) (0,1.5,0) (0,0,2) none", "kinds: domain domain domain list"),
    "list in front": ("1 5 6 7", "none (1,0,0) (0,1.5,0) (0,0,2)", "kinds: list domain domain domain"),
    "list in between": ("5 1 6 7", "(1,0,0) none (0,1.5,0) (0,0,2)", "kinds: space list space space"),
    "two lists": ("1 5 6 7 1", "none (1,0,0) (0,1.5,0) (0,0,2) none", "kinds: list space space space vector"),
    "a scalar": ("1 5 6 7", "none (1,0,0) (0,1.5,0) (0,0,2)", "kinds: scalar domain domain domain"),
    "a time": ("5 6 7 1", "(1,0,0) (0,1.5,0) (0,0,2) none", "kinds: domain domain domain time"),
    "no kinds": ("5 6 7 1", "(1,0,0) (0,1.5,0) (0,0,2) none", "content: a scan"),
    "NaN": ("5 6 7 1", "(1,0,0) (0,1.5,0) (0,0,2) (nan,nan,nan)", "kinds: domain domain domain list"),
    "NaN without kinds": ("5 6 7 1", "(1,0,0) (0,1.5,0) (0,0,2) (nan,nan,nan)", "content: a scan"),
}


@pytest.mark.parametrize("name", FURTHER_AXES)
def test_a_further_axis_of_length_one_makes_no_vector_of_a_nrrd(tmp_path, capfd, name):
    import SimpleITK as sitk

    sizes, directions, more = FURTHER_AXES[name]
    lines = (f"dimension: {len(sizes.split())}", f"sizes: {sizes}", f"space directions: {directions}", more)
    without = ("dimension", "sizes", "space directions")
    volume = read_volume(nrrd(tmp_path / "a.nrrd", *lines, without=without))
    assert np.array_equal(sitk.GetArrayFromImage(volume.image), VOXELS) and volume.grid.spacing == (1, 1.5, 2)
    two = sizes.replace("1", "2", 1)
    lines = (lines[0], f"sizes: {two}", *lines[2:])
    refused(
        nrrd(tmp_path / "b.nrrd", *lines, without=without, data=VOXELS.tobytes() * 2), "values per voxel|dim", capfd
    )


@pytest.mark.parametrize(
    ("sizes", "steps"), [("1 5 6 7", "nan 1 1.5 2"), ("5 6 7 1", "1 1.5 2 nan"), ("5 6 7 1", "1 1.5 2 1")]
)
def test_a_further_axis_of_a_nrrd_without_a_space(tmp_path, sizes, steps):
    import SimpleITK as sitk

    without = ("dimension", "sizes", "space", "space directions")
    lines = ("dimension: 4", f"sizes: {sizes}", f"spacings: {steps}")
    volume = read_volume(nrrd(tmp_path / "a.nrrd", *lines, without=without))
    assert np.array_equal(sitk.GetArrayFromImage(volume.image), VOXELS) and volume.grid.spacing == (1, 1.5, 2)


@pytest.mark.parametrize("more", [1, 2])
def test_further_axes_of_length_one_of_a_metaimage(tmp_path, more):
    import SimpleITK as sitk

    ones = " 1" * more
    matrix = " ".join(str(float(value)) for value in np.eye(3 + more).ravel())
    lines = (f"NDims = {3 + more}", f"DimSize = 5 6 7{ones}", f"ElementSpacing = 1 1.5 2{ones}")
    turned = (f"TransformMatrix = {matrix}", f"Offset = 1 2 3{' 0' * more}")
    path = metaimage(tmp_path / "a.mha", *lines, *turned, without=("NDims", "DimSize", "ElementSpacing"))
    volume = read_volume(path)
    assert np.array_equal(sitk.GetArrayFromImage(volume.image), VOXELS) and volume.grid.origin == (1, 2, 3)
