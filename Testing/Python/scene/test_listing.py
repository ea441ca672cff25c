"""The list of a case's lesions and the jump to each, on a real scene, a real study and a real ranking."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from LMIALLib.errors import BadInput
from LMIALLib.loop.session import Session
from LMIALLib.loop.settings import LoopSettings
from LMIALLib.scene.brush import Brush
from LMIALLib.scene.screen import Screen
from LMIALLib.scene.view_state import listed, quick
from LMIALLib.scene.workspace import Workspace
from LMIALLib.study.lesions import Lesions
from LMIALLib.study.store import Study
from Testing.Python.scene.mrml_scene import Place
from Testing.Python.scene.sitting import PlainView, look_first


@pytest.fixture
def workspace_at(place: Place) -> Iterator[Callable[[Path], Workspace]]:
    workspaces: list[Workspace] = []

    def make(folder: Path) -> Workspace:
        views = dict(zip(("baseline", "follow_up", "difference"), map(PlainView, place.views), strict=True))

        def opening(take_over: bool) -> Session:
            study = Study.open(folder, reader="anna", take_over=take_over)
            return Session(study, reader="anna", settings=LoopSettings(train=False))

        screen = Screen(place.scene, views, opening)
        workspaces.append(Workspace(screen, Brush(screen)))
        look_first(workspaces[-1])
        workspaces[-1].start()
        return workspaces[-1]

    yield make
    for workspace in workspaces:
        workspace.close()


def suggest(folder: Path, *boxes: tuple[slice, ...]) -> None:
    """Let the model of the newest ranking suggest some boxes (slices, rows, columns) of the case ``head``."""
    with Study.open(folder, reader="setup") as study:
        stored = study.rankings.latest()
        assert stored is not None
        volume = np.full(study.cases.get("head").grid.shape, 0.05, np.float32)
        for box in boxes:
            np.moveaxis(volume, study.cases.get("head").axis, 0)[box] = 0.9
        study.maps.write(str(stored.conditions["model"]), "head", {"mean": volume}, {})


def at_random(folder: Path) -> list[int]:
    """Slices chosen at random, of which the faces show nothing before the answer."""
    with Study.open(folder, read_only=True) as study:
        stored = study.rankings.latest()
        assert stored is not None
        return sorted(q["slice"] for q in stored.ranking["queries"] if q["drawn"] == "random")


def open_run(folder: Path, length: int) -> int:
    """The first of ``length`` slices of which none was chosen at random."""
    lot = at_random(folder)
    return next(start for start in range(2, 40) if not set(range(start, start + length)) & set(lot))


def row(workspace: Workspace, number: int) -> dict[str, Any]:
    return next(one for one in listed(workspace) if one["number"] == number)


def test_the_list_is_that_of_the_study_and_jumps_to_the_largest_slice(
    study_folder: Path, workspace_at: Callable[[Path], Workspace]
) -> None:
    start = open_run(study_folder, 5)
    suggest(study_folder, np.s_[start : start + 3, 20:24, 30:34], np.s_[start + 1, 24:30, 30:34],
            np.s_[start + 4, 40:44, 10:14])  # fmt: skip
    workspace = workspace_at(study_folder)
    objects = workspace.lesion_list.lesions()
    with Study.open(study_folder, read_only=True) as study:
        assert objects == study.lesions.of_case("head", study.maps.suggested("head"), keep=False).lesions
    assert [one.number for one in objects] == [1, 2]
    told = row(workspace, 1)
    assert told["slices"] == f"{start + 1}-{start + 3}" and told["read"] == "suggested"
    assert float(told["ml"]) == pytest.approx(objects[0].volume_ml, abs=0.006)
    workspace.viewing.step(-4)
    workspace.viewing.turn_plane()
    workspace.lesion_list.go_to(1)
    assert workspace.open is not None
    navigation = workspace.open.navigation
    assert navigation.current == 0 and navigation.slice == start + 1 == objects[0].largest_slice
    assert np.allclose(navigation.plane.place(navigation.point), (start + 1, 24.5, 31.5), atol=1e-6)
    matrix = workspace.screen.views["follow_up"].node.GetSliceToRAS()
    assert np.allclose([matrix.GetElement(k, 3) for k in range(3)], navigation.point), "the view looks there"
    grid, axis = workspace.open.images.pair.grid, workspace.open.images.pair.axis
    middle = np.insert(np.array([24.5, 31.5]), axis, start + 1.0)
    lps = (grid.index_to_point() @ [*middle[::-1], 1.0])[:3]
    assert np.allclose(navigation.point, lps * (-1, -1, 1), atol=1e-4)
    with pytest.raises(BadInput, match="no lesion 7"):
        workspace.lesion_list.go_to(7)


def test_a_lesion_keeps_its_number_and_is_read_once_its_slices_are(
    study_folder: Path, workspace_at: Callable[[Path], Workspace]
) -> None:
    start = open_run(study_folder, 5)
    suggest(study_folder, np.s_[start : start + 2, 20:24, 30:34], np.s_[start + 4, 40:48, 10:18])
    workspace = workspace_at(study_folder)
    assert [one["read"] for one in listed(workspace)] == ["suggested"] * 2
    number = next(one.number for one in workspace.lesion_list.lesions() if one.first_slice == start)
    for slice_number, size in ((start, 4), (start + 1, 8)):
        workspace.presenting.choose(slice_number)
        assert workspace.open is not None
        mask = np.zeros_like(workspace.open.drawing.mask)
        mask[20 : 20 + size, 30:34] = 2
        workspace.open.drawing.replace(mask)
        workspace.answering.answer("save")
    told = row(workspace, number)
    assert (told["class"], told["read"]) == ("new", "partly read"), "the slices beside them were not read"
    for slice_number in (start - 1, start + 2):
        workspace.presenting.choose(slice_number)
        workspace.answering.answer("nothing_here", sure=True)
    assert row(workspace, number)["read"] == "read"
    assert next(one for one in workspace.lesion_list.lesions() if one.number == number).largest_slice == start + 1


def test_nothing_is_shown_of_a_slice_chosen_at_random_before_its_answer(
    study_folder: Path, workspace_at: Callable[[Path], Workspace]
) -> None:
    every = at_random(study_folder)
    lot = next(one for one in every if not {one - 1, one + 1} & set(every))
    suggest(study_folder, np.s_[lot, 40:44, 10:14], np.s_[lot - 1 : lot + 2, 20:24, 30:34])
    workspace = workspace_at(study_folder)
    (one,) = workspace.lesion_list.lesions()
    assert one.voxels == 32 and one.slices == 2, "its part on that slice is left out"
    assert one.largest_slice == lot - 1
    workspace.presenting.choose(lot)
    assert [one.voxels for one in workspace.lesion_list.lesions()] == [32]
    workspace.lesion_list.go_to(one.number)
    workspace.viewing.return_to_query()
    workspace.viewing.fit()
    workspace.answering.answer("nothing_here")
    assert not workspace.session.study.answers.current("head")[lot].suggestion_seen
    assert sorted(one.voxels for one in workspace.lesion_list.lesions()) == [16, 16]


def test_a_jump_to_what_the_network_sees_on_the_slice_at_hand_is_noted(
    study_folder: Path, workspace_at: Callable[[Path], Workspace]
) -> None:
    number = open_run(study_folder, 1)
    suggest(study_folder, np.s_[number, 20:24, 30:34])
    workspace = workspace_at(study_folder)
    workspace.presenting.choose(number)
    workspace.lesion_list.go_to(1)
    workspace.viewing.fit()
    workspace.answering.answer("nothing_here")
    assert workspace.session.study.answers.current("head")[number].suggestion_seen


def test_it_is_found_anew_only_when_an_answer_or_the_model_changed(
    study_folder: Path, workspace_at: Callable[[Path], Workspace], monkeypatch: pytest.MonkeyPatch
) -> None:
    suggest(study_folder, np.s_[open_run(study_folder, 1), 20:24, 30:34])
    workspace = workspace_at(study_folder)
    counted: list[int] = []
    whole = Lesions.volume
    monkeypatch.setattr(Lesions, "volume", lambda *a, **o: (counted.append(1), whole(*a, **o))[1])
    before = listed(workspace)
    workspace.tick()
    workspace.viewing.step(1)
    quick(workspace)
    workspace.viewing.return_to_query()
    assert listed(workspace) == before and len(counted) == 1
    workspace.answering.answer("nothing_here")
    listed(workspace)
    listed(workspace)
    assert len(counted) == 2


def test_without_any_case_or_with_broken_numbers_the_face_lives(
    study_folder: Path, workspace_at: Callable[[Path], Workspace], tmp_path: Path
) -> None:
    (study_folder / "cases" / "head" / "lesions.json").write_text("{")
    workspace = workspace_at(study_folder)
    assert listed(workspace) == []
    assert listed(workspace) == []
    assert [kind for kind, sentence in workspace.screen.notices if "cannot be listed" in sentence] == ["warning"]
    with Study.create(tmp_path / "empty"):
        pass
    assert listed(workspace_at(tmp_path / "empty")) == []


def test_a_lesion_keeps_its_number_when_its_case_is_registered_again(
    study_folder: Path, workspace_at: Callable[[Path], Workspace]
) -> None:
    workspace = workspace_at(study_folder)
    known = {one.number: one.place_ras for one in workspace.lesion_list.lesions()}
    learning = workspace.session.learning
    workspace.jobs.register_again("rigid")
    assert learning.pairs.job is not None
    while not learning.pairs.job.over:
        workspace.tick()
    assert workspace.session.study.cases.get("head").pair_number == 2
    assert workspace.lesion_list.lesions() == (), "the new pair was not ranked yet, and nobody read anything"
    learning.wait(learning.request_ranking())
    again = {one.number: one.place_ras for one in workspace.lesion_list.lesions()}
    shared = again.keys() & known.keys()
    assert shared and all(np.linalg.norm(np.subtract(again[n], known[n])) < 8 for n in shared)
    assert 1 in shared, "the largest is found again"
