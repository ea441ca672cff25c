"""The start panel on real volumes of a scene and a real worker; Qt alone is a stand-in."""

from __future__ import annotations

import sys
import time
import types
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from LMIALLib.pairs.reading import read_volume
from LMIALLib.scene.volumes import add_volume
from LMIALLib.study.store import Study
from LMIALLib.worker.transport import SubprocessTransport
from Testing.Python.desktop.test_face import At, at  # noqa: F401
from Testing.Python.scene.conftest import Place, place  # noqa: F401


@pytest.fixture
def start(at: At, tiny_pair: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:  # noqa: F811
    import SimpleITK as sitk

    import LMIALLib.desktop.start as module

    monkeypatch.setattr(module, "QProcessTransport", SubprocessTransport)
    at.application.temporaryPath = str(tmp_path / "temporary")
    (tmp_path / "temporary").mkdir()
    for name, selector in (
        ("baseline", at.ui.baselineSelector),
        ("follow_up", at.ui.followUpSelector),
        ("brain", at.ui.maskSelector),
    ):
        volume = read_volume(tiny_pair / f"{name}.nii.gz")
        selector.node = add_volume(at.scene, sitk.GetArrayFromImage(volume.image), volume.grid, name, "theirs")
    at.ui.studyPath.currentPath = str(tmp_path / "study")
    return module.Start(at.ui, at.face, ready=lambda: True)


def finish(start: Any) -> None:
    until = time.monotonic() + 120
    while start.preparing is not None and time.monotonic() < until:
        start._timer.send("timeout()")
        time.sleep(0.02)
    assert start.preparing is None


def test_prepare_makes_a_study_of_loaded_volumes_and_opens_it(start: Any, at: At, tmp_path: Path) -> None:  # noqa: F811
    at.ui.caseEdit.text = "first"
    at.ui.prepareButton.click()
    assert start.preparing is not None
    finish(start)
    assert at.workspace is not None and at.workspace.open.case == "first"
    assert not list((tmp_path / "temporary").iterdir())
    at.ui.caseEdit.text, at.ui.subjectEdit.text = "second", "P2"
    at.ui.prepareButton.click()
    finish(start)
    assert [case.name for case in at.workspace.session.study.cases.all()] == ["first", "second"]
    assert at.workspace.session.study.cases.get("second").subject == "P2"


def test_the_same_scan_twice_is_asked_and_made_only_when_confirmed(start: Any, at: At, tmp_path: Path) -> None:  # noqa: F811
    import slicer

    at.ui.followUpSelector.node, at.ui.maskSelector.node = at.ui.baselineSelector.node, None
    slicer.util.confirmYesNoDisplay.return_value = False
    at.ui.prepareButton.click()
    finish(start)
    assert slicer.util.confirmYesNoDisplay.call_count == 1 and not (tmp_path / "study").exists()
    slicer.util.confirmYesNoDisplay.return_value = True
    at.ui.prepareButton.click()
    finish(start)
    with Study.open(tmp_path / "study", read_only=True) as study:
        assert len(study.cases.all()) == 1


def test_scans_that_lie_apart_are_laid_on_each_other_when_the_reader_says_so(
    start: Any,
    at: At,  # noqa: F811
    tmp_path: Path,
) -> None:
    import slicer

    at.ui.followUpSelector.node.SetOrigin(4000.0, 0.0, 0.0)
    at.ui.maskSelector.node = None
    slicer.util.confirmYesNoDisplay.return_value = False
    at.ui.prepareButton.click()
    finish(start)
    (question,) = slicer.util.confirmYesNoDisplay.call_args[0]
    assert "centres" in question and not (tmp_path / "study").exists()
    slicer.util.confirmYesNoDisplay.return_value = True
    at.ui.prepareButton.click()
    finish(start)
    with Study.open(tmp_path / "study", read_only=True) as study:
        (case,) = study.cases.all()
        assert study.cases.load_pair(case.name).registration["request"]["align"] == "centres"


def test_cancel_and_missing_choices_leave_nothing(start: Any, at: At, tmp_path: Path) -> None:  # noqa: F811
    at.ui.prepareButton.click()
    start.step()
    at.ui.cancelPrepareButton.click()
    assert not (tmp_path / "study").exists() and not list((tmp_path / "temporary").iterdir())
    at.ui.baselineSelector.node = None
    at.ui.prepareButton.click()
    assert "Choose baseline and follow-up" in at.ui.noticeText.text


def test_volumes_of_the_user_stay_when_the_study_closes(start: Any, at: At) -> None:  # noqa: F811
    node = at.ui.baselineSelector.node
    before = np.array(node.GetImageData().GetDimensions())
    at.ui.prepareButton.click()
    finish(start)
    at.face.close()
    assert at.scene.GetNodeByID(node.GetID()) is node
    assert np.array_equal(node.GetImageData().GetDimensions(), before)


def test_the_sample_pair_is_chosen_when_it_is_there(start: Any, at: At, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: F811
    import LMIALLib.desktop

    first, last = at.ui.baselineSelector.node, at.ui.followUpSelector.node
    sample: Any = types.ModuleType("LMIALLib.desktop.sample_data")
    sample.load = lambda source=None, then=None: then(last, first)
    monkeypatch.setitem(sys.modules, sample.__name__, sample)
    monkeypatch.setattr(LMIALLib.desktop, "sample_data", sample, raising=False)
    at.ui.samplePairButton.click()
    assert (at.ui.baselineSelector.node, at.ui.followUpSelector.node) == (last, first)
