"""The face of desktop Slicer on a real study and real nodes; Qt alone is a stand-in."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from LMIALLib.desktop.looks import Looks
from LMIALLib.loop.shortcuts import SHORTCUTS
from LMIALLib.resources import resource
from LMIALLib.scene.layout import LAYOUT
from LMIALLib.study.store import Study
from LMIALLib.worker.transport import SubprocessTransport
from Testing.Python.desktop.qt_stand_in import Ui, install
from Testing.Python.scene.mrml_scene import Place
from Testing.Python.scene.sitting import Editor as RealEditor


def names_of_ui() -> list[str]:
    text = resource("UI", "LMIAL.ui").read_text(encoding="utf-8")
    return re.findall(r'<widget class="\w+" name="(\w+)"', text)


@dataclass
class At:
    """A face with its widgets and the application that it believes to run in."""

    face: Any
    ui: Any
    application: Any
    scene: Any

    @property
    def workspace(self) -> Any:
        return self.face.workspace


@pytest.fixture
def at(place: Place, monkeypatch: pytest.MonkeyPatch) -> Iterator[At]:
    application = install(monkeypatch, place.scene)
    import LMIALLib.desktop.face as module

    class Editor(RealEditor):
        """The history of a real Segment Editor logic, without its widget."""

        def __init__(self, *_: Any) -> None:
            from unittest.mock import MagicMock

            super().__init__(place)
            self.widget, self.rested = MagicMock(), False

        def rest(self) -> None:
            self.rested = True

        def enter(self) -> None:
            pass

        def leave(self) -> None:
            pass

    monkeypatch.setattr(module, "Editor", Editor)
    monkeypatch.setattr(module, "QProcessTransport", SubprocessTransport)
    ui = Ui(names_of_ui())
    ui.readerEdit.text, ui.priorLeftCheck.checked, ui.legendCheck.checked = "anna", True, True
    face = module.Face(ui, train=lambda: False)
    yield At(face, ui, application, place.scene)
    face.dispose()


def look(at: At) -> None:
    """Let every view be drawn, and look for half a second."""
    now = [at.face._looks.now[1] if at.face._looks.now else 0.0]
    at.face._looks = Looks(lambda: now[0])
    for widget in at.application.widgets.values():
        widget.window.draw()
    now[0] += 0.5


def answer(at: At, name: str) -> None:
    """Look, then answer."""
    look(at)
    at.face.act(name)


def draw(at: At) -> np.ndarray:
    """Some voxels on the slice at hand, as the editor would, and let the hand rest."""
    drawing = at.workspace.open.drawing
    mask = drawing.mask
    mask[20:26, 20:30] = 1
    drawing.replace(mask)
    at.face._settle_timer.send("timeout()")
    return mask


def test_opening_shows_our_layout_and_closing_puts_everything_back(at: At, study_folder: Path) -> None:
    at.face.open(study_folder, "anna")
    assert at.workspace is not None and at.application.layoutManager().layout == LAYOUT
    assert "head" in at.ui.bannerText.text and at.ui.annotateArea.enabled
    at.face.close()
    assert at.application.layoutManager().layout == 3 and not at.ui.annotateArea.enabled
    ours = [at.scene.GetNthNode(n).GetAttribute("LMIAL.case") for n in range(at.scene.GetNumberOfNodes())]
    assert not any(ours)
    with Study.open(study_folder, reader="ben") as study:
        assert not study.read_only


def test_a_scene_saved_meanwhile_asks_no_other_slicer_for_our_layout(at: At, study_folder: Path) -> None:
    import slicer

    logic = slicer.vtkMRMLLayoutLogic()
    logic.SetMRMLScene(at.scene)
    at.application.layoutManager.return_value.layoutLogic.return_value = logic
    at.scene.SetSaveToXMLString(1)
    for shown in (False, True, False):
        if shown:
            at.face.open(study_folder, "anna")
        else:
            at.face.close()
        assert at.scene.Commit()
        text = at.scene.GetSceneXMLString()
        assert ("<Layout" in text) != shown
    logic.SetMRMLScene(None)  # slicer-core crashes where a scene is cleared under it


def test_a_scene_with_our_nodes_loaded_meanwhile_brings_no_second_label(at: At, study_folder: Path) -> None:
    at.face.open(study_folder, "anna")
    at.face.act("next")
    mask = draw(at)
    label = at.workspace.open.drawing.label
    copy = at.scene.AddNewNodeByClass("vtkMRMLSegmentationNode", "label")
    copy.Copy(label)
    assert copy.GetAttribute("LMIAL.case") == "head"
    at.face.scene_changed()
    named = [at.scene.GetNthNode(n).GetName() for n in range(at.scene.GetNumberOfNodes())]
    assert named.count("label") == 1 and np.array_equal(at.workspace.open.drawing.mask, mask)
    mask = draw(at)
    kept = at.workspace.session.study.drafts.get("head", at.workspace.session.current.slice)
    assert kept is not None and np.array_equal(kept.mask, mask)


def test_slicers_save_of_the_label_counts_and_an_export_does_not(at: At, study_folder: Path, tmp_path: Path) -> None:
    at.face.open(study_folder, "anna")
    at.face.act("next")
    draw(at)
    label, here = at.workspace.open.drawing.label, at.workspace.session.current
    label.AddDefaultStorageNode()
    label.GetStorageNode().SetFileName(str(tmp_path / "label.seg.nrrd"))
    assert label.GetStorageNode().WriteData(label)
    look(at)
    at.face.file_saved({"nodeID": label.GetID(), "fileName": str(tmp_path / "export.seg.nrrd")})
    at.face.file_saved({"fileName": str(tmp_path / "scene.mrb")})
    assert at.workspace.session.current is here
    at.face.file_saved({"nodeID": label.GetID(), "fileName": str(tmp_path / "label.seg.nrrd")})
    assert at.workspace.session.study.answers.current("head")[here.slice].answer == "mask"


def test_a_wrong_folder_is_one_sentence_and_changes_nothing(at: At, tmp_path: Path) -> None:
    at.face.open(tmp_path, "anna")
    assert at.workspace is None and at.application.layoutManager().layout == 3
    assert "is not a LMIAL study" in at.ui.noticeText.text


def test_draw_save_back_nothing_here_and_reopen(at: At, study_folder: Path) -> None:
    at.face.open(study_folder, "anna")
    at.face.act("next")
    first = at.workspace.session.current.slice
    mask = draw(at)
    look(at)
    at.ui.saveButton.click()
    assert at.workspace.session.current.slice != first
    look(at)
    at.ui.nothingButton.click()
    at.face.act("back")
    at.face.act("back")
    assert at.workspace.session.current.slice == first
    at.face.close()
    at.face.open(study_folder, "anna")
    assert np.array_equal(at.workspace.session.study.answers.current("head")[first].mask, mask)
    assert len(at.workspace.session.study.answers.current("head")) == 2


def test_the_lesions_of_the_case_are_listed_and_a_click_jumps(at: At, study_folder: Path) -> None:
    at.face.open(study_folder, "anna")
    at.face._list_timer.send("timeout()")
    known = at.workspace.lesion_list.lesions()
    table = at.face.panel._objects
    assert known and [row[0] for row in table._shown] == [str(one.number) for one in known]
    first = known[0]
    slices = f"{first.first_slice + 1}-{first.last_slice + 1}"
    assert table._shown[0][1:] == (f"{first.kind}?", f"{first.volume_ml:.2f}", slices, "suggested")
    at.ui.objectTable.send("cellClicked(int,int)", 1, 0)
    assert at.workspace.open.navigation.slice == known[1].largest_slice
    at.face.close()
    assert table._shown == []


def test_what_is_drawn_is_a_draft_when_the_scene_goes(at: At, study_folder: Path) -> None:
    at.face.open(study_folder, "anna")
    at.face.act("next")
    here = at.workspace.session.current.slice
    mask = draw(at)
    at.application.signals.send("aboutToQuit()")
    with Study.open(study_folder, read_only=True) as study:
        assert np.array_equal(study.drafts.get("head", here).mask, mask)


def test_nothing_is_stored_before_every_view_on_the_screen_has_drawn_the_slice(at: At, study_folder: Path) -> None:
    at.face.open(study_folder, "anna")
    at.face.act("next")
    now = [0.0]
    at.face._looks = Looks(lambda: now[0])
    *others, last = at.application.widgets.values()
    for widget in others:
        widget.window.draw()
    now[0] = 5.0
    at.face.act("nothing_here")
    assert not at.workspace.session.study.answers.current("head") and "only just come" in at.ui.noticeText.text
    last.window.draw()
    at.face.act("nothing_here")
    assert not at.workspace.session.study.answers.current("head"), "for a moment only"
    now[0] = 5.4
    at.face.act("nothing_here")
    (stored,) = at.workspace.session.study.answers.current("head").values()
    assert stored.viewed_share == 1.0
    at.face.act("nothing_here")  # the key bounced: the next slice has not been drawn yet
    assert len(at.workspace.session.study.answers.current("head")) == 1


def test_an_answer_is_saved_where_the_stroke_before_it_could_not_be_kept(
    at: At, study_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from LMIALLib.errors import BadInput

    at.face.open(study_folder, "anna")
    at.face.act("next")
    here, drawing = at.workspace.session.current, at.workspace.open.drawing
    mask = drawing.mask
    mask[20:26, 20:30] = 1
    drawing.replace(mask)
    at.face.segmentation_changed()

    def full(*_: Any, **__: Any) -> None:
        raise BadInput("the disk is full: nothing was saved.")

    with monkeypatch.context() as patched:
        patched.setattr(type(at.workspace.session), "draft", full)
        answer(at, "save")
    assert np.array_equal(at.workspace.session.study.answers.current("head")[here.slice].mask, mask)
    assert "disk is full" not in at.ui.noticeText.text, "or the reader would take it for the answer's"
    assert not at.face._unsettled


def test_a_suggestion_that_touches_what_was_drawn_is_asked_about(at: At, study_folder: Path) -> None:
    import slicer

    at.face.open(study_folder, "anna")
    at.face.act("next")
    own = draw(at) > 0
    suggested = np.zeros(own.shape, dtype=bool)
    suggested[25:30, 20:30] = suggested[50:54, 40:44] = True
    at.workspace.session.suggestion = lambda: suggested
    slicer.util.confirmYesNoDisplay.return_value = False
    at.face.act("accept")
    apart = np.zeros_like(own)
    apart[50:54, 40:44] = True
    assert np.array_equal(at.workspace.open.drawing.mask > 0, own | apart)
    slicer.util.confirmYesNoDisplay.return_value = True
    at.face.act("accept")
    assert np.array_equal(at.workspace.open.drawing.mask > 0, own | suggested)


def test_no_answer_without_a_reader(at: At, study_folder: Path) -> None:
    at.ui.readerEdit.text = ""
    at.face.open(study_folder, "")
    at.face.act("next")
    answer(at, "nothing_here")
    assert not at.workspace.session.study.answers.current("head") and "Say who reads" in at.ui.noticeText.text
    at.ui.readerEdit.text = "ben"
    answer(at, "nothing_here")
    assert [one.reader for one in at.workspace.session.study.answers.current("head").values()] == ["ben"]


def test_an_empty_answer_over_drawn_voxels_is_asked(at: At, study_folder: Path) -> None:
    import slicer

    at.face.open(study_folder, "anna")
    at.face.act("next")
    draw(at)
    slicer.util.confirmYesNoDisplay.return_value = False
    answer(at, "nothing_here")
    assert not at.workspace.session.study.answers.current("head")
    slicer.util.confirmYesNoDisplay.return_value = True
    answer(at, "nothing_here")
    assert [one.answer for one in at.workspace.session.study.answers.current("head").values()] == ["nothing"]


def test_scrolling_one_view_takes_the_others_along_and_a_key_returns(at: At, study_folder: Path) -> None:
    at.face.open(study_folder, "anna")
    at.face.act("next")
    here = at.workspace.open.navigation.slice
    moved = at.face._views["baseline"].node
    other = at.face._views["follow_up"].node
    matrix = moved.GetSliceToRAS()
    step = at.workspace.open.navigation.plane.spacing
    for row in range(3):
        matrix.SetElement(row, 3, matrix.GetElement(row, 3) + step * matrix.GetElement(row, 2))
    moved.UpdateMatrices()
    assert at.workspace.open.navigation.slice != here
    assert [other.GetSliceToRAS().GetElement(row, 3) for row in range(3)] == pytest.approx(
        [matrix.GetElement(row, 3) for row in range(3)]
    )
    at.face.act("return")
    assert at.workspace.open.navigation.slice == here


def test_every_shortcut_of_ours_has_an_action(at: At, study_folder: Path) -> None:
    at.face.open(study_folder, "anna")
    known = {*at.face._actions, "details"}
    assert {one.action for one in SHORTCUTS if not one.editor} <= known


def test_keys_rest_while_text_is_written_and_go_with_the_module(at: At, study_folder: Path) -> None:
    at.face.open(study_folder, "anna")
    at.face.enter()
    made = [one for _, one in at.face.keys._made]
    assert len(made) == sum(2 if one.key.endswith("Enter") else 1 for one in SHORTCUTS if not one.editor)
    at.application.focusWidget.return_value.inherits = lambda name: name == "QLineEdit"
    pressed = at.workspace.screen.tools.swapped
    for one in made:
        one.send("activated()")
    assert at.workspace.screen.tools.swapped == pressed
    at.face.leave()
    assert not at.face.keys._made and not any(one.connected for one in made)


def test_an_export_is_written_in_the_background(at: At, study_folder: Path, tmp_path: Path) -> None:
    import time

    at.face.open(study_folder, "anna")
    at.face.act("next")
    draw(at)
    answer(at, "save")
    out = tmp_path / "out"
    at.face.export("labels", "nifti", out)
    until = time.monotonic() + 60
    while at.face.exporting is not None and time.monotonic() < until:
        at.face.tick()
        time.sleep(0.05)
    assert [one.suffix for one in out.iterdir()]


def test_a_worker_that_died_is_told_and_can_be_started_again(at: At, study_folder: Path) -> None:
    import time

    at.face.open(study_folder, "anna")
    at.face.act("rank")
    worker = at.workspace.session.learning.worker._transport._process
    worker.kill()
    worker.wait()
    until = time.monotonic() + 10
    while not at.ui.deadBar.visible and time.monotonic() < until:
        at.face.tick()
        time.sleep(0.05)
    assert at.ui.deadBar.visible
    at.face.restart()
    assert not at.ui.deadBar.visible and not at.workspace.session.learning.ranking.over


def test_what_could_not_be_kept_is_not_put_away(at: At, study_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from LMIALLib.errors import BadInput

    at.face.open(study_folder, "anna")
    here = 10
    at.face.act("choose", here)
    at.face._unsettled = True

    def full() -> None:
        raise BadInput("The disk is full.")

    with monkeypatch.context() as patched:
        patched.setattr(at.workspace.maker, "take_in", full)
        at.face.act("choose", here + 1)
        assert at.workspace.session.current.slice == here and "The disk is full." in at.face.panel.sentences
    at.face.act("choose", here + 1)
    assert at.workspace.session.current.slice == here + 1


def test_a_patient_is_finished_at_the_face(at: At, study_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    at.face.open(study_folder, "anna")
    at.face.act("next")
    assert "Delivered label" in at.ui.patientText.text or "No change so far" in at.ui.patientText.text
    at.face.act("sweep")
    first = at.workspace.screen.shown_slice
    assert at.workspace.finishing.sweeping
    look(at)
    at.face.tick()
    now = at.workspace.screen.clock()
    monkeypatch.setattr(at.workspace.screen, "clock", lambda: now + 5.0)
    at.face.tick()
    assert at.workspace.screen.shown_slice == first + 1
    at.face.act("nothing_here")
    with Study.open(study_folder, read_only=True) as study:
        assert study.sweeps.viewed("head") == {first} and not study.answers.all("head")
    at.face.act("finish")
    monkeypatch.setattr(at.workspace.screen, "clock", lambda: now + 6.0)
    at.face.act("finish")
    with Study.open(study_folder, read_only=True) as study:
        assert study.patients.finished("head") is not None
    assert at.ui.patientText.text == "This patient is finished." and at.ui.reopenButton.visible
    at.face.act("reopen")
    assert not at.ui.reopenButton.visible
