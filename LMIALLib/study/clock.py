"""Times as a study writes them: UTC, ISO 8601, milliseconds."""

from __future__ import annotations

from datetime import UTC, datetime


def now() -> str:
    """For example ``2026-03-02T09:15:00.123Z``."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def for_a_folder() -> str:
    """The same moment as part of a folder's name, for example ``20260302T091500123Z``."""
    return now().replace("-", "").replace(":", "").replace(".", "")
