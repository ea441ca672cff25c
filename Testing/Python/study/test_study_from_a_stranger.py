"""A study that somebody else wrote is data: nothing in it is executed, and nothing outside its folder is touched."""

from __future__ import annotations

import json
import signal
import sqlite3
import subprocess
import sys
import time
import zipfile
import zlib
from contextlib import closing, suppress
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest

from LMIALLib.errors import BadInput
from LMIALLib.study import NewAnswer, Study
from LMIALLib.study.backup import write_backup
from LMIALLib.study.checks import check_study
from LMIALLib.study.exports import ExportRequest, export
from LMIALLib.study.rankings import StoredRanking
from LMIALLib.study.status import status_of


def edit(folder: Path, *statements: str | tuple[str, tuple[object, ...]]) -> None:
    """Change the database as a stranger would, past everything that LMIAL checks on writing."""
    with closing(sqlite3.connect(folder / "study.sqlite")) as connection:
        connection.execute("PRAGMA ignore_check_constraints = ON")
        for trigger in [row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'")]:
            text = connection.execute("SELECT sql FROM sqlite_master WHERE name = ?", (trigger,)).fetchone()[0]
            connection.execute(f"DROP TRIGGER {trigger}")
            connection.execute("CREATE TEMP TABLE IF NOT EXISTS kept (sql TEXT)")
            connection.execute("INSERT INTO kept VALUES (?)", (text,))
        for statement in statements:
            connection.execute(*((statement,) if isinstance(statement, str) else statement))
        for row in connection.execute("SELECT sql FROM kept").fetchall():
            connection.execute(row[0])
        connection.commit()


@pytest.fixture
def received(study: Study, spot: np.ndarray, tmp_path: Path) -> Path:
    """A study with an answer, a draft, a model and a ranking, closed; beside it a folder that is not the study's."""
    study.answers.save(NewAnswer("a", 2, "mask", spot, reader="r"))
    study.drafts.save("a", 3, spot, "r")
    weights = tmp_path / "weights"
    weights.write_bytes(b"weights")
    study.models.add(weights, id="m0", adopted=True, report={"reasons": ["first"]})
    study.rankings.store(
        StoredRanking(
            {"strategy": "entropy", "seed": 1, "queries": [], "scores": {}, "settings": {}},
            {"model": "m0", "strategy": "entropy", "pairs": {"a": {"number": 1}}},
            {"a": np.zeros(6)},
            0,
        )
    )
    study.close()
    victim = tmp_path / "victim"
    (victim / "deep").mkdir(parents=True)
    (victim / "secret.txt").write_text("not yours", encoding="utf-8")
    (victim / "deep" / ".hidden").write_text("nor this", encoding="utf-8")
    return study.folder


def everything(folder: Path) -> dict[str, bytes]:
    return {str(one.relative_to(folder)): one.read_bytes() for one in folder.rglob("*") if one.is_file()}


def use(folder: Path, out: Path) -> None:
    """Whatever ordinary commands do with a study."""
    with Study.open(folder, reader="r") as study:
        status_of(study)
        check_study(study)
        study.log.events()
        study.models.all()
        study.models.in_use()
        study.rankings.all()
        for case in study.cases.all():
            study.drafts.all(case.name)
            study.answers.current(case.name)
            study.cases.load_pair(case.name)
            export(study, out / "labels", ExportRequest(case=case.name))
            study.answers.save(NewAnswer(case.name, 1, "nothing", reader="r"))
        export(study, out / "lesions", ExportRequest(what="lesions", keep_numbers=True))
        export(study, out / "table", ExportRequest(what="table"))
        export(study, out / "report", ExportRequest(what="report"))
        write_backup(study, out / "backup.zip")
        for case in study.cases.all():
            study.cases.remove(case.name)


PATHS = ["../victim/secret.txt", "../../victim", "{victim}/secret.txt", "cases/../../victim/secret.txt", "cases/a/./x"]
NAMES = ["../../victim", "..", ".", "{victim}", "a/../../../victim", "a\x00b", "con", "x" * 300, "a\x1b[2J", ""]


@pytest.mark.parametrize("path", PATHS)
def test_paths_of_files_stay_inside(received: Path, tmp_path: Path, path: str) -> None:
    """The rule in one place: every path that the database names goes through ``inside``."""
    path = path.format(victim=tmp_path / "victim")
    before = everything(tmp_path / "victim")
    edit(received, ("INSERT INTO files VALUES (?, 'a', 'x', 1)", (path,)))
    with Study.open(received) as study:
        assert any(problem.where == "study.sqlite" for problem in check_study(study))
        with pytest.raises(BadInput):
            write_backup(study, tmp_path / "b.zip")
        assert not (tmp_path / "b.zip").exists()
    assert everything(tmp_path / "victim") == before


@pytest.mark.parametrize("column", ["cases.name", "models.id", "models.path", "subjects.name", "settings.model_in_use"])
@pytest.mark.parametrize("name", NAMES)
def test_names_in_the_database_are_names(received: Path, tmp_path: Path, column: str, name: str) -> None:
    name = name.format(victim=tmp_path / "victim")
    before = everything(tmp_path / "victim")
    table, _, field = column.partition(".")
    if table == "settings":
        edit(received, ("UPDATE settings SET value = ? WHERE key = 'model_in_use'", (name,)))
    else:
        edit(received, "PRAGMA foreign_keys = OFF", (f"UPDATE {table} SET {field} = ?", (name,)))
        if column == "cases.name":
            edit(
                received, *((f"UPDATE {one} SET case_name = ?", (name,)) for one in ("pairs", "annotations", "drafts"))
            )
        if column == "subjects.name":
            edit(received, ("UPDATE cases SET subject = ?", (name,)))
    if column == "settings.model_in_use" and not name:
        use(received, tmp_path / "out")  # a study without a model
    elif column == "subjects.name" and name in ("con", "a/../../../victim"):
        use(received, tmp_path / "out")  # a pseudonym is no name of a file
    else:
        with pytest.raises(BadInput) as refused:
            use(received, tmp_path / "out")
        assert str(refused.value).replace(str(tmp_path), "").isprintable()
    assert everything(tmp_path / "victim") == before
    assert sorted(one.name for one in tmp_path.iterdir() if one.name != "out") == ["study", "victim", "weights"]


@pytest.mark.parametrize(
    "place",
    ["cases", "models", "removed", "pseudo", "maps", "nnunet", "cases/a", "cases/a/lesions.json", "pipeline.json"],
)
def test_links_are_refused_at_opening(received: Path, tmp_path: Path, place: str) -> None:
    before = everything(tmp_path / "victim")
    link = received / place
    if link.exists():
        link.rename(tmp_path / "aside")
    link.symlink_to(tmp_path / "victim" / ("secret.txt" if "." in place else ""))
    for read_only in (True, False):
        with pytest.raises(BadInput, match="is a link"):
            Study.open(received, read_only=read_only)
    assert everything(tmp_path / "victim") == before


def test_a_backup_packs_nothing_that_is_linked_meanwhile(received: Path, tmp_path: Path) -> None:
    with Study.open(received) as study:
        (received / "removed").mkdir()
        (received / "removed" / "x").symlink_to(tmp_path / "victim", target_is_directory=True)
        with pytest.raises(BadInput, match="is a link"):
            write_backup(study, tmp_path / "b.zip")
        (received / "removed" / "x").unlink()
        names = zipfile.ZipFile(write_backup(study, tmp_path / "b.zip")).namelist()
        assert not any(".." in name or name.startswith("/") for name in names)


@pytest.mark.parametrize(
    "statement",
    [
        "CREATE TRIGGER t AFTER INSERT ON annotations BEGIN DELETE FROM annotations WHERE id < new.id; END",
        "CREATE TRIGGER t AFTER UPDATE ON lease BEGIN DELETE FROM annotations; END",
        "CREATE VIEW v AS WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT x FROM n",
        "CREATE TABLE more (x)",
        "CREATE INDEX i ON annotations (slice)",
        "ALTER TABLE annotations ADD COLUMN more TEXT",
        "DROP TRIGGER annotations_are_never_overwritten",
    ],
)
@pytest.mark.parametrize("read_only", [True, False])
def test_a_schema_that_is_not_ours_is_refused_by_name(received: Path, statement: str, read_only: bool) -> None:
    with closing(sqlite3.connect(received / "study.sqlite")) as connection:
        connection.execute(statement)
        connection.commit()
    before = (received / "study.sqlite").read_bytes()
    with pytest.raises(BadInput, match="not those of a LMIAL study"):
        Study.open(received, read_only=read_only)
    assert (received / "study.sqlite").read_bytes() == before


def test_a_table_that_became_an_endless_view_is_refused_at_once(received: Path) -> None:
    endless = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT 'k' AS key, x AS value FROM n"
    with closing(sqlite3.connect(received / "study.sqlite")) as connection:
        connection.execute("ALTER TABLE settings RENAME TO hidden")
        connection.execute(f"CREATE VIEW settings AS {endless}")
        connection.commit()
    began = time.monotonic()
    with pytest.raises(BadInput, match="not those of a LMIAL study"):
        Study.open(received)
    assert time.monotonic() - began < 5


ENDLESS = """
import sys
from pathlib import Path
from LMIALLib.study import Study
with Study.open(Path(sys.argv[1])) as study:
    print("asking", flush=True)
    study.database.rows("WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT count(*) FROM n")
"""


def test_ctrl_c_ends_a_query(received: Path) -> None:
    child = subprocess.Popen(
        [sys.executable, "-c", ENDLESS, str(received)], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert child.stdout is not None and child.stdout.readline() == b"asking\n"
    time.sleep(0.2)
    child.send_signal(signal.SIGINT)
    try:
        _, error = child.communicate(timeout=60)
    finally:
        child.kill()
    assert b"KeyboardInterrupt" in error and child.returncode != 0


VALUES = [
    ("annotations", "slice", "'three'"),
    ("annotations", "slice", "-1"),
    ("annotations", "slice", "10000000"),
    ("annotations", "slice", "5.5"),
    ("annotations", "reader", "x'00'"),
    ("annotations", "answer", "'perhaps'"),
    ("annotations", "seconds", "'long'"),
    ("annotations", "seconds", "-1"),
    ("annotations", "rows", "1e18"),
    ("annotations", "mask", "'text'"),
    ("annotations", "mask_digest", "NULL"),
    ("annotations", "drawn", "x'ff'"),
    ("annotations", "version", "0"),
    ("annotations", "saved_at", "x'80'"),
    ("drafts", "rows", "-5"),
    ("drafts", "mask", "4"),
    ("drafts", "slice", "'x'"),
    ("pairs", "axis", "7"),
    ("pairs", "number", "'one'"),
    ("pairs", "number", "-3"),
    ("pairs", "grid", "x'00'"),
    ("cases", "created", "x'ffff'"),
    ("subjects", "number", "'n'"),
    ("subjects", "split", "'test'"),
    ("models", "round", "'r'"),
    ("models", "adopted", "2"),
    ("models", "report", "x'7b7d'"),
    ("rankings", "annotations_upto", "'all'"),
    ("ranking_scores", "scores", "'text'"),
    ("events", "details", "x'7b7d'"),
    ("events", "kind", "x'00'"),
    ("files", "digest", "x'00'"),
]


@pytest.mark.parametrize(("table", "column", "value"), VALUES)
def test_values_that_lmial_never_writes_are_refused_by_the_name_of_their_table(
    received: Path, tmp_path: Path, table: str, column: str, value: str
) -> None:
    edit(received, f"UPDATE {table} SET {column} = {value}")
    for read_only in (True, False):
        with pytest.raises(BadInput, match=f"damaged: {table} holds"):
            Study.open(received, read_only=read_only)


DEEP = "[" * 100_000
JSON = [
    ("pairs", "grid"),
    ("cases", "covered"),
    ("models", "report"),
    ("rankings", "ranking"),
    ("rankings", "conditions"),
    ("events", "details"),
    ("settings", "value"),
]
TEXTS = [
    "",
    "null",
    "3",
    '"x"',
    "[]",
    "{",
    DEEP,
    '{"a": ' * 50_000,
    "9" * 5000,
    '["\\ud800"]',
    "[1e999]",
    "[[[[[1]]]]]",
]


@pytest.mark.parametrize(("table", "column"), JSON)
@pytest.mark.parametrize("text", TEXTS)
def test_json_of_any_form_is_a_sentence(received: Path, tmp_path: Path, table: str, column: str, text: str) -> None:
    only = " WHERE key = 'label_schema'" if table == "settings" else ""
    edit(received, (f"UPDATE {table} SET {column} = ?{only}", (text,)))
    if (table, text) == ("cases", "[]"):
        return  # a truth that covers nothing
    with pytest.raises(BadInput) as refused:
        use(received, tmp_path / "out")
    assert len(refused.value.sentence) < 500 and str(refused.value).isprintable()


GRIDS = [
    {"size": [1e400, 8, 6]},
    {"size": [10**30, 8, 6]},
    {"size": [-10, 8, 6]},
    {"size": [0, 8, 6]},
    {"size": [100_000, 100_000, 100_000]},
    {"size": [10, 8]},
    {"size": "10"},
    {"spacing": [0, 1, 1]},
    {"spacing": [float("nan"), 1, 1]},
    {"spacing": [10**400, 1, 1]},
    {"origin": [float("inf"), 0, 0]},
    {"direction": [1, 0, 0]},
    {"direction": [0] * 9},
    {"direction": [1, 0, 0, 0, 1, 0, 0, 0, "1"]},
]


@pytest.mark.parametrize("change", GRIDS)
@pytest.mark.parametrize("where", ["database", "registration.json", "lesions.json"])
def test_grids_that_are_none_are_a_sentence(received: Path, tmp_path: Path, where: str, change: dict) -> None:
    with Study.open(received) as study:
        grid = study.cases.get("a").grid.to_dict() | change
    if where == "database":
        edit(received, ("UPDATE pairs SET grid = ?", (json.dumps(grid),)))
    elif where == "registration.json":
        file = received / "cases" / "a" / "pair-1" / "registration.json"
        file.write_text(json.dumps(json.loads(file.read_text()) | {"grid": grid}))
    else:
        stored = {"grid": grid, "highest": 1, "there": [1], "voxels": {"1": [0, 1]}}
        (received / "cases" / "a" / "lesions.json").write_text(json.dumps(stored))
    with pytest.raises(BadInput):
        use(received, tmp_path / "out")


RECORDS = [
    {"axis": 7},
    {"axis": "0"},
    {"axis": None},
    {"format": "1"},
    {"registration": []},
    {"registration": {"dates": 3}},
    {"registration": {"sentence": ["x"]}},
    {"registration": {"contrasts": {"../../victim/secret": {}}}},
    {"registration": {"to_source": {"../../victim/secret-baseline": [1] * 16}}},
    {"registration": {"to_source": {"baseline": [0] * 16}}},
    {"registration": {"to_source": {"baseline": [1, 2]}}},
    {"registration": {"request": {"contrasts": ["../../victim"]}}},
    {"registration": {"alarm": "yes"}},
    {"scaling": 3},
]


@pytest.mark.parametrize("change", RECORDS)
def test_a_record_of_a_pair_names_the_field_that_is_wrong(received: Path, change: dict) -> None:
    file = received / "cases" / "a" / "pair-1" / "registration.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | change))
    with Study.open(received) as study, pytest.raises(BadInput, match=rf"registration\.json: .*{next(iter(change))}"):
        study.cases.load_pair("a")


LESIONS = [
    {"voxels": {"1": [0, 10**12]}},
    {"voxels": {"1": [-5, 3]}},
    {"voxels": {"1": [479, 2]}},
    {"voxels": {"1": [5, 0]}},
    {"voxels": {"1": [5, 3, 4, 3]}},
    {"voxels": {"1": [5]}},
    {"voxels": {"1": []}},
    {"voxels": {"1": [10**30, 1]}},
    {"voxels": {"1": "05"}},
    {"voxels": {"one": [0, 1]}},
    {"voxels": {"-1": [0, 1]}},
    {"voxels": {"9": [0, 1]}},
    {"voxels": []},
    {"highest": 10**30},
    {"highest": -1},
    {"there": [0]},
    {"there": {"1": 2}},
]


@pytest.mark.parametrize("change", LESIONS)
def test_numbers_of_lesions_that_do_not_fit_are_a_sentence(received: Path, tmp_path: Path, change: dict) -> None:
    with Study.open(received) as study:
        grid = study.cases.get("a").grid.to_dict()
    stored = {"grid": grid, "highest": 1, "there": [1], "voxels": {"1": [0, 1]}}
    file = received / "cases" / "a" / "lesions.json"
    file.write_text(json.dumps(stored))
    with Study.open(received) as study:
        assert not check_study(study)
    file.write_text(json.dumps(stored | change))
    with Study.open(received) as study:
        assert [problem.where for problem in check_study(study)] == ["cases/a/lesions.json"]
    with pytest.raises(BadInput, match=r"lesions\.json"):
        use(received, tmp_path / "out")


def test_a_mask_that_swells_is_not_unpacked(received: Path, tmp_path: Path) -> None:
    """6 MB of zlib hold 6 GB; here 1 MB holds 1 GB, and the process may take less than that."""
    bomb = zlib.compress(bytes(1 << 30), 9)
    digest = sha256(b"x").hexdigest()
    edit(received, ("UPDATE annotations SET mask = ?, mask_digest = ?", (bomb, digest)))
    edit(received, ("UPDATE drafts SET mask = ?, mask_digest = ?", (bomb, digest)))
    code = (
        "import resource, sys; from pathlib import Path; from LMIALLib.study import Study\n"
        "from LMIALLib.errors import BadInput\n"
        "import numpy, LMIALLib.pairs.storage\n"
        "used = int(open('/proc/self/statm').read().split()[0]) * 4096\n"
        "resource.setrlimit(resource.RLIMIT_AS, (used + (512 << 20), used + (512 << 20)))\n"
        "with Study.open(Path(sys.argv[1])) as study:\n"
        "    for ask in (study.answers.current, study.drafts.all):\n"
        "        try: ask('a')\n"
        "        except BadInput as damage: print(damage.sentence)\n"
    )
    done = subprocess.run([sys.executable, "-c", code, str(received)], capture_output=True, text=True, check=False)
    assert done.returncode == 0 and done.stdout.count("is not what was saved") == 2, done.stderr


def test_a_value_larger_than_any_of_ours_is_a_sentence(received: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from LMIALLib.study import connection

    monkeypatch.setattr(connection, "LARGEST_VALUE", 1 << 20)
    edit(received, ("UPDATE events SET details = ?", (json.dumps({"x": "y" * (2 << 20)}),)))
    with pytest.raises(BadInput, match="holds a value of more than"), Study.open(received) as study:
        study.log.events()


def test_text_that_is_no_text_is_a_sentence(received: Path) -> None:
    edit(received, "UPDATE events SET reader = CAST(x'ff80' AS TEXT)")
    with Study.open(received) as study, pytest.raises(BadInput, match="damaged"):
        study.log.events()


def test_every_past_schema_is_kept_and_leads_to_this_one() -> None:
    """A version that is raised without its past would refuse every older study as forged."""
    from LMIALLib.study import schema

    for version in range(1, schema.SCHEMA_VERSION):
        assert version in schema.PAST and version in schema.MIGRATIONS
    assert all(schema.admitted(version) for version in range(1, schema.SCHEMA_VERSION + 1))


def test_odd_bytes_anywhere_in_the_database_are_a_sentence(received: Path, tmp_path: Path) -> None:
    """Bytes flipped at random, fixed seed: each is refused in a sentence, or changes nothing that is read."""
    rng = np.random.default_rng(16)
    database = received / "study.sqlite"
    whole = database.read_bytes()
    refused = 0
    for _ in range(40):
        content = bytearray(whole)
        for place in rng.integers(0, len(content), 30):
            content[place] = rng.integers(0, 256)
        database.write_bytes(content)
        try:
            with Study.open(received, read_only=True) as study:
                status_of(study), check_study(study), study.log.events(), study.drafts.all("a"), study.rankings.all()
        except BadInput:
            refused += 1
    assert refused > 10


def hot_journal(database: Path, names: Path) -> bytes:
    """A journal that a crash in the middle of a commit over several databases leaves; the end names the file of names.

    https://www.sqlite.org/fileformat.html, 3 "The Rollback Journal": header, page records, then the super-journal.
    """
    content = database.read_bytes()
    size = int.from_bytes(content[16:18], "big")
    header = bytes.fromhex("d9d505f920a163d7") + b"".join(
        n.to_bytes(4, "big") for n in (1, 7, len(content) // size, 512, size)
    )
    page, total, at = content[:size], 7, size - 200
    while at > 0:
        total, at = (total + page[at]) & 0xFFFFFFFF, at - 200
    record = (1).to_bytes(4, "big") + page + total.to_bytes(4, "big")
    name = str(names).encode()
    lock_page = (0x40000000 // size + 1).to_bytes(4, "big")
    end = lock_page + name + len(name).to_bytes(4, "big") + (sum(name) & 0xFFFFFFFF).to_bytes(4, "big") + header[:8]
    return header.ljust(512, b"\0") + record + end


@pytest.mark.parametrize("read_only", [True, False])
def test_a_journal_that_names_a_file_for_sqlite_to_remove_is_refused(
    received: Path, tmp_path: Path, read_only: bool
) -> None:
    secret = tmp_path / "victim" / "secret.txt"
    database, journal = received / "study.sqlite", received / "study.sqlite-journal"
    whole, hostile = database.read_bytes(), hot_journal(database, secret)
    journal.write_bytes(hostile)
    with pytest.raises(BadInput, match="names another file"):
        Study.open(received, read_only=read_only)
    assert secret.is_file() and journal.read_bytes() == hostile
    with closing(sqlite3.connect(database)) as careless:  # what SQLite alone does with it
        careless.execute("SELECT count(*) FROM cases").fetchone()
    assert not secret.exists(), "the journal of this test is one that SQLite follows"
    journal.unlink(missing_ok=True)
    database.write_bytes(whole)
    Study.open(received, read_only=read_only).close()


@pytest.mark.parametrize("place", [*range(16, 24), *range(40, 48), *range(56, 60), *range(92, 100)])
def test_a_header_of_no_format_is_a_sentence_or_changes_nothing(received: Path, place: int) -> None:
    """Numbers of the file's first hundred bytes; found by attack: a schema format of 255 is "unsupported"."""
    database = received / "study.sqlite"
    whole = database.read_bytes()
    for value in (0, 1, 9, 255):
        database.write_bytes(whole[:place] + bytes([value]) + whole[place + 1 :])
        for read_only in (True, False):
            with suppress(BadInput), Study.open(received, read_only=read_only) as study:
                status_of(study)
