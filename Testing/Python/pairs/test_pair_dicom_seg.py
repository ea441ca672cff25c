"""DICOM segmentations as labels and truths: frames found by where they lie, one bit a pixel."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from LMIALLib.datasets.truths import read_mask_of_change
from LMIALLib.errors import BadInput
from LMIALLib.pairs.geometry import Grid
from LMIALLib.pairs.labels import read_label_slice
from LMIALLib.pairs.reading import read_volume
from LMIALLib.pairs.segmentation import is_segmentation, read_segmentation
from LMIALLib.study import LabelSchema

pydicom = pytest.importorskip("pydicom")
GRID = Grid((7, 5, 6), (1.0, 1.5, 3.0), (10.0, -20.0, 5.0), (1.0, 0, 0, 0, 1.0, 0, 0, 0, 1.0))
"""35 pixels a frame, which is no whole number of bytes."""


def seg(
    path: Path,
    frames: list[tuple[int, int, np.ndarray]],
    names: list[str],
    *,
    edit: Callable[[Any], None] = lambda data: None,
    mirrored: bool = False,
) -> Path:
    """A SEG whose frames are (segment, slice, rows x columns); ``mirrored``: columns run towards the right."""
    from pydicom.dataset import Dataset, FileMetaDataset
    from pydicom.sequence import Sequence
    from pydicom.uid import ExplicitVRLittleEndian

    def item(**values: Any) -> Dataset:
        found = Dataset()
        for name, value in values.items():
            setattr(found, name, value)
        return found

    def one(**values: Any) -> Sequence:
        return Sequence([item(**values)])

    data, meta = Dataset(), FileMetaDataset()
    data.file_meta = meta
    meta.MediaStorageSOPClassUID = data.SOPClassUID = "1.2.840.10008.5.1.4.1.1.66.4"
    meta.MediaStorageSOPInstanceUID = data.SOPInstanceUID = "1.2.3.4"
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    data.SeriesInstanceUID, data.Modality, data.SegmentationType = "1.2.3", "SEG", "BINARY"
    data.PatientName, data.PatientID = "SECRET^NAME", "ID-12345"
    data.Columns, data.Rows, data.NumberOfFrames, data.SamplesPerPixel = 7, 5, len(frames), 1
    data.BitsAllocated, data.BitsStored, data.HighBit, data.PixelRepresentation = 1, 1, 0, 0
    data.PhotometricInterpretation = "MONOCHROME2"
    data.SegmentSequence = Sequence(
        [item(SegmentNumber=number, SegmentLabel=name) for number, name in enumerate(names, 1)]
    )
    data.SharedFunctionalGroupsSequence = one(
        PixelMeasuresSequence=one(PixelSpacing=[1.5, 1.0], SliceThickness=3.0, SpacingBetweenSlices=3.0),
        PlaneOrientationSequence=one(ImageOrientationPatient=[-1 if mirrored else 1, 0, 0, 0, 1, 0]),
    )
    x = 16.0 if mirrored else 10.0  # the last column's centre, 10 + 6
    data.PerFrameFunctionalGroupsSequence = Sequence(
        [
            item(
                SegmentIdentificationSequence=one(ReferencedSegmentNumber=segment),
                PlanePositionSequence=one(ImagePositionPatient=[x, -20.0, 5.0 + 3.0 * number]),
            )
            for segment, number, _ in frames
        ]
    )
    pictures = [picture[:, ::-1] if mirrored else picture for _, _, picture in frames]
    bits = np.packbits(np.array(pictures, np.uint8).ravel(), bitorder="little").tobytes()
    data.PixelData = bits + b"\0" * (len(bits) % 2)
    edit(data)
    data.save_as(path, enforce_file_format=True)
    return path


def drawn(*spots: tuple[int, int]) -> np.ndarray:
    picture = np.zeros((5, 7), np.uint8)
    for spot in spots:
        picture[spot] = 1
    return picture


@pytest.mark.parametrize("mirrored", [False, True])
def test_frames_are_placed_by_their_positions(tmp_path: Path, mirrored: bool) -> None:
    # out of order, slice 3 left out because nothing is drawn there
    frames = [(1, 4, drawn((4, 6))), (2, 2, drawn((0, 0))), (1, 2, drawn((1, 2), (1, 3)))]
    path = seg(tmp_path / "a.dcm", frames, ["mine", "other"], mirrored=mirrored)
    assert is_segmentation(path) and is_segmentation(tmp_path), "also a folder that holds it alone"
    found = read_segmentation(path)
    assert [one.name for one in found.segments] == ["mine", "other"]
    assert found.grid.size == (7, 5, 3) and found.grid.spacing == (1.0, 1.5, 3.0)
    with pytest.raises(BadInput, match=r"several segments \('mine', 'other'\)"):
        read_label_slice(path, grid=GRID, axis=0, number=2, allowed=[1])
    only = seg(tmp_path / "b.dcm", [frame for frame in frames if frame[0] == 1], ["mine"], mirrored=mirrored)
    values = read_label_slice(only, grid=GRID, axis=0, number=2, allowed=[1])
    assert np.argwhere(values).tolist() == [[1, 2], [1, 3]]
    assert np.argwhere(read_label_slice(only, grid=GRID, axis=0, number=4, allowed=[1])).tolist() == [[4, 6]]


def test_a_truth_as_dicom_is_background_outside(tmp_path: Path) -> None:
    frames = [(1, 2, drawn((1, 2))), (2, 3, drawn((2, 5)))]
    path = seg(tmp_path / "a.dcm", frames, ["New", "Shrunk"])
    read = read_mask_of_change(path, (), LabelSchema.default())
    assert read.outside == "background" and read.grid.size == (7, 5, 2)
    assert np.argwhere(read.values == 2).tolist() == [[0, 1, 2]]
    assert np.argwhere(read.values == 4).tolist() == [[1, 2, 5]]


def _remove(name: str) -> Callable[[Any], None]:
    return lambda data: delattr(data, name)


def _set(name: str, value: Any) -> Callable[[Any], None]:
    return lambda data: setattr(data, name, value)


def _move(data: Any) -> None:
    data.PerFrameFunctionalGroupsSequence[1].PlanePositionSequence[0].ImagePositionPatient = [10.5, -20.0, 14.0]


def _uneven(data: Any) -> None:
    data.PerFrameFunctionalGroupsSequence[1].PlanePositionSequence[0].ImagePositionPatient = [10.0, -20.0, 12.0]
    data.SharedFunctionalGroupsSequence[0].PixelMeasuresSequence[0].SpacingBetweenSlices = 2.0
    frames = data.PerFrameFunctionalGroupsSequence
    frames[2].PlanePositionSequence[0].ImagePositionPatient = [10.0, -20.0, 13.5]


@pytest.mark.parametrize(
    ("edit", "said"),
    [
        (_set("SegmentationType", "FRACTIONAL"), "compressed or fractional"),
        (_set("BitsAllocated", 8), "compressed or fractional"),
        (_set("NumberOfFrames", 9), "describes 3 of its 9 frames"),
        (_set("NumberOfFrames", 2_000_000_000), "describes 3 of its 2000000000 frames"),
        (_set("Rows", 5000), "cut short"),
        (_remove("SegmentSequence"), "damaged, or its position"),
        (_remove("SharedFunctionalGroupsSequence"), "damaged, or its position"),
        (_set("PerFrameFunctionalGroupsSequence", []), "describes 0|damaged"),
        (_move, "do not lie on one regular grid"),
        (_uneven, "do not lie on one regular grid"),
    ],
)
def test_a_segmentation_that_cannot_be_read(tmp_path: Path, edit: Callable[[Any], None], said: str) -> None:
    frames = [(1, 2, drawn((1, 2))), (1, 3, drawn((2, 5))), (1, 4, drawn((2, 5)))]
    path = seg(tmp_path / "a.dcm", frames, ["new"], edit=edit)
    with pytest.raises(BadInput, match=said) as caught:
        read_mask_of_change(path, (), LabelSchema.default())
    assert "SECRET" not in str(caught.value) and "12345" not in str(caught.value)


def test_damage_and_other_dicom_files(tmp_path: Path, write_series: Callable[..., list[Path]]) -> None:
    path = seg(tmp_path / "a.dcm", [(1, 2, drawn((1, 2)))], ["new"])
    raw = path.read_bytes()
    for end in range(140, len(raw) - 2, 97):
        path.write_bytes(raw[:end])
        with pytest.raises(BadInput):
            read_mask_of_change(path, (), LabelSchema.default())
    (slice_file, *_) = write_series(tmp_path / "series", np.arange(480).reshape(6, 8, 10))
    assert not is_segmentation(slice_file) and not is_segmentation(tmp_path / "series")
    with pytest.raises(BadInput, match="single DICOM file"):
        read_mask_of_change(slice_file, (), LabelSchema.default())
    assert read_volume(tmp_path / "series").grid.size == (10, 8, 6)
