"""One study in front of a reader in desktop Slicer: the desk, its views, the editor, and the widgets that show it."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

from LMIALLib.desktop import editor
from LMIALLib.desktop.actions import NEED_CASE, NEED_READER, actions_of
from LMIALLib.desktop.editor import Editor
from LMIALLib.desktop.panel import Panel
from LMIALLib.desktop.shortcuts import Keys
from LMIALLib.desktop.timing import entry
from LMIALLib.desktop.transport import QProcessTransport, end_all
from LMIALLib.desktop.views import Layout, add_legend, cursor
from LMIALLib.errors import BadInput, LMIALError
from LMIALLib.loop.learning import LoopSettings
from LMIALLib.loop.session import Session
from LMIALLib.scene.case_scene import CaseScene, close_case
from LMIALLib.scene.editing import EditorDesk
from LMIALLib.scene.hierarchy import arrange, forget
from LMIALLib.scene.shown import listed, shown
from LMIALLib.study.names import checked_person
from LMIALLib.study.store import Study
from LMIALLib.worker.client import DIED, Job, WorkerClient

TICK, WATCH, SETTLE, LIST = 200, 2000, 300, 400
"""Milliseconds between two looks at the worker, at who holds the study, after the last stroke until it is kept, and
after the last change until the lesions are listed anew."""


class Face:
    """The annotating part of the module; nothing in it must survive.

    Args:
        ui: the widgets of LMIAL.ui by name.
        train: tells whether the worker can rank and train here.
    """

    def __init__(self, ui: Any, *, train: Callable[[], bool]) -> None:
        import qt
        import slicer

        self.desk: EditorDesk | None = None
        self.exporting: tuple[Job, Path] | None = None
        self._train = train
        self._views: dict[str, Any] = {}
        self._sizes: dict[str, tuple[int, int]] = {}
        self._observed: list[tuple[Any, int]] = []
        self._actions: dict[str, Callable[..., None]] = {}
        self._dressed: CaseScene | None = None
        self._ours = False
        self._unsettled = False
        self._stand: Any = None
        self._locked: bool | None = None
        self._legends: list[Any] = []
        self._dead = ""
        self.panel = Panel(ui, self.act)
        self.keys = Keys(self.act)
        self.editor = Editor(ui.editorPlace.layout(), lambda effect: self.keys.leave(editor.OWN_KEYS.get(effect, ())))
        self.layout = Layout(self.panel.strip)
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
        slicer.app.coreIOManager().connect("fileSaved(qSlicerIO::IOProperties)", self.file_saved)
        slicer.app.connect("aboutToQuit()", self.quit)

    # Opening and closing -------------------------------------------------------------------------------------------

    @entry
    def open(self, folder: Path, reader: str, prior_left: bool = True) -> None:
        """Open a study here; one that is open is closed first."""
        import slicer

        self.close()
        train = self._train()

        def opening(take_over: bool) -> Session:
            study = Study.open(folder, reader=reader, take_over=take_over)
            worker = WorkerClient(study.folder, transport=QProcessTransport)
            return Session(study, reader=reader, worker=worker, settings=LoopSettings(train=train))

        opening(False).study.close()  # a wrong folder is told before anything changes on the screen
        self._views = self.layout.show(prior_left=prior_left)
        self._ours = True
        try:
            self.desk = EditorDesk(
                slicer.mrmlScene, self._views, opening, editor_node=self.editor.node, history=self.editor
            )
            self.desk.tools.always, self.desk.tools.opacity = self.panel.always, self.panel.opacity
            self._actions = actions_of(self.desk, lambda: cursor(self._views))
            for name, view in self._views.items():
                self._sizes[name] = view.size
                tag = view.node.AddObserver("ModifiedEvent", lambda *_, name=name: self.view_changed(name))
                self._observed.append((view.node, tag))
            if train:
                self.desk.guarded(self.desk.start)
            else:
                self.desk.guarded(self._look_only)
        except Exception:
            self.close() if self.desk is not None else self.layout.put_back()
            raise
        finally:
            self._ours = False
        self._tick_timer.start()
        self._watch_timer.start()
        self._show()

    def _look_only(self) -> None:
        """Without a network to rank: the first case, from its first slice on."""
        from slicer.i18n import tr as _

        assert self.desk is not None
        self.desk.refresh()
        cases = self.desk.session.study.cases()
        if cases:
            self.desk.look_at(cases[0].name)
        self.desk.say("info", _("Nothing is ranked here: choose slices in the strip, draw and save as you like."))

    @entry
    def close(self) -> None:
        """Keep what is drawn as a draft, give the study back, take our nodes out, and show what was shown before."""
        import slicer

        desk, self.desk = self.desk, None
        if desk is None:
            return
        for timer in (self._tick_timer, self._watch_timer, self._settle_timer, self._list_timer):
            timer.stop()
        self._ours = True
        try:
            desk.guarded(desk.drawn)
            desk.close()
            for node, tag in self._observed:
                node.RemoveObserver(tag)
            self._observed, self._actions, self.exporting, self._unsettled = [], {}, None, False
            self.editor.rest()
            for view in self._views.values():
                view.write("", ("", "", "", ""))
            if desk.open is not None:
                for view in self._views.values():
                    view.show(None)
                forget(slicer.mrmlScene, desk.open.case)
                close_case(slicer.mrmlScene, desk.open.case)
            self._dressed, self._dead, self._views, self._legends = None, "", {}, []
            self.layout.put_back()
        finally:
            self._ours = False
            self.panel.nothing()

    @entry
    def quit(self) -> None:
        """The application ends: nothing is lost, no process stays."""
        self.close()
        end_all()

    def dispose(self) -> None:
        """The widget is thrown away (reload, exit)."""
        import slicer

        self.leave()
        self.quit()
        slicer.app.coreIOManager().disconnect("fileSaved(qSlicerIO::IOProperties)", self.file_saved)
        slicer.app.disconnect("aboutToQuit()", self.quit)
        self.layout.forget()

    def enter(self) -> None:
        """The module is shown: keys count, and the editor listens to the views."""
        import slicer

        self.editor.enter()
        self.keys.install(slicer.util.mainWindow())
        if self.desk is not None:
            self.layout.show(prior_left=self.panel.prior_left)

    def leave(self) -> None:
        """The module is not shown any more; the study stays open."""
        self.keys.remove()
        self.editor.leave()
        self.settle()

    # What the reader does ------------------------------------------------------------------------------------------

    @entry
    def act(self, name: str, *values: Any) -> None:
        """Do what a key or a button asks for."""
        from slicer.i18n import tr as _

        desk = self.desk
        if name == "details":
            self.panel.flip_details()
            return
        if desk is None or name not in self._actions or (name in NEED_CASE and desk.open is None):
            return
        if name in NEED_READER and not desk.watching and not self._known_reader():
            return
        self.settle()
        self._ours = True
        try:
            desk.guarded(lambda: self._actions[name](*values))
            if desk.asking and self.panel.sure(_("Voxels are drawn on this slice. Does it hold nothing all the same?")):
                desk.guarded(lambda: self._actions["nothing_here"](True))
            desk.asking = ""
        finally:
            self._ours = False
        if name in ("rank", "train"):
            self._dead = ""
        self._show()

    def _known_reader(self) -> bool:
        """Take the reader's name from its field; where it cannot be one, ask for it there."""
        assert self.desk is not None
        session = self.desk.session
        if self.panel.reader == session.reader != "":
            return True
        try:
            session.reader = checked_person(self.panel.reader, "reader")
            return True
        except LMIALError:
            self.panel.ask_reader()
            return False

    @entry
    def restart(self) -> None:
        """Start the worker again with what it was doing when it died."""
        self.act("train" if self._dead == "finetune" else "rank")

    @entry
    def export(self, what: str, file_format: str | None, out: Path) -> None:
        """Write an export of all cases into a folder, in the background."""
        from slicer.i18n import tr as _

        if self.desk is None:
            return
        desk = self.desk

        def ask() -> None:
            if self.exporting is not None:
                raise BadInput(_("An export is being written."), _("Wait until it is done."))
            job = desk.session.learning.request_export(out, what=what, file_format=file_format)
            self.exporting = job, out

        desk.guarded(ask)
        self._show()

    # What happens by itself ----------------------------------------------------------------------------------------

    @entry
    def tick(self) -> None:
        """Take in what the worker said."""
        from slicer.i18n import tr as _

        if self.desk is None:
            return
        desk, events = self.desk, []
        self._ours = True
        try:
            desk.guarded(lambda: events.extend(desk.tick()))
        finally:
            self._ours = False
        for job, event in events:
            if event == "failed" and job.error is not None and job.error.sentence == DIED:
                self._dead = job.do
            if self.exporting is not None and job is self.exporting[0] and job.over:
                if job.state == "done":
                    desk.say("good", _("Exported to {folder}.").format(folder=self.exporting[1]))
                self.exporting = None
        stand = desk.stand()
        if stand != self._stand or any(event != "progress" for _, event in events):
            self._stand = stand
            self._show()
        elif events or desk.notices:
            self.panel.tell_quickly(desk)
        self.panel.forget_notices()

    @entry
    def look_around(self) -> None:
        """Notice that another session took the study, or what it did."""
        if self.desk is None:
            return
        before = self.desk.watching
        self.desk.guarded(self.desk.look_around)
        if before or self.desk.watching != before:
            self._show()

    def segmentation_changed(self, *_: Any) -> None:
        """Something was drawn: kept when the hand rests."""
        if not self._ours:
            self._unsettled = True
            self._settle_timer.start()

    @entry
    def settle(self) -> None:
        """Keep what was drawn since."""
        if self.desk is None or not self._unsettled:
            return
        self._unsettled = False
        self._settle_timer.stop()
        self._ours = True
        try:
            self.desk.guarded(self.desk.drawn)
        finally:
            self._ours = False
        self._show()

    @entry
    def view_changed(self, name: str) -> None:
        """A view was scrolled, zoomed or resized."""
        if self.desk is None or name not in self._views:
            return
        size = self._views[name].size
        if size != self._sizes[name]:
            self._sizes[name] = size
            import qt

            qt.QTimer.singleShot(0, self.resized)
        elif not self._ours:
            self.desk.view_moved(name)
            self.panel.tell_place(self.desk)

    @entry
    def list_lesions(self) -> None:
        """List the changed lesions, when the hand rests: finding them anew takes a moment."""
        if self.desk is not None:
            self.panel.tell_lesions(listed(self.desk))

    @entry
    def resized(self) -> None:
        """The views have other sizes."""
        if self.desk is not None:
            self.desk.size_changed()

    @entry
    def file_saved(self, properties: Any) -> None:
        """Slicer wrote a node to a file: where it is our label, the slice at hand is saved."""
        if self.desk is None:
            return
        self.settle()
        self._ours = True
        try:
            written = {name: str(value) for name, value in dict(properties).items()}
            self.desk.saved_by_slicer(written.get("nodeID", ""), written.get("fileName", ""))
        finally:
            self._ours = False
        self._show()

    @entry
    def scene_changed(self) -> None:
        """A scene was loaded into ours: copies of our nodes that it held go, our views look where they did."""
        if self.desk is None:
            return
        desk = self.desk
        self.settle()
        self._ours = True
        try:
            desk.scene_loaded()
            desk.size_changed()
        finally:
            self._ours = False
        self._show()

    def unexpected(self, error: Exception) -> None:
        """What nobody foresaw: to the log for those who can read it, one sentence for the reader."""
        from slicer.i18n import tr as _

        if isinstance(error, LMIALError):
            sentence = str(error)[0].upper() + str(error)[1:]
        else:
            logging.getLogger("LMIAL").error("unexpected", exc_info=error)
            sentence = _("This should not have happened ({kind}). What was saved is kept.").format(
                kind=type(error).__name__
            )
        self.panel.notice("error", sentence)

    # Showing -------------------------------------------------------------------------------------------------------

    def _show(self) -> None:
        """Tell the widgets what stands, and dress a case that has just come."""
        desk = self.desk
        if desk is None:
            return
        if desk.open is not None and desk.open is not self._dressed:
            self._dress()
        values = shown(desk)
        self.panel.tell(desk, values, self._dead)
        self._write_on_views(values["look"])
        self._list_timer.start()
        for legend, visible in zip(self._legends, (True, values["tools"]["visible"]), strict=False):
            legend.SetVisibility(visible and self.panel.legends)
        locked = desk.watching or desk.session.current is None
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

    def _dress(self) -> None:
        """Give the editor, the hierarchy, the legends and our observers the nodes of the case that came."""
        import slicer
        from slicer.i18n import tr as _

        assert self.desk is not None and self.desk.open is not None
        desk, opened = self.desk, self.desk.open
        if self._dressed is not None:
            forget(slicer.mrmlScene, self._dressed.case)
        self._dressed = opened
        self._ours = True
        try:
            drawing = opened.drawing.node
            self.editor.edit(drawing, opened.images.nodes["", "follow_up"])
            self._actions["others"](desk.others)  # the editor took its masking from the node it had before
            self._observed = [one for one in self._observed if one[0] in self._nodes()]
            for node in (drawing, opened.drawing.label):
                tag = node.AddObserver(slicer.vtkSegmentation.SourceRepresentationModified, self.segmentation_changed)
                self._observed.append((node, tag))
            self._legends = [
                add_legend(opened.images.difference, _("difference (robust SD)"), self._views["difference"]),
                add_legend(opened.overlays.uncertainty, _("uncertainty"), self._views["follow_up"]),
            ]
            dates = opened.images.pair.registration.get("dates", {})
            subject = desk.session.study.case(opened.case).subject
            arrange(slicer.mrmlScene, opened, subject, {name: str(value) for name, value in dates.items() if value})
        finally:
            self._ours = False

    def _nodes(self) -> list[Any]:
        return [view.node for view in self._views.values()]
