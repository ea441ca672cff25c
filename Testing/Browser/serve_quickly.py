"""``lmial`` for the browser tests: trainings take seconds, and their result is adopted, so that a new ranking comes.

Everything else is the product as it is.
"""

from __future__ import annotations

import os
from typing import Any

from LMIALLib.cli import main
from LMIALLib.loop.learning import Learning

STEPS = int(os.environ.get("LMIAL_TEST_STEPS", "6"))
_request, _record = Learning.request_training, Learning._record_model


def request_training(self: Learning, **options: Any) -> None:
    """As the product does, with few steps."""
    _request(self, **{"steps": STEPS, **options})


def record_model(self: Learning, result: dict[str, Any]) -> None:
    """As the product does, but every model is adopted."""
    result["adopted"] = True
    _record(self, result)


Learning.request_training = request_training  # type: ignore[method-assign]
Learning._record_model = record_model  # type: ignore[method-assign]

if __name__ == "__main__":
    main()
