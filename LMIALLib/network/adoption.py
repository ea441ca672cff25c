"""Whether a fine-tuned model takes the place of the one in use: five rules, each with its reason in words."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from LMIALLib.network.report import FinetuneReport

LARGEST_LOSS = 0.05
LARGEST_CHANGE = 5.0
NEGLIGIBLE_ML = 0.1


@dataclass(frozen=True)
class Adoption:
    """The decision, with a sentence for each rule that was broken, or one that says what was found when none was."""

    adopted: bool
    reasons: tuple[str, ...]


def judge(
    report: FinetuneReport,
    volumes: Mapping[str, Mapping[str, float]],
    *,
    validation: tuple[float, float] | None = None,
) -> Adoption:
    """Adopt unless the new model is not finite, forgot, changes a volume more than fivefold, or fits the reader worse,
    in the slices it learned from or, judged in two halves, in those it did not.

    Args:
        report: what fine-tuning measured on both models.
        volumes: for each case its predicted change in ml, {"before": ..., "after": ...}. Less than 0.1 ml counts as
            0.1 ml, because next to nothing may become a little.
        validation: Dice before and after on the annotated slices of subjects set aside for validation, if there are
        any.
    """
    finite = report.finite and all(math.isfinite(v) for pair in volumes.values() for v in pair.values())
    if not finite:
        return Adoption(False, ("The new model gives values that are not finite numbers.",))
    reasons = [*_forgetting(report, validation), *_volumes(volumes), *_fit(report), *_held_out(report)]
    if reasons:
        return Adoption(False, tuple(reasons))
    before, after = report.guard_before, report.guard_after
    if not (before or after):  # its family does not measure it
        return Adoption(True, ("The annotated slices are fitted no worse.",))
    kept = f"Dice on the built-in synthetic set is {after:.2f} (was {before:.2f})"
    return Adoption(True, (f"{kept}, and the annotated slices are fitted no worse.",))


def _forgetting(report: FinetuneReport, validation: tuple[float, float] | None) -> list[str]:
    reasons = []
    before, after = report.guard_before, report.guard_after
    if not after >= before - LARGEST_LOSS:
        reasons.append(f"It forgot: Dice on the built-in synthetic set fell from {before:.2f} to {after:.2f}.")
    if validation is not None and not validation[1] >= validation[0] - LARGEST_LOSS:
        reasons.append(
            f"Dice on the subjects set aside for validation fell from {validation[0]:.2f} to {validation[1]:.2f}."
        )
    return reasons


def _volumes(volumes: Mapping[str, Mapping[str, float]]) -> list[str]:
    reasons = []
    for case in sorted(volumes):
        before, after = volumes[case]["before"], volumes[case]["after"]
        ratio = max(after, NEGLIGIBLE_ML) / max(before, NEGLIGIBLE_ML)
        if not 1 / LARGEST_CHANGE <= ratio <= LARGEST_CHANGE:
            reasons.append(
                f"The predicted change of case {case} went from {before:.2f} ml to {after:.2f} ml, more than fivefold."
            )
    return reasons


def _held_out(report: FinetuneReport) -> list[str]:
    """What is learned from half of the read slices must help on the other half: no evidence, no new model."""
    before, after = report.held_out_before, report.held_out_after
    if before is None or after is None or after > before:
        return []
    found = f"Dice {after:.3f} (was {before:.3f})"
    return [f"Learning from half of the annotated slices did not help on the other half: {found}."]


def _fit(report: FinetuneReport) -> list[str]:
    """Dice where change is marked; where none is, fewer pixels called change are better."""
    before, after = report.dice_before, report.dice_after
    if before is None or after is None:
        if report.false_after > report.false_before:
            return [
                f"It calls {report.false_after} pixels change where the reader saw none (was {report.false_before})."
            ]
        return []
    if not after >= before:
        return [f"It fits the annotated slices worse: Dice {after:.3f} (was {before:.3f})."]
    return []
