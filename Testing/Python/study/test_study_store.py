"""Making and opening a study, in good and in bad places."""

from __future__ import annotations

import os
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from LMIALLib.errors import BadInput, NeedsConfirmation, WrongUse
from LMIALLib.study import LabelSchema, NewAnswer, Study, schema, store, versions
from LMIALLib.study.answer import Viewed
from LMIALLib.study.backup import write_backup
from LMIALLib.study.checks import check_study
from LMIALLib.study.status import status_of

NEWEST = schema.SCHEMA_VERSION


def test_a_new_study_opens_again_with_what_it_was_given(tmp_path: Path) -> None:
    folder = tmp_path / "a stüdy, 'quoted' #1?"
    with Study.create(folder, reader="reader-1") as made:
        first = made.study_id
        assert not made.read_only
        assert [event.kind for event in made.log.events()] == ["created"]
        assert made.label_schema == LabelSchema.default()
    with Study.open(folder) as again:
        assert again.study_id == first
        assert status_of(again).held_by
        assert not check_study(again)


def test_the_writing_connection_flushes_every_commit(study: Study) -> None:
    ask = study.database._connection.execute
    assert ask("PRAGMA synchronous").fetchone()[0] == 2  # FULL
    assert ask("PRAGMA journal_mode").fetchone()[0] == "truncate"  # a rollback journal whose end is flushed too
    assert ask("PRAGMA foreign_keys").fetchone()[0] == 1
    assert ask("PRAGMA busy_timeout").fetchone()[0] == 5000
    assert ask("PRAGMA user_version").fetchone()[0] == schema.SCHEMA_VERSION


@pytest.mark.parametrize("what", ["file", "not empty", "study", "too long"])
def test_create_refuses_a_folder_in_use(tmp_path: Path, what: str) -> None:
    folder = tmp_path / "place"
    if what == "file":
        folder.write_text("something")
    elif what == "not empty":
        folder.mkdir()
        (folder / "thesis.docx").write_text("something")
    elif what == "study":
        Study.create(folder).close()
    else:
        folder = tmp_path / ("long" * 60)
    with pytest.raises(BadInput, match=r"place|characters"):
        Study.create(folder)
    assert what == "study" or not (folder / "study.sqlite").exists()


def test_create_asks_before_it_uses_a_synced_folder(tmp_path: Path) -> None:
    folder = tmp_path / "OneDrive - Clinic" / "study"
    with pytest.raises(NeedsConfirmation, match="OneDrive - Clinic"):
        Study.create(folder)
    assert not folder.exists()
    with Study.create(folder, force=True) as study:
        assert "OneDrive" in status_of(study).warning


def test_open_refuses_what_is_no_study(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="is not a LMIAL study"):
        Study.open(tmp_path)
    (tmp_path / "study.sqlite").write_bytes(b"something else entirely, " * 100)
    with pytest.raises(BadInput, match="no SQLite database"):
        Study.open(tmp_path)
    (tmp_path / "study.sqlite").unlink()
    with closing(sqlite3.connect(tmp_path / "study.sqlite")) as other:
        other.execute("CREATE TABLE t (x)")
    for read_only in (False, True):
        with pytest.raises(BadInput, match="another program"):
            Study.open(tmp_path, read_only=read_only)


def test_a_damaged_database_is_a_sentence(tmp_path: Path) -> None:
    Study.create(tmp_path / "s").close()
    database = tmp_path / "s" / "study.sqlite"
    content = database.read_bytes()
    database.write_bytes(content[:4096] + os.urandom(len(content) - 4096))
    with pytest.raises(BadInput, match=r"damaged|refused"):
        Study.open(tmp_path / "s")


def test_a_study_of_a_newer_version_is_refused_and_untouched(tmp_path: Path) -> None:
    Study.create(tmp_path / "s").close()
    database = tmp_path / "s" / "study.sqlite"
    with closing(sqlite3.connect(database)) as connection:
        connection.execute(f"PRAGMA user_version = {schema.SCHEMA_VERSION + 1}")
    before = database.read_bytes()
    for read_only in (False, True):
        with pytest.raises(BadInput, match="newer LMIAL"):
            Study.open(tmp_path / "s", read_only=read_only)
    assert database.read_bytes() == before


