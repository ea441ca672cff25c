"""A researcher's ten lines, from two files to a label file, run as Docs/library.md prints them."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

import LMIALLib as lmial

PAGE = Path(__file__).parents[3] / "Docs" / "library.md"


def ten_lines() -> list[str]:
    """The lines of the first block of Python on the page."""
    block = re.search(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    assert block is not None
    return [line for line in block[1].splitlines() if line]


def drawn_by_the_reader(pair: lmial.Pair, number: int) -> np.ndarray:
    """A block in the middle of the region of a slice."""
    inside = pair.stack(pair.mask)[number]
    row, column = (int(np.median(places)) for places in np.nonzero(inside))
    mask = np.zeros(inside.shape, bool)
    mask[row - 1 : row + 2, column - 1 : column + 2] = True
    return mask


@pytest.mark.usefixtures("two_files")
def test_two_files_become_a_label_file_in_ten_lines() -> None:
    lines = ten_lines()
    assert len(lines) == 10
    found = {"drawn_by_the_reader": drawn_by_the_reader}
    exec("\n".join(lines), found)
    pair, query, mask, report = (found[name] for name in ("pair", "query", "mask", "report"))
    label, origin = (
        pair.stack(sitk.GetArrayFromImage(sitk.ReadImage(name))) for name in ("label.nii.gz", "label-origin.nii.gz")
    )
    assert (label[query.slice] == mask).all(), "a slice that was read is delivered as it was read"
    assert np.flatnonzero((origin == 1).any(axis=(1, 2))).tolist() == [query.slice]
    about = json.loads(Path("label.nii.gz.json").read_text(encoding="utf-8"))
    assert about["prediction"]["model_digest"] == report.digest, "the label says which weights suggested the rest"
    assert (about["slices_read"], about["estimate"]["read"]) == ([query.slice], 1)
    assert sorted(file.name for file in found["files"]) == sorted(str(file) for file in Path().glob("label*"))


@pytest.fixture(scope="module")
def small() -> tuple[lmial.Pair, lmial.Prediction]:
    """A made-up pair of four slices with one bright spot, and what a network could predict of it."""
    from LMIALLib.pairs.geometry import Grid

    grid = Grid((24, 20, 4), (1.0, 1.0, 3.0), (0.0, 0.0, 0.0), (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0))
    baseline = np.random.default_rng(1).normal(0, 0.3, grid.shape).astype(np.float32)
    follow_up, mean = baseline.copy(), np.full(grid.shape, 0.01, np.float32)
    follow_up[1, 8:12, 8:12] += 3.0
    mean[1, 8:12, 8:12] = 0.7
    pair = lmial.Pair(baseline, follow_up, np.ones(grid.shape, bool), grid, axis=0)
    return pair, lmial.Prediction(mean, None, None, np.zeros((4, 2), np.float32), 1, {})


def test_what_was_read_is_not_asked_for_again(small: tuple[lmial.Pair, lmial.Prediction]) -> None:
    pair, prediction = small
    for strategy in ("default", "entropy"):
        first = lmial.rank(pair, prediction, strategy=strategy, random_share=0).queries[0]
        assert first.slice == 1
        answers = [lmial.nothing_here(1, pair.slice_shape)]
        left = lmial.rank(pair, prediction, answers, strategy=strategy).queries
        assert sorted(query.slice for query in left) == [0, 2, 3]


def test_what_was_learnt_depends_on_the_answers_alone(small: tuple[lmial.Pair, lmial.Prediction]) -> None:
    pair, prediction = small
    answers = [lmial.mask_answer(1, prediction.mean[1] > 0.5), lmial.nothing_here(2, pair.slice_shape)]
    at_once = lmial.adapt(pair, prediction, answers)
    lmial.adapt(pair, prediction, answers[:1])
    again = lmial.adapt(pair, prediction, answers)
    assert at_once.head is not None and again.head is not None
    assert at_once.head.digest == again.head.digest
    assert (at_once.maps.probability == again.maps.probability).all()


def test_a_label_is_written_whole_or_not_at_all(small: tuple[lmial.Pair, lmial.Prediction], tmp_path: Path) -> None:
    with pytest.raises(lmial.LMIALError, match=r"use one of \.nii\.gz, \.nii, \.nrrd"):
        lmial.export(*small, [], tmp_path / "label.png")
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match="file"):
        lmial.export(*small, [], tmp_path / "file" / "label.nrrd")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
    written = lmial.export(*small, [], tmp_path / "new" / "label.nrrd")
    assert all(path.is_file() for path in written)


@pytest.mark.parametrize(
    ("strategy", "missing"),
    [("committee-entropy", "members"), ("badge", "gradients"), ("cost-aware", "seconds"), ("mc-entropy", "passes")],
)
def test_a_strategy_that_needs_more_is_refused(
    small: tuple[lmial.Pair, lmial.Prediction], strategy: str, missing: str
) -> None:
    with pytest.raises(lmial.LMIALError, match=f"needs more than this prediction holds: {missing}"):
        lmial.rank(*small, strategy=strategy)
