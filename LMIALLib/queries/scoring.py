"""Scoring one case: the map that is ranked, one score a slice, and the terms from which its reason is made."""

from __future__ import annotations

import numpy as np

from LMIALLib.errors import LMIALError
from LMIALLib.queries.aggregations import brain_pixels, difference_mass, given
from LMIALLib.queries.pool import OF_PIXELS, CaseMaps, CaseScores, eligible_slices
from LMIALLib.queries.spots import box_smoothed, middle, spots
from LMIALLib.queries.strategies import Strategy

ROUNDING = 1e-5
"""A probability may be so far outside of 0 to 1, because means and resampling round."""


def uncertainty_map(maps: CaseMaps, strategy: Strategy) -> np.ndarray:
    """The very map that the strategy adds up: measured, weighted where it weights, 0 outside the brain; float32.

    Raises WrongUse where the prediction lacks what the measure needs, LMIALError where it is not finite.
    """
    return strategy.aggregation.weighted(_measured(maps, strategy), maps)


def score_case(maps: CaseMaps, strategy: Strategy) -> CaseScores:
    """Score every slice of a case.

    Terms of a slice, all float64 and read from the arrays that make the score:

    * ``score``: what the slices are ordered by, before a choice looks at features;
    * ``sum``: the ranked map added up; ``weight``: the weights added up (pixels of the brain where nothing weights), so
      that a total is ``sum``, a mean ``sum / weight`` (normalised: at least the median ``weight``);
    * ``uncertainty``: the measure, unweighted and box-smoothed, at the place the reader is brought to;
    * ``difference``: follow-up minus baseline at that place, smoothed alike, in robust spreads of the brain;
    * ``spots``: how many places of the ranked map are at least half as high as the highest;
    * ``predicted_pixels``: pixels of the brain with p of 0.5 or more;
    * ``seconds``, ``expected_dice``, ``learned``: as they came with the case, where the strategy goes by them.

    Raises WrongUse where the prediction lacks what the strategy needs, LMIALError where it is not finite.
    """
    measured = _measured(maps, strategy)
    _check_numbers(maps, strategy)
    ranked = strategy.aggregation.weighted(measured, maps)
    score = strategy.aggregation.reduce(ranked, maps)
    weight = difference_mass(maps) if strategy.aggregation.by_difference else brain_pixels(maps)
    terms = {"score": score, "sum": ranked.sum(axis=(1, 2), dtype=np.float64), "weight": weight}
    terms |= {name: np.zeros(maps.n_slices) for name in ("uncertainty", "difference", "spots", "predicted_pixels")}
    terms |= {
        name: given(maps, name) for need, name in _OF_NEED.items() if need in strategy.needs and name != "gradients"
    }
    peak = np.zeros((maps.n_slices, 2), dtype=int)
    for k, inside in enumerate(maps.mask):
        places = spots(box_smoothed(ranked[k]), inside) if inside.any() else []
        row, column = places[0] if places else middle(inside)
        peak[k] = row, column
        terms["spots"][k] = len(places)
        terms["uncertainty"][k] = _around(measured[k], inside, row, column)
        terms["difference"][k] = _around(maps.difference[k], inside, row, column)
        terms["predicted_pixels"][k] = np.count_nonzero(maps.mean[k][inside] >= 0.5)
    return CaseScores(
        case=maps.case,
        score=score,
        terms=terms,
        peak=peak,
        features=maps.features,
        slice_spacing=maps.slice_spacing,
        answered=maps.answered,
        skipped=maps.skipped,
        eligible=eligible_slices(maps.mask),
        others=tuple((way or strategy.aggregation)(measure(maps), maps) for measure, way in strategy.choice.also),
        gradients=maps.gradients if "gradients" in strategy.needs else None,
    )


_OF_NEED = {
    "expected-dice": "expected_dice",
    "loss-prediction": "learned",
    "discriminator": "learned",
    "seconds": "seconds",
    "gradients": "gradients",
}
"""The field of `CaseMaps` that answers to a need, where it holds numbers a slice."""


def _check_numbers(maps: CaseMaps, strategy: Strategy) -> None:
    """Raise LMIALError where numbers a slice that the strategy goes by are not finite, or seconds not above 0."""
    for need, name in _OF_NEED.items():
        array = getattr(maps, name)
        if need in strategy.needs and array is not None:
            if not np.isfinite(array).all():
                raise _not_finite(name, maps.case)
            if name == "seconds" and not (array > 0).all():
                raise LMIALError(f"The predicted reading time of a slice of case {maps.case} is not above 0 seconds.")


def _measured(maps: CaseMaps, strategy: Strategy) -> np.ndarray:
    """The measure's map, after making sure that what enters is finite inside the brain, and probabilities are such."""
    for name in OF_PIXELS:
        if not _finite(getattr(maps, name), maps.mask):
            raise _not_finite(name, maps.case)
    if not _finite(maps.difference, maps.mask):
        raise LMIALError(
            f"The difference of the two scans of case {maps.case} holds values that are not finite.",
            "The scans are at fault, not the model: prepare the pair again.",
        )
    for p, inside in zip(maps.mean, maps.mask, strict=True):
        if inside.any() and not (p[inside].min() >= -ROUNDING and p[inside].max() <= 1.0 + ROUNDING):
            wrong = p[inside].min() if p[inside].min() < 0 else p[inside].max()
            raise LMIALError(
                f"The probabilities of case {maps.case} hold {wrong:.4g}; expected 0 to 1.",
                "Go back to an earlier model; this one cannot be ranked with.",
            )
    return strategy.measure(maps)


def _finite(array: np.ndarray | None, mask: np.ndarray) -> bool:
    """Whether a map, if there is one, is finite inside the brain."""
    return array is None or all(np.isfinite(part[inside]).all() for part, inside in zip(array, mask, strict=True))


def _not_finite(name: str, case: str) -> LMIALError:
    return LMIALError(
        f"The {name.replace('_', ' ')} of case {case} holds values that are not finite.",
        "Go back to an earlier model; this one cannot be ranked with.",
    )


def _around(image: np.ndarray, inside: np.ndarray, row: int, column: int) -> float:
    """The value of the box-smoothed image at one place, 0 outside the region: smooths only what it needs."""
    rows, columns = slice(max(row - 2, 0), row + 3), slice(max(column - 2, 0), column + 3)
    values = np.where(inside[rows, columns], image[rows, columns], 0.0)
    return float(values.sum(dtype=np.float64) / 25.0)
