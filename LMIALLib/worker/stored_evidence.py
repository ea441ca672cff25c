"""What a strategy needs of a model whose maps another process made: read from the study instead of computed."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace

import numpy as np

from LMIALLib.errors import BadInput, Do, Step, WrongUse
from LMIALLib.network.predicted import CaseInput, Prediction, case_maps
from LMIALLib.queries.pool import CaseMaps
from LMIALLib.queries.reading_time import ReadingTime, outline_mm
from LMIALLib.study.maps import STORED_MAPS
from LMIALLib.study.store import Study

NEEDS = frozenset({"passes", "members", "seconds"})
"""What stored maps of an ensemble can answer: its members stand for passes as well."""


def stored_evidence(
    study: Study,
    model: str,
    cases: Sequence[CaseInput],
    needs: Collection[str],
    *,
    reading_time: ReadingTime | None = None,
) -> Iterator[tuple[CaseMaps, Prediction]]:
    """As `network.evidence.case_evidence`, from the maps that lie in the study.

    Args:
        study: an open study.
        model: id of a model that goes by stored maps.
        cases: see there.
        needs: of `NEEDS`.
        reading_time: of the reader; None for the constants.

    Raises WrongUse for another need, BadInput where a map is missing.
    """
    if unmet := sorted(set(needs) - NEEDS):
        raise WrongUse(
            f"The model {model} is known by its maps alone, and this strategy needs {unmet[0]}.",
            "Take another, as entropy, difference-entropy or bald.",
            Step(Do.STRATEGIES),
        )
    for case in cases:
        made_by = study.maps.made_by(model, case.name)
        volumes = {name: study.maps.read(model, case.name, name) for name in STORED_MAPS}
        if made_by is None or any(volume is None for volume in volumes.values()):
            raise BadInput(
                f"the maps of {case.name} by {model} are missing.",
                "Make them again.",
                Step(Do.PIPELINE_STAGE, str(study.folder), "fine-tuning"),
            )
        stacks = {name: case.pair.stack(volume) for name, volume in volumes.items() if volume is not None}
        prediction = Prediction(
            mean=stacks["mean"],
            expected_entropy=stacks["expected_entropy"],
            variance=stacks["variance"],
            features=np.zeros((case.pair.n_slices, 0), np.float32),
            passes=int(made_by["passes"]),
            conditions=made_by,
        )
        maps = case_maps(case.name, case.pair, prediction, answered=case.answers, skipped=case.skipped)
        seconds = None
        if "seconds" in needs:
            outline = outline_mm(prediction.mean >= 0.5, case.pair.in_plane_spacing)
            seconds = (reading_time or ReadingTime()).seconds(outline)
        yield replace(maps, features=None, vote_entropy=stacks["vote_entropy"], seconds=seconds), prediction
