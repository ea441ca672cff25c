"""The keys of the one table of shortcuts, while the module is shown and no text is being written."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from LMIALLib.loop.shortcuts import SHORTCUTS, Shortcut

WRITING = ("QLineEdit", "QTextEdit", "QPlainTextEdit", "QAbstractSpinBox")
"""Qt's classes of widgets in which text is written."""


def ours() -> tuple[Shortcut, ...]:
    """The shortcuts that the module itself obeys; the Segment Editor obeys its own."""
    return tuple(one for one in SHORTCUTS if not one.editor)


def sequences(key: str) -> tuple[str, ...]:
    """A key of the table as Qt writes it: both keys called Enter count."""
    return (key.replace("Enter", "Return"), key) if key.endswith("Enter") else (key,)


def tips() -> dict[str, str]:
    """Action to what a tooltip says of it, with its key."""
    return {one.action: f"{one.tip} ({one.key})" for one in SHORTCUTS}


def writing(focus: Any) -> bool:
    """Whether the widget that has the focus takes text."""
    return focus is not None and any(focus.inherits(name) for name in WRITING)


class Keys:
    """QShortcuts on the main window.

    Args:
        act: called with an action's name, and for a held key with True when it goes down and False when it comes up.
    """

    def __init__(self, act: Callable[..., None]) -> None:
        self._act = act
        self._made: list[tuple[Shortcut, Any]] = []
        self._left: tuple[str, ...] = ()
        self._release: Any = None

    def install(self, window: Any) -> None:
        """The module is shown."""
        import qt

        self.remove()
        if window is None:
            return
        for shortcut in ours():
            for sequence in sequences(shortcut.key):
                made = qt.QShortcut(qt.QKeySequence(sequence), window)
                made.setAutoRepeat(False)  # keys repeat nothing
                made.connect("activated()", lambda shortcut=shortcut: self._pressed(shortcut))
                self._made.append((shortcut, made))
        self.leave(self._left)

    def leave(self, keys: tuple[str, ...]) -> None:
        """Leave some keys to an effect of the Segment Editor, until others or none are named."""
        self._left = keys
        for shortcut, made in self._made:
            made.setEnabled(shortcut.key not in keys)

    def remove(self) -> None:
        """The module is not shown any more."""
        self._up()
        for _, made in self._made:
            made.disconnect("activated()")
            made.setParent(None)
            made.deleteLater()
        self._made = []

    def _pressed(self, shortcut: Shortcut) -> None:
        import slicer

        if writing(slicer.app.focusWidget()):
            return
        if not shortcut.held:
            self._act(shortcut.action)
        elif self._release is None:
            self._release = _watch_release(shortcut.key, self._up)
            self._act(shortcut.action, True)

    def _up(self) -> None:
        """The held key came up, or the window lost the keyboard."""
        if self._release is None:
            return
        import slicer

        watching, self._release = self._release, None
        slicer.app.removeEventFilter(watching)
        held = next(one for one in ours() if one.held)
        self._act(held.action, False)


def _watch_release(key: str, released: Callable[[], None]) -> Any:
    """An event filter of the application, there only while a key is held: a filter in Python costs at every event."""
    import qt
    import slicer

    code = getattr(qt.Qt, f"Key_{key}")

    class Release(qt.QObject):
        def eventFilter(self, _: Any, event: Any) -> bool:  # noqa: N802 - Qt's name
            if event.type() == qt.QEvent.ApplicationDeactivate or (
                event.type() == qt.QEvent.KeyRelease and event.key() == code and not event.isAutoRepeat()
            ):
                qt.QTimer.singleShot(0, released)  # not from within the filter that it takes away
            return False

    made = Release()
    slicer.app.installEventFilter(made)
    return made
