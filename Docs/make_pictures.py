"""Make the pictures of the README from the demo: ``make pictures``."""

from __future__ import annotations

import tempfile
from pathlib import Path

from PIL import Image

from LMIALLib.evaluation.case_views import case_montage
from LMIALLib.evaluation.demo import CASE, run_demo
from LMIALLib.evaluation.pictures import save_png
from LMIALLib.evaluation.report import demo_strip
from LMIALLib.study.store import Study

PICTURES = Path(__file__).resolve().parent / "pictures"


def main() -> None:
    """Run the demo and keep the first four queried slices that changed, one that did not, and the score strip."""
    with tempfile.TemporaryDirectory() as work:
        outcome = run_demo(None, Path(work) / "demo", say=print)
        with Study.open(outcome.study, read_only=True) as study:
            current = study.answers.current(CASE)
            changed = [query for query in outcome.answered if current[query.slice].answer == "mask"][:3]
            empty = [query for query in outcome.answered if current[query.slice].answer == "nothing"][:1]
            notes = {query.slice: f"query {query.rank}" for query in (*changed, *empty)}
            figure = case_montage(study, CASE, [query.slice for query in (*changed, *empty)], notes=notes)
            save_png(figure, PICTURES / "queries.png")
        save_png(demo_strip(outcome), PICTURES / "strip.png")
    for picture in (PICTURES / "queries.png", PICTURES / "strip.png"):  # 256 colours: a quarter of the bytes
        with Image.open(picture) as full:
            reduced = full.convert("RGB").quantize(256)
        reduced.save(picture, optimize=True)


if __name__ == "__main__":
    main()