def test_an_older_study_is_upgraded_and_a_copy_kept(study: Study, monkeypatch: pytest.MonkeyPatch) -> None:
    study.answers.save(NewAnswer("a", 1, "nothing", reader="r"))
    study.close()
    with monkeypatch.context() as later:
        later.setattr(schema, "SCHEMA_VERSION", NEWEST + 1)
        later.setattr(schema, "PAST", {**schema.PAST, NEWEST: schema.TABLES})
        later.setattr(
            schema,
            "MIGRATIONS",
            {**schema.MIGRATIONS, NEWEST: "CREATE TABLE extra (x); INSERT INTO extra VALUES (';');"},
        )
        before = (study.folder / "study.sqlite").read_bytes()
        with Study.open(study.folder, read_only=True) as look:  # upgraded in memory only
            assert look.answers.current("a").keys() == {1} and look.database.rows("SELECT x FROM extra")[0]["x"] == ";"
        assert (study.folder / "study.sqlite").read_bytes() == before
        with Study.open(study.folder) as upgraded:
            assert upgraded.database.rows("SELECT x FROM extra")[0]["x"] == ";"
            assert upgraded.answers.current("a").keys() == {1}
        assert (study.folder / f"study-before-v{NEWEST + 1}.sqlite").is_file()
        Study.open(study.folder, read_only=True).close()
    shutil.copyfile(study.folder / f"study-before-v{NEWEST + 1}.sqlite", study.folder / "study.sqlite")
    with Study.open(study.folder) as old:
        assert old.answers.current("a").keys() == {1}


def test_a_study_of_the_first_version_opens_for_looking_and_for_answers(study: Study) -> None:
    study.answers.save(NewAnswer("a", 1, "nothing", reader="r"))
    study.close()
    database = study.folder / "study.sqlite"
    with closing(sqlite3.connect(database)) as connection:  # what LMIAL made before it stored what was on the screen
        gone = "".join(f"DROP TABLE {one};" for one in ("viewed", "sweeps", "patients", "lesion_answers"))
        connection.executescript(f"{gone} PRAGMA user_version = 1;")
    before = database.read_bytes()
    with Study.open(study.folder, read_only=True) as look:
        assert (
            look.answers.current("a")[1].viewed_share is None
            and look.answers.viewed_of(look.answers.current("a")[1]) is None
        )
    assert database.read_bytes() == before
    with Study.open(study.folder) as again:
        seen = np.zeros(again.cases.get("a").slice_shape, dtype=bool)
        seen[2:4, 3:5] = True
        again.answers.save(NewAnswer("a", 2, "nothing", reader="r", viewed=Viewed(seen, 0.25)))
        assert again.answers.current("a")[2].viewed_share == 0.25
        assert np.array_equal(again.answers.viewed_of(again.answers.current("a")[2]), seen)
        with pytest.raises(BadInput, match="what was on the screen"):
            again.answers.save(NewAnswer("a", 3, "nothing", reader="r", viewed=Viewed(seen[1:], 0.25)))
        assert not check_study(again)
    assert (study.folder / f"study-before-v{NEWEST}.sqlite").is_file()


def test_an_upgrade_that_fails_leaves_the_study_as_it_was(study: Study, monkeypatch: pytest.MonkeyPatch) -> None:
    study.close()
    with monkeypatch.context() as later:
        later.setattr(schema, "SCHEMA_VERSION", NEWEST + 1)
        later.setattr(schema, "PAST", {**schema.PAST, NEWEST: schema.TABLES})
        later.setattr(
            schema,
            "MIGRATIONS",
            {**schema.MIGRATIONS, NEWEST: "CREATE TABLE extra (x); INSERT INTO missing VALUES (1);"},
        )
        with pytest.raises(BadInput, match="could not be upgraded"):
            Study.open(study.folder)
    with Study.open(study.folder) as again:
        assert not check_study(again)
        assert not again.database.rows("SELECT 1 FROM sqlite_master WHERE name = 'extra'")


