"""Damage is found, and a backup is the study again."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
import pytest

from LMIALLib.errors import BadInput
from LMIALLib.study import NewAnswer, StoredRanking, Study
from LMIALLib.study.backup import write_backup
from LMIALLib.study.checks import check_study


@pytest.fixture
def full_study(study: Study, spot: np.ndarray, tmp_path: Path) -> Study:
    """A study with a model, a ranking and annotations."""
    weights = tmp_path / "weights"
    weights.write_bytes(b"0" * 100)
    study.models.add(weights, id="m0", adopted=True)
    number = study.rankings.store(StoredRanking({"strategy": "entropy"}, {}, {"a": np.arange(6.0)}, 0))
    study.answers.save(NewAnswer("a", 2, "mask", spot, reader="r", ranking=number, query_rank=1))
    study.answers.save(NewAnswer("a", 4, "nothing", reader="r"))
    return study


def edit(study: Study, statement: str) -> None:
    """Damage a row behind the study's back."""
    for trigger in ("annotations_are_never_overwritten", "events_stay"):
        study.database._connection.execute(f"DROP TRIGGER IF EXISTS {trigger}")
    study.database._connection.execute("PRAGMA foreign_keys = OFF")
    study.database._connection.execute(statement)


def test_a_whole_study_has_no_problem(full_study: Study) -> None:
    assert check_study(full_study) == ()


@pytest.mark.parametrize(
    ("statement", "says"),
    [
        ("UPDATE annotations SET mask = x'00' WHERE slice = 2", "damaged"),
        ("UPDATE annotations SET mask_digest = 'x' WHERE slice = 2", "not what was saved"),
        ("UPDATE annotations SET rows = 10, columns = 8 WHERE slice = 2", r"shape \(10, 8\)"),
        ("UPDATE annotations SET mask = NULL WHERE slice = 2", "no mask is stored"),
        ("UPDATE annotations SET slice = 99 WHERE slice = 2", "no slice 99"),
        ("UPDATE annotations SET ranking = 77 WHERE slice = 2", "is missing"),
        ("UPDATE ranking_scores SET scores = x'0011'", "cannot be read"),
        ("UPDATE rankings SET ranking = '{'", "cannot be read"),
        ("UPDATE files SET digest = 'x' WHERE path LIKE 'models/%'", "not the one that was stored"),
    ],
)
def test_damaged_rows_are_found(full_study: Study, statement: str, says: str) -> None:
    edit(full_study, statement)
    problems = check_study(full_study)
    assert len(problems) == 1
    with pytest.raises(AssertionError, match=says):
        raise AssertionError(problems[0].sentence)


def test_damaged_and_missing_files_are_found(full_study: Study) -> None:
    (full_study.folder / "cases" / "a" / "pair-1" / "mask.nrrd").unlink()
    volume = full_study.folder / "cases" / "a" / "pair-1" / "baseline.nrrd"
    content = bytearray(volume.read_bytes())
    content[-10] ^= 1
    volume.write_bytes(content)
    found = {problem.where.rpartition("/")[2]: problem.sentence for problem in check_study(full_study)}
    assert found.keys() == {"mask.nrrd", "baseline.nrrd"}
    assert "missing" in found["mask.nrrd"]


def test_a_backup_unzips_into_the_same_study(full_study: Study, tmp_path: Path) -> None:
    maps = full_study.folder / "maps" / "m0"
    maps.mkdir(parents=True)
    (maps / "x.nrrd").write_text("derivable")
    file = write_backup(full_study, tmp_path / "copy.zip")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["copy.zip", "study", "weights"]
    full_study.answers.save(NewAnswer("a", 5, "nothing", reader="later"))
    with zipfile.ZipFile(file) as archive:
        archive.extractall(tmp_path / "restored")
    with Study.open(tmp_path / "restored") as again:
        assert not again.read_only, "the lease of the study that was copied means nothing here"
        assert check_study(again) == ()
        assert again.answers.current("a").keys() == {2, 4}
        assert again.study_id == full_study.study_id
        assert again.cases.load_pair("a").digest() == full_study.cases.load_pair("a").digest()
        model = again.models.in_use()
        assert model is not None
        assert again.models.path(model.id).is_file()
        assert not (again.folder / "maps").exists()


def opinion(folder: Path) -> None:
    """Volumes and their record, as teachers and ensembles leave them; a temporary file of somebody who writes."""
    folder.mkdir(parents=True)
    for name in ("probability.nrrd", ".tmp-1234.nrrd", "pseudo.json"):
        (folder / name).write_text(name)


def test_a_backup_holds_opinions_that_cannot_be_had_again(full_study: Study, tmp_path: Path) -> None:
    full_study.models.add(full_study.models.path("m0"), id="nnunet-2d-1234")
    kept = ["pseudo/sam/a/pair-1", "maps/nnunet-2d-1234/a/pair-1", "maps/pseudo-sam/a/pair-1"]
    left = ["maps/m0/a/pair-1", "nnunet/raw", "embeddings/mae"]
    for folder in (*kept, *left):
        opinion(full_study.folder / folder)
    for name in ("pipeline.json", "core-set.html"):
        (full_study.folder / name).write_text(name)
    with zipfile.ZipFile(write_backup(full_study, tmp_path / "copy.zip")) as archive:
        names = archive.namelist()
        assert archive.read("pseudo/sam/a/pair-1/pseudo.json") == b"pseudo.json"
    beside = {name for name in names if not name.startswith(("cases/", "models/", "study.sqlite"))}
    files = {f"{folder}/{name}" for folder in kept for name in ("probability.nrrd", "pseudo.json")}
    assert beside == files | {"pipeline.json", "core-set.html"}


def test_a_backup_never_pairs_a_record_with_volumes_of_another_time(
    full_study: Study, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place, write = full_study.folder / "pseudo" / "sam" / "a" / "pair-1", zipfile.ZipFile.write
    opinion(place)

    def made_anew_meanwhile(archive: zipfile.ZipFile, file: Path, *words: object) -> None:
        write(archive, file, *words)
        if Path(file).parent == place:
            (place / "pseudo.json").write_text("more slices are done")

    monkeypatch.setattr(zipfile.ZipFile, "write", made_anew_meanwhile)
    with zipfile.ZipFile(write_backup(full_study, tmp_path / "copy.zip")) as archive:
        assert "pseudo/sam/a/pair-1/pseudo.json" not in archive.namelist()
        assert "pseudo/sam/a/pair-1/probability.nrrd" in archive.namelist()


def test_a_backup_holds_what_was_removed(full_study: Study, tmp_path: Path) -> None:
    kept = full_study.cases.remove("a")
    with zipfile.ZipFile(write_backup(full_study, tmp_path / "copy.zip")) as archive:
        assert f"removed/{kept.name}/annotations.json" in archive.namelist()


def test_a_backup_is_never_half(full_study: Study, tmp_path: Path) -> None:
    (full_study.folder / "cases" / "a" / "pair-1" / "mask.nrrd").unlink()
    with pytest.raises(BadInput, match=r"mask.nrrd is missing"):
        write_backup(full_study, tmp_path / "copy.zip")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["study", "weights"]


@pytest.mark.parametrize("name", ["copy.tar", "taken.zip", "nowhere/copy.zip"])
def test_a_backup_replaces_nothing(full_study: Study, tmp_path: Path, name: str) -> None:
    (tmp_path / "taken.zip").write_text("mine")
    with pytest.raises(BadInput, match=r"backup|exist"):
        write_backup(full_study, tmp_path / name)
    assert (tmp_path / "taken.zip").read_text() == "mine"
