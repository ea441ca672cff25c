"""Which pickles nnU-Net may read: those it wrote itself in this work folder, held by their SHA-256.

nnU-Net keeps properties of cases (``.pkl``) and checkpoints (``.pth``) as pickles, and a pickle runs code when it is
read. `check` comes before every reading. A digest says nothing where somebody wrote the ledger as well, so properties
must also hold nothing but numbers, and checkpoints are read as weights only. A kill between a file and its digest must
not make the file a stranger, so a digest is noted before its file gets its name.
"""

from __future__ import annotations

import json
import os
import pickle
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from LMIALLib.errors import BadInput
from LMIALLib.files import flush_file, flush_folder, sha256_of, written_whole

LEDGER = "digests.json"
PICKLES = (".pkl", ".pth")
_AGAIN = "Remove the folder {} and run the pipeline again; answers and models of the study stay."


def note(root: Path, files: Iterable[Path]) -> None:
    """Note files that nnU-Net just wrote below ``root`` and that already have their names."""
    ledger = _read(root)
    ledger |= {_name(root, file): [sha256_of(file)] for file in files}
    _write(root, ledger)


def put_in_place(root: Path, temporary: Path, file: Path) -> None:
    """Give a pickle that was just written its name, so that it and what it replaces are known at every moment."""
    flush_file(temporary)
    ledger, name, digest = _read(root), _name(root, file), sha256_of(temporary)
    before = [sha256_of(file)] if file.is_file() else []
    known = [one for one in ledger.get(name, []) if one in before]
    _write(root, ledger | {name: [*known, digest]})
    os.replace(temporary, file)
    flush_folder(file.parent)


def check(root: Path, files: Iterable[Path]) -> None:
    """Raise BadInput for the first file that is not one that nnU-Net wrote here, before anybody reads it."""
    ledger = _read(root)
    for file in files:
        if sha256_of(file) not in ledger.get(_name(root, file), []) or not _harmless(file):
            raise BadInput(
                f"{file} is not the file that nnU-Net wrote in this study, so it is not read.",
                _AGAIN.format(root),
            )


def _harmless(file: Path) -> bool:
    """Whether a ``.pkl`` holds arrays, numbers, words and their collections alone; checkpoints are read otherwise."""
    if file.suffix != ".pkl":
        return True
    try:
        with open(file, "rb") as stream:
            _Numbers(stream).load()
    except Exception:  # a pickle that is broken raises whatever it stumbles over
        return False
    return True


class _Numbers(pickle.Unpickler):
    """Reads what nnU-Net stores of a case, and finds nothing else."""

    KNOWN = frozenset(
        (f"numpy{core}", name)
        for core, names in {
            "": ("ndarray", "dtype"),
            "._core.multiarray": ("_reconstruct", "scalar"),
            "._core.numeric": ("_frombuffer",),
        }.items()
        for name in names
    )

    def find_class(self, module: str, name: str) -> Any:
        """The few names that arrays and numbers need."""
        if (module, name) not in self.KNOWN:
            raise pickle.UnpicklingError(f"{module}.{name} is no number")
        return super().find_class(module, name)


def pickles_in(folder: Path) -> list[Path]:
    """Every pickle in a folder, sorted."""
    return sorted(path for path in folder.rglob("*") if path.suffix in PICKLES)


def _name(root: Path, file: Path) -> str:
    return file.relative_to(root).as_posix()


def _read(root: Path) -> dict[str, list[str]]:
    try:
        return dict(json.loads((root / LEDGER).read_text(encoding="utf-8")))
    except FileNotFoundError:
        return {}
    except ValueError as error:
        raise BadInput(
            f"{root / LEDGER} is broken.", f"Remove the folder {root} and run the pipeline again."
        ) from error


def _write(root: Path, ledger: dict[str, list[str]]) -> None:
    with written_whole(root / LEDGER) as temporary:
        temporary.write_text(json.dumps(ledger, indent=1, sort_keys=True), encoding="utf-8")
