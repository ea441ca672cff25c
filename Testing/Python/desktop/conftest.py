"""What every test of this folder needs of desktop Slicer."""

from __future__ import annotations

import pytest

from Testing.Python.desktop.qt_stand_in import speak_english


@pytest.fixture(autouse=True)
def english(monkeypatch: pytest.MonkeyPatch) -> None:
    """Texts are not translated."""
    speak_english(monkeypatch)
