"""What an ONNX segmenter takes and gives, stated in a JSON file, since the model itself does not state it.

    {
      "channels": ["baseline", "follow_up", "difference"],
      "size": [256, 256],
      "scaling": "unit",
      "output": "logit",
      "channel_of_change": 1
    }

``size`` is rows and columns that every slice is resampled to, or ``{"multiple_of": 32}``: then it keeps its pixels and
is filled with 0 below and to the right. ``mean`` and ``spread``, one number a channel, are optional.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from LMIALLib.errors import BadInput
from LMIALLib.pairs.pair import Pair
from LMIALLib.pipeline.weight_files import json_in

CHANNELS = ("baseline", "follow_up", "difference")
SCALINGS = ("robust", "unit")
OUTPUTS = ("logit", "probability")
KEYS = {"channels", "size", "scaling", "mean", "spread", "output", "channel_of_change"}
WINDOW = (0.5, 99.5)
"""Percentiles of the brain of both visits that scaling "unit" brings to 0 and 1."""
LARGEST_INTENSITY = 8.0
LARGEST_SIDE = 8192


@dataclass(frozen=True)
class OnnxInput:
    """What an ONNX segmenter makes of a slice: float32 (1, channels, rows, columns) to (1, classes, rows, columns).

    Args:
        channels: which of ``CHANNELS``, in the model's order.
        size: rows and columns that slices are resampled to (bilinear), or None.
        multiple_of: where there is no size, both sides are filled up to a multiple of it.
        scaling: "robust": brain median 0 and robust spread 1 as in `Pair`, clipped to +-8; "unit": the 0.5th and 99.5th
            percentile of the brain of both visits become 0 and 1, clipped. Both are 0 outside the brain. The difference
            is that of the scaled visits.
        mean, spread: for each channel, subtracted from the scaled values and divided by; 0 and 1 where not stated.
        output: "logit" (sigmoid of one channel, softmax over several) or "probability".
        channel_of_change: of the output, 0-based.
    """

    channels: tuple[str, ...]
    size: tuple[int, int] | None
    multiple_of: int
    scaling: str
    mean: tuple[float, ...]
    spread: tuple[float, ...]
    output: str
    channel_of_change: int

    @classmethod
    def from_file(cls, file: Path) -> OnnxInput:
        """Read a statement. Raises BadInput naming the field that is missing, unknown or out of range."""
        found = json_in(file, "it states the input of an ONNX segmenter")
        unknown = sorted(set(found) - KEYS)
        if unknown:
            raise BadInput(f"{file}: {unknown[0]!r} is unknown.", f"Fields are {', '.join(sorted(KEYS))}.")
        for name in sorted(KEYS - {"mean", "spread", "channel_of_change"} - set(found)):
            raise BadInput(f"{file}: {name!r} is missing; what goes into the model has to be stated.")
        channels = found["channels"]
        if not (isinstance(channels, list) and channels and all(name in CHANNELS for name in channels)):
            raise BadInput(f"{file}: channels is {channels!r}; expected a list of {', '.join(CHANNELS)}.")
        size, multiple = _size(file, found["size"])
        mean, spread = (_numbers(file, name, found.get(name), len(channels)) for name in ("mean", "spread"))
        if min(spread) <= 0:
            raise BadInput(f"{file}: spread is {found['spread']!r}; expected positive numbers.")
        change = found.get("channel_of_change", 0)
        if not isinstance(change, int) or isinstance(change, bool) or change < 0:
            raise BadInput(f"{file}: channel_of_change is {change!r}; expected 0, 1, ...")
        return cls(
            tuple(channels),
            size,
            multiple,
            _one_of(file, "scaling", found["scaling"], SCALINGS),
            mean,
            spread,
            _one_of(file, "output", found["output"], OUTPUTS),
            change,
        )

    def frame(self, shape: tuple[int, int]) -> tuple[int, int]:
        """Rows and columns that the model is fed for a slice of this shape."""
        if self.size is not None:
            return self.size
        rows, columns = (-(-side // self.multiple_of) * self.multiple_of for side in shape)
        return rows, columns

    def scaled_channels(self, pair: Pair) -> list[np.ndarray]:
        """The channels of a whole pair, each float32 (slices, rows, columns), 0 outside the brain."""
        mask = pair.stack(pair.mask)
        low, width = 0.0, 1.0
        if self.scaling == "unit" and mask.any():
            both = np.concatenate([volume[pair.mask] for volume in (pair.baseline, pair.follow_up)])
            low, high = (float(value) for value in np.percentile(both, WINDOW))
            width = max(high - low, 1e-6)
        lowest, highest = (0.0, 1.0) if self.scaling == "unit" else (-LARGEST_INTENSITY, LARGEST_INTENSITY)

        def scaled(volume: np.ndarray) -> np.ndarray:
            return (np.clip((pair.stack(volume) - low) / width, lowest, highest) * mask).astype(np.float32)

        before, after = scaled(pair.baseline), scaled(pair.follow_up)
        made = {"baseline": before, "follow_up": after, "difference": after - before}
        return [made[name] for name in self.channels]


def _size(file: Path, found: Any) -> tuple[tuple[int, int] | None, int]:
    if isinstance(found, dict) and list(found) == ["multiple_of"] and _is_side(found["multiple_of"]):
        return None, found["multiple_of"]
    if isinstance(found, list) and len(found) == 2 and all(_is_side(side) for side in found):
        return (found[0], found[1]), 1
    raise BadInput(f'{file}: size is {found!r}; expected [rows, columns] or {{"multiple_of": 32}}.')


def _is_side(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= LARGEST_SIDE


def _numbers(file: Path, name: str, found: Any, count: int) -> tuple[float, ...]:
    if found is None:
        return (0.0 if name == "mean" else 1.0,) * count
    if not (isinstance(found, list) and len(found) == count and all(type(v) in (int, float) for v in found)):
        raise BadInput(f"{file}: {name} is {found!r}; expected one number for each of {count} channels.")
    return tuple(float(value) for value in found)


def _one_of(file: Path, name: str, found: Any, known: tuple[str, ...]) -> str:
    if found not in known:
        raise BadInput(f"{file}: {name} is {found!r}; expected {' or '.join(known)}.")
    return str(found)
