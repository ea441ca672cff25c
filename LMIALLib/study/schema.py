"""The tables of ``study.sqlite``, their version, and how a database of an older version becomes one of this version."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from functools import lru_cache

from LMIALLib.study.answer import ANSWERS

SCHEMA_VERSION = 4
"""Stored in ``user_version``. Raise it together with an entry in ``MIGRATIONS`` and one in ``PAST``."""

APPLICATION_ID = 0x4C4D4941
"""Stored in ``application_id`` ("LMIA"): marks a study among other SQLite files."""

RANGES = {
    "subjects": "split IN ('train', 'validation')",
    "pairs": "number BETWEEN 1 AND 99999 AND axis BETWEEN 0 AND 2",
    "models": "adopted IN (0, 1) AND abs(round) < 1000000000",
    "rankings": "number > 0 AND annotations_upto >= 0",
    "annotations": "id > 0 AND version > 0 AND slice BETWEEN 0 AND 1000000"
    f" AND drawn IN ('strategy', 'random', 'reader') AND answer IN {(*ANSWERS, 'withdrawn')}"
    " AND (seconds IS NULL OR seconds >= 0)"
    " AND suggestion_seen IN (0, 1) AND accepted_unchanged IN (0, 1)"
    " AND (mask IS NULL OR (rows BETWEEN 1 AND 100000 AND columns BETWEEN 1 AND 100000 AND mask_digest IS NOT NULL))",
    "slice_tests": "overlap >= 0 AND predicted >= 0 AND marked >= 0",
    "viewed": "share BETWEEN 0 AND 1 AND rows BETWEEN 1 AND 100000 AND columns BETWEEN 1 AND 100000",
    "sweeps": "id > 0 AND slice BETWEEN 0 AND 1000000 AND label_shown IN (0, 1) AND seconds >= 0",
    "patients": "id > 0 AND state IN ('finished', 'reopened')",
    "lesion_answers": "id > 0 AND pair BETWEEN 1 AND 99999"
    " AND verdict IN ('accepted', 'rejected', 'outlined', 'withdrawn')"
    " AND (of IS NULL OR of > 0) AND (verdict = 'outlined') = (outline IS NOT NULL)",
    "drafts": "slice BETWEEN 0 AND 1000000 AND rows BETWEEN 1 AND 100000 AND columns BETWEEN 1 AND 100000",
}
"""What LMIAL's own rows always fulfil, beside the types of their columns: SQLite itself checks it only on writing."""

_STORED_AS = {"INTEGER": ("integer",), "REAL": ("real", "integer"), "TEXT": ("text",), "BLOB": ("blob",)}

