"""The one rule for a path that comes from a study: it lies inside the study's folder, and no link leads elsewhere.

A study travels by backup, mail and stick. The paths that its database and files name come from whoever made it.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path, PurePosixPath, PureWindowsPath

from LMIALLib.errors import BadInput

LONGEST = 250
"""Characters of a path inside a study, more than any that LMIAL makes."""
_JOURNAL_MAGIC = bytes.fromhex("d9d505f920a163d7")
_LINKS_OF_WINDOWS = {0xA0000003, 0xA000000C}  # junctions and symbolic links


def inside(folder: Path, relative: str) -> Path:
    """The path that a study's own data name, below ``folder``.

    Raises BadInput for a text that is no plain relative path with '/', one that leads out of ``folder``, and one on
    whose way lies a link or a thing that is neither file nor folder. The path need not exist.
    """
    if not _is_plain(relative):
        raise BadInput(f"{folder}: the study names a path that leads out of its folder or is none ({relative!a:.80}).")
    path = folder
    for part in PurePosixPath(relative).parts:
        path = path / part
        if _is_foreign(path):
            raise BadInput(f"{path} is a link or no plain file; a study holds plain files and folders only.")
    return path


def check_no_links(folder: Path) -> None:
    """Look through a study's folder, which itself may be reached by a link.

    Raises BadInput naming the first link (also a broken one) or thing that is neither file nor folder: following it
    would read, write or remove something that is not the study's, and opening a pipe would wait for ever.
    """
    waiting = [os.fspath(folder)]
    while waiting:
        try:
            with os.scandir(waiting.pop()) as entries:
                for entry in entries:
                    if entry.is_dir(follow_symlinks=False) and not (os.name == "nt" and _is_foreign(Path(entry.path))):
                        waiting.append(entry.path)
                    elif not entry.is_file(follow_symlinks=False):
                        raise BadInput(
                            f"{entry.path!a} is a link or no plain file; a study holds plain files and folders only.",
                            "Remove it, or put what it leads to in its place if you know what it is.",
                        )
        except (FileNotFoundError, PermissionError):
            continue  # removed meanwhile by whoever annotates; what may not be listed, may not be opened either


def check_journal(database: Path) -> None:
    """Raise BadInput where the rollback journal beside an SQLite database names another file.

    SQLite removes the file that the end of a journal names (a "super-journal", for one transaction over several
    databases) once it has rolled back. LMIAL's own journals name none. https://www.sqlite.org/fileformat.html, 3.
    """
    journal = Path(f"{database}-journal")
    try:
        with open(journal, "rb") as stream:
            stream.seek(max(0, stream.seek(0, os.SEEK_END) - len(_JOURNAL_MAGIC)))
            names_another = stream.read() == _JOURNAL_MAGIC
    except FileNotFoundError:
        return
    except OSError as error:
        raise BadInput(f"{journal}: it cannot be read ({error.strerror or 'unknown reason'}).") from error
    if names_another:
        raise BadInput(
            f"{journal} names another file, which SQLite would remove; LMIAL never writes such a journal.",
            "Take the study from where it came, or restore a backup.",
        )


def _is_plain(relative: str) -> bool:
    if not isinstance(relative, str) or not 0 < len(relative) <= LONGEST:
        return False
    if any(letter in relative for letter in "\\:\x00") or not relative.isprintable():
        return False
    return (
        not PurePosixPath(relative).is_absolute()
        and not PureWindowsPath(relative).drive
        and all(part not in ("", ".", "..") for part in relative.split("/"))
    )


def _is_foreign(path: Path) -> bool:
    try:
        found = path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    if getattr(found, "st_reparse_tag", 0) in _LINKS_OF_WINDOWS:
        return True
    return not (stat.S_ISREG(found.st_mode) or stat.S_ISDIR(found.st_mode))
