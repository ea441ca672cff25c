"""The benchmark `make finish`: its figures by hand, and a short run on a small case."""

from __future__ import annotations

import json
import sys
from argparse import Namespace
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

BENCHMARKS = Path(__file__).resolve().parents[2] / "Benchmarks"
if str(BENCHMARKS) not in sys.path:
    sys.path.append(str(BENCHMARKS))

import finish  # noqa: E402
import finish_pairs  # noqa: E402
import finish_readers  # noqa: E402
import finish_simulation  # noqa: E402

from LMIALLib.laboratory import delivered, readers  # noqa: E402


def test_a_level_counts_as_reached_where_the_dice_stays_there():
    assert delivered.crossing([0.5, 0.85, 0.7, 0.82, 0.9], 0.8) == 3
    assert delivered.crossing([0.9, 0.9], 0.8) == 0
    assert delivered.crossing([0.9, 0.7], 0.8) is None


def test_equidistant_slices_begin_in_the_middle():
    assert finish_simulation._halving(np.arange(10, 17)) == [13, 11, 15, 10, 12, 14, 16]


def test_the_median_counts_what_was_never_reached_as_later_than_all():
    assert delivered.middle([3, None, 5]) == 5
    assert delivered.middle([None, None, 5]) is None
    assert delivered.middle([2, 3]) == 2.5


@pytest.fixture
def pair(case):
    return finish_pairs.FinishPair("small", "own", case.features.inputs, case.truth)


def test_the_delivered_dice_is_that_of_the_laboratory(pair, case):
    maps = finish_simulation.adapted(case.features, None)
    planes = finish_simulation.Planes.of(maps, case.truth)
    suggested = maps.probability >= 0.5
    for read in ([], [2, 3], list(range(10))):
        for unread_only in (False, True):
            marked = {k: case.truth[k] for k in read}
            both, size = delivered.overlap(suggested, case.truth, marked, unread_only=unread_only)
            assert planes.dice(read, unread_only=unread_only) == (2 * both / size if size else 1.0)
    assert (planes.wrong == (suggested != case.truth).sum(axis=(1, 2))).all()


@pytest.mark.parametrize("order", finish_simulation.ORDERS)
def test_every_order_reads_each_slice_once(pair, order):
    subject = finish_simulation.Subject.of(pair)
    steps = list(finish_simulation.run(subject, finish_simulation.next_of(order), None, most=6))
    assert len(steps) == 7
    assert steps[-1].dice > steps[0].dice
    assert steps[1].seconds > steps[0].seconds == readers.SECONDS_A_CASE


def test_a_noisy_reader_marks_nearly_the_truth(pair):
    marked = finish_simulation.read_by(pair, "noisy")
    assert 0 < (marked != pair.truth).sum() < 3 * pair.truth.sum()
    assert (finish_simulation.read_by(pair, "exact") == pair.truth).all()
    assert (finish_simulation.read_by(pair, "noisy", seed=1) != marked).any()


def test_an_unknown_order_is_refused():
    with pytest.raises(ValueError, match="backwards"):
        finish_simulation.next_of("backwards")


def test_a_short_run_writes_the_rows_and_goes_on_where_it_was(pair, tmp_path, monkeypatch):
    monkeypatch.setattr(finish, "pairs_of", lambda arguments: iter([pair]))
    arguments = Namespace(out=tmp_path, pair=None, pairs=None, orders=None, learning=None, kept=False, quick=True)
    rows = list(finish.all_rows(arguments))
    assert [(row["order"], row["learning"]) for row in rows][:2] == [("default", "none"), ("default", "head")]
    levels = [f"{kind}_to_{level}" for kind in ("slices", "minutes") for level in (80, 90, 95)]
    assert set(rows[0]) == {"pair", "order", "learning", "dice", *levels}
    assert "| small | default | head |" in finish.table(rows)
    with (tmp_path / "rows.jsonl").open("a") as file:
        file.write('["broken')
    monkeypatch.setattr(finish, "row_of", lambda *_: pytest.fail("made again"))
    assert json.dumps(list(finish.all_rows(arguments))) == json.dumps(rows)
    assert finish.falls(rows).endswith(f"worst {finish.fall(rows[1]):.3f}.") and "No pair" in finish.falls(rows[:1])
    arguments.kept = True
    assert list(finish.all_rows(arguments)) == rows
    finish.curves(rows, tmp_path / "finish.png")
    assert (tmp_path / "finish.png").stat().st_size > 5000


