"""A simulation as it lies on disk."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from made_up_simulation import SPEEDS, made_up_rows, write_chosen, write_rows


@pytest.fixture
def simulation(tmp_path: Path) -> Path:
    """A cohort's simulation: six strategies, four seeds, ten rounds, and the reference."""
    folder = write_rows(tmp_path / "simulation", made_up_rows())
    write_chosen(folder, SPEEDS, seeds=4, study=False)
    config = {"strategies": list(SPEEDS), "seeds": 4, "rounds": 10, "start": "scratch", "steps": 200, "reader": "exact"}
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    return folder
