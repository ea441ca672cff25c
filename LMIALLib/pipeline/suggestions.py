"""Pseudo-labels as the suggestions of a queue: maps of their own, which the ranking names."""

from __future__ import annotations

import hashlib
from dataclasses import replace

import numpy as np

from LMIALLib.errors import BadInput
from LMIALLib.pairs.pair import Pair
from LMIALLib.pipeline.pseudo import read_pseudo
from LMIALLib.queries.pool import CaseMaps
from LMIALLib.queries.scoring import uncertainty_map
from LMIALLib.queries.strategies import Strategy
from LMIALLib.study.kept import PSEUDO_LABELS
from LMIALLib.study.names import LONGEST_MODEL_ID
from LMIALLib.study.store import Study


def teacher_of(study: Study, teacher: str | None) -> str | None:
    """The teacher whose pseudo-labels are shown: the one that is named, else the only one, else None.

    Raises BadInput where the named one has none in this study, and where there are several and none is named.
    """
    folder = study.folder / PSEUDO_LABELS
    there = sorted(one.name for one in folder.iterdir() if one.is_dir()) if folder.is_dir() else []
    if teacher is not None and teacher not in there:
        known = ", ".join(there) or "none yet"
        raise BadInput(f"there are no pseudo-labels of a teacher {teacher!r} in {study.folder}; there are: {known}.")
    if teacher is None and len(there) > 1:
        raise BadInput(f"{study.folder} holds pseudo-labels of {len(there)} teachers: {', '.join(there)}.", "Name one.")
    return teacher or (there[0] if there else None)


def maps_name(teacher: str) -> str:
    """Under which name, instead of a model's id, the maps of a teacher lie in the study's ``maps/``."""
    name = f"pseudo-{teacher}"
    return name if len(name) <= LONGEST_MODEL_ID else f"pseudo-{hashlib.sha256(teacher.encode()).hexdigest()[:12]}"


def suggested(study: Study, teacher: str, maps: CaseMaps, pair: Pair, shown: Strategy) -> tuple[CaseMaps, list[int]]:
    """Write the maps of a case's pseudo-labels, and return the case with their probability.

    Args:
        study: the study.
        teacher: as in `pseudo_folder`.
        maps: the case as the network predicts it, which is kept where there is no pseudo-label.
        pair: of the case.
        shown: whose map of uncertainty is written beside the probability, made of the pseudo-labels' probability.

    Returns the maps with that probability, and the slices without a pseudo-label: readers are shown no suggestion
    there, not an empty one.
    """
    pseudo = read_pseudo(study, teacher, maps.case)
    if pseudo is None:
        return maps, list(range(maps.n_slices))
    if pseudo.probability.shape != pair.baseline.shape:
        raise BadInput(
            f"the pseudo-labels of {teacher} for {maps.case} have shape {pseudo.probability.shape}; expected "
            f"{pair.baseline.shape}."
        )
    done = pseudo.done[:, None, None]
    seen = replace(maps, mean=np.where(done, pair.stack(pseudo.probability), maps.mean).astype(np.float32))
    stacks = {"mean": seen.mean, shown.name: uncertainty_map(seen, shown)}
    on_grid = {name: pair.unstack(np.where(done, stack, np.float32(0))) for name, stack in stacks.items()}
    study.maps.write(maps_name(teacher), maps.case, on_grid, {"teacher": teacher, **pseudo.made_by})
    return seen, [int(number) for number in np.flatnonzero(~pseudo.done)]
