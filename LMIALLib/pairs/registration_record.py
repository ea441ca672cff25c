"""What a pair keeps of its registration, checked when it is read: the record travels with its study."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Literal

import numpy as np

from LMIALLib.errors import BadInput
from LMIALLib.json_data import Limits, shaped

CONTRAST = "[A-Za-z0-9][A-Za-z0-9_]{0,31}"
"""Names of contrasts: part of the names of files."""

_Contrast = Annotated[str, Limits(pattern=CONTRAST)]
_Source = Annotated[str, Limits(pattern=f"({CONTRAST}-)?(baseline|follow_up)")]
_Text = Annotated[str, Limits(longest=2000)]
_Entry = Annotated[float, Limits(least=-1e9, most=1e9)]
_Matrix = Annotated[tuple[_Entry, ...], Limits(longest=16)]


@dataclass(frozen=True)
class Texts:
    """One text of each visit, or None."""

    baseline: _Text | None = None
    follow_up: _Text | None = None


@dataclass(frozen=True)
class Asked:
    """How the pair was asked for."""

    grid: _Text = "follow-up"
    axis: _Text | None = None
    register: bool = True
    force: bool = False
    mask: _Text = "found"
    contrasts: tuple[_Contrast, ...] = ()
    align: _Text = "headers"


@dataclass(frozen=True)
class Judged:
    """One thing that was looked at, and the sentence that a reader must see where it is not as it should be."""

    alarm: bool = False
    sentence: _Text = ""
    method: _Text = ""


@dataclass(frozen=True)
class Alarm:
    """What a banner shows of a pair that must not be trusted as it is: a few words, and a sentence."""

    about: Literal["registration", "region", "family"]
    title: str
    sentence: str


@dataclass(frozen=True)
class RegistrationRecord:
    """The fields of a record that anything is decided by; see ``pairs.registration`` and ``pairs.prepare``."""

    sentence: _Text = ""
    alarm: bool = False
    quality: float | None = None
    dates: Texts = Texts()
    sources: Texts = Texts()
    to_source: dict[_Source, _Matrix] | None = None
    contrasts: dict[_Contrast, Any] | None = None
    request: Asked = Asked()
    confirmed: _Text = ""
    remarks: Annotated[tuple[_Text, ...], Limits(longest=100)] = ()
    brain: Judged = Judged()
    family: Judged = Judged()


def check_registration(record: dict[str, Any], where: str) -> RegistrationRecord:
    """The record with its types. Raises BadInput, naming ``where`` and the field, for what LMIAL never writes."""
    found = shaped(record, RegistrationRecord, where)
    for name, entries in (found.to_source or {}).items():
        matrix = np.reshape(entries, (4, 4)) if len(entries) == 16 else np.zeros((4, 4))
        if not 1e-6 < abs(np.linalg.det(matrix)) < 1e6 or not np.array_equal(matrix[3], (0, 0, 0, 1)):
            raise BadInput(f"{where}: to_source.{name} is no affine transform of space.")
    return found


def alarms(record: dict[str, Any]) -> tuple[Alarm, ...]:
    """What a reader must know of a pair before anything else, from its record (``Pair.registration``).

    Every face, command and report shows these, in this order; empty where all is well. Raises BadInput as
    ``check_registration`` does.
    """
    found = check_registration(record, "the pair's registration")
    found_alarms = []
    if found.alarm:
        figure = "" if found.quality is None else f" {found.quality:.2f}"
        found_alarms.append(Alarm("registration", f"Registration poor{figure}", found.sentence))
    if found.brain.alarm or found.brain.method == "foreground":  # records made before 2026-11-29 have no alarm for this
        title = "No brain found" if found.brain.method == "foreground" else "Check the region"
        found_alarms.append(Alarm("region", title, found.brain.sentence))
    if found.family.alarm:
        found_alarms.append(Alarm("family", "Unlike the training", found.family.sentence))
    return tuple(found_alarms)
