"""How the command line is asked to read a spoiled volume, and the makers of the four formats of volumes."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import dicom_series
import nifti_headers
import numpy as np
import text_faults
import text_headers
from base_inputs import CASES, READER, copy_study
from mutations import CANARY
from one_input import Attempt


def nrrd(random: Random, base: Path, place: Path) -> Attempt:
    """A NRRD: a label, a scan, a truth, or a volume that lies in the study."""
    array, spacing, origin, role = _begin(random, base)
    volume = text_headers.nrrd_of(array, spacing, origin)
    text_faults.spoil(random, volume)
    if random.random() < 0.25:
        return _stored(random, volume, base, place)
    file = text_headers.write(random, volume, place, role)
    return _text_attempt(random, volume, role, file, base, place)


def metaimage(random: Random, base: Path, place: Path) -> Attempt:
    """A MetaImage: a label, a scan or a truth."""
    array, spacing, origin, role = _begin(random, base)
    volume = text_headers.metaimage_of(array, spacing, origin)
    text_faults.spoil(random, volume)
    file = text_headers.write(random, volume, place, role)
    return _text_attempt(random, volume, role, file, base, place)


def nifti(random: Random, base: Path, place: Path) -> Attempt:
    """A NIfTI file: a label, a scan or a truth."""
    array, spacing, origin, role = _begin(random, base)
    volume = nifti_headers.nifti_of(array, spacing, origin)
    nifti_headers.spoil(random, volume)
    return _read(random, role, nifti_headers.write(random, volume, place, role), base, place)


def dicom(random: Random, base: Path, place: Path) -> Attempt:
    """A DICOM series as baseline or follow-up."""
    folder = place / "series"
    dicom_series.spoil_series(random, base, folder)
    role = random.choice(("baseline", "follow_up"))
    series = random.choice((None, None, None, "1.2.826.0.1.3680043.2.1125.7", "1.2.3"))
    return _read(random, role, folder, base, place, *(["--series", series] if series else []))


def _text_attempt(
    random: Random, volume: text_headers.TextVolume, role: str, file: Path, base: Path, place: Path
) -> Attempt:
    if volume.must_refuse:
        (place / "link.raw").symlink_to(Path("..") / CANARY / "secret.raw")
        (place / "linked").symlink_to(Path("..") / CANARY)
    asked = _read(random, role, file, base, place)
    # where it is read only if the name of the data file was understood, the header itself decides
    return Attempt(asked.words, must_refuse=volume.must_refuse and volume.data_name is not None)


def _begin(random: Random, base: Path) -> tuple[np.ndarray, tuple[float, ...], tuple[float, ...], str]:
    """A valid array with its geometry, and what it is for: mostly a label, which costs least to read."""
    role = random.choices(("label", "follow_up", "baseline", "truth"), (6, 2, 1, 1))[0]
    arrays = _arrays(base)
    return arrays[role].copy(), *_geometry(base), role


def warm(base: Path) -> None:
    """Read once what every input begins from."""
    _arrays(base)
    _geometry(base)


@functools.cache
def _arrays(base: Path) -> dict[str, np.ndarray]:
    return dict(np.load(base / "arrays.npz"))


@functools.cache
def _geometry(base: Path) -> tuple[tuple[float, ...], tuple[float, ...]]:
    found = np.load(base / "geometry.npy")
    return tuple(found[0].tolist()), tuple(found[1].tolist())


def _read(random: Random, role: str, file: Path, base: Path, place: Path, *more: str) -> Attempt:
    """The words that let the command line read a volume in a role."""
    scans = base / "volumes"
    if role == "label":
        words = ["label", str(copy_study(base, place)), "--case", random.choice(CASES), "--slice", "5"]
        return Attempt([*words, "--reader", READER, "--mask", str(file)])
    if role == "truth":
        table = place / "table.csv"
        rows = f"new1,subject 9,{scans}/baseline.nii.gz,{scans}/follow_up.nii.gz,{scans}/brain.nii.gz,{file.name}"
        table.write_text(f"case,subject,baseline,follow_up,mask,truth\n{rows}\n", encoding="utf-8")
        return Attempt(["import", str(place / "made"), str(table), "--layout", "csv"])
    given = {"baseline": scans / "baseline.nii.gz", "follow_up": scans / "follow_up.nii.gz", role: file}
    words = [random.choice(("add", "new"))]
    words.append(str(place / "made") if words == ["new"] else str(copy_study(base, place)))
    words += ["--baseline", str(given["baseline"]), "--follow-up", str(given["follow_up"]), "--no-register"]
    if random.random() < 0.7:
        words += ["--mask", str(scans / "brain.nii.gz")]
    if random.random() < 0.3:
        words += ["--force"]
    return Attempt([*words, "--case", "new1", *more])


def _stored(random: Random, volume: text_headers.TextVolume, base: Path, place: Path) -> Attempt:
    """A volume of a received study, with a digest that fits in half of them, and a command that looks at it."""
    from study_inputs import note_digest, some_command

    study = copy_study(base, place)
    files = sorted(p for p in study.rglob("*.nrrd") if "removed" not in p.parts)
    target = random.choice(files)
    array, fields = _stored_array(target)
    volume.array = array if random.random() < 0.7 else volume.array
    for name, value in fields.items():
        if random.random() < 0.8:
            volume.set(name, value)
    written = text_headers.write(random, volume, target.parent, "spoiled")
    os.replace(written, target)
    if random.random() < 0.7:
        note_digest(study, target)
    return some_command(random, study, place, _commands_for(target))


def _stored_array(target: Path) -> tuple[np.ndarray, dict[str, str]]:
    """Voxels of one of the study's own volumes and the fields that say what they are."""
    import nrrd as pynrrd

    array, _ = pynrrd.read(str(target), index_order="C")
    kinds: dict[str, Any] = text_headers.NRRD_TYPES
    known = kinds.get(array.dtype.name, "float")
    return array.astype(array.dtype if array.dtype.name in kinds else np.float32), {"type": known}


def _commands_for(target: Path) -> tuple[str, ...]:
    if "pseudo" in target.parts:
        return ("core-set", "lesions --teacher", "pretrain")
    if "maps" in target.parts:
        return ("show", "export suggestion", "export uncertainty", "lesions", "core-set")
    if "source" in target.parts:
        return ("register", "check", "backup")
    return ("show", "rank", "lesions", "label", "export labels", "export table", "check", "backup")


VOLUMES: dict[str, Callable[[Random, Path, Path], Attempt]] = {
    "NRRD": nrrd,
    "NIfTI": nifti,
    "MetaImage": metaimage,
    "DICOM": dicom,
}
