"""A secret of this user on this computer, kept outside every study, by which LMIAL knows its own files again.

Everything in a study travels with it, proofs included. A seal made with this secret cannot be made by whoever sent it.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
import sys
from functools import cache
from pathlib import Path

PLACE = "LMIAL_USER_DATA"
"""Variable that names another folder for what LMIAL keeps of a user."""
FILE = "key"
LENGTH = 32


def seal(message: bytes) -> str:
    """HMAC-SHA256 of a message with the user's secret, hexadecimal."""
    return hmac.new(_key(_folder()), message, hashlib.sha256).hexdigest()


def is_sealed(message: bytes, given: str) -> bool:
    """Whether ``seal`` gave this for the message, here and for this user."""
    return hmac.compare_digest(seal(message).encode(), given.encode("utf-8", "replace"))


def _folder() -> Path:
    if os.environ.get(PLACE):
        return Path(os.environ[PLACE])
    home = Path.home()
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or home / "AppData" / "Local") / "LMIAL"
    if sys.platform == "darwin":
        return home / "Library" / "Application Support" / "LMIAL"
    return Path(os.environ.get("XDG_DATA_HOME") or home / ".local" / "share") / "lmial"


@cache
def _key(folder: Path) -> bytes:
    """The secret, made at the first use. Where it cannot be kept it lasts as long as this process: then nothing of an
    earlier run is known again, and everything is made again."""
    try:
        return _stored(folder / FILE) or _made(folder)
    except OSError:
        return secrets.token_bytes(LENGTH)


def _stored(file: Path) -> bytes | None:
    try:
        found = file.read_bytes()
    except FileNotFoundError:
        return None
    return found if len(found) == LENGTH else None


def _made(folder: Path) -> bytes:
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    temporary = folder / f".{FILE}-{secrets.token_hex(4)}"
    try:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), 0o600)
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(secrets.token_bytes(LENGTH))
            stream.flush()
            os.fsync(stream.fileno())
        if _stored(folder / FILE) is None:  # another process may have been faster
            os.replace(temporary, folder / FILE)
    finally:
        temporary.unlink(missing_ok=True)
    return _stored(folder / FILE) or secrets.token_bytes(LENGTH)
