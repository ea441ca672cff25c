"""How fast the browser face answers, from a real event to the new image in a real Chromium: ``make bench-browser``.

The pair has 60 slices of 334 x 325, as in ``speed.py``. Prints a table and writes bench/browser.json. "While training"
repeats scrolling and painting while the worker fine-tunes on the same cores.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from speed import Row, raw_pair

REPEATS = 15
SIZE = {"width": 1366, "height": 768}
WATCH = """
window.bench = { began: 0, took: null, wait: false, turn: 0 };
for (const kind of ['wheel', 'pointerdown', 'keydown', 'input'])
  window.addEventListener(kind, () => { if (!bench.began) bench.began = performance.now(); }, true);
const image = () => document.querySelector('.pane[data-view=follow_up] img');
const original = trame.trigger;
trame.trigger = async (name, values, ...rest) => {
  const said = await original(name, values, ...rest);
  if (bench.wait && values[1] === bench.wait && (bench.wait !== 'paint' || values[3] === 'end')) {
    const turn = bench.turn;
    bench.due = true;
    setTimeout(() => { if (bench.turn === turn && bench.took === null) bench.took = bench.last; }, 400); // came before
  }
  return said;
};
image().addEventListener('load', () => {
  if (!bench.began) return;
  bench.last = performance.now() - bench.began;
  if (bench.due && bench.took === null) bench.took = bench.last;
});
"""


def study_of(folder: Path) -> Path:
    """A ranked study of the benchmark's pair."""
    from LMIALLib.loop.session import Session
    from LMIALLib.loop.settings import LoopSettings
    from LMIALLib.loop.studies import new_study
    from LMIALLib.pairs.request import PairRequest
    from LMIALLib.study.store import Study

    raw_pair(folder)
    request = PairRequest(baseline=folder / "baseline.nii.gz", follow_up=folder / "follow_up.nii.gz")
    new_study(folder / "study", "bench", request)
    with Study.open(folder / "study", reader="bench") as study:
        session = Session(study, settings=LoopSettings(train=False))
        session.learning.wait(session.learning.request_ranking())
        session.close()
    return folder / "study"


def memory_mb(process: int, what: str = "VmRSS") -> float:
    """Resident memory of a process (Linux), or its peak with "VmHWM"."""
    found = re.search(rf"{what}:\s+(\d+) kB", Path(f"/proc/{process}/status").read_text(encoding="ascii"))
    return int(found[1]) / 1024 if found else float("nan")


def answered(page: Any, action: str, do: Callable[[], None]) -> float:
    """Milliseconds from the first event of ``do`` to the image that follows the answer to ``action``."""
    page.wait_for_timeout(450)  # let the still image of what came before arrive
    page.evaluate(
        "(action) => Object.assign(bench, "
        "{ began: 0, took: null, last: null, due: false, wait: action, turn: bench.turn + 1 })",
        action,
    )
    do()
    page.wait_for_function("bench.took !== null", timeout=20_000)
    return float(page.evaluate("bench.took"))


def latencies(page: Any, names: tuple[str, ...]) -> dict[str, float]:
    """Median milliseconds of each kind of event."""
    box = page.locator(".pane[data-view=follow_up]").bounding_box()
    strip = page.locator(".strip").bounding_box()
    turn = iter(range(10_000))

    def at(x: float, y: float) -> tuple[float, float]:
        return box["x"] + box["width"] * x, box["y"] + box["height"] * y

    def scroll() -> None:
        page.mouse.move(*at(0.5, 0.5))
        page.mouse.wheel(0, 100 if next(turn) % 2 else -100)

    def jump() -> None:
        page.mouse.click(strip["x"] + strip["width"] * (0.3 + 0.03 * (next(turn) % 12)), strip["y"] + 30)

    def opacity() -> None:
        page.locator(".toolbar input[aria-label^=Opacity]").evaluate(
            "(one, value) => { one.value = value; one.dispatchEvent(new Event('input', { bubbles: true })); }",
            30 + 5 * (next(turn) % 12),
        )

    def stroke() -> None:
        x, y = 0.3 + 0.02 * (next(turn) % REPEATS), 0.45
        page.mouse.move(*at(x, y))
        page.mouse.down()
        page.mouse.move(*at(x + 0.1, y + 0.08), steps=8)
        page.mouse.up()

    def undo() -> None:
        page.keyboard.press("Control+z")

    found: dict[str, float] = {}
    for name, action, do in (
        ("scroll", "step", scroll),
        ("jump", "go_to", jump),
        ("opacity", "opacity", opacity),
        ("stroke", "paint", stroke),
        ("undo", "undo", undo),
    ):
        if name not in names:
            continue
        if name == "opacity":
            page.click("text=Suggestion")
        if name == "stroke":
            page.keyboard.press("t")
            page.wait_for_function("trame.state.get('look').paintable")
        found[name] = statistics.median(answered(page, action, do) for _ in range(REPEATS))
        if name == "opacity":
            page.click("text=Suggestion")
    return found


