"""The tables of a simulation from its jobs: ``rounds.csv``, ``delivered.csv``, ``timing.csv`` and ``chosen.csv``."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from LMIALLib.errors import BadInput
from LMIALLib.files import written_whole
from LMIALLib.json_data import read_json
from LMIALLib.laboratory.delivered import CROSSINGS, crossings
from LMIALLib.laboratory.round_metrics import COLUMNS
from LMIALLib.laboratory.rounds import Job
from LMIALLib.laboratory.settings import FULL

CHOSEN = ("strategy", "seed", "part", "round", "order", "case", "slice")
TIMING = ("strategy", "seed", "round", "choose_seconds", "train_seconds", "predict_seconds")

DELIVERED = ("strategy", "seed", "learning", "dice_delivered", *CROSSINGS)
"""Of ``delivered.csv``, a line a job: the delivered Dice at its end, and after which round's slices and minutes (of a
reader who corrects the suggestion) it stays at a level."""


def write_tables(folder: Path, jobs: Sequence[Job]) -> None:
    """Write the four tables, each whole, in the order of the jobs.

    Numbers are written alike everywhere ("%.6f", empty where undefined), and ``rounds.csv`` and ``chosen.csv`` hold no
    clock value, so that equal runs give equal bytes. Raises BadInput where a job's file is missing or broken.
    """
    results = [_result(job) for job in jobs]
    who = [{"strategy": result["strategy"], "seed": result["seed"]} for result in results]
    both = list(zip(who, results, strict=True))
    _write(folder / "rounds.csv", COLUMNS, (entry["row"] for _, result in both for entry in result["rounds"]))
    _write(
        folder / "chosen.csv",
        CHOSEN,
        (
            {**named, **dict(zip(CHOSEN[2:], chosen, strict=True))}
            for named, result in both
            for entry in result["rounds"]
            for chosen in entry["chosen"]
        ),
    )
    _write(
        folder / "timing.csv",
        TIMING,
        (
            {**named, "round": entry["row"]["round"], **{f"{k}_seconds": v for k, v in entry["seconds"].items()}}
            for named, result in both
            for entry in result["rounds"]
        ),
    )
    _write(
        folder / "delivered.csv",
        DELIVERED,
        (
            {**named, "learning": job.settings.get("learning") or "finetune", **_delivered(result)}
            for job, (named, result) in zip(jobs, both, strict=True)
            if job.strategy != FULL
        ),
    )


def _delivered(result: dict[str, Any]) -> dict[str, float | None]:
    """The figures of ``delivered.csv``; rounds made before they existed have none."""
    rows = [entry["row"] for entry in result["rounds"]]
    dice, minutes = (
        [float("nan") if row.get(name) is None else float(row[name]) for row in rows]
        for name in ("dice_delivered", "minutes_correcting")
    )
    return {"dice_delivered": rows[-1].get("dice_delivered"), **crossings(dice, [r["labelled"] for r in rows], minutes)}


def _result(job: Job) -> dict[str, Any]:
    try:
        return read_json(job.result, dict[str, Any])
    except (OSError, BadInput) as error:
        raise BadInput(f"{job.result}: this job is missing or broken.", "Remove it and go on with --resume.") from error


def _write(path: Path, columns: Sequence[str], rows: Iterable[dict[str, Any]]) -> None:
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    for row in rows:
        writer.writerow({name: _shown(value) for name, value in row.items()})
    with written_whole(path) as temporary:
        temporary.write_bytes(text.getvalue().encode())


def _shown(value: Any) -> str:
    if value is None:
        return ""
    return f"{value:.6f}" if isinstance(value, float) else str(value)
