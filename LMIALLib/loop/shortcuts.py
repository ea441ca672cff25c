"""The one table of shortcuts that every face shows and obeys."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Shortcut:
    """A key, the action of the session or face that it calls, and what a tooltip says."""

    key: str
    action: str
    tip: str


SHORTCUTS = (
    Shortcut("Ctrl+Enter", "save", "Save this slice and go to the next query"),
    Shortcut("N", "nothing_here", "Nothing changed on this slice; next query"),
    Shortcut("E", "equivocal", "Equivocal: leave the marked spot, or the whole slice, out; next query"),
    Shortcut("A", "accept", "Take the suggestion over as the label (one undo step)"),
    Shortcut("X", "flicker", "Flicker between baseline and follow-up"),
    Shortcut("P", "back", "Back to the slice answered before"),
    Shortcut("D", "details", "Show why this slice was chosen"),
)
