"""Where an exported file comes from: study, versions, model, readers, ranking, and how much a person has read."""

from __future__ import annotations

from typing import Any

from LMIALLib.study.case import Case
from LMIALLib.study.clock import now
from LMIALLib.study.schema import SCHEMA_VERSION
from LMIALLib.study.store import Study
from LMIALLib.version import __version__

_MADE_BY = {
    "suggestion": "the model; not read by a person",
    "uncertainty": "the model; not read by a person",
    "delivered": "readers; the model where nobody read",
    "lesions": "readers; the model where nobody read",
}


def provenance(
    study: Study, case: Case, *, what: str, reader: str | None, unread: int | None, model: str | None
) -> dict[str, Any]:
    """Provenance of one exported volume, or of one case's rows in a table, JSON-ready.

    Args:
        what: "labels", "lesions", "suggestion", "uncertainty" or "table".
        reader: whose answers count; None means the newest by any.
        unread: value of unread voxels in label volumes, 0 or the highest; None where a segment marks what was read.
        model: id of the model that made the maps; None means the one in use.
    """
    current = study.answers.current(case.name, reader=reader)
    in_use, ranking = study.models.in_use(), study.rankings.latest()
    made_by = study.models.get(model) if model else in_use
    return {
        "what": what,
        "made_by": _MADE_BY.get(what, "readers"),
        "case": case.name,
        "subject": case.subject,
        "slices_read": len(current),
        "slices": case.n_slices,
        "read_by_a_person": f"{len(current)} of {case.n_slices} slices read by a person",
        "equivocal_slices": sorted(number for number, a in current.items() if a.answer == "equivocal"),
        "slice_axis": case.axis,
        "values": _meanings(study, what, unread) if what in ("labels", "lesions", "delivered") else {},
        "reader": reader or "newest answer by any reader",
        "covered_classes": [study.label_schema.name_of(value) for value in case.covered],
        "pair": {"number": case.pair_number, "digest": case.digest, "grid": case.grid.to_dict()},
        "study": study.study_id,
        "study_schema": SCHEMA_VERSION,
        "lmial": __version__,
        "model": made_by.id if made_by else None,
        "model_digest": made_by.digest if made_by else None,
        "ranking": ranking.number if ranking else None,
        "strategy": ranking.ranking.get("strategy") if ranking else None,
        "seed": ranking.ranking.get("seed") if ranking else None,
        "created": now(),
    }


def header_fields(about: dict[str, Any]) -> dict[str, str]:
    """The part of a provenance that goes into a file's header, so that it is known without the JSON beside it."""
    fields = {key: about[key] for key in ("what", "made_by", "read_by_a_person", "study", "model", "lmial")}
    if about.get("origins"):
        fields["origins"] = "; ".join(f"{value} = {meaning}" for value, meaning in about["origins"].items())
    if about.get("estimate"):
        fields["estimate"] = _expected(about["estimate"])
    fields["values"] = "; ".join(f"{value} = {meaning}" for value, meaning in about["values"].items())
    return {f"LMIAL_{key}": str(value) for key, value in fields.items() if value}


def _expected(estimate: dict[str, Any]) -> str:
    """How right the delivered label is expected to be, in words; see ``loop.patient.Estimate``."""
    volume = "changed volume {volume_ml:.2f} ml ({volume_low:.2f} to {volume_high:.2f})".format(**estimate)
    dice = "expected Dice {dice:.2f} ({dice_low:.2f} to {dice_high:.2f}), " if estimate.get("dice") else ""
    return dice.format(**estimate) + f"{volume}; in brackets 90 % intervals"


def _meanings(study: Study, what: str, unread: int | None) -> dict[str, str]:
    if what == "delivered":
        return {"0": "no change", **{str(c.value): c.name for c in study.label_schema.classes}}
    not_read = "not read by a person, or marked equivocal"
    classes = {str(c.value): c.name for c in study.label_schema.classes}
    if what == "lesions":
        classes = {"1 and more": "number of a lesion, see the table beside it"}
        not_read += ", and the model suggests no lesion"
    if unread is None:
        return {"0": "no change, or not in the segment 'reviewed'", **classes}
    values = {"0": "read, no change", **classes}
    values[str(unread)] = not_read if unread else f"read, no change; or {not_read} (0 was chosen)"
    return values