def measure(study: Path) -> dict[str, float]:
    """Start, use, and use while training."""
    from playwright.sync_api import sync_playwright

    program = shutil.which("chromium") or shutil.which("google-chrome")
    assert program, "this benchmark needs chromium (make system-packages)"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox", "--disable-gpu"])
        page = browser.new_page(viewport=SIZE)
        began = time.perf_counter()
        command = [sys.executable, "-m", "LMIALLib", "annotate", str(study), "--no-open", "--reader", "bench"]
        server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        try:
            assert server.stdout is not None
            address = re.search(r"http://\S+", server.stdout.readline())
            assert address
            page.goto(address[0])
            page.wait_for_function(
                "window.trame && trame.state && trame.state.get('look') && trame.state.get('look').paintable"
            )
            page.wait_for_selector(".pane[data-view=follow_up] img")
            found = {"start_s": time.perf_counter() - began}
            page.evaluate(WATCH)
            found |= {f"{name}_ms": value for name, value in latencies(page, ("scroll", "jump", "opacity")).items()}
            found |= {f"{name}_ms": value for name, value in latencies(page, ("stroke", "undo")).items()}
            found["memory_mb"], found["peak_mb"] = memory_mb(server.pid), memory_mb(server.pid, "VmHWM")
            page.wait_for_function("document.documentElement.dataset.settled")
            page.keyboard.press("e")
            page.wait_for_function(
                "trame.state.get('training').on && trame.state.get('training').share > 0", timeout=120_000
            )
            busy = latencies(page, ("scroll", "stroke"))
            found |= {f"{name}_training_ms": value for name, value in busy.items()}
            found["training_still_on"] = float(page.evaluate("trame.state.get('training').on"))
        finally:
            server.terminate()
            server.wait(timeout=20)
            browser.close()
    return found


def main() -> None:
    """Run everything and print the table."""
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    with tempfile.TemporaryDirectory() as work:
        figures = measure(study_of(Path(work)))
    rows: list[Row] = [
        ("from the command to a page that can be painted on", f"{figures['start_s']:.1f} s", "12 s"),
        *(
            (f"{words}, until the new image is in the browser", f"{figures[f'{name}_ms']:.0f} ms", aim)
            for name, words, aim in (
                ("scroll", "scroll", "300 ms"),
                ("jump", "jump", "300 ms"),
                ("opacity", "opacity", "300 ms"),
                ("undo", "undo", "300 ms"),
                ("stroke", "a brush stroke, from the press", "500 ms"),
                ("scroll_training", "scroll while training runs", "usable"),
                ("stroke_training", "a brush stroke while training runs", "usable"),
            )
        ),
        (
            "memory of the server, pair loaded (peak)",
            f"{figures['memory_mb']:.0f} MB ({figures['peak_mb']:.0f})",
            "900 MB",
        ),
    ]
    print(
        f"{os.cpu_count()} cores, load before {os.getloadavg()[0]:.1f}, {SIZE['width']} x {SIZE['height']}, "
        f"medians of {REPEATS}"
    )
    print("| what | measured | aim |\n|---|---|---|")
    for row in rows:
        print("| " + " | ".join(row) + " |")
    out = Path("bench")
    out.mkdir(exist_ok=True)
    (out / "browser.json").write_text(json.dumps(figures, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
