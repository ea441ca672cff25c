"""The demo on a pair of the user's own, and what it refuses. (``make demo`` runs it on the sample pair.)"""

from __future__ import annotations

from pathlib import Path

import pytest

from LMIALLib.errors import BadInput
from LMIALLib.evaluation.demo import find_inputs, run_demo
from LMIALLib.study.store import Study


def test_a_pair_without_truth_is_ranked_and_reported(tmp_path: Path, phantom_folder: Path) -> None:
    pair = tmp_path / "mein Paar"
    pair.mkdir()
    for name in ("baseline", "follow_up"):
        (pair / f"{name}.nii.gz").write_bytes((phantom_folder / f"{name}.nii.gz").read_bytes())
    outcome = run_demo(pair, tmp_path / "out", say=print)
    page = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    assert outcome.dice_before is None and outcome.answered == []
    assert "0 of" in page and "No truth was given" in page and "data:image/png;base64," in page
    assert "http://" not in page and "https://" not in page and "<script" not in page
    assert all(file.is_file() for file in outcome.files)


def test_a_pair_with_its_truth_ends_with_a_finished_patient(tmp_path: Path, phantom_folder: Path) -> None:
    said: list[str] = []
    outcome = run_demo(phantom_folder, tmp_path / "out", say=said.append)
    page = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    first, last = outcome.curve[0], outcome.curve[-1]
    assert last.dice > first.dice and last.expected is not None and last.answers == len(outcome.answered) >= 6
    assert page.index("The delivered label") < page.index("data:image/png;base64,"), "the first picture is the curve"
    assert any("the patient is finished" in line for line in said)
    with Study.open(outcome.study, read_only=True) as study:
        assert study.patients.finished("demo") is not None
        done = study.answers.current("demo").keys() | study.sweeps.viewed("demo")
        assert len(done) == study.cases.get("demo").n_slices
    assert any(file.name == "demo-delivered.seg.nrrd" for file in outcome.files)


def test_names_tell_the_roles_and_two_lone_volumes_are_taken_in_order(tmp_path: Path, phantom_folder: Path) -> None:
    found = find_inputs(phantom_folder)
    assert (found.baseline.name, found.follow_up.name) == ("baseline.nii.gz", "follow_up.nii.gz")
    assert found.mask is not None and found.mask.name == "brain.nii.gz" and found.truth is not None
    for name in ("2019.nii.gz", "2021.nii.gz"):
        (tmp_path / name).touch()
    assert find_inputs(tmp_path).follow_up.name == "2021.nii.gz"


def test_a_folder_without_a_pair_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="no pair was recognised"):
        find_inputs(tmp_path)
    with pytest.raises(BadInput, match="no such folder"):
        find_inputs(tmp_path / "nowhere")


def test_a_folder_that_the_demo_did_not_make_is_never_replaced(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("precious")
    with pytest.raises(BadInput, match="did not make"):
        run_demo(None, tmp_path, say=print)
    assert (tmp_path / "thesis.tex").read_text() == "precious"


def test_the_truth_of_open_ms_comes_to_the_follow_ups_grid(open_ms: Path) -> None:
    found = find_inputs(open_ms / "longitudinal" / "patient01")
    assert found.truth is not None and found.truth.shape == (46, 320, 320)
    assert 500 < int(found.truth.sum()) < 40_000


def test_a_random_query_hides_its_maps_until_it_was_answered(study_folder: Path) -> None:
    from LMIALLib.evaluation.case_views import case_views
    from LMIALLib.queries.query import Ranking
    from LMIALLib.study import NewAnswer

    with Study.open(study_folder, reader="anna") as study:
        stored = study.rankings.latest()
        assert stored is not None
        queries = Ranking.from_dict(stored.ranking).queries
        drawn = next(query.slice for query in queries if query.drawn == "random")
        chosen = next(query.slice for query in queries if query.drawn == "strategy")
        hidden, shown = case_views(study, "head", [drawn, chosen])
        assert hidden.suggestion is None and hidden.uncertainty is None and "hidden" in hidden.caption
        assert shown.suggestion is not None and shown.uncertainty is not None
        study.answers.save(NewAnswer("head", drawn, "nothing", reader="anna"))
        assert case_views(study, "head", [drawn])[0].suggestion is not None