_TABLES_1 = """
CREATE TABLE settings (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;

CREATE TABLE subjects (
    name TEXT PRIMARY KEY,
    number INTEGER NOT NULL UNIQUE,            -- 0-based, in the order of arrival; never given twice
    split TEXT NOT NULL CHECK (split IN ('train', 'validation'))
);
CREATE TRIGGER subjects_never_move BEFORE UPDATE ON subjects
BEGIN SELECT RAISE(ABORT, 'a subject never changes its split'); END;

CREATE TABLE cases (
    name TEXT PRIMARY KEY COLLATE NOCASE,      -- 'A' and 'a' are one folder on Windows and macOS
    subject TEXT NOT NULL REFERENCES subjects (name),
    covered TEXT NOT NULL,                     -- JSON list of the label values that the truth of this case covers
    created TEXT NOT NULL
);

CREATE TABLE pairs (
    case_name TEXT NOT NULL REFERENCES cases (name) ON DELETE CASCADE,
    number INTEGER NOT NULL,
    axis INTEGER NOT NULL,
    grid TEXT NOT NULL,                        -- JSON, see pairs.geometry.Grid
    digest TEXT NOT NULL,                      -- pairs.Pair.digest
    PRIMARY KEY (case_name, number)
);

CREATE TABLE files (
    path TEXT PRIMARY KEY,                     -- relative to the study folder, with '/'
    case_name TEXT REFERENCES cases (name) ON DELETE CASCADE,
    digest TEXT NOT NULL,                      -- SHA-256
    bytes INTEGER NOT NULL
);

CREATE TABLE models (
    id TEXT PRIMARY KEY COLLATE NOCASE,
    parent TEXT,
    round INTEGER NOT NULL,
    adopted INTEGER NOT NULL,
    created TEXT NOT NULL,
    path TEXT NOT NULL REFERENCES files (path),
    report TEXT NOT NULL                       -- JSON
);

CREATE TABLE rankings (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    created TEXT NOT NULL,
    ranking TEXT NOT NULL,                     -- JSON, see queries.Ranking.to_dict
    conditions TEXT NOT NULL,                  -- JSON
    annotations_upto INTEGER NOT NULL
);
CREATE TABLE ranking_scores (
    ranking INTEGER NOT NULL REFERENCES rankings (number),
    case_name TEXT NOT NULL,                   -- stays when the case is removed: the ranking did see it
    scores BLOB NOT NULL,                      -- float64, little-endian
    digest TEXT NOT NULL,
    PRIMARY KEY (ranking, case_name)
);

CREATE TABLE annotations (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    case_name TEXT NOT NULL REFERENCES cases (name) ON DELETE CASCADE,
    slice INTEGER NOT NULL CHECK (slice >= 0),
    version INTEGER NOT NULL,
    answer TEXT NOT NULL CHECK (answer IN ('mask', 'nothing', 'equivocal', 'skip', 'withdrawn')),
    mask BLOB, rows INTEGER, columns INTEGER, mask_digest TEXT,
    reader TEXT NOT NULL,
    seconds REAL,
    suggestion_seen INTEGER NOT NULL,
    suggestion_seconds REAL,
    accepted_unchanged INTEGER NOT NULL,
    model TEXT,
    ranking INTEGER REFERENCES rankings (number),
    query_rank INTEGER,
    drawn TEXT NOT NULL CHECK (drawn IN ('strategy', 'random', 'reader')),
    saved_at TEXT NOT NULL,
    UNIQUE (case_name, slice, version)
);
CREATE TRIGGER annotations_are_never_overwritten BEFORE UPDATE ON annotations
BEGIN SELECT RAISE(ABORT, 'an annotation is never overwritten'); END;

CREATE TABLE slice_tests (                     -- test, then train: the model in use on a slice before learning it
    annotation INTEGER PRIMARY KEY REFERENCES annotations (id) ON DELETE CASCADE,
    model TEXT NOT NULL,
    overlap INTEGER NOT NULL,
    predicted INTEGER NOT NULL,
    marked INTEGER NOT NULL
);

CREATE TABLE drafts (
    case_name TEXT NOT NULL REFERENCES cases (name) ON DELETE CASCADE,
    slice INTEGER NOT NULL,
    mask BLOB NOT NULL, rows INTEGER NOT NULL, columns INTEGER NOT NULL, mask_digest TEXT NOT NULL,
    reader TEXT NOT NULL,
    saved_at TEXT NOT NULL,
    PRIMARY KEY (case_name, slice)
);

CREATE TABLE events (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    at TEXT NOT NULL,
    kind TEXT NOT NULL,
    reader TEXT NOT NULL,
    details TEXT NOT NULL                      -- JSON
);
CREATE TRIGGER events_stay BEFORE UPDATE ON events BEGIN SELECT RAISE(ABORT, 'history is append-only'); END;
CREATE TRIGGER events_are_kept BEFORE DELETE ON events BEGIN SELECT RAISE(ABORT, 'history is append-only'); END;

CREATE TABLE lease (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    token TEXT NOT NULL,
    host TEXT NOT NULL,
    process INTEGER NOT NULL,
    process_started TEXT NOT NULL,
    reader TEXT NOT NULL,
    started TEXT NOT NULL,
    heartbeat REAL NOT NULL                    -- seconds since 1970, UTC
);
"""
_VIEWED = """
CREATE TABLE viewed (                          -- what part of the slice was on the screen when it was answered
    annotation INTEGER PRIMARY KEY REFERENCES annotations (id) ON DELETE CASCADE,
    share REAL NOT NULL,                       -- of the searched region of the slice
    mask BLOB NOT NULL, rows INTEGER NOT NULL, columns INTEGER NOT NULL, mask_digest TEXT NOT NULL
);
"""
_FINISH = """
CREATE TABLE sweeps (                          -- a slice that was looked at in a sweep and not answered
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    case_name TEXT NOT NULL REFERENCES cases (name) ON DELETE CASCADE,
    slice INTEGER NOT NULL,
    reader TEXT NOT NULL,
    ranking INTEGER REFERENCES rankings (number),
    label_shown INTEGER NOT NULL,              -- whether the delivered label was on the screen too
    seconds REAL NOT NULL,
    seen_at TEXT NOT NULL
);
CREATE TABLE patients (                        -- the reader's word that a patient is finished, or is not after all
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    case_name TEXT NOT NULL REFERENCES cases (name) ON DELETE CASCADE,
    state TEXT NOT NULL,
    reader TEXT NOT NULL,
    ranking INTEGER REFERENCES rankings (number),
    said_at TEXT NOT NULL
);
CREATE TABLE lesion_answers (                  -- a suggested lesion that was accepted or rejected as a whole
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    case_name TEXT NOT NULL REFERENCES cases (name) ON DELETE CASCADE,
    pair INTEGER NOT NULL,
    verdict TEXT NOT NULL,
    of INTEGER REFERENCES lesion_answers (id), -- what is withdrawn
    voxels BLOB NOT NULL,                      -- int32, little-endian, compressed: places in the pair, ascending
    digest TEXT NOT NULL,
    shown TEXT NOT NULL,                       -- JSON: slices that were on the screen
    reader TEXT NOT NULL,
    ranking INTEGER REFERENCES rankings (number),
    saved_at TEXT NOT NULL
);
CREATE TRIGGER lesion_answers_are_never_overwritten BEFORE UPDATE ON lesion_answers
BEGIN SELECT RAISE(ABORT, 'an answer is never overwritten'); END;
"""
_OUTLINE = """
-- of a lesion that was outlined anew: which of its voxels are change, stored as they are
ALTER TABLE lesion_answers ADD COLUMN outline BLOB;
"""
TABLES = _TABLES_1 + _VIEWED + _FINISH + _OUTLINE

