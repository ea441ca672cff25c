"""The workspace without a browser: what a reader does, on a real scene, a real study and a real worker."""

from __future__ import annotations

import ast
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from LMIALLib.browser.actions import actions_of
from LMIALLib.browser.guard import is_loopback, token_matches
from LMIALLib.browser.tabs import Tabs
from LMIALLib.loop.session import Session
from LMIALLib.loop.settings import LoopSettings
from LMIALLib.loop.shortcuts import SHORTCUTS
from LMIALLib.scene.brush import Brush
from LMIALLib.scene.drafts import keep_draft
from LMIALLib.scene.screen import Screen
from LMIALLib.scene.view_state import fixed, shown
from LMIALLib.scene.workspace import Workspace
from LMIALLib.study.store import Study
from Testing.Python.scene.sitting import look_first

PROJECT = Path(__file__).resolve().parents[2]


class PlainView:
    """A view that only remembers what it was told to show."""

    def __init__(self, node: Any) -> None:
        self.node, self.size = node, (400, 500)
        self.background: Any = None
        self.foreground: Any = None
        self.refreshed = 0
        node.SetDimensions(400, 500, 1)

    def show(self, background: Any, foreground: Any = None, opacity: float = 0.0) -> None:
        self.background, self.foreground = background, foreground

    def refresh(self) -> None:
        self.refreshed += 1


@pytest.fixture
def workspace_at() -> Iterator[Callable[..., Workspace]]:
    pytest.importorskip("slicer", reason="slicer-core is missing: pip install 'lmial[browser]'")
    from trame_slicer.core import SlicerApp

    workspaces: list[tuple[Workspace, Any]] = []

    def make(folder: Path, *, reader: str = "anna", train: bool = False, order: tuple[str, ...] = ()) -> Workspace:
        app = SlicerApp()
        views = {
            name: PlainView(app.scene.AddNewNodeByClass("vtkMRMLSliceNode", name))
            for name in ("baseline", "follow_up", "difference")
        }

        def opening(take_over: bool) -> Session:
            study = Study.open(folder, reader=reader, take_over=take_over)
            return Session(study, reader=reader, settings=LoopSettings(train=train, order=order))

        screen = Screen(app.scene, views, opening)
        workspace = Workspace(screen, Brush(screen))
        look_first(workspace)
        workspaces.append((workspace, app))
        workspace.start()
        return workspace

    yield make
    for workspace, _ in workspaces:
        workspace.close()


def draw(workspace: Workspace, view: str = "follow_up") -> None:
    workspace.maker.paint(view, "begin", [(0.5, 0.5)])
    workspace.maker.paint(view, "go", [(0.55, 0.5), (0.6, 0.55)])
    workspace.maker.paint(view, "end", [])


def test_a_new_ranking_never_moves_the_slice_or_the_maps_under_the_readers_hand(
    study_folder: Path, workspace_at: Callable[..., Workspace]
) -> None:
    from LMIALLib.scene.volumes import voxels_of

    workspace = workspace_at(study_folder)
    workspace.maps.show_always(True)
    draw(workspace)
    here = workspace.session.current
    mask, point = workspace.open.drawing.mask, workspace.open.navigation.point.copy()
    overlay = voxels_of(workspace.open.overlays.uncertainty).copy()
    job = workspace.session.learning.request_ranking()
    while not job.over:
        workspace.tick()
    assert job.state == "done" and len(workspace.session.study.rankings.all()) == 2
    assert workspace.session.current is here and here.ranking.number == 1
    assert np.array_equal(workspace.open.drawing.mask, mask) and np.array_equal(workspace.open.navigation.point, point)
    assert np.array_equal(voxels_of(workspace.open.overlays.uncertainty), overlay)
    assert any("Ranked anew" in sentence for _, sentence in workspace.screen.notices)
    workspace.answering.answer("save")
    saved = workspace.session.study.answers.current(here.case)[here.slice]
    assert saved.ranking == 1 and np.array_equal(saved.mask, mask)
    assert workspace.session.current.ranking.number == 2


