"""The score of every slice as one row of bars under the views; a click goes there."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

COLOURS = {
    "": "#5c7385",
    "mask": "#f2b134",
    "nothing": "#4f9d69",
    "equivocal": "#b07cc6",
    "draft": "#e8e4d8",
    "viewed": "#8fb3cc",
}
"""Unread, and the answers of a slice."""
BEHIND, ASKED, HERE = "#14191e", "#ffffff", "#e05a47"


def bars_of(bars: list[Any], width: int, height: int) -> list[tuple[int, int, int, int, str, bool]]:
    """Rectangles of the bars: x, y, width, height in pixels, the state of the slice, and whether it is queried."""
    count = max(len(bars), 1)
    room, edges = max(height - 10, 4), [round(number * width / count) for number in range(count + 1)]
    made = []
    for number, (score, state, asked) in enumerate(bars):
        tall = max(round(score * room), 3)
        gap = 1 if width / count > 3 else 0
        made.append((edges[number], height - tall, max(edges[number + 1] - edges[number] - gap, 1), tall, state, asked))
    return made


def slice_at(x: int, count: int, width: int) -> int:
    """Number of the slice, 0-based, whose bar stands at pixel x."""
    return min(max(x * count // max(width, 1), 0), count - 1)


def make_strip(chosen: Callable[[int], None]) -> Any:
    """The widget; ``chosen`` is called with the number of the slice that was clicked, 0-based."""
    import qt
    from slicer.i18n import tr as _

    words = _words()

    class Strip(qt.QLabel):
        def __init__(self) -> None:
            qt.QLabel.__init__(self)
            self.bars: list[Any] = []
            self.here = -1
            self.setObjectName("LMIALStrip")
            self.setMinimumHeight(48)
            self.setSizePolicy(qt.QSizePolicy.Ignored, qt.QSizePolicy.Ignored)
            self.setMouseTracking(True)

        def fill(self, values: dict[str, Any], here: int) -> None:
            """Show the bars of `scene.view_state` and where the views are, 0-based."""
            self.bars, self.here = values["bars"], here
            self.setToolTip(values["label"])
            self.draw()

        def draw(self) -> None:
            width, height = self.size.width(), self.size.height()
            if width >= 2 and height >= 2:
                self.setPixmap(_picture(self.bars, self.here, width, height))

        def resizeEvent(self, _: Any) -> None:  # noqa: N802 - Qt's name
            self.draw()

        def mousePressEvent(self, event: Any) -> None:  # noqa: N802 - Qt's name
            if self.bars:
                chosen(slice_at(event.pos().x(), len(self.bars), self.size.width()))

        def mouseMoveEvent(self, event: Any) -> None:  # noqa: N802 - Qt's name
            if self.bars:
                number = slice_at(event.pos().x(), len(self.bars), self.size.width())
                state = words.get(self.bars[number][1], self.bars[number][1])
                tip = _("Slice {slice} of {of}: {state}")
                self.setToolTip(tip.format(slice=number + 1, of=len(self.bars), state=state))

    return Strip()


def _words() -> dict[str, str]:
    """What a tooltip says of a slice in each state."""
    from slicer.i18n import tr as _

    return {
        "": _("not read"),
        "mask": _("change drawn"),
        "nothing": _("nothing here"),
        "equivocal": _("equivocal"),
        "draft": _("draft"),
        "viewed": _("looked at, not answered"),
    }


def _picture(bars: list[Any], here: int, width: int, height: int) -> Any:
    """The bars as a QPixmap of so many pixels, with a mark above the slice on the screen."""
    import qt

    picture = qt.QPixmap(width, height)
    picture.fill(qt.QColor(BEHIND))
    painter = qt.QPainter()
    painter.begin(picture)
    for number, (x, y, wide, tall, state, asked) in enumerate(bars_of(bars, width, height)):
        painter.fillRect(qt.QRect(x, y, wide, tall), qt.QBrush(qt.QColor(COLOURS.get(state, COLOURS[""]))))
        if asked:
            painter.fillRect(qt.QRect(x, 0, wide, 3), qt.QBrush(qt.QColor(ASKED)))
        if number == here:
            painter.fillRect(qt.QRect(x, 4, wide, 4), qt.QBrush(qt.QColor(HERE)))
    painter.end()
    return picture
