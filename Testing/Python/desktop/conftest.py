"""What a face of desktop Slicer stands on: a MRML scene, and a reader in front of a study."""

from __future__ import annotations

from Testing.Python.scene.conftest import desk_at, place  # noqa: F401
