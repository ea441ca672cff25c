"""Weights that somebody else made: is the folder there, is everything in it, is it a pickle, and what is its digest."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from LMIALLib.errors import BadInput
from LMIALLib.files import sha256_of
from LMIALLib.json_data import read_json

PICKLES = (".bin", ".pt", ".pth", ".pkl", ".pickle", ".ckpt")


def existing_folder(folder: Path, what: str) -> Path:
    """The folder, absolute. Raises BadInput when it is missing, is a file or is empty."""
    if folder.is_file():
        raise BadInput(f"{folder} is a file; the weights of {what} are a folder.", "Name the folder that it lies in.")
    if not folder.is_dir():
        raise BadInput(f"The folder {folder} with the weights of {what} does not exist.", "LMIAL downloads no weights.")
    if not any(folder.iterdir()):
        raise BadInput(f"The folder {folder} with the weights of {what} is empty.")
    return folder.absolute()


def json_in(file: Path, what: str) -> dict[str, Any]:
    """A JSON object that a model needs. Raises BadInput when the file is missing or is something else."""
    if not file.is_file():
        raise BadInput(f"The folder {file.parent} is incomplete: {file.name} is missing ({what}).")
    found = read_json(file, Any)
    if not isinstance(found, dict):
        raise BadInput(f"{file} cannot be used: it holds no JSON object ({what}).")
    return found


def pickles_in(folder: Path) -> list[str]:
    """Names of the files that by their names are pickles or torch archives."""
    return sorted(file.name for file in folder.iterdir() if file.suffix.lower() in PICKLES)


def is_pickle(file: Path) -> bool:
    """Whether a file begins as a pickle or as a torch archive does."""
    with open(file, "rb") as stream:
        start = stream.read(4)
    return start[:1] == b"\x80" or start == b"PK\x03\x04"


def files_digest(files: Iterable[Path]) -> str:
    """SHA-256 over names and contents of some files, in the order of their names."""
    total = hashlib.sha256()
    for file in sorted(files, key=lambda file: file.name):
        total.update(f"{file.name} {sha256_of(file)}\n".encode())
    return total.hexdigest()


def teacher_id(kind: str, digest: str, settings: Mapping[str, Any]) -> str:
    """``kind-1a2b3c4d``: the same for the same weights and settings."""
    text = json.dumps([digest, settings], sort_keys=True)
    return f"{kind}-{hashlib.sha256(text.encode()).hexdigest()[:8]}"
