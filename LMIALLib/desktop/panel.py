"""The widgets that show what stands in the workspace: banner, bars, query, strip, queue, lesions, tools, training."""

from __future__ import annotations

import html
import time
from collections.abc import Callable
from typing import Any

from LMIALLib.desktop.actions import texts_of
from LMIALLib.desktop.curve import draw
from LMIALLib.desktop.shortcuts import tips
from LMIALLib.desktop.strip import make_strip
from LMIALLib.desktop.tables import Table
from LMIALLib.loop.shortcuts import SHORTCUTS
from LMIALLib.scene.view_state import look_of, training_of
from LMIALLib.scene.workspace import Workspace

BUTTONS = {
    "saveButton": "save", "nothingButton": "nothing_here", "equivocalButton": "equivocal", "skipButton": "skip",
    "nextButton": "next", "backButton": "back", "takeBackButton": "take_back", "returnButton": "return",
    "acceptButton": "accept", "flickerButton": "flicker", "planesButton": "planes", "contrastButton": "contrast",
    "fitButton": "fit", "hideButton": "hide", "crossButton": "cross", "takeOverButton": "take_over",
    "cancelTrainingButton": "cancel_training", "rankButton": "rank", "detailsButton": "details",
    "differenceButton": "by_difference", "sweepButton": "sweep", "finishButton": "finish", "ownMapButton": "own_map",
    "reopenButton": "reopen", "takeBackLesionButton": "take_back_lesion",
}  # fmt: skip
"""Name of a button to the action that it calls."""
OF_LESION = {
    "acceptLesionButton": "accept_lesion", "rejectLesionButton": "reject_lesion",
    "tighterLesionButton": "tighter_lesion", "widerLesionButton": "wider_lesion",
}  # fmt: skip
"""The same, of the lesion that is chosen in the list."""
SECONDS = {"info": 6.0, "good": 4.0, "warning": 12.0, "error": 12.0}
"""How long a sentence stays."""


