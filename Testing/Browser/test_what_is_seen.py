"""Nothing is stored that the reader did not see: real keys and real timing on the real page."""

from __future__ import annotations

import io
import random
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from LMIALLib.study.answer import Answer
from LMIALLib.study.store import Study

from .conftest import Reader, Server, wait_for


@pytest.fixture(autouse=True)
def without_training(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LMIAL_TEST_STEPS", "0")


def answers(folder: Path) -> list[Answer]:
    with Study.open(folder, read_only=True) as study:
        return list(study.answers.all("head"))


def viewed(folder: Path, annotation: Answer) -> np.ndarray:
    with Study.open(folder, read_only=True) as study:
        found = study.answers.viewed_of(annotation)
    assert found is not None
    return found


def brain(folder: Path, number: int) -> np.ndarray:
    """The searched region of a slice (rows, columns)."""
    with Study.open(folder, read_only=True) as study:
        pair = study.cases.load_pair("head")
    return np.asarray(pair.stack(pair.mask)[number])


def warned(reader: Reader, words: str) -> str:
    """Wait for a warning that holds some words; all of it."""
    reader.until(f"s('notices').some((one) => one.kind === 'warning' && one.text.includes({words!r}))")
    return next(one["text"] for one in reversed(reader.state("notices")) if words in one["text"])


# 1: an answer is for the slice that is shown


def test_an_answer_away_from_the_query_asks_first_and_then_is_of_what_is_seen(
    study_folder: Path, serve: Callable[..., Server], sit_down: Callable[..., Reader]
) -> None:
    reader = sit_down(serve(study_folder).address)
    for _ in range(2):  # each time
        before, query = len(answers(study_folder)), reader.state("query")["slice"]
        step = 1 if query < 35 else -1
        for _ in range(4):
            reader.press("ArrowUp" if step > 0 else "ArrowDown")
        shown = query + 4 * step
        reader.until(f"s('look').slice === {shown}")
        reader.press("n")
        said = warned(reader, f"You see slice {shown}, not slice {query}")
        assert f"N again: answer slice {shown}" in said and f"J: back to {query}" in said
        assert len(answers(study_folder)) == before
        reader.press("n")
        reader.until(f"s('query').slice && s('query').slice !== {query} || s('look').slice !== {shown}")
        wait_for(lambda before=before: len(answers(study_folder)) == before + 1)
        stored = answers(study_folder)[-1]
        assert (stored.slice + 1, stored.answer) == (shown, "nothing") and stored.viewed_share == 1.0


def test_after_the_way_back_or_another_place_the_question_is_asked_anew(
    study_folder: Path, serve: Callable[..., Server], sit_down: Callable[..., Reader]
) -> None:
    reader = sit_down(serve(study_folder).address)
    query = reader.state("query")["slice"]
    reader.press("ArrowUp")
    reader.press("n")
    warned(reader, f"You see slice {query + 1}")
    reader.press("ArrowUp")  # another place: the press below is a first one again
    reader.press("n")
    warned(reader, f"You see slice {query + 2}")
    reader.press("e")  # and another key too
    assert answers(study_folder) == []
    reader.press("Control+Enter")
    reader.until(f"s('notices').some((one) => one.text.includes('Nothing is drawn on slice {query + 2}'))")
    reader.press("j")
    reader.press("n")
    wait_for(lambda: len(answers(study_folder)) == 1)
    assert answers(study_folder)[0].slice + 1 == query


def test_in_another_plane_nothing_can_be_answered(
    study_folder: Path, serve: Callable[..., Server], sit_down: Callable[..., Reader]
) -> None:
    reader = sit_down(serve(study_folder).address)
    reader.press("o")
    reader.until("!s('look').main")
    for _ in range(2):
        reader.press("n")
    reader.until("s('notices').some((one) => one.text.includes('another plane'))")
    assert answers(study_folder) == []


# 2: a bounced or a held key


def test_a_bounced_key_stores_one_answer(
    study_folder: Path, serve: Callable[..., Server], sit_down: Callable[..., Reader]
) -> None:
    reader = sit_down(serve(study_folder).address)
    for number, pause in enumerate((60, 0, 150, 250), start=1):
        reader.look()
        reader.page.keyboard.press("n")
        reader.page.wait_for_timeout(pause)
        reader.page.keyboard.press("n")
        reader.page.wait_for_timeout(1500)
        assert len(answers(study_folder)) == number


def test_a_held_key_stores_one_answer(
    study_folder: Path, serve: Callable[..., Server], sit_down: Callable[..., Reader]
) -> None:
    reader = sit_down(serve(study_folder).address)
    reader.look()
    for _ in range(25):  # without a key up between: Chromium calls all but the first repeats
        reader.page.keyboard.down("n")
        reader.page.wait_for_timeout(60)
    reader.page.keyboard.up("n")
    reader.rest()
    assert len(answers(study_folder)) == 1


def test_two_clicks_on_a_button_store_one_answer(
    study_folder: Path, serve: Callable[..., Server], sit_down: Callable[..., Reader]
) -> None:
    reader = sit_down(serve(study_folder).address)
    reader.look()
    reader.page.dblclick("button:has-text('Nothing here')")
    reader.page.wait_for_timeout(1500)
    assert len(answers(study_folder)) == 1


def test_a_slice_takes_no_answer_before_it_has_been_on_the_screen(
    study_folder: Path, serve: Callable[..., Server], sit_down: Callable[..., Reader]
) -> None:
    """What a page sends too early, however it comes to it, is refused by the server."""
    reader = sit_down(serve(study_folder).address)
    reader.look()
    for _ in range(5):
        reader.page.evaluate("trame.trigger('act', [trame.state.get('tab'), 'step', 1])")
        reader.page.evaluate("trame.trigger('act', [trame.state.get('tab'), 'nothing_here'])")
    reader.until("s('notices').some((one) => one.text.includes('only just come'))")
    assert answers(study_folder) == []


# 3: what was on the screen


def test_a_query_opens_on_the_whole_slice_with_its_spot_ringed(
    study_folder: Path, serve: Callable[..., Server], sit_down: Callable[..., Reader]
) -> None:
    reader = sit_down(serve(study_folder).address)
    asked = reader.state("queue")[0]
    assert asked["here"] and not asked["lot"]
    with Study.open(study_folder, read_only=True) as study:
        spot = study.rankings.latest().ranking["queries"][0]["centre"]
        spacing = study.cases.load_pair("head").in_plane_spacing
    reader.press("n")
    wait_for(lambda: len(answers(study_folder)) == 1)
    (stored,) = answers(study_folder)
    seen = viewed(study_folder, stored)
    region = brain(study_folder, stored.slice)
    assert seen[region].all() and stored.viewed_share == 1.0
    # the ring of the first query is gone, that of the next one stands in every pane around the brightest change
    assert reader.page.locator(".ring").count() in (0, 3)
    reader.press("p")
    reader.until(f"s('look').slice === {stored.slice + 1}")
    assert 0 <= spot[0] < seen.shape[0] and min(spacing) > 0


def test_what_was_zoomed_off_needs_a_second_press_and_the_answer_says_what_was_seen(
    study_folder: Path, serve: Callable[..., Server], sit_down: Callable[..., Reader]
) -> None:
    reader = sit_down(serve(study_folder).address)
    zoom_in(reader, 6)
    for _ in range(3):
        reader.press("ArrowUp")
    reader.look()
    shown = reader.state("look")["slice"]
    reader.press("n")
    said = warned(reader, "was never on the screen")
    assert f"slice {shown} was never" in said and answers(study_folder) == []
    reader.press("n")
    wait_for(lambda: len(answers(study_folder)) == 1)
    (stored,) = answers(study_folder)
    assert stored.slice + 1 == shown
    seen, region = viewed(study_folder, stored), brain(study_folder, stored.slice)
    assert stored.viewed_share == pytest.approx(seen[region].sum() / region.sum()) and stored.viewed_share < 0.9


def test_what_is_smaller_than_a_pixel_was_not_seen(
    study_folder: Path, serve: Callable[..., Server], sit_down: Callable[..., Reader]
) -> None:
    reader = sit_down(serve(study_folder).address)
    zoom_in(reader, -16)
    for _ in range(3):
        reader.press("ArrowUp")
    reader.press("n")
    assert "100 % of slice" in warned(reader, "was never on the screen")
    assert answers(study_folder) == []


def test_time_behind_a_dialog_or_in_a_hidden_tab_is_no_looking(
    study_folder: Path, serve: Callable[..., Server], sit_down: Callable[..., Reader]
) -> None:
    reader = sit_down(serve(study_folder).address)
    reader.look()
    reader.page.click("text=Keys")
    reader.page.wait_for_selector(".veil")
    reader.page.evaluate("trame.trigger('act', [trame.state.get('tab'), 'step', 1])")
    reader.page.wait_for_timeout(1200)
    assert not reader.page.evaluate("document.documentElement.dataset.settled")
    reader.page.keyboard.press("Escape")
    reader.look()


# 4: keys act wherever the focus is


def test_keys_act_while_a_menu_has_the_focus_and_menus_give_it_back(
    study_folder: Path, serve: Callable[..., Server], sit_down: Callable[..., Reader]
) -> None:
    reader = sit_down(serve(study_folder).address)
    menu = reader.page.locator("select.class")
    menu.focus()
    value = reader.state("tools")["value"]
    reader.press("e")
    wait_for(lambda: len(answers(study_folder)) == 1)
    assert answers(study_folder)[0].answer == "equivocal" and reader.state("tools")["value"] == value
    reader.stroke("follow_up", (0.45, 0.45), (0.55, 0.5))
    reader.until("s('lesions').length === 1")
    menu.focus()
    reader.press("Control+Enter")
    wait_for(lambda: len(answers(study_folder)) == 2)
    assert answers(study_folder)[1].answer == "mask"
    menu.focus()
    reader.page.keyboard.press("ArrowDown")  # what chooses in a menu is the menu's own
    reader.until(f"s('tools').value !== {value}")
    assert reader.page.evaluate("document.activeElement.tagName") != "SELECT"
    menu.select_option(index=0)
    reader.press("n")
    wait_for(lambda: len(answers(study_folder)) == 3)
    reader.page.click(".banner .reader")  # in a text field keys are letters
    reader.page.keyboard.type("nnee")
    reader.rest()
    assert len(answers(study_folder)) == 3


# 5: accepting adds


def test_accepting_adds_to_what_was_drawn_and_asks_where_they_touch(
    study_folder: Path, serve: Callable[..., Server], sit_down: Callable[..., Reader]
) -> None:
    reader = sit_down(serve(study_folder).address)
    number = reader.state("query")["slice"] - 1
    with Study.open(study_folder, read_only=True) as study:
        suggested = np.asarray(study.cases.load_pair("head").stack(study.maps.suggested("head")))[number] >= 0.5
    assert suggested.any()

    def draft() -> np.ndarray:
        with Study.open(study_folder, read_only=True) as study:
            found = study.drafts.get("head", number)
        return np.zeros_like(suggested) if found is None else found.mask > 0

    reader.stroke("follow_up", (0.7, 0.25), (0.75, 0.3))  # apart from what is suggested
    own = draft()
    assert own.any() and not (own & suggested).any()
    reader.press("a")
    assert np.array_equal(draft(), own | suggested)
    reader.press("Control+z")
    assert np.array_equal(draft(), own), "one undo step"
    x, y = at(reader, *np.argwhere(suggested).mean(axis=0))
    reader.stroke("follow_up", (x - 0.04, y), (x + 0.12, y + 0.1))  # over a part of it, and beyond
    own = draft()
    assert (own & suggested).any() and (own & ~suggested).any()
    reader.press("a")
    reader.page.wait_for_selector("[role=alertdialog]")
    reader.picture("accept-asked")
    assert np.array_equal(draft(), own)
    reader.page.keyboard.press("Escape")
    reader.until("!s('query').asking")
    assert np.array_equal(draft(), own)
    reader.press("a")
    reader.page.click("[role=alertdialog] button:has-text('All of it')")
    reader.until("!s('query').asking")
    assert np.array_equal(draft(), own | suggested)
    reader.press("Control+z")
    assert np.array_equal(draft(), own), "one undo step"


# 6: panes change together


def test_no_pane_of_another_pair_stands_beside_the_new_one_and_long_work_shows(
    study_folder: Path,
    serve: Callable[..., Server],
    sit_down: Callable[..., Reader],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with Study.open(study_folder, reader="setup") as study:
        staged = study.cases.stage("other")
        for part in ("source", "pair-1"):
            shutil.copytree(study_folder / "cases" / "head" / part, staged / part)
        study.cases.add("other", staged)
    monkeypatch.setenv("LMIAL_TEST_SLOW", "1.5")
    reader = sit_down(serve(study_folder).address)
    reader.look()
    reader.page.evaluate(
        """() => {
            window.frames_ = [];
            const panes = ['baseline', 'follow_up', 'difference'];
            const look = () => {
                const busy = document.querySelector('.busy');
                const shown = getComputedStyle(busy);
                frames_.push([
                    ...panes.map((one) => document.querySelector(`.pane[data-view=${one}] img`)?.src),
                    trame.state.get('banner').case,
                    getComputedStyle(document.querySelector('.image')).visibility,
                    shown.display !== 'none' && shown.visibility !== 'hidden',
                ]);
                requestAnimationFrame(look);
            };
            look();
        }"""
    )
    other = "other" if reader.state("banner")["case"] == "head" else "head"
    reader.page.select_option("select[aria-label=Case]", other)
    reader.until(f"s('banner').case === {other!r}")
    reader.look()
    frames: list[list[Any]] = reader.page.evaluate("window.frames_")
    first = frames[0]
    old, new = set(first[:3]), set(frames[-1][:3])
    assert not old & new
    for *images, case, visibility, _ in frames:
        if visibility == "visible":
            changed = [image not in old for image in images]
            assert len(set(changed)) == 1, "all panes change in one frame"
            assert changed[0] == (case == other), "and none stands beside the other case's name"
    assert any(busy for *_, busy in frames), "work of more than 0.3 s shows"
    assert not first[-1] and not frames[-1][-1]


# all of it: what is stored is what was on the screen


def zoom_in(reader: Reader, notches: int, at: tuple[float, float] = (0.5, 0.5)) -> None:
    """Zoom with the wheel at a place of the follow-up (fractions from the upper left corner); out where negative."""
    box = reader.page.locator(".pane[data-view=follow_up]").bounding_box()
    reader.page.mouse.move(box["x"] + box["width"] * at[0], box["y"] + box["height"] * at[1])
    reader.page.keyboard.down("Control")
    for _ in range(abs(notches)):
        reader.page.mouse.wheel(0, -100 if notches > 0 else 100)
        reader.rest()
    reader.page.keyboard.up("Control")


def at(reader: Reader, row: float, column: float) -> tuple[float, float]:
    """Where a voxel lies in the follow-up's pane, as fractions from its upper left corner, from its ring."""
    ring, query = reader.state("look")["ring"], reader.state("query")["slice"]
    with Study.open(Path(STUDY[0]), read_only=True) as study:
        found = next(q for q in study.rankings.latest().ranking["queries"] if q["slice"] == query - 1)
        spacing = study.cases.load_pair("head").in_plane_spacing
    mm = reader.state("look")["mm_per_pixel"]
    box = reader.page.locator(".pane[data-view=follow_up]").bounding_box()
    x = ring[0] + (column - found["centre"][1]) * spacing[1] / mm / box["width"]
    y = 1 - ring[1] + (row - found["centre"][0]) * spacing[0] / mm / box["height"]
    return x, y


STUDY: list[str] = []


@pytest.fixture(autouse=True)
def _where(study_folder: Path) -> None:
    STUDY[:] = [str(study_folder)]


class Eye:
    """Finds, from a screenshot alone, which voxels of which slice are in the follow-up's pane."""

    def __init__(self, folder: Path) -> None:
        with Study.open(folder, read_only=True) as study:
            pair = study.cases.load_pair("head")
            self.stack = np.asarray(pair.stack(pair.follow_up), dtype=np.float32)
            self.spacing = pair.in_plane_spacing

    def look(self, reader: Reader) -> tuple[int, np.ndarray]:
        """Number of the slice, and a mask (rows, columns) of the voxels in the pane."""
        from skimage.feature import match_template
        from skimage.transform import resize

        marks = "document.querySelectorAll('.ring, .cursor, .brush, .letter')"
        reader.page.evaluate(f"{marks}.forEach((one) => {{ one.style.visibility = 'hidden'; }})")
        shot = reader.page.locator(".pane[data-view=follow_up]").screenshot()
        reader.page.evaluate(f"{marks}.forEach((one) => {{ one.style.visibility = ''; }})")
        grey = np.asarray(Image.open(io.BytesIO(shot)).convert("L"), dtype=np.float32)
        mm = reader.state("look")["mm_per_pixel"]
        shape = [round(pixels * mm / spacing) for pixels, spacing in zip(grey.shape, self.spacing, strict=True)]
        small = resize(grey, shape, anti_aliasing=True)
        rows, columns = self.stack.shape[1:]
        edge = (max(shape[0], rows), max(shape[1], columns))
        shown = reader.state("look")["slice"] - 1
        found: dict[int, tuple[float, int, int]] = {}
        for number, image in list(enumerate(self.stack))[max(shown - 2, 0) : shown + 3]:
            low, high = np.percentile(image[image > image.min()], (1, 99.5)) if image.std() > 1e-3 else (0.0, 0.0)
            if high > low:
                padded = np.pad(np.clip(image, low, high), [(size, size) for size in edge], constant_values=low)
                padded += np.random.default_rng(1).normal(0, (high - low) / 1000, padded.shape)  # else 0 / 0 outside
                fit = match_template(padded, small)
                row, column = np.unravel_index(int(np.argmax(fit)), fit.shape)
                found[number] = float(fit[row, column]), int(row) - edge[0], int(column) - edge[1]
        best = max(score for score, *_ in found.values())
        score, row, column = found[shown]
        assert score > max(0.6, best - 0.02), "the screenshot shows the slice that the page names"
        mask = np.zeros((rows, columns), dtype=bool)
        mask[max(row, 0) : max(row + shape[0], 0), max(column, 0) : max(column + shape[1], 0)] = True
        return shown, mask


def test_a_walk_of_thirty_queries_stores_exactly_what_was_visible(
    study_folder: Path, serve: Callable[..., Server], sit_down: Callable[..., Reader]
) -> None:
    reader, eye = sit_down(serve(study_folder).address), Eye(study_folder)
    chance = random.Random(17)
    on_screen: dict[int, np.ndarray] = {}
    expected: list[tuple[int, str, np.ndarray]] = []

    def look() -> int:
        reader.look()
        number, mask = eye.look(reader)
        on_screen[number] = on_screen.get(number, np.zeros_like(mask)) | mask
        return number

    for turn in range(30):
        reader.until("s('query').slice > 0")
        way = ("look", "zoom", "scroll", "two windows", "bounce")[turn % 5]
        key, said = chance.choice((("n", "nothing"), ("e", "equivocal")))
        number = look()
        if way in ("zoom", "two windows"):
            zoom_in(reader, 5, (chance.uniform(0.3, 0.7), chance.uniform(0.3, 0.7)))
        if way in ("zoom", "scroll", "two windows"):
            for _ in range(chance.randint(1, 3)):
                reader.press("ArrowUp" if number < 30 else "ArrowDown")
                number = look()
        if way == "two windows":
            box = reader.page.locator(".pane[data-view=follow_up]").bounding_box()
            middle = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
            reader.page.mouse.move(*middle)
            reader.page.mouse.down(button="middle")
            reader.page.mouse.move(middle[0] + 60, middle[1] - 40)
            reader.page.mouse.up(button="middle")
            reader.rest()
            assert look() == number
        for press in range(4):
            reader.press(key)
            if way == "bounce" and press == 0:
                reader.page.keyboard.press(key)
            if stored_more(study_folder, len(expected)):
                break
        expected.append((number, said, on_screen[number].copy()))
        assert len(answers(study_folder)) == len(expected)
        wait_for(lambda: learnt(study_folder) == len(expected))  # a better query may come instead until then
        reader.rest()
    for stored, (number, said, mask) in zip(answers(study_folder), expected, strict=True):
        assert (stored.slice, stored.answer) == (number, said)
        seen = viewed(study_folder, stored)
        assert not (seen & ~grown(mask)).any(), "nothing counts as seen that was not on the screen"
        assert not (mask & ~grown(seen)).any(), "and all that was there long enough does"


def stored_more(folder: Path, before: int) -> bool:
    """Whether another answer than those before is stored, or comes within a second: pressed again it would be of the
    next slice."""
    end = time.monotonic() + 1.0
    while (more := len(answers(folder)) > before) is False and time.monotonic() < end:
        time.sleep(0.1)
    return more


def learnt(folder: Path) -> int:
    """Up to which answer the rest of the patient has learnt."""
    with Study.open(folder, read_only=True) as study:
        stored = study.rankings.latest()
    return stored.annotations_upto if stored is not None else 0


def grown(mask: np.ndarray, voxels: int = 3) -> np.ndarray:
    """A mask with a rim: the screenshot is matched to a voxel or two."""
    from scipy import ndimage

    return np.asarray(ndimage.binary_dilation(mask, iterations=voxels, structure=np.ones((3, 3))))
