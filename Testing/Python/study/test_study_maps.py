"""Maps that a ranking saw can be written, read back exactly, and deleted."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest

from LMIALLib.errors import BadInput
from LMIALLib.study import Study
from LMIALLib.study.checks import check_study


def test_maps_come_back_exactly_or_not_at_all(study: Study) -> None:
    chance = np.random.default_rng(0).random((6, 8, 10)).astype(np.float32)
    assert study.maps.read("m0", "a", "mean") is None
    study.maps.write("m0", "a", {"mean": chance}, {"passes": 1})
    found = study.maps.read("m0", "a", "mean")
    assert found is not None
    assert np.array_equal(found, chance)
    folder = study.maps.folder("m0", "a")
    assert folder == study.folder / "maps" / "m0" / "a" / "pair-1"
    told = json.loads((folder / "made_by.json").read_text(encoding="utf-8"))
    assert told["passes"] == 1
    assert len(told["sha256"]["mean"]) == 64
    assert not check_study(study)
    shutil.rmtree(study.folder / "maps")
    assert study.maps.read("m0", "a", "mean") is None


def test_maps_stay_inside_the_study(study: Study) -> None:
    for model, measure in (("../m", "mean"), ("m0", "../../mean")):
        with pytest.raises(BadInput):
            study.maps.read(model, "a", measure)


def test_maps_of_a_removed_case_go(study: Study) -> None:
    study.maps.write("m0", "a", {"mean": np.zeros((6, 8, 10), np.float32)}, {})
    study.cases.remove("a")
    assert not (study.folder / "maps" / "m0" / "a").exists()
