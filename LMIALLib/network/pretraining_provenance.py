"""Which brains and lesion shapes weights were trained on: what pretraining writes into their provenance."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from LMIALLib.cohorts.backgrounds import CITATIONS, is_excluded
from LMIALLib.network.samples import SampleSource
from LMIALLib.network.weights import WeightsInfo


def samples_record(source: SampleSource, exclude: Collection[str]) -> dict[str, Any]:
    """What the samples of a run depend on, JSON-ready."""
    backgrounds = sorted({b.name for b in source.backgrounds})
    return {**source.config.of_samples(), "exclude": sorted(exclude), "backgrounds": backgrounds}


def origin(source: SampleSource, exclude: Collection[str], start: WeightsInfo | None) -> dict[str, Any]:
    """Settings, exclusions, brains, shapes and citations of a run, those of the weights it started from included.

    Args:
        source: where its samples came from.
        exclude: whom it left out.
        start: the weights it began from, if any.
    """
    before = start.provenance if start else {"excluded": list(exclude)}
    return {
        "config": source.config.to_dict(),
        "start": start.digest if start else None,
        "excluded": unseen(exclude, before.get("excluded", ())),
        "backgrounds": sorted({b.name for b in source.backgrounds} | set(before.get("backgrounds", ()))),
        "shapes": sorted(set(source.shapes.sources()) | set(before.get("shapes", ()))),
        "citations": list(CITATIONS) if source.config.data else before.get("citations", []),
    }


def unseen(ours: Collection[str], theirs: Collection[str]) -> list[str]:
    """Patients that neither of two runs saw, from what each excluded.

    A bare "patient01" stands for that number in every database: together with "longitudinal/patient01" it leaves the
    latter.
    """
    both = {name for name in ours if is_excluded(name, theirs)} | {name for name in theirs if is_excluded(name, ours)}
    return sorted(both)
