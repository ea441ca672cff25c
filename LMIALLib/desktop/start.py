"""Making a study from volumes of the scene, adding a pair to one, and opening one."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Any

from LMIALLib.desktop import load_pair
from LMIALLib.desktop.face import Face
from LMIALLib.desktop.inputs import Inputs
from LMIALLib.desktop.qt_slots import entry
from LMIALLib.desktop.transport import QProcessTransport
from LMIALLib.errors import BadInput, LMIALError, NeedsAlignment, NeedsConfirmation, as_sentence
from LMIALLib.loop.preparing import Preparing
from LMIALLib.pairs.registration_record import alarms
from LMIALLib.pairs.request import PairRequest
from LMIALLib.study.connection import DATABASE

POLL = 50
"""Milliseconds between two steps of preparing."""


class Start:
    """The start panel's doing.

    Args:
        ui: the widgets of LMIAL.ui by name.
        face: opens what was prepared.
        ready: offers to install what the worker lacks; whether it lacks nothing.
    """

    def __init__(self, ui: Any, face: Face, *, ready: Callable[[], bool]) -> None:
        import qt
        from slicer.i18n import tr as _

        self.ui, self.face, self._ready = ui, face, ready
        self.preparing: Preparing | None = None
        self._contrasts: list[tuple[str, Any, Any]] = []
        self._place: Path | None = None
        self._again: Callable[..., None] | None = None
        self._folder = Path()
        self._timer = qt.QTimer()
        self._timer.setInterval(POLL)
        self._timer.connect("timeout()", self.step)
        for name, call in (
            ("prepareButton", self.prepare), ("openButton", self.open), ("closeButton", self.close),
            ("cancelPrepareButton", self.cancel), ("addContrastButton", self.add_contrast),
            ("samplePairButton", self.load_sample),
        ):  # fmt: skip
            getattr(ui, name).connect("clicked()", call)
        menu = qt.QMenu(ui.loadPairButton)
        menu.addAction(_("Two files…")).connect("triggered()", self.load_files)
        menu.addAction(_("A DICOM folder…")).connect("triggered()", self.load_dicom)
        ui.loadPairButton.setMenu(menu)
        ui.preparingBar.setVisible(False)

    @property
    def folder(self) -> Path:
        """The study folder that is chosen."""
        return Path(str(self.ui.studyPath.currentPath)).expanduser()

    @entry
    def open(self) -> None:
        """Open the study of the chosen folder."""
        self.face.open(self.folder, self.face.panel.reader, self.face.panel.prior_left)

    @entry
    def close(self) -> None:
        """Close the study; where what is drawn cannot be kept, only when the reader says so."""
        from slicer.i18n import tr as _

        if self.face.settle() or self.face.panel.sure(_("What is drawn cannot be kept. Close the study all the same?")):
            self.face.close()

    @entry
    def prepare(self) -> None:
        """Begin to read and register the chosen pair; it goes into the chosen study, which is made if needed."""
        from slicer.i18n import tr as _

        baseline, follow_up = self.ui.baselineSelector.currentNode(), self.ui.followUpSelector.currentNode()
        if baseline is None or follow_up is None:
            raise BadInput(_("Choose baseline and follow-up."), _("Load them first, or load the sample pair."))
        if self.preparing is not None:
            raise BadInput(_("A pair is being prepared."), _("Wait until it is done, or cancel it."))
        self._ready()  # who declines can still read, draw and save
        folder = Path(os.path.abspath(self.folder))
        if (folder / DATABASE).is_file() and not self._is_open(folder):
            self.face.open(folder, self.face.panel.reader, self.face.panel.prior_left)
            if self.face.workspace is None:  # why is on the screen already
                return
        self._begin(folder, baseline, follow_up)

    def _is_open(self, folder: Path) -> bool:
        workspace = self.face.workspace
        return workspace is not None and workspace.session.study.folder == folder

    def _begin(
        self, folder: Path, baseline: Any, follow_up: Any, *, force: bool = False, align: str = "headers"
    ) -> None:
        import slicer
        from slicer.i18n import tr as _

        mask, subject = self.ui.maskSelector.currentNode(), str(self.ui.subjectEdit.text).strip()
        self._folder = folder
        choices = {"force": force, "align": align}
        self._again = lambda **more: self._begin(folder, baseline, follow_up, **(choices | more))
        self._place = Path(tempfile.mkdtemp(prefix="lmial-", dir=slicer.app.temporaryPath))
        inputs = Inputs(self._place, slicer.dicomDatabase if hasattr(slicer, "dicomDatabase") else None)
        request = PairRequest(
            inputs.path_of(baseline, "baseline"),
            inputs.path_of(follow_up, "follow_up"),
            mask=None if mask is None else inputs.path_of(mask, "mask", series=False),
            contrasts=tuple(
                (
                    name,
                    inputs.path_of(first, f"{name}-1", series=False),
                    inputs.path_of(last, f"{name}-2", series=False),
                )
                for name, first, last in self._contrasts
            ),
            series=",".join(inputs.series) or None,
            force=force,
            align=align,
        )
        workspace = self.face.workspace
        study = workspace.session.study if workspace is not None and self._is_open(folder) else None
        taken = {one.name for one in study.cases.all()} if study is not None else set()
        free = next(name for name in (f"case{number}" for number in count(1)) if name not in taken)
        case = str(self.ui.caseEdit.text).strip() or free  # never the volume's name: it may be a patient's
        try:
            self.preparing = Preparing(
                folder, study, case, request, subject=subject or None, before=inputs.steps(),
                transport=QProcessTransport,
            )  # fmt: skip
        except NeedsConfirmation as doubt:
            self._clear()
            self._ask(doubt)
            return
        except LMIALError:
            self._clear()
            raise
        self._tell(_("Writing the volumes"), 0)
        self._timer.start()

    @entry
    def step(self) -> None:
        """Go one step further with the pair that is being prepared."""
        preparing = self.preparing
        if preparing is None:
            self._timer.stop()
            return
        preparing.poll()
        progress = preparing.progress
        if progress is not None:
            self._tell(progress.stage.capitalize(), int(100 * progress.share))
        if not preparing.over:
            return
        self._clear()
        if isinstance(preparing.error, NeedsConfirmation | NeedsAlignment):
            self._ask(preparing.error)
        elif preparing.error is not None:
            raise preparing.error
        elif preparing.result is not None:
            self._arrived(preparing)

    def _arrived(self, preparing: Preparing) -> None:
        from slicer.i18n import tr as _

        registration = preparing.result.registration if preparing.result is not None else {}
        if self._is_open(self._folder):
            self.face.act("look_at", preparing.case)
            if self.face.train():  # else what ranking needs was declined
                self.face.act("rank")
        else:
            self.face.open(self._folder, self.face.panel.reader, self.face.panel.prior_left)
        for alarm in alarms(registration) if registration else ():
            self.face.panel.notice("warning", alarm.sentence or _("The registration is poor."))
        self.ui.startSection.collapsed = self.face.workspace is not None

    def _ask(self, doubt: LMIALError) -> None:
        from slicer.i18n import tr as _

        sentence = as_sentence(doubt.sentence)
        if isinstance(doubt, NeedsAlignment):
            question = _("Lay their centres on each other, and register from there?")
        else:
            question = _("Go on all the same?")
        if self._again is not None and self.face.panel.sure(sentence + "\n\n" + question):
            self._again(**({"align": "centres"} if isinstance(doubt, NeedsAlignment) else {"force": True}))

    @entry
    def cancel(self) -> None:
        """Give up the pair that is being prepared; nothing of it stays."""
        if self.preparing is not None:
            self.preparing.cancel()
            self._clear()

    def _clear(self) -> None:
        self._timer.stop()
        self.preparing = None
        self.ui.preparingBar.setVisible(False)
        if self._place is not None:
            shutil.rmtree(self._place, ignore_errors=True)
            self._place = None

    def _tell(self, stage: str, per_cent: int) -> None:
        self.ui.preparingBar.setVisible(True)
        self.ui.preparingText.setText(stage)
        self.ui.preparingProgress.setValue(min(per_cent, 99))

    @entry
    def add_contrast(self) -> None:
        """Take the two chosen volumes as a further contrast of both visits."""
        from slicer.i18n import tr as _

        first = self.ui.contrastBaselineSelector.currentNode()
        last = self.ui.contrastFollowUpSelector.currentNode()
        if first is None or last is None:
            raise BadInput(_("Choose both volumes of the further contrast."))
        name = f"contrast{len(self._contrasts) + 1}"
        self._contrasts.append((name, first, last))
        self.ui.contrastText.setText("; ".join(f"{a.GetName()}, {b.GetName()}" for _, a, b in self._contrasts))

    def forget(self) -> None:
        """The scene goes, and its volumes with it."""
        self._contrasts = []
        self.ui.contrastText.setText("")

    @entry
    def load_files(self) -> None:
        """Ask for two files, load them and choose them."""
        self._choose(load_pair.load_files())

    @entry
    def load_dicom(self) -> None:
        """Ask for a DICOM folder, load two of its series and choose them."""
        self._choose(load_pair.load_dicom())

    def _choose(self, nodes: tuple[Any, Any] | None) -> None:
        if nodes is not None:
            self.ui.baselineSelector.setCurrentNode(nodes[0])
            self.ui.followUpSelector.setCurrentNode(nodes[1])

    @entry
    def load_sample(self) -> None:
        """Make the sample pair on this computer, in the background, then load it and choose it."""
        from LMIALLib.desktop import sample_data

        sample_data.load(then=lambda baseline, follow_up: self._choose((baseline, follow_up)))

    def unexpected(self, error: Exception) -> None:
        """As the face does."""
        self.face.unexpected(error)
