"""Readers at both faces, who write down what they ask for and what they are told.

The face, the workspace and the study are the product's own. Qt is a stand-in; nobody looks at the pixels. The worker
answers at once: what it computes is no matter here, but the files that it leaves and what becomes of them are.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import sys
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from LMIALLib.loop.session import Session
from LMIALLib.study.store import Study
from LMIALLib.worker.client import WorkerClient
from LMIALLib.worker.messages import decode, encode
from Testing.Python.storm.masks import drawn

counted: Any = None
"""The moments that are counted in this process (``faults.Counted``); what a worker does is none of them."""
TURNS = ("nothing_here", "save", "equivocal", "save", "skip", "nothing_here", "back", "save")


class QuickWorker:
    """A worker without a process: a training leaves a model that is adopted, a ranking is the one that was stored."""

    def __init__(self) -> None:
        self._lines: deque[bytes] = deque()
        self._folder = Path()
        self._open = False

    def start(self, study_folder: Path) -> None:
        self._folder, self._open = study_folder, True

    def send(self, line: bytes) -> None:
        request = decode(line)
        if counted is not None:
            counted.pause(True)
        try:
            if request["do"] == "finetune":
                self._train(request)
            elif request["do"] == "rank":
                with Study.open(self._folder, read_only=True) as study:
                    stored = study.rankings.all()[0]
                    upto = study.answers.highest_id()
                told = {"ranking": stored.ranking, "conditions": stored.conditions, "annotations_upto": upto}
                self._say("ranked", request["id"], told)
        finally:
            if counted is not None:
                counted.pause(False)

    def _train(self, request: dict[str, Any]) -> None:
        models = self._folder / "models"
        shutil.copyfile(models / "model-1.safetensors", models / f"{request['new_model']}.safetensors")
        told = {"model": request["new_model"], "parent": request["model"], "adopted": True, "reasons": ["Better."]}
        self._say("model", request["id"], {**told, "report": {"read": 1}})

    def _say(self, event: str, number: int, result: dict[str, Any]) -> None:
        self._lines.append(encode({"event": event, "id": number, "result": result}))

    def receive(self, timeout: float) -> bytes | None:
        return self._lines.popleft() if self._lines else None

    def alive(self) -> bool:
        return self._open

    def last_lines(self) -> list[str]:
        return []

    def close(self, seconds: float) -> None:
        self._open = False


class Log:
    """What was asked for and what was told, one line of JSON each, outside the study."""

    def __init__(self, file: Path) -> None:
        self._descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    def write(self, **told: Any) -> None:
        os.write(self._descriptor, (json.dumps(told) + "\n").encode())


def listen(log: Log) -> None:
    """Write down every sentence for the reader, at the moment at which it is said."""
    from LMIALLib.scene.screen import Screen

    say = Screen.say

    def told(self: Any, kind: str, sentence: str) -> None:
        log.write(told=kind, sentence=sentence)
        say(self, kind, sentence)

    Screen.say = told  # type: ignore[method-assign]


def turns(workspace: Callable[[], Any], act: Callable[[str], None], log: Log) -> Iterator[None]:
    """Answer slice after slice; ``act`` does what a key does. Pauses after each turn for what runs beside."""
    for number, what in enumerate(TURNS):
        session: Session = workspace().session
        if session.current is None and what != "back":
            act("next")
            act("cross")
        here = session.current
        if what == "back":
            act(what)
        elif here is not None:
            mask = np.zeros_like(workspace().open.drawing.mask)
            if what in ("save", "equivocal"):
                mask = drawn(mask.shape, 10 + number)
            workspace().open.drawing.replace(mask)
            workspace().viewing.sight.looked(workspace().viewing.sight.place.number, 1.0)
            log.write(asked=what, case=here.case, slice=here.slice, voxels=int(mask.sum()))
            act(what)
        yield


def sit_at_desktop(study: Path, file: Path) -> None:
    """A session at the face of desktop Slicer, from opening a study to closing it."""
    from unittest.mock import MagicMock

    import pytest

    from Testing.Python.desktop.qt_stand_in import Ui, install, speak_english
    from Testing.Python.desktop.test_face import names_of_ui
    from Testing.Python.scene.mrml_scene import new_place
    from Testing.Python.scene.sitting import Editor as RealEditor

    patch, place, log = pytest.MonkeyPatch(), new_place(), Log(file)
    listen(log)
    speak_english(patch)
    install(patch, place.scene)
    import LMIALLib.desktop.face as module

    class Editor(RealEditor):
        """The history of a real Segment Editor logic, without its widget."""

        def __init__(self, *_: Any) -> None:
            super().__init__(place)
            self.widget, self.rested = MagicMock(), False

        def rest(self) -> None:
            self.rested = True

        def leave(self) -> None:
            pass

        enter = leave

    patch.setattr(module, "Editor", Editor)
    patch.setattr(module, "QProcessTransport", QuickWorker)
    ui: Any = Ui(names_of_ui())
    ui.readerEdit.text, ui.priorLeftCheck.checked, ui.legendCheck.checked = "anna", True, True
    face = module.Face(ui, train=lambda: True)
    try:
        face.open(study, "anna")
        if face.workspace is None:
            return
        for _ in turns(lambda: face.workspace, face.act, log):
            face.tick()
        face.close()
    except KeyboardInterrupt:  # Slicer ends as it will; what matters is what is kept
        sys.exit(130)


def sit_at_browser(study: Path, file: Path) -> None:
    """A session at ``lmial annotate``, with its server; at the end the reader presses Ctrl+C in the terminal."""
    from LMIALLib.browser.page import Page
    from LMIALLib.cli import main

    log, ready = Log(file), Page._ready
    listen(log)
    WorkerClient.__init__.__kwdefaults__["transport"] = QuickWorker

    async def read(page: Any) -> None:
        page.tabs.arrive("tab", page._connection)
        try:
            for _ in turns(lambda: page.workspace, lambda name: page._act("tab", name), log):
                await asyncio.sleep(0)
                page._tick()
        finally:
            os.kill(os.getpid(), signal.SIGINT)

    def start(page: Any, **values: Any) -> None:
        ready(page, **values)
        page.reading = asyncio.get_event_loop().create_task(read(page))

    Page._ready = start  # type: ignore[method-assign]
    sys.argv = ["lmial", "annotate", str(study), "--no-open", "--reader", "anna"]
    main()
