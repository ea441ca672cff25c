"""What a pair keeps of its registration, checked when it is read: the record travels with its study."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

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


def check_registration(record: dict[str, Any], where: str) -> RegistrationRecord:
    """The record with its types. Raises BadInput, naming ``where`` and the field, for what LMIAL never writes."""
    found = shaped(record, RegistrationRecord, where)
    for name, entries in (found.to_source or {}).items():
        matrix = np.reshape(entries, (4, 4)) if len(entries) == 16 else np.zeros((4, 4))
        if not 1e-6 < abs(np.linalg.det(matrix)) < 1e6 or not np.array_equal(matrix[3], (0, 0, 0, 1)):
            raise BadInput(f"{where}: to_source.{name} is no affine transform of space.")
    return found
