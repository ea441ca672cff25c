"""Spoiled ``study.sqlite``: values of other types, paths, triggers, views, another schema, bombs, damaged pages."""

from __future__ import annotations

import hashlib
import sqlite3
import struct
import zlib
from contextlib import closing, suppress
from pathlib import Path
from random import Random
from typing import Any

from base_inputs import copy_study
from mutations import PATHS, TEXTS, some_number, some_text, spoiled_bytes
from one_input import Attempt
from study_inputs import some_command, spoil_links, without_triggers

NAMES = (("cases", "name"), ("models", "id"), ("subjects", "name"), ("annotations", "reader"), ("events", "kind"))
PATH_COLUMNS = (("files", "path"), ("models", "path"), ("cases", "name"), ("models", "id"), ("pairs", "number"))
ENDLESS = "WITH RECURSIVE x(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM x) SELECT"
OTHER_SCHEMA = (
    "CREATE TABLE extra (a)",
    "CREATE INDEX extra ON events (kind)",
    "CREATE VIEW extra AS SELECT 1",
    "ALTER TABLE cases ADD COLUMN extra TEXT DEFAULT 'x'",
    "ALTER TABLE annotations DROP COLUMN seconds",
    "DROP TABLE drafts",
    "DROP TABLE lease",
    "DROP TABLE ranking_scores",
    "DROP TRIGGER events_stay",
    "ALTER TABLE events RENAME COLUMN details TO told",
    "CREATE TABLE sqlitestat (a, b, c)",
    "CREATE VIRTUAL TABLE extra USING fts5(a)",
    "CREATE TABLE extra (a INTEGER PRIMARY KEY, b GENERATED ALWAYS AS (a * 2) STORED)",
    "PRAGMA user_version = 1",
    "PRAGMA user_version = 3",
    "PRAGMA user_version = 0",
    "PRAGMA user_version = -1",
    "PRAGMA application_id = 0",
    "PRAGMA journal_mode = WAL",
    "PRAGMA encoding = 'UTF-16'",
    "PRAGMA auto_vacuum = FULL",
)


def sqlite(random: Random, base: Path, place: Path) -> Attempt:
    """A study whose database, or whose folder, somebody else prepared."""
    study = copy_study(base, place)
    file = study / "study.sqlite"
    likely: tuple[str, ...] = ()
    if random.random() < 0.12:
        likely = ("backup", "backup", "label", "check")
        spoil_links(random, study)
    else:
        with closing(sqlite3.connect(file)) as database, suppress(sqlite3.Error):
            for kind in random.choices(KINDS, k=random.choice((0, 1, 1, 1, 2, 3))):
                likely += LIKELY.get(kind, ())
                kind(random, database)
            if random.random() < 0.1:  # last: what reads such a table may not end
                _view(random, database)
            database.commit()
        if random.random() < 0.12:
            _damaged(random, file)
    return some_command(random, study, place, likely)


def _update(database: sqlite3.Connection, query: str, values: tuple[Any, ...]) -> None:
    """Change a row behind the back of triggers, checks and references."""
    database.execute("PRAGMA ignore_check_constraints = ON")
    database.execute("PRAGMA foreign_keys = OFF")
    with without_triggers(database), suppress(sqlite3.IntegrityError, OverflowError, UnicodeError):
        database.execute(query, values)


