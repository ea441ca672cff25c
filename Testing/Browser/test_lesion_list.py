"""The lesions of a case on the page: what is known of each stands there, a click jumps, an export holds them all."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable
from pathlib import Path

import nrrd
import numpy as np
import pytest

from LMIALLib.study.store import Study

from .conftest import Reader, Server, wait_for


def learnt(folder: Path) -> bool:
    """Whether the newest ranking knows every answer."""
    with Study.open(folder, read_only=True) as study:
        stored = study.rankings.latest()
        return stored is not None and stored.annotations_upto == study.answers.highest_id()


def test_a_click_on_a_lesion_jumps_to_it_and_the_export_has_the_same_numbers(
    study_folder: Path,
    serve: Callable[..., Server],
    sit_down: Callable[..., Reader],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("LMIAL_TEST_STEPS", "0")  # no other network comes between the list and the export
    reader = sit_down(serve(study_folder).address)
    listed = reader.state("objects")
    with Study.open(study_folder, read_only=True) as study:
        known = {
            one.number: one for one in study.lesions.of_case("head", study.maps.suggested("head"), keep=False).lesions
        }
    assert listed and {one["number"] for one in listed} <= known.keys(), "none that lies on random slices alone"
    assert reader.page.locator(".objects h3").inner_text().split() == [
        "Lesions",
        "of",
        "this",
        "case",
        f"{len(listed)}",
    ]
    wanted = max(listed, key=lambda one: float(one["ml"]))
    row = reader.page.locator(f".objects button[data-lesion='{wanted['number']}']")
    assert row.inner_text().split() == [
        str(wanted["number"]), *wanted["class"].split(), wanted["ml"], "ml", *wanted["read"].split()
    ]  # fmt: skip
    seen = reader.seen("follow_up")
    row.click()
    largest = int(wanted["tip"].split("largest on slice ")[1].split(",")[0])
    reader.until(f"s('look').slice === {largest}")
    reader.rest()
    assert reader.seen("follow_up") != seen
    reader.picture("lesion-list")

    # an answer changes the list at once, and no number moves
    reader.page.click(".away button.accent")  # return to the query
    reader.until("!s('look').away")
    reader.stroke("follow_up", (0.45, 0.45), (0.55, 0.5))
    reader.press("Control+Enter")
    reader.until("s('objects').some((one) => one.read !== 'suggested')")
    wait_for(lambda: learnt(study_folder), 60.0)  # the rest of the patient follows, and lesions may come and go with it
    reader.rest()
    again = {one["number"]: one for one in reader.state("objects")}
    assert again[wanted["number"]]["slices"] == wanted["slices"] or again[wanted["number"]]["read"] != wanted["read"]

    reader.page.click("text=Export")
    reader.page.click("[data-export=lesions-suggested]")
    with reader.page.expect_download(timeout=60_000) as coming:
        reader.page.click("#download", timeout=60_000)
    archive = zipfile.ZipFile(io.BytesIO(Path(coming.value.path()).read_bytes()))
    assert sorted(archive.namelist()) == ["head-lesions.csv", "head-lesions.seg.nrrd", "head-lesions.seg.nrrd.json"]
    archive.extractall(tmp_path)
    layers, _ = nrrd.read(str(tmp_path / "head-lesions.seg.nrrd"))
    assert set(np.unique(layers).tolist()) - {0} >= again.keys()
    assert reader.complaints == [] and reader.strangers == []
