"""What every test of a scene begins with."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from LMIALLib.pairs.geometry import Grid
from LMIALLib.study.store import Study
from Testing.Python.scene.mrml_scene import Place, new_place

if TYPE_CHECKING:
    from Testing.Python.scene.sitting import Sitting


@pytest.fixture
def place() -> Iterator[Place]:
    made = new_place()
    yield made
    made.scene.Clear(1)


@pytest.fixture
def elsewhere() -> Iterator[Place]:
    """Another scene, as of a Slicer that was just started."""
    made = new_place()
    yield made
    made.scene.Clear(1)


@pytest.fixture
def workspace_at(place: Place) -> Iterator[Callable[[Path], Sitting]]:
    """Sit down in front of a study; the workspace is left at the end."""
    from Testing.Python.scene.sitting import Sitting

    workspaces: list[Sitting] = []

    def make(folder: Path) -> Sitting:
        workspaces.append(Sitting.at(place, folder))
        return workspaces[-1]

    yield make
    for workspace in workspaces:
        workspace.close()


@pytest.fixture
def oblique() -> Grid:
    """A grid that is turned in space, with a different spacing along each axis."""
    about_x, about_z = np.deg2rad(20.0), np.deg2rad(-11.0)
    turn_x = np.array([[1, 0, 0], [0, np.cos(about_x), -np.sin(about_x)], [0, np.sin(about_x), np.cos(about_x)]])
    turn_z = np.array([[np.cos(about_z), -np.sin(about_z), 0], [np.sin(about_z), np.cos(about_z), 0], [0, 0, 1]])
    direction = turn_x @ turn_z
    return Grid((24, 30, 12), (0.9, 1.1, 3.0), (-31.0, 12.5, 7.0), tuple(float(v) for v in direction.ravel()))


@pytest.fixture
def opened_study(prepared_study: Path) -> Iterator[Study]:
    """The prepared study, to look at."""
    with Study.open(prepared_study, read_only=True) as study:
        yield study
