"""Make the picture of the browser face: ``make browser-picture``.

A query of open-ms patient01 (Lesjak et al. 2016, CC-BY; found through LMIAL_DATA), suggested by weights that never saw
that patient, with the suggestion accepted and shown. Needs Chromium and the extra ``test``.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from PIL import Image
from playwright.sync_api import sync_playwright

from LMIALLib.datasets.open_ms_patient import open_ms_pair, open_ms_root
from LMIALLib.laboratory.unseen import unseen_weights
from LMIALLib.loop.session import LoopSettings, Session
from LMIALLib.loop.studies import new_study
from LMIALLib.pairs.request import PairRequest
from LMIALLib.study.store import Study

PATIENT = "patient01"
HERE = Path(__file__).resolve().parent
WEIGHTS = HERE.parent / "Testing" / "Weights" / f"without-{PATIENT}.safetensors"


def ranked_study(folder: Path) -> None:
    """A study of the patient's pair, ranked once."""
    root = open_ms_root()
    if root is None:
        sys.exit("No open-ms scans were found; set LMIAL_DATA to the folder that holds open_ms.")
    unseen_weights(WEIGHTS, PATIENT)
    pair = open_ms_pair(root / "longitudinal" / PATIENT)
    request = PairRequest(baseline=pair.baseline, follow_up=pair.follow_up)
    new_study(folder, PATIENT, request.to_dict(), subject="p01", weights=WEIGHTS)
    with Study.open(folder) as study:
        session = Session(study, settings=LoopSettings(train=False))
        session.learning.wait(session.learning.request_ranking())
        session.close()


def main() -> None:
    """Serve the study, accept the first suggestion, and keep what the page shows."""
    program = shutil.which("chromium") or shutil.which("google-chrome")
    if program is None:
        sys.exit("Chromium is missing: apt-get install chromium")
    with tempfile.TemporaryDirectory() as work:
        ranked_study(Path(work) / "study")
        command = [sys.executable, "-m", "LMIALLib", "annotate", str(Path(work) / "study"), "--port", "0", "--no-open"]
        server = subprocess.Popen([*command, "--reader", "anna"], stdout=subprocess.PIPE, text=True)
        try:
            assert server.stdout is not None
            address = next(found[0] for line in server.stdout if (found := re.search(r"http://\S+", line)))
            with sync_playwright() as playwright:
                browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox", "--disable-gpu"])
                page = browser.new_page(viewport={"width": 1366, "height": 768})
                page.goto(address)
                page.wait_for_selector(".pane[data-view=follow_up] img", timeout=60_000)
                page.wait_for_function("trame.state.get('look').ready")
                page.wait_for_timeout(1500)
                page.keyboard.press("a")
                page.keyboard.down("s")
                page.wait_for_timeout(2500)
                page.screenshot(path=str(HERE / "pictures" / "browser.png"))
                browser.close()
        finally:
            server.terminate()
            server.wait()
    with Image.open(HERE / "pictures" / "browser.png") as full:
        reduced = full.convert("RGB").quantize(256)
    reduced.save(HERE / "pictures" / "browser.png", optimize=True)


if __name__ == "__main__":
    main()
