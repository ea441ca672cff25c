"""LMIAL.py loaded as Slicer loads it, wired to its form; Slicer's base classes and Qt are stand-ins."""

from __future__ import annotations

import runpy
import sys
import types
from pathlib import Path
from typing import Any
from unittest.mock import MagicMock

import pytest

import LMIALLib
from Testing.Python.desktop.qt_stand_in import Signals, Ui, install
from Testing.Python.desktop.test_face import names_of_ui
from Testing.Python.scene.conftest import Place, place  # noqa: F401

MODULE = Path(LMIALLib.__file__).resolve().parents[1] / "LMIAL" / "LMIAL.py"


@pytest.fixture
def module(place: Place, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:  # noqa: F811
    """The names of LMIAL.py."""
    import slicer

    application = install(monkeypatch, place.scene)
    base: Any = types.ModuleType("slicer.ScriptedLoadableModule")

    class Base:
        reloaded = 0

        def __init__(self, parent: Any = None) -> None:
            self.parent = parent
            self.layout = MagicMock()

        def setup(self) -> None:
            pass

        def onReload(self) -> None:  # noqa: N802
            self.reloaded += 1

        def getParameterNode(self) -> Any:  # noqa: N802
            return place.scene.AddNewNodeByClass("vtkMRMLScriptedModuleNode")

    names = [f"ScriptedLoadableModule{kind}" for kind in ("", "Widget", "Logic", "Test")]
    for name in names:
        setattr(base, name, type(name, (Base,), {}))
    base.__all__ = names
    parameters: Any = types.ModuleType("slicer.parameterNodeWrapper")

    def wrap(kind: type) -> type:
        connected = {"connectGui": MagicMock(return_value=7), "disconnectGui": MagicMock()}
        return type(kind.__name__, (kind,), {"__init__": lambda self, node: None, **connected})

    parameters.parameterNodeWrapper, parameters.WithinRange = wrap, lambda low, high: (low, high)
    dependencies: Any = types.ModuleType("LMIALLib.desktop.dependencies")
    dependencies.missing, dependencies.install = (lambda: ["torch"]), MagicMock(return_value=False)
    dependencies.slicer_python = dependencies.worker_python = lambda: sys.executable
    for one in (base, parameters, dependencies):
        monkeypatch.setitem(sys.modules, one.__name__, one)
    import LMIALLib.desktop

    monkeypatch.setattr(LMIALLib.desktop, "dependencies", dependencies, raising=False)

    class Observing:
        def __init__(self) -> None:
            self.observed: list[Any] = []

        def addObserver(self, *values: Any) -> None:  # noqa: N802
            self.observed.append(values)

        def removeObservers(self) -> None:  # noqa: N802
            self.observed.clear()

    monkeypatch.setattr(slicer.util, "VTKObservationMixin", Observing, raising=False)
    monkeypatch.setattr(slicer.util, "settingsValue", lambda key, default: default, raising=False)
    monkeypatch.setattr(slicer.util, "loadUI", lambda path: MagicMock(), raising=False)
    monkeypatch.setattr(slicer.util, "childWidgetVariables", lambda widget: Ui(names_of_ui()), raising=False)
    monkeypatch.setattr(slicer, "qMRMLSegmentEditorWidget", MagicMock(), raising=False)
    found = runpy.run_path(str(MODULE))
    return found | {"application": application}


def test_the_module_says_what_it_is(module: dict[str, Any]) -> None:
    parent = types.SimpleNamespace()
    module["LMIAL"](parent)
    assert parent.title == "Longitudinal Active Learning" and parent.categories == ["Active Learning"]
    assert isinstance(module["application"].signals, Signals)
    assert "startupCompleted()" in module["application"].signals.connected


def test_the_widget_opens_leaves_and_ends_without_a_trace(module: dict[str, Any], study_folder: Path) -> None:
    widget = module["LMIALWidget"](types.SimpleNamespace(isEntered=True))
    widget.setup()
    assert widget.parameters is not None and len(widget.observed) == 3
    widget.enter()
    widget.ui.studyPath.currentPath = str(study_folder)
    widget.ui.readerEdit.text = "anna"
    widget.ui.openButton.click()
    assert widget.face.workspace is not None and widget.face.workspace.open.case == "head"
    widget.exit()
    assert not widget.face.keys._made
    widget.onSceneStartClose()
    assert widget.face.workspace is None
    widget.onSceneChanged()
    widget.cleanup()
    assert widget.face is None and not widget.observed
    assert not module["application"].io.connected
    widget.cleanup()  # Slicer calls it again after a reload


def test_reload_drops_the_library(module: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    widget = module["LMIALWidget"](types.SimpleNamespace(isEntered=True))
    widget.setup()
    fresh = {name: one for name, one in sys.modules.items() if name.partition(".")[0] != "LMIALLib"}
    monkeypatch.setattr(sys, "modules", fresh | {"LMIALLib": object(), "LMIALLib.desktop.face": object()})
    widget.onReload()
    assert not [name for name in sys.modules if name.startswith("LMIALLib")] and widget.reloaded == 1


def test_without_a_main_window_the_widget_stands(module: dict[str, Any]) -> None:
    module["application"].layoutManager.return_value = None
    widget = module["LMIALWidget"](types.SimpleNamespace(isEntered=False))
    widget.setup()
    widget.enter()
    widget.exit()
    widget.cleanup()
    assert widget.face is None
