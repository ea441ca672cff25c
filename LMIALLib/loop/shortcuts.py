"""The one table of shortcuts that every face shows and obeys."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Shortcut:
    """A key, the action of the session or face that it calls, and what a tooltip says.

    Args:
        key: as people write it: "N", "Ctrl+Enter".
        action: name of the action.
        tip: what a tooltip says.
        held: it works while the key is held down.
        editor: in desktop 3D Slicer the Segment Editor's own key does it, and the module leaves it alone.
    """

    key: str
    action: str
    tip: str
    held: bool = False
    editor: bool = False


SHORTCUTS = (
    Shortcut("Ctrl+Enter", "save", "Save this slice and go to the next query"),
    Shortcut("N", "nothing_here", "Nothing changed on this slice; next query"),
    Shortcut("E", "equivocal", "Equivocal: leave the marked spot, or the whole slice, out; next query"),
    Shortcut("K", "skip", "Not now: the slice returns when the queue is empty"),
    Shortcut("P", "back", "Back to the slice answered before"),
    Shortcut("J", "return", "Return to the query after looking at other slices"),
    Shortcut("S", "show", "Show suggestion and uncertainty while held", held=True),
    Shortcut("A", "accept", "Add the suggestion to what is drawn (one undo step)"),
    Shortcut("L", "class", "Class of the lesion touched last: the proposed one first, then the others"),
    Shortcut("H", "hide", "Hide every overlay, or show them again"),
    Shortcut("X", "flicker", "Flicker between baseline and follow-up under the brush"),
    Shortcut("O", "planes", "Show the other planes at the crosshair, one after the other"),
    Shortcut("C", "contrast", "Next contrast of both visits"),
    Shortcut("D", "details", "Show why this slice was chosen"),
    Shortcut("U", "sweep", "Look through all slices that were neither read nor viewed; any key stops"),
    Shortcut("Ctrl+U", "finish", "This patient is finished; the next one opens"),
    Shortcut("M", "own_map", "The network's own suggestion, without what it learnt of this patient, or back"),
    Shortcut("1", "paint", "Paint", editor=True),
    Shortcut("2", "erase", "Erase", editor=True),
    Shortcut("Ctrl+Z", "undo", "Undo on this slice", editor=True),
    Shortcut("Ctrl+Y", "redo", "Redo on this slice", editor=True),
)
