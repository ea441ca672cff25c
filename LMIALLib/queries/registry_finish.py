"""The strategies that finish a patient; notation as in `registry`, with p of the per-patient head.

Their scores are made by `adaptation.order`, from the very maps that are shown; what stands here gives the map that a
reader sees, and the order of skipped and equal slices.
"""

from __future__ import annotations

from dataclasses import replace

from LMIALLib.queries import aggregations, choices
from LMIALLib.queries.measures import MEASURES
from LMIALLib.queries.strategy import Strategy

_OF_ERROR = "least confidence (Settles, 2009) of the per-patient head, at the threshold of the delivered label"

EXPECTED_ERROR = Strategy(
    "expected-error",
    MEASURES["least-confidence"],
    aggregations.total,
    choices.most_wrong_first,
    "Slices on which the delivered label is expected to be wrong at most pixels, one patient after the other.",
    f"LMIAL; {_OF_ERROR}",
    "Sum min(p, 1-p), p of the per-patient head",
    purpose="finish",
)
_EXPECTED_GAIN = replace(
    EXPECTED_ERROR,
    name="expected-gain",
    summary="Slices whose reading is expected to bring the delivered label's Dice most, one patient after the other.",
    source="LMIAL, Docs/finish.md",
    formula="Sum of p (2 - D) where p < 1/2, of (1 - p) D elsewhere, D the expected Dice",
)
_NEARBY = ", times what was wrong over what was expected on the slices read nearby"

FINISH = (
    _EXPECTED_GAIN,
    EXPECTED_ERROR,
    replace(
        _EXPECTED_GAIN,
        name="expected-gain-nearby",
        summary=_EXPECTED_GAIN.summary.replace(", one patient", ", corrected by what was found nearby, one patient"),
        formula=_EXPECTED_GAIN.formula + _NEARBY,
    ),
    replace(
        EXPECTED_ERROR,
        name="expected-error-nearby",
        summary=EXPECTED_ERROR.summary.replace(", one patient", ", corrected by what was found nearby, one patient"),
        formula=EXPECTED_ERROR.formula + _NEARBY,
    ),
)
"""The default first, as in `adaptation.order`."""
