"""The five rules of adoption, each broken by itself."""

from __future__ import annotations

from dataclasses import replace

import pytest

from LMIALLib.network.adoption import judge
from LMIALLib.network.report import FinetuneReport

GOOD = FinetuneReport(
    digest="0" * 64,
    steps=10,
    losses=(1.0, 0.5),
    examples=5,
    dice_before=0.5,
    dice_after=0.6,
    held_out_before=0.4,
    held_out_after=0.45,
    false_before=10,
    false_after=8,
    guard_before=0.7,
    guard_after=0.69,
    kept=0.4,
    shift=0.0,
    finite=True,
    seconds=1.0,
)
VOLUMES = {"a": {"before": 1.0, "after": 1.4}}


def test_better_model_is_adopted():
    decision = judge(GOOD, VOLUMES)
    assert decision.adopted
    assert "0.69" in decision.reasons[0]


@pytest.mark.parametrize(
    ("change", "volumes", "words"),
    [
        ({"finite": False}, VOLUMES, "not finite"),
        ({}, {"a": {"before": 1.0, "after": float("nan")}}, "not finite"),
        ({"guard_after": 0.64}, VOLUMES, "forgot"),
        ({"guard_after": float("nan")}, VOLUMES, "forgot"),
        ({}, {"a": {"before": 1.0, "after": 5.2}}, "case a"),
        ({}, {"a": {"before": 1.0, "after": 0.19}}, "case a"),
        ({"held_out_after": 0.39}, VOLUMES, "did not help on the other half"),
        ({"dice_after": 0.49}, VOLUMES, "fits the annotated slices worse"),
        ({"dice_before": None, "dice_after": None, "false_after": 11}, VOLUMES, "saw none"),
    ],
)
def test_each_rule(change, volumes, words):
    decision = judge(replace(GOOD, **change), volumes)
    assert not decision.adopted
    assert len(decision.reasons) == 1
    assert words in decision.reasons[0]
    assert decision.reasons[0].endswith(".")


def test_too_few_slices_to_hold_out_decide_nothing():
    assert judge(replace(GOOD, held_out_before=None, held_out_after=None), VOLUMES).adopted


def test_limits_are_still_allowed():
    edge = replace(GOOD, guard_before=0.7, guard_after=0.7 - 0.049, dice_after=0.5)
    assert judge(edge, {"a": {"before": 1.0, "after": 4.99}}).adopted


def test_next_to_nothing_may_become_a_little():
    assert judge(GOOD, {"a": {"before": 0.0, "after": 0.4}}).adopted
    assert not judge(GOOD, {"a": {"before": 0.0, "after": 0.6}}).adopted


def test_validation_subjects_count_when_there_are_any():
    assert judge(GOOD, VOLUMES, validation=(0.6, 0.58)).adopted
    refused = judge(GOOD, VOLUMES, validation=(0.6, 0.5))
    assert "validation" in refused.reasons[0]


def test_every_broken_rule_is_named():
    decision = judge(replace(GOOD, guard_after=0.1, dice_after=0.1), {"a": {"before": 1.0, "after": 9.0}})
    assert len(decision.reasons) == 3
