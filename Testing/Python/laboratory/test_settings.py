"""What a simulation's settings make of a pool."""

from __future__ import annotations

import pytest

from LMIALLib.errors import WrongUse
from LMIALLib.laboratory.settings import SimulationSettings


def test_a_first_draw_of_the_whole_pool_is_refused() -> None:
    settings = SimulationSettings(strategies=("random",), initial=124)
    with pytest.raises(WrongUse, match="leave nothing to choose"):
        settings.resolved(124)
    assert settings.resolved(125).initial == 124