def test_a_study_that_went_back_to_another_model_is_ranked_by_it_when_it_is_opened(
    study_folder: Path, workspace_at: Callable[..., Workspace]
) -> None:
    workspace = workspace_at(study_folder)
    assert workspace.session.learning.ranking is None, "what is in use has ranked already"
    workspace.close()
    with Study.open(study_folder, reader="setup") as study:
        first = study.models.in_use()
        study.models.add(study.models.path(first.id), id="model-001", parent=first.id, round=1, adopted=True)
    workspace = workspace_at(study_folder)
    assert workspace.session.current.ranking.conditions["model"] == first.id, "nobody waits for the new ranking"
    while not workspace.session.learning.ranking.over:
        workspace.tick()
    assert workspace.session.study.rankings.latest().conditions["model"] == "model-001"


def test_maps_of_slices_chosen_at_random_are_shown_only_after_the_answer(
    study_folder: Path, workspace_at: Callable[..., Workspace]
) -> None:
    from LMIALLib.scene.volumes import voxels_of

    workspace = workspace_at(study_folder)
    lot = next(query for query in workspace.screen.queue if query.drawn == "random")
    workspace.maps.show(True)
    overlay = voxels_of(workspace.open.overlays.uncertainty)
    assert overlay.any() and not overlay[lot.slice].any(), "also while the reader only scrolls past"
    workspace.presenting.choose(lot.slice)
    workspace.painting.accept()
    assert not workspace.open.drawing.mask.any()
    workspace.answering.answer("nothing_here")
    saved = workspace.session.study.answers.current("head")[lot.slice]
    assert saved.drawn == "random" and not saved.suggestion_seen
    assert lot.slice not in workspace.session.suggestions.withheld("head")


def test_only_the_follow_ups_view_and_only_the_slice_at_hand_can_be_painted(
    study_folder: Path, workspace_at: Callable[..., Workspace]
) -> None:
    workspace = workspace_at(study_folder)
    for view in ("baseline", "difference"):
        draw(workspace, view)
    workspace.viewing.step(1)
    draw(workspace)
    workspace.viewing.return_to_query()
    workspace.viewing.turn_plane()
    draw(workspace)
    assert not workspace.open.drawing._array.any() and not workspace.session.study.drafts.all("head")
    workspace.viewing.return_to_query()
    draw(workspace)
    drawn = np.flatnonzero(workspace.open.drawing._stack.any(axis=(1, 2)))
    assert drawn.tolist() == [workspace.session.current.slice]


def test_the_painted_place_is_the_place_under_the_pointer(
    study_folder: Path, workspace_at: Callable[..., Workspace]
) -> None:
    workspace = workspace_at(study_folder)
    workspace.screen.tools.diameter_mm = 1.0
    workspace.maker.paint("follow_up", "begin", [(0.4, 0.6)])
    workspace.maker.paint("follow_up", "end", [])
    _, row, column = workspace.open.navigation.plane.place(workspace.screen.point("follow_up", 0.4, 0.6))
    rows, columns = np.nonzero(workspace.open.drawing.mask)
    assert abs(rows.mean() - row) <= 0.6 and abs(columns.mean() - column) <= 0.6


def test_each_stroke_is_a_draft_at_once_and_comes_back_in_another_session(
    study_folder: Path, workspace_at: Callable[..., Workspace]
) -> None:
    workspace = workspace_at(study_folder)
    draw(workspace)
    here, mask = workspace.session.current.slice, workspace.open.drawing.mask
    with Study.open(study_folder, read_only=True) as study:
        assert np.array_equal(study.drafts.get("head", here).mask, mask)
    workspace.painting.undo()
    with Study.open(study_folder, read_only=True) as study:
        assert study.drafts.get("head", here) is None
    workspace.painting.redo()
    workspace.answering.answer("skip")
    workspace.presenting.choose(here)
    assert np.array_equal(workspace.open.drawing.mask, mask)


