"""One study on the screen of desktop Slicer and what happens there by itself: the worker, the views, Slicer's saves."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from LMIALLib.desktop.appearance import Appearance
from LMIALLib.desktop.editor import Editor
from LMIALLib.desktop.looks import Looks
from LMIALLib.desktop.panel import Panel
from LMIALLib.desktop.qt_slots import entry
from LMIALLib.desktop.views import SliceView
from LMIALLib.errors import LMIALError, as_sentence
from LMIALLib.scene.segment_editor import SegmentEditor
from LMIALLib.scene.slicer_files import label_saved, scene_loaded
from LMIALLib.scene.view_state import listed, look_of, shown
from LMIALLib.scene.workspace import Workspace
from LMIALLib.study.names import checked_person
from LMIALLib.worker.client import Job, WorkerDied
from LMIALLib.worker.events import Failed, Progressed

TICK, WATCH, SETTLE, LIST = 200, 2000, 300, 400
"""Milliseconds between two looks at the worker, at who holds the study, after the last stroke until it is kept, and
after the last change until the lesions are listed anew."""


class FaceEvents:
    """Keeps widgets and views at what stands; nothing in it must survive.

    Args:
        panel, editor: the widgets.
    """

    def __init__(self, panel: Panel, editor: Editor) -> None:
        import qt

        self.workspace: Workspace | None = None
        self._drawer: SegmentEditor | None = None
        self.exporting: tuple[Job, Path] | None = None
        self.panel, self.editor = panel, editor
        self._views: dict[str, SliceView] = {}
        self._sizes: dict[str, tuple[int, int]] = {}
        self._appearance = Appearance(editor, self.segmentation_changed)
        self._looks = Looks(time.monotonic)
        self._ours = False
        self._unsettled = False
        self._stand: Any = None
        self._locked: bool | None = None
        self._dead = ""
        self._tick_timer, self._watch_timer, self._settle_timer, self._list_timer = (qt.QTimer() for _ in range(4))
        for timer, every, call in (
            (self._tick_timer, TICK, self.tick),
            (self._watch_timer, WATCH, self.look_around),
            (self._settle_timer, SETTLE, self.settle),
            (self._list_timer, LIST, self.list_lesions),
        ):
            timer.setInterval(every)
            timer.connect("timeout()", call)
        self._settle_timer.setSingleShot(True)
        self._list_timer.setSingleShot(True)

    @contextmanager
    def _by_us(self) -> Iterator[None]:
        """What changes in here was not drawn or scrolled by the reader."""
        before, self._ours = self._ours, True
        try:
            yield
        finally:
            self._ours = before

    def _rest(self) -> None:
        """Stop following: the study is about to close."""
        for timer in (self._tick_timer, self._watch_timer, self._settle_timer, self._list_timer):
            timer.stop()

    @entry
    def tick(self) -> None:
        """Take in what the worker reported."""
        from slicer.i18n import tr as _

        if self.workspace is None:
            return
        workspace, events = self.workspace, []
        if workspace.finishing.sweeping:
            self._take_look()
        with self._by_us():
            workspace.guarded(lambda: events.extend(workspace.tick()))
        for job, event in events:
            if isinstance(event, Failed) and isinstance(job.error, WorkerDied):
                self._dead = job.do
        if self.exporting is not None and self.exporting[0].over:  # its event may be lost with another that failed
            if self.exporting[0].state == "done":
                workspace.screen.say("good", _("Exported to {folder}.").format(folder=self.exporting[1]))
            self.exporting = None
        stand = workspace.stand()
        if stand != self._stand or any(not isinstance(event, Progressed) for _, event in events):
            self._stand = stand
            self._show()
        elif events or workspace.screen.notices:
            self.panel.show_progress(workspace)
        self.panel.forget_notices()

    @entry
    def look_around(self) -> None:
        """Notice that another session took the study, or what it did."""
        workspace = self.workspace
        if workspace is None:
            return
        before = workspace.screen.watching
        workspace.guarded(workspace.look_around)
        if before or workspace.screen.watching != before:
            self._show()

    def segmentation_changed(self, *_: Any) -> None:
        """Something was drawn: kept when the hand rests."""
        if not self._ours:
            self._unsettled = True
            self._settle_timer.start()

    @entry
    def settle(self) -> bool:
        """Keep what was drawn since; whether nothing is left that could not be kept."""
        if self.workspace is None or not self._unsettled:
            return True
        self._settle_timer.stop()
        with self._by_us():
            self._unsettled = not self.workspace.guarded(self.workspace.maker.take_in)
        self._show()
        return not self._unsettled

    @entry
    def view_changed(self, name: str) -> None:
        """A view was scrolled, zoomed or resized."""
        if self.workspace is None or name not in self._views:
            return
        size = self._views[name].size
        if size != self._sizes[name]:
            self._sizes[name] = size
            import qt

            qt.QTimer.singleShot(0, self.resized)
        elif not self._ours:
            self.workspace.viewing.view_moved(name)
            self.panel.show_place(self.workspace)
            ring = look_of(self.workspace).get("ring", [])
            for view in self._views.values():
                view.ring(ring)

    def view_drawn(self, name: str) -> None:
        """A view has been drawn: what its reader sees, and for how long, is counted."""
        sight = self.workspace.viewing.sight if self.workspace is not None else None
        if sight is None or sight.place is None:
            return
        visible = [one for one, view in self._views.items() if view.visible]
        before = self._looks.drawn(name, sight.place.number, visible)
        if before is not None:
            sight.looked(*before)

    def _take_look(self) -> None:
        """Count what has been on the screen until now as seen: an answer is about to be given."""
        if self.workspace is not None and self._looks.now is not None:
            self.workspace.viewing.sight.looked(*self._looks.now)

    @entry
    def list_lesions(self) -> None:
        """List the changed lesions, when the hand rests: finding them anew takes a moment."""
        if self.workspace is not None:
            self.panel.show_lesions(listed(self.workspace))

    @entry
    def resized(self) -> None:
        """The views have other sizes."""
        if self.workspace is not None:
            self.workspace.viewing.size_changed()

    @entry
    def file_saved(self, properties: Any) -> None:
        """Slicer wrote a node to a file: where it is our label, the slice at hand is saved."""
        if self.workspace is None:
            return
        self.settle()
        self._take_reader()
        self._take_look()
        with self._by_us():
            written = {name: str(value) for name, value in dict(properties).items()}
            label_saved(self.workspace, written.get("nodeID", ""), written.get("fileName", ""))
        self._show()

    def _take_reader(self) -> bool:
        """Take the reader's name from its field; whether there is one."""
        assert self.workspace is not None
        session = self.workspace.session
        if self.panel.reader != session.reader:
            with suppress(LMIALError):
                session.reader = checked_person(self.panel.reader, "reader")
        return bool(self.panel.reader) and self.panel.reader == session.reader

    @entry
    def scene_changed(self) -> None:
        """A scene was loaded into ours: copies of our nodes that it held go, our views look where they did."""
        workspace = self.workspace
        if workspace is None:
            return
        self.settle()
        with self._by_us():
            scene_loaded(workspace)
            workspace.viewing.size_changed()
        self._show()

    def unexpected(self, error: Exception) -> None:
        """What nobody foresaw: to the log for those who can read it, one sentence for the reader."""
        from slicer.i18n import tr as _

        if isinstance(error, LMIALError):
            sentence = as_sentence(str(error))
        else:
            logging.getLogger("LMIAL").error("unexpected", exc_info=error)
            sentence = _("This should not have happened ({kind}). What was saved is kept.").format(
                kind=type(error).__name__
            )
        self.panel.notice("error", sentence)

    def _show(self) -> None:
        """Show in the widgets what stands, and surround a case that has just come with what Slicer has around it."""
        workspace, drawer = self.workspace, self._drawer
        if workspace is None or drawer is None:
            return
        with self._by_us():
            self._appearance.fit(workspace, drawer, self._views)
        values = shown(workspace)
        self.panel.show(workspace, values, self._dead)
        self._write_on_views(values["look"])
        self._appearance.show_legends(self.panel.legends, overlay=values["tools"]["visible"])
        self._list_timer.start()
        locked = workspace.screen.watching or workspace.session.current is None
        if locked != self._locked:
            self._locked = locked
            self.editor.widget.setReadOnly(locked)

    def _write_on_views(self, look: dict[str, Any]) -> None:
        from slicer.i18n import tr as _

        left, right, top, bottom = look.get("letters", ("", "", "", ""))
        current = _("PRIOR under the brush") if look.get("swapped") else _("CURRENT")
        titles = {"baseline": _("PRIOR"), "follow_up": current, "difference": _("DIFFERENCE")}
        for name, view in self._views.items():
            view.write(titles[name], (left, right, top, bottom))
            view.ring(look.get("ring", []))
