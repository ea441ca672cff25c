"""The text of NRRD and MetaImage headers: which fields are taken, in what form, and how long they may be.

A header that comes from a stranger is refused where a field is unknown, longer than any real one, or in another form.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from LMIALLib.errors import BadInput

LONGEST_HEADER = 1 << 20
"""Bytes; a segmentation of 100 segments by 3D Slicer takes a tenth of it."""
LONGEST_ENTRY = 1 << 16
"""Bytes of one comment or further entry (``key:=value``), whose content LMIAL does not use."""
LONGEST_NAME = 255
MOST_LINES = 20_000
_WHOLE = r"[+-]?[0-9]{1,18}"
_DECIMAL = r"[+-]?(?:[0-9]{1,40}\.?[0-9]{0,40}|\.[0-9]{1,40})(?:[eE][+-]?[0-9]{1,4})?|[+-]?(?:nan|inf|infinity)"
_VECTOR = rf"none|\(\s*(?:{_DECIMAL})(?:\s*,\s*(?:{_DECIMAL}))*\s*\)"


@dataclass(frozen=True)
class Form:
    """What a field may hold.

    Args:
        what: for sentences, as "whole numbers".
        pattern: regular expression that the whole value matches.
        longest: characters.
    """

    what: str
    pattern: str
    longest: int


def _several(one: str) -> str:
    return rf"(?:{one})(?:\s+(?:{one}))*"


WHOLE = Form("one whole number", _WHOLE, 20)
WHOLES = Form("whole numbers", _several(_WHOLE), 400)
DECIMAL = Form("one number", _DECIMAL, 100)
DECIMALS = Form("numbers", _several(_DECIMAL), 1000)
VECTORS = Form("vectors as (1,0,0)", _several(_VECTOR), 3000)
WORD = Form("one word", r"[!-~]*", 40)
WORDS = Form("words", r"[!-~]*(?:[ \t]+[!-~]+)*", 400)
TEXT = Form("text on one line", r"[^\x00-\x08\x0a-\x1f\x7f]*", LONGEST_NAME)
NAMES = Form("words in quotes", TEXT.pattern, 400)
LONG_TEXT = Form("text on one line", TEXT.pattern, 4096)


def checked_field(path: Path, kind: str, name: str, value: str, form: Form) -> str:
    """``value`` where it has the form. Raises BadInput naming the file (``path``), its ``kind`` and the field."""
    if len(value) > form.longest:
        raise BadInput(
            f"{path}: the field {name!r} of its {kind} header has {len(value):,} characters; LMIAL takes up to"
            f" {form.longest:,}."
        )
    if not re.fullmatch(form.pattern, value, flags=re.ASCII | re.IGNORECASE):
        raise BadInput(
            f"{path}: the field {name!r} of its {kind} header holds {shown(value)}; expected {form.what}.",
        )
    return value


def shown(text: str) -> str:
    """A text from a foreign file for a sentence: quoted, at most 60 characters, nothing that a terminal would obey."""
    return ascii(text if len(text) <= 60 else f"{text[:57]}...")


def wholes(fields: dict[str, str], name: str) -> tuple[int, ...]:
    """The whole numbers of a field that was checked; none where it is missing."""
    return tuple(int(word) for word in fields.get(name, "").split())


def decimal(word: str) -> float:
    """The number that a word of a checked field writes; smaller than 1e-100 is 0, on which ITK would print warnings."""
    value = float(word)
    return 0.0 if abs(value) < 1e-100 and value else value


def decimals(fields: dict[str, str], name: str) -> tuple[float, ...]:
    """The numbers of a field that was checked; none where it is missing."""
    return tuple(decimal(word) for word in fields.get(name, "").split())