def test_a_stroke_whose_tab_has_gone_and_a_long_one_are_kept_too(
    study_folder: Path, workspace_at: Callable[..., Workspace], monkeypatch: pytest.MonkeyPatch
) -> None:
    workspace = workspace_at(study_folder)
    workspace.maker.paint("follow_up", "begin", [(0.5, 0.5)])
    workspace.maker.paint("follow_up", "go", [(0.55, 0.5)])
    assert not workspace.session.study.drafts.all("head")
    workspace.maker.finish_stroke()
    (kept,) = workspace.session.study.drafts.all("head")
    assert np.array_equal(kept.mask, workspace.open.drawing.mask) and workspace.open.drawing.can_undo
    monkeypatch.setattr("LMIALLib.scene.brush.LONGEST_UNKEPT", 0.0)
    workspace.maker.paint("follow_up", "begin", [(0.3, 0.3)])
    workspace.maker.paint("follow_up", "go", [(0.35, 0.3)])
    (kept,) = workspace.session.study.drafts.all("head")
    assert np.array_equal(kept.mask, workspace.open.drawing.mask)


def test_accepting_is_one_undo_step_and_undo_ends_at_the_save(
    study_folder: Path, workspace_at: Callable[..., Workspace]
) -> None:
    workspace = workspace_at(study_folder)
    suggested = next(
        query
        for query in workspace.screen.queue
        if query.drawn == "strategy"
        and (workspace.presenting.choose(query.slice), workspace.session.suggestion())[1].any()
    )
    workspace.painting.accept()
    assert np.array_equal(workspace.open.drawing.mask > 0, workspace.session.suggestion())
    workspace.painting.undo()
    assert not workspace.open.drawing.mask.any()
    workspace.painting.redo()
    workspace.answering.answer("save")
    saved = workspace.session.study.answers.current("head")[suggested.slice]
    assert saved.accepted_unchanged and saved.suggestion_seen
    before = workspace.open.drawing._array.copy()
    workspace.painting.undo()
    assert np.array_equal(workspace.open.drawing._array, before)


def test_a_class_is_proposed_by_the_difference_and_set_by_the_reader_only(
    study_folder: Path, workspace_at: Callable[..., Workspace], phantom_truth: np.ndarray
) -> None:
    workspace = workspace_at(study_folder)
    number = int(np.argmax((phantom_truth > 0).sum(axis=(1, 2))))
    workspace.presenting.choose(number)
    workspace.open.drawing.replace((phantom_truth[number] > 0).astype(np.uint8))
    keep_draft(workspace.screen)
    lesions = workspace.painting.lesions()
    schema = workspace.session.study.label_schema
    assert lesions and {lesion.value for lesion in lesions} == {1}
    proposed = next(k for k, lesion in enumerate(lesions) if lesion.proposed)
    name = lesions[proposed].proposed
    workspace.painting.change_class(proposed)
    assert schema.name_of(workspace.painting.lesions()[proposed].value) == name
    workspace.painting.undo()
    assert {lesion.value for lesion in workspace.painting.lesions()} == {1}


def test_back_brings_the_saved_mask_and_answering_again_is_a_new_version(
    study_folder: Path, workspace_at: Callable[..., Workspace]
) -> None:
    workspace = workspace_at(study_folder)
    draw(workspace)
    here, mask = workspace.session.current.slice, workspace.open.drawing.mask
    workspace.answering.answer("save")
    workspace.presenting.back()
    assert workspace.session.current.slice == here and np.array_equal(workspace.open.drawing.mask, mask)
    workspace.answering.answer("equivocal")
    assert workspace.session.study.answers.current("head")[here].version == 2
    workspace.presenting.back()
    workspace.answering.take_back()
    assert here not in workspace.session.study.answers.current("head")


def test_an_empty_answer_on_drawn_voxels_asks_and_an_empty_save_is_refused(
    study_folder: Path, workspace_at: Callable[..., Workspace]
) -> None:
    workspace = workspace_at(study_folder)
    here = workspace.session.current.slice
    workspace.guarded(lambda: workspace.answering.answer("save"))
    assert workspace.screen.notices[-1][0] == "error"
    draw(workspace)
    workspace.answering.answer("nothing_here")
    assert workspace.screen.asking and not workspace.session.study.answers.current("head")
    workspace.answering.answer("nothing_here", sure=True)
    assert workspace.session.study.answers.current("head")[here].answer == "nothing"


