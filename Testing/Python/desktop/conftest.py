"""What a face of desktop Slicer stands on: a MRML scene, a reader in front of a study, and texts as they are."""

from __future__ import annotations

import pytest

from Testing.Python.desktop.qt_stand_in import speak_english
from Testing.Python.scene.conftest import place, workspace_at  # noqa: F401


@pytest.fixture(autouse=True)
def english(monkeypatch: pytest.MonkeyPatch) -> None:
    """Texts are not translated."""
    speak_english(monkeypatch)
