"""Loading a model of ``transformers`` from a folder on this machine: nothing is fetched, no pickle is opened."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from LMIALLib.errors import BadInput, WrongUse, first_line
from LMIALLib.json_data import read_json
from LMIALLib.pipeline.broken_torchvision import hide_broken_torchvision
from LMIALLib.pipeline.pretrained import configuration, loaded, weights_in
from LMIALLib.pipeline.weight_files import json_in, pickles_in


def quiet_transformers() -> Any:
    """The package ``transformers``, without its bars and remarks. Raises WrongUse where it is not installed."""
    hide_broken_torchvision()
    try:
        import transformers
    except ImportError as error:
        raise WrongUse("This needs transformers.", "Install it: pip install 'lmial[teachers]'") from error
    transformers.utils.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    return transformers


def weights_files(folder: Path, model_type: str, what: str) -> list[Path]:
    """The safetensors files of a local folder, once it is known to hold such a model.

    Args:
        folder: as ``save_pretrained`` writes it: config.json and model.safetensors, or several with an index.
        model_type: as config.json names the architecture.
        what: the word for a person.

    Raises BadInput for a folder that is missing, incomplete, of another architecture, or holds nothing but pickles.
    """
    if not folder.is_dir():
        raise BadInput(f"the folder {folder} of {what} does not exist.", "Give the folder that holds config.json.")
    config = folder / "config.json"
    if not config.is_file():
        raise BadInput(f"the folder {folder} holds no config.json, so it is no {what}.")
    try:
        found = read_json(config, _Named).model_type
    except BadInput as error:
        raise BadInput(f"{config} cannot be read: it names no architecture.") from error
    if found != model_type:
        raise BadInput(f"{config} describes a model of the kind {found[:60]!r}; expected {model_type!r}.")
    names = weights_in(folder)
    if all((folder / name).is_file() for name in names):
        return [folder / name for name in names]
    if pickles := pickles_in(folder):
        raise BadInput(
            f"the folder {folder} holds its weights only as a pickle ({pickles[0]}), which can run code when loaded.",
            "Take the same model in the safetensors format.",
        )
    raise BadInput(f"the folder {folder} holds no weights (*.safetensors).")


def load_local(model_class: Any, folder: Path, model_type: str, what: str, **config: Any) -> Any:
    """A model in evaluation mode. ``config``: settings that replace those of config.json.

    Raises BadInput as `weights_files` does, and for weights that are damaged, incomplete or of another shape.
    """
    files = weights_files(folder, model_type, what)
    try:
        described = {**json_in(folder / "config.json", "it describes the model"), **config}
        made = configuration(model_class.config_class, described, folder / "config.json")
        model, loading = loaded(model_class, made, files)
    except Exception as error:  # each library below has its own; all mean that these files are not the model
        raise BadInput(f"the weights in {folder} cannot be loaded as {what} ({first_line(error)}).") from error
    wrong = [*loading["missing_keys"], *loading.get("mismatched_keys", ())]
    if wrong:
        first = sorted(str(key) for key in wrong)[0]
        raise BadInput(f"the weights in {folder} are incomplete: {len(wrong)} parts are missing, first {first}.")
    return model


@dataclass(frozen=True)
class _Named:
    model_type: str