def test_an_upgrade_may_make_a_table_anew_and_its_rows_keep_what_belongs_to_them(
    study: Study, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a new kind of answer needs it: SQLite cannot change what it checks of a column in any other way."""
    seen = np.ones(study.cases.get("a").slice_shape, dtype=bool)
    study.answers.save(NewAnswer("a", 1, "nothing", reader="r", viewed=Viewed(seen, 1.0)))
    made, trigger = (
        study.database.rows("SELECT sql FROM sqlite_master WHERE type = ? AND tbl_name = 'annotations'", (kind,))[0][0]
        for kind in ("table", "trigger")
    )
    wider = made.replace("TABLE annotations", "TABLE annotations_new").replace("'skip',", "'skip', 'blurred',")
    swap = "INSERT INTO annotations_new SELECT * FROM annotations; DROP TABLE annotations;"
    back = "ALTER TABLE annotations_new RENAME TO annotations;"
    study.close()
    with monkeypatch.context() as later:
        later.setattr(schema, "SCHEMA_VERSION", NEWEST + 1)
        later.setattr(schema, "PAST", {**schema.PAST, NEWEST: schema.TABLES})
        later.setattr(schema, "MIGRATIONS", {**schema.MIGRATIONS, NEWEST: f"{wider}; {swap} {back} {trigger};"})
        with Study.open(study.folder) as upgraded:
            assert upgraded.answers.current("a")[1].viewed_share == 1.0
            assert "blurred" in upgraded.database.rows("SELECT sql FROM sqlite_master WHERE name = 'annotations'")[0][0]
            assert upgraded.database.rows("PRAGMA foreign_keys")[0][0] == 1 and not check_study(upgraded)
    shutil.copyfile(study.folder / f"study-before-v{NEWEST + 1}.sqlite", study.folder / "study.sqlite")
    with monkeypatch.context() as later:
        later.setattr(schema, "SCHEMA_VERSION", NEWEST + 1)
        later.setattr(schema, "PAST", {**schema.PAST, NEWEST: schema.TABLES})
        later.setattr(schema, "MIGRATIONS", {**schema.MIGRATIONS, NEWEST: "DELETE FROM cases;"})
        with pytest.raises(BadInput, match="would belong to nothing"):
            Study.open(study.folder)
    with Study.open(study.folder) as again:
        assert again.answers.current("a").keys() == {1}


def test_a_read_only_study_is_looked_at_and_refuses_to_save(study: Study, tmp_path: Path) -> None:
    study.answers.save(NewAnswer("a", 1, "nothing", reader="r"))
    study.close()
    with Study.open(study.folder, read_only=True) as look:
        assert look.read_only
        assert look.answers.current("a").keys() == {1}
        assert look.cases.load_pair("a").n_slices == 6
        assert write_backup(look, tmp_path / "b.zip").is_file()
        for attempt in (
            lambda: look.answers.save(NewAnswer("a", 2, "nothing", reader="r")),
            lambda: look.cases.stage("b"),
            lambda: look.cases.remove("a"),
            lambda: look.answers.take_back("a", 1, "r"),
        ):
            with pytest.raises(BadInput, match="reading only"):
                attempt()
        assert not list((study.folder / "cases").glob(".staging*"))


def test_a_folder_without_write_permission_opens_read_only(study: Study, monkeypatch: pytest.MonkeyPatch) -> None:
    study.close()
    may = os.access
    monkeypatch.setattr(store.os, "access", lambda path, mode: mode != os.W_OK and may(path, mode))
    with Study.open(study.folder) as look:
        assert look.read_only
        assert "may not be written to" in str(look.why_read_only)
        assert not check_study(look)


@pytest.mark.parametrize("writable", [True, False])
def test_looking_right_after_a_crash_sees_the_last_whole_state(
    study: Study, monkeypatch: pytest.MonkeyPatch, writable: bool
) -> None:
    study.answers.save(NewAnswer("a", 1, "nothing", reader="r"))
    study.close()
    crashed = study.folder.parent / "crashed"
    with closing(sqlite3.connect(study.folder / "study.sqlite", isolation_level=None)) as dying:
        dying.execute("PRAGMA cache_size = 1")  # forces changed pages and a hot journal onto the disk before the commit
        dying.execute("BEGIN IMMEDIATE")
        dying.execute("CREATE TABLE big (x)")
        for _ in range(50):
            dying.execute("INSERT INTO big VALUES (randomblob(4000))")
        assert (study.folder / "study.sqlite-journal").stat().st_size > 0
        shutil.copytree(study.folder, crashed)
        dying.execute("ROLLBACK")
    if not writable:
        may = os.access
        monkeypatch.setattr(store.os, "access", lambda path, mode: mode != os.W_OK and may(path, mode))
        hot = (crashed / "study.sqlite-journal").read_bytes()
    with Study.open(crashed, read_only=True) as look:
        assert look.answers.current("a").keys() == {1}
        assert not check_study(look)
    if not writable:
        assert (crashed / "study.sqlite-journal").read_bytes() == hot


def test_a_closed_study_says_so(study: Study) -> None:
    study.close()
    with pytest.raises(WrongUse, match="closed"):
        study.cases.all()
    with pytest.raises(WrongUse, match="closed"):
        study.answers.save(NewAnswer("a", 1, "nothing", reader="r"))


def test_history_cannot_be_rewritten(study: Study) -> None:
    for statement in ("UPDATE events SET kind = 'x'", "DELETE FROM events"):
        with pytest.raises(sqlite3.IntegrityError, match="append-only"):
            study.database._connection.execute(statement)


def test_statements_of_a_script_are_told_apart() -> None:
    assert len(schema.statements(schema.TABLES)) == schema.TABLES.count("CREATE ") + schema.TABLES.count("ALTER ")
    assert versions.checked_version is not None
