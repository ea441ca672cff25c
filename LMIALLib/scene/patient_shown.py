"""What both faces show of the patient as a whole: how finished it is, and how that came about over its answers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from LMIALLib.loop.patient import Estimate
from LMIALLib.scene.workspace import Workspace

CURVE = 100.0, 40.0
"""Width and height of the plot of the estimates."""


def patient_of(workspace: Workspace) -> dict[str, Any]:
    """How finished the patient on the screen is, and the plot of it over the answers."""
    empty = {"sentence": "", "finished": False, "left": 0, "ahead": 0, "viewed": 0, "sweeping": False}
    empty |= {"line": "", "band": "", "curve": [], "pace": workspace.finishing.pace}
    if workspace.open is None:
        return empty | {"plot": ""}
    work = workspace.session.patient
    standing, curve = work.standing(workspace.open.case), work.curve(workspace.open.case)
    words = standing.estimate.sentence if standing.estimate is not None else ""
    line, band = curve_points(curve)
    return empty | {
        "curve": [(one.answers, one.dice, one.dice_low, one.dice_high) for one in curve if one.has_dice],
        "sentence": "This patient is finished." if standing.finished else words,
        "finished": standing.finished,
        "left": len(workspace.finishing.left),
        "ahead": workspace.finishing.ahead,
        "viewed": standing.viewed,
        "sweeping": workspace.finishing.sweeping,
        "pace": workspace.finishing.pace,
        "line": line,
        "band": band,
        "plot": f"Expected Dice of the delivered label after 0 to {curve[-1].answers} answers" if line else "",
    }


def curve_points(curve: Sequence[Estimate]) -> tuple[str, str]:
    """Points of the expected Dice over the answers, and of the band of its interval, as SVG writes them in `CURVE`.

    Nothing for fewer than two estimates that have a Dice.
    """
    known = [one for one in curve if one.has_dice]
    if len(known) < 2:
        return "", ""
    width, height = CURVE
    most = max(known[-1].answers, 1)

    def point(answers: int, dice: float | None) -> str:
        return f"{width * answers / most:.1f},{height * (1.0 - (dice or 0.0)):.1f}"

    line = [point(one.answers, one.dice) for one in known]
    band = [point(one.answers, one.dice_high) for one in known]
    band += [point(one.answers, one.dice_low) for one in reversed(known)]
    return " ".join(line), " ".join(band)
