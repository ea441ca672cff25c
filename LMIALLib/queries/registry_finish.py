"""The strategies that finish a patient; notation as in `registry`, with p of the per-patient head."""

from __future__ import annotations

from LMIALLib.queries import aggregations, choices
from LMIALLib.queries.measures import MEASURES
from LMIALLib.queries.strategy import Strategy

EXPECTED_ERROR = Strategy(
    "expected-error",
    MEASURES["least-confidence"],
    aggregations.total,
    choices.most_wrong_first,
    "Slices on which the delivered label is expected to be wrong at most pixels, one patient after the other.",
    "LMIAL; least confidence (Settles, 2009) of the per-patient head, at the threshold of the delivered label",
    "Sum min(p, 1-p), p of the per-patient head",
    purpose="finish",
)

FINISH = (EXPECTED_ERROR,)
"""In the order in which they are listed."""
