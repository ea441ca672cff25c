"""Folders and files inside a study whose contents another room makes: what a backup takes, what goes with a case.

Whoever opens a study has to know them, also where that room is not installed: in 3D Slicer there is no pipeline, and a
removed case still has to take its pseudo-labels with it. So their names stand here, and the rooms take them from here.
"""

from __future__ import annotations

MAPS = "maps"
"""``maps/<model>/<case>/pair-<n>/``: what rankings saw. Those of models that the worker runs can be made again."""
PSEUDO_LABELS = "pseudo"
"""``pseudo/<teacher>/<case>/``: pseudo-labels, hours of work each."""
PIPELINE_STATE = "pipeline.json"
"""What the pipeline has done in the study."""
CORE_SET_PAGE = "core-set.html"
"""Which slices were chosen to be read first, and why."""
FILES = (PIPELINE_STATE, CORE_SET_PAGE)
"""Files at the top of a study that a backup takes along where they are there."""
STORED = "nnunet-"
"""How ids begin of models that the worker cannot run: another process made their maps, which a ranking reads."""


def goes_by_stored_maps(model: str) -> bool:
    """Whether the worker knows a model, given by its id, by its stored maps alone."""
    return model.startswith(STORED)
