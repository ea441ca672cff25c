"""Just enough of qt, and of what desktop Slicer adds to slicer-core, for the face to run without Qt."""

from __future__ import annotations

import sys
import types
from collections.abc import Callable
from typing import Any
from unittest.mock import MagicMock

import pytest


class Signals:
    """An object whose signals a test can send."""

    def __init__(self, *_: Any) -> None:
        self.connected: dict[str, list[Callable[..., Any]]] = {}

    def connect(self, signal: str, call: Callable[..., Any]) -> None:
        self.connected.setdefault(signal, []).append(call)

    def disconnect(self, signal: str, *_: Any) -> None:
        self.connected.pop(signal, None)

    def send(self, signal: str, *values: Any) -> None:
        for call in list(self.connected.get(signal, [])):
            call(*values)

    def setParent(self, _: Any) -> None:  # noqa: N802
        pass

    def deleteLater(self) -> None:  # noqa: N802
        pass


class Timer(Signals):
    """A timer that a test lets go off."""

    active = single = False

    @staticmethod
    def singleShot(_: int, call: Callable[[], None]) -> None:  # noqa: N802
        call()

    def send(self, signal: str, *values: Any) -> None:
        self.active = self.active and not self.single  # a single shot is over when its signal comes
        super().send(signal, *values)

    def setInterval(self, _: int) -> None:  # noqa: N802
        pass

    def setSingleShot(self, on: bool) -> None:  # noqa: N802
        self.single = on

    def start(self) -> None:
        self.active = True

    def stop(self) -> None:
        self.active = False


class Widget(Signals):
    """A widget that keeps what it is told under the names of its Qt properties."""

    def __init__(self, *_: Any) -> None:
        super().__init__()
        self.text, self.checked, self.visible, self.enabled, self.collapsed = "", False, True, True, False
        self.currentPath, self.currentIndex, self.node, self.value = "", 0, None, 0.6
        self.items: list[str] = []
        self.size = types.SimpleNamespace(width=lambda: 0, height=lambda: 0)

    def setText(self, text: str) -> None:  # noqa: N802
        self.text = text

    def setVisible(self, on: bool) -> None:  # noqa: N802
        self.visible = on

    def setEnabled(self, on: bool) -> None:  # noqa: N802
        self.enabled = on

    def currentNode(self) -> Any:  # noqa: N802
        return self.node

    def setCurrentNode(self, node: Any) -> None:  # noqa: N802
        self.node = node

    def click(self) -> None:
        self.send("clicked()")

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return MagicMock()


class Ui:
    """Every widget of the .ui by its name."""

    def __init__(self, names: list[str]) -> None:
        for name in names:
            setattr(self, name, Widget())


class Window:
    """A render window that a test lets be drawn."""

    def __init__(self) -> None:
        self.observers: dict[int, Callable[..., Any]] = {}

    def AddObserver(self, event: str, call: Callable[..., Any]) -> int:  # noqa: N802
        assert event == "EndEvent"
        self.observers[len(self.observers)] = call
        return len(self.observers) - 1

    def RemoveObserver(self, tag: int) -> None:  # noqa: N802
        del self.observers[tag]

    def draw(self) -> None:
        for call in list(self.observers.values()):
            call()

    def __getattr__(self, name: str) -> Any:
        return MagicMock()


class SliceWidget:
    """A qMRMLSliceWidget with a real slice node and composite node."""

    def __init__(self, scene: Any, tag: str) -> None:
        self._node = scene.AddNewNodeByClass("vtkMRMLSliceNode", tag)
        self._node.SetDimensions(400, 500, 1)
        self._composite = scene.AddNewNodeByClass("vtkMRMLSliceCompositeNode", tag)
        self.visible, self.window = True, Window()

    def mrmlSliceNode(self) -> Any:  # noqa: N802
        return self._node

    def mrmlSliceCompositeNode(self) -> Any:  # noqa: N802
        return self._composite

    def sliceView(self) -> Any:  # noqa: N802
        view = MagicMock()
        view.renderWindow.return_value = self.window
        return view


def speak_english(monkeypatch: pytest.MonkeyPatch) -> None:
    """Slicer's translation, which slicer-core lacks: every text stays as it is."""
    i18n: Any = types.ModuleType("slicer.i18n")
    i18n.tr, i18n.translate = (lambda text: text), (lambda _, text: text)
    monkeypatch.setitem(sys.modules, "slicer.i18n", i18n)


def install(monkeypatch: pytest.MonkeyPatch, scene: Any) -> Any:
    """Put stand-ins for qt and for the application into place; gives the application."""
    import slicer

    qt: Any = MagicMock()
    qt.QTimer, qt.QLabel, qt.QShortcut = Timer, type("QLabel", (Widget,), {}), type("QShortcut", (Widget,), {})
    qt.QKeySequence = str
    qt.QTableWidgetItem = Widget
    monkeypatch.setitem(sys.modules, "qt", qt)
    application: Any = MagicMock()
    widgets: dict[str, SliceWidget] = {}
    manager = application.layoutManager.return_value
    manager.layout = 3
    manager.layoutLogic.return_value.GetLayoutNode.return_value.IsLayoutDescription.return_value = False
    manager.sliceWidget = lambda tag: widgets.setdefault(tag, SliceWidget(scene, tag))
    manager.setLayout = lambda number: setattr(manager, "layout", number)
    application.io, application.signals, application.widgets = Signals(), Signals(), widgets
    application.coreIOManager.return_value = application.io
    application.connect, application.disconnect = application.signals.connect, application.signals.disconnect
    legend = MagicMock()
    monkeypatch.setattr(slicer, "app", application, raising=False)
    monkeypatch.setattr(slicer, "mrmlScene", scene, raising=False)
    monkeypatch.setattr(slicer, "qSlicerSingletonViewFactory", MagicMock(), raising=False)
    monkeypatch.setattr(slicer, "modules", types.SimpleNamespace(colors=legend), raising=False)
    for name in ("findChild", "confirmYesNoDisplay", "mainWindow", "settingsValue"):
        monkeypatch.setattr(slicer.util, name, MagicMock(), raising=False)
    return application
