"""Weights and embeddings (safetensors), tables (CSV, TSV), transforms, and settings given as JSON files."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import math
import os
import struct
from pathlib import Path
from random import Random
from typing import Any

from base_inputs import CASES, copy_study
from mutations import PATHS, json_bytes, some_number, some_text, some_value, spoiled_bytes, spoiled_tree
from one_input import Attempt
from study_inputs import note_digest, some_command

SIZES = {"F16": 2, "F32": 4, "F64": 8, "I64": 8, "U8": 1, "BOOL": 1, "BF16": 2}


def safetensors(random: Random, base: Path, place: Path) -> Attempt:
    """The weights in use, or a stored embedding, of a received study."""
    study = copy_study(base, place)
    if random.random() < 0.2:
        file = random.choice(sorted((study / "embeddings").rglob("*.safetensors")))
        likely: tuple[str, ...] = ("core-set",)
    else:
        file, likely = study / "models" / "model-001-aaaa.safetensors", ("rank", "rank", "core-set", "replay")
    header, data = _parts(file.read_bytes())
    if random.random() < 0.8:
        for _ in range(random.choice((1, 1, 2, 3))):
            header, data = random.choice(KINDS)(random, header, data)
    if random.random() < 0.7:
        _digested(header, data)
    written = (
        json_bytes(random, header) if random.random() < 0.2 else json.dumps(header).encode("utf-8", "surrogatepass")
    )
    start = struct.pack("<Q", len(written))
    if random.random() < 0.08:
        start = random.choice(
            (struct.pack("<Q", 2**63), struct.pack("<Q", len(written) + 5), b"\x80\x04", b"PK\x03\x04")
        )
    whole = start + written + data
    file.write_bytes(spoiled_bytes(random, whole) if random.random() < 0.1 else whole)
    note_digest(study, file)
    return some_command(random, study, place, likely)


def _parts(whole: bytes) -> tuple[dict[str, Any], bytes]:
    (length,) = struct.unpack_from("<Q", whole)
    return json.loads(whole[8 : 8 + length]), whole[8 + length :]


def _metadata(random: Random, header: dict[str, Any], data: bytes) -> tuple[dict[str, Any], bytes]:
    """Architecture, provenance or another word of the metadata: JSON inside of JSON."""
    told = header.setdefault("__metadata__", {})
    if not isinstance(told, dict) or not told:
        return header, data
    name = random.choice(sorted(told, key=str))
    try:
        inner = json.loads(told[name])
        told[name] = json_bytes(random, spoiled_tree(random, inner)).decode("utf-8", "replace")
    except (ValueError, TypeError, RecursionError):
        told[name] = some_text(random) if random.random() < 0.8 else some_value(random)
    return header, data


def _architecture(random: Random, header: dict[str, Any], data: bytes) -> tuple[dict[str, Any], bytes]:
    """Numbers that would make a huge or an impossible network."""
    told = header.get("__metadata__")
    if isinstance(told, dict) and "architecture" in told:
        numbers = (some_number(random), some_number(random))
        widths = random.choice(([4096] * 50, [4096] * 4, [4, 6, 8], [], [1], [4, 6], list(numbers), ["4", "6"], "46"))
        made = {"widths": widths, "decoder_width": random.choice((4, 4096, 4, some_number(random), True))}
        names = ("bottleneck_dropout", "decoder_dropout", "finest_mm", "coarsest_mm", "resampled_mm")
        made |= {name: some_number(random) for name in names if random.random() < 0.2}
        told["architecture"] = json.dumps(made)
    return header, data


def _tensor(random: Random, header: dict[str, Any], data: bytes) -> tuple[dict[str, Any], bytes]:
    """Type, shape or place of a tensor."""
    names = [name for name in header if name != "__metadata__" and isinstance(header[name], dict)]
    if not names:
        return header, data
    name = random.choice(names)
    kind = random.randrange(7)
    if kind == 0:
        header[name]["dtype"] = random.choice((*SIZES, "F8_E4M3", "C64", "", None, 16))
    elif kind == 1:
        header[name]["shape"] = random.choice(([], [0], [2**32, 2**32], [-1], [1] * 70, some_value(random), [1, 1]))
    elif kind == 2:
        header[name]["data_offsets"] = random.choice(
            ([0, 0], [5, 1], [0, 2**63], [-1, 4], [0, len(data)], "x", [1.5, 2])
        )
    elif kind == 3:
        header[some_text(random)] = header.pop(name)
    elif kind == 4:
        del header[name]
    elif kind == 5:
        header[f"{name}.more"] = dict(header[name])
    else:
        header[name] = some_value(random)
    return header, data


def _values(random: Random, header: dict[str, Any], data: bytes) -> tuple[dict[str, Any], bytes]:
    """Numbers that are none, or too large to compute with, anywhere in the tensors (float16)."""
    found = bytearray(data)
    for _ in range(random.choice((1, 50))):
        where = random.randrange(max(len(found) // 2, 1)) * 2
        found[where : where + 2] = random.choice((b"\0\x7e", b"\0\x7c", b"\0\xfc", b"\xff\x7b", b"\x01\0"))
    return header, bytes(found)


def _size(random: Random, header: dict[str, Any], data: bytes) -> tuple[dict[str, Any], bytes]:
    return header, random.choice((data[: len(data) // 2], b"", data + b"\0" * 100, data + data))


def _tree(random: Random, header: dict[str, Any], data: bytes) -> tuple[dict[str, Any], bytes]:
    spoiled = spoiled_tree(random, header)
    return spoiled if isinstance(spoiled, dict) else header, data


KINDS = (_metadata, _metadata, _architecture, _architecture, _tensor, _tensor, _values, _size, _tree)


def _digested(header: dict[str, Any], data: bytes) -> None:
    """Write the digest that LMIAL would compute, so that a spoiled file is believed."""
    told = header.get("__metadata__")
    if not isinstance(told, dict) or "digest" not in told:
        return
    total = hashlib.sha256()
    kinds = {"F16": "<f2", "F32": "<f4", "F64": "<f8", "I64": "<i8", "U8": "|u1", "BOOL": "|b1"}
    try:
        for name in sorted(name for name in header if name != "__metadata__"):
            one = header[name]
            start, end = one["data_offsets"]
            size = SIZES[one["dtype"]] * math.prod(one["shape"])
            if end - start != size:
                return
            total.update(f"{name} {kinds[one['dtype']]} {tuple(one['shape'])}\n".encode())
            total.update(data[start:end])
    except (TypeError, KeyError, ValueError, UnicodeError, OverflowError, MemoryError):
        return
    told["digest"] = total.hexdigest()


def tables(random: Random, base: Path, place: Path) -> Attempt:
    """A table of pairs, the sessions of a BIDS data set, or the transform of an open-ms patient."""
    kind = random.random()
    if kind < 0.04:
        return _bids(random, base, place)
    if kind < 0.1:
        return _open_ms(random, base, place)
    rows = list(csv.reader(io.StringIO((base / "table.csv").read_text(encoding="utf-8"))))
    fresh = random.random() < 0.05
    if not fresh:  # names that the study has: the table is checked to its end, and nothing is read twice
        for row, case in zip(rows[1:], CASES, strict=False):
            row[0] = case
    for _ in range(random.choice((0, 1, 1, 2, 3, 5))):
        _row(random, rows)
    text = io.StringIO()
    writer = csv.writer(text, delimiter=random.choice(",,,;\t"), quoting=random.choice((0, 0, 1)))
    for row in rows:
        writer.writerow(row)
    data = text.getvalue().encode("utf-8", "surrogatepass")
    how = random.random()
    if how < 0.15:
        data = spoiled_bytes(random, data)
    elif how < 0.2:
        data = random.choice(
            (b"\xef\xbb\xbf" + data, data.decode("utf-8", "replace").encode("utf-16"), b"", b"\0" * 99)
        )
    elif how < 0.23:
        data = data + b'"' + b"x" * random.choice((10, 200_000))
    name = random.choice(("table.csv", "table.csv", "t.txt"))
    (place / name).write_bytes(data)
    root = place if random.random() < 0.1 else place / name
    study = place / "made" if fresh and random.random() < 0.5 else copy_study(base, place)
    return Attempt(["import", str(study), str(root), "--layout", "csv", *random.choice(([], ["--json"], ["--force"]))])


def _row(random: Random, rows: list[list[str]]) -> None:
    where = random.randrange(len(rows))
    kind = random.randrange(8)
    if not rows[where]:
        return
    if kind == 0:
        del rows[where]
        if not rows:
            rows.append(["case"])
    elif kind == 1:
        rows.append(list(rows[where]))
    elif kind == 2:
        rows[where] = rows[where] * random.choice((0, 2, 1000))
    elif kind == 3:
        random.shuffle(rows[where])
    elif kind == 4:
        del rows[where][random.randrange(len(rows[where]))]
    elif kind == 5:
        rows[where][random.randrange(len(rows[where]))] = random.choice(
            (*PATHS, "/dev/null", "/dev/zero", "/proc/self/mem")
        )
    else:
        rows[where][random.randrange(len(rows[where]))] = some_text(random)


def _bids(random: Random, base: Path, place: Path) -> Attempt:
    """Two sessions with a table of their times; names that a file system allows and nobody expects."""
    subject = random.choice(("sub-01", "sub-" + "x" * 200, "sub-\x1b[2J", "sub-a\nb", "sub-b\udcff", "sub-..", "sub- "))
    root = place / "data"
    for session, scan in (("ses-1", "baseline"), ("ses-2", "follow_up")):
        folder = root / subject / session / "anat"
        folder.mkdir(parents=True)
        os.symlink(base / "volumes" / f"{scan}.nii.gz", folder / f"{subject[:20]}_{session}_FLAIR.nii.gz")
    times = [["session_id", "acq_time"], ["ses-1", "2014-03-02T10:00:00"], ["ses-2", "2015-03-02T10:00:00"]]
    for _ in range(random.choice((1, 2, 3))):
        _row(random, times)
    text = "\n".join("\t".join(row) for row in times).encode("utf-8", "surrogatepass")
    if len(subject) < 100:
        (root / subject / f"{subject}_sessions.tsv").write_bytes(
            spoiled_bytes(random, text) if random.random() < 0.3 else text
        )
    contrast = random.choice(
        ([], [], ["--contrast", "T1w"], ["--contrast", random.choice(("../x", "*", "", "\x1b[2J"))])
    )
    return Attempt(["import", str(place / "made"), str(root), "--layout", "bids", *contrast])


def _open_ms(random: Random, base: Path, place: Path) -> Attempt:
    """A patient whose transform, a text of ITK, is spoiled."""
    folder = place / "data" / "patient01"
    folder.mkdir(parents=True)
    for name, scan in (("study1_FLAIR", "baseline"), ("study2_FLAIR", "follow_up"), ("gt", "truth")):
        os.symlink(base / "volumes" / f"{scan}.nii.gz", folder / f"{name}.nii.gz")
    numbers = ["1", "0", "0", "0", "1", "0", "0", "0", "1", "0", "0", "0"]
    lines = ["#Insight Transform File V1.0", "#Transform 0", "Transform: AffineTransform_double_3_3"]
    if random.random() < 0.7:
        numbers[random.randrange(12)] = str(some_number(random)) if random.random() < 0.8 else some_text(random)
    if random.random() < 0.3:
        kinds = (
            "Euler3DTransform_double_3_3",
            "BSplineTransform_double_3_3",
            "CompositeTransform_double_3_3",
            "x" * 5000,
        )
        lines[2] = f"Transform: {random.choice((*kinds, 'DisplacementFieldTransform_double_3_3', ''))}"
    if random.random() < 0.2:
        numbers = numbers * random.choice((0, 2, 1000))
    lines += ["Parameters: " + " ".join(numbers), "FixedParameters: 0 0 0"]
    text = "\n".join(lines).encode("utf-8", "surrogatepass")
    (folder / "study2_FLAIR_to_common_space.txt").write_bytes(
        spoiled_bytes(random, text) if random.random() < 0.3 else text
    )
    (folder / "study1_FLAIR_to_common_space.txt").write_bytes(text)
    return Attempt(["import", str(place / "made"), str(place / "data"), "--layout", "open-ms"])


def settings(random: Random, base: Path, place: Path) -> Attempt:
    """A JSON file that a person names: the settings of a pretraining, or what a simulation was asked."""
    file = place / "settings.json"
    recipe = {"steps": 0, "pool": 1, "phantoms": 0, "workers": 0, "architecture": {"widths": [4, 6]}, "synthesis": {}}
    file.write_bytes(json_bytes(random, spoiled_tree(random, recipe)))
    if random.random() < 0.5:
        return Attempt(["pretrain", str(file), "--out", str(place / "w.safetensors"), "--start", str(place / "none")])
    out = place / "simulated"
    out.mkdir()
    (out / "config.json").write_bytes(
        json_bytes(random, spoiled_tree(random, {"asked": {"kind": "study", "cases": []}}))
    )
    words = ["simulate", str(copy_study(base, place)), "--out", str(out), "--resume", "--rounds", "1", "--seeds", "1"]
    return Attempt(words)
