"""The expected Dice of the delivered label over a patient's answers, drawn as bars in a label."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

BEHIND, BAND, LINE = "#14191e", "#3d5566", "#f2b134"
Estimates = Sequence[tuple[int, float, float, float]]
"""Answers, expected Dice, and the ends of its interval, each."""


def bars_of(curve: Estimates, width: int, height: int) -> list[tuple[int, int, int, int, str]]:
    """Rectangles: x, y, width, height in pixels, and colour; for each estimate its interval and, upon it, its Dice."""
    made = []
    for place, (_, dice, low, high) in enumerate(curve):
        x, wide = place * width // len(curve), max(width // len(curve) - 1, 1)
        top, bottom = round((1.0 - high) * height), round((1.0 - low) * height)
        made.append((x, top, wide, max(bottom - top, 1), BAND))
        made.append((x, min(round((1.0 - dice) * height), height - 2), wide, 2, LINE))
    return made


def draw(label: Any, curve: Estimates, tip: str) -> None:
    """Draw the curve into a QLabel; it is hidden where there is none."""
    import qt

    label.setVisible(bool(curve))
    width, height = label.size.width(), label.size.height()
    if not curve or width < 2 or height < 2:
        return
    picture = qt.QPixmap(width, height)
    picture.fill(qt.QColor(BEHIND))
    painter = qt.QPainter()
    painter.begin(picture)
    for x, y, wide, tall, colour in bars_of(curve, width, height):
        painter.fillRect(qt.QRect(x, y, wide, tall), qt.QBrush(qt.QColor(colour)))
    painter.end()
    label.setPixmap(picture)
    label.setToolTip(tip)
