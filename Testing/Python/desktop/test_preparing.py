"""A pair prepared step by step, with a real worker, and volumes of a scene as its inputs."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from LMIALLib.desktop.inputs import Inputs, series_of, to_world
from LMIALLib.errors import BadInput, NeedsConfirmation
from LMIALLib.loop.preparing import Preparing
from LMIALLib.pairs.reading import read_volume
from LMIALLib.pairs.request import PairRequest
from LMIALLib.scene.volumes import add_volume
from LMIALLib.study.store import Study
from Testing.Python.scene.conftest import Place, oblique, place  # noqa: F401


def request(pair: Path, **changes: Any) -> PairRequest:
    values = {"baseline": pair / "baseline.nii.gz", "follow_up": pair / "follow_up.nii.gz"}
    return PairRequest(**(values | {"mask": pair / "brain.nii.gz"} | changes))


def finish(preparing: Preparing) -> None:
    until = time.monotonic() + 120
    while not preparing.over and time.monotonic() < until:
        preparing.poll()
        time.sleep(0.02)
    assert preparing.over


def test_a_new_study_stands_when_it_is_whole_and_a_case_is_added(tiny_pair: Path, tmp_path: Path) -> None:
    folder = tmp_path / "made" / "study"
    first = Preparing(folder, None, "first", request(tiny_pair))
    first.poll()
    assert not folder.exists()
    finish(first)
    assert first.error is None and first.result is not None and first.result.slices > 0
    with Study.open(folder, reader="anna") as study:
        second = Preparing(folder, study, "second", request(tiny_pair))
        finish(second)
        assert second.error is None
        assert [case.name for case in study.cases.all()] == ["first", "second"]
    assert [one.name for one in folder.parent.iterdir()] == ["study"]


def test_what_is_doubtful_is_asked_and_nothing_is_left_behind(tiny_pair: Path, tmp_path: Path) -> None:
    folder = tmp_path / "made" / "study"
    same = request(tiny_pair, follow_up=tiny_pair / "baseline.nii.gz")
    asked = Preparing(folder, None, "first", same)
    finish(asked)
    assert isinstance(asked.error, NeedsConfirmation)
    assert not folder.parent.exists()


def test_cancelling_leaves_nothing_behind(tiny_pair: Path, tmp_path: Path) -> None:
    folder = tmp_path / "made" / "study"
    given_up = Preparing(folder, None, "first", request(tiny_pair))
    given_up.poll()
    given_up.cancel()
    assert given_up.over and given_up.error is None and given_up.result is None
    assert not folder.parent.exists()


def test_a_volume_of_the_scene_is_written_as_it_is(place: Place, oblique: Any, tmp_path: Path) -> None:  # noqa: F811
    array = np.random.default_rng(3).normal(size=oblique.shape).astype(np.float32)
    node = add_volume(place.scene, array, oblique, "scan", "case")
    inputs = Inputs(tmp_path, None)
    path = inputs.path_of(node, "baseline")
    assert not path.exists()
    assert list(inputs.steps())
    read = read_volume(path)
    assert read.grid.same_as(oblique)
    import SimpleITK as sitk

    assert np.array_equal(sitk.GetArrayFromImage(read.image), array)


def test_a_linear_transform_counts_and_another_is_refused(place: Place, oblique: Any) -> None:  # noqa: F811
    import vtk

    node = add_volume(place.scene, np.zeros(oblique.shape, dtype=np.int16), oblique, "scan", "case")
    before = to_world(node)
    moved = place.scene.AddNewNodeByClass("vtkMRMLLinearTransformNode")
    matrix = vtk.vtkMatrix4x4()
    matrix.SetElement(0, 3, 11.0)
    moved.SetMatrixTransformToParent(matrix)
    node.SetAndObserveTransformNodeID(moved.GetID())
    assert np.allclose(to_world(node)[0, 3] - before[0, 3], 11.0)
    bent = place.scene.AddNewNodeByClass("vtkMRMLTransformNode")
    spline = vtk.vtkThinPlateSplineTransform()
    points, targets = vtk.vtkPoints(), vtk.vtkPoints()
    for x, y, z in ((0, 0, 0), (50, 0, 0), (0, 50, 0), (0, 0, 50), (50, 50, 50)):
        points.InsertNextPoint(x, y, z)
        targets.InsertNextPoint(x + x * y / 40, y, z)
    spline.SetSourceLandmarks(points)
    spline.SetTargetLandmarks(targets)
    spline.SetBasisToR()
    bent.SetAndObserveTransformToParent(spline)
    node.SetAndObserveTransformNodeID(bent.GetID())
    with pytest.raises(BadInput, match="not linear"):
        to_world(node)


class Database:
    """What is used of a ctkDICOMDatabase."""

    def fileForInstance(self, uid: str) -> str:  # noqa: N802
        return f"/scans/series/{uid}.dcm"

    def instanceValue(self, uid: str, tag: str) -> str:  # noqa: N802
        return "1.2.3" if tag == "0020,000E" else ""


class Node:
    def __init__(self, *, changed: bool = False) -> None:
        self.changed = changed

    def GetAttribute(self, name: str) -> str | None:  # noqa: N802
        return "1.1 1.2" if name == "DICOM.instanceUIDs" else None

    def GetParentTransformNode(self) -> None:  # noqa: N802
        return None

    def GetModifiedSinceRead(self) -> bool:  # noqa: N802
        return self.changed


def test_a_series_of_the_database_is_read_from_there_unless_it_was_changed() -> None:
    assert series_of(Node(), Database()) == (Path("/scans/series"), "1.2.3")
    assert series_of(Node(changed=True), Database()) is None
    assert series_of(Node(), None) is None
