"""DICOM series: the elements of each file in a list, spoiled in one slice or in all; types are named (explicit VR)."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path
from random import Random

from mutations import CANARY, several, some_number, some_text, spoiled_bytes

LONG = (b"OB", b"OW", b"OF", b"SQ", b"UT", b"UN", b"UC", b"UR")
PIXELS = (0x7FE0, 0x0010)
GEOMETRY = {
    "position": ((0x0020, 0x0032), b"DS"),
    "orientation": ((0x0020, 0x0037), b"DS"),
    "pixel spacing": ((0x0028, 0x0030), b"DS"),
    "thickness": ((0x0018, 0x0050), b"DS"),
    "tilt": ((0x0018, 0x1120), b"DS"),
    "frames": ((0x0028, 0x0008), b"IS"),
    "slope": ((0x0028, 0x1053), b"DS"),
    "intercept": ((0x0028, 0x1052), b"DS"),
    "number": ((0x0020, 0x0011), b"IS"),
    "modality": ((0x0008, 0x0060), b"CS"),
    "patient": ((0x0010, 0x0010), b"PN"),
    "date": ((0x0008, 0x0022), b"DA"),
    "characters": ((0x0008, 0x0005), b"CS"),
}
PIXEL_TAGS = {
    "samples": (0x0028, 0x0002),
    "rows": (0x0028, 0x0010),
    "columns": (0x0028, 0x0011),
    "allocated": (0x0028, 0x0100),
    "stored": (0x0028, 0x0101),
    "high bit": (0x0028, 0x0102),
    "signed": (0x0028, 0x0103),
    "planar": (0x0028, 0x0006),
}
SYNTAXES = (
    *("1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.2", "1.2.840.10008.1.2.1.99"),
    *("1.2.840.10008.1.2.4.50", "1.2.840.10008.1.2.4.70", "1.2.840.10008.1.2.4.80", "1.2.840.10008.1.2.4.90"),
    *("1.2.840.10008.1.2.5", "1.2.840.10008.1.2.4.100", "9.9", ""),
)


@dataclass
class Element:
    """One element; ``length`` is what the file says of it where that is a lie."""

    tag: tuple[int, int]
    vr: bytes
    value: bytes
    length: int | None = None

    def encoded(self) -> bytes:
        """As it stands in a file."""
        value = self.value + ((b"\0" if self.vr in LONG or self.vr == b"UI" else b" ") if len(self.value) % 2 else b"")
        length = len(value) if self.length is None else self.length
        start = struct.pack("<HH", *self.tag) + self.vr
        if self.vr in LONG:
            return start + struct.pack("<HI", 0, length % 2**32) + value
        return start + struct.pack("<H", length % 2**16) + value


def elements_of(data: bytes) -> list[Element]:
    """The elements of a file without sequences that ITK wrote: types are named in its first group only."""
    found, at = [], 132
    named = dict(GEOMETRY.values()) | dict.fromkeys(PIXEL_TAGS.values(), b"US")
    named |= {PIXELS: b"OW", (0x0028, 0x0004): b"CS", (0x0028, 0x0106): b"US", (0x0028, 0x0107): b"US"}
    named |= dict.fromkeys(((0x0008, 0x0016), (0x0008, 0x0018), (0x0020, 0x000D), (0x0020, 0x000E)), b"UI")
    while at < len(data):
        group, number = struct.unpack_from("<HH", data, at)
        if group != 2:
            vr, head, form, where = named.get((group, number), b"UN"), 8, "<I", 4
        else:
            vr = data[at + 4 : at + 6]
            head, form, where = (12, "<I", 8) if vr in LONG else (8, "<H", 6)
        (length,) = struct.unpack_from(form, data, at + where)
        found.append(Element((group, number), vr, data[at + head : at + head + length]))
        at += head + length
    _put(found, (0x0002, 0x0010), b"UI", SYNTAXES[1].encode())
    return found


def spoil_series(random: Random, base: Path, folder: Path) -> None:
    """Write a series whose files, or some of them, are spoiled; one in seven is left as it was."""
    slices = [elements_of(file.read_bytes()) for file in sorted((base / "dicom").glob("*.dcm"))]
    after: list[bytes] = []
    if random.random() < 0.4:
        _legal(random, slices)
    if random.random() < 0.85:
        chosen = slices if random.random() < 0.5 else [random.choice(slices)]
        for _ in range(random.choice((1, 1, 2, 3))):
            change, state = random.choice(CHANGES), random.getstate()
            for one in chosen:
                random.setstate(state)  # the same for all of them
                change(random, one)
        if random.random() < 0.3:
            _series(random, slices)
    for one in slices:
        if random.random() < 0.97:
            _true_length(one)
        data = bytes(128) + b"DICM" + b"".join(element.encoded() for element in one)
        after.append(data)
    folder.mkdir()
    if random.random() < 0.15:
        position = random.randrange(len(after))
        after[position] = spoiled_bytes(random, after[position])
    for number, data in enumerate(after):
        (folder / f"slice{number:03d}.dcm").write_bytes(data)
    if random.random() < 0.15:
        several(random, folder, FOLDERS)


def _true_length(elements: list[Element]) -> None:
    """Say how long the first group is, without which no reader finds the second."""
    total = sum(len(one.encoded()) for one in elements if one.tag[0] == 2 and one.tag[1] != 0)
    first = _at(elements, (0x0002, 0x0000))
    if first is not None and first.vr == b"UL":
        first.value = struct.pack("<I", total)


def _at(elements: list[Element], tag: tuple[int, int]) -> Element | None:
    return next((one for one in elements if one.tag == tag), None)


def _put(elements: list[Element], tag: tuple[int, int], vr: bytes, value: bytes) -> None:
    one = _at(elements, tag)
    if one is None:
        elements.append(Element(tag, vr, value))
        elements.sort(key=lambda element: element.tag)
    else:
        one.vr, one.value = vr, value


def _legal(random: Random, slices: list[list[Element]]) -> None:
    """Change all slices in a way that leaves the series readable."""
    kind = random.randrange(4)
    for one in slices:
        if kind == 0:
            _put(one, (0x0010, 0x4000), b"LT", b"a comment")
        elif kind == 1:
            _put(one, (0x0028, 0x0030), b"DS", b"6.5\\6.5")
        elif kind == 2:
            _put(one, (0x0028, 0x1053), b"DS", b"2")
        else:
            _put(one, (0x0008, 0x0005), b"CS", b"ISO_IR 192")


def _geometry(random: Random, elements: list[Element]) -> None:
    tag, vr = random.choice(list(GEOMETRY.values()))
    one = _at(elements, tag)
    words = (one.value if one else b"1").decode("latin-1").strip().split("\\")
    kind = random.random()
    if kind < 0.5:
        words[random.randrange(len(words))] = str(some_number(random))
    elif kind < 0.7:
        words = words * random.choice((0, 2, 100, 1000))
    else:
        words = [some_text(random)]
    _put(elements, tag, vr, "\\".join(words).encode("utf-8", "surrogatepass")[:60_000])


def _pixel_tag(random: Random, elements: list[Element]) -> None:
    tag = random.choice(list(PIXEL_TAGS.values()))
    value = random.choice((0, 1, 2, 3, 4, 7, 8, 12, 15, 16, 17, 24, 28, 32, 64, 255, 32768, 65535))
    _put(elements, tag, b"US", struct.pack("<H", value))


def _pixels(random: Random, elements: list[Element]) -> None:
    one = _at(elements, PIXELS)
    if one is None:
        return
    kind = random.randrange(4)
    if kind == 0:
        one.value = one.value[: int(len(one.value) * random.random())]
    elif kind == 1:
        one.value = b""
    elif kind == 2:
        one.length = random.choice((0, 1, 2**31, 2**32 - 1, 2**32 - 2, len(one.value) * 2))
    else:
        item = b"\xfe\xff\x00\xe0" + struct.pack("<I", random.choice((0, 4, len(one.value), 2**32 - 1)))
        one.value, one.length = item + one.value + b"\xfe\xff\xdd\xe0\0\0\0\0", 2**32 - 1


def _length(random: Random, elements: list[Element]) -> None:
    random.choice(elements).length = random.choice((0, 1, 3, 60_000, 65_535, 2**31, 2**32 - 1))


def _vr(random: Random, elements: list[Element]) -> None:
    vrs = (b"UN", b"SQ", b"US", b"DS", b"OB", b"LO", b"??", b"\0\0", b"AT", b"FD", b"UT", b"UI")
    random.choice(elements).vr = random.choice(vrs)


def _drop(random: Random, elements: list[Element]) -> None:
    elements.remove(random.choice(elements))


def _double(random: Random, elements: list[Element]) -> None:
    elements.insert(random.randrange(len(elements)), random.choice(elements))


def _any_value(random: Random, elements: list[Element]) -> None:
    random.choice(elements).value = some_text(random).encode("utf-8", "surrogatepass")[:60_000]


def _syntax(random: Random, elements: list[Element]) -> None:
    _put(elements, (0x0002, 0x0010), b"UI", random.choice(SYNTAXES).encode())


def _colour(random: Random, elements: list[Element]) -> None:
    kinds = (b"RGB", b"PALETTE COLOR", b"YBR_FULL_422", b"MONOCHROME1", b"ARGB", b"", b"x" * 300)
    _put(elements, (0x0028, 0x0004), b"CS", random.choice(kinds))


def _sequence(random: Random, elements: list[Element]) -> None:
    """Sequences in sequences, which a reader may follow by recursion."""
    depth = random.choice((1, 10, 1000, 20_000))
    start = struct.pack("<HH", 0x0040, 0x0275) + b"SQ" + struct.pack("<HI", 0, 2**32 - 1)
    item = b"\xfe\xff\x00\xe0" + struct.pack("<I", 2**32 - 1)
    end = b"\xfe\xff\x0d\xe0\0\0\0\0" + b"\xfe\xff\xdd\xe0\0\0\0\0"
    value = item + (start + item) * depth + (end * depth if random.random() < 0.5 else b"") + end[:16]
    elements.append(Element((0x0040, 0x0275), b"SQ", value, 2**32 - 1))
    elements.sort(key=lambda element: element.tag)


def _series(random: Random, slices: list[list[Element]]) -> None:
    """Slices missing, doubled, of another series, or far away."""
    kind = random.randrange(5)
    where = random.randrange(len(slices))
    if kind == 0:
        del slices[where : where + random.choice((1, 5, 20))]
    elif kind == 1:
        slices.append(slices[where])
    elif kind == 2:
        _put(slices[where], (0x0020, 0x000E), b"UI", random.choice((b"1.2.3", b"", b"\x1b[2J", b"1" * 3000)))
    elif kind == 3:
        _put(slices[where], (0x0020, 0x0032), b"DS", f"0\\0\\{some_number(random)}".encode()[:60_000])
    else:
        random.shuffle(slices)


def _folder_link(random: Random, folder: Path) -> None:
    (folder / "more.dcm").unlink(missing_ok=True)
    (folder / "more.dcm").symlink_to(Path("..") / ".." / CANARY / random.choice(("secret.txt", "secret.raw", "", "no")))


def _folder_stranger(random: Random, folder: Path) -> None:
    name = random.choice(("DICOMDIR", "x" * 250, ".hidden", "a\nb", "a\x1b[2Jb", "ü.dcm", "b\udcff.dcm", "%d.dcm"))
    (folder / name).write_bytes(random.choice((b"", b"DICM", bytes(128) + b"DICM", b"\xff" * 5000)))


def _folder_inside(random: Random, folder: Path) -> None:
    (folder / "inside.dcm").mkdir(exist_ok=True)


CHANGES = (
    *(_geometry, _geometry, _pixel_tag, _pixel_tag, _pixels, _length, _vr, _drop, _double, _any_value, _any_value),
    *(_syntax, _colour, _sequence),
)
FOLDERS = (_folder_link, _folder_stranger, _folder_inside)
