"""The tables of ``study.sqlite``, their version, and how a database of an older version becomes one of this version."""

from __future__ import annotations

import sqlite3

SCHEMA_VERSION = 1
"""Stored in ``user_version``. Raise it together with an entry in ``MIGRATIONS``."""

APPLICATION_ID = 0x4C4D4941
"""Stored in ``application_id`` ("LMIA"): tells a study from any other SQLite file."""

MIGRATIONS: dict[int, str] = {}
"""Version -> the SQL that makes a database of that version one of the next."""

TABLES = """
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


def make_tables(connection: sqlite3.Connection) -> None:
    """Make every table in an empty database and mark it as a study of this version."""
    connection.executescript(f"BEGIN IMMEDIATE; {TABLES}")
    mark(connection, SCHEMA_VERSION)
    connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")


def mark(connection: sqlite3.Connection, version: int) -> None:
    """Write the schema version; part of the running transaction."""
    connection.execute(f"PRAGMA user_version = {version}")


def statements(script: str) -> list[str]:
    """A script cut into statements, which leave a running transaction running (``executescript`` would commit it)."""
    found, rest = [], ""
    for piece in script.split(";"):
        rest += piece + ";"
        if sqlite3.complete_statement(rest):
            found.append(rest.strip())
            rest = ""
    return [one for one in found if one != ";"]
