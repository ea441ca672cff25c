"""Received studies: spoiled JSON files and columns, spoiled databases, links, and the commands that look at them."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from contextlib import closing
from pathlib import Path
from random import Random
from typing import Any

from base_inputs import CASES, READER, copy_study
from mutations import CANARY, json_bytes, spoiled_tree
from one_input import Attempt

COLUMNS = (
    *(("settings", "value", "key = 'label_schema'"), ("cases", "covered", ""), ("pairs", "grid", "")),
    *(("rankings", "ranking", ""), ("rankings", "conditions", ""), ("events", "details", ""), ("models", "report", "")),
)
"""Columns that hold JSON: table, column, and which rows."""
COMMANDS = {
    "status": 5,
    "check": 5,
    "history": 2,
    "models": 2,
    "models --use": 1,
    "label": 4,
    "label mask": 2,
    "backup": 3,
    "lesions": 3,
    "lesions --teacher": 1,
    "rank": 2,
    "rank core": 1,
    "show": 1,
    "export labels": 2,
    "export lesions": 1,
    "export table": 1,
    "export suggestion": 1,
    "export uncertainty": 1,
    "replay": 1,
    "register": 0.3,
    "remove": 1,
    "core-set": 0.7,
    "pseudo-label": 0.5,
    "pipeline": 0.2,
    "pipeline stage": 1,
    "pretrain": 0.1,
    "finetune nnunet": 0.2,
    "finetune": 0.1,
}
"""Commands and how often each is asked, where nothing speaks for one of them."""


def some_command(random: Random, study: Path, place: Path, likely: tuple[str, ...] = ()) -> Attempt:
    """A command on a study: three times in four one of ``likely``."""
    if likely and random.random() < 0.75:
        chosen = random.choice(likely)
    else:
        chosen = random.choices(list(COMMANDS), list(COMMANDS.values()))[0]
    return Attempt(_words(random, chosen, study, place))


def _words(random: Random, chosen: str, study: Path, place: Path) -> list[str]:
    name, _, kind = chosen.partition(" ")
    where = str(study)
    case = random.choice(_case_names(study))
    json_too = ["--json"] if random.random() < 0.3 else []
    tiny = ["--config", "2d", "--epochs", "1", "--iterations", "1", "--size", "tiny", "--workers", "0"]
    if name == "label":
        answer = ["--mask", str(place / "label.nii.gz")] if kind else ["--empty"]
        if kind:
            (place / "label.nii.gz").write_bytes((study.parent.parent / "label.nii.gz").read_bytes())
        return [
            "label",
            where,
            "--case",
            case,
            "--slice",
            str(random.choice((5, 5, 0, 11))),
            "--reader",
            READER,
            *answer,
        ]
    if name == "backup":
        return ["backup", where, str(place / "backup.zip")]
    if name == "lesions":
        return ["lesions", where, *(["--teacher", "default"] if kind else []), *json_too]
    if name == "rank":
        return ["rank", where, *(["--strategy", "entropy"] if kind else []), *json_too]
    if name == "show":
        return ["show", where, "--case", case, "--slice", "5", "--out", str(place / "slices.png")]
    if name == "export":
        return [
            "export",
            where,
            str(place / "out"),
            "--what",
            kind,
            *(["--case", case] if random.random() < 0.3 else []),
        ]
    if name == "models":
        return ["models", where, *(["--use", random.choice(_model_names(study))] if kind else json_too)]
    if name == "remove":
        return ["remove", where, "--case", case]
    if name == "register":
        return ["register", where, "--case", case, "--kind", "rigid"]
    if name == "core-set":
        return ["core-set", where, "--budget", "4"]
    if name == "pseudo-label":
        return ["pseudo-label", where, "--limit", "1"] if random.random() < 0.5 else ["pseudo-label", where, "--resume"]
    if name == "pipeline":
        stages = ("teacher", "pretraining", "core-set", "reading", "fine-tuning", "lesions")
        return ["pipeline", where, *(["--stage", random.choice(stages[2:4])] if kind else ["--resume"]), *tiny]
    if name == "pretrain":
        return ["nnunet", "pretrain", where, "--teacher", "default", *tiny]
    if name == "finetune":
        return (
            ["nnunet", "finetune", where, "--teacher", "default", *tiny] if kind else [name, where, "--minutes", ".05"]
        )
    return [name, where, *json_too]


def _case_names(study: Path) -> list[str]:
    """Names of the cases as they stand in the database, where they can be read: also a spoiled one is asked for."""
    return _names(study, "cases", "name") or list(CASES)


def _model_names(study: Path) -> list[str]:
    return _names(study, "models", "id") or ["model-001-aaaa"]


def _names(study: Path, table: str, column: str) -> list[str]:
    try:
        with closing(sqlite3.connect(f"file:{study / 'study.sqlite'}?mode=ro", uri=True)) as database:
            kind = database.execute("SELECT type FROM sqlite_master WHERE name = ?", (table,)).fetchone()
            if kind is None or kind[0] != "table":
                return []  # a view may never end
            found = [row[0] for row in database.execute(f"SELECT {column} FROM {table} LIMIT 5")]
    except (sqlite3.Error, OverflowError, UnicodeError):
        return []
    return [name for name in found if isinstance(name, str) and "\0" not in name and _can_be_a_word(name)]


def _can_be_a_word(name: str) -> bool:
    try:
        return len(name.encode()) < 10_000
    except UnicodeEncodeError:
        return False


def json_of_study(random: Random, base: Path, place: Path) -> Attempt:
    """A study in which one JSON file, or one JSON column of its database, is spoiled."""
    study = copy_study(base, place)
    if random.random() < 0.45:
        table, column, which = random.choice(COLUMNS)
        spoil_json_column(random, study, table, column, which)
        return some_command(random, study, place, _of_column(table))
    files = sorted(study.rglob("*.json"))
    ours = [one for one in files if one.relative_to(study).parts[0] != "nnunet"]
    some = ours if random.random() < 0.92 else sorted(set(files) - set(ours))
    kind = random.choice(sorted({file.name for file in some}))
    file = random.choice([one for one in some if one.name == kind])
    value = json.loads(file.read_text(encoding="utf-8"))
    file.write_bytes(json_bytes(random, spoiled_tree(random, value)))
    if random.random() < 0.5:
        note_digest(study, file)
    return some_command(random, study, place, _of_file(file, study))


def _of_column(table: str) -> tuple[str, ...]:
    return {
        "settings": ("status", "label mask", "export labels", "lesions", "check"),
        "cases": ("status", "check", "label", "export table"),
        "pairs": ("status", "check", "label mask", "export labels", "lesions", "show", "rank"),
        "rankings": ("status", "check", "label", "rank", "show", "export suggestion", "replay", "core-set", "lesions"),
        "events": ("history",),
        "models": ("models", "models --use", "label", "rank"),
    }[table]


def _of_file(file: Path, study: Path) -> tuple[str, ...]:
    inside = file.relative_to(study).parts[0]
    if file.name == "lesions.json":
        return ("lesions", "export lesions", "export table", "check", "lesions --teacher")
    if file.name == "registration.json":
        return ("show", "rank", "register", "lesions", "label", "export lesions", "check")
    if file.name == "pipeline.json":
        return ("pipeline stage", "pipeline stage", "backup")
    if file.name == "pseudo.json":
        return ("core-set", "lesions --teacher", "pseudo-label", "pretrain", "backup", "pipeline stage")
    if inside == "maps":
        return ("rank", "core-set", "show", "export suggestion", "export uncertainty", "lesions")
    if inside == "nnunet":
        return ("pretrain", "finetune nnunet", "finetune nnunet", "pipeline stage")
    return ("check", "backup", "status")


def spoil_json_column(random: Random, study: Path, table: str, column: str, which: str) -> None:
    """Spoil the JSON of one row; the database is as whole as before, with all its triggers."""
    with closing(sqlite3.connect(study / "study.sqlite")) as database:
        where = f"WHERE {which}" if which else ""
        rows = database.execute(f"SELECT {column} FROM {table} {where}").fetchall()
        value = random.choice(rows)[0]
        spoiled = json_bytes(random, spoiled_tree(random, json.loads(value)))
        with without_triggers(database):
            try:
                new: Any = spoiled.decode("utf-8", "surrogatepass")
                database.execute(f"UPDATE {table} SET {column} = ? WHERE {column} = ?", (new, value))
            except UnicodeError:  # as somebody who writes bytes would: text that is none
                database.execute(f"UPDATE {table} SET {column} = CAST(? AS TEXT) WHERE {column} = ?", (spoiled, value))
        database.commit()


class without_triggers:  # noqa: N801 - reads as a sentence after "with"
    """Take the triggers away for a while, and put them back letter for letter."""

    def __init__(self, database: sqlite3.Connection) -> None:
        self._database = database
        self._triggers: list[tuple[str, str]] = []

    def __enter__(self) -> None:
        query = "SELECT name, sql FROM sqlite_master WHERE type = 'trigger'"
        self._triggers = self._database.execute(query).fetchall()
        for name, _ in self._triggers:
            self._database.execute(f"DROP TRIGGER {name}")

    def __exit__(self, *_: object) -> None:
        for _, sql in self._triggers:
            self._database.execute(sql)


def note_digest(study: Path, file: Path) -> None:
    """Let the database say that a file is as it was stored, where it names it."""
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    inside = file.relative_to(study).as_posix()
    with closing(sqlite3.connect(study / "study.sqlite")) as database:
        values = (digest, file.stat().st_size, inside)
        database.execute("UPDATE files SET digest = ?, bytes = ? WHERE path = ?", values)
        database.commit()


def spoil_links(random: Random, study: Path) -> None:
    """Put a link to the canary where a study has a file or folder of its own."""
    canary = study.parent.parent / CANARY
    inside = random.choice(
        (
            *("cases", "models", "maps", "pseudo", "removed", "nnunet", "embeddings", "core-set.html", "pipeline.json"),
            *("cases/case1", "cases/case1/lesions.json", "cases/case1/pair-1", "cases/case1/pair-1/registration.json"),
            *("cases/case1/source", "cases/case1/pair-1/mask.nrrd", "pseudo/default", "pseudo/default/case1"),
            *("removed/x", "removed/x.json", "cases/.staging-0", "cases/other", "models/other.safetensors"),
            *("pseudo/default/case1/pair-1/x.nrrd", "maps/model-001-aaaa", "maps/other", "study.sqlite-journal"),
            *("nnunet/pre", "nnunet/raw/Dataset701_pre", "nnunet/lock.json", "nnunet/lock.sqlite", "pseudo/other"),
            *("maps/model-001-aaaa/case1/pair-1/mean.nrrd", "maps/model-001-aaaa/case1/pair-1/made_by.json"),
            *("cases/case1/lesions.lock", "embeddings/bundled/case1", "study.sqlite"),
        )
    )
    target = study / inside
    aim = canary
    if target.suffix and random.random() < 0.8:
        aim = canary / random.choice(("secret.txt", "secret.raw", "missing"))
    _away(target)
    target.parent.mkdir(parents=True, exist_ok=True)
    target.symlink_to(aim)


def _away(target: Path) -> None:
    import shutil

    if target.is_symlink() or target.is_file():
        target.unlink()
    elif target.is_dir():
        shutil.rmtree(target)