class Panel:
    """The widgets of one face.

    Args:
        ui: the widgets of LMIAL.ui by name.
        act: does what a button asks for, by the action's name.
    """

    def __init__(self, ui: Any, act: Callable[..., None]) -> None:
        from slicer.i18n import tr as _

        self.ui = ui
        self._notices: dict[str, tuple[str, float]] = {}
        self._queued: list[tuple[str, int]] = []
        self.strip = make_strip(lambda number: act("choose", number))
        self._queue = Table(ui.queueTable, [_("Rank"), _("Slice"), _("Score"), _("Why")])
        self._lesions = Table(ui.lesionTable, [_("Lesion"), _("Class"), _("mm²"), _("Proposed")])
        self._objects = Table(ui.objectTable, [_("Lesion"), _("Class"), _("ml"), _("Slices"), _("Read")])
        known = tips()
        for name, action in BUTTONS.items():
            button = getattr(ui, name)
            button.connect("clicked()", lambda action=action: act(action))
            if action in known:
                button.setToolTip(known[action])
        for name, kind in (("rigidButton", "rigid"), ("affineButton", "affine")):
            getattr(ui, name).connect("clicked()", lambda kind=kind: act("register", kind))
        for name, choice in (("everythingButton", "everything"), ("brainButton", "brain"), ("drawnButton", "drawn")):
            getattr(ui, name).connect("clicked()", lambda choice=choice: act("region", choice))
        ui.showButton.setToolTip(known["show"])
        ui.showButton.connect("pressed()", lambda: act("show", True))
        ui.showButton.connect("released()", lambda: act("show", False))
        ui.alwaysCheck.connect("toggled(bool)", lambda on: act("always", on))
        ui.legendCheck.connect("toggled(bool)", lambda _on: act("legends"))
        ui.othersCheck.connect("toggled(bool)", lambda on: act("others", on))
        ui.opacitySlider.connect("valueChanged(double)", lambda value: act("opacity", value))
        ui.caseBox.connect("activated(int)", lambda number: self._look_at(number, act))
        ui.queueTable.connect("cellClicked(int,int)", lambda row, column: self._choose(row, act))
        ui.lesionTable.connect("cellDoubleClicked(int,int)", lambda row, column: act("class", row))
        ui.objectTable.connect("cellClicked(int,int)", lambda row, column: act("lesion", self._listed[row]))
        ui.keysText.setText("\n".join(f"{one.key}\t{one.tip}" for one in SHORTCUTS))
        for name, action in OF_LESION.items():
            getattr(ui, name).connect("clicked()", lambda action=action: self._say_of_lesion(action, act))
        self._cases: list[str] = []
        self._listed: list[int] = []
        self.nothing()

    @property
    def reader(self) -> str:
        """Who reads, as written."""
        return str(self.ui.readerEdit.text).strip()

    @property
    def prior_left(self) -> bool:
        """Whether the baseline stands at the left."""
        return bool(self.ui.priorLeftCheck.checked)

    @property
    def legends(self) -> bool:
        """Whether colour legends are wanted."""
        return bool(self.ui.legendCheck.checked)

    @property
    def always(self) -> bool:
        """Whether suggestion and uncertainty are shown on every slice."""
        return bool(self.ui.alwaysCheck.checked)

    @property
    def opacity(self) -> float:
        """Of the overlay, 0 to 1."""
        return float(self.ui.opacitySlider.value)

    def ask_reader(self) -> None:
        """Say that an answer needs a reader, and let them write who they are."""
        from slicer.i18n import tr as _

        self.notice("warning", _("Say who reads first: one line of up to 60 characters, first a letter or digit."))
        self.ui.startSection.collapsed = False
        self.ui.readerEdit.setFocus()

    def sure(self, question: str) -> bool:
        """Ask yes or no."""
        import slicer

        return bool(slicer.util.confirmYesNoDisplay(question))

    def nothing(self) -> None:
        """No study is open."""
        self.ui.annotateArea.setEnabled(False)
        self.ui.othersCheck.setChecked(False)
        for name in ("watchBar", "deadBar", "crossBar", "trainingBar", "alarmText"):
            getattr(self.ui, name).setVisible(False)
        for name in ("bannerText", "patientText", "queryText", "reasonText", "detailsText", "adviceText"):
            getattr(self.ui, name).setText("")
        self.ui.detailsText.setVisible(False)
        self._queue.fill([])
        self._lesions.fill([])
        self._objects.fill([])
        self.strip.fill({"bars": [], "label": ""}, -1)

    def flip_details(self) -> None:
        """Show or hide the ranker's own terms."""
        self.ui.detailsText.setVisible(not self.ui.detailsText.visible)

    def show(self, workspace: Workspace, values: dict[str, Any], dead: str) -> None:
        """Show everything; ``dead`` names the job during which the worker died, if it did."""
        from slicer.i18n import tr as _

        ui, banner, query = self.ui, values["banner"], values["query"]
        ui.annotateArea.setEnabled(True)
        for name, text in texts_of(values).items():
            getattr(ui, f"{name}Text").setText(text)
        registration = banner["registration"] or {"tip": "", "alarm": False}
        ui.bannerText.setToolTip("\n".join([registration["tip"], *banner["remarks"]]))
        sentences = [html.escape(one["sentence"]) for one in banner["alarms"]]
        ui.alarmText.setText("<b>" + "<br>".join(sentences) + "</b>")
        ui.alarmText.setVisible(bool(sentences))
        ui.regionLabel.setToolTip(banner["region"])
        _bar(
            ui.watchBar,
            ui.watchText,
            _("You can only look: {why}").format(why=banner["watching"]) if banner["watching"] else "",
        )
        ui.takeOverButton.setEnabled(banner["may_take_over"])
        _bar(ui.deadBar, ui.deadText, _("The worker ended unexpectedly; drawing and saving go on.") if dead else "")
        crossing = query["crossing"]
        crossed = _("The next query is in another case: {case}.").format(case=crossing) if crossing else ""
        _bar(ui.crossBar, ui.crossText, crossed)
        self._show_cases(banner)
        self._queued = [(one["case"], one["slice"] - 1) for one in values["queue"]]
        self._queue.fill(
            [
                (str(one["rank"]), f"{one['case']} {one['slice']}" if one["other"] else str(one["slice"]),
                 "random" if one["lot"] else one["score"], one["reason"])
                for one in values["queue"]
            ],
            next((row for row, one in enumerate(values["queue"]) if one["here"]), -1),
        )  # fmt: skip
        self.strip.fill(values["strip"], values["look"].get("slice", 0) - 1 if values["look"].get("main") else -1)
        ui.adviceText.setText(values["advice"])
        self._show_patient(values["patient"])
        self._show_training(values["training"])
        self._show_tools(values)
        self._take_notices(workspace)

    def show_lesions(self, lesions: list[dict[str, Any]]) -> None:
        """Show the changed lesions of the case."""
        self._listed = [one["number"] for one in lesions]
        self._objects.fill([(str(o["number"]), o["class"], o["ml"], o["slices"], o["read"]) for o in lesions])

    def show_progress(self, workspace: Workspace) -> None:
        """Show progress and sentences."""
        self._show_training(training_of(workspace))
        self._take_notices(workspace)

    def show_place(self, workspace: Workspace) -> None:
        """Show where the views are."""
        look = look_of(workspace)
        self.strip.fill({"bars": self.strip.bars, "label": ""}, look["slice"] - 1 if look["main"] else -1)
        self.ui.returnButton.setEnabled(bool(look["away"]))

    def notice(self, kind: str, sentence: str) -> None:
        """Show a sentence for a while."""
        import qt

        if kind == "good":  # one thing that went well is enough to know of
            self._notices = {text: one for text, one in self._notices.items() if one[0] != "good"}
        self._notices.pop(sentence, None)  # what is shown again stands last, and once
        self._notices[sentence] = (kind, time.monotonic() + SECONDS[kind])
        self._notices = dict(list(self._notices.items())[-4:])
        self._show_notices()
        qt.QTimer.singleShot(int(1000 * SECONDS[kind]) + 200, self.forget_notices)

    def forget_notices(self) -> None:
        """Take away what stood long enough."""
        now = time.monotonic()
        if any(until < now for _, until in self._notices.values()):
            self._notices = {text: one for text, one in self._notices.items() if one[1] >= now}
            self._show_notices()

    @property
    def sentences(self) -> list[str]:
        """What stands there now."""
        return list(self._notices)

    def _take_notices(self, workspace: Workspace) -> None:
        taken = list(workspace.screen.notices)
        workspace.screen.notices.clear()
        for kind, sentence in taken:
            self.notice(kind, sentence)

    def _show_notices(self) -> None:
        lines = [
            f"<b>{html.escape(text)}</b>" if kind in ("warning", "error") else html.escape(text)
            for text, (kind, _) in self._notices.items()
        ]
        self.ui.noticeText.setText("<br>".join(lines))

    def _show_cases(self, banner: dict[str, Any]) -> None:
        names = [one["name"] for one in banner["cases"]]
        box = self.ui.caseBox
        blocked = box.blockSignals(True)
        if names != self._cases:
            box.clear()
            box.addItems(names)
            self._cases = names
        for number, one in enumerate(banner["cases"]):
            box.setItemText(number, f"{one['name']}: {one['read']} of {one['slices']} read")
        if banner["case"] in names:
            box.setCurrentIndex(names.index(banner["case"]))
        box.blockSignals(blocked)

    def _show_training(self, training: dict[str, Any]) -> None:
        ui = self.ui
        ui.trainingBar.setVisible(training["on"])
        if training["on"]:
            parts = training["what"], training["left"], training["figures"]
            ui.trainingText.setText(", ".join(part for part in parts if part))
            ui.trainingProgress.setValue(round(100 * training["share"]))
            ui.cancelTrainingButton.setVisible(training["what"] == "Learning")

    def _show_tools(self, values: dict[str, Any]) -> None:
        from slicer.i18n import tr as _

        ui, tools, look = self.ui, values["tools"], values["look"]
        ui.hideButton.setText(_("Show overlays") if tools["hidden"] else _("Hide overlays"))
        ui.contrastButton.setEnabled(tools["contrasts"] > 1)
        ui.returnButton.setEnabled(bool(look.get("away")))
        classes = {one["value"]: one["name"] for one in tools["classes"]}
        self._lesions.fill(
            [(str(one["number"]), classes.get(one["value"], ""), one["area"], one["hint"]) for one in values["lesions"]]
        )

    def _look_at(self, number: int, act: Callable[..., None]) -> None:
        self.ui.caseBox.clearFocus()  # a menu gives the keys back
        act("look_at", self._cases[number])

    def _say_of_lesion(self, action: str, act: Callable[..., None]) -> None:
        row = int(self.ui.objectTable.currentRow())
        if 0 <= row < len(self._listed):
            act(action, self._listed[row])

    def _show_patient(self, patient: dict[str, Any]) -> None:
        from slicer.i18n import tr as _

        ui = self.ui
        draw(ui.curveLabel, patient["curve"], patient["plot"])
        ui.reopenButton.setVisible(patient["finished"])
        ui.finishButton.setVisible(not patient["finished"])
        ui.sweepButton.setVisible(not patient["finished"])
        left = _("Look through the rest ({left})").format(left=patient["left"])
        ui.sweepButton.setText(_("Stop") if patient["sweeping"] else left)

    def _choose(self, row: int, act: Callable[..., None]) -> None:
        if row < len(self._queued):
            case, number = self._queued[row]
            act("choose", number, case)


def _bar(frame: Any, label: Any, text: str) -> None:
    """Show a bar with a text, or hide it."""
    label.setText(text)
    frame.setVisible(bool(text))
