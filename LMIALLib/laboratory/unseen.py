"""Weights that may judge a patient: only such whose header shows that they never saw that patient."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from LMIALLib.cohorts.backgrounds import is_excluded
from LMIALLib.errors import BadInput, Do, Step, WrongUse
from LMIALLib.network.weights import WeightsInfo, read_weights

LONGITUDINAL = "longitudinal"


def named_weights(words: Sequence[str]) -> dict[str, Path]:
    """Patients and weights files from words as ``patient01=FILE``.

    Raises WrongUse for another word and for a patient that is named twice.
    """
    found: dict[str, Path] = {}
    for word in words:
        patient, equals, file = word.partition("=")
        if not (patient and equals and file):
            raise WrongUse(f"{word} was not understood.", "Write the patient and its weights: patient01=FILE.")
        if patient in found:
            raise WrongUse(f"{patient} is named twice.", "Give one weights file for each patient.")
        found[patient] = Path(file)
    return found


def unseen_weights(path: Path, patient: str) -> WeightsInfo:
    """The header of weights that never saw a patient of the longitudinal database, such as "patient01".

    Raises BadInput where the header does not name the patient as excluded, names it among what was seen all the same,
    or the file is no weights file.
    """
    _, info = read_weights(path)
    source = f"{LONGITUDINAL}/{patient}"
    config = info.provenance.get("config", {})
    seen = {name for part in ("backgrounds", "shapes") for name in info.provenance.get(part, ())}
    seen |= set(config.get("validation", ()) if isinstance(config, dict) else ())
    if not is_excluded(source, info.provenance.get("excluded", ())) or source in seen:
        raise BadInput(
            f"{path}: these weights may have seen {source}; no honest figure can be given with them.",
            "Train some without this patient.",
            Step(Do.PRETRAIN_WITHOUT, subject=patient),
        )
    return info
