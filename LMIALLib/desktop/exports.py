"""Exports of a study from the module: the list of every face, and DICOM SEG through Slicer's own plugin."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

from LMIALLib.desktop.face import Face
from LMIALLib.desktop.qt_slots import entry
from LMIALLib.loop.exporting import KINDS


class Exports:
    """The export panel's doing.

    Args:
        ui: the widgets of LMIAL.ui by name.
        face: whose study is exported.
    """

    def __init__(self, ui: Any, face: Face) -> None:
        self.ui, self.face = ui, face
        for number, kind in enumerate(KINDS):
            ui.exportBox.addItem(f"{kind.title}: {kind.tip}")
            ui.exportBox.setItemData(number, kind.id)
        ui.exportButton.connect("clicked()", self.ask_and_export)
        ui.segButton.connect("clicked()", self.ask_and_export_dicom)
        available = importlib.util.find_spec("DICOMSegmentationPlugin") is not None
        ui.segButton.setVisible(available)
        ui.segReferenceSelector.setVisible(available)

    @entry
    def ask_and_export(self) -> None:
        """Let the reader choose a folder, and export."""
        folder = self._folder()
        if folder is not None:
            kind = KINDS[int(self.ui.exportBox.currentIndex)]
            self.face.export(kind.what, kind.format, folder, suggestions=kind.suggestions)

    @entry
    def ask_and_export_dicom(self) -> None:
        """Let the reader choose a folder, and write the answers of the case on the screen as DICOM SEG."""
        from slicer.i18n import tr as _

        from LMIALLib.desktop.dicom_seg import export_dicom

        workspace = self.face.workspace
        if workspace is None or workspace.open is None:
            return
        reference = self.ui.segReferenceSelector.currentNode()
        folder = self._folder()
        if folder is None:
            return
        export_dicom(workspace.session.study, workspace.open, reference, folder)
        self.face.panel.notice("good", _("Exported to {folder}.").format(folder=folder))

    def _folder(self) -> Path | None:
        import qt
        import slicer
        from slicer.i18n import tr as _

        chosen = qt.QFileDialog.getExistingDirectory(slicer.util.mainWindow(), _("Export into which folder?"))
        return Path(str(chosen)) if chosen else None

    def unexpected(self, error: Exception) -> None:
        """As the face does."""
        self.face.unexpected(error)
