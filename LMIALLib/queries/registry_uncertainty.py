"""Strategies by uncertainty alone, plain and weighted by the difference of the scans; notation as in `registry`."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

from LMIALLib.queries import aggregations, choices
from LMIALLib.queries.measures import MEASURES
from LMIALLib.queries.strategy import Strategy

_SETTLES = "Settles, Active Learning Literature Survey, 2009"
LMI_AL = "LMI-AL, arXiv 2511.18007"
_GAL = "Houlsby et al., arXiv 1112.5745; Gal et al., arXiv 1703.02910"
NNACTIVE = "nnActive, arXiv 2511.19183"


def _total(
    name: str,
    measure: str,
    formula: str,
    summary: str,
    source: str,
    several: Literal["", "passes", "members", "views"] = "",
) -> Strategy:
    """A strategy that adds a measure up over the brain region and takes the highest first."""
    parts = (MEASURES[measure], aggregations.total, choices.highest_first)
    return Strategy(name, *parts, summary, source, formula, several)


_LEAST_CONFIDENCE = _total(
    "least-confidence",
    "least-confidence",
    "Sum (1 - max(p, 1-p))",
    "Slices with the most pixels of which the network is least confident.",
    _SETTLES,
)
ENTROPY = _total("entropy", "entropy", "Sum H(p)", "Slices whose pixels are most uncertain altogether.", _SETTLES)
BALD = _total(
    "bald",
    "mutual-information",
    "Sum (H(mean p_t) - mean H(p_t))",
    "Slices on which stochastic passes of the network disagree most.",
    _GAL,
    "passes",
)

UNCERTAINTY = (
    _LEAST_CONFIDENCE,
    _total(
        "margin",
        "margin",
        "Sum (1 - |2p - 1|)",
        "Slices with the most pixels that lie between change and no change; with two classes the order of "
        "least-confidence.",
        _SETTLES,
    ),
    ENTROPY,
    replace(
        ENTROPY,
        name="mean-entropy",
        aggregation=aggregations.mean_in_brain,
        formula="Sum H(p) / pixels of the brain",
        summary="Slices whose brain is most uncertain on average, however small it is there.",
    ),
    replace(
        ENTROPY,
        name="top-entropy",
        aggregation=aggregations.top_mean,
        formula="mean of the 100 highest H(p)",
        summary="Slices with the most uncertain spot, so that one small lesion is not outweighed by a large brain.",
    ),
    _total(
        "foreground-entropy",
        "foreground-entropy",
        "Sum of H(p) over p >= 1/4",
        "Slices that are uncertain in predicted change and near its border.",
        "LMIAL, after arXiv 2401.16298",
    ),
    Strategy(
        "selective-entropy",
        MEASURES["selective-entropy"],
        aggregations.target_mean,
        choices.selective,
        "Slices that are uncertain where change may be and near its border, one by one in turn.",
        "Ma et al., arXiv 2401.16298",
        "in turn mean of H(p) over p >= 0.1, mean of H(p) over |p - 1/2| <= 0.1",
    ),
    _total(
        "mc-entropy",
        "entropy",
        "Sum H(mean p_t)",
        "Slices that are most uncertain on the mean of stochastic passes.",
        "Gal et al., arXiv 1703.02910",
        "passes",
    ),
    BALD,
    _total(
        "expected-entropy",
        "expected-entropy",
        "Sum mean H(p_t)",
        "Slices on which each stochastic pass is uncertain by itself.",
        NNACTIVE,
        "passes",
    ),
    _total(
        "variance",
        "variance",
        "Sum 2 Var p_t",
        "Slices on which the probabilities of stochastic passes vary most.",
        "MONAI Label, arXiv 2203.12362",
        "passes",
    ),
    _total(
        "committee-entropy",
        "entropy",
        "Sum H(mean p_t)",
        "Slices that are most uncertain on the mean of the last models.",
        "Beluch et al., CVPR 2018",
        "members",
    ),
    _total(
        "committee-bald",
        "mutual-information",
        "Sum (H(mean p_t) - mean H(p_t))",
        "Slices on which the last models disagree most.",
        "McCallum and Nigam, ICML 1998; Beluch et al., CVPR 2018",
        "members",
    ),
    _total(
        "committee-variance",
        "variance",
        "Sum 2 Var p_t",
        "Slices on which the probabilities of the last models vary most.",
        "Beluch et al., CVPR 2018",
        "members",
    ),
    _total(
        "committee-vote",
        "vote-entropy",
        "Sum H(share of members with p_t >= 1/2)",
        "Slices on which the last models vote most unlike.",
        "Dagan and Engelson, ICML 1995",
        "members",
    ),
    _total(
        "view-consistency",
        "variance",
        "Sum 2 Var p_t",
        "Slices whose prediction changes most when the scans are turned or mirrored.",
        "Gao et al., arXiv 1910.07153",
        "views",
    ),
)

_DIFFERENCE = (
    "least-confidence",
    "margin",
    "entropy",
    "mc-entropy",
    "bald",
    "expected-entropy",
    "variance",
    "committee-bald",
    "view-consistency",
)
WEIGHTED = tuple(
    replace(
        plain,
        name=f"difference-{plain.name}",
        aggregation=aggregations.weighted_total,
        formula=plain.formula.replace("Sum ", "Sum w ", 1),
        summary=f"{plain.summary[:-1]}, counted where the two scans differ.",
        source=f"{LMI_AL}; {plain.source}",
    )
    for plain in UNCERTAINTY
    if plain.name in _DIFFERENCE
)
NORMALISED = tuple(
    replace(
        weighted,
        name=f"{weighted.name}-normalised",
        aggregation=aggregations.weighted_mean,
        formula=f"{weighted.formula} / max(Sum w, median Sum w)",
        summary=f"{weighted.summary[:-1]}, whatever the amount of difference.",
    )
    for weighted in WEIGHTED
)
