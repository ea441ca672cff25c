"""A SAM from a local folder of the ``transformers`` library: nothing is fetched, nothing but safetensors is opened."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from LMIALLib.errors import BadInput, WrongUse, first_line
from LMIALLib.pipeline.broken_torchvision import hide_broken_torchvision
from LMIALLib.pipeline.pretrained import LARGEST_IMAGE, configuration, loaded, weights_in
from LMIALLib.pipeline.weight_files import existing_folder, files_digest, json_in, pickles_in

WHAT = "a SAM"
ARCHITECTURES = ("sam", "sam_hq", "sam2", "sam2_video", "sam3_tracker")
"""Types of models that take a picture with points and boxes and return masks with scores."""
IMAGE_SETTINGS = ("processor_config.json", "preprocessor_config.json")


@dataclass(frozen=True)
class PictureSettings:
    """How a picture becomes what the model takes, from the folder's own preprocessing file.

    Args:
        side: of the square that the model sees, pixels.
        keeps_shape: whether the longest edge is brought to ``side`` and the rest filled with 0 (SAM), or both edges
            are (SAM 2 and later).
        mean, spread: of the three channels after they were brought to 0..1.
    """

    side: int
    keeps_shape: bool
    mean: tuple[float, float, float]
    spread: tuple[float, float, float]


@dataclass(frozen=True)
class LoadedSam:
    """A model in evaluation mode, how pictures are prepared for it, what it is, and the digest of its weights."""

    model: Any
    picture: PictureSettings
    architecture: str
    digest: str


def load_sam(folder: Path) -> LoadedSam:
    """Load a model of the SAM family from a local folder, on the CPU in float32.

    Raises BadInput when the folder is missing, incomplete, of another architecture, damaged, or holds its weights as
    a pickle; WrongUse when ``transformers`` is not installed.
    """
    folder = existing_folder(folder, WHAT)
    architecture = json_in(folder / "config.json", "it describes the model").get("model_type")
    if architecture not in ARCHITECTURES:
        raise BadInput(
            f"{folder} holds a model of the type {architecture!r}, which is no SAM.",
            f"Types that can be used: {', '.join(ARCHITECTURES)}.",
        )
    files = _weights(folder)
    picture = _picture_settings(folder)
    model = _loaded(folder, architecture, files)
    wanted = _side_of(model.config)
    if picture.side != wanted:
        raise BadInput(
            f"{folder} does not fit together: its pictures are prepared with {picture.side} pixels a side, its model "
            f"takes {wanted}."
        )
    return LoadedSam(model, picture, architecture, files_digest([*files, folder / "config.json"]))


def _weights(folder: Path) -> list[Path]:
    """The safetensors files of a folder. A pickle beside them is left alone; instead of them it is refused."""
    from LMIALLib.network.weights import check_container

    names = weights_in(folder)
    missing = [name for name in names if not (folder / name).is_file()]
    pickles = pickles_in(folder)
    if missing and pickles:
        raise BadInput(
            f"{folder} holds its weights as a pickle ({pickles[0]}), which LMIAL never opens, because it can run code.",
            "Convert it to safetensors, or take a folder with model.safetensors.",
        )
    if missing:
        raise BadInput(f"The folder {folder} is incomplete: {missing[0]} is missing (the weights).")
    for name in names:
        try:
            check_container(folder / name)
        except BadInput as problem:
            raise BadInput(problem.sentence, "Copy the folder again.") from problem
    return [folder / name for name in names]


def _loaded(folder: Path, architecture: str, files: list[Path]) -> Any:
    """The model, every tensor of it from the folder. Raises as ``load_sam`` does."""
    hide_broken_torchvision()
    try:
        from transformers import CONFIG_MAPPING, MODEL_FOR_MASK_GENERATION_MAPPING
        from transformers.utils import logging
    except ImportError as error:
        raise WrongUse(
            "A SAM as a teacher needs transformers, which is not installed.", "pip install 'lmial[teachers]'"
        ) from error
    described = json_in(folder / "config.json", "it describes the model")
    bars, level = logging.is_progress_bar_enabled(), logging.get_verbosity()
    logging.disable_progress_bar()
    logging.set_verbosity_error()
    try:
        config_class = CONFIG_MAPPING[architecture]
        config = configuration(config_class, described, folder / "config.json")
        model, found = loaded(MODEL_FOR_MASK_GENERATION_MAPPING[config_class], config, files)
    except BadInput as problem:
        raise BadInput(f"The model in {folder} cannot be loaded: {problem.sentence}") from problem
    except Exception as error:  # the library has no error of its own for a folder that does not fit together
        raise BadInput(
            f"The model in {folder} cannot be loaded: its config.json and its weights do not fit ({first_line(error)})."
        ) from error
    finally:
        logging.set_verbosity(level)
        if bars:
            logging.enable_progress_bar()
    missing = sorted(found["missing_keys"])
    if missing:
        raise BadInput(
            f"The weights in {folder} are incomplete: {len(missing)} tensors are missing, the first is {missing[0]}."
        )
    return model


def _side_of(config: Any) -> int:
    """Pixels of a side of the square that a model takes, as its prompt encoder counts them."""
    size = config.prompt_encoder_config.image_size
    return int(size if isinstance(size, int) else size[0])


def _picture_settings(folder: Path) -> PictureSettings:
    """Read the preprocessing file of a folder, in either of the forms that ``transformers`` writes."""
    file = next((folder / name for name in IMAGE_SETTINGS if (folder / name).is_file()), folder / IMAGE_SETTINGS[1])
    found = json_in(file, "it says how pictures are prepared")
    found = found.get("image_processor", found)
    try:
        if not isinstance(found, dict):
            raise TypeError("the picture settings are no object")
        size = found["size"]
        keeps_shape = "longest_edge" in size
        side = int(size["longest_edge"]) if keeps_shape else int(size["height"])
        if not keeps_shape and int(size["width"]) != side:
            raise ValueError(f"{json.dumps(size)[:80]} is no square")
        mean, spread = (tuple(float(v) for v in found[name]) for name in ("image_mean", "image_std"))
        if len(mean) != 3 or len(spread) != 3 or min(spread) <= 0 or not 1 <= side <= LARGEST_IMAGE:
            raise ValueError("expected three means, three positive spreads and a positive size")
    except (KeyError, TypeError, ValueError, OverflowError) as problem:
        raise BadInput(f"{file} does not say how pictures are prepared: {first_line(problem)}.") from problem
    return PictureSettings(side, keeps_shape, mean, spread)  # type: ignore[arg-type]  # three each, as checked
