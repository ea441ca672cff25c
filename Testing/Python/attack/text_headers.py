"""Volumes whose header is text: NRRD and MetaImage, taken apart into fields, spoiled, and written again."""

from __future__ import annotations

import bz2
import gzip
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

import numpy as np
from mutations import CANARY, PATHS, nested, several, some_number, some_text, spoiled_bytes

NRRD_TYPES = {"uint8": "uint8", "int16": "short", "float32": "float", "float64": "double", "int32": "int"}
METAIMAGE_TYPES = {"uint8": "MET_UCHAR", "int16": "MET_SHORT", "float32": "MET_FLOAT", "float64": "MET_DOUBLE"}
MORE_NRRD = (
    *("space", "units", "space units", "labels", "centerings", "centers", "thicknesses", "axis mins", "axis maxs"),
    *("old min", "old max", "min", "max", "block size", "blocksize", "number", "content", "sample units", "endian"),
    *(
        "measurement frame",
        "space dimension",
        "spacings",
        "line skip",
        "byte skip",
        "lineskip",
        "byteskip",
        "data file",
    ),
    *("datafile", "kinds", "sizes", "dimension", "type", "encoding", "space origin", "no such field", "x" * 1000),
)
MORE_METAIMAGE = (
    *("Name", "Comment", "ObjectSubType", "TransformType", "ID", "ParentID", "Color", "AnatomicalOrientation"),
    *("CenterOfRotation", "Offset", "Position", "Origin", "TransformMatrix", "Rotation", "Orientation", "Modality"),
    *("ElementMin", "ElementMax", "ElementNumberOfChannels", "ElementSize", "ElementSpacing", "ElementToIntensity"),
    *("HeaderSize", "CompressedDataSize", "CompressedData", "BinaryData", "BinaryDataByteOrderMSB", "SequenceID"),
    *("ElementByteOrderMSB", "ElementType", "NDims", "DimSize", "DistanceUnits", "AcquisitionDate", "X" * 300),
)


@dataclass
class TextVolume:
    """A file in parts.

    Args:
        nrrd: NRRD, else MetaImage.
        fields: name and value, in the order of the file; `separator` stands between them.
        array: voxels (k, j, i).
        packed: how they are written: raw, gzip, bzip2 or zlib.
        beside: whether they lie in a file of their own.
        data_name: what the header calls that file; None: what it is.
    """

    nrrd: bool
    fields: list[list[str]]
    array: np.ndarray
    packed: str = "raw"
    beside: bool = False
    data_name: str | None = None
    separators: dict[str, str] = field(default_factory=dict)
    bomb: int = 0
    tail: list[Callable[[bytes], bytes]] = field(default_factory=list)
    must_refuse: bool = False

    def set(self, name: str, value: str) -> None:
        """Give a field another value, or add it."""
        for one in self.fields:
            if one[0] == name:
                one[1] = value
                return
        self.fields.append([name, value])


def nrrd_of(array: np.ndarray, spacing: tuple[float, ...], origin: tuple[float, ...]) -> TextVolume:
    """A NRRD as LMIAL and 3D Slicer write it."""
    directions = " ".join(
        "(" + ",".join(str(s if a == b else 0) for b in range(3)) + ")" for a, s in enumerate(spacing)
    )
    fields = [
        ["type", NRRD_TYPES[array.dtype.name]],
        ["dimension", "3"],
        ["space", "left-posterior-superior"],
        ["sizes", " ".join(map(str, array.shape[::-1]))],
        ["space directions", directions],
        ["kinds", "domain domain domain"],
        ["endian", "little"],
        ["encoding", "raw"],
        ["space origin", "(" + ",".join(map(str, origin)) + ")"],
    ]
    return TextVolume(True, fields, array)


def metaimage_of(array: np.ndarray, spacing: tuple[float, ...], origin: tuple[float, ...]) -> TextVolume:
    """A MetaImage as ITK writes it."""
    fields = [
        ["ObjectType", "Image"],
        ["NDims", "3"],
        ["BinaryData", "True"],
        ["BinaryDataByteOrderMSB", "False"],
        ["CompressedData", "False"],
        ["TransformMatrix", "1 0 0 0 1 0 0 0 1"],
        ["Offset", " ".join(map(str, origin))],
        ["ElementSpacing", " ".join(map(str, spacing))],
        ["DimSize", " ".join(map(str, array.shape[::-1]))],
        ["ElementType", METAIMAGE_TYPES[array.dtype.name]],
    ]
    return TextVolume(False, fields, array)


def spoil(random: Random, volume: TextVolume) -> None:
    """Change how a valid file is written, and then, four times in five, spoil one to three parts of it."""
    if random.random() < 0.8:
        several(random, volume, LEGAL)
    if random.random() < 0.8:
        several(random, volume, BAD)


