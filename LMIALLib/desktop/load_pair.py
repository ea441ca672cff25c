"""Loading a pair into the scene: two files, or two series of a DICOM folder."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from LMIALLib.errors import BadInput

FILES = "(*.nrrd *.nhdr *.nii *.nii.gz *.mha *.mhd)"
MOST = 50_000
"""Files of a folder that are looked at; whoever chose more has probably chosen a whole disk."""


@dataclass(frozen=True)
class Series:
    """One DICOM series: its UID, and a line for a reader with date, description and number of images."""

    uid: str
    date: str
    line: str


def load_files() -> tuple[Any, Any] | None:
    """Ask for two files and load them as volume nodes, baseline first; None where the reader thought better of it."""
    import slicer
    from slicer.i18n import tr as _

    baseline = _ask_file(_("Baseline: the earlier scan"))
    follow_up = _ask_file(_("Follow-up: the later scan")) if baseline else ""
    if not follow_up:
        return None
    return slicer.util.loadVolume(baseline), slicer.util.loadVolume(follow_up)


def _ask_file(title: str) -> str:
    import qt
    import slicer
    from slicer.i18n import tr as _

    return str(qt.QFileDialog.getOpenFileName(slicer.util.mainWindow(), title, "", f"{_('Scans')} {FILES};;* (*)"))


def load_dicom() -> tuple[Any, Any] | None:
    """Ask for a DICOM folder, take its series into Slicer's database, and load two of them, baseline first.

    Returns None where the reader thought better of it. Raises BadInput for a folder without two series.
    """
    import qt
    import slicer
    from slicer.i18n import tr as _

    if not hasattr(slicer, "dicomDatabase"):
        raise BadInput(_("This Slicer has no DICOM database."), _("Load the scans as files."))
    folder = str(qt.QFileDialog.getExistingDirectory(slicer.util.mainWindow(), _("Folder with both DICOM series")))
    if not folder:
        return None
    from DICOMLib import DICOMUtils

    with slicer.util.WaitCursor():
        DICOMUtils.importDicom(folder)
        found = series_in(Path(folder), slicer.dicomDatabase)
    if len(found) < 2:
        raise BadInput(_("There are not two DICOM series of images in this folder."), _("Choose the folder above."))
    chosen = (found[0], found[1]) if len(found) == 2 else _ask_series(found)
    if chosen is None:
        return None
    baseline, follow_up = (_load_series(one.uid, DICOMUtils.loadSeriesByUID) for one in chosen)
    return baseline, follow_up


def series_in(folder: Path, database: Any) -> list[Series]:
    """The series of more than one image that lie in a folder or below it, the earliest first.

    Args:
        database: the ctkDICOMDatabase that has taken them in.
    """
    from slicer.i18n import tr as _

    uids: dict[str, None] = {}
    for number, path in enumerate(sorted(folder.rglob("*"))):
        if number == MOST:
            raise BadInput(_("This folder holds too many files."), _("Choose the folder of one patient."))
        if path.is_file() and (uid := str(database.seriesForFile(str(path)))):
            uids[uid] = None
    found = []
    for uid in uids:
        files = list(database.filesForSeries(uid))
        if len(files) < 2:
            continue
        date, described = (str(database.fileValue(files[0], tag)) for tag in ("0008,0021", "0008,103E"))
        date = date or str(database.fileValue(files[0], "0008,0020"))
        found.append(Series(uid, date, f"{date or '-'}  {described}  ({len(files)})"))
    return sorted(found, key=lambda one: one.date)


def _ask_series(found: list[Series]) -> tuple[Series, Series] | None:
    """Let the reader choose two series; the first and the last are proposed."""
    import qt
    import slicer
    from slicer.i18n import tr as _

    dialog = qt.QDialog(slicer.util.mainWindow())
    dialog.setWindowTitle(_("Load a pair"))
    form = qt.QFormLayout(dialog)
    boxes = []
    for title, start in ((_("Baseline (PRIOR):"), 0), (_("Follow-up (CURRENT):"), len(found) - 1)):
        box = qt.QComboBox()
        box.addItems([one.line for one in found])
        box.setCurrentIndex(start)
        form.addRow(title, box)
        boxes.append(box)
    buttons = qt.QDialogButtonBox(qt.QDialogButtonBox.Ok | qt.QDialogButtonBox.Cancel)
    buttons.connect("accepted()", dialog.accept)
    buttons.connect("rejected()", dialog.reject)
    form.addRow(buttons)
    if dialog.exec_() != qt.QDialog.Accepted:
        return None
    first, last = (found[box.currentIndex] for box in boxes)
    return first, last


def _load_series(uid: str, load: Callable[[list[str]], Any]) -> Any:
    """The volume node of a series. Raises BadInput where Slicer makes no scalar volume of it."""
    import slicer
    from slicer.i18n import tr as _

    for node_id in load([uid]):
        node = slicer.mrmlScene.GetNodeByID(node_id)
        if node is not None and node.IsA("vtkMRMLScalarVolumeNode"):
            return node
    raise BadInput(_("Slicer could not load one of the series as a volume."), _("Look at it in the module DICOM."))
