"""Reading volumes: geometry survives, and each bad file is refused with one sentence before any harm is done."""

from __future__ import annotations

import gzip
import re
import struct
from pathlib import Path

import numpy as np
import pytest

from LMIALLib.errors import BadInput, NeedsAlignment, NeedsConfirmation
from LMIALLib.pairs.geometry import Grid
from LMIALLib.pairs.label_volume import read_mask
from LMIALLib.pairs.pair import Pair
from LMIALLib.pairs.reading import Volume, check_two_visits, read_volume
from LMIALLib.pairs.storage import load_pair, save_pair

OBLIQUE = np.array([[0.9, -0.3, 0.31], [0.28, 0.95, 0.12], [-0.33, -0.02, 0.94]])
OBLIQUE = np.linalg.svd(OBLIQUE)[0] @ np.linalg.svd(OBLIQUE)[2]
LEFT_HANDED = OBLIQUE @ np.diag([1.0, 1.0, -1.0])


def write(image, path: Path) -> Path:
    import SimpleITK as sitk

    sitk.WriteImage(image, str(path))
    return path


def refused(path: Path, words: str, capfd: pytest.CaptureFixture[str]) -> BadInput:
    """Reading fails with one sentence that names the file and holds the words; ITK says nothing of its own."""
    with pytest.raises(BadInput, match=words) as caught:
        read_volume(path)
    sentence = caught.value.sentence
    assert str(path) in sentence
    assert "\n" not in str(caught.value) and "itk" not in str(caught.value).replace(str(path), "").lower()
    assert capfd.readouterr() == ("", "")
    return caught.value


def edited_nifti(image, path: Path, *edits: tuple[int, str, tuple]) -> Path:
    """A .nii whose header bytes are overwritten: (offset, struct format, values)."""
    write(image, path)
    raw = bytearray(path.read_bytes())
    for offset, form, values in edits:
        struct.pack_into(form, raw, offset, *values)
    path.write_bytes(raw)
    return path


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz", ".nrrd", ".nhdr", ".mha", ".mhd"])
@pytest.mark.parametrize("direction", [np.eye(3), OBLIQUE, LEFT_HANDED], ids=["straight", "oblique", "left-handed"])
def test_geometry_and_voxels_survive_reading_saving_and_loading(tmp_path, as_image, suffix, direction):
    import SimpleITK as sitk

    voxels = np.random.default_rng(0).integers(0, 500, (7, 9, 8))
    image = as_image(voxels, spacing=(0.71875, 0.9, 3.3), origin=(-101.3, 87.12345, -43.9), direction=direction)
    volume = read_volume(write(image, tmp_path / f"a{suffix}"))
    assert np.abs(volume.grid.corners() - Grid.of(image).corners()).max() < 1e-4
    assert np.array_equal(sitk.GetArrayFromImage(volume.image), voxels)
    assert volume.image.GetPixelID() == sitk.sitkInt16
    assert not volume.image.GetMetaDataKeys()
    grey = voxels.astype(np.float32)
    pair = Pair(grey, grey + 0.1, voxels > 100, volume.grid, 0, {"kind": "none"}, {"spread": 1.5})
    save_pair(pair, tmp_path / "pair")
    loaded = load_pair(tmp_path / "pair")
    assert loaded.digest() == pair.digest()
    again = read_volume(tmp_path / "pair" / "follow_up.nrrd")  # as any other program sees it
    assert np.abs(again.grid.corners() - Grid.of(image).corners()).max() < 1e-4


@pytest.mark.parametrize("name", ["a b.nii.gz", 'it\'s "quoted".nrrd', "Größe-naïve.mha", "x" * 200 + ".nii.gz"])
def test_awkward_names_are_read(tmp_path, small_image, name):
    folder = tmp_path / "Ärzte & Söhne" / ("d" * 40)
    folder.mkdir(parents=True)
    assert read_volume(write(small_image, folder / name)).grid.size == (12, 10, 8)


