"""Which files of its work folder nnU-Net may read: those that this user's LMIAL wrote on this computer, by SHA-256.

nnU-Net keeps properties of cases (``.pkl``) and checkpoints (``.pth``) as pickles, which run code when they are read,
and its compressed arrays (``.b2nd``) may hold expressions that do. A ledger of digests says nothing by itself, because
it travels with the study; so it is sealed with a secret that does not (see `user_key`). Beside that, properties must
hold nothing but numbers, and checkpoints are read as weights only. A kill between a file and its digest must not make
the file a stranger, so a digest is noted before its file gets its name.
"""

from __future__ import annotations

import json
import os
import pickle
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from LMIALLib.errors import BadInput
from LMIALLib.files import flush_file, flush_folder, sha256_of, written_whole
from LMIALLib.json_data import read_json
from LMIALLib.pipeline.nnunet.places import SPLITS
from LMIALLib.pipeline.user_key import is_sealed, seal
from LMIALLib.study.inside import check_no_links

LEDGER = "digests.json"
_AGAIN = "Remove the folder {} and run the pipeline again; answers and models of the study stay."


@dataclass(frozen=True)
class _Ledger:
    files: dict[str, list[str]]
    seal: str


def note(root: Path, files: Iterable[Path]) -> None:
    """Note files that were just written below ``root`` and that already have their names."""
    ledger = _read(root)
    ledger |= {_name(root, file): [sha256_of(file)] for file in files}
    _write(root, ledger)


def note_folder(root: Path, folder: Path) -> None:
    """Note everything in a folder that was just made; what was known of one of the same name is forgotten."""
    start = _name(root, folder) + "/"
    ledger = {name: known for name, known in _read(root).items() if not name.startswith(start)}
    ledger |= {_name(root, file): [sha256_of(file)] for file in _files_in(folder)}
    _write(root, ledger)


def put_in_place(root: Path, temporary: Path, file: Path) -> None:
    """Give a file that was just written its name, so that it and what it replaces are known at every moment."""
    flush_file(temporary)
    ledger, name, digest = _read(root), _name(root, file), sha256_of(temporary)
    before = [sha256_of(file)] if file.is_file() else []
    known = [one for one in ledger.get(name, []) if one in before]
    _write(root, ledger | {name: [*known, digest]})
    os.replace(temporary, file)
    flush_folder(file.parent)


def check_own(root: Path) -> None:
    """Raise BadInput where the ledger of a work folder is not sealed by this user on this computer."""
    _read(root)


def check(root: Path, files: Iterable[Path]) -> None:
    """Raise BadInput for the first file that is not one that was written here, before anybody reads it."""
    ledger = _read(root)
    for file in files:
        if not _is_known(root, file, ledger) or not _harmless(file):
            raise BadInput(
                f"{file} is not the file that nnU-Net wrote in this study, so it is not read.", _AGAIN.format(root)
            )


def unchanged(root: Path, files: Iterable[Path]) -> bool:
    """Whether all of some files are there as they were written here."""
    ledger = _read(root)
    return all(_is_known(root, file, ledger) for file in files)


def check_folder(root: Path, folder: Path) -> None:
    """Raise BadInput where a folder holds a link, or a file that was not written here."""
    check_no_links(folder)
    check(root, _files_in(folder))


def is_whole(root: Path, folder: Path) -> bool:
    """Whether a folder holds exactly the files that ``note_folder`` noted, each as it was written."""
    ledger, start = _read(root), _name(root, folder) + "/"
    try:
        check_no_links(folder)
        files = _files_in(folder)
        named = {_name(root, file) for file in files}
        return named == {name for name in ledger if name.startswith(start)} and all(
            _is_known(root, file, ledger) and _harmless(file) for file in files
        )
    except BadInput:
        return False


def _is_known(root: Path, file: Path, ledger: dict[str, list[str]]) -> bool:
    known = ledger.get(_name(root, file))
    return known is not None and not file.is_symlink() and file.is_file() and sha256_of(file) in known


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


def _files_in(folder: Path) -> list[Path]:
    """Every file in a folder, sorted, but the splits, which are written before every run."""
    return sorted(path for path in folder.rglob("*") if path.name != SPLITS and not path.is_dir())


def _name(root: Path, file: Path) -> str:
    return file.relative_to(root).as_posix()


def _read(root: Path) -> dict[str, list[str]]:
    """The ledger. Raises BadInput for one that was broken, or not sealed by this user on this computer."""
    try:
        found = read_json(root / LEDGER, _Ledger)
    except FileNotFoundError:
        return {}
    except BadInput as error:
        raise _foreign(root) from error
    if not is_sealed(_sealed(found.files), found.seal):
        raise _foreign(root)
    return found.files


def _foreign(root: Path) -> BadInput:
    return BadInput(
        f"{root} was not written by your LMIAL on this computer, so nothing in it is read: nnU-Net's files can run "
        "code.",
        _AGAIN.format(root),
    )


def _sealed(files: dict[str, list[str]]) -> bytes:
    return b"nnU-Net's files of LMIAL 1\n" + json.dumps(files, sort_keys=True).encode()


def _write(root: Path, files: dict[str, list[str]]) -> None:
    ledger = {"files": files, "seal": seal(_sealed(files))}
    with written_whole(root / LEDGER) as temporary:
        temporary.write_text(json.dumps(ledger, indent=1, sort_keys=True), encoding="utf-8")
