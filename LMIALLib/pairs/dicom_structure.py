"""The structure of a DICOM file, walked before GDCM (ITK's reader) sees it.

GDCM follows sequences into sequences until its stack is full, and looks into every file of a folder. So only files
that were walked here are handed to it: every length inside the file, sequences nested as deep as real ones.
"""

from __future__ import annotations

import mmap
import re
import struct
from dataclasses import dataclass, field
from pathlib import Path

from LMIALLib.errors import BadInput

DEEPEST = 16
"""Sequences within sequences; enhanced objects of scanners have five or six."""
MOST_ELEMENTS = 200_000
LARGEST_FILE = 1 << 29
"""Bytes of one file; a slice has a thousandth of it."""
_UNDEFINED = 0xFFFFFFFF
_ITEM, _ITEM_END, _SEQUENCE_END, _PIXELS = 0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD, 0x7FE00010
_SERIES, _SYNTAX, _FRAMES, _CLASS = 0x0020000E, 0x00020010, 0x00280008, 0x00080016
_SEGMENTATION = "1.2.840.10008.5.1.4.1.1.66.4"
_SAMPLES, _ROWS, _COLUMNS, _BITS, _STORED, _HIGH = (0x00280000 | tag for tag in (2, 0x10, 0x11, 0x100, 0x101, 0x102))
_NUMBERS = (_SAMPLES, _ROWS, _COLUMNS, _BITS, _STORED, _HIGH)
_RUN_LENGTHS = "1.2.840.10008.1.2.5"
_SHORT = set(re.findall("..", "AEASATCSDADSDTFLFDISLOLTPNSHSLSSSTTMUIULUS"))
"""Types whose length takes two bytes; in the others it takes four."""
_LONG = set(re.findall("..", "OBODOFOLOVOWSQSVUCUNURUTUV"))
_PLAIN = {"1.2.840.10008.1.2": "<i", "1.2.840.10008.1.2.1": "<e", "1.2.840.10008.1.2.2": ">e"}
_PLAIN |= {"1.2.840.113619.5.2": "<i"}
_COMPRESSED = re.compile(r"1\.2\.840\.10008\.1\.2\.(?:4\.(?:50|51|57|70|80|81|90|91)|5)")
"""JPEG, lossless JPEG, JPEG-LS, JPEG 2000 and run lengths; deflated files hide their structure and are not read."""


@dataclass
class _Walk:
    """One pass over a file.

    Args:
        data: the whole file; order: "<" or ">"; explicit: whether elements name their type.
        elements: how many were passed so far.
        found: text of the few elements of the top level that are asked for, by tag.
        numbers: those that are numbers of two bytes.
        plain_bytes: length of voxels that are not compressed; None for others.
    """

    data: mmap.mmap
    order: str = "<"
    explicit: bool = True
    elements: int = 0
    found: dict[int, str] = field(default_factory=dict)
    numbers: dict[int, int] = field(default_factory=dict)
    plain_bytes: int | None = None


def series_of(path: Path) -> str | None:
    """The series (UID) that a DICOM image belongs to; None for a file that is no DICOM, or holds no image.

    Raises BadInput with one sentence where a DICOM file is damaged, or written in a way that LMIAL does not read.
    """
    walk = _walked(path)
    if walk is None or _PIXELS not in walk.found or walk.numbers.get(_BITS) == 1:  # one bit: a segmentation, no scan
        return None
    try:
        _check_picture(walk)
    except ValueError as error:
        raise _damaged(path) from error
    uid = walk.found.get(_SERIES, "")
    return uid if re.fullmatch(r"[0-9A-Za-z.]{1,64}", uid) else "unnamed"


def is_segmentation_object(path: Path) -> bool:
    """Whether a file is a DICOM segmentation (SEG) whose structure is whole. Raises BadInput as ``series_of``."""
    walk = _walked(path)
    return walk is not None and walk.found.get(_CLASS, "") == _SEGMENTATION and _PIXELS in walk.found


def _walked(path: Path) -> _Walk | None:
    """All elements of a file passed over; None for a file that is no DICOM. Raises BadInput where it is damaged."""
    with open(path, "rb") as file:
        size = file.seek(0, 2)
        if size < 140:
            return None
        file.seek(0)
        begin = file.read(132)
        if begin[128:] != b"DICM" and begin[:2] != b"\x08\x00":
            return None
        if size > LARGEST_FILE:
            raise BadInput(f"{path.parent}: its file {path.name} has {size / 1e9:,.1f} GB; LMIAL reads slices.")
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            walk = _Walk(data)
            try:
                _walk_file(walk, 132 if begin[128:] == b"DICM" else 0)
            except (ValueError, struct.error) as error:
                raise _damaged(path) from error
    return walk


def _damaged(path: Path) -> BadInput:
    return BadInput(f"{path.parent}: its file {path.name} is damaged DICOM, or of a variant that LMIAL does not read.")


def _walk_file(walk: _Walk, begin: int) -> None:
    """Pass over all elements. ValueError where the structure is broken."""
    data, end = walk.data, len(walk.data)
    while data[begin : begin + 2] == b"\x02\x00":
        begin = _walk_element(walk, begin, end, 0)
    syntax = walk.found.get(_SYNTAX, "")
    if not syntax:
        # Without a header of its own: whether types are named shows in the two letters where a type would stand.
        walk.explicit = data[begin + 4 : begin + 6].decode("latin-1") in _SHORT | _LONG
    elif syntax in _PLAIN:
        walk.order, walk.explicit = _PLAIN[syntax][0], _PLAIN[syntax][1] == "e"
    elif not _COMPRESSED.fullmatch(syntax):
        raise ValueError(f"transfer syntax {syntax}")
    while begin < end:
        if end - begin < 8 and not data[begin:end].strip(b"\0"):
            return
        begin = _walk_element(walk, begin, end, 0)


