"""The dialog of the first use: asked once, torch through its extension, the rest with what is installed pinned."""

from __future__ import annotations

import importlib.metadata
import sys
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from subprocess import CalledProcessError
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from LMIALLib.desktop import dependencies


class Slicer:
    """What `dependencies` uses of Slicer 5.12; ``installed`` is what Slicer's Python holds, ``said`` what happened."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.patch = patch
        self.said: list[Any] = []
        self.agrees = True
        self.testing = False
        self.settings: dict[str, str] = {}
        self.installed = {"numpy": "2.4.6", "scipy": "1.17.1", "SimpleITK": "2.5.5"}
        self.constraints = ""
        patch.delenv("LMIAL_PYTHON", raising=False)
        patch.setattr(importlib.metadata, "version", self._version)
        self._module(
            "slicer",
            app=SimpleNamespace(
                testingEnabled=lambda: self.testing,
                extensionsManagerModel=lambda: SimpleNamespace(
                    interactive=True, installExtensionFromServer=self._extension
                ),
            ),
            util=SimpleNamespace(
                settingsValue=lambda key, default: self.settings.get(key, default),
                confirmOkCancelDisplay=self._ask,
                confirmYesNoDisplay=lambda text, *_, **__: self.said.append(("restart?", text)) or False,
                errorDisplay=lambda text, **more: self.said.append(("error", text)),
                showStatusMessage=lambda *_: True,
                WaitCursor=nullcontext,
                pip_install=self._pip_install,
            ),
        )
        sys.modules["slicer"].__path__ = []  # type: ignore[attr-defined]
        self._module("slicer.packaging", pip_ensure=self._pip_ensure)
        logic = SimpleNamespace(installTorch=self._torch)
        self._module("PyTorchUtils", PyTorchUtilsLogic=lambda: logic)

    def _module(self, name: str, **content: Any) -> None:
        module = ModuleType(name)
        vars(module).update(content)
        self.patch.setitem(sys.modules, name, module)

    def without(self, name: str) -> None:
        self.patch.setitem(sys.modules, name, None)  # type: ignore[arg-type]

    def _version(self, name: str) -> str:
        if name not in self.installed:
            raise importlib.metadata.PackageNotFoundError(name)
        return self.installed[name]

    def _ask(self, text: str, title: str, *, parent: Any, detailedText: str) -> bool:  # noqa: N803
        self.said.append(("asked", detailedText.splitlines()))
        return self.agrees

    def _torch(self, *, askConfirmation: bool, torchVersionRequirement: str) -> None:  # noqa: N803
        assert not askConfirmation
        self.said.append(("torch", torchVersionRequirement))
        self.installed["torch"] = "2.8.0+cu128"

    def _extension(self, name: str, restart: bool) -> bool:
        self.said.append(("extension", name, restart))
        return True

    def _pip_ensure(self, wanted: list[str], *, constraints: Path, prompt_install: bool, requester: str) -> None:
        assert not prompt_install
        assert requester == "LMIAL"
        self._pip_install([*wanted, "-c", str(constraints)])

    def _pip_install(self, arguments: list[str]) -> None:
        self.constraints = Path(arguments[-1]).read_text(encoding="utf-8")
        self.said.append(("pip", arguments[:-2]))
        self.installed.update({line.split(">")[0]: "99" for line in arguments[:-2]})


@pytest.fixture
def slicer(monkeypatch: pytest.MonkeyPatch) -> Slicer:
    return Slicer(monkeypatch)


ALL = ["torch>=2.8", *dependencies.requirements()]


def test_asks_once_and_installs_torch_before_the_rest_with_what_is_there_pinned(slicer: Slicer) -> None:
    assert dependencies.missing() == ALL
    assert dependencies.install()
    assert slicer.said == [("asked", ALL), ("torch", ">=2.8"), ("pip", ALL[1:])]
    assert slicer.constraints.splitlines() == [
        "torch==2.8.0+cu128", "numpy==2.4.6", "scipy==1.17.1", "SimpleITK==2.5.5",
    ]  # fmt: skip
    slicer.said.clear()
    assert dependencies.install()
    assert slicer.said == []


def test_declined_nothing_is_installed(slicer: Slicer) -> None:
    slicer.agrees = False
    assert not dependencies.install()
    assert slicer.said == [("asked", ALL)]


def test_nothing_is_asked_or_installed_in_testing_mode(slicer: Slicer) -> None:
    slicer.testing = True
    assert not dependencies.install()
    assert slicer.said == []


def test_without_the_pytorch_extension_it_is_fetched_and_a_restart_proposed(slicer: Slicer) -> None:
    slicer.without("PyTorchUtils")
    assert not dependencies.install()
    assert [what[0] for what in slicer.said] == ["asked", "extension", "restart?"]
    assert slicer.said[1] == ("extension", "PyTorch", False)


def test_a_torch_that_is_too_old_is_asked_for_again(slicer: Slicer) -> None:
    slicer.installed["torch"] = "2.7.1+cpu"
    assert dependencies.missing()[0] == "torch>=2.8"
    slicer.installed["torch"] = "2.8.0+cpu"
    assert dependencies.missing() == ALL[1:]


def test_slicer_5_10_uses_its_own_pip(slicer: Slicer) -> None:
    slicer.without("slicer.packaging")
    assert dependencies.install()
    assert slicer.said[-1] == ("pip", ALL[1:])
    assert "SimpleITK==2.5.5" in slicer.constraints


@pytest.mark.parametrize("kind", [RuntimeError, CalledProcessError])
def test_a_failure_is_told_in_one_sentence(
    slicer: Slicer, monkeypatch: pytest.MonkeyPatch, kind: Callable[..., Exception]
) -> None:
    def fail(**_: Any) -> None:
        raise RuntimeError("no network") if kind is RuntimeError else CalledProcessError(1, "pip")

    monkeypatch.setattr(sys.modules["PyTorchUtils"], "PyTorchUtilsLogic", lambda: SimpleNamespace(installTorch=fail))
    assert not dependencies.install()
    assert [what[0] for what in slicer.said] == ["asked", "error"]


def test_the_workers_interpreter_is_named_by_environment_then_setting(
    slicer: Slicer, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert dependencies.worker_python() == dependencies.slicer_python()
    slicer.settings[dependencies.SETTING] = "/opt/python"
    assert dependencies.worker_python() == "/opt/python"
    monkeypatch.setenv("LMIAL_PYTHON", "/mine/python")
    assert dependencies.worker_python() == "/mine/python"
    assert dependencies.missing() == ["pynrrd>=1.1", "scikit-image>=0.24"], "another interpreter brings its own torch"


def test_loading_the_module_asks_nothing_of_slicer() -> None:
    import subprocess

    code = "import sys, LMIALLib.desktop.dependencies; print({'slicer', 'qt', 'torch', 'packaging'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
