# ruff: noqa: F403, F405, N802, N815, PT009 - Slicer's way: base classes by star, camel case, unittest
import sys
from pathlib import Path
from typing import Annotated

import qt
import slicer
from slicer import vtkMRMLLabelMapVolumeNode, vtkMRMLScalarVolumeNode
from slicer.i18n import tr as _
from slicer.i18n import translate
from slicer.parameterNodeWrapper import WithinRange, parameterNodeWrapper
from slicer.ScriptedLoadableModule import *
from slicer.util import VTKObservationMixin

HERE = Path(__file__).resolve().parent


def ensureLibraryOnPath():
    """LMIALLib lies beside this file in a package, and beside its folder in a clone."""
    place = str(HERE if (HERE / "LMIALLib").is_dir() else HERE.parent)
    if place not in sys.path:
        sys.path.append(place)


def registerSampleData():
    """The sample pair in the module Sample Data; it is made on this computer, nothing is downloaded."""
    ensureLibraryOnPath()
    from LMIALLib.desktop import sample_data

    sample_data.register()


class LMIAL(ScriptedLoadableModule):
    """Label a longitudinal study by reading only the slices that matter."""

    def __init__(self, parent):
        ScriptedLoadableModule.__init__(self, parent)
        parent.title = _("Longitudinal Active Learning")
        parent.categories = [translate("qSlicerAbstractCoreModule", "Active Learning")]
        parent.dependencies = ["Segmentations", "SubjectHierarchy", "Colors"]
        parent.contributors = ["The LMIAL authors"]
        parent.helpText = _(
            "Two scans of one patient are aligned, a small network finds what changed and how sure it is, and you are "
            "taken to the slice that teaches most. While you look at the next one it learns from what you saved. "
            "For research only. Everything stays on this computer."
        )
        parent.acknowledgementText = _("Made for 3D Slicer. Licensed under Apache 2.0.")
        for icon in (HERE / "Resources/Icons/LMIAL.png", HERE.parent / "Resources/Icons/LMIAL.png"):
            if icon.is_file():
                parent.icon = qt.QIcon(str(icon))
        slicer.app.connect("startupCompleted()", registerSampleData)


@parameterNodeWrapper
class LMIALParameterNode:
    """What is kept with the scene; the study itself lies in its folder."""

    baseline: vtkMRMLScalarVolumeNode
    followUp: vtkMRMLScalarVolumeNode
    mask: vtkMRMLLabelMapVolumeNode
    studyFolder: Path = Path()
    opacity: Annotated[float, WithinRange(0, 1)] = 0.6
    always: bool = False


class LMIALWidget(ScriptedLoadableModuleWidget, VTKObservationMixin):
    """Wires the widgets of LMIAL.ui to the face in LMIALLib.desktop."""

    def __init__(self, parent=None):
        ScriptedLoadableModuleWidget.__init__(self, parent)
        VTKObservationMixin.__init__(self)
        self.face = self.start = self.exports = self.parameters = self.guiTag = None

    def setup(self):
        ScriptedLoadableModuleWidget.setup(self)
        ensureLibraryOnPath()
        from LMIALLib.desktop.exports import Exports
        from LMIALLib.desktop.face import Face
        from LMIALLib.desktop.start import Start
        from LMIALLib.resources import resource

        self.logic = LMIALLogic()
        widget = slicer.util.loadUI(str(resource("UI", "LMIAL.ui")))
        self.layout.addWidget(widget)
        self.ui = slicer.util.childWidgetVariables(widget)
        widget.setMRMLScene(slicer.mrmlScene)
        self.ui.researchText.setText(_("For research only; not for diagnosis."))
        self.ui.readerEdit.setText(str(slicer.util.settingsValue("LMIAL/Reader", "")))
        self.ui.readerEdit.connect("editingFinished()", self.onReaderNamed)
        if slicer.app.layoutManager() is None:  # started without a main window: there are no views to show anything in
            return
        self.face = Face(self.ui, train=lambda: not self.logic.missing())
        self.start = Start(self.ui, self.face, ready=self.logic.ready)
        self.exports = Exports(self.ui, self.face)
        self.ui.restartButton.connect("clicked()", self.face.restart)
        scene = slicer.mrmlScene
        self.addObserver(scene, scene.StartCloseEvent, self.onSceneStartClose)
        self.addObserver(scene, scene.EndCloseEvent, self.onSceneChanged)
        self.addObserver(scene, scene.EndImportEvent, self.onSceneChanged)
        self.useParameters(True)

    def onReaderNamed(self):
        qt.QSettings().setValue("LMIAL/Reader", self.ui.readerEdit.text)
        self.ui.startSection.collapsed = self.face is not None and self.face.workspace is not None

    def useParameters(self, on):
        """Connect the widgets with the parameter node, or let it go."""
        if self.parameters is not None:
            self.parameters.disconnectGui(self.guiTag)
        self.parameters = self.logic.getParameterNode() if on else None
        if self.parameters is not None:
            if self.parameters.studyFolder == Path():
                self.parameters.studyFolder = self.logic.defaultFolder()
            self.guiTag = self.parameters.connectGui(self.ui)

    def enter(self):
        if self.face is not None:
            self.useParameters(True)
            self.face.enter()

    def exit(self):
        if self.face is not None:
            self.face.leave()
            self.useParameters(False)

    def onSceneStartClose(self, caller=None, event=None):
        self.start.cancel()
        self.start.forget()
        self.face.close()
        self.useParameters(False)

    def onSceneChanged(self, caller=None, event=None):
        self.useParameters(True)
        self.face.scene_changed()
        if self.parent.isEntered:
            self.face.editor.enter()

    def cleanup(self):
        self.removeObservers()
        if self.face is not None:
            self.start.cancel()
            self.useParameters(False)
            self.face.dispose()
            self.face = self.start = self.exports = None

    def onReload(self):
        """Reload the library too: what is drawn is kept first, and no process stays."""
        self.cleanup()
        for name in [one for one in sys.modules if one.partition(".")[0] == "LMIALLib"]:
            del sys.modules[name]
        ScriptedLoadableModuleWidget.onReload(self)


class LMIALLogic(ScriptedLoadableModuleLogic):
    """Parameters, and whether the worker has what it needs."""

    def getParameterNode(self):
        return LMIALParameterNode(super().getParameterNode())

    def missing(self):
        """What has to be installed before pairs can be prepared, ranked and learned from."""
        from LMIALLib.desktop import dependencies

        return dependencies.missing()

    def ready(self):
        """Whether nothing is missing, after asking to install what is."""
        from LMIALLib.desktop import dependencies

        return not dependencies.missing() or dependencies.install(slicer.util.mainWindow())

    def defaultFolder(self):
        """A study folder in local application data."""
        place = qt.QStandardPaths.writableLocation(qt.QStandardPaths.AppLocalDataLocation)
        return Path(str(place)) / "LMIAL" / "study"


class LMIALTest(ScriptedLoadableModuleTest):
    """Runs the whole suite of a clone (Testing/Slicer/run.py); a package has only the first look."""

    def setUp(self):
        slicer.mrmlScene.Clear(0)

    def runTest(self):
        self.setUp()
        suite = HERE.parent / "Testing" / "Slicer"
        if suite.is_dir():
            sys.path.insert(0, str(suite))
            import face_test

            self.assertEqual(face_test.main(), 0)
        else:
            slicer.util.selectModule("LMIAL")
            self.assertFalse(slicer.modules.LMIALWidget.ui.annotateArea.enabled)
