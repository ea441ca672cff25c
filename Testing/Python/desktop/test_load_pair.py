"""Which series of a DICOM folder are offered: real files, and what is asked of Slicer's database as a stand-in."""

from __future__ import annotations

from pathlib import Path

import pytest

from LMIALLib.desktop.load_pair import Series, _load_series, series_in
from LMIALLib.errors import BadInput


class Database:
    """What is used of a ctkDICOMDatabase: it knows the files of each series, with date and description."""

    def __init__(self, series: dict[str, tuple[str, str, list[Path]]]) -> None:
        self.series = series

    def seriesForFile(self, path: str) -> str:  # noqa: N802
        return next((uid for uid, (*_, files) in self.series.items() if Path(path) in files), "")

    def filesForSeries(self, uid: str) -> tuple[str, ...]:  # noqa: N802
        return tuple(map(str, self.series[uid][2]))

    def fileValue(self, path: str, tag: str) -> str:  # noqa: N802
        date, described, _ = self.series[self.seriesForFile(path)]
        return {"0008,0021": date, "0008,103E": described}.get(tag, "")


def test_series_are_offered_the_earliest_first_and_single_images_not(tmp_path: Path) -> None:
    files = [tmp_path / "below" / f"{number}.dcm" for number in range(5)]
    files[0].parent.mkdir()
    for file in (*files, tmp_path / "readme.txt"):
        file.write_bytes(b"x")
    database = Database(
        {
            "1.2": ("20240501", "FLAIR", files[:2]),
            "1.3": ("20230401", "FLAIR before", files[2:4]),
            "1.4": ("20240501", "a report", files[4:]),
        }
    )
    assert series_in(tmp_path, database) == [
        Series("1.3", "20230401", "20230401  FLAIR before  (2)"),
        Series("1.2", "20240501", "20240501  FLAIR  (2)"),
    ]


def test_a_series_that_is_no_volume_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    slicer = pytest.importorskip("slicer", reason="slicer-core is missing: pip install 'lmial[browser]'")
    monkeypatch.setattr(slicer, "mrmlScene", slicer.vtkMRMLScene(), raising=False)
    table = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLTableNode")
    volume = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode")
    assert _load_series("1.2", lambda _: [table.GetID(), volume.GetID()]) is volume
    with pytest.raises(BadInput, match="as a volume"):
        _load_series("1.2", lambda _: [table.GetID()])
