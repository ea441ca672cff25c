"""Foreground efficiency of a strategy, from the round on that all strategies share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from LMIALLib.laboratory.curves import (
    Efficiency,
    foreground_efficiency,
)
from LMIALLib.laboratory.read_tables import Run


def foreground_of(runs: Sequence[Run], begin: int | None, before: float, full: float) -> Efficiency:
    """Foreground efficiency from the last round on that all strategies share, each run from what it had annotated then.

    Args:
        begin: that round; None where there is none.
        before: Dice in it, the mean over seeds.
    """
    if begin is None:
        return Efficiency(float("nan"), reason="the network starts from nothing, without a first draw")
    percent, dice = [], []
    for run in runs:
        later = run.rounds >= begin
        share = 100 * run.column("foreground_fraction")[later]
        percent.append(share - share[0] if share.size else share)
        dice.append(run.column("dice_fixed")[later])
    return foreground_efficiency(np.concatenate(percent), np.concatenate(dice), before, full)


def first_common_round(config: Mapping[str, Any]) -> int | None:
    """The round from which foreground efficiency is fitted: the last one that is the same for all strategies.

    nnActive's curves begin with the starting budget, which is annotated and the same for all. A network from scratch
    has a Dice of 0 in round 0, and the leap to its first draw, which no strategy chose, would decide the fit. Weights
    that were trained before begin at round 0. None for scratch without a first draw.
    """
    asked = config.get("asked")
    settings = asked.get("settings", {}) if isinstance(asked, dict) else {}
    if settings.get("start") != "scratch":
        return 0
    return None if settings.get("initial") == 0 else 1
