"""A patient is finished on the real page: answers learnt at once, a look through the rest, the reader's word."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from LMIALLib.study.store import Study

from .conftest import Reader, Server, wait_for


@pytest.fixture(autouse=True)
def without_training(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LMIAL_TEST_STEPS", "0")


def with_change_found(folder: Path) -> Path:
    """A study whose network suggests change: three blocks, of which two are drawn before the page opens."""
    with Study.open(folder, reader="setup") as study:
        stored = study.rankings.latest()
        assert stored is not None
        case = study.cases.get("head")
        mean = study.maps.read(stored.model, "head", "mean")
        made_by = study.maps.made_by(stored.model, "head")
        assert mean is not None and made_by is not None
        pair = study.cases.load_pair("head")
        stack = np.moveaxis(mean, case.axis, 0)
        for number, row in ((14, 90), (20, 110), (24, 100)):
            stack[number : number + 3, row : row + 8, 80:90] = 0.9
        stack *= np.moveaxis(pair.mask, case.axis, 0)
        others = {name: study.maps.read(stored.model, "head", name) for name in ("expected_entropy", "variance")}
        told = {key: value for key, value in made_by.items() if key != "sha256"}
        study.maps.write(stored.model, "head", {"mean": mean, **others}, told)
    return folder


def test_an_answer_is_learnt_at_once_and_the_page_says_how_finished_the_patient_is(
    study_folder: Path, serve: Callable[..., Server], sit_down: Callable[..., Reader]
) -> None:
    reader = sit_down(serve(study_folder).address)
    assert reader.state("patient")["sentence"]
    for count in (1, 2):
        query = reader.state("query")["slice"]
        reader.look()
        reader.press("a")
        reader.press("Control+Enter" if reader.state("lesions") else "n")
        reader.until(f"s('query').slice && s('query').slice !== {query}")

        def learnt(count: int = count) -> bool:
            with Study.open(study_folder, read_only=True) as study:
                stored = study.rankings.latest()
                return stored is not None and stored.annotations_upto == count

        wait_for(learnt)
    reader.until("s('patient').curve.length === 3")
    reader.picture("finishing")
    assert not reader.complaints and not reader.strangers


def test_the_rest_is_looked_through_and_a_key_stops_it(
    study_folder: Path, serve: Callable[..., Server], sit_down: Callable[..., Reader]
) -> None:
    reader = sit_down(serve(study_folder).address)
    for _ in range(2):
        reader.page.click("text=1 s")  # the next pace: 2 s, then 0.5 s
        reader.rest()
        if reader.state("patient")["pace"] == 2:
            reader.page.click("text=2 s")
            reader.rest()
        break
    assert reader.state("patient")["pace"] == 0.5
    query, left = reader.state("query")["slice"], reader.state("patient")["left"]
    reader.press("u")
    reader.until("s('patient').sweeping")
    reader.until(f"s('patient').left <= {left} && s('look').slice >= 3")
    reader.picture("sweep")
    reader.press("n", hastily=True)
    reader.until("!s('patient').sweeping")
    with Study.open(study_folder, read_only=True) as study:
        viewed = study.sweeps.viewed("head")
        assert viewed and not study.answers.all("head"), "the key stops the sweep and says nothing of a slice"
        assert all(one.seconds >= 0.5 and not one.label_shown for one in study.sweeps.all("head"))
    reader.until(f"s('patient').viewed === {len(viewed)}")
    assert reader.state("query")["slice"] == query


def test_a_patient_is_finished_by_the_readers_word_and_the_next_one_opens(
    study_folder: Path, serve: Callable[..., Server], sit_down: Callable[..., Reader]
) -> None:
    with Study.open(study_folder, reader="setup") as study:
        staged = study.cases.stage("second")
        for file in study.folder.glob("cases/head/*"):
            target = staged / file.name
            shutil.copytree(file, target) if file.is_dir() else shutil.copyfile(file, target)
        study.cases.add("second", staged)
    from LMIALLib.loop.session import Session
    from LMIALLib.loop.settings import LoopSettings

    with Study.open(study_folder, reader="setup") as study:
        session = Session(study, settings=LoopSettings(train=False))
        session.learning.wait(session.learning.request_ranking())
        session.close()
    reader = sit_down(serve(study_folder).address)
    assert reader.state("banner")["case"] == "head"
    reader.press("Control+u")
    reader.until("s('notices').some((one) => one.kind === 'warning' && one.text.includes('neither read nor looked'))")
    assert reader.state("banner")["case"] == "head"
    reader.press("Control+u")
    reader.until("s('banner').case === 'second' && s('query').slice")
    with Study.open(study_folder, read_only=True) as study:
        assert study.patients.all().keys() == {"head"}
    reader.page.select_option("select[aria-label=Case]", "head")
    reader.until("s('patient').finished")
    reader.picture("finished")
    reader.page.click("text=Reopen")
    reader.until("!s('patient').finished && s('banner').case === 'head' && s('query').slice")


def test_a_suggested_lesion_is_accepted_as_a_whole_where_it_was_seen(
    study_folder: Path, serve: Callable[..., Server], sit_down: Callable[..., Reader]
) -> None:
    with_change_found(study_folder)
    from LMIALLib.loop.session import Session
    from LMIALLib.loop.settings import LoopSettings

    with Study.open(study_folder, reader="setup") as study:
        session = Session(study, settings=LoopSettings(train=False, random_share=0.0))
        session.learning.wait(session.learning.request_ranking())
        session.close()
    reader = sit_down(serve(study_folder).address)
    reader.until("s('objects').some((one) => one.suggested)")
    here = reader.state("query")["slice"]

    def elsewhere(slices: str) -> bool:
        first, _, last = slices.partition("-")
        return not int(first) <= here <= int(last or first)

    number = next(one["number"] for one in reader.state("objects") if one["suggested"] and elsewhere(one["slices"]))
    reader.page.click(f"button[aria-label='Accept lesion {number}']")
    reader.until("s('notices').some((one) => one.text.includes('was not on the screen yet'))")
    reader.page.click(f"button[data-lesion='{number}']")
    reader.page.wait_for_timeout(900)
    reader.page.click(f"button[aria-label='Wider outline of lesion {number}']")
    reader.until("s('tools').visible")
    reader.picture("lesion-outlined")
    reader.page.click(f"button[aria-label='Accept lesion {number}']")
    reader.until(f"s('notices').some((one) => one.text.startsWith('Lesion {number} is accepted as you outlined it'))")
    with Study.open(study_folder, read_only=True) as study:
        (said,) = study.lesion_answers.current("head")
        assert said.verdict == "outlined" and said.change.sum() == said.voxels.sum() > 0 and len(said.shown) == 1
        assert not study.answers.all("head"), "no slice becomes read by it"


def test_the_networks_own_suggestion_is_one_key_away(
    study_folder: Path, serve: Callable[..., Server], sit_down: Callable[..., Reader]
) -> None:
    reader = sit_down(serve(study_folder).address)
    reader.press("m")
    reader.until("s('tools').own_map")
    reader.press("m")
    reader.until("!s('tools').own_map")
    assert not reader.complaints


def test_every_answer_stays_on_a_low_screen(
    study_folder: Path, serve: Callable[..., Server], sit_down: Callable[..., Reader]
) -> None:
    reader = sit_down(serve(study_folder).address, size=(1366, 768))
    for x in (0.40, 0.47, 0.54, 0.61):
        reader.stroke("follow_up", (x, 0.5), (x + 0.01, 0.5))
    reader.until("s('lesions').length === 4")
    reader.press("d")  # the figures of the query as well
    buttons = reader.page.locator(".answers button")
    boxes = [buttons.nth(k).bounding_box() for k in range(buttons.count())]
    assert len(boxes) == 5 and all(box["y"] + box["height"] <= 768 for box in boxes)
    first = reader.page.locator(".queue button").first.bounding_box()
    assert first is not None and first["y"] + first["height"] <= min(box["y"] for box in boxes)
    reader.picture("low_screen")
