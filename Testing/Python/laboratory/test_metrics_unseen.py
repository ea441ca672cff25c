"""Weights that saw a patient judge no figure of that patient."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from LMIALLib.errors import BadInput, WrongUse
from LMIALLib.laboratory.unseen import named_weights, unseen_weights
from LMIALLib.network.architecture import ChangeNetwork
from LMIALLib.network.weights import save_weights


@pytest.mark.parametrize(
    ("provenance", "allowed"),
    [
        ({"excluded": ["patient12"]}, True),
        ({"excluded": ["longitudinal/patient12"]}, True),
        ({"excluded": ["cross_sectional_MNI/patient12"]}, False),
        ({"excluded": ["patient01", "patient1"]}, False),
        ({}, False),
        ({"excluded": ["patient12"], "shapes": ["longitudinal/patient12"]}, False),
        ({"excluded": ["patient12"], "config": {"validation": ["longitudinal/patient12"]}}, False),
    ],
)
def test_the_header_must_say_so_and_not_contradict_itself(
    tmp_path: Path, provenance: dict[str, Any], allowed: bool
) -> None:
    path = tmp_path / "weights.safetensors"
    digest = save_weights(ChangeNetwork(), path, provenance)
    if allowed:
        assert unseen_weights(path, "patient12").digest == digest
    else:
        with pytest.raises(BadInput, match="may have seen longitudinal/patient12"):
            unseen_weights(path, "patient12")


def test_patients_and_their_files() -> None:
    assert named_weights(["patient01=a=b", "patient12=c"]) == {"patient01": Path("a=b"), "patient12": Path("c")}
    for words in (["file"], ["=file"], ["patient01="], ["patient01=a", "patient01=b"]):
        with pytest.raises(WrongUse):
            named_weights(words)
