"""``lmial`` for the browser tests: trainings take seconds, and their result is adopted, so that a new ranking comes.

Everything else is the product as it is.
"""

from __future__ import annotations

import os
import time
from dataclasses import replace
from typing import Any

from LMIALLib.cli import main
from LMIALLib.loop.learning import Learning
from LMIALLib.scene import viewing
from LMIALLib.worker.requests import Trained

STEPS = int(os.environ.get("LMIAL_TEST_STEPS", "6"))
SLOWLY = float(os.environ.get("LMIAL_TEST_SLOW", "0"))
"""Seconds that opening a case takes longer, as on a slow disk."""
_request, _record, _open_case = Learning.request_training, Learning._record_model, viewing.open_case


def request_training(self: Learning, **options: Any) -> None:
    """As the product does, with few steps; without any, nothing is trained."""
    if STEPS:
        _request(self, **{"steps": STEPS, **options})


def record_model(self: Learning, new: Trained) -> None:
    """As the product does, but every model is adopted."""
    _record(self, replace(new, adopted=True))


def open_case(*values: Any, **options: Any) -> Any:
    """As the product does, after a while."""
    time.sleep(SLOWLY)
    return _open_case(*values, **options)


viewing.open_case = open_case
Learning.request_training = request_training  # type: ignore[method-assign]
Learning._record_model = record_model  # type: ignore[method-assign]

if __name__ == "__main__":
    main()
