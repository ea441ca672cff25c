"""Every entry from Qt into this face: whatever goes wrong becomes a sentence, and how long it took can be measured."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable
from typing import Any

LISTENERS: list[Callable[[str, float], None]] = []
"""Called with the name of an entry and the seconds for which it kept Qt's thread; the self test listens."""
_depth = 0


def entry(function: Callable[..., Any]) -> Callable[..., Any]:
    """A method of a face that Qt or MRML calls. The face has `unexpected`, which takes the error."""

    @functools.wraps(function)
    def entered(face: Any, *values: Any) -> Any:
        global _depth
        begun = time.perf_counter()
        _depth += 1
        try:
            return function(face, *values)
        except Exception as error:  # no traceback reaches a clinician, and no event of Qt is lost
            face.unexpected(error)
            return None
        finally:
            _depth -= 1
            if not _depth:
                named = f"{function.__name__} {values[0]}" if values and isinstance(values[0], str) else None
                for listener in LISTENERS:
                    listener(named or function.__name__, time.perf_counter() - begun)

    return entered
