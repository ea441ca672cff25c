"""One study in front of a reader in desktop Slicer: opening and closing it, and what the reader does."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from LMIALLib.desktop import editor
from LMIALLib.desktop.actions import ANSWERS, NEED_CASE, NEED_READER, PUT_AWAY, actions_of
from LMIALLib.desktop.editor import Editor
from LMIALLib.desktop.face_events import FaceEvents
from LMIALLib.desktop.panel import Panel
from LMIALLib.desktop.qt_slots import entry
from LMIALLib.desktop.shortcuts import Keys
from LMIALLib.desktop.transport import QProcessTransport, end_all
from LMIALLib.desktop.views import Layout, cursor, waiting
from LMIALLib.errors import BadInput
from LMIALLib.loop.exporting import request_export
from LMIALLib.loop.session import Session
from LMIALLib.loop.settings import LoopSettings
from LMIALLib.scene.case_scene import close_case
from LMIALLib.scene.screen import Screen
from LMIALLib.scene.segment_editor import SegmentEditor
from LMIALLib.scene.workspace import Workspace
from LMIALLib.study.store import Study
from LMIALLib.worker.client import WorkerClient


class Face(FaceEvents):
    """The annotating part of the module; nothing in it must survive.

    Args:
        ui: the widgets of LMIAL.ui by name.
        train: says whether the worker can rank and train here.
    """

    def __init__(self, ui: Any, *, train: Callable[[], bool]) -> None:
        import slicer

        self.train = train
        self._watched: list[tuple[Any, int]] = []
        self._actions: dict[str, Callable[..., None]] = {}
        self.keys = Keys(self.act)
        super().__init__(
            Panel(ui, self.act),
            Editor(ui.editorPlace.layout(), lambda effect: self.keys.leave(editor.OWN_KEYS.get(effect, ()))),
        )
        self.layout = Layout(self.panel.strip)
        slicer.app.coreIOManager().connect("fileSaved(qSlicerIO::IOProperties)", self.file_saved)
        slicer.app.connect("aboutToQuit()", self.quit)

    # Opening and closing -------------------------------------------------------------------------------------------

    @entry
    def open(self, folder: Path, reader: str, prior_left: bool = True) -> None:
        """Open a study here; one that is open is closed first."""
        import slicer

        self.close()
        train = self.train()

        def opening(take_over: bool) -> Session:
            study = Study.open(folder, reader=reader, take_over=take_over)
            worker = WorkerClient(study.folder, transport=QProcessTransport)
            return Session(study, reader=reader, worker=worker, settings=LoopSettings(train=train))

        opening(False).study.close()  # a wrong folder is refused before anything changes on the screen
        self._views = self.layout.show(prior_left=prior_left)
        try:
            with self._by_us():
                screen = Screen(slicer.mrmlScene, self._views, opening)
                drawer = SegmentEditor(screen, editor_node=self.editor.node, history=self.editor)
                self.workspace, self._drawer = Workspace(screen, drawer), drawer
                screen.tools.always, screen.tools.opacity = self.panel.always, self.panel.opacity
                self._actions = actions_of(self.workspace, drawer, lambda: cursor(self._views))
                for name, view in self._views.items():
                    self._sizes[name] = view.size
                    tag = view.node.AddObserver("ModifiedEvent", lambda *_, name=name: self.view_changed(name))
                    self._watched.append((view.node, tag))
                    tag = view.window.AddObserver("EndEvent", lambda *_, name=name: self.view_drawn(name))
                    self._watched.append((view.window, tag))
                if train:
                    self.workspace.guarded(self.workspace.start)
                else:
                    self.workspace.guarded(self._look_only)
        except Exception:
            self.close() if self.workspace is not None else self.layout.put_back()
            raise
        self._tick_timer.start()
        self._watch_timer.start()
        self._show()

    def _look_only(self) -> None:
        """Without a network to rank: the first case, from its first slice on."""
        from slicer.i18n import tr as _

        assert self.workspace is not None
        self.workspace.screen.refresh()
        cases = self.workspace.session.study.cases.all()
        if cases:
            self.workspace.presenting.look_at(cases[0].name)
        self.workspace.screen.say(
            "info", _("Nothing is ranked here: choose slices in the strip, draw and save as you like.")
        )

    @entry
    def close(self) -> None:
        """Keep what is drawn as a draft, give the study back, take our nodes out, and show what was shown before."""
        import slicer

        workspace, self.workspace, self._drawer = self.workspace, None, None
        if workspace is None:
            return
        self._rest()
        try:
            with self._by_us():
                try:
                    workspace.guarded(workspace.maker.take_in)
                finally:
                    workspace.close()
                for node, tag in self._watched:
                    node.RemoveObserver(tag)
                self.editor.rest()
                self._appearance.take_off()
                for view in self._views.values():
                    view.wipe()
                if workspace.open is not None:
                    close_case(slicer.mrmlScene, workspace.open.case)
                self.layout.put_back()
        finally:
            self._watched, self._actions, self._views = [], {}, {}
            self.exporting, self._unsettled, self._dead = None, False, ""
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
        if self.workspace is not None:
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

        workspace = self.workspace
        if name == "details":
            self.panel.flip_details()
            return
        if workspace is None or name not in self._actions or (name in NEED_CASE and workspace.open is None):
            return
        if name in NEED_READER and not workspace.screen.watching and not self._known_reader():
            return
        stops: list[bool] = []
        workspace.guarded(lambda: stops.append(workspace.finishing.interrupts(name)))
        if any(stops):
            self._show()
            return
        screen = workspace.screen
        here, waits = workspace.session.current, name in ANSWERS and self._unsettled
        if waits:  # an answer makes the draft needless, and one that cannot be kept would seem to speak of the answer
            self._settle_timer.stop()
            with self._by_us():
                workspace.guarded(lambda: workspace.maker.take_in(keep=False))
        elif not self.settle() and name in PUT_AWAY:
            return
        with self._by_us():
            self._take_look()
            with waiting():
                workspace.guarded(lambda: self._actions[name](*values))
            asked, screen.asking = screen.asking, ""
            if asked == "nothing_here" and self.panel.sure(
                _("Voxels are drawn on this slice. Does it hold nothing all the same?")
            ):
                workspace.guarded(lambda: workspace.answering.answer("nothing_here", sure=True))
            elif asked == "accept":
                question = _("The suggestion touches what you drew, of which nothing goes. Add all of the suggestion?")
                question += "\n" + _("No: only where it does not touch.")
                touching = self.panel.sure(question)
                workspace.guarded(lambda: workspace.painting.accept(touching=touching))
        if waits:
            self._unsettled = workspace.session.current is here  # not answered yet: what is drawn is kept after all
            if self._unsettled:
                self._settle_timer.start()
        if name in ("rank", "train"):
            self._dead = ""
        self._show()

    def _known_reader(self) -> bool:
        """Whether it is known who reads; asks for it where the name is written where it is not."""
        if not self._take_reader():
            self.panel.ask_reader()
            return False
        return True

    @entry
    def restart(self) -> None:
        """Start the worker again with what it was doing when it died."""
        self.act("train" if self._dead == "finetune" else "rank")

    @entry
    def export(self, what: str, file_format: str | None, out: Path, *, suggestions: bool = False) -> None:
        """Write an export of all cases into a folder, in the background."""
        from slicer.i18n import tr as _

        workspace = self.workspace
        if workspace is None:
            return

        def ask() -> None:
            if self.exporting is not None:
                raise BadInput(_("An export is being written."), _("Wait until it is done."))
            job = request_export(
                workspace.session.learning, out, what=what, file_format=file_format, suggestions=suggestions
            )
            self.exporting = job, out

        workspace.guarded(ask)
        self._show()
