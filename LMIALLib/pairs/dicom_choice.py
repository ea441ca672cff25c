"""Which volumes a DICOM folder holds, and the one that was chosen: several series, and several volumes in one series.

A volume's key is the UID of its series, and where that holds several, a colon and a number from 1 on: "1.2.3:2". ":2"
is the second volume of the only series of a folder.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from LMIALLib.errors import BadInput, Do, Step
from LMIALLib.pairs.dicom_slice import MODALITY, NUMBER, read_slice
from LMIALLib.pairs.dicom_structure import series_of
from LMIALLib.pairs.dicom_volumes import Stack, stacks_of
from LMIALLib.pairs.headers_text import shown

MOST_FILES = 20_000
"""Files of a folder that are looked into; a large folder of all series of an examination has some thousands."""
MOST_LISTED = 12
"""Volumes that a sentence names."""
_HINT = "Choose one: NAME, or NAME,NAME for the baseline and the follow-up"
_STEP = Step(Do.CHOOSE_SERIES)


@dataclass(frozen=True)
class VolumeChoice:
    """One of the volumes that a folder holds.

    Args:
        key: what chooses it: ``series`` of ``read_series`` and ``PairRequest``.
        words: what it is, for a person; never identifying.
        slices: how many it has.
    """

    key: str
    words: str
    slices: int


def volumes_in(folder: Path) -> list[VolumeChoice]:
    """The volumes that a folder directly holds, from which a person chooses: series, and echoes or the like in them.

    Raises BadInput where a DICOM file is damaged, or the folder holds too many files.
    """
    return [choice for uid, files in series_in(folder).items() for choice in _choices(uid, _stacks(folder, files))]


def choice_in(folder: Path, wanted: str, pick: int) -> str | None:
    """Which of several wanted volumes (keys of ``volumes_in``, with commas between) a folder holds, as its key.

    Of several that one folder holds, the baseline takes the first (``pick`` 0) and the follow-up the last (-1). None
    where the folder holds one series only, which needs no choice.
    """
    keys = [key.strip() for key in wanted.split(",") if key.strip()]
    held = series_in(folder)
    found = [key for key in keys if key.partition(":")[0] in ("", *held)]
    if found:
        return found[pick]
    return None if len(held) == 1 and len(keys) == 1 else wanted


def series_in(folder: Path) -> dict[str, list[str]]:
    """UIDs of the DICOM series that a folder directly holds, each with its files in the order of their names.

    Raises BadInput where a DICOM file is damaged, or the folder holds too many files.
    """
    found: dict[str, list[str]] = {}
    files = sorted(path for path in folder.iterdir() if path.is_file())
    if len(files) > MOST_FILES:
        raise BadInput(f"{folder}: it holds {len(files):,} files; LMIAL takes up to {MOST_FILES:,}.")
    for path in files:
        uid = series_of(path)
        if uid is not None:
            found.setdefault(uid, []).append(str(path))
    return found


def _stacks(folder: Path, files: Sequence[str]) -> list[Stack]:
    return stacks_of(folder, [read_slice(folder, file) for file in files])


def chosen_stack(folder: Path, series: str | None) -> Stack:
    """The slices of the one volume, or of the one that was asked for."""
    found = series_in(folder)
    if not found:
        raise BadInput(
            f"{folder}: this folder holds no readable DICOM series.",
            "Give the folder that directly holds the slices of one series, or a file.",
        )
    uid, _, number = (series or "").partition(":")
    if uid and uid not in found:
        raise BadInput(f"{folder}: it holds no series {shown(uid)}, but {_listed(volumes_in(folder))}.")
    if not uid and len(found) > 1:
        raise BadInput(f"{folder}: it holds {len(found)} series: {_listed(volumes_in(folder))}.", f"{_HINT}.", _STEP)
    uid = uid or next(iter(found))
    stacks = _stacks(folder, found[uid])
    if not number and len(stacks) > 1:
        raise BadInput(
            f"{folder}: its series holds {len(stacks)} volumes: {_listed(_choices(uid, stacks))}.",
            f"{_HINT}, as :1 for the first volume of both visits.",
            _STEP,
        )
    if number and not (re.fullmatch("[0-9]{1,6}", number) and 1 <= int(number) <= len(stacks)):
        raise BadInput(f"{folder}: it holds no volume {shown(number)}, but {_listed(_choices(uid, stacks))}.")
    return stacks[int(number or 1) - 1]


def _choices(uid: str, stacks: Sequence[Stack]) -> list[VolumeChoice]:
    choices = []
    for place, stack in enumerate(stacks, start=1):
        first, count = stack.slices[0], len(stack.slices)
        number, modality = first.text(NUMBER), first.text(MODALITY)
        words = [f"series {int(number)}"] if re.fullmatch(r"\d{1,9}", number) else []
        words += [modality] if re.fullmatch(r"[A-Z]{2,16}", modality) else []
        words += [stack.words] if stack.words else []
        words.append(f"{count} file{'s' if count != 1 else ''}")
        choices.append(VolumeChoice(uid if len(stacks) == 1 else f"{uid}:{place}", ", ".join(words), count))
    return choices


def _listed(choices: Sequence[VolumeChoice]) -> str:
    more = f"; and {len(choices) - MOST_LISTED} more" if len(choices) > MOST_LISTED else ""
    return "; ".join(f"{one.key} ({one.words})" for one in choices[:MOST_LISTED]) + more
