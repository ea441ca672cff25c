"""Ctrl-C and a failing disk at the worst moments of a save: rows keep their files, and what is claimed is true."""

from __future__ import annotations

import os
import shutil
import signal
import sqlite3
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from LMIALLib import files
from LMIALLib.errors import BadInput
from LMIALLib.pairs.storage import save_pair
from LMIALLib.study import NewAnswer, Study, cases, database, leftovers, removal
from LMIALLib.study.backup import write_backup
from LMIALLib.study.checks import check_study
from LMIALLib.study.database import SaveNotConfirmed, StudyDatabase


class Connection:
    """A study's connection at which something happens right before or right after a statement."""

    def __init__(
        self, real: sqlite3.Connection, at: str, before: Callable[[], None], after: Callable[[], None]
    ) -> None:
        self._real, self._at, self._before, self._after = real, at, before, after

    def execute(self, statement: str, *values: Any) -> Any:
        hit = statement.startswith(self._at)
        if hit:
            self._before()
        done = self._real.execute(statement, *values)
        if hit:
            self._after()
        return done

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)


def nothing() -> None:
    """Let it be."""


def ctrl_c() -> None:
    """A real SIGINT to this process."""
    os.kill(os.getpid(), signal.SIGINT)


def disk_fault() -> None:
    """What SQLite reports when the flush fails that follows the journal's truncation, the moment of commit."""
    fault = sqlite3.OperationalError("disk I/O error")
    fault.sqlite_errorcode = sqlite3.SQLITE_IOERR
    raise fault


def put_case(study: Study, make_pair: Callable) -> None:
    staged = study.cases.stage("b")
    save_pair(make_pair(), staged / "pair-1")
    try:
        study.cases.add("b", staged)
    finally:
        study.cases.drop_staged(staged)


def put_pair(study: Study, make_pair: Callable) -> None:
    staged = study.cases.stage_pair("a")
    save_pair(make_pair(), staged)
    try:
        study.cases.add_pair("a", staged)
    finally:
        study.cases.drop_staged(staged)


def put_model(study: Study, make_pair: Callable) -> None:
    weights = study.folder.parent / "weights"
    weights.write_bytes(b"weights")
    study.models.add(weights, id="m1", adopted=True)


def put_truth(study: Study, make_pair: Callable) -> None:
    study.truths.write("a", np.zeros((6, 8, 10), np.uint8))


def put_answer(study: Study, make_pair: Callable) -> None:
    study.answers.save(NewAnswer("a", 3, "nothing", reader="r"))


def take_case(study: Study, make_pair: Callable) -> None:
    study.cases.remove("a")


OPERATIONS = [put_case, put_pair, put_model, put_truth, put_answer, take_case]


def counts(study: Study) -> tuple[int, ...]:
    tables = ("cases", "pairs", "files", "models", "annotations", "events")
    return tuple(study.database.rows(f"SELECT count(*) AS n FROM {table}")[0]["n"] for table in tables)


def check_whole(folder: Path) -> None:
    """Rows have their files, files have their rows, and nothing temporary is left, once the study was opened again."""
    with Study.open(folder) as again:
        assert not again.read_only and not check_study(again)
        assert leftovers.strays(again.database, "cases") == []
        assert leftovers.strays(again.database, "models") == []
        assert not [one for one in folder.rglob("*") if one.name.startswith((".tmp-", ".staging-"))]
        for kept in (folder / "removed").glob("a-*"):
            assert (kept / "case").is_dir() and (kept / "annotations.json").is_file()
        removed = [event.details["kept"] for event in again.log.events() if event.kind == "case removed"]
        assert removed == [one.name for one in (folder / "removed").glob("a-*")]


@pytest.fixture
def small(study: Study) -> Study:
    """The small study, with one answer."""
    study.answers.save(NewAnswer("a", 1, "nothing", reader="r"))
    return study


@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize(
    ("moment", "at"), [("before", "BEGIN"), ("after", "BEGIN"), ("before", "COMMIT"), ("after", "COMMIT")]
)
def test_ctrl_c_around_a_commit_loses_nothing(
    small: Study, make_pair: Callable, operation: Callable, moment: str, at: str
) -> None:
    """Held until it is decided: then the change is there as a whole, with its files, and Ctrl-C does its work."""
    before = counts(small)
    happens = {"before": nothing, "after": nothing, moment: ctrl_c}
    fired: list[str] = []

    def once(do: Callable[[], None]) -> Callable[[], None]:
        def act() -> None:
            # the first transaction only looks whether it may
            if do is ctrl_c and not fired and small.database._outcome_wanted:
                fired.append(at)
                do()

        return act

    small.database._outcome_wanted = True  # type: ignore[attr-defined]
    if operation in (put_case, put_pair, put_model, put_truth):
        small.database._outcome_wanted = False  # type: ignore[attr-defined]
        begun: list[None] = []
        real = StudyDatabase._running

        def second(self: StudyDatabase) -> Any:
            begun.append(None)
            self._outcome_wanted = len(begun) > 1  # type: ignore[attr-defined]
            return real(self)

        small.database._running = second.__get__(small.database)  # type: ignore[method-assign]
    before_it, after_it = once(happens["before"]), once(happens["after"])
    small.database._connection = Connection(small.database._connection, at, before_it, after_it)  # type: ignore[assignment]
    with pytest.raises(KeyboardInterrupt):
        operation(small, make_pair)
    assert fired == [at]
    assert counts(small) != before, "held until the commit was made"
    small.close()
    check_whole(small.folder)


