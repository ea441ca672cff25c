"""The report of a study: how finished a patient is, whether the suggestion leads, and that figures are a file's own."""

from __future__ import annotations

from dataclasses import replace

from LMIALLib.study.answer import Answer, SliceTest
from LMIALLib.study.report import Expected, agreement, curve

ONE = Answer(
    1, 1, "2026-11-29", "a", 3, "mask", None, "anna", 3.0, False, None, False, "model", 1, 1, "random",
    SliceTest("model", 6, 8, 12),
)  # fmt: skip


def test_agreement_is_told_apart_where_the_suggestion_was_seen_first() -> None:
    shown = replace(ONE, suggestion_seen=True, test=SliceTest("model", 10, 10, 10))
    assert agreement([ONE, shown]) == (
        "answered blind: Dice 0.60 on 1 slices; suggestion shown first: Dice 1.00 on 1 slices"
    )  # 2 x 6 / (8 + 12)
    assert agreement([]) == "answered blind: no slice; suggestion shown first: no slice"
    empty = replace(ONE, test=SliceTest("model", 0, 0, 0))
    assert agreement([empty]).startswith("answered blind: no change in either on 1 slices")


def test_the_curve_needs_two_estimates_with_a_dice() -> None:
    def told(answers: int, dice: float | None) -> Expected:
        return Expected(answers, dice, 0.5, 1.0)

    assert curve([told(0, 0.5)]) == "" == curve([told(0, None), told(1, 0.5)])
    drawn = curve([told(0, 0.5), told(2, 0.75)])
    assert 'points="0.0,60.0 600.0,30.0"' in drawn and "now 0.75 (0.50 to 1.00)" in drawn