MIGRATIONS: dict[int, str] = {1: _VIEWED, 2: _FINISH, 3: _OUTLINE}
"""Version -> the SQL that makes a database of that version one of the next.

It may make a table anew, to change what SQLite checks of it (a new kind of answer): make ``T_new``, copy the rows,
``DROP TABLE T``, ``ALTER TABLE T_new RENAME TO T``, and make its triggers again. Foreign keys are not followed
meanwhile, so that dropping the old table takes nothing along, and are checked at the end.
"""

PAST: dict[int, str] = {1: _TABLES_1, 2: _TABLES_1 + _VIEWED, 3: _TABLES_1 + _VIEWED + _FINISH}
"""Version -> what ``TABLES`` was then. Kept for ever, to check the tables of a study of that version."""


def make_tables(connection: sqlite3.Connection) -> None:
    """Make every table in an empty database and mark it as a study of this version."""
    connection.executescript(f"BEGIN IMMEDIATE; {TABLES}")
    mark(connection, SCHEMA_VERSION)
    connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")


def mark(connection: sqlite3.Connection, version: int) -> None:
    """Write the schema version; part of the running transaction."""
    connection.execute(f"PRAGMA user_version = {version}")


def admitted(version: int) -> list[frozenset[tuple[str, ...]]]:
    """The contents that the schema of a study of ``version`` may have: made so, or upgraded from an earlier version."""
    found = []
    for start in range(1, version + 1):
        first = TABLES if start == SCHEMA_VERSION else PAST[start]
        found.append(_contents_after(first, *(MIGRATIONS[step] for step in range(start, version))))
    return found


@lru_cache(maxsize=64)
def _contents_after(*scripts: str) -> frozenset[tuple[str, ...]]:
    with closing(sqlite3.connect(":memory:")) as made:
        for script in scripts:
            made.executescript(script)
        return contents(made)


def contents(connection: sqlite3.Connection) -> frozenset[tuple[str, ...]]:
    """Every table, index, trigger and view of a database with the text that made it."""
    rows = connection.execute("SELECT type, name, tbl_name, sql FROM sqlite_master")
    return frozenset(tuple(str(value) for value in row) for row in rows)


def odd_values(connection: sqlite3.Connection) -> list[str]:
    """Tables of a database of this version in which a row is none of LMIAL's: a value of another type or range.

    SQLite stores any type in any column; whoever reads a row later may rely on what stands here.
    """
    found = []
    tables = [row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
    for table in (name for name in tables if not name.startswith("sqlite_")):
        conditions = [RANGES.get(table, "1")]
        for column in connection.execute(f"PRAGMA table_info({table})").fetchall():
            _, name, kind, needed, _, key = column
            if kind in _STORED_AS:
                kinds = ", ".join(f"'{one}'" for one in (*_STORED_AS[kind], *(() if needed or key else ("null",))))
                conditions.append(f'typeof("{name}") IN ({kinds})')
        query = f"SELECT EXISTS (SELECT 1 FROM {table} WHERE ({' AND '.join(conditions)}) IS NOT 1)"
        if connection.execute(query).fetchone()[0]:
            found.append(table)
    return found


def statements(script: str) -> list[str]:
    """A script cut into statements, which leave a running transaction running (``executescript`` would commit it)."""
    found, rest = [], ""
    for piece in script.split(";"):
        rest += piece + ";"
        if sqlite3.complete_statement(rest):
            found.append(rest.strip())
            rest = ""
    return [one for one in found if one != ";"]