def test_a_trailing_axis_of_one_is_dropped(tmp_path, small_image):
    path = edited_nifti(small_image, tmp_path / "a.nii", (40, "<8h", (4, 12, 10, 8, 1, 1, 1, 1)))
    assert read_volume(path).grid.size == (12, 10, 8)


def test_missing_file_and_unknown_format(tmp_path, capfd):
    refused(tmp_path / "none.nii.gz", "no such file", capfd)
    refused(tmp_path / ("x" * 300), "cannot be read", capfd)
    other = tmp_path / "scan.jpg"
    other.write_bytes(b"\xff\xd8")
    refused(other, "LMIAL reads NIfTI", capfd)


@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz", "a.nrrd", "a.nhdr", "a.mha", "a.mhd"])
@pytest.mark.parametrize("content", [b"just some text, renamed\n" * 40, b"", b"\x1f\x8b rubbish", b"\x00" * 600])
def test_other_content_renamed(tmp_path, capfd, name, content):
    path = tmp_path / name
    path.write_bytes(content)
    refused(path, ".", capfd)


def test_gzipped_text_named_nifti(tmp_path, capfd):
    path = tmp_path / "a.nii.gz"
    path.write_bytes(gzip.compress(b"hello " * 200))
    refused(path, "not NIfTI", capfd)


@pytest.mark.parametrize("suffix", [".nii.gz", ".nii", ".nrrd", ".mha"])
@pytest.mark.parametrize("share", [0.05, 0.5, 0.97])
def test_truncated_file(tmp_path, as_image, capfd, suffix, share):
    import SimpleITK as sitk

    path = tmp_path / f"a{suffix}"
    noise = np.random.default_rng(1).integers(0, 30000, (20, 30, 40))
    sitk.WriteImage(as_image(noise), str(path), useCompression=suffix != ".nii")
    raw = path.read_bytes()
    path.write_bytes(raw[: int(len(raw) * share)])
    refused(path, "cut short|damaged", capfd)