def test_another_session_takes_over_and_gives_nothing_away(
    study_folder: Path, workspace_at: Callable[..., Workspace]
) -> None:
    first = workspace_at(study_folder)
    draw(first)
    mask, here = first.open.drawing.mask, first.session.current.slice
    second = workspace_at(study_folder, reader="ben")
    assert second.screen.watching and second.session.current is None
    second.take_over()
    assert not second.screen.watching and np.array_equal(second.open.drawing.mask, mask), (
        "the draft goes with the study"
    )
    first.guarded(lambda: first.answering.answer("save"))
    assert first.screen.watching and np.array_equal(first.open.drawing.mask, mask)
    assert not first.session.study.answers.current("head")
    first.take_over()
    assert first.session.current.slice == here and np.array_equal(first.open.drawing.mask, mask)
    first.answering.answer("save")
    assert np.array_equal(first.session.study.answers.current("head")[here].mask, mask)


def add_copy(folder: Path, case: str, name: str) -> None:
    """One more case of a study, with the pair of another."""
    with Study.open(folder, reader="setup") as study:
        staged = study.cases.stage(name)
        for part in ("source", "pair-1"):
            shutil.copytree(folder / "cases" / case / part, staged / part)
        study.cases.add(name, staged)


def test_a_reader_who_has_chosen_nothing_is_taken_to_the_first_query_of_any_case(
    phantom_folder: Path, tmp_path: Path, workspace_at: Callable[..., Workspace]
) -> None:
    from LMIALLib.loop.studies import new_study
    from LMIALLib.pairs.request import PairRequest

    folder = tmp_path / "never ranked"
    scans = (phantom_folder / f"{name}.nii.gz" for name in ("baseline", "follow_up", "brain"))
    new_study(folder, "zebra", PairRequest(*scans))
    add_copy(folder, "zebra", "ape")
    with Study.open(folder, read_only=True) as study:
        later = study.cases.all()[1].name
    workspace = workspace_at(folder, order=(later,))
    first_shown = workspace.open.case
    while not workspace.screen.queue:
        workspace.tick()
    assert workspace.session.current is not None and workspace.presenting.crossing is None
    assert workspace.open.case == workspace.screen.queue[0].case
    assert first_shown != workspace.open.case, "else this test shows nothing"


def test_another_case_is_entered_only_when_the_reader_says_so(
    study_folder: Path, workspace_at: Callable[..., Workspace]
) -> None:
    add_copy(study_folder, "head", "other")
    workspace = workspace_at(study_folder)
    job = workspace.session.learning.request_ranking()
    while not job.over:
        workspace.tick()
    began = workspace.open.case
    workspace.answering.answer("nothing_here")
    assert workspace.open.case == began and workspace.presenting.crossing is None, "a patient is read to the end"
    workspace.session.patient.finish(began)
    workspace.presenting.next()
    assert workspace.presenting.crossing and workspace.open.case == began and workspace.session.current is None
    other = workspace.presenting.crossing.case
    workspace.presenting.next(crossed=True)
    assert workspace.open.case == other and workspace.session.current.case == other
    names = [workspace.screen.scene.GetNthNode(k).GetName() for k in range(workspace.screen.scene.GetNumberOfNodes())]
    assert names.count("label") == 1, "the case before must have left the scene"
    workspace.session.patient.reopen(began)
    workspace.presenting.go_to_case(began)
    assert workspace.open.case == began


def test_every_shortcut_has_an_action_and_no_key_stands_twice(
    study_folder: Path, workspace_at: Callable[..., Workspace]
) -> None:
    workspace = workspace_at(study_folder)
    on_the_page = {"details"}
    actions = set(actions_of(workspace, workspace.maker)) | on_the_page
    assert {shortcut.action for shortcut in SHORTCUTS} <= actions
    keys = [shortcut.key for shortcut in SHORTCUTS]
    assert len(set(keys)) == len(keys) and fixed()["tips"]["save"].endswith("(Ctrl+Enter)")


