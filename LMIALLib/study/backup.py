"""A backup: the whole study in one zip file that is restored by unzipping it."""

from __future__ import annotations

import sqlite3
import tempfile
import zipfile
from contextlib import closing
from pathlib import Path

from LMIALLib.errors import BadInput, disk_errors
from LMIALLib.files import written_whole
from LMIALLib.study.database import DATABASE, readable_errors
from LMIALLib.study.lesion_numbers import NUMBERS
from LMIALLib.study.rankings import Rankings


class Backups(Rankings):
    """Copying a study while it is in use."""

    def backup(self, file: Path) -> Path:
        """Write the study into ``file`` (.zip), whole or not at all; without ``maps/``, which can be computed again.

        The database is copied at one moment, then exactly the files that this copy names. Works on a read-only study.
        Raises BadInput when ``file`` exists, its folder does not, the disk is full, or a stored file is missing.
        """
        file = Path(file).absolute()
        if file.suffix.lower() != ".zip":
            raise BadInput(f"the backup {file} must end in .zip.")
        if file.exists():
            raise BadInput(f"{file} exists already.", "Choose another name; a backup never replaces a file.")
        if not file.parent.is_dir():
            raise BadInput(f"the folder {file.parent} does not exist.")
        with disk_errors(f"writing {file}"), tempfile.TemporaryDirectory(prefix=".lmial-", dir=file.parent) as place:
            copy = Path(place) / DATABASE
            paths = self._copy_database(copy)
            with written_whole(file) as temporary:
                self._write_zip(temporary, copy, paths)
        return file

    def _copy_database(self, copy: Path) -> list[str]:
        """A consistent copy without the lease, which means nothing elsewhere; the paths of the files it names."""
        with readable_errors(copy), closing(sqlite3.connect(copy)) as target:
            self._connection.backup(target)
            target.execute("DELETE FROM lease")
            target.commit()
            return [row[0] for row in target.execute("SELECT path FROM files ORDER BY path")]

    def _write_zip(self, temporary: Path, copy: Path, paths: list[str]) -> None:
        loose = [p for p in (self.folder / "removed").rglob("*") if p.is_file()]
        loose += self.folder.glob(f"cases/*/{NUMBERS}")
        with zipfile.ZipFile(temporary, "w", zipfile.ZIP_STORED) as archive:  # the volumes are compressed already
            archive.write(copy, DATABASE, zipfile.ZIP_DEFLATED)
            for folder in ("cases/", "models/"):
                archive.mkdir(folder)
            for path in (*paths, *sorted(p.relative_to(self.folder).as_posix() for p in loose)):
                try:
                    archive.write(self.folder / path, path)
                except FileNotFoundError as error:
                    raise BadInput(f"the study's file {path} is missing; no backup was made.", "Check it.") from error
        with zipfile.ZipFile(temporary) as archive:
            broken = archive.testzip()
        if broken:
            raise BadInput(f"the backup could not be read back ({broken}); no backup was made.", "Check the disk.")
