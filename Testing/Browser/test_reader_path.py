"""A new reader's whole path on the sample pair, with real mouse and keyboard events."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from LMIALLib.study.store import Study

from .conftest import Reader, Server, wait_for


def the_study(folder: Path) -> Study:
    return Study.open(folder, read_only=True)


def test_from_the_first_query_to_the_exported_file(
    study_folder: Path, serve: Callable[..., Server], sit_down: Callable[..., Reader], tmp_path: Path
) -> None:
    server = serve(study_folder, reader="")
    reader = sit_down(server.address)

    # who reads is asked once, and nothing can be drawn before
    reader.page.wait_for_selector("input[name=reader]")
    reader.picture("who-reads")
    reader.page.keyboard.type("anna")
    reader.page.keyboard.press("Enter")
    reader.until("s('banner').reader === 'anna' && !s('panel')")

    # the first query with its reason, on clean images
    first = reader.state("queue")[0]
    assert reader.state("query")["slice"] == first["slice"] and first["here"]
    assert reader.page.locator(".reason").inner_text() == first["reason"]
    assert not reader.state("tools")["visible"]
    reader.picture("first-query")

    # paint, undo, redo; each stroke is a draft on the disk at once
    number = first["slice"] - 1
    clean = reader.seen("follow_up")
    reader.stroke("follow_up", (0.45, 0.45), (0.55, 0.5), release=False)
    reader.rest()
    assert reader.seen("follow_up") != clean, "the stroke must be seen while it is drawn"
    reader.page.mouse.up()
    reader.until("s('lesions').length === 1 && s('tools').undo")
    with the_study(study_folder) as study:
        drawn = study.drafts.get("head", number).mask
    assert drawn.any()
    painted = reader.seen("follow_up")
    reader.press("Control+z")
    reader.until("s('lesions').length === 0 && s('tools').redo")
    assert reader.seen("follow_up") != painted
    with the_study(study_folder) as study:
        assert study.drafts.get("head", number) is None
    reader.press("Control+y")
    reader.until("s('lesions').length === 1")
    reader.picture("painted")

    # the suggestion while a key is held; the class by one key
    reader.page.keyboard.down("s")
    reader.until("s('tools').visible")
    reader.rest()
    reader.picture("suggestion")
    reader.page.keyboard.up("s")
    reader.until("!s('tools').visible")
    reader.press("l")
    reader.until("s('lesions')[0].value !== 1")

    # save and next
    reader.press("Control+Enter")
    reader.until(f"s('query').slice && s('query').slice !== {first['slice']}")
    with the_study(study_folder) as study:
        saved = study.answers.current("head")[number]
        assert saved.answer == "mask" and saved.reader == "anna" and saved.suggestion_seen
        assert np.array_equal(saved.mask > 0, drawn > 0) and saved.mask.max() > 1
        assert study.drafts.get("head", number) is None

    # nothing here; flicker keeps place and zoom
    second = reader.state("query")["slice"]
    reader.press("n")
    reader.until(f"s('query').slice && s('query').slice !== {second}")
    with the_study(study_folder) as study:
        assert study.answers.current("head")[second - 1].answer == "nothing"
    before = reader.state("look")
    reader.press("x")
    reader.until("s('look').swapped")
    reader.picture("flicker")
    after = reader.state("look")
    assert (after["slice"], after["mm_per_pixel"]) == (before["slice"], before["mm_per_pixel"])
    reader.press("x")

    # training, a new model, a new ranking; the slice under the hand stays
    here = reader.state("query")["slice"]
    with the_study(study_folder) as study:
        rankings, models = len(study.rankings.all()), len(study.models.all())

    def ranked_anew() -> bool:
        with the_study(study_folder) as study:
            return len(study.rankings.all()) > rankings and len(study.models.all()) > models

    wait_for(ranked_anew, 120)
    reader.until("s('training').round >= 1", 20)
    assert reader.state("query")["slice"] == here
    reader.picture("ranked-anew")

    # export, and the file holds what was said, voxel for voxel
    reader.page.click("text=Export")
    reader.picture("export")
    reader.page.click("[data-export=labels-nifti]")
    with reader.page.expect_download(timeout=60_000) as coming:
        reader.page.click("#download", timeout=60_000)
    archive = zipfile.ZipFile(io.BytesIO(Path(coming.value.path()).read_bytes()))
    assert exported(archive, tmp_path, saved.mask, number, second - 1)
    reader.page.keyboard.press("Escape")

    # reload: the page is as it was
    reader.stroke("follow_up", (0.4, 0.4), (0.45, 0.45))
    reader.until("s('lesions').length >= 1")
    reader.page.reload()
    reader.page.wait_for_selector(".pane[data-view=follow_up] img", timeout=30_000)
    reader.until("s('active_tab') === s('tab')")
    assert reader.state("query")["slice"] == here and reader.state("query")["draft"]
    assert reader.strangers == [] and reader.complaints == []
    assert "Traceback" not in server.end()


def exported(archive: zipfile.ZipFile, folder: Path, mask: Any, drawn: int, empty: int) -> bool:
    import SimpleITK as sitk

    name = next(name for name in archive.namelist() if name.endswith(".nii.gz"))
    archive.extract(name, folder)
    labels = sitk.GetArrayFromImage(sitk.ReadImage(str(folder / name)))
    assert np.array_equal(labels[drawn], mask)
    assert not labels[empty].any()
    assert (np.delete(labels, [drawn, empty], 0) == 255).all(), "unread slices must never be exported as empty"
    return True


def test_a_training_can_be_cancelled_and_nothing_saved_is_lost(
    study_folder: Path, serve: Callable[..., Server], sit_down: Callable[..., Reader], monkeypatch: Any
) -> None:
    monkeypatch.setenv("LMIAL_TEST_STEPS", "400")
    reader = sit_down(serve(study_folder).address)
    slice_number = reader.state("query")["slice"]
    reader.press("n")
    reader.until("s('training').on && s('training').left", 90)
    reader.picture("learning")
    reader.page.click("text=Cancel")
    reader.until("!s('training').on", 15)
    with the_study(study_folder) as study:
        assert study.answers.current("head")[slice_number - 1].answer == "nothing" and len(study.models.all()) == 1


def test_a_random_query_shows_no_suggestion_before_the_answer(
    study_folder: Path, serve: Callable[..., Server], sit_down: Callable[..., Reader]
) -> None:
    reader = sit_down(serve(study_folder).address)
    lot = next(one for one in reader.state("queue") if one["lot"])
    reader.page.click(f".queue button[data-slice='{lot['slice']}']")
    reader.until(f"s('query').slice === {lot['slice']}")
    reader.rest()
    clean = np.array(reader.seen("follow_up"))
    reader.page.keyboard.down("s")
    reader.until("s('notices').some((one) => one.text.includes('Chosen at random'))")
    reader.rest()
    again = np.array(reader.seen("follow_up"))
    assert np.abs(again - clean).mean() < 0.5, "nothing but the compression may differ"
    reader.page.keyboard.up("s")
    assert reader.state("query")["details"] == []


def test_the_baseline_and_other_slices_cannot_be_painted(
    study_folder: Path, serve: Callable[..., Server], sit_down: Callable[..., Reader]
) -> None:
    reader = sit_down(serve(study_folder).address)
    for view in ("baseline", "difference"):
        reader.stroke(view, (0.45, 0.45), (0.55, 0.5))
    assert reader.state("lesions") == [] and not reader.state("query")["draft"]
    reader.press("j")
    reader.press("ArrowUp")
    reader.until("s('look').away && !s('look').paintable")
    reader.stroke("follow_up", (0.45, 0.45), (0.55, 0.5))
    reader.press("j")
    reader.until("!s('look').away")
    reader.press("o")
    reader.until("!s('look').main")
    reader.stroke("follow_up", (0.45, 0.45), (0.55, 0.5))
    reader.picture("other-plane")
    with the_study(study_folder) as study:
        assert study.drafts.all("head") == ()


def test_drawn_voxels_are_not_dropped_without_asking_and_an_empty_save_is_refused(
    study_folder: Path, serve: Callable[..., Server], sit_down: Callable[..., Reader]
) -> None:
    reader = sit_down(serve(study_folder).address)
    here = reader.state("query")["slice"]
    reader.press("Control+Enter")
    reader.until("s('notices').some((one) => one.kind === 'error' && one.text.includes('Nothing is drawn'))")
    reader.stroke("follow_up", (0.45, 0.45), (0.55, 0.5))
    reader.press("n")
    reader.page.wait_for_selector("[role=alertdialog]")
    reader.picture("asked")
    reader.page.keyboard.press("Enter")  # the safe choice has the focus
    reader.until("!s('query').asking")
    assert reader.state("query")["slice"] == here and len(reader.state("lesions")) == 1
    reader.press("n")
    reader.page.click("[role=alertdialog] button:has-text('Nothing here')")
    reader.until(f"s('query').slice !== {here}")
    with the_study(study_folder) as study:
        assert study.answers.current("head")[here - 1].answer == "nothing"


def test_the_keys_work_after_the_mouse_has_set_a_slider_and_redo_has_two_keys(
    study_folder: Path, serve: Callable[..., Server], sit_down: Callable[..., Reader]
) -> None:
    reader = sit_down(serve(study_folder, reader="a" * 60).address)
    edge = reader.page.locator(".banner .reader").bounding_box()
    assert edge["x"] + edge["width"] <= 1366 and edge["width"] <= 150, "a long name leaves room for the case"
    reader.stroke("follow_up", (0.45, 0.45), (0.55, 0.5))
    reader.until("s('lesions').length === 1")
    reader.press("Control+z")
    reader.until("s('lesions').length === 0")
    reader.press("Control+Shift+Z")
    reader.until("s('lesions').length === 1")
    reader.press("h")
    reader.page.wait_for_selector("text=overlays hidden")
    reader.press("h")
    reader.page.click("text=Grey")
    reader.page.locator(".panel.small input").first.click()
    reader.press("n")
    reader.until("s('query').asking === 'nothing_here'")
    reader.press("Escape")
    reader.page.locator(".toolbar input[type=range]").first.click()
    seen = reader.state("look")["slice"]
    reader.press("ArrowUp")
    reader.until(f"s('look').slice === {seen} + 1")


def test_a_pair_is_registered_again_from_the_banner_and_the_slice_stays(
    study_folder: Path, serve: Callable[..., Server], sit_down: Callable[..., Reader]
) -> None:
    reader = sit_down(serve(study_folder).address)
    before = reader.state("query")["slice"]
    reader.page.click("header .chip")
    reader.picture("registration")
    reader.page.click("text=Register again: rigid")
    reader.until("s('notices').some((one) => one.text.startsWith('Registered again (rigid)'))", 90)
    assert reader.state("query")["slice"] == before and reader.state("look")["slice"] == before
    reader.rest()
    assert len(set(reader.seen("baseline"))) > 20, "the new pair is on the screen"
    with the_study(study_folder) as study:
        assert study.cases.get("head").pair_number == 2
    assert reader.complaints == []
