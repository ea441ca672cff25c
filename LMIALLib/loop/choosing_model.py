"""Taking another model of a study into use by hand: an earlier one again, or one that was refused."""

from __future__ import annotations

from LMIALLib.errors import BadInput, Do, Step
from LMIALLib.files import sha256_of
from LMIALLib.study.kept import goes_by_stored_maps
from LMIALLib.study.maps import STORED_MAPS
from LMIALLib.study.models import Model
from LMIALLib.study.store import Study


def take_into_use(study: Study, id: str) -> Model:  # noqa: A002 - the word of the house
    """Put a model of the study in use; rankings and trainings go by it from the next one on.

    Nothing is recorded where it is in use already. Raises BadInput where the study has no such model or cannot be
    written, its file is missing or not the one that was stored, or a map of one that goes by stored maps is missing.
    """
    model = study.models.get(id)
    file = study.models.path(model.id)
    if not file.is_file() or sha256_of(file) != model.digest:
        fault = "is not the one that was stored" if file.is_file() else "is missing"
        raise BadInput(f"the file of {id}, {file}, {fault}, so it cannot be used.", "Restore the study from a backup.")
    if goes_by_stored_maps(model.id):
        without = [case.name for case in study.cases.all() if not study.maps.has(model.id, case.name, STORED_MAPS)]
        if without:
            raise BadInput(
                f"{id} is known by its maps alone, and those of {', '.join(without)} are missing.",
                "Make them again.",
                Step(Do.PIPELINE_STAGE, str(study.folder), "fine-tuning"),
            )
    in_use = study.models.in_use()
    return model if in_use is not None and in_use.id == model.id else study.models.adopt(model.id)
