"""Exports as downloads: written by the worker into a folder of our own, zipped, and fetched by a random name."""

from __future__ import annotations

import secrets
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from LMIALLib.errors import BadInput
from LMIALLib.loop.exporting import KINDS, Kind, request_export

if TYPE_CHECKING:
    from LMIALLib.loop.session import Session
    from LMIALLib.worker.client import Job


@dataclass(frozen=True)
class Download:
    """A finished file: the random id in its address, the name that the reader's browser gives it, and the file."""

    id: str
    name: str
    path: Path


class Downloads:
    """Exports of one server; everything is removed with it."""

    def __init__(self, study_name: str) -> None:
        self._study = study_name
        self._place = tempfile.TemporaryDirectory(prefix="lmial-export-")
        self._finished: dict[str, Download] = {}
        self._running: tuple[Job, Kind, Path] | None = None

    @property
    def writing(self) -> str:
        """Title of the export that is being written, or an empty string."""
        return self._running[1].title if self._running else ""

    def begin(self, session: Session, kind_id: str) -> None:
        """Ask for an export of all cases. BadInput for an unknown kind."""
        kind = next((one for one in KINDS if one.id == kind_id), None)
        if kind is None:
            raise BadInput("This export is unknown.")
        if self._running is None:
            out = Path(tempfile.mkdtemp(dir=self._place.name))
            job = request_export(
                session.learning, out, what=kind.what, file_format=kind.format, suggestions=kind.suggestions
            )
            self._running = job, kind, out

    def finished(self) -> Download | None:
        """What became of the running export, if it is over: a download, or None.

        It goes by the job itself, not by its event: that is lost where another result of the same moment could not be
        kept in the study.
        """
        if self._running is None or not self._running[0].over:
            return None
        job, kind, out = self._running
        self._running = None
        if job.state != "done":
            return None
        name = f"{self._study}-{kind.id}.zip"
        found = Download(secrets.token_urlsafe(16), name, out / name)
        with zipfile.ZipFile(found.path, "w", zipfile.ZIP_STORED) as archive:
            for file in job.result.files if job.result else ():
                archive.write(file, Path(file).name)
        self._finished[found.id] = found
        return found

    def get(self, download_id: str) -> Download | None:
        """The download with this random id, or None; no part of an address is ever taken for a file name."""
        return self._finished.get(download_id)

    async def answer(self, request: Any) -> Any:
        """Answer a request for the file of the random id in its address: an aiohttp response."""
        from aiohttp import web

        found = self.get(request.match_info["id"])
        if found is None:
            return web.Response(status=404, text="This download is not here any more; export again.")
        named = {"Content-Disposition": f'attachment; filename="{found.name}"'}
        return web.FileResponse(found.path, headers=named)

    def close(self) -> None:
        """Remove every file."""
        self._place.cleanup()
