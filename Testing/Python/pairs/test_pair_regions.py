"""Where a pair is searched: what no brain is raises an alarm, and another region makes another pair."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from test_pair_family import WIDE, chest

from LMIALLib.errors import BadInput, WrongUse
from LMIALLib.pairs import memory
from LMIALLib.pairs.again import region_again, register_again
from LMIALLib.pairs.geometry import Grid
from LMIALLib.pairs.prepare import prepare
from LMIALLib.pairs.regions import region_report
from LMIALLib.pairs.registration_record import alarms
from LMIALLib.pairs.request import PairRequest
from LMIALLib.pairs.storage import load_pair


@pytest.fixture
def head(tmp_path, phantom, as_image) -> PairRequest:
    """Two visits of one head, moved by (2, 0, -3) mm."""
    import SimpleITK as sitk

    rng, grey = np.random.default_rng(0), phantom["grey"]
    fixed = as_image(np.maximum(grey + rng.normal(0, 4, grey.shape), 0), dtype=np.float32)
    move = sitk.TranslationTransform(3, (-2.0, 0.0, 3.0))
    there = sitk.GetArrayFromImage(sitk.Resample(as_image(grey, dtype=np.float32), fixed, move, sitk.sitkLinear, 0.0))
    moving = as_image(np.maximum(there + rng.normal(0, 4, grey.shape), 0), dtype=np.float32)
    for name, image in (("b", moving), ("f", fixed), ("m", as_image(phantom["white"], dtype=np.uint8))):
        sitk.WriteImage(image, str(tmp_path / f"{name}.nii.gz"))
    return PairRequest(tmp_path / "b.nii.gz", tmp_path / "f.nii.gz")


def files_of(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_chest_raises_the_alarms_and_its_lungs_are_searched(tmp_path, as_image):
    import SimpleITK as sitk

    for name, nodule in (("b", False), ("f", True)):
        image = as_image(chest(3, nodule), spacing=WIDE, dtype=np.int16)
        sitk.WriteImage(image, str(tmp_path / f"{name}.nii.gz"))
    pair = prepare(PairRequest(tmp_path / "b.nii.gz", tmp_path / "f.nii.gz"), tmp_path / "case")
    told = {alarm.about: alarm for alarm in alarms(pair.registration)}
    assert set(told) == {"region", "family"}
    assert told["region"].title == "No brain found" and "No brain was found" in told["region"].sentence
    assert told["family"].title == "Unlike the training"
    changed = np.abs(chest(3, True) - chest(3)) > 400
    assert changed.sum() > 50 and pair.mask[changed].mean() > 0.95


def test_everything_a_mask_and_the_brain_again(tmp_path, head, phantom):
    case = tmp_path / "case"
    first = prepare(head, case / ".")
    before = files_of(case)
    whole = region_again(case, 1, case / "pair-2", choice="everything")
    assert whole.mask.mean() > 0.9 and whole.registration["brain"]["method"] == "everything"
    assert whole.registration["request"]["mask"] == "everything"
    assert whole.registration["quality"] != first.registration["quality"], "judged on the region that is used"
    given = region_again(case, 2, case / "pair-3", choice="given", mask=tmp_path / "m.nii.gz")
    assert not np.any(given.mask & ~phantom["white"]) and given.mask.sum() > 0.95 * phantom["white"].sum()
    drawn = region_again(case, 3, case / "pair-4", choice="given", mask=phantom["white"])
    assert drawn.digest() == given.digest()
    again = register_again(case, 4, case / "pair-5", kind="rigid")
    assert np.mean(again.mask != drawn.mask) < 0.01, "another registration keeps the region"
    brain = region_again(case, 5, case / "pair-6", choice="brain")
    assert np.mean(brain.mask != first.mask) < 0.01
    for pair in (whole, given, drawn, brain):
        assert pair.grid == first.grid and pair.axis == first.axis
    for pair in (whole, given, drawn):
        assert pair.registration["matrix"] == first.registration["matrix"]
        assert alarms(pair.registration) == ()
    assert load_pair(case / "pair-3").digest() == given.digest()
    assert {name: data for name, data in files_of(case).items() if name in before} == before


@pytest.mark.parametrize("grid", ["baseline", "midway"])
def test_a_region_on_another_grid_than_the_follow_ups(tmp_path, head, phantom, grid):
    from dataclasses import replace

    case = tmp_path / "case"
    first = prepare(replace(head, grid=grid), case)
    drawn = np.zeros_like(first.mask)
    drawn[10:24, 30:60, 25:50] = True
    pair = region_again(case, 1, case / "pair-2", choice="given", mask=drawn)
    assert pair.grid == first.grid
    assert 2 * np.count_nonzero(pair.mask & drawn) / (pair.mask.sum() + drawn.sum()) > 0.93


def test_a_region_that_cannot_be_used_is_refused(tmp_path, head, as_image):
    import SimpleITK as sitk

    case = tmp_path / "case"
    first = prepare(head, case)
    shifted = as_image(first.mask, origin=(0.0, 0.0, 0.0), dtype=np.uint8)
    sitk.WriteImage(shifted, str(tmp_path / "other.nii.gz"))
    empty = np.zeros_like(first.mask)
    refusals: list[tuple[type[Exception], dict]] = [
        (WrongUse, {"choice": "liver"}),
        (WrongUse, {"choice": "given"}),
        (WrongUse, {"choice": "brain", "mask": empty}),
        (WrongUse, {"choice": "given", "mask": empty}),
        (BadInput, {"choice": "given", "mask": tmp_path / "none.nii.gz"}),
        (BadInput, {"choice": "given", "mask": head.follow_up}),
    ]
    for error, options in refusals:
        with pytest.raises(error):
            region_again(case, 1, tmp_path / "pair-2", **options)
    assert not (tmp_path / "pair-2").exists()
    with pytest.raises(WrongUse):
        prepare(PairRequest(head.baseline, head.follow_up, mask=head.follow_up, everything=True), tmp_path / "both")


def test_what_a_region_must_be(as_image):
    grid = Grid.of(as_image(np.zeros((20, 20, 20)), spacing=(5.0, 5.0, 5.0)))
    mask = np.zeros((20, 20, 20), dtype=bool)
    mask[5:15, 5:15, 5:15] = True  # 1000 voxels of 0.125 ml
    assert region_report("morphology", mask, 0, grid)["sentence"] == ""
    assert region_report("morphology", mask, 0, grid)["millilitres"] == 125
    cut = region_report("morphology", mask, 600, grid)
    assert cut["alarm"] and "62 %" in cut["sentence"]
    dot = np.zeros_like(mask)
    dot[0, 0, 0] = True
    assert "0.125 ml" in region_report("given", dot, 0, grid)["sentence"]
    assert region_report("foreground", mask, 0, grid)["alarm"]


def test_records_of_older_studies_raise_the_alarm_too():
    old = {"alarm": True, "quality": 0.31, "sentence": "Poor.", "brain": {"method": "foreground", "sentence": "None."}}
    assert [(one.about, one.title, one.sentence) for one in alarms(old)] == [
        ("registration", "Registration poor 0.31", "Poor."),
        ("region", "No brain found", "None."),
    ]
    assert alarms({"kind": "rigid", "brain": {"method": "given", "sentence": ""}}) == ()
    with pytest.raises(BadInput):
        alarms({"brain": {"alarm": "yes"}})


def test_too_little_memory_is_one_sentence_before_anything_is_written(tmp_path, head, monkeypatch):
    monkeypatch.setattr(memory, "free_memory", lambda: 1e8)
    with pytest.raises(BadInput, match=r"takes about 0\.3 GB more memory, and 0\.1 GB are free"):
        prepare(head, tmp_path / "case")
    assert not (tmp_path / "case").exists()


def test_the_expected_memory_follows_the_larger_scan(as_image):
    def grid(size: tuple[int, int, int], spacing: float) -> Grid:
        return Grid(size, (spacing,) * 3, (0.0, 0.0, 0.0), tuple(np.eye(3).ravel()))

    fine, coarse = grid((512, 512, 400), 0.4), grid((64, 64, 64), 2.0)
    assert memory.memory_needed(fine, coarse) == memory.memory_needed(coarse, fine)
    voxels = 512 * 512 * 400
    assert 15 * voxels < memory.memory_needed(fine) < 25 * voxels
    assert memory.free_memory() > 1e8
