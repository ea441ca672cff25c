"""A backup: the whole study in one zip file that is restored by unzipping it."""

from __future__ import annotations

import os
import shutil
import sqlite3
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

from LMIALLib.errors import BadInput, disk_errors
from LMIALLib.files import flush_file, flush_folder, rename
from LMIALLib.study.connection import DATABASE, readable_errors
from LMIALLib.study.inside import check_no_links, inside
from LMIALLib.study.kept import FILES, MAPS, PSEUDO_LABELS, goes_by_stored_maps
from LMIALLib.study.lesion_numbers import NUMBERS
from LMIALLib.study.processes import process_started
from LMIALLib.study.store import Study

BUILDING = ".lmial-backup-"
"""How the folder begins in which a backup is built, followed by the number of the process that builds it."""


def write_backup(study: Study, file: Path) -> Path:
    """Write the study into ``file`` (.zip), whole or not at all.

    Left out is what can be made again: maps of models that the worker runs, embeddings, and ``nnunet/``, whose
    pickles mean nothing elsewhere. Pseudo-labels, and maps of models that another process made, are in it.
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
    _clear(file.parent)
    prefix = f"{BUILDING}{os.getpid()}-"
    with disk_errors(f"writing {file}"), tempfile.TemporaryDirectory(prefix=prefix, dir=file.parent) as place:
        copy, whole = Path(place) / DATABASE, Path(place) / file.name
        _write_zip(study, whole, copy, _copy_database(study, copy))
        flush_file(whole)
        rename(whole, file)
    try:
        flush_folder(file.parent)
    except OSError as error:
        raise BadInput(
            f"the backup {file} is there and whole, but the disk did not confirm it: a power cut could undo it.",
            "Check the disk, and make another one elsewhere.",
        ) from error
    return file


def _copy_database(study: Study, copy: Path) -> list[str]:
    """A consistent copy without the lease, which means nothing elsewhere; the paths of the files it names."""
    with readable_errors(copy), closing(sqlite3.connect(copy)) as target:
        study.database.copy_to(target)
        target.execute("DELETE FROM lease")
        target.commit()
        return [row[0] for row in target.execute("SELECT path FROM files ORDER BY path")]


def _write_zip(study: Study, temporary: Path, copy: Path, paths: list[str]) -> None:
    check_no_links(study.folder)  # also of what came since the study was opened
    loose = [p for p in (study.folder / "removed").rglob("*") if p.is_file()]
    loose += study.folder.glob(f"cases/*/{NUMBERS}")
    with _new_zip(temporary) as archive:
        archive.write(copy, DATABASE, zipfile.ZIP_DEFLATED)
        for folder in ("cases/", "models/"):
            archive.mkdir(folder)
        for path in (*paths, *sorted(p.relative_to(study.folder).as_posix() for p in loose)):
            try:
                archive.write(inside(study.folder, path), path)
            except FileNotFoundError as error:
                raise BadInput(f"the study's file {path} is missing; no backup was made.", "Check it.") from error
        for maps in _stored_maps(study):
            _write_maps(archive, maps, maps.relative_to(study.folder).as_posix())
        for name in FILES:
            with suppress(FileNotFoundError):
                archive.write(study.folder / name, name)
    with zipfile.ZipFile(temporary) as archive:
        broken = archive.testzip()
    if broken:
        raise BadInput(f"the backup could not be read back ({broken}); no backup was made.", "Check the disk.")


@contextmanager
def _new_zip(file: Path) -> Iterator[zipfile.ZipFile]:
    """A ZIP that is being written. Where writing is broken off, nothing is added to a file that is thrown away: zipfile
    cannot close what Ctrl-C left open, and would hide that it came."""
    with file.open("wb") as stream:
        archive = zipfile.ZipFile(stream, "w", zipfile.ZIP_STORED)  # the volumes are compressed already
        try:
            yield archive
        except BaseException:
            archive.fp = None
            raise
        archive.close()


def _stored_maps(study: Study) -> Iterator[Path]:
    """Folders of maps that cannot be made again from this study: volumes and, once all are there, their record."""
    of_the_worker = {name for name in study.models.ids() if not goes_by_stored_maps(name)}
    for place in (PSEUDO_LABELS, MAPS):
        root = study.folder / place
        folders = {record.parent for record in root.rglob("*.json")}
        yield from sorted(one for one in folders if one.relative_to(root).parts[0] not in of_the_worker)


def _clear(place: Path) -> None:
    """Remove what backups left in a folder whose processes were killed."""
    for one in place.glob(f"{BUILDING}*"):
        number = one.name.removeprefix(BUILDING).partition("-")[0]
        if number.isascii() and number.isdigit() and len(number) < 10 and process_started(int(number)) is None:
            shutil.rmtree(one, ignore_errors=True)


def _write_maps(archive: zipfile.ZipFile, folder: Path, inside: str) -> None:
    """The volumes of a folder and then their record, without which they do not count.

    The record is left out where the maps were made again meanwhile: it might describe other volumes.
    """
    records = {file.name: file.read_bytes() for file in sorted(folder.glob("*.json")) if file.is_file()}
    for volume in sorted(folder.glob("[!.]*.nrrd")):
        with suppress(FileNotFoundError):
            archive.write(volume, f"{inside}/{volume.name}")
    for name, record in records.items():
        with suppress(FileNotFoundError):
            if (folder / name).read_bytes() == record:
                archive.writestr(f"{inside}/{name}", record)
