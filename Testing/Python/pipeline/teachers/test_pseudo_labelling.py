"""Teaching a study: every slice is judged, failed with a reason, or waits; what was done survives any stop."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from teacher_models import GONE, NEW, small_study

from LMIALLib.errors import BadInput, LMIALError, WrongUse
from LMIALLib.network.prediction import predict
from LMIALLib.network.weights import load_weights
from LMIALLib.pairs.pair import Pair
from LMIALLib.pipeline.pseudo import Pseudo, read_pseudo, write_pseudo
from LMIALLib.pipeline.teachers.bundled import bundled_teacher
from LMIALLib.pipeline.teachers.choosing import teacher_named
from LMIALLib.pipeline.teachers.pseudo_labelling import make_pseudo_labels
from LMIALLib.pipeline.teachers.teacher import Check, PseudoLabel
from LMIALLib.pipeline.teachers.trial import try_teacher
from LMIALLib.resources import resource
from LMIALLib.study.store import Study


class Speaker:
    """A teacher that says what a test tells it to, and remembers what it was asked."""

    id = "speaker-1"

    def __init__(self, say: Callable[[int], PseudoLabel | str] | None = None, **settings: object) -> None:
        self.made_by = {"kind": "speaker", "weights": "0", "settings": settings, "versions": {}}
        self.say, self.asked = say or (lambda number: half(number / 10)), []

    def judged(self, pair: Pair, slices: Sequence[int], check: Check) -> Iterator[tuple[int, PseudoLabel | str]]:
        for number in slices:
            check()
            self.asked.append(number)
            yield number, self.say(number)


def half(probability: float, confidence: float = 0.5) -> PseudoLabel:
    """The same opinion all over the slice."""
    return PseudoLabel(*(np.full((48, 40), value, np.float32) for value in (probability, confidence)))


@pytest.fixture
def study(tmp_path: Path) -> Iterator[Study]:
    with small_study(tmp_path / "study", ("a", "b")) as opened:
        yield opened


def stored(study: Study, case: str = "a", teacher: str = "speaker-1") -> Pseudo:
    found = read_pseudo(study, teacher, case)
    assert found is not None
    return found


def test_the_bundled_teacher_says_what_the_worker_would_predict(study: Study) -> None:
    teacher = bundled_teacher("cpu", 1)
    taught = make_pseudo_labels(study, teacher)
    network, info = load_weights(resource("Weights", "change.safetensors"))
    for case in taught.cases:
        pair, pseudo = study.cases.load_pair(case.case), stored(study, case.case, "default")
        mean = predict(network, pair, threads=1).mean
        brain = pair.stack(pair.mask).any(axis=(1, 2))
        assert np.array_equal(pair.stack(pseudo.probability)[brain], mean[brain])
        assert np.allclose(pair.stack(pseudo.confidence)[brain], np.abs(2 * mean[brain] - 1))
        assert pseudo.made_by["weights"] == info.digest and pseudo.done.all() and not pseudo.failed
    assert teacher_named("default", device="cpu").id == "default"


def test_slices_without_brain_are_done_as_empty_and_said_to_be(study: Study) -> None:
    teacher = Speaker()
    taught = make_pseudo_labels(study, teacher, cases=["a"])
    pseudo = stored(study)
    assert teacher.asked == [1, 2, 3, 4] and pseudo.done.all()
    assert pseudo.made_by["slices_without_brain"] == [0, 5]
    assert not pseudo.probability[[0, 5]].any() and (pseudo.confidence[[0, 5]] == 1).all()
    assert (taught.cases[0].empty, taught.cases[0].judged, taught.cases[0].slices) == (2, 4, 6)


def test_a_pair_along_another_axis_is_stored_on_its_own_grid(tmp_path: Path) -> None:
    with small_study(tmp_path / "study", axis=2) as study:
        make_pseudo_labels(study, Speaker())
        pseudo = stored(study)
        assert pseudo.probability.shape == study.cases.get("a").grid.shape and len(pseudo.done) == 6
        assert np.allclose(pseudo.probability[0, 0], [0, 0.1, 0.2, 0.3, 0.4, 0])


def test_a_slice_that_fails_says_why_and_is_no_empty_mask(study: Study) -> None:
    wrong = {
        1: "It fell asleep.",
        2: half(float("nan")),
        3: half(1.5),
        4: PseudoLabel(np.zeros((3, 3), np.float32), np.zeros((3, 3), np.float32)),
    }
    taught = make_pseudo_labels(study, Speaker(lambda n: half(0.5) if n == 4 else wrong[n]), cases=["a"])
    pseudo = stored(study)
    assert list(pseudo.done) == [True, False, False, False, True, True]
    assert pseudo.failed[1] == "It fell asleep." and "not finite" in pseudo.failed[2] and "1.5" in pseudo.failed[3]
    assert not pseudo.probability[1:4].any() and not pseudo.confidence[1:4].any()
    assert taught.cases[0].failed == pseudo.failed and taught.cases[0].changed == 1
    make_pseudo_labels(study, Speaker(lambda n: wrong[n] if n == 4 else half(0.5)), cases=["a"], existing="replace")
    assert "(3, 3)" in stored(study).failed[4]


def test_a_slice_that_the_teacher_left_out_is_not_taken_for_judged(study: Study) -> None:
    class Lazy(Speaker):
        def judged(self, pair: Pair, slices: Sequence[int], check: Check) -> Iterator[tuple[int, PseudoLabel | str]]:
            yield from super().judged(pair, slices[:2], check)

    make_pseudo_labels(study, Lazy(), cases=["a"])
    assert stored(study).failed == dict.fromkeys((3, 4), "The teacher left this slice out.")


def test_what_is_there_is_neither_repeated_nor_replaced_unless_asked(study: Study) -> None:
    make_pseudo_labels(study, Speaker(), cases=["a"])
    with pytest.raises(BadInput, match="a has pseudo-labels of the teacher speaker-1 already"):
        make_pseudo_labels(study, Speaker())
    assert read_pseudo(study, "speaker-1", "b") is None, "refused before anything was done"
    keeping = Speaker(lambda number: half(0.9))
    taught = make_pseudo_labels(study, keeping, existing="keep")
    assert [case.already for case in taught.cases] == [True, False] and keeping.asked == [1, 2, 3, 4]
    assert stored(study).probability[2, 0, 0] == np.float32(0.2)
    make_pseudo_labels(study, Speaker(lambda number: half(0.9)), existing="replace")
    assert stored(study).probability[2, 0, 0] == np.float32(0.9)
    with pytest.raises(BadInput, match="other weights or settings"):
        make_pseudo_labels(study, Speaker(threshold=5), existing="keep")
    with pytest.raises(WrongUse, match="overwrite"):
        make_pseudo_labels(study, Speaker(), existing="overwrite")


def test_a_pair_that_cannot_be_read_is_named_and_the_others_are_taught(study: Study) -> None:
    (study.cases.pair_folder("a") / "mask.nrrd").unlink()
    taught = make_pseudo_labels(study, Speaker())
    assert [case.case for case in taught.cases] == ["b"] and "mask.nrrd" in taught.left_out["a"]
    with pytest.raises(BadInput, match=r"No pair can be read. .*mask.nrrd"):
        make_pseudo_labels(study, Speaker(), cases=["a"])


def test_pseudo_labels_go_with_their_case_and_those_of_another_pair_count_for_nothing(study: Study) -> None:
    make_pseudo_labels(study, Speaker())
    study.cases.remove("a")
    assert not (study.folder / "pseudo" / "speaker-1" / "a").exists()
    made = stored(study, "b")
    write_pseudo(study, "speaker-1", "b", replace(made, made_by={**made.made_by, "pair": "another"}))
    again = Speaker()
    make_pseudo_labels(study, again)
    assert again.asked == [1, 2, 3, 4]


@pytest.mark.parametrize("stop", ["cancelled", "interrupted"])
def test_a_stopped_case_keeps_what_was_judged_and_goes_on_from_there(study: Study, stop: str) -> None:
    told: list[tuple[int, int]] = []
    teacher = Speaker()

    def say(number: int) -> PseudoLabel:
        if stop == "interrupted" and number == 3:
            raise KeyboardInterrupt
        return half(0.3)

    def begin() -> None:
        taught = make_pseudo_labels(
            study,
            Speaker(say),
            progress=lambda sentence, done, total: told.append((done, total)),
            cancelled=lambda: stop == "cancelled" and bool(told) and told[-1][0] == 4,
        )
        assert taught.cancelled and not taught.cases

    if stop == "interrupted":
        with pytest.raises(KeyboardInterrupt):
            begin()
    else:
        begin()
    pseudo = stored(study)
    assert list(pseudo.done) == [True, True, True, False, False, True] and not pseudo.failed
    make_pseudo_labels(study, teacher, existing="keep")
    assert teacher.asked == [3, 4, 1, 2, 3, 4] and stored(study).done.all()
    assert np.allclose(stored(study).probability[:, 0, 0], [0, 0.3, 0.3, 0.3, 0.4, 0])
    assert told[-1][1] == 12


def test_a_case_on_its_way_is_written_now_and_then(study: Study, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("LMIALLib.pipeline.teachers.one_case.WRITTEN_EVERY", 0.0)
    seen = []

    def say(number: int) -> PseudoLabel:
        found = read_pseudo(study, "speaker-1", "a")
        seen.append(0 if found is None else int(found.done.sum()))
        return half(0.1)

    make_pseudo_labels(study, Speaker(say), cases=["a"])
    assert seen == [0, 3, 4, 5]


def test_a_teacher_that_fails_everywhere_stops_at_the_first_case_and_leaves_nothing(
    study: Study, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("LMIALLib.pipeline.teachers.one_case.WRITTEN_EVERY", 0.0)
    with pytest.raises(LMIALError, match="every slice of a, the first case: No"):
        make_pseudo_labels(study, Speaker(lambda number: "No."))
    assert read_pseudo(study, "speaker-1", "a") is None


def test_progress_counts_all_slices_of_all_cases_and_names_the_case(study: Study) -> None:
    told: list[tuple[str, int, int]] = []
    make_pseudo_labels(study, Speaker(), progress=lambda *told_now: told.append(told_now))
    assert [done for _, done, _ in told] == sorted(done for _, done, _ in told)
    assert told[0] == ("a, case 1 of 2", 2, 12) and told[-1][1:] == (12, 12)


def test_a_trial_asks_the_most_different_slices_first_and_stores_nothing(study: Study) -> None:
    teacher = Speaker(lambda number: "Too dark." if number == GONE[0] else half(0.7))
    tried = try_teacher(study, teacher, 3)
    assert {one.slice for one in tried[:2]} == {NEW[0], GONE[0]} and len(tried) == 3
    assert [one.difference for one in tried] == sorted((one.difference for one in tried), reverse=True)
    by_slice = {one.slice: one for one in tried}
    assert by_slice[GONE[0]].failed == "Too dark." and by_slice[GONE[0]].highest is None
    assert by_slice[NEW[0]].changed_mm2 == pytest.approx(48 * 40 * 0.81)
    assert not (study.folder / "pseudo").exists()
    assert {one.case for one in try_teacher(study, Speaker(), 1, cases=["a", "b"])} == {"a", "b"}
    with pytest.raises(WrongUse, match="limit of 0"):
        try_teacher(study, teacher, 0)


def test_unknown_teachers_and_cases_are_named(study: Study) -> None:
    for words in ("sam", "sam:", "unet:x", ""):
        with pytest.raises(WrongUse, match="is unknown"):
            teacher_named(words)
    with pytest.raises(WrongUse, match="--onnx-input"):
        teacher_named("default", onnx_input=Path("x.json"))
    with pytest.raises(BadInput, match="no case 'c'"):
        make_pseudo_labels(study, Speaker(), cases=["c"])


def test_a_process_that_dies_leaves_whole_cases_and_a_partial_one_that_goes_on(study: Study) -> None:
    script = (
        f"import os, sys; sys.path.insert(0, {str(Path(__file__).parent)!r})\n"
        "from test_pseudo_labelling import Speaker, half\n"
        "from LMIALLib.pipeline.teachers import one_case, pseudo_labelling\nfrom LMIALLib.study.store import Study\n"
        "one_case.WRITTEN_EVERY, asked = 0.0, []\n"
        "def say(number):\n    asked.append(number)\n    return half(0.3) if len(asked) < 7 else os._exit(9)\n"
        f"pseudo_labelling.make_pseudo_labels(Study.open({str(study.folder)!r}, read_only=True), Speaker(say))\n"
    )
    died = subprocess.run([sys.executable, "-c", script], timeout=120, check=False)
    assert died.returncode == 9
    assert stored(study, "a").done.all() and list(np.flatnonzero(stored(study, "b").done)) == [0, 1, 2, 5]
    going_on = Speaker()
    make_pseudo_labels(study, going_on, existing="keep")
    assert going_on.asked == [3, 4] and stored(study, "b").done.all()


SPECKLED = """
from dataclasses import dataclass, field

