"""The images of a case in a scene: both visits in every contrast, and their signed difference."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from LMIALLib.errors import BadInput
from LMIALLib.pairs.pair import Pair
from LMIALLib.scene.volumes import add_colours, add_volume, brain_window, place_volume, show_coloured, show_grey

if TYPE_CHECKING:
    from LMIALLib.study.store import Study

VISITS = ("baseline", "follow_up")
DIFFERENCE = (
    (0.60, 0.82, 1.00, 1.0),
    (0.18, 0.50, 0.84, 1.0),
    (0.02, 0.02, 0.03, 1.0),
    (0.85, 0.38, 0.10, 1.0),
    (1.00, 0.77, 0.56, 1.0),
)
"""Blue (darker now) through black (no change) to orange (brighter now): clear to colour-blind readers too."""


@dataclass
class Images:
    """Volume nodes of a case.

    Args:
        pair: the pair on its grid.
        contrasts: names, the first is the main one ("").
        nodes: (contrast, visit) -> volume node; further contrasts are read when they are first asked for.
        windows: grey window of each of these.
        difference: volume node, follow-up minus baseline.
        reach: of the difference's colours, in robust standard deviations of the brain.
    """

    pair: Pair
    contrasts: tuple[str, ...]
    nodes: dict[tuple[str, str], Any]
    windows: dict[tuple[str, str], tuple[float, float]]
    difference: Any
    reach: float

    @cached_property
    def inside(self) -> np.ndarray:
        """Whether a slice has any of the region in which change is looked for, bool (slices,)."""
        return np.asarray(self.pair.stack(self.pair.mask).any(axis=(1, 2)))


def add_images(scene: Any, study: Study, case: str) -> Images:
    """Read a case's pair and put it into a scene. BadInput where files of the study are missing or broken."""
    pair = study.cases.load_pair(case)
    images = Images(pair, ("", *sorted(pair.registration.get("contrasts", {}))), {}, {}, None, 1.0)
    for visit in VISITS:
        visit_node(scene, study, case, images, "", visit)
    images.difference = add_volume(scene, pair.difference, pair.grid, "difference", case)
    values = pair.follow_up[pair.mask]
    low, high = np.percentile(values, [0.5, 99.7]) if values.size else (0.0, 1.0)
    images.reach = float(0.6 * max(high - low, 1e-3))
    colours = add_colours(scene, "difference colours", DIFFERENCE, case)
    show_coloured(images.difference, colours, -images.reach, images.reach)
    return images


def visit_node(scene: Any, study: Study, case: str, images: Images, contrast: str, visit: str) -> Any:
    """The volume of one visit in one contrast, as it was acquired, placed onto the pair; read at the first call."""
    if (contrast, visit) in images.nodes:
        return images.nodes[contrast, visit]
    pair = images.pair
    key = f"{contrast}-{visit}" if contrast else visit
    placed = pair.registration.get("to_source", {}).get(key)
    if placed is None:
        raise BadInput(f"the pair of {case} does not say where its volume {key} lies.", "Restore a backup.")
    to_source = np.array(placed, dtype=float).reshape(4, 4)
    if not contrast and np.array_equal(to_source, np.eye(4)):  # the pair's grid is this visit's own
        array, grid = getattr(pair, visit), pair.grid
    else:
        from LMIALLib.pairs.storage import read_nrrd

        array, grid = read_nrrd(study.folder / "cases" / case / "source" / f"{key}.nrrd")
    node = add_volume(scene, array, grid, f"{'PRIOR' if visit == 'baseline' else 'CURRENT'} {contrast}".strip(), case)
    if grid is not pair.grid:
        place_volume(scene, node, to_source, case)
    images.windows[contrast, visit] = brain_window(array, grid, pair.mask, pair.grid, to_source)
    show_grey(node, *images.windows[contrast, visit])
    images.nodes[contrast, visit] = node
    return node