def write(random: Random, volume: TextVolume, folder: Path, stem: str) -> Path:
    """Write the file, or header and data file; returns the one to read."""
    data = _packed(volume)
    for change in volume.tail:
        data = change(data)
    attached, detached = (".nrrd", ".nhdr") if volume.nrrd else (".mha", ".mhd")
    path = folder / f"{stem}{detached if volume.beside else attached}"
    name = volume.data_name if volume.data_name is not None else f"{stem}.raw" if volume.beside else "LOCAL"
    fields = [list(one) for one in volume.fields]
    if volume.beside and volume.nrrd:
        fields.append(["data file", name])
    elif not volume.nrrd:
        fields.append(["ElementDataFile", name])
    between = ": " if volume.nrrd else " = "
    lines = [f"{name}{volume.separators.get(name, between)}{value}" for name, value in fields]
    start = ["NRRD0004"] if volume.nrrd else []
    end = "\n\n" if volume.nrrd else "\n"
    header = ("\n".join([*start, *lines]) + end).encode("utf-8", "surrogatepass")
    if random.random() < 0.05:
        header = spoiled_bytes(random, header)
    path.write_bytes(header if volume.beside else header + data)
    if volume.beside:
        (folder / f"{stem}.raw").write_bytes(data)
    return path


def _packed(volume: TextVolume) -> bytes:
    data = np.ascontiguousarray(volume.array).tobytes()
    if volume.bomb:
        data += bytes(volume.bomb)
    if volume.packed == "gzip":
        return gzip.compress(data, 1)
    if volume.packed == "bzip2":
        return bz2.compress(data, 1)
    return zlib.compress(data, 1) if volume.packed == "zlib" else data


def _legal_packing(random: Random, volume: TextVolume) -> None:
    volume.packed = random.choice(("raw", "gzip", "bzip2") if volume.nrrd else ("raw", "zlib"))
    if volume.nrrd:
        volume.set("encoding", {"raw": "raw", "gzip": "gzip", "bzip2": "bzip2"}[volume.packed])
    else:
        volume.set("CompressedData", str(volume.packed == "zlib"))


def _legal_beside(random: Random, volume: TextVolume) -> None:
    volume.beside = True


def _legal_type(random: Random, volume: TextVolume) -> None:
    types = NRRD_TYPES if volume.nrrd else METAIMAGE_TYPES
    name = random.choice(sorted(types))
    volume.array = volume.array.astype(name)
    volume.set("type" if volume.nrrd else "ElementType", types[name])


def _legal_order(random: Random, volume: TextVolume) -> None:
    volume.array = volume.array.astype(volume.array.dtype.newbyteorder(">"))
    if volume.nrrd:
        volume.set("endian", "big")
    else:
        volume.set("BinaryDataByteOrderMSB", "True")


def _legal_words(random: Random, volume: TextVolume) -> None:
    if volume.nrrd:
        line = random.choice((["# a comment", ""], ["patient:=somebody", ""], ["content", "a head"]))
        if line[1] == "":
            volume.separators[line[0]] = ""
        volume.fields.insert(random.randrange(len(volume.fields) + 1), line)
    else:
        volume.fields.insert(1, random.choice((["Comment", "a head"], ["AnatomicalOrientation", "RAI"])))


def _legal_values(random: Random, volume: TextVolume) -> None:
    found = volume.array.astype(np.float64)
    found[tuple(random.randrange(n) for n in found.shape)] += random.choice((1, 3))
    volume.array = np.clip(found, 0, 200).astype(volume.array.dtype)


def _bad_field(random: Random, volume: TextVolume) -> None:
    one = random.choice(volume.fields)
    words = one[1].split()
    if words and random.random() < 0.6:
        words[random.randrange(len(words))] = str(some_number(random)) if random.random() < 0.7 else some_text(random)
        one[1] = " ".join(words)
    else:
        one[1] = some_text(random)


def _bad_more(random: Random, volume: TextVolume) -> None:
    name = random.choice(MORE_NRRD if volume.nrrd else MORE_METAIMAGE)
    kind = random.random()
    if kind < 0.5:
        value = random.choice("a1(") * random.choice((200, 300, 1000, 5000, 100_000))
    elif kind < 0.7:
        value = " ".join([str(some_number(random))] * random.choice((1, 3, 9, 100, 1000)))
    else:
        value = some_text(random)
    volume.fields.insert(random.randrange(len(volume.fields) + 1), [name, value])


def _bad_lines(random: Random, volume: TextVolume) -> None:
    kind = random.randrange(5)
    where = random.randrange(len(volume.fields))
    if kind == 0 and len(volume.fields) > 1:
        del volume.fields[where]
    elif kind == 1:
        volume.fields.append(list(volume.fields[where]))
    elif kind == 2:
        random.shuffle(volume.fields)
    elif kind == 3:
        name = volume.fields[where][0]
        volume.fields[where][0] = random.choice((name.upper(), name.lower(), f" {name}", name.replace(" ", "  ")))
    else:
        name = volume.fields[where][0]
        volume.separators[name] = random.choice((":=", "=", ":", " ", "\t:\t", " : = "))