def _check_picture(walk: _Walk) -> None:
    """ValueError where the numbers that describe the picture are none, which GDCM would divide by or trust."""
    samples, rows, columns, bits, stored, high = (walk.numbers.get(tag, 0) for tag in _NUMBERS)
    samples = samples if _SAMPLES in walk.numbers else 1
    if not (1 <= samples <= 4 and rows and columns and bits in (8, 16, 32) and 1 <= stored <= bits and high < bits):
        raise ValueError("the picture's numbers are none")
    several = walk.found.get(_FRAMES, "1") not in ("", "0", "1")  # refused later, with a sentence of its own
    if walk.plain_bytes is not None and not several and walk.plain_bytes < samples * rows * columns * bits // 8:
        raise ValueError("the picture is cut short")


def _head(walk: _Walk, begin: int, end: int) -> tuple[int, str, int, int]:
    """Tag, type ("" where none is named), length and the byte of the value."""
    if end - begin < 8:
        raise ValueError("an element is cut short")
    group, element = struct.unpack_from(f"{walk.order}2H", walk.data, begin)
    tag = group << 16 | element
    if not walk.explicit or group == 0xFFFE:
        return tag, "", struct.unpack_from(f"{walk.order}I", walk.data, begin + 4)[0], begin + 8
    kind = walk.data[begin + 4 : begin + 6].decode("latin-1")
    if kind in _SHORT:
        return tag, kind, struct.unpack_from(f"{walk.order}H", walk.data, begin + 6)[0], begin + 8
    if kind not in _LONG or end - begin < 12:
        raise ValueError("an element has no known type")
    return tag, kind, struct.unpack_from(f"{walk.order}I", walk.data, begin + 8)[0], begin + 12


def _walk_element(walk: _Walk, begin: int, end: int, depth: int) -> int:
    """Pass over one element and what it holds; returns the byte behind it."""
    walk.elements += 1
    if walk.elements > MOST_ELEMENTS or depth > DEEPEST:
        raise ValueError("too many elements, or nested too deep")
    tag, kind, length, value = _head(walk, begin, end)
    if length != _UNDEFINED and length > end - value:
        raise ValueError("an element is longer than its file")
    stop = end if length == _UNDEFINED else value + length
    if tag in _NUMBERS and depth == 0 and length == 2:
        walk.numbers[tag] = struct.unpack_from(f"{walk.order}H", walk.data, value)[0]
    if tag in (_SERIES, _SYNTAX, _PIXELS, _FRAMES, _CLASS) and depth == 0:
        walk.found[tag] = walk.data[value : min(stop, value + 80)].decode("latin-1").strip(" \0")
    if tag == _PIXELS and length == _UNDEFINED:
        return _walk_fragments(walk, value, stop)
    if tag == _PIXELS:
        walk.plain_bytes = length if depth == 0 else walk.plain_bytes
        return stop
    item = walk.data[value : value + 4] in (b"\xfe\xff\x00\xe0", b"\xff\xfe\xe0\x00")
    if length == _UNDEFINED or kind == "SQ" or (item and kind in ("", "UN")):
        explicit = walk.explicit
        walk.explicit = explicit and kind != "UN"
        stop = _walk_items(walk, value, stop, depth + 1, length == _UNDEFINED)
        walk.explicit = explicit
    return stop


def _walk_items(walk: _Walk, begin: int, end: int, depth: int, undefined: bool) -> int:
    """Pass over the items of a sequence; returns the byte behind it."""
    while begin < end:
        tag, _, length, value = _head(walk, begin, end)
        if tag == _SEQUENCE_END and undefined:
            return value
        if tag != _ITEM or (length != _UNDEFINED and length > end - value):
            raise ValueError("a sequence holds what is no item")
        stop = end if length == _UNDEFINED else value + length
        begin = value
        while begin < stop:
            if length == _UNDEFINED and _head(walk, begin, stop)[0] == _ITEM_END:
                begin += 8
                break
            begin = _walk_element(walk, begin, stop, depth)
        else:
            if length == _UNDEFINED:
                raise ValueError("an item does not end")
    if undefined:
        raise ValueError("a sequence does not end")
    return begin


def _walk_fragments(walk: _Walk, begin: int, end: int) -> int:
    """Pass over the fragments of compressed voxels; returns the byte behind them."""
    number = 0
    while True:
        walk.elements += 1
        tag, _, length, value = _head(walk, begin, end)
        if tag == _SEQUENCE_END:
            return value
        if tag != _ITEM or length > end - value or walk.elements > MOST_ELEMENTS:
            raise ValueError("compressed voxels do not end")
        if number and walk.found.get(_SYNTAX) == _RUN_LENGTHS:  # the first fragment is a table of the others
            _check_run_lengths(walk.data[value : value + min(length, 64)], length)
        begin, number = value + length, number + 1


def _check_run_lengths(head: bytes, length: int) -> None:
    """ValueError where a fragment does not begin with the places of its parts, by whose number GDCM divides."""
    count, *places = struct.unpack("<16I", head)
    used = places[: min(count, 15)]
    if not 1 <= count <= 15 or used[0] != 64 or used != sorted(used) or used[-1] >= length:
        raise ValueError("run lengths without their places")