def test_damaged_gzip(tmp_path, as_image, capfd):
    path = write(as_image(np.random.default_rng(1).integers(0, 30000, (20, 30, 40))), tmp_path / "a.nii.gz")
    raw = bytearray(path.read_bytes())
    raw[len(raw) // 2 : len(raw) // 2 + 50] = bytes(50)
    path.write_bytes(raw)
    refused(path, "damaged|cut short", capfd)


def test_headers_that_promise_more_than_the_file_holds(tmp_path, small_image, capfd):
    refused(edited_nifti(small_image, tmp_path / "a.nii", (40, "<8h", (3, 12, 10, 80, 1, 1, 1, 1))), "promises", capfd)
    for size in ((30000, 30000, 30000), (900, 900, 900)):
        path = edited_nifti(small_image, tmp_path / "b.nii", (40, "<8h", (3, *size, 1, 1, 1, 1)))
        refused(path, "promises", capfd)
        packed = tmp_path / "b.nii.gz"
        packed.write_bytes(gzip.compress(path.read_bytes()))
        refused(packed, "promises", capfd)
    for suffix, field in ((".nrrd", b"sizes: 12 10 8"), (".mha", b"DimSize = 12 10 8")):
        for size in (b"12 10 80", b"40000 40000 40000", b"900 900 900"):
            path = write(small_image, tmp_path / f"c{suffix}")
            path.write_bytes(path.read_bytes().replace(field, field.split(b"1")[0] + size))
            refused(path, "promises", capfd)


@pytest.mark.parametrize("size", [(-3, 10, 8), (0, 10, 8)])
def test_sizes_that_are_none(tmp_path, small_image, capfd, size):
    refused(edited_nifti(small_image, tmp_path / "a.nii", (42, "<3h", size)), "at least one voxel", capfd)


def test_wrong_dimensions_and_vectors(tmp_path, as_image, capfd):
    import SimpleITK as sitk

    flat = np.random.default_rng(0).integers(0, 200, (9, 8)).astype(np.uint8)
    for suffix in (".nii.gz", ".nrrd", ".mha"):
        refused(write(sitk.GetImageFromArray(flat), tmp_path / f"flat{suffix}"), "2-D", capfd)
        refused(write(sitk.GetImageFromArray(flat[None]), tmp_path / f"one{suffix}"), "2-D", capfd)
        times = sitk.JoinSeries([as_image(np.arange(512).reshape(8, 8, 8) + t) for t in range(5)])
        refused(write(times, tmp_path / f"times{suffix}"), "4 dimensions", capfd)
        colour = np.random.default_rng(0).integers(0, 200, (8, 9, 10, 3)).astype(np.uint8)
        refused(write(sitk.GetImageFromArray(colour, isVector=True), tmp_path / f"rgb{suffix}"), "3 values", capfd)
        thin = as_image(np.random.default_rng(0).integers(0, 200, (2, 9, 9)))
        refused(write(thin, tmp_path / f"thin{suffix}"), "at least 4 voxels", capfd)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_voxels_that_are_no_numbers(tmp_path, as_image, capfd, value):
    array = np.random.default_rng(0).random((8, 9, 10))
    array[2, 3, 4] = value
    for suffix in (".nii.gz", ".nii", ".nrrd", ".mha"):
        for dtype in (np.float32, np.float64):
            path = write(as_image(array, dtype=dtype), tmp_path / f"a{suffix}")
            refused(path, "1 of its 720 voxels", capfd)  # in NIfTI, ITK would have made it 0


def test_constant_image(tmp_path, as_image, capfd):
    refused(write(as_image(np.full((8, 9, 10), 7)), tmp_path / "a.nrrd"), "same value", capfd)


@pytest.mark.parametrize("value", [0.0, -1.5, np.nan, np.inf])
def test_spacing_that_itk_would_repair(tmp_path, small_image, capfd, value):
    refused(edited_nifti(small_image, tmp_path / "a.nii", (84, "<f", (value,))), "spacing", capfd)
    path = write(small_image, tmp_path / "a.mha")
    path.write_bytes(re.sub(rb"ElementSpacing = 1 1.5 3", f"ElementSpacing = 1 {value} 3".encode(), path.read_bytes()))
    refused(path, "spacing", capfd)
    path = write(small_image, tmp_path / "a.nrrd")
    plain = re.sub(rb"space: [^\n]*\n", b"", path.read_bytes())
    plain = re.sub(rb"space origin: [^\n]*\n", b"", plain)
    path.write_bytes(re.sub(rb"space directions: [^\n]*", f"spacings: 1 {value} 3".encode(), plain))
    refused(path, "spacing", capfd)
    if value == 0:
        path = write(small_image, tmp_path / "b.nrrd")
        path.write_bytes(
            re.sub(rb"space directions: [^\n]*", b"space directions: (1,0,0) (0,0,0) (0,0,3)", path.read_bytes())
        )
        refused(path, "spacing", capfd)


def test_axes_that_are_not_at_right_angles(tmp_path, small_image, capfd):
    rows = (-0.98, -0.298, 0.0, -3.0, 0.0, -1.47, 0.0, 4.0, 0.199, 0.0, 3.0, 5.0)  # columns as long as pixdim says
    for codes in ((0, 1), (1, 1)):
        path = edited_nifti(small_image, tmp_path / "a.nii", (252, "<2h", codes), (280, "<12f", rows))
        refused(path, "right angles", capfd)
    path = write(small_image, tmp_path / "a.nrrd")
    path.write_bytes(
        re.sub(rb"space directions: [^\n]*", b"space directions: (1,0,0) (0.4,1.4,0) (0,0,3)", path.read_bytes())
    )
    refused(path, "right angles", capfd)
    path = write(small_image, tmp_path / "a.mha")
    path.write_bytes(
        re.sub(rb"TransformMatrix = [^\n]*", b"TransformMatrix = 1 0 0 0.2 0.98 0 0 0 1", path.read_bytes())
    )
    refused(path, "right angles", capfd)


def test_two_voxel_sizes_in_one_nifti(tmp_path, small_image, capfd):
    refused(edited_nifti(small_image, tmp_path / "a.nii", (88, "<f", (4.0,))), "two voxel sizes", capfd)


def test_nifti_without_orientation_and_with_qform_only(tmp_path, small_image):
    assert read_volume(edited_nifti(small_image, tmp_path / "a.nii", (252, "<2h", (0, 0)))).grid.spacing == (
        1.0,
        1.5,
        3.0,
    )
    turned = read_volume(edited_nifti(small_image, tmp_path / "b.nii", (252, "<2h", (1, 0))))
    assert turned.grid.same_as(Grid.of(small_image))


def _detached(tmp_path: Path, image, kind: str) -> tuple[Path, str]:
    """A header with its data file, and the line that names it."""
    folder = tmp_path / "headers"
    folder.mkdir()
    path = write(image, folder / f"a.{kind}")
    line = next(
        line for line in path.read_text().splitlines() if line.lower().startswith(("data file", "elementdatafile"))
    )
    return path, line


@pytest.mark.parametrize("kind", ["nhdr", "mhd"])
def test_detached_header_reads_only_its_own_folder(tmp_path, small_image, capfd, kind):
    path, line = _detached(tmp_path, small_image, kind)
    name = re.split(r"[:=]", line, maxsplit=1)[1].strip()
    data = path.parent / name
    outside = tmp_path / name
    outside.write_bytes(data.read_bytes())
    text = path.read_text()
    field = line.replace(name, "")
    inner = path.parent / "inner"
    inner.mkdir()
    for elsewhere in (f"../{name}", str(outside), f"inner/../../{name}", f"./../{name}", f"/proc/self/cwd/{name}"):
        path.write_text(text.replace(line, field + elsewhere))
        refused(path, "outside its own folder", capfd)
    (path.parent / f"link-{name}").symlink_to(outside)
    path.write_text(text.replace(line, field + f"link-{name}"))
    refused(path, "outside its own folder", capfd)
    (path.parent / "folder").symlink_to(tmp_path)
    path.write_text(text.replace(line, field + f"folder/{name}"))
    refused(path, "outside its own folder", capfd)
    for several in ("LIST", f"LIST\n{outside}\n", f"LIST 3\n{outside}\n", "list", "../slice%03d.raw 1 8 1", ""):
        path.write_text(text.replace(line, field + several))
        refused(path, "list or pattern|does not name|damaged|does not understand", capfd)
    path.write_text(text.replace(line, field + "gone.raw"))
    refused(path, "missing", capfd)
    path.write_text(text)
    assert read_volume(path).grid.size == (12, 10, 8)


def test_attached_suffix_hides_no_detached_header(tmp_path, small_image, capfd):
    for kind, suffix in (("nhdr", ".nrrd"), ("mhd", ".mha")):
        source = write(small_image, tmp_path / f"a.{kind}")
        name = next(p.name for p in tmp_path.iterdir() if p.suffix in (".raw", ".gz", ".zraw"))
        path = tmp_path / "deep" / f"a{suffix}"
        path.parent.mkdir(exist_ok=True)
        path.write_text(source.read_text().replace(name, f"../{name}"))
        refused(path, "outside its own folder", capfd)
        (tmp_path / name).unlink()


@pytest.mark.parametrize(
    "trick",
    [
        "datafile: ../x.raw",
        "data  file: ../x.raw",
        "DATA FILE: ../x.raw",
        " data file: ../x.raw",
        "data file : ../x.raw",
    ],
)
def test_spellings_of_the_data_file(tmp_path, small_image, capfd, trick):
    path = write(small_image, tmp_path / "a.nrrd")
    path.write_bytes(path.read_bytes().replace(b"\n\n", f"\n{trick}\n\n".encode(), 1))
    refused(path, "outside its own folder|does not understand", capfd)


def test_a_mask_fits_its_image(tmp_path, small_image, as_image):
    grid = Grid.of(small_image)
    region = np.zeros((8, 10, 12))
    region[2:6, 2:7, 3:9] = 1
    same = {"spacing": (1.0, 1.5, 3.0), "origin": (3, -4, 5)}
    for value in (1, 255):
        assert np.array_equal(read_mask(write(as_image(region * value, **same), tmp_path / "m.nrrd"), grid), region > 0)
    with pytest.raises(BadInput, match="another grid"):
        read_mask(write(as_image(region, spacing=(1.0, 1.5, 3.1), origin=(3, -4, 5)), tmp_path / "m.nrrd"), grid)
    # cropped by one column and one row, and saying so: its first voxel lies one column of 1 mm, one row of 1.5 mm on
    cropped = as_image(region[:, 1:, 1:], spacing=(1.0, 1.5, 3.0), origin=(4, -2.5, 5))
    assert np.array_equal(read_mask(write(cropped, tmp_path / "m.nrrd"), grid), region > 0)
    with pytest.raises(BadInput, match="no voxel in common"):
        read_mask(write(as_image(region, spacing=(1.0, 1.5, 3.0), origin=(300, -4, 5)), tmp_path / "m.nrrd"), grid)
    spoilt = region.copy()
    spoilt[3, 3, 4] = 2
    with pytest.raises(BadInput, match="other than 0 and one other"):
        read_mask(write(as_image(spoilt, **same), tmp_path / "m.nrrd"), grid)
    for constant in (0, 1):
        with pytest.raises(BadInput, match="one value"):
            read_mask(write(as_image(np.full_like(region, constant), **same), tmp_path / "m.nrrd"), grid)
    with pytest.raises(BadInput, match="other than 0 and one other"):
        read_mask(write(as_image(region + 1, **same), tmp_path / "m.nrrd"), grid)


def _visit(image, **values) -> Volume:
    fields = {"subject_key": None, "date": None, "description": "", "digest": str(id(image))}
    return Volume(image, Grid.of(image), **(fields | values))


def test_two_visits_that_are_no_pair(small_image, as_image):
    other = as_image(np.random.default_rng(4).integers(0, 900, (8, 10, 12)), spacing=(1.0, 1.5, 3.0), origin=(5, -4, 5))
    first, second = _visit(small_image), _visit(other)
    check_two_visits(first, second)
    # Centres at (3 + 5.5, -4 + 4.5 * 1.5, 5 + 3.5 * 3) = (8.5, 2.75, 15.5) and at (305.5, 4.5, 3.5): 297.2 mm apart.
    far = _visit(as_image(np.zeros((8, 10, 12)), spacing=(1.0, 1.0, 1.0), origin=(300, 0, 0)))
    with pytest.raises(
        NeedsAlignment, match=r"do not overlap.* 297 mm apart.*centres can be laid on each other"
    ) as caught:
        check_two_visits(first, far)
    assert not isinstance(caught.value, NeedsConfirmation) and isinstance(caught.value, BadInput)
    with pytest.raises(NeedsConfirmation, match="same image"):
        check_two_visits(first, first)
    with pytest.raises(NeedsConfirmation, match="different patients"):
        check_two_visits(_visit(small_image, subject_key="a"), _visit(other, subject_key="b"))
    with pytest.raises(NeedsConfirmation, match="before the baseline"):
        check_two_visits(_visit(small_image, date="2014-03-02"), _visit(other, date="2013-03-02"))
    check_two_visits(_visit(small_image, date="2014-03-02", subject_key="a"), _visit(other, date="2014-03-02"))


def test_equal_images_have_equal_digests(tmp_path, small_image):
    first = read_volume(write(small_image, tmp_path / "a.nii.gz"))
    second = read_volume(write(small_image, tmp_path / "b.nii.gz"))
    small_image[1, 1, 1] = small_image[1, 1, 1] + 1
    third = read_volume(write(small_image, tmp_path / "c.nii.gz"))
    assert first.digest == second.digest != third.digest
