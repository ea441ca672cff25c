# ruff: noqa: N802, PT009 - unittest's names, as in Slicer's own tests
"""The module in the real application, end to end on the seeded sample pair, with the real worker; see run.py.

The tests build on each other.
"""

import os
import shutil
import sys
import tempfile
import time
import unittest
from pathlib import Path

import qt
import slicer

PROJECT = Path(__file__).resolve().parents[2]
EXPECTED = 13
"""Tests that must have run: those that need no network. Where the worker has torch all of them run."""
FELT = 0.05
"""Seconds for which nothing but loading volumes may keep Qt's thread."""
LOADING = ("open", "step", "act look_at", "act cross", "load_sample", "act take_over")
"""Entries that may load the volumes of a case."""


def pump(seconds=0.05):
    """Let Qt and the worker go on."""
    until = time.monotonic() + seconds
    while True:
        slicer.app.processEvents()
        if time.monotonic() >= until:
            return
        time.sleep(0.005)


def wait_for(what, seconds):
    """Wait until something is true; whether it came true."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if what():
            return True
        pump()
    return bool(what())


def load_module():
    """Load the module from this clone, unless Slicer has it already."""
    if not hasattr(slicer.modules, "lmial"):
        factory = slicer.app.moduleManager().factoryManager()
        factory.registerModule(qt.QFileInfo(str(PROJECT / "LMIAL" / "LMIAL.py")))
        if not factory.isRegistered("LMIAL") or not factory.loadModules(["LMIAL"]):
            raise RuntimeError("The module LMIAL could not be loaded.")
    slicer.util.selectModule("LMIAL")
    return slicer.modules.LMIALWidget


class FaceTest(unittest.TestCase):
    """Prepare, rank, draw, save, learn, lose the worker, close, reopen, export."""

    place = shots = widget = None
    number = 0
    times = {}  # noqa: RUF012 - one table of all tests
    loaded_in = 0.0

    @classmethod
    def setUpClass(cls):
        slicer.mrmlScene.Clear(0)
        cls.place = Path(tempfile.mkdtemp(prefix="lmial-test-"))
        cls.shots = Path(os.environ.get("LMIAL_SCREENSHOTS") or tempfile.mkdtemp(prefix="lmial-screenshots-"))
        cls.shots.mkdir(parents=True, exist_ok=True)
        before = time.perf_counter()
        cls.widget = load_module()
        cls.loaded_in = time.perf_counter() - before
        from LMIALLib.desktop import qt_slots

        qt_slots.LISTENERS.append(cls.took)
        cls.widget.ui.readerEdit.setText("tester")
        slicer.util.mainWindow().showNormal()
        slicer.util.mainWindow().setGeometry(0, 0, 1600, 1000)
        pump(0.5)

    @classmethod
    def tearDownClass(cls):
        if cls.widget is not None and cls.widget.face is not None:
            cls.widget.face.close()
        shutil.rmtree(cls.place, ignore_errors=True)

    @classmethod
    def took(cls, name, seconds):
        cls.times[name] = max(seconds, cls.times.get(name, 0.0))

    @property
    def face(self):
        return self.widget.face

    @property
    def workspace(self):
        return self.face.workspace

    @property
    def ui(self):
        return self.widget.ui

    def photograph(self, name):
        """A picture of the main window."""
        pump(0.3)
        slicer.util.forceRenderAllViews()
        type(self).number += 1
        slicer.util.mainWindow().grab().save(str(self.shots / f"{self.number:02d}-{name}.png"))

    def need_case(self):
        if self.workspace is None or self.workspace.open is None:
            self.skipTest("no case is open: preparing the sample pair failed or was skipped")

    def lacking(self, *, network):
        """What the worker lacks for its network, or to prepare a pair."""
        return [
            one for one in self.widget.logic.missing() if one.lower().startswith(("pynrrd", "scikit-image")) != network
        ]

    def need_network(self):
        lacking = self.lacking(network=True)
        if lacking:
            self.skipTest(f"the worker lacks {', '.join(lacking)}")
        self.need_case()

    def need_slice(self):
        """A slice under the hand: a query, or where nothing is ranked the next unread one from the middle on."""
        self.need_case()
        if self.workspace.session.current is None:
            self.face.act("next")
        if self.workspace.session.current is None:
            middle = self.workspace.open.images.pair.n_slices // 2
            self.face.act(
                "choose", next(one for one in range(middle, 2 * middle) if one not in self.workspace.screen.answers)
            )
        self.assertIsNotNone(self.workspace.session.current)
        self.look()
        return self.workspace.session.current.slice

    def look(self):
        """Look until every view has drawn the slice and a moment has passed: before that no answer is taken."""

        def settled():
            number, seconds = self.face._looks.now or (0, 0.0)
            return number == self.workspace.viewing.sight.place.number and seconds > 0.3

        self.assertTrue(wait_for(settled, 10))

    def stroke(self, view="LMIALFollowUp", effect="Paint"):
        """A stroke across the middle of a view; how many voxels changed, and on which slices."""
        before = self.workspace.open.drawing.stack()
        editor = self.face.editor.widget
        editor.setCurrentSegmentID(self.workspace.session.study.label_schema.classes[0].name)
        editor.setActiveEffectByName(effect)
        pump(0.2)
        widget = slicer.app.layoutManager().sliceWidget(view)
        width, height = widget.interactorStyle().GetInteractor().GetRenderWindow().GetSize()
        start, end = (width // 2 - 15, height // 2), (width // 2 + 15, height // 2)
        slicer.util.clickAndDrag(widget, start=start, end=end, steps=8)
        self.assertTrue(wait_for(lambda: not self.face._unsettled, 5))
        editor.setActiveEffect(None)
        changed = (self.workspace.open.drawing.stack() != before).any(axis=(1, 2))
        return [number for number, one in enumerate(changed) if one]

    def effect(self, name, parameters, apply="onApply"):
        """Apply one effect with parameters; the slices that changed."""
        before = self.workspace.open.drawing.stack()
        editor = self.face.editor.widget
        editor.setActiveEffectByName(name)
        effect = editor.activeEffect()
        self.assertIsNotNone(effect, f"the effect {name} is not there")
        for key, value in parameters.items():
            effect.setParameter(key, value)
        getattr(effect.self(), apply)()
        wait_for(lambda: not self.face._unsettled, 5)
        editor.setActiveEffect(None)
        changed = (self.workspace.open.drawing.stack() != before).any(axis=(1, 2))
        return [number for number, one in enumerate(changed) if one]

    # In this order -------------------------------------------------------------------------------------------------

    def test_01_loading_is_light(self):
        self.assertEqual(slicer.modules.lmial.title, "Longitudinal Active Learning")
        self.assertNotIn("torch", sys.modules)
        self.assertFalse(self.ui.annotateArea.enabled)
        print(f"module loaded and shown in {1000 * self.loaded_in:.0f} ms")
        self.photograph("start")

    def test_02_prepare_the_sample_pair(self):
        lacking = self.lacking(network=False)
        if lacking:
            self.skipTest(f"the worker lacks {', '.join(lacking)}")
        self.ui.samplePairButton.click()
        self.assertTrue(wait_for(lambda: self.ui.followUpSelector.currentNode() is not None, 300))
        self.ui.studyPath.setCurrentPath(str(self.place / "study"))
        self.ui.caseEdit.setText("sample")
        self.photograph("chosen")
        self.ui.prepareButton.click()
        self.assertIsNotNone(self.widget.start.preparing, self.face.panel.sentences)
        self.assertTrue(wait_for(lambda: self.widget.start.preparing is None, 300))
        self.assertIsNotNone(self.workspace, self.face.panel.sentences)
        self.assertEqual(self.workspace.open.case, "sample")
        for tag in ("LMIALBaseline", "LMIALFollowUp", "LMIALDifference"):
            self.assertIsNotNone(slicer.app.layoutManager().sliceWidget(tag))
        self.photograph("prepared")

    def test_03_rank_with_the_real_worker(self):
        self.need_network()
        self.assertTrue(wait_for(lambda: self.workspace.screen.queue, 600), self.face.panel.sentences)
        self.assertEqual(self.ui.queueTable.rowCount, min(len(self.workspace.screen.queue), 12))
        self.assertTrue(wait_for(lambda: self.ui.objectTable.rowCount, 10))
        sections = self.ui.querySection, self.ui.editSection
        for one in sections:
            one.collapsed = True
        self.photograph("queue-and-lesions")
        for one in sections:
            one.collapsed = False

    def test_04_next_moves_every_view(self):
        here = self.need_slice()
        places = []
        for view in self.face._views.values():
            matrix = view.node.GetSliceToRAS()
            places.append([round(matrix.GetElement(row, 3), 3) for row in range(3)])
        self.assertEqual(places[0], places[1])
        self.assertEqual(places[1], places[2])
        self.assertEqual(self.workspace.open.navigation.slice, here)
        self.photograph("query")
        self.face.act("show", True)
        self.photograph("query-suggestion")
        self.face.act("show", False)

    def test_05_only_the_queried_slice_can_be_painted_and_not_in_the_baseline(self):
        here = self.need_slice()
        self.assertEqual(self.stroke("LMIALBaseline"), [])
        self.assertEqual(self.stroke("LMIALFollowUp"), [here])
        self.assertIsNotNone(self.workspace.session.study.drafts.get(self.workspace.open.case, here))
        self.photograph("painted")

    def test_06_undo_and_redo(self):
        self.need_slice()
        drawn = self.workspace.open.drawing.mask
        self.face.editor.undo()
        wait_for(lambda: not self.face._unsettled, 5)
        self.assertFalse((self.workspace.open.drawing.mask == drawn).all())
        self.face.editor.redo()
        wait_for(lambda: not self.face._unsettled, 5)
        self.assertTrue((self.workspace.open.drawing.mask == drawn).all())

    def test_07_every_effect_leaves_the_other_slices_alone(self):
        here = self.need_slice()
        for name, parameters in (
            ("Islands", {"Operation": "KEEP_LARGEST_ISLAND", "MinimumSize": 1}),
            ("Margin", {"MarginSizeMm": 3.0}),
            ("Smoothing", {"SmoothingMethod": "MEDIAN", "KernelSizeMm": 3.0}),
            ("Threshold", {"MinimumThreshold": -1e6, "MaximumThreshold": 1e6}),
        ):
            with self.subTest(name):
                self.assertLessEqual(set(self.effect(name, parameters)), {here})
        self.assertLessEqual(set(self.stroke(effect="Erase")), {here})
        shown = [self.face.editor.widget.effectByIndex(n) for n in range(self.face.editor.widget.effectCount())]
        self.assertNotIn("Logical operators", [one.name for one in shown if one is not None])

    def test_08_save_and_next_is_durable_and_undo_changes_nothing(self):
        here = self.need_slice()
        if not self.workspace.open.drawing.mask.any():
            self.stroke()
        mask = self.workspace.open.drawing.mask
        self.ui.saveButton.click()
        answer = self.workspace.session.study.answers.current(self.workspace.open.case)[here]
        self.assertTrue((answer.mask == mask).all())
        before = self.workspace.open.drawing.stack()
        self.face.editor.undo()
        pump(0.5)
        self.assertTrue((self.workspace.open.drawing.stack() == before).all())

    def test_09_training_can_be_cancelled(self):
        self.need_network()
        job = self.workspace.session.learning.training
        self.assertIsNotNone(job)
        self.assertTrue(wait_for(lambda: job.state != "queued", 120))
        pump(1)
        asked = time.monotonic()
        self.ui.cancelTrainingButton.click()
        self.assertTrue(wait_for(lambda: job.over, 30))
        print(f"training cancelled in {time.monotonic() - asked:.1f} s")

    def test_10_training_ends_and_ranks_anew(self):
        self.need_network()
        here, ranking = self.need_slice(), self.workspace.session.study.rankings.latest().number
        self.face.act("train")
        job = self.workspace.session.learning.training
        self.assertTrue(wait_for(lambda: job.over, 1800))
        self.assertEqual(job.state, "done", job.error)
        if job.result.adopted:
            self.assertTrue(wait_for(lambda: self.workspace.session.study.rankings.latest().number > ranking, 600))
        self.assertEqual(self.workspace.session.current.slice, here)  # never moves the slice under the hand
        self.photograph("trained")

    def test_11_nothing_here_equivocal_skip_and_back(self):
        here = self.need_slice()
        self.ui.nothingButton.click()
        self.assertEqual(self.workspace.session.study.answers.current(self.workspace.open.case)[here].answer, "nothing")
        second = self.need_slice()
        self.ui.equivocalButton.click()
        self.need_slice()
        self.ui.skipButton.click()
        self.ui.backButton.click()
        self.ui.backButton.click()
        self.assertEqual(self.workspace.session.current.slice, second)

    def test_11a_an_answer_away_from_the_query_or_too_soon_is_not_stored(self):
        here, case = self.need_slice(), self.workspace.open.case
        stored = len(self.workspace.session.study.answers.all(case))
        away = here - 1 if here else here + 1
        self.face.act("go_to", away)
        self.face.act("nothing_here")  # not drawn yet
        self.look()
        self.face.act("nothing_here")  # asked
        self.assertEqual(len(self.workspace.session.study.answers.all(case)), stored)
        pump(0.5)
        self.face.act("nothing_here")
        self.assertEqual(self.workspace.session.study.answers.all(case)[-1].slice, away)
        self.assertEqual(self.workspace.session.study.answers.all(case)[-1].viewed_share, 1.0)

    def test_12_suggestion_flicker_and_planes(self):
        self.need_network()
        self.need_slice()
        self.face.act("show", True)
        self.photograph("suggestion")
        self.face.act("show", False)
        self.face.act("accept")
        self.ui.flickerButton.click()
        self.photograph("flicker")
        self.ui.flickerButton.click()
        self.ui.planesButton.click()
        self.photograph("planes")
        self.ui.returnButton.click()
        self.assertEqual(self.workspace.open.navigation.slice, self.workspace.session.current.slice)

    def test_12a_the_lesions_are_listed_and_a_click_jumps(self):
        self.need_network()
        self.assertTrue(
            wait_for(lambda: 0 < self.ui.objectTable.rowCount == len(self.workspace.lesion_list.lesions()), 10)
        )
        known = self.workspace.lesion_list.lesions()
        self.ui.objectTable.cellClicked(0, 0)
        self.assertEqual(self.workspace.open.navigation.slice, known[0].largest_slice)
        self.ui.returnButton.click()

    def test_12b_registered_again_the_slice_and_the_answers_stay(self):
        here, answers = self.need_slice(), len(self.workspace.screen.answers)
        self.stroke()
        mask = self.workspace.open.drawing.mask
        self.ui.rigidButton.click()
        job = self.workspace.session.learning.pairs.job
        self.assertIsNotNone(job, self.face.panel.sentences)
        self.assertTrue(wait_for(lambda: job.over, 300))
        self.assertEqual(job.state, "done", job.error)
        self.assertEqual(self.workspace.session.study.cases.get(self.workspace.open.case).pair_number, 2)
        self.assertEqual((self.workspace.session.current.slice, len(self.workspace.screen.answers)), (here, answers))
        self.assertTrue((self.workspace.open.drawing.mask == mask).all())
        ranking = self.workspace.session.learning.ranking
        self.assertTrue(ranking is None or wait_for(lambda: ranking.over, 300))

    def test_13_a_killed_worker_is_told_and_starts_again(self):
        self.need_network()
        self.face.act("rank")
        transport = self.workspace.session.learning.worker._transport
        self.assertTrue(wait_for(lambda: transport.pid, 120))
        transport._end()
        self.assertTrue(wait_for(lambda: self.ui.deadBar.visible, 10))
        self.photograph("worker-died")
        self.ui.restartButton.click()
        self.assertTrue(wait_for(lambda: self.workspace.session.learning.ranking.over, 600))
        self.assertEqual(self.workspace.session.learning.ranking.state, "done")

    def test_14_export(self):
        self.need_case()
        for what, file_format, suffix in (
            ("labels", "seg.nrrd", ".nrrd"),
            ("labels", "nifti", ".gz"),
            ("table", None, ".csv"),
        ):
            out = self.place / f"export-{suffix.lstrip('.')}"
            self.face.export(what, file_format, out)
            self.assertTrue(wait_for(lambda: self.face.exporting is None, 120))
            self.assertTrue([one for one in out.iterdir() if one.suffix == suffix], self.face.panel.sentences)

    def test_14a_slicers_own_save_of_the_label_saves_the_slice(self):
        here = self.need_slice()
        if not self.workspace.open.drawing.mask.any():
            self.stroke()
        mask, file = self.workspace.open.drawing.mask, self.place / "label.seg.nrrd"
        self.assertTrue(slicer.util.saveNode(self.workspace.open.drawing.label, str(file)))
        pump(0.5)
        self.assertTrue(
            (self.workspace.session.study.answers.current(self.workspace.open.case)[here].mask == mask).all()
        )
        self.assertNotIn(b"LMIAL edit mask", file.read_bytes().partition(b"\n\n")[0])

    def test_14b_a_saved_scene_holds_no_opinion_and_loaded_beside_the_case_no_second_label(self):
        import zipfile

        here = self.need_slice()
        drawn = self.workspace.open.drawing.stack()
        bundle = self.place / "scene.mrb"
        self.assertTrue(slicer.util.saveScene(str(bundle)))
        names = " ".join(zipfile.ZipFile(bundle).namelist())
        self.assertIn("label.seg.nrrd", names)
        self.assertNotIn("suggestion", names)
        self.assertNotIn("uncertainty.nrrd", names)
        slicer.util.loadScene(str(bundle), {"clear": False})
        pump(0.5)
        labels = [
            node
            for node in slicer.util.getNodesByClass("vtkMRMLSegmentationNode")
            if node.GetAttribute("LMIAL.case") == self.workspace.open.case and node.GetName().startswith("label")
        ]
        self.assertEqual(set(labels), {self.workspace.open.drawing.label, self.workspace.open.drawing.node})
        self.assertEqual(self.workspace.session.current.slice, here)
        self.assertTrue((self.workspace.open.drawing.stack() == drawn).all())
        self.photograph("scene-loaded")

    def test_15_closing_the_scene_keeps_the_draft_and_the_study_opens_again(self):
        here = self.need_slice()
        self.stroke()
        mask, answers = self.workspace.open.drawing.mask, len(self.workspace.screen.answers)
        slicer.mrmlScene.Clear(0)
        pump(0.5)
        self.assertIsNone(self.workspace)
        self.ui.studyPath.setCurrentPath(str(self.place / "study"))
        self.ui.openButton.click()
        self.assertIsNotNone(self.workspace, self.face.panel.sentences)
        self.face.act("choose", here)
        self.assertTrue((self.workspace.open.drawing.mask == mask).all())
        self.assertEqual(len(self.workspace.screen.answers), answers)
        self.photograph("reopened")

    def test_16_reload_keeps_everything(self):
        self.need_case()
        folder = self.workspace.session.study.folder
        self.widget.onReload()
        pump(0.5)
        type(self).widget = slicer.modules.LMIALWidget
        from LMIALLib.desktop import qt_slots

        qt_slots.LISTENERS.append(self.took)
        self.ui.readerEdit.setText("tester")
        self.widget.enter()
        self.face.open(folder, "tester", True)
        self.assertIsNotNone(self.workspace, self.face.panel.sentences)
        self.assertFalse(self.workspace.screen.watching)

    def test_17_no_process_is_left(self):
        self.need_network()
        self.face.act("rank")
        transport = self.workspace.session.learning.worker._transport
        self.assertTrue(wait_for(lambda: transport.pid, 120))
        self.face.quit()
        self.assertFalse(transport._running())


class Counting(unittest.TextTestResult):
    """A result that knows how many tests passed."""

    def __init__(self, *values, **named):
        super().__init__(*values, **named)
        self.passed = 0

    def addSuccess(self, test):
        super().addSuccess(test)
        self.passed += 1


def main():
    """Run everything; the number that failed, or 1 where too few ran."""
    tests = unittest.defaultTestLoader.loadTestsFromTestCase(FaceTest)
    result = unittest.TextTestRunner(stream=sys.stdout, verbosity=2, resultclass=Counting).run(tests)
    for test, reason in result.skipped:
        print(f"skipped: {test}: {reason}")
    print(f"screenshots: {FaceTest.shots}")
    for name, seconds in sorted(FaceTest.times.items(), key=lambda one: -one[1])[:8]:
        mark = "" if seconds <= FELT else " (loads volumes)" if name in LOADING else " TOO LONG"
        print(f"kept Qt's thread at most {1000 * seconds:5.0f} ms: {name}{mark}")
    failed = len(result.failures) + len(result.errors)
    ran = result.passed + failed
    if ran < EXPECTED:
        print(f"only {ran} tests ran; {EXPECTED} are the least")
    print(f"{result.passed} passed, {failed} failed, {len(result.skipped)} skipped", flush=True)
    return failed if failed or ran >= EXPECTED else 1
