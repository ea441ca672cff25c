"""Rows of text in a QTableWidget, whose cells are made once and kept."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


class Table:
    """A table that shows rows of text.

    Args:
        widget: QTableWidget.
        headers: its columns.
    """

    def __init__(self, widget: Any, headers: Sequence[str]) -> None:
        import qt

        self.widget = widget
        self._cells: list[list[Any]] = []
        self._shown: list[tuple[str, ...]] = []
        widget.setColumnCount(len(headers))
        widget.setHorizontalHeaderLabels(list(headers))
        widget.setEditTriggers(qt.QAbstractItemView.NoEditTriggers)
        widget.setSelectionBehavior(qt.QAbstractItemView.SelectRows)
        widget.verticalHeader().setVisible(False)
        widget.horizontalHeader().setSectionResizeMode(qt.QHeaderView.ResizeToContents)
        widget.horizontalHeader().setStretchLastSection(True)

    def fill(self, rows: list[tuple[str, ...]], here: int = -1) -> None:
        """Show rows, and mark row ``here``."""
        import qt

        if rows != self._shown:
            self.widget.setRowCount(len(rows))
            del self._cells[len(rows) :]
            for number, row in enumerate(rows):
                if number == len(self._cells):
                    self._cells.append([qt.QTableWidgetItem() for _ in row])
                    for column, cell in enumerate(self._cells[number]):
                        self.widget.setItem(number, column, cell)
                for cell, text in zip(self._cells[number], row, strict=True):
                    cell.setText(text)
                    cell.setToolTip(text)
            self._shown = list(rows)
        if here < 0:
            self.widget.clearSelection()
        else:
            self.widget.selectRow(here)
