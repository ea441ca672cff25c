"""The requests that wait for their turn: what a reader waits for goes before a training."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Generic, TypeVar

Item = TypeVar("Item")


class Waiting(Generic[Item]):
    """A queue between the thread that listens and the one that works.

    Args:
        for_reader: whether a person waits for an item.
        in_background: whether an item is one that such items go before. All others are done in the order in which they
            came.
    """

    def __init__(self, for_reader: Callable[[Item], bool], in_background: Callable[[Item], bool]) -> None:
        self._for_reader, self._in_background = for_reader, in_background
        self._items: list[Item] = []
        self._closed = False
        self._changed = threading.Condition()

    def __len__(self) -> int:
        return len(self._items)

    def put(self, item: Item) -> None:
        """Let an item wait; after ``close`` it is dropped."""
        with self._changed:
            if not self._closed:
                self._items.append(item)
                self._changed.notify()

    def next(self) -> Item | None:
        """Wait for an item and take it out; None once the queue was closed."""
        with self._changed:
            self._changed.wait_for(lambda: self._items or self._closed)
            if self._closed:
                return None
            first = self._items[0]
            return (self._taken_for_reader() if self._in_background(first) else None) or self._items.pop(0)

    def next_for_reader(self) -> Item | None:
        """Take out the oldest item that a person waits for, wherever it stands; None where there is none."""
        with self._changed:
            return self._taken_for_reader()

    def close(self) -> None:
        """Drop what waits; nothing more comes out."""
        with self._changed:
            self._items.clear()
            self._closed = True
            self._changed.notify_all()

    def _taken_for_reader(self) -> Item | None:
        found = next((item for item in self._items if self._for_reader(item)), None)
        if found is not None:
            self._items.remove(found)
        return found
