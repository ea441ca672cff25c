"""The data file that lies beside a detached header."""

from __future__ import annotations

from pathlib import Path

from LMIALLib.errors import BadInput
from LMIALLib.pairs.headers_text import shown


def beside(path: Path, name: str) -> Path:
    """The data file that a detached header names, only where it truly lies in the header's own folder.

    Refused before anything is opened: else a header that came by mail could make LMIAL show any file of the reader's.
    Raises BadInput for lists and patterns of files, for names that lead elsewhere (``..``, absolute, symbolic link) and
    for a file that is missing.
    """
    name = name.strip()
    # Other programs take whatever begins with LIST for a list; what it means to them is not read here as a file either.
    if not name or name.startswith("LIST") or name.split(maxsplit=1)[0].upper() == "LIST" or "%" in name:
        raise BadInput(
            f"{path}: its header names a list or pattern of data files ({shown(name or 'empty')});"
            " LMIAL reads one data file beside its header.",
            "Save the volume as one file.",
        )
    folder = path.parent.resolve()
    try:
        target = (folder / name).resolve()
        inside = target.is_relative_to(folder) and not Path(name).is_absolute() and ".." not in Path(name).parts
        there = target.is_file()
    except (OSError, ValueError, RuntimeError):  # too long, a NUL, a circle of links
        inside = there = False
    if not inside or "\\" in name or ":" in name:
        raise BadInput(
            f"{path}: its header points to a data file outside its own folder ({shown(name)}), which LMIAL refuses to"
            " read.",
            "Put header and data into one folder, or save the volume as one file.",
        )
    if not there:
        raise BadInput(f"{path}: its data file {shown(name)} is missing from its folder.")
    return target