@pytest.mark.parametrize("settings", [None, finish_simulation.HeadSettings()])
def test_under_a_new_network_every_answer_is_learnt_and_judged_anew(pair, settings):
    """What a run has after its maps were replaced is what a run has that began with them, if it read the same."""
    inputs = pair.inputs
    new = replace(inputs, mean=np.where(inputs.region, inputs.mean**2, np.float32(0)))
    order = finish_simulation.next_of("equidistant")
    seen = []

    def watched(subject, reading):
        seen.append((list(reading.found), reading.maps.probability))
        return order(subject, reading)

    def training(answers):
        return new if len(answers) == 3 else None

    old = finish_simulation.Subject.of(pair)
    list(finish_simulation.run(old, watched, settings, most=4, training=training))
    begun = finish_simulation.Subject.of(replace(pair, inputs=new))
    list(finish_simulation.run(begun, watched, settings, most=4))
    replaced, from_the_start = seen[3], seen[7]
    assert replaced[0] == from_the_start[0] and len(replaced[0]) == 3
    assert np.array_equal(replaced[1], from_the_start[1])
    assert not np.array_equal(seen[2][1], seen[6][1])


def test_fine_tuning_is_measured_on_six_pairs_in_two_orders(pair):
    asked = Namespace(learning=None, quick=False)
    six = replace(pair, name="patient01", kind="real")
    assert finish.learning_of(asked, six, "default") == ["none", "head", "finetune", "both"]
    assert finish.learning_of(asked, six, "oracle") == ["none", "head"]
    assert finish.learning_of(asked, replace(six, name="label-map-1"), "default") == ["none", "head"]
    assert finish.learning_of(asked, pair, "default") == ["none", "head"]
    assert finish.learning_of(Namespace(learning=["both"], quick=False), pair, "default") == ["both"]


def test_readers_are_held_against_their_own_full_reading_and_kept(pair, tmp_path, monkeypatch):
    monkeypatch.setattr(finish_readers, "SEEDS", (0, 1))
    monkeypatch.setattr(finish_readers, "AFTER", (2, 10))
    monkeypatch.setattr(finish_readers, "named_pair", lambda data, name: pair)
    monkeypatch.setattr(finish_readers, "synthetic_pair", lambda *_, **__: replace(pair, truth=0 * pair.truth > 0))
    finish_readers.judge(tmp_path, ["small"], tmp_path)
    text = (tmp_path / "readers.json").read_text(encoding="utf-8")
    row = json.loads(text)["readers"][0]
    full = [finish_simulation.read_by(pair, "noisy", seed) for seed in (0, 1)]
    assert row["repeat"] == pytest.approx(2 * (full[0] & full[1]).sum() / (full[0].sum() + full[1].sum()))
    # once all ten slices are read, the delivered label is the reader's own full reading
    assert row["exact"][1] == row["noisy"][1] == 1.0 and row["repeat"] < 1.0
    assert row["noisy"][0] < row["best"][0] < row["best"][1] == 1.0
    assert row["noisy"][0] == pytest.approx(np.mean([run[0] for run in row["noisy_runs"]]))
    unchanged = json.loads(text)["unchanged"]
    assert len(unchanged) == len(finish_pairs.KINDS) and unchanged[0]["after"] <= unchanged[0]["before"]
    monkeypatch.setattr(finish_readers, "reader_row", lambda *_: pytest.fail("made again"))
    monkeypatch.setattr(finish_readers, "unchanged_row", lambda *_: pytest.fail("made again"))
    finish_readers.judge(tmp_path, ["small"], tmp_path)
    assert (tmp_path / "readers.json").read_text(encoding="utf-8") == text