def _some_row(random: Random, database: sqlite3.Connection) -> tuple[str, str, str, Any]:
    """Table, column, key column and key of some value."""
    tables = [row[0] for row in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
    table = random.choice([one for one in tables if not one.startswith("sqlite")])
    columns = [row[1] for row in database.execute(f"PRAGMA table_info({table})")]
    key = "key" if table == "settings" else "rowid"
    keys = [row[0] for row in database.execute(f"SELECT {key} FROM {table} LIMIT 50")] or [0]
    return table, random.choice(columns), key, random.choice(keys)


def _value(random: Random, database: sqlite3.Connection) -> None:
    """Any column with any value of any type."""
    table, column, key, row = _some_row(random, database)
    kind = random.random()
    value: Any = some_number(random) if kind < 0.4 else some_text(random)
    if kind > 0.85:
        value = random.choice((None, b"", b"\0" * 100, random.randbytes(50), b"\xff\xfe"))
    if isinstance(value, int) and not -(2**63) <= value < 2**63:
        value = float(min(max(value, -(10**300)), 10**300))
    if isinstance(value, str):
        value = value.encode("utf-8", "surrogatepass")
        _update(database, f"UPDATE {table} SET {column} = CAST(? AS TEXT) WHERE {key} = ?", (value, row))
        return
    _update(database, f"UPDATE {table} SET {column} = ? WHERE {key} = ?", (value, row))


def _path(random: Random, database: sqlite3.Connection) -> None:
    """A name or path that leads out of the study, in one row or wherever the same name stands."""
    table, column = random.choice(PATH_COLUMNS)
    rows = database.execute(f"SELECT rowid, {column} FROM {table}").fetchall()
    row, before = random.choice(rows)
    here = Path(database.execute("PRAGMA database_list").fetchone()[2]).parent
    absolute = str(here.parent.parent / "canary")
    value = random.choice((*PATHS, absolute, f"{absolute}/secret.txt", "pipeline.json", "study.sqlite", "cases"))
    _update(database, f"UPDATE {table} SET {column} = ? WHERE rowid = ?", (value, row))
    if (table, column) == ("cases", "name") and random.random() < 0.8:
        for other in ("pairs", "files", "annotations", "drafts", "ranking_scores"):
            _update(database, f"UPDATE {other} SET case_name = ? WHERE case_name = ?", (value, before))
    if table == "models":
        _update(database, "UPDATE models SET path = ? WHERE rowid = ?", (f"models/{value}.safetensors", row))
        _update(database, "UPDATE settings SET value = ? WHERE key = 'model_in_use'", (value,))


def _name(random: Random, database: sqlite3.Connection) -> None:
    """A name with escape codes, markup or length, everywhere where it stands."""
    table, column = random.choice(NAMES)
    value = random.choice((*TEXTS[6:], some_text(random))).encode("utf-8", "surrogatepass")
    rows = database.execute(f"SELECT DISTINCT {column} FROM {table}").fetchall()
    before = random.choice(rows)[0]
    targets = {
        "cases": [("cases", "name"), ("pairs", "case_name"), ("files", "case_name"), ("annotations", "case_name")],
        "subjects": [("subjects", "name"), ("cases", "subject")],
    }.get(table, [(table, column)])
    for other, inside in targets:
        _update(database, f"UPDATE {other} SET {inside} = CAST(? AS TEXT) WHERE {inside} = ?", (value, before))


def _trigger(random: Random, database: sqlite3.Connection) -> None:
    table = random.choice(("annotations", "events", "lease", "models", "rankings", "cases", "drafts"))
    event = random.choice(("INSERT", "DELETE", "UPDATE"))
    when = random.choice(("AFTER", "BEFORE"))
    what = random.choice(
        (
            "DELETE FROM annotations WHERE rowid < 3",
            "DELETE FROM cases",
            "UPDATE settings SET value = 'x' WHERE key = 'model_in_use'",
            f"INSERT INTO events (at, kind, reader, details) {ENDLESS} 'x', 'x', 'x', '{{}}' FROM x",
            "INSERT INTO files VALUES ('../canary/secret.txt', NULL, 'x', 0)",
            "SELECT RAISE(ABORT, '\x1b[2J')",
            "SELECT RAISE(IGNORE)",
            "SELECT hex(zeroblob(900000000))",
        )
    )
    database.execute(f"CREATE TRIGGER extra{random.randrange(100)} {when} {event} ON {table} BEGIN {what}; END")


def _view(random: Random, database: sqlite3.Connection) -> None:
    """A table that became a view: one that says something else, one without end, one that asks for memory."""
    table = random.choice(("cases", "settings", "annotations", "events", "files", "models", "rankings", "lease"))
    columns = [row[1] for row in database.execute(f"PRAGMA table_info({table})")]
    database.execute("PRAGMA foreign_keys = OFF")
    database.execute("PRAGMA legacy_alter_table = ON")
    database.execute(f"ALTER TABLE {table} RENAME TO kept")
    what = random.choice(
        (
            "SELECT * FROM kept",
            f"{ENDLESS} {', '.join(f'n AS {column}' for column in columns)} FROM x",
            f"SELECT {', '.join(f'hex(zeroblob(400000000)) AS {column}' for column in columns)}",
            f"SELECT {', '.join(f'load_extension(1) AS {column}' for column in columns)}",
        )
    )
    database.execute(f"CREATE VIEW {table} AS {what}")


def _schema(random: Random, database: sqlite3.Connection) -> None:
    database.execute(random.choice(OTHER_SCHEMA))


def _schema_text(random: Random, database: sqlite3.Connection) -> None:
    """The schema's own table changed: other types, other defaults, damaged SQL, a root page of another table."""
    database.execute("PRAGMA writable_schema = ON")
    query = random.choice(
        (
            "UPDATE sqlite_master SET sql = replace(sql, 'NOT NULL', '') WHERE type = 'table'",
            "UPDATE sqlite_master SET sql = replace(sql, 'TEXT', 'BLOB') WHERE name = 'cases'",
            "UPDATE sqlite_master SET rootpage = 2 WHERE name = 'annotations'",
            "UPDATE sqlite_master SET rootpage = 999999 WHERE name = 'events'",
            "UPDATE sqlite_master SET sql = 'CREATE TABLE x (' WHERE name = 'events'",
            "UPDATE sqlite_master SET sql = sql || '/* ' || hex(zeroblob(1000)) || ' */' WHERE name = 'events'",
            "UPDATE sqlite_master SET name = 'Events' WHERE name = 'events'",
            "DELETE FROM sqlite_master WHERE name = 'lease'",
            "INSERT INTO sqlite_master VALUES ('table', 'extra', 'extra', 2, 'CREATE TABLE extra (a)')",
        )
    )
    database.execute(query)


def _mask(random: Random, database: sqlite3.Connection) -> None:
    """A stored mask that is a bomb, cut short, of another size, or with values that no class has."""
    kind = random.randrange(5)
    rows, columns = 32, 28
    raw = bytes(rows * columns)
    blob = zlib.compress(raw, 1)
    if kind == 0:
        blob = _bomb(random.choice((10**8, 3 * 10**9)))
    elif kind == 1:
        blob = blob[: random.randrange(len(blob))]
    elif kind == 2:
        rows, columns = random.choice(((-1, -896), (2**40, 2**40), (0, 0), (10**9, 10), (896, 1), (28, 32)))
    elif kind == 3:
        raw = bytes([random.choice((6, 99, 255))]) * (rows * columns)
        blob = zlib.compress(raw, 1)
    else:
        blob = random.choice((b"", random.randbytes(200), b"x" * 10**6))
    digest = hashlib.sha256(raw).hexdigest()
    table = random.choice(("annotations", "annotations", "drafts"))
    query = f"UPDATE {table} SET mask = ?, rows = ?, columns = ?, mask_digest = ? WHERE mask IS NOT NULL"
    _update(database, query, (blob, rows, columns, digest))


def _bomb(size: int) -> bytes:
    """``size`` zeros, whole megabytes, as a zlib stream a thousand times shorter: one flushed block again and again."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    block = packer.compress(bytes(1 << 20)) + packer.flush(zlib.Z_FULL_FLUSH)
    size = size >> 20 << 20
    end = zlib.compressobj(9, zlib.DEFLATED, -15).flush()
    return b"\x78\x9c" + block * (size >> 20) + end + struct.pack(">I", size % 65521 << 16 | 1)  # Adler-32 of zeros


def _scores(random: Random, database: sqlite3.Connection) -> None:
    """Scores of another length, or that are no numbers, with a digest that fits."""
    blob = random.choice((b"", b"\0" * 8, b"\xff" * 96, b"\0" * 7, b"\0" * 8_000_000, random.randbytes(96)))
    values = (blob, hashlib.sha256(blob).hexdigest())
    _update(database, "UPDATE ranking_scores SET scores = ?, digest = ? WHERE rowid % 2 = 0", values)


def _rows(random: Random, database: sqlite3.Connection) -> None:
    """Rows removed or doubled."""
    table, _, key, row = _some_row(random, database)
    if random.random() < 0.6:
        _update(database, f"DELETE FROM {table} WHERE {key} = ?", (row,))
    else:
        _update(database, f"DELETE FROM {table}", ())


def _damaged(random: Random, file: Path) -> None:
    data = file.read_bytes()
    kind = random.randrange(5)
    if kind == 0:
        data = spoiled_bytes(random, data)
    elif kind == 1:
        data = data[: int(len(data) * random.random())]
    elif kind == 2:
        pages = [data[at : at + 4096] for at in range(0, len(data), 4096)]
        first, second = random.randrange(len(pages)), random.randrange(len(pages))
        pages[first], pages[second] = pages[second], pages[first]
        data = b"".join(pages)
    elif kind == 3:
        start = spoiled_bytes(random, data[:100])[:100].ljust(100, b"\0")
        data = start + data[100:]
    else:
        (file.parent / "study.sqlite-journal").write_bytes(
            random.choice((b"\xd9\xd5\x05\xf9\x20\xa1\x63\xd7" + random.randbytes(2000), b"x" * 5000, data[:5000]))
        )
    file.write_bytes(data)


KINDS = (
    *(_value, _value, _value, _path, _path, _path, _name, _name, _trigger, _schema, _schema_text, _mask, _mask),
    *(_scores, _rows),
)
LIKELY = {
    _path: ("backup", "export labels", "export table", "lesions", "remove", "check", "label", "models", "models --use"),
    _name: ("status", "history", "models", "check", "rank", "label", "lesions"),
    _mask: ("check", "label", "export labels", "rank", "lesions"),
    _scores: ("status", "check", "rank", "replay"),
}
"""Commands that look at what was spoiled."""
