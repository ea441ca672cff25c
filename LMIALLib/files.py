"""Writing files so that a crash leaves either the old file or the new one, never half of either.

Floor 0. ``os.replace`` and ``os.fsync`` exist on Linux, macOS and Windows; folders can be flushed on POSIX only. Here
are also the paths that go to another process.
"""

from __future__ import annotations

import hashlib
import os
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import unquote_to_bytes

TEMPORARY = ".tmp-"
"""How names of files begin that are not whole yet; what a crash leaves of them may be removed."""
PATIENCE = 5.0
"""Seconds for which a rename is tried again under Windows."""
_WINDOWS = os.name == "nt"


def rename(source: Path, target: Path) -> None:
    """Rename a file or folder; a file takes the place of another one whole. Raises OSError when the disk refuses.

    Windows refuses while any program holds a file of it open, a virus scanner or an indexer for a moment, say: there it
    is tried again for some seconds.
    """
    end = time.monotonic() + PATIENCE
    while True:
        try:
            os.replace(source, target)
            return
        except PermissionError:
            if not _WINDOWS or time.monotonic() > end:
                raise
            time.sleep(0.05)


def flush_file(path: Path) -> None:
    """Force the bytes of one file to the disk (fsync). Raises OSError when the disk refuses."""
    descriptor = os.open(path, os.O_RDWR | getattr(os, "O_BINARY", 0))
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def flush_folder(folder: Path) -> None:
    """Force a folder's list of names to the disk; does nothing on Windows, where that is not possible."""
    if os.name == "nt":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def written_whole(path: Path) -> Iterator[Path]:
    """Give a temporary name beside ``path``; on success flush it and rename it to ``path``, else remove it.

    The temporary name keeps the suffix of ``path``, because image writers choose the format by it.
    Raises OSError (disk full, read-only folder) after removing what was written.
    """
    path = Path(path)
    suffix = "".join(path.suffixes[-2:])
    temporary = path.parent / f"{TEMPORARY}{uuid.uuid4().hex[:8]}{suffix}"
    try:
        yield temporary
        flush_file(temporary)
        rename(temporary, path)
        flush_folder(path.parent)
    finally:
        temporary.unlink(missing_ok=True)


def sendable(path: Path) -> str:
    """A path as text that can be sent: itself, or a ``file:`` URI where its name is not written in UTF-8."""
    try:
        str(path).encode()
    except UnicodeEncodeError:
        return Path(path).absolute().as_uri()
    return str(path)


def sent(text: str) -> Path:
    """The inverse of ``sendable``. Raises TypeError for what is no text."""
    path = Path(text)
    return Path(os.fsdecode(unquote_to_bytes(text[7:]))) if text.startswith("file:///") else path


def sha256_of(path: Path) -> str:
    """SHA-256 of a file's bytes as 64 hexadecimal characters."""
    digest = hashlib.sha256()
    with open(path, "rb") as stream:
        while block := stream.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()
