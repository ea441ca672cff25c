"""What is said where this machine cannot show the face."""

from __future__ import annotations

from pathlib import Path

import pytest

from LMIALLib.browser import machine
from LMIALLib.cli.making import _go_on


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
