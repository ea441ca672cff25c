"""Whether a folder is safe for a study: locks and flushes cannot be trusted on network or synced folders."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path, PurePath

_NETWORK = {
    "nfs", "nfs4", "cifs", "smb2", "smb3", "smbfs", "afpfs", "webdav", "davfs", "afs", "ceph", "glusterfs", "beegfs",
    "lustre", "fuse.sshfs", "fuse.rclone", "fuse.davfs", "fuse.glusterfs", "fuse.s3fs",
}  # fmt: skip
_SYNCED = re.compile(
    r"(onedrive|dropbox|google ?drive|nextcloud|owncloud|synologydrive|pcloud ?drive|box sync)(\W.*)?"
    r"|icloud ?drive|mobile documents|cloudstorage",
    re.IGNORECASE,
)
_DRIVE_REMOTE = 4  # GetDriveTypeW of a network drive


def place_warning(folder: Path, *, mounts: str | None = None) -> str:
    """One sentence on why a study should not be in ``folder``, or an empty string.

    Args:
        folder: an absolute path; it need not exist.
        mounts: text of ``/proc/mounts`` or of the command ``mount``; None: those of this machine.
    """
    synced = synced_by(folder)
    if synced:
        return f"{folder} lies in {synced}, a folder that a sync program rewrites while LMIAL saves."
    if str(folder).startswith(("\\\\", "//")):
        return f"{folder} is a network share, where a save cannot be flushed for certain."
    kind = mounted_as(folder, _mounts_of_this_machine() if mounts is None else mounts)
    if kind in _NETWORK or (mounts is None and _remote_drive(folder)):
        name = kind or "network drive"
        return f"{folder} lies on a network file system ({name}), where a save cannot be flushed for certain."
    return ""


def synced_by(folder: PurePath) -> str:
    """The part of the path that names a sync program's folder, or an empty string."""
    return next((part for part in folder.parts if _SYNCED.fullmatch(part)), "")


def mounted_as(folder: PurePath, mounts: str) -> str:
    """File system type of the mount that holds ``folder``: the longest mount point that is a parent wins."""
    best, kind = -1, ""
    for line in mounts.splitlines():
        bsd = re.fullmatch(r".+ on (?P<point>/.*) \((?P<kind>[^,)]+).*\)", line)
        fields = line.split()
        if bsd:
            point, found = bsd["point"], bsd["kind"]
        elif len(fields) >= 3:
            point, found = fields[1].replace("\\040", " "), fields[2]
        else:
            continue
        if folder.is_relative_to(point) and len(point) >= best:
            best, kind = len(point), found
    return kind


def _mounts_of_this_machine() -> str:
    try:
        if sys.platform.startswith("linux"):
            return Path("/proc/mounts").read_text(encoding="utf-8", errors="replace")
        if sys.platform == "darwin":
            return subprocess.run(["/sbin/mount"], capture_output=True, text=True, timeout=5, check=False).stdout
    except (OSError, subprocess.SubprocessError):
        pass  # an unknown place is given the benefit of the doubt
    return ""


def _remote_drive(folder: Path) -> bool:
    if os.name != "nt" or not folder.drive:
        return False
    import ctypes

    return bool(ctypes.windll.kernel32.GetDriveTypeW(folder.drive + "\\") == _DRIVE_REMOTE)  # type: ignore[attr-defined]
