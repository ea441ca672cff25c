"""The browser face as a person has it: a server process, and a real Chromium that Playwright drives."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from Testing.conftest import leave_out

HERE = Path(__file__).resolve().parent
PICTURES = Path(os.environ.get("LMIAL_PICTURES", HERE / "pictures"))
"""Where screenshots of the main states are written."""

ANSWERS = ("n", "e", "k", "Control+Enter")
"""Keys that say something of the slice on the screen."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Two browsers at once would take each other's time: where tests run side by side, these stay in one process."""
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.xdist_group("browser"))


@dataclass
class Server:
    """A running ``lmial annotate``."""

    process: subprocess.Popen[str]
    address: str
    study: Path
    lines: list[str] = field(default_factory=list)

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(urlsplit(self.address).port or 0)

    @property
    def token(self) -> str:
        """What its address holds."""
        return self.address.partition("?token=")[2]

    @property
    def cookie(self) -> str:
        """What a page sends that was opened with the token."""
        return f"lmial-{self.port}={self.token}"

    def kill(self) -> None:
        """SIGKILL: nothing of it gets a chance to tidy up."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def end(self) -> str:
        """Ctrl+C; returns what it wrote to standard error."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
        _, errors = self.process.communicate(timeout=30)
        return errors


@pytest.fixture
def serve() -> Iterator[Callable[..., Server]]:
    """A function (study, more options ...) -> Server; trainings are short (see serve_quickly.py).

    ``files`` is how many files its process may open at most, ``environment`` what is set for it.
    """
    from LMIALLib.browser.machine import missing_graphics

    if missing_graphics():
        leave_out(f"OpenGL is missing; install {missing_graphics()} (make system-packages)")
    running: list[Server] = []

    def start(
        study: Path, *options: str, reader: str = "anna", files: int = 0, environment: dict[str, str] | None = None
    ) -> Server:
        command = [sys.executable, str(HERE / "serve_quickly.py"), "annotate", str(study), *options]
        if environment is None:
            command += ["--no-open"]
        if reader:
            command += ["--reader", reader]
        if files:
            command = ["sh", "-c", f'ulimit -n {files}; exec "$@"', "sh", *command]
        process = subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=dict(os.environ, OMP_NUM_THREADS="1", LMIAL_DEBUG="") | (environment or {}),
            cwd=HERE.parents[1],
        )
        assert process.stdout is not None
        line = process.stdout.readline()
        found = re.search(r"http://\S+", line)
        if not found:
            process.kill()
            raise AssertionError(f"no address came: {line} {process.communicate()[1]}")
        running.append(Server(process, found[0], study))
        return running[-1]

    yield start
    for server in running:
        if server.process.poll() is None:
            server.kill()


@pytest.fixture(scope="session")
def chromium() -> Iterator[Any]:
    """The system's browser, headless, that cannot be told to fetch anything by itself."""
    import shutil

    program = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if program is None:
        leave_out("the program chromium is missing; it is in the package chromium (make system-packages)")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=program,
            args=["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"],
        )
        yield browser
        browser.close()


class Reader:
    """A person at the page: what they see, and what their hands do."""

    def __init__(self, page: Any) -> None:
        self.page = page
        self.strangers: list[str] = []
        self.complaints: list[str] = []
        page.on("request", self._note)
        page.on("websocket", lambda socket: self._note(socket))
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("console", lambda line: self.complaints.append(line.text) if line.type == "error" else None)

    def _note(self, request: Any) -> None:
        if not re.match(r"(https?|wss?)://127\.0\.0\.1[:/]|data:|blob:", request.url):
            self.strangers.append(request.url)

    def go(self, address: str) -> None:
        """Open the page and wait until the images are there."""
        self.page.goto(address)
        self.page.wait_for_selector(".pane[data-view=follow_up] img", timeout=30_000)
        self.page.wait_for_function("window.trame?.state?.get('look')?.ready")
        self.rest()

    def state(self, name: str) -> Any:
        """A value of what the page shows."""
        return self.page.evaluate(f"trame.state.get('{name}')")

    def until(self, condition: str, seconds: float = 20.0) -> None:
        """Wait until a condition in JavaScript holds; ``s('name')`` is a value of what the page shows."""
        there = "if (!window.trame?.state) return false"  # as right after a reload
        look = f"(() => {{ {there}; const s = (name) => trame.state.get(name); return {condition}; }})()"
        self.page.wait_for_function(look, timeout=seconds * 1000)

    def seen(self, view: str) -> list[int]:
        """The pixels of a view as the page has them, without cursors and letters."""
        return self.page.evaluate(
            """(view) => {
                const image = document.querySelector(`.pane[data-view=${view}] img`);
                const canvas = new OffscreenCanvas(image.naturalWidth, image.naturalHeight);
                const drawn = canvas.getContext('2d');
                drawn.drawImage(image, 0, 0);
                const values = drawn.getImageData(0, 0, canvas.width, canvas.height).data;
                return Array.from(values.filter((_, k) => k % 37 === 0));
            }""",
            view,
        )

    def rest(self) -> None:
        """Let what was asked for arrive."""
        self.page.wait_for_timeout(350)

    def press(self, key: str, *, hastily: bool = False) -> None:
        """A key of the keyboard; before an answer what is on the screen is looked at, unless ``hastily``."""
        if key in ANSWERS and not hastily:
            self.look()
        self.page.keyboard.press(key)
        self.rest()

    def look(self) -> None:
        """Look until the page takes an answer."""
        self.page.wait_for_function("document.documentElement.dataset.settled", timeout=20_000)

    def stroke(self, view: str, start: tuple[float, float], end: tuple[float, float], *, release: bool = True) -> None:
        """Draw with the mouse from one place of a view to another (fractions from its upper left corner)."""
        box = self.page.locator(f".pane[data-view={view}]").bounding_box()
        mouse = self.page.mouse
        mouse.move(box["x"] + box["width"] * start[0], box["y"] + box["height"] * start[1])
        mouse.down()
        mouse.move(box["x"] + box["width"] * end[0], box["y"] + box["height"] * end[1], steps=10)
        if release:
            mouse.up()
            self.rest()

    def picture(self, name: str) -> None:
        """A screenshot into the folder of pictures."""
        PICTURES.mkdir(parents=True, exist_ok=True)
        self.page.screenshot(path=str(PICTURES / f"{name}.png"))


@pytest.fixture
def sit_down(chromium: Any) -> Iterator[Callable[..., Reader]]:
    """A function (address, size) -> Reader, each in a browser of their own."""
    contexts: list[Any] = []

    def sit(address: str, *, size: tuple[int, int] = (1366, 768), context: Any = None) -> Reader:
        if context is None:
            context = chromium.new_context(viewport={"width": size[0], "height": size[1]}, accept_downloads=True)
            contexts.append(context)
        reader = Reader(context.new_page())
        reader.go(address)
        return reader

    yield sit
    for context in contexts:
        context.close()


def wait_for(condition: Callable[[], bool], seconds: float = 20.0) -> None:
    """Wait until something is so, by looking again and again."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.1)
