"""A pair that must not be trusted as it is says so in the banner, and its region is changed in one step."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import SimpleITK as sitk

from LMIALLib.loop.session import Session
from LMIALLib.loop.settings import BY_DIFFERENCE, LoopSettings
from LMIALLib.loop.studies import new_study
from LMIALLib.pairs.request import PairRequest
from LMIALLib.study.store import Study
from Testing.Python.pairs.test_pair_family import WIDE, chest

from .conftest import Reader, Server, wait_for


@pytest.fixture
def chest_study(tmp_path: Path) -> Path:
    """A chest CT of which one nodule grew, ranked once."""
    for number, name in enumerate(("baseline", "follow_up")):
        image = sitk.GetImageFromArray(chest(number, nodule=bool(number)).astype("float32"))
        image.SetSpacing(WIDE)
        sitk.WriteImage(image, str(tmp_path / f"{name}.nii.gz"))
    folder = tmp_path / "study"
    new_study(folder, "chest", PairRequest(tmp_path / "baseline.nii.gz", tmp_path / "follow_up.nii.gz"))
    with Study.open(folder, reader="setup") as study:
        session = Session(study, settings=LoopSettings(train=False))
        session.learning.wait(session.learning.request_ranking())
        session.close()
    return folder


def test_a_chest_says_so_and_is_searched_whole_and_ranked_by_difference(
    chest_study: Path, serve: Callable[..., Server], sit_down: Callable[..., Reader]
) -> None:
    reader = sit_down(serve(chest_study).address)
    titles = [one["title"] for one in reader.state("banner")["alarms"]]
    assert "No brain found" in titles and "Unlike the training" in titles
    assert reader.page.locator(".chip.alarm").all_inner_texts() == titles
    reader.page.locator(".chip.alarm").first.click()
    reader.page.wait_for_selector(".panel.pair")
    reader.picture("alarms")
    assert "the whole body" in reader.page.locator(".panel.pair").inner_text()
    reader.page.click("button:has-text('Rank by difference alone')")

    def ranked_by_difference() -> bool:
        with Study.open(chest_study, read_only=True) as study:
            stored = study.rankings.latest()
            return stored is not None and stored.strategy == BY_DIFFERENCE

    wait_for(ranked_by_difference, 120)
    reader.page.locator(".chip.alarm").first.click()
    reader.page.click("button:has-text('Search everything')")
    reader.until("s('notices').some((one) => one.text.startsWith('The region was changed'))", 90)
    reader.until("!s('banner').alarms.some((one) => one.about === 'region')")
    assert "the whole volume" in reader.state("banner")["region"]
    with Study.open(chest_study, read_only=True) as study:
        assert study.cases.get("chest").pair_number == 2 and study.cases.load_pair("chest").mask.mean() > 0.95
    assert reader.complaints == []


def test_what_is_drawn_becomes_the_region(
    study_folder: Path, serve: Callable[..., Server], sit_down: Callable[..., Reader]
) -> None:
    reader = sit_down(serve(study_folder).address)
    assert reader.state("banner")["alarms"] == []
    reader.page.click("header .chip")
    assert reader.page.locator("text=Use what is drawn").is_disabled()
    reader.page.click("header .chip")
    reader.stroke("follow_up", (0.35, 0.35), (0.65, 0.6))
    reader.until("s('lesions').length === 1")
    slice_number = reader.state("query")["slice"]
    reader.page.click("header .chip")
    reader.page.click("text=Use what is drawn")
    reader.until("s('notices').some((one) => one.text.startsWith('The region was changed'))", 90)
    assert reader.state("query")["slice"] == slice_number and reader.state("query")["draft"]
    with Study.open(study_folder, read_only=True) as study:
        pair, drawn = study.cases.load_pair("head"), study.drafts.get("head", slice_number - 1).mask > 0
        assert all((mask == drawn).all() for mask in pair.stack(pair.mask)[2:-2])
