"""The workspace on a page: a trame server that shows it, takes in what the annotating tab asks for, and guards both."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from trame.app import get_server
from trame_client.ui.html import DivLayout
from trame_client.widgets.html import Div
from trame_rca import module as rca_module
from trame_slicer.core import SlicerApp

from LMIALLib.browser.actions import NEED_CASE, NEED_READER, QUICK, VIEWS, Action, actions_of
from LMIALLib.browser.asked import Senseless, taken, word
from LMIALLib.browser.connections import Connections
from LMIALLib.browser.downloads import Downloads
from LMIALLib.browser.endings import Endings
from LMIALLib.browser.guard import Guard, middleware
from LMIALLib.browser.messages import restrict
from LMIALLib.browser.notices import Notices
from LMIALLib.browser.tabs import Tabs
from LMIALLib.browser.together import Standing, Together
from LMIALLib.browser.views import PageView
from LMIALLib.errors import LMIALError
from LMIALLib.loop.exporting import KINDS
from LMIALLib.loop.session import Session
from LMIALLib.scene.brush import Brush
from LMIALLib.scene.screen import Screen
from LMIALLib.scene.view_state import fixed, listed, quick, shown, training_of
from LMIALLib.scene.workspace import Workspace
from LMIALLib.study.names import checked_person
from LMIALLib.worker.events import Progressed

STATIC = Path(__file__).parent / "static"
TITLES = {"baseline": "PRIOR", "follow_up": "CURRENT", "difference": "Difference"}
TICK = 0.2
"""Seconds between two looks at what the worker reported."""
WATCH = 2.0
"""Seconds between two looks at who holds the study and, while watching, at what they did."""
ICON = (
    "data:image/svg+xml,<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 32 32'><rect width='32' height='32' "
    "rx='6' fill='%2314191e'/><circle cx='13' cy='16' r='7' fill='none' stroke='%238f9ba7' stroke-width='2'/>"
    "<circle cx='19' cy='16' r='7' fill='none' stroke='%23e69f00' stroke-width='2'/></svg>"
)


class Page:
    """One server, one study, one reader at a time.

    Args:
        opening: opens the study as a session; its argument says whether to take it over.
        guard: who may talk to the server.
        connections: how many may at once.
    """

    def __init__(self, opening: Callable[[bool], Session], *, guard: Guard, connections: Connections) -> None:
        self.guard, self.connections = guard, connections
        self.tabs = Tabs()
        self.server: Any = get_server("lmial", client_type="vue3")
        self.app = app = SlicerApp()  # its logics live as long as it does
        together = Together(self._standing)
        self.views = {name: PageView(app, self.server, name, self._resized, together) for name in VIEWS}
        self.screen = Screen(app.scene, self.views, opening)
        self.brush = Brush(self.screen)
        self.workspace = Workspace(self.screen, self.brush)
        self.downloads = Downloads(self.workspace.session.study.folder.name)
        self.notices = Notices(time.monotonic)
        self._looked = 0.0
        self._stand: tuple[Any, ...] = ()
        self._actions = actions_of(self.workspace, self.brush) | {
            "reader": Action(self._set_reader, (word,)),
            "export": Action(self._export, (word,)),
        }
        self._build()

    # Wiring ----------------------------------------------------------------------------------------------------

    def _build(self) -> None:
        server, state = self.server, self.server.state
        state.client_only("tab", "panel", "chosen_lesion", "details", "tools")
        state.trame__title, state.trame__favicon = "LMIAL", ICON
        state.update(fixed())
        state.update({"tab": "", "panel": "", "chosen_lesion": 0, "details": False, "active_tab": ""})
        state.update({"notices": [], "exporting": ""})
        state.update({"download": {"url": "", "name": ""}, "reader_problem": "", "reader_hint": self._reader_hint()})
        state.panes = [{"name": name, "title": TITLES[name]} for name in VIEWS]
        state.export_kinds = [{"id": kind.id, "title": kind.title, "tip": kind.tip} for kind in KINDS]
        state.update(shown(self.workspace) | {"objects": listed(self.workspace)})
        server.enable_module(rca_module)
        scripts, styles = ["lmial/panes.js", "lmial/face.js"], ["lmial/face.css"]
        server.enable_module({"serve": {"lmial": str(STATIC)}, "scripts": scripts, "styles": styles})
        with DivLayout(server) as layout, layout:
            Div((STATIC / "page.html").read_text(encoding="utf-8"))
        server.trigger("act")(self._act)
        server.trigger("hello")(self._hello)
        server.trigger("take_over_tab")(self._take_over_tab)
        server.controller.on_server_bind.add(self._bind)
        server.controller.on_server_ready.add(self._ready)
        server.add_protocol_to_configure(lambda protocol: protocol.registerLinkProtocol(Endings(self._left)))

    def _bind(self, wslink_server: Any) -> None:
        wslink_server.app.middlewares.append(middleware(self.guard))
        wslink_server.app.router.add_get("/download/{id}", self.downloads.answer)
        wslink_server.app.router.add_post("/paraview/", self._where)
        for handler in wslink_server._ws_handlers:
            restrict(handler, self._resize)

    def _ready(self, **_: Any) -> None:
        self.connections.watch(self.server._server.runner.server)
        for view in self.views.values():
            self.server.controller.rc_area_register(view.pane)
        self._guarded(self.workspace.start)
        self._push()
        self._timer = asyncio.get_event_loop().create_task(self._beat())

    async def _beat(self) -> None:
        while True:
            await asyncio.sleep(TICK)
            with self.server.state:
                try:
                    self._tick()
                except Exception as error:  # the next beat comes all the same
                    self._unexpected(error)

    async def _where(self, request: Any) -> Any:
        """The page asks first where its websocket is."""
        from aiohttp import web

        return web.json_response({"sessionURL": f"{'wss' if request.secure else 'ws'}://USE_HOST/ws"})

    def close(self) -> None:
        """Keep what is drawn as a draft and give the study back."""
        self.workspace.close()
        self.downloads.close()

    # Tabs ------------------------------------------------------------------------------------------------------

    @property
    def _connection(self) -> str:
        """The websocket whose message is being answered."""
        return str(self.server._server.last_active_client_id)

    def _hello(self, *values: Any) -> str:
        """A tab has come: "taken" if its name is another tab's, "who" if it should ask who reads, else nothing."""
        try:
            (tab,) = taken(values, (word,))
        except Senseless:
            return "taken"
        came = self.tabs.arrive(tab, self._connection)
        self._show_active_tab()
        for view in self.views.values():
            view.refresh()
        unknown = (
            not self.workspace.session.reader and not self.screen.watching and self.tabs.may(tab, self._connection)
        )
        return "taken" if not came else "who" if unknown else ""

    def _left(self, connection: str) -> None:
        before = self.tabs.active
        self.tabs.leave(connection)
        with self.server.state:
            if self.tabs.active != before:
                self._guarded(self.brush.finish_stroke)
                self._push()
            self._show_active_tab()

    def _take_over_tab(self, *_: Any) -> None:
        self.tabs.take_over(self._connection)
        self._show_active_tab()

    def _show_active_tab(self) -> None:
        self.server.state.active_tab = self.tabs.active

    # What the annotating tab asks for ----------------------------------------------------------------------------

    def _act(self, tab: Any = "", name: Any = "", *values: Any) -> None:
        """Do what a tab asks for; a tab that only watches is not heard."""
        if not self.tabs.may(tab, self._connection):
            return
        if name == "paint" and not values:
            name, values = "tool", ("paint",)
        action = self._actions.get(name) if isinstance(name, str) else None
        if action is None or (name in NEED_CASE and self.screen.open is None):
            return
        if name in NEED_READER and not self.workspace.session.reader and not self.screen.watching:
            self._open_panel("reader")
            return
        stops = False

        def do() -> None:
            nonlocal stops
            stops = self.workspace.finishing.interrupts(name)
            if not stops:
                action(*values)

        self._guarded(do)
        if stops:
            self._push()
            return
        if name == "looked":  # changes nothing that is shown
            return
        if name == "paint":
            if values[1:2] == ("end",) or self.screen.notices:
                self._push(quickly=True, drafts=True)
            return
        self._push(quickly=name in QUICK)

    def _set_reader(self, name: str) -> None:
        try:
            self.workspace.session.reader = checked_person(name, "reader")
            self.server.state.reader_problem = ""
            self._open_panel("")
        except LMIALError:
            self.server.state.reader_problem = "One line of up to 60 characters, first a letter or digit."

    def _open_panel(self, name: str) -> None:
        """Open a panel, or close it, also where the page opened it by itself."""
        self.server.state.panel = name
        self.server.clear_state_client_cache("panel")
        self.server.state.dirty("panel")

    def _reader_hint(self) -> str:
        readers = [one.reader for one in self.workspace.session.study.answers.all() if one.reader != "simulated reader"]
        return readers[-1] if readers else ""

    def _export(self, kind: str) -> None:
        self.downloads.begin(self.workspace.session, kind)
        self.server.state.update({"exporting": self.downloads.writing, "download": {"url": "", "name": ""}})

    def _take_export(self) -> None:
        """Offer the export that was being written, if it is over."""
        found = self.downloads.finished()
        if found is not None:
            self.server.state.download = {"url": f"download/{found.id}", "name": found.name}
        self.server.state.exporting = self.downloads.writing

    def _standing(self) -> Standing:
        place = self.workspace.viewing.sight.place
        return Standing(place.number if place else 0, self.workspace.viewing.pair_shown)

    # Showing ---------------------------------------------------------------------------------------------------

    def _guarded(self, action: Callable[[], Any]) -> None:
        try:
            self.workspace.guarded(action)
        except Exception as error:  # whatever happens, the page lives and says so
            self._unexpected(error)

    def _unexpected(self, error: Exception) -> None:
        if os.environ.get("LMIAL_DEBUG"):
            import traceback

            traceback.print_exception(error)
        self.screen.say("error", f"This should not have happened ({type(error).__name__}). What was saved is kept.")

    def _push(self, *, quickly: bool = False, drafts: bool = False) -> None:
        values = quick(self.workspace) if quickly else shown(self.workspace) | {"objects": listed(self.workspace)}
        if drafts:
            whole = shown(self.workspace)
            values |= {"strip": whole["strip"], "query": whole["query"]}
        values["notices"] = self.notices.take(self.screen.notices)
        self.server.state.update(values)

    def _resize(self, view: str, tab: str, size: dict[str, float]) -> None:
        """A tab says how large a pane is; only the one that annotates is heard."""
        if view in self.views and self.tabs.may(tab, self._connection):
            self.views[view].pane.update_size(tab, size)

    def _resized(self) -> None:
        if all(view.sized for view in self.views.values()):
            with self.server.state:
                self._guarded(self.workspace.viewing.size_changed)
                self._push(quickly=True)

    def _tick(self) -> None:
        """Look at the worker, the study's holder and the clock; change the page only where something is new."""
        events: list[Any] = []
        self._guarded(lambda: events.extend(self.workspace.tick()))
        self._guarded(self._take_export)
        now = time.monotonic()
        if now - self._looked > WATCH:
            self._looked = now
            self._guarded(self.workspace.look_around)
        stand = self.workspace.stand()
        if any(not isinstance(event, Progressed) for _, event in events) or stand != self._stand:
            self._stand = stand
            self._push()
        elif events or self.screen.notices or self.notices.over:
            self._push(quickly=True)
            self.server.state.training = training_of(self.workspace)
