"""A study as an nnU-Net data set: channels, ignore label, marks, splits by subject."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from LMIALLib.errors import BadInput
from LMIALLib.pairs.storage import read_nrrd
from LMIALLib.pipeline.nnunet.dataset import Dataset, channels, stacked_grid, write_dataset
from LMIALLib.pipeline.nnunet.labels import IGNORE, LabelSource, PseudoLabels, ReadLabels
from LMIALLib.pipeline.nnunet.places import WorkFolder, read_record
from LMIALLib.pipeline.nnunet.splits import Member, fold_splits, one_split
from LMIALLib.pipeline.pseudo import read_pseudo
from LMIALLib.progress import Cancelled
from LMIALLib.study.answer import NewAnswer
from LMIALLib.study.store import Study


def written(study: Study, source: LabelSource, **options: object) -> Dataset:
    work = WorkFolder.pretraining(study.folder)
    told = {"progress": lambda sentence, done, total: None, "cancelled": lambda: False, **options}
    return write_dataset(study, work, source, one_split, **told)  # type: ignore[arg-type]


def labels_of(study: Study, dataset: Dataset, case: str) -> np.ndarray:
    name = next(member.id for member in dataset.members if member.case == case)
    return read_nrrd(WorkFolder.pretraining(study.folder).raw / "labelsTr" / f"{name}.nrrd")[0]


def test_slices_come_first_and_every_voxel_stays_where_it_is_in_space(pair_maker: Callable) -> None:
    pair, _ = pair_maker(3, axis=1)
    grid = stacked_grid(pair.grid, pair.axis)
    image = channels(pair)
    assert image.shape[1:] == grid.shape == pair.stack(pair.mask).shape
    assert np.array_equal(image[2], pair.stack(pair.difference))
    assert (image[:, ~pair.stack(pair.mask)] == 0).all()
    for k, j, i in ((0, 0, 0), (30, 5, 7), (12, 9, 40)):
        point = pair.grid.index_to_point() @ (i, j, k, 1)
        moved = [n for axis, n in enumerate((k, j, i)) if axis != pair.axis]
        stacked = grid.index_to_point() @ (moved[1], moved[0], (k, j, i)[pair.axis], 1)
        assert np.allclose(point, stacked)


def test_slices_that_a_teacher_failed_on_are_ignored_and_the_rest_is_marked_as_pseudo(study_folder: Path) -> None:
    with Study.open(study_folder, reader="tests") as study:
        dataset = written(study, PseudoLabels(study, "tests"))
        values = labels_of(study, dataset, "a1")
        pseudo = read_pseudo(study, "tests", "a1")
        record = read_record(WorkFolder.pretraining(study.folder).raw)
    assert pseudo is not None and record is not None
    assert (values[0] == IGNORE).all()
    assert np.array_equal(values[1:], pseudo.probability[1:] >= 0.5)
    told = record["cases"][0]
    assert told["read"] == [] and told["ignored"] == [0] and told["pseudo"] == list(range(1, 10))


def test_pixels_of_which_the_teacher_is_not_confident_are_ignored(study_folder: Path) -> None:
    with Study.open(study_folder, reader="tests") as study:
        values = labels_of(study, written(study, PseudoLabels(study, "tests", above=0.8)), "c1")
        pseudo = read_pseudo(study, "tests", "c1")
    assert pseudo is not None
    assert np.array_equal(values == IGNORE, pseudo.confidence < 0.8)


def test_unread_slices_equivocal_spots_and_classes_not_covered_are_ignored(
    study_folder: Path,
) -> None:
    with Study.open(study_folder, reader="tests") as study:
        new, vanished = np.zeros((40, 44), np.uint8), np.zeros((40, 44), np.uint8)
        new[10:14, 10:14], new[20:24, 20:24], vanished[5:8, 5:8] = 2, 5, 1
        study.answers.save(NewAnswer("c1", 3, "mask", new, reader="tests"))
        study.answers.save(NewAnswer("c1", 4, "nothing", reader="tests"))
        study.answers.save(NewAnswer("c1", 5, "equivocal", vanished, reader="tests"))
        study.answers.save(NewAnswer("c1", 6, "skip", reader="tests"))
        study.answers.save(NewAnswer("d1", 3, "mask", new, reader="tests"))
        source = ReadLabels(study, study.answers.highest_id())
        labels = source.labels(replace(study.cases.get("c1"), covered=(2,)))
        assert source.key(study.cases.get("a1")) is None
        dataset = written(study, source)
    assert labels.read == (3, 4, 5)
    assert set(np.unique(labels.values[[0, 1, 2, 6, 7, 8, 9]])) == {IGNORE}
    assert (labels.values[3, 10:14, 10:14] == 1).all() and (labels.values[3, 20:24, 20:24] == IGNORE).all()
    assert (labels.values[4] == 0).all()
    assert (labels.values[5, 5:8, 5:8] == IGNORE).all() and (labels.values[5] == IGNORE).sum() == 9
    assert {member.case for member in dataset.members} == {"c1", "d1"}


def test_opinions_fill_unread_slices_only_and_never_those_of_subjects_set_aside(
    study_folder: Path, reader: Callable
) -> None:
    with Study.open(study_folder, reader="tests") as study:
        reader(study, "c1", 4)
        reader(study, "e1", 4)
        assert study.cases.get("e1").split == "validation"
        source = ReadLabels(study, study.answers.highest_id(), PseudoLabels(study, "tests", 0.9))
        mixed, aside = source.labels(study.cases.get("c1")), source.labels(study.cases.get("e1"))
    assert mixed.read == (4,) and set(mixed.pseudo) == set(range(10)) - {4}
    assert not (mixed.values[4] == IGNORE).any()
    assert aside.pseudo == () and (aside.values[[0, 1, 2, 3, 5]] == IGNORE).all()


def test_the_same_labels_are_written_once_and_others_anew(study_folder: Path) -> None:
    def never(sentence: str, done: int, total: int) -> None:
        raise AssertionError("it was written again")

    with Study.open(study_folder, reader="tests") as study:
        first = written(study, PseudoLabels(study, "tests"))
        assert written(study, PseudoLabels(study, "tests"), progress=never) == first
        assert written(study, PseudoLabels(study, "tests", above=0.7)).key != first.key


def test_a_data_set_that_was_cancelled_counts_as_not_made(study_folder: Path) -> None:
    with Study.open(study_folder, reader="tests") as study:
        with pytest.raises(Cancelled):
            written(study, PseudoLabels(study, "tests"), cancelled=lambda: True)
        assert read_record(WorkFolder.pretraining(study.folder).raw) is None


def test_splits_hold_out_whole_subjects_and_never_learn_from_those_set_aside(study_folder: Path) -> None:
    with Study.open(study_folder, reader="tests") as study:
        dataset = written(study, PseudoLabels(study, "tests"))
        folder = WorkFolder.pretraining(study.folder).raw
    by_id = {member.id: member for member in dataset.members}
    assert json.loads((folder / "splits_final.json").read_text()) == list(dataset.splits)
    for split in (*dataset.splits, *fold_splits(dataset.members, 3)):
        learned, held = ({by_id[name].subject for name in split[side]} for side in ("train", "val"))
        assert not learned & held and learned | held == {"a", "b", "c", "d", "e"}
        assert "e" in held and len(split["train"]) + len(split["val"]) == 6
    held_out = [
        name for split in fold_splits(dataset.members, 3) for name in split["val"] if by_id[name].subject != "e"
    ]
    assert sorted(held_out) == sorted(name for name, one in by_id.items() if one.subject != "e")


def test_every_fold_has_change_to_learn_from() -> None:
    members = [Member(f"c{n}", f"c{n}", f"s{n}", "train", n in (0, 2)) for n in range(4)]
    by_id = {member.id: member for member in members}
    for split in fold_splits(members, 2):
        assert any(by_id[name].change for name in split["train"])


@pytest.mark.parametrize(
    ("subjects", "change", "words"),
    [(1, True, "takes two"), (2, False, "fewer than two subjects")],
)
def test_folds_that_cannot_be_made_are_refused_with_a_sentence(subjects: int, change: bool, words: str) -> None:
    members = [Member(f"c{n}", f"c{n}", f"s{n}", "train", change) for n in range(subjects)]
    with pytest.raises(BadInput, match=words):
        fold_splits(members, 5)


def test_a_study_of_one_subject_is_refused_with_a_sentence() -> None:
    members = [Member("c0", "a1", "a", "train", True), Member("c1", "a2", "a", "train", True)]
    with pytest.raises(BadInput, match="takes two"):
        one_split(members)


def test_labels_without_any_change_are_refused_with_a_sentence() -> None:
    members = [Member(f"c{n}", f"c{n}", f"s{n}", "train", False) for n in range(3)]
    with pytest.raises(BadInput, match="no change in any subject"):
        one_split(members)


def test_cases_without_brain_are_left_out_and_a_study_of_none_else_is_refused(
    study_folder: Path, case_adder: Callable, pair_maker: Callable
) -> None:
    pair, _ = pair_maker(9)
    empty = replace(pair, mask=np.zeros_like(pair.mask))
    with Study.open(study_folder, reader="tests") as study:
        case_adder(study, "f1", "f", empty)
        study.answers.save(NewAnswer("f1", 2, "nothing", reader="tests"))
        with pytest.raises(BadInput, match="f1: no brain was found"):
            written(study, ReadLabels(study, study.answers.highest_id()))
        for case in ("c1", "d1"):
            mask = np.ones((40, 44), np.uint8)
            study.answers.save(NewAnswer(case, 4, "mask", mask, reader="tests"))
        found = written(study, ReadLabels(study, study.answers.highest_id()))
    assert found.left_out == {"f1": "no brain was found in it"}


def test_a_study_without_labels_is_refused_with_a_sentence(study_folder: Path) -> None:
    with Study.open(study_folder, reader="tests") as study, pytest.raises(BadInput, match="no case has labels"):
        written(study, PseudoLabels(study, "nobody"))


def test_paths_stay_under_200_characters_in_the_longest_study() -> None:
    work = WorkFolder.finetuning(Path("/" + "x" * 109))
    longest = work.fold("3d_fullres", 4) / ".checkpoint_latest.pth"
    assert len(str(longest)) < 200
    assert len(str(work.preprocessed / "lmial_3d_fullres" / "c9999_seg.b2nd")) < 200