def _bad_data_file(random: Random, volume: TextVolume) -> None:
    """A header that names voxels elsewhere; ``secret.raw`` there holds as many as are wanted."""
    volume.beside = True
    volume.packed = "raw"
    volume.set(*(("encoding", "raw") if volume.nrrd else ("CompressedData", "False")))
    outside = f"../{CANARY}/secret.raw"
    forms = [outside, f"./{outside}", f"LIST\n{outside}", f"LIST 3\n{outside}", f"LISTX\n{outside}", f"list\n{outside}"]
    forms += [
        f"{outside} 0 0 1",
        f"{outside} 1 1 1 3",
        f" {outside}",
        f"a/../{outside}",
        "link.raw",
        "linked/secret.raw",
    ]
    forms += [f"../{CANARY}/%s.raw 1 1 1", f"../{CANARY}/secret.raw%d 1 1 1 2", *PATHS[:4]]
    volume.data_name = random.choice(forms)
    volume.must_refuse = True


def _bad_bytes(random: Random, volume: TextVolume) -> None:
    kind = random.randrange(4)
    if kind == 0:
        state = random.getstate()
        volume.tail.append(lambda data: spoiled_bytes(_again(state), data))
    elif kind == 1:
        share = random.random()
        volume.tail.append(lambda data: data[: int(len(data) * share)])
    elif kind == 2:
        volume.tail.append(lambda data: data + b"\0" * 1000)
    else:
        volume.bomb = random.choice((10**6, 2 * 10**7))
        volume.packed = "gzip" if volume.nrrd else "zlib"
        volume.set(*(("encoding", "gzip") if volume.nrrd else ("CompressedData", "True")))
        if random.random() < 0.5:
            side = round((volume.bomb // 2) ** (1 / 3))
            volume.set("sizes" if volume.nrrd else "DimSize", f"{side} {side} {side}")


def _again(state: object) -> Random:
    random = Random()
    random.setstate(state)  # type: ignore[arg-type]
    return random


def _bad_voxels(random: Random, volume: TextVolume) -> None:
    kind = random.randrange(4)
    if kind == 0:
        volume.array = volume.array.astype(np.float32)
        volume.set(*(("type", "float") if volume.nrrd else ("ElementType", "MET_FLOAT")))
        value = random.choice((np.nan, np.inf, -np.inf, 3e38, 1e-45))
        volume.array[tuple(random.randrange(n) for n in volume.array.shape)] = value
    elif kind == 1:
        volume.array = np.full_like(volume.array, random.choice((0, 1, 7, 127)))
    elif kind == 2:
        shape = random.choice(((1, 1, 1), (4, 4, 4), (1, 32, 28), (12, 1, 28), (5, 3, 28), (40, 40, 40)))
        volume.array = np.resize(volume.array, shape)
        volume.set("sizes" if volume.nrrd else "DimSize", " ".join(map(str, shape[::-1])))
    else:
        volume.array = np.random.default_rng(random.randrange(2**32)).integers(0, 127, volume.array.shape, np.uint8)
        volume.set(*(("type", "uint8") if volume.nrrd else ("ElementType", "MET_UCHAR")))


def _bad_dimension(random: Random, volume: TextVolume) -> None:
    """More or fewer axes, with all fields that speak of them, or only some."""
    count = random.choice((0, 1, 2, 4, 5, 16, 17, 100))
    names = ("dimension", "sizes") if volume.nrrd else ("NDims", "DimSize")
    volume.set(names[0], str(count))
    sizes = [*map(str, volume.array.shape[::-1]), *["1"] * 100]
    volume.set(names[1], " ".join(sizes[:count]))
    if volume.nrrd and random.random() < 0.7:
        kinds = ["domain"] * 3 + [random.choice(("list", "none", "time", "vector", "domain"))] * 100
        volume.set("kinds", " ".join(kinds[:count]))
        axes = ["(6,0,0)", "(0,6,0)", "(0,0,12)", *["none"] * 100]
        volume.set("space directions", " ".join(axes[:count]))
    elif not volume.nrrd and random.random() < 0.7:
        volume.set("ElementSpacing", " ".join((["6", "6", "12"] + ["1"] * 100)[:count]))
        volume.set("Offset", " ".join(["0"] * count))
        if count < 20:
            volume.set("TransformMatrix", " ".join("1" if a == b else "0" for a in range(count) for b in range(count)))


def _bad_nesting(random: Random, volume: TextVolume) -> None:
    volume.fields.append(["space origin" if volume.nrrd else "Offset", str(nested(50, True)).replace("[", "(")])


LEGAL = (_legal_packing, _legal_beside, _legal_type, _legal_order, _legal_words, _legal_values)
BAD = (
    *(_bad_field, _bad_field, _bad_more, _bad_more, _bad_lines, _bad_data_file, _bad_bytes, _bad_voxels),
    *(_bad_dimension, _bad_nesting),
)
