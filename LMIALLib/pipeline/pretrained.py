"""A model of ``transformers`` from the files of a folder that somebody else made, so that nothing in it can run.

The library would look at much of such a folder: adapters that name another folder, an index that names files elsewhere,
checkpoints of other formats, kernels and code that a configuration names. So it never sees the folder. LMIAL reads
config.json and the safetensors files, makes the configuration anew of the fields that its class knows, and hands
tensors over.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from LMIALLib.errors import BadInput
from LMIALLib.pipeline.weight_files import json_in

ONE_FILE, INDEX = "model.safetensors", "model.safetensors.index.json"
LARGEST = 65_536
"""Of a whole number in a configuration; those of published models stay below 20,000."""
LARGEST_IMAGE = 2048
"""Pixels along a side that a model sees."""
MOST_REPEATED = 256
"""Layers or blocks of one kind."""
LONGEST_WORD, LONGEST_LIST = 60, 1024
SPARE = 1_000_000
"""Numbers by which a model may be larger than its files say; beyond, the two do not belong together."""


def weights_in(folder: Path) -> list[str]:
    """Names of the safetensors files that hold the weights of a folder: one, or those of its index, which may lie
    beside it only. Raises BadInput for an index that says something else. Whether they are there is not looked at."""
    if (folder / ONE_FILE).is_file() or not (folder / INDEX).is_file():
        return [ONE_FILE]
    index = json_in(folder / INDEX, "it says where each tensor lies").get("weight_map")
    index = index if isinstance(index, dict) else {}
    named = sorted({name for name in index.values() if isinstance(name, str)})
    plain = all(Path(name).name == name and "\\" not in name and name.endswith(".safetensors") for name in named)
    if not named or not plain or not all(isinstance(name, str) for name in index.values()):
        raise BadInput(f"{folder / INDEX} cannot be used: it does not say in which files beside it tensors lie.")
    return named


def configuration(config_class: Any, found: dict[str, Any], where: Path) -> Any:
    """A configuration of a class, made anew of what config.json says in the fields that the class has.

    Raises BadInput for values out of their range, and for parts of another kind than the class has by itself.
    """
    return config_class.from_dict(_kept(found, config_class(), where))


def loaded(model_class: Any, config: Any, files: Iterable[Path]) -> tuple[Any, dict[str, Any]]:
    """A model in evaluation mode, float32 on the CPU, with the tensors of some safetensors files; and what is missing
    or does not fit, as the library reports it. Raises BadInput where the model is larger than the files, and whatever
    the library raises."""
    import torch
    from safetensors.torch import load_file

    tensors: dict[str, torch.Tensor] = {}
    for file in files:
        tensors |= load_file(file, device="cpu")
    with torch.device("meta"):
        wanted = sum(value.numel() for value in model_class(config).state_dict().values())
    if wanted > 2 * sum(value.numel() for value in tensors.values()) + SPARE:
        raise BadInput("config.json describes a larger model than the weights are of.")
    model, loading = model_class.from_pretrained(
        None,
        config=config,
        state_dict=tensors,
        output_loading_info=True,
        dtype="float32",
        attn_implementation="eager",  # config.json may name another, also one that is fetched and run
    )
    return model.eval(), loading


def _kept(found: dict[str, Any], default: Any, where: Path) -> dict[str, Any]:
    """The fields of ``found`` that a configuration like ``default`` has, checked."""
    import transformers

    plain = transformers.PretrainedConfig()
    names = {*default.to_dict(), *vars(default), *getattr(default, "attribute_map", {})}
    names -= {*plain.to_dict(), *vars(plain)}
    kept: dict[str, Any] = {}
    for name in sorted(name for name in names if name in found and not name.startswith("_")):
        value, part = found[name], getattr(default, name, None)
        if isinstance(part, transformers.PretrainedConfig):
            if not isinstance(value, dict) or value.get("model_type", "") not in ("", part.model_type):
                raise BadInput(f"{where}: {name} is not of the kind {part.model_type!r}.")
            kept[name] = {**_kept(value, part, where), "model_type": part.model_type}
        elif isinstance(value, dict):
            kept[name] = {str(key): _value(one, name, where) for key, one in list(value.items())[:LONGEST_LIST]}
        else:
            kept[name] = _value(value, name, where)
    return kept


def _value(value: Any, name: str, where: Path, depth: int = 0) -> Any:
    """A plain value within the range of its field."""
    most = LARGEST_IMAGE if name.endswith("image_size") else LARGEST
    if any(word in name for word in ("layers", "blocks", "depth", "stages")):
        most = MOST_REPEATED
    if isinstance(value, list) and depth < 3 and len(value) <= LONGEST_LIST:
        return [_value(one, name, where, depth + 1) for one in value]
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int) and abs(value) <= most:
        return value
    if isinstance(value, float) and math.isfinite(value) and abs(value) <= LARGEST:
        return value
    if isinstance(value, str) and len(value) <= LONGEST_WORD:
        return value
    raise BadInput(f"{where}: {name} is {ascii(value)[:40]}, which no model has there.")
