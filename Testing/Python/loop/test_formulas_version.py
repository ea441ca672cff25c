"""A ranking that older formulas made is not the same, and its replay says that the conditions differ."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np

from LMIALLib.loop.replay import compare
from LMIALLib.queries.pool import CaseMaps
from LMIALLib.queries.ranking import rank, score_case
from LMIALLib.queries.strategies import STRATEGIES
from LMIALLib.queries.strategy import FORMULAS
from LMIALLib.worker.predicting import conditions_of
from LMIALLib.worker.requests import Ranked


def test_conditions_hold_the_version_of_the_formulas_and_a_replay_names_the_difference() -> None:
    now = conditions_of(SimpleNamespace(conditions={"versions": {"torch": "2"}}))  # type: ignore[arg-type]
    assert now["versions"]["formulas"] == FORMULAS
    before = {**now, "versions": {name: value for name, value in now["versions"].items() if name != "formulas"}}
    p = np.array([[[0.5]], [[0.2]]], dtype=np.float32)
    maps = CaseMaps("a", p, np.ones(p.shape, dtype=bool), np.ones_like(p))
    strategy = STRATEGIES["entropy"]
    ranking = rank([score_case(maps, strategy)], strategy, seed=0).to_dict()
    older = {**ranking, "scores": {"a": [0.7, 0.4]}}
    found = compare(1, older, before, Ranked(ranking, now, 0))
    assert not found.identical and found.differing == ("versions",)
    assert "conditions differ (versions)" in found.sentence
