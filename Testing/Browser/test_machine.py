"""What is said where this machine cannot show the face."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from LMIALLib.browser import machine
from LMIALLib.cli.making import _go_on
from LMIALLib.study.store import Study

INTERRUPTED_BY_VTK = """
import os, signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell may have it ignored
import vtk
from LMIALLib.browser.page import Page
begin = Page.__init__

def interrupted(page, *values, **named):
    begin(page, *values, **named)
    watched = vtk.vtkObject()
    watched.AddObserver("ModifiedEvent", lambda *_: os.kill(os.getpid(), signal.SIGINT))
    watched.Modified()

Page.__init__ = interrupted
sys.argv = ["lmial", "annotate", sys.argv[1], "--no-open", "--reader", "anna"]
from LMIALLib.cli import main
main()
"""
"""Ctrl-C that comes within one of VTK's callbacks while the page is made."""


def test_a_demo_without_a_display_says_what_to_add_and_goes_on(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setattr("sys.platform", "linux")
    for variable in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setattr(machine, "_loads", lambda library: False)
    monkeypatch.setattr(machine, "PACKAGES", ("no_such_package",))
    lines = machine.obstacles()
    assert any("libegl1 libgl1-mesa-dri" in line for line in lines)
    assert any("pip install 'lmial[browser]'" in line for line in lines)
    assert any("no display" in line for line in lines)
    _go_on(tmp_path / "study")


def test_a_machine_that_has_everything_lacks_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DISPLAY", ":0")
    monkeypatch.setattr(machine, "_loads", lambda library: True)
    monkeypatch.setattr(machine, "PACKAGES", ("json",))
    monkeypatch.setattr("webbrowser.get", lambda: object())
    assert machine.obstacles() == []


@pytest.mark.skipif(os.name == "nt", reason="no process of Windows can be sent a Ctrl-C by another")
def test_ctrl_c_within_a_callback_of_vtk_ends_like_any_other(tmp_path: Path) -> None:
    folder = tmp_path / "study"
    Study.create(folder).close()
    command = [sys.executable, "-c", INTERRUPTED_BY_VTK, str(folder)]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert ended.returncode == 130, ended.stdout + ended.stderr
    assert "Ctrl-C" not in ended.stderr and "Traceback" not in ended.stderr
    with Study.open(folder, reader="berta") as study:
        assert not study.read_only, "the study was given back"