def test_the_page_tells_what_the_ranker_said(study_folder: Path, workspace_at: Callable[..., Workspace]) -> None:
    workspace = workspace_at(study_folder)
    values = shown(workspace)
    first = workspace.screen.queue[0]
    assert values["query"]["reason"] == first.reason and values["query"]["slice"] == first.slice + 1
    assert ["uncertainty", f"{first.terms['uncertainty']:.3g}"] in values["query"]["details"]
    lot = next(k for k, query in enumerate(workspace.screen.queue[:12]) if query.drawn == "random")
    assert values["queue"][lot]["score"] == "" and values["queue"][lot]["lot"]
    assert len(values["strip"]["bars"]) == workspace.open.images.pair.n_slices


def test_a_study_without_a_case_is_shown_as_such(tmp_path: Path, workspace_at: Callable[..., Workspace]) -> None:
    Study.create(tmp_path / "study").close()
    workspace = workspace_at(tmp_path / "study")
    values = shown(workspace)
    assert values["banner"]["cases"] == [] and not values["look"]["ready"] and not values["queue"]
    workspace.guarded(lambda: workspace.answering.answer("nothing_here"))
    workspace.guarded(lambda: workspace.viewing.step(1))
    assert {kind for kind, _ in workspace.screen.notices} == {"error"}


def test_tabs_one_annotates_and_the_next_goes_on_when_it_leaves() -> None:
    tabs = Tabs()
    assert tabs.arrive("a", "1") and tabs.arrive("b", "2") and tabs.may("a", "1") and not tabs.may("b", "2")
    assert not tabs.arrive("a", "3"), "a duplicated tab must take another name"
    assert not tabs.arrive("c", "2"), "a connection has one tab"
    tabs.take_over("2")
    assert tabs.may("b", "2") and not tabs.may("a", "1")
    assert not tabs.may("b", "1"), "a tab's name is no secret; only its own connection may use it"
    tabs.leave("2")
    assert tabs.may("a", "1") and not tabs.may("", "1") and not tabs.may(["a"], "1")
    tabs.take_over("nobody")
    assert tabs.may("a", "1")


def test_which_addresses_reach_this_machine_only() -> None:
    assert all(is_loopback(host) for host in ("127.0.0.1", "localhost", "::1", "[::1]", "127.3.2.1"))
    assert not any(
        is_loopback(host) for host in ("0.0.0.0", "192.168.1.4", "evil.example", "localhost.evil.example", "")
    )
    assert token_matches("a", "a") and not token_matches("b", "a") and not token_matches("", "a")
    assert not token_matches("\udcff\u00e9", "a"), "no text that a header can hold makes it stumble"


def test_no_other_room_imports_trame() -> None:
    rooms = PROJECT / "LMIALLib"
    for file in rooms.rglob("*.py"):
        if file.is_relative_to(rooms / "browser"):
            continue
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            assert not any(name.split(".")[0].startswith(("trame", "wslink")) for name in names), file


def test_the_page_names_no_address_outside_this_machine() -> None:
    for file in (PROJECT / "LMIALLib" / "browser" / "static").iterdir():
        text = file.read_text(encoding="utf-8")
        assert "http://" not in text and "https://" not in text and "//cdn" not in text, file


def test_a_core_set_is_met_as_a_queue_to_its_end_and_then_the_rest_is_ranked(
    study_folder: Path, workspace_at: Callable[..., Workspace]
) -> None:
    from LMIALLib.pipeline.core_set import core_set

    with Study.open(study_folder, reader="setup") as study:
        chosen = core_set(study, budget="2", device="cpu").queries
    workspace = workspace_at(study_folder, train=True)
    page = shown(workspace)
    assert [row["rank"] for row in page["queue"]] == [1, 2] and page["waiting"] == 2
    assert page["query"]["reason"] == chosen[0].reason and page["query"]["score"] == f"{chosen[0].score:.3g}"
    workspace.session.settings = LoopSettings(train=False)  # the answers below need not be learned from
    for query in chosen:
        assert (workspace.session.current.case, workspace.session.current.slice) == (query.case, query.slice)
        workspace.answering.answer("nothing_here")
    assert any("core-set is read" in sentence for _, sentence in workspace.screen.notices)
    while not workspace.session.learning.ranking.over:
        workspace.tick()
    assert len(workspace.screen.queue) > 2 and workspace.session.current is not None