import numpy as np

from LMIALLib.pipeline.teachers.choosing import Source, Wanted
from LMIALLib.pipeline.teachers.teacher import PseudoLabel


@dataclass(frozen=True)
class Difference:
    threshold: float
    made_by: dict = field(default_factory=lambda: {"kind": "difference"})
    id: str = "difference"

    def judged(self, pair, slices, check):
        for number in slices:
            check()
            marked = (np.abs(pair.stack(pair.difference)[number]) > self.threshold).astype(np.float32)
            yield number, PseudoLabel(marked, np.full_like(marked, 0.5))


def load(wanted: Wanted) -> Difference:
    return Difference(float(wanted.place))


SOURCE = Source("difference", load, "SPREADS")
"""


def test_a_source_of_pseudo_labels_is_added_in_one_file(install, study: Study) -> None:
    install("lmial-difference", {"made_of_difference.py": SPECKLED}, {"difference": "made_of_difference:SOURCE"},
            "lmial.pseudo_labels")  # fmt: skip
    taught = make_pseudo_labels(study, teacher_named("difference:2.5"))
    assert taught.teacher == "difference" and sum(one.judged for one in taught.cases) > 0
    with pytest.raises(WrongUse, match="'difference' is unknown"):
        teacher_named("difference")
    with pytest.raises(WrongUse) as unknown:
        teacher_named("martians")
    assert "onnx:FILE or difference" in unknown.value.hint