@pytest.mark.parametrize("operation", OPERATIONS)
def test_ctrl_c_before_the_transaction_leaves_everything_as_it_was(
    small: Study, make_pair: Callable, operation: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = counts(small)

    def stop(self: StudyDatabase, **_: object) -> Any:
        ctrl_c()
        raise AssertionError("the signal comes before this")

    monkeypatch.setattr(StudyDatabase, "transaction", stop)
    with pytest.raises(KeyboardInterrupt):
        operation(small, make_pair)
    monkeypatch.undo()
    assert counts(small) == before
    small.close()
    check_whole(small.folder)


@pytest.mark.parametrize("operation", OPERATIONS)
def test_a_flush_that_fails_after_the_commit_is_told_as_it_is(
    small: Study, make_pair: Callable, operation: Callable
) -> None:
    before = counts(small)
    armed: list[int] = []
    first = operation in (put_answer, take_case)

    def fault() -> None:
        armed.append(1)
        if len(armed) == (1 if first else 2):
            disk_fault()

    small.database._connection = Connection(small.database._connection, "COMMIT", nothing, fault)  # type: ignore[assignment]
    with pytest.raises(SaveNotConfirmed, match="what was saved is there now"):
        operation(small, make_pair)
    assert counts(small) != before
    small.drafts.save(small.cases.all()[0].name, 2, np.zeros((8, 10), np.uint8), "r") if small.cases.all() else None
    small.close()
    check_whole(small.folder)


@pytest.mark.parametrize("operation", OPERATIONS)
def test_a_flush_that_fails_before_the_commit_is_told_and_undone(
    small: Study, make_pair: Callable, operation: Callable
) -> None:
    before = counts(small)
    armed: list[int] = []
    first = operation in (put_answer, take_case)

    def fault() -> None:
        armed.append(1)
        if len(armed) == (1 if first else 2):
            disk_fault()

    small.database._connection = Connection(small.database._connection, "COMMIT", fault, nothing)  # type: ignore[assignment]
    with pytest.raises(BadInput, match="nothing was saved") as told:
        operation(small, make_pair)
    assert not isinstance(told.value, SaveNotConfirmed)
    assert counts(small) == before
    operation(small, make_pair)  # the connection was opened anew: the next try succeeds
    small.close()
    check_whole(small.folder)


def test_a_database_that_is_gone_is_told_as_unknown_and_no_file_is_removed(small: Study, make_pair: Callable) -> None:
    armed: list[int] = []

    def gone() -> None:
        armed.append(1)
        if len(armed) == 2:
            shutil.move(small.folder / "study.sqlite", small.folder / "aside")
            disk_fault()

    small.database._connection = Connection(small.database._connection, "COMMIT", nothing, gone)  # type: ignore[assignment]
    with pytest.raises(SaveNotConfirmed, match="shows when the study is next opened"):
        put_pair(small, make_pair)
    shutil.move(small.folder / "aside", small.folder / "study.sqlite")
    small.close()
    check_whole(small.folder)
    with Study.open(small.folder) as again:
        assert again.cases.get("a").pair_number == 2 and again.cases.load_pair("a")


def test_a_journal_that_cannot_be_read_after_a_failed_save_hides_nothing(
    small: Study, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise BadInput(f"{small.folder}/study.sqlite-journal: it cannot be read (Input/output error).")

    before = len(small.answers.all())

    def fault() -> None:
        monkeypatch.setattr(database, "connect_to_write", broken)
        disk_fault()

    small.database._connection = Connection(small.database._connection, "COMMIT", nothing, fault)  # type: ignore[assignment]
    with pytest.raises(SaveNotConfirmed, match="shows when the study is next opened"):
        small.answers.save(NewAnswer("a", 1, "nothing", reader="anna"))
    monkeypatch.undo()
    assert len(small.answers.all()) == before + 1, "it was saved, and nobody was told that it was not"


def test_ctrl_c_that_zipfile_cannot_close_after_is_still_ctrl_c(small: Study, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(zipfile._ZipWriteFile, "__init__", interrupted)  # type: ignore[attr-defined]
    with pytest.raises(KeyboardInterrupt):
        write_backup(small, small.folder.parent / "backup.zip")
    assert not (small.folder.parent / "backup.zip").exists()


@pytest.mark.parametrize("step", ["before the rename", "before the case"])
def test_a_removal_that_was_killed_is_finished_at_the_next_opening(
    small: Study, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    class Killed(BaseException):
        """Stands for SIGKILL: nothing after it runs."""

    calls: list[Path] = []

    def kill(source: Path, target: Path) -> None:
        calls.append(source)
        if len(calls) == (1 if step == "before the rename" else 2):
            raise Killed
        files.rename(source, target)

    monkeypatch.setattr(removal, "rename", kill)
    with pytest.raises(Killed):
        small.cases.remove("a")
    monkeypatch.undo()
    small.close()
    check_whole(small.folder)
    assert len(list((small.folder / "removed").iterdir())) == 1


def test_strays_of_a_killed_session_are_swept(small: Study) -> None:
    """What has no row: a trained model, a pair, temporary files anywhere, a removal that was not committed."""
    folder = small.folder
    small.close()
    (folder / "models" / "model-001-abcd.safetensors").write_bytes(b"trained")
    (folder / "models" / ".tmp-1234.safetensors").write_bytes(b"half")
    shutil.copytree(folder / "cases" / "a" / "pair-1", folder / "cases" / "a" / "pair-2")
    (folder / "cases" / "a" / "pair-1" / ".tmp-0000.nrrd").write_bytes(b"half")
    (folder / "cases" / "a" / "lesions.lock").touch()
    (folder / "cases" / "a" / "truth.nrrd").write_bytes(b"never acknowledged")
    (folder / "removed" / ".tmp-a-20260101T000000000Z").mkdir(parents=True)
    check_whole(folder)
    kept = sorted(one.name for one in (folder / "removed").rglob("*") if one.is_file())
    assert kept == ["baseline.nrrd", "follow_up.nrrd", "mask.nrrd", "model-001-abcd.safetensors", "registration.json",
                    "truth.nrrd"]  # fmt: skip
    assert not (folder / "cases" / "a" / "pair-2").exists()


def test_a_backup_takes_away_what_a_killed_one_left(small: Study, tmp_path: Path) -> None:
    left = tmp_path / ".lmial-backup-999999999-abcd"
    left.mkdir()
    (left / "half.zip").write_bytes(b"half")
    mine = tmp_path / f".lmial-backup-{os.getpid()}-abcd"
    mine.mkdir()
    write_backup(small, tmp_path / "b.zip")
    assert not left.exists() and mine.exists()


def test_renames_wait_for_programs_that_hold_a_file_under_windows(
    small: Study, make_pair: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Windows refuses to rename what somebody holds open: a scanner for a moment, or this very process (see below)."""
    tries: list[Path] = []

    def scanned(source: Path, target: Path) -> None:
        tries.append(source)
        if len(tries) % 3:
            raise PermissionError(13, "The process cannot access the file", str(source))
        shutil.move(source, target) if Path(source).is_dir() else real(source, target)

    real = os.replace
    monkeypatch.setattr(files, "_WINDOWS", True)
    monkeypatch.setattr(files.os, "replace", scanned)
    for operation in OPERATIONS:
        operation(small, make_pair)
    monkeypatch.undo()
    assert len(tries) >= 9
    small.close()
    check_whole(small.folder)


def held_open(place: Path) -> list[str]:
    """Files at or below ``place`` that this process or a child of it holds open (Linux)."""
    mine = {str(os.getpid())}
    for process in Path("/proc").iterdir():
        if process.name.isdigit():
            try:
                parent = (process / "stat").read_text().rpartition(")")[2].split()[1]
            except OSError:
                continue
            if parent in mine:
                mine.add(process.name)
    found = []
    for number in mine:
        for descriptor in [*Path(f"/proc/{number}/fd").iterdir(), Path(f"/proc/{number}/cwd")]:
            try:
                target = descriptor.readlink()
            except OSError:
                continue
            if target.is_relative_to(place):
                found.append(f"{number}: {target}")
    return found


@pytest.fixture
def rules_of_windows(monkeypatch: pytest.MonkeyPatch) -> None:
    """Renames refuse as under Windows: over an open file, of an open file, of a folder that holds one."""
    if not Path("/proc/self/fd").is_dir():
        pytest.skip("open files can be looked up on Linux only")
    real = os.replace

    def strict(source: Any, target: Any, **options: Any) -> None:
        for place in (Path(source), Path(target)):
            held = held_open(place.absolute())
            if held:
                raise PermissionError(13, f"held open: {held}", str(place))
        if Path(target).is_dir():
            raise PermissionError(13, "a folder is never replaced", str(target))
        real(source, target, **options)

    monkeypatch.setattr(os, "replace", strict)


@pytest.mark.usefixtures("rules_of_windows")
def test_no_rename_of_a_study_touches_an_open_file(tmp_path: Path, small: Study, make_pair: Callable) -> None:
    for operation in OPERATIONS:
        operation(small, make_pair)
    write_backup(small, tmp_path / "b.zip")
    small.close()
    check_whole(small.folder)


@pytest.mark.usefixtures("rules_of_windows")
def test_no_rename_of_a_new_study_touches_an_open_file(tmp_path: Path, phantom_folder: Path) -> None:
    """With a real worker: it may hold nothing of the study any more when the study gets its name."""
    from LMIALLib.loop.studies import new_study
    from LMIALLib.pairs.request import PairRequest

    pair = PairRequest(phantom_folder / "baseline.nii.gz", phantom_folder / "follow_up.nii.gz")
    new_study(tmp_path / "made", "head", pair)
    check_whole(tmp_path / "made")
    assert cases is not None
