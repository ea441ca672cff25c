"""The label schema of a study: which value in a mask means which kind of change."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np

from LMIALLib.errors import BadInput
from LMIALLib.json_data import Limits, parse_json
from LMIALLib.pairs.unread import UNREAD

_Share = Annotated[float, Limits(least=0, most=1)]


@dataclass(frozen=True)
class LabelClass:
    """One kind of change: its value in masks, its name, and its colour (red, green, blue in [0, 1])."""

    value: Annotated[int, Limits(least=1, most=UNREAD - 1)]
    name: Annotated[str, Limits(longest=60, pattern=r"\w[^\x00-\x1f\x7f]*")]
    colour: tuple[_Share, _Share, _Share]


@dataclass(frozen=True)
class LabelSchema:
    """The classes that a reader can give, by ascending value. 0 is "read, no change"; 255 is never a class."""

    classes: tuple[LabelClass, ...]

    @classmethod
    def default(cls) -> LabelSchema:
        """Change (kind not stated), new, enlarged, shrunk and vanished."""
        return cls(
            (
                LabelClass(1, "change", (0.90, 0.62, 0.00)),
                LabelClass(2, "new", (0.84, 0.15, 0.16)),
                LabelClass(3, "enlarged", (0.80, 0.47, 0.65)),
                LabelClass(4, "shrunk", (0.00, 0.45, 0.70)),
                LabelClass(5, "vanished", (0.34, 0.71, 0.91)),
            )
        )

    @classmethod
    def from_json(cls, text: str, where: str) -> LabelSchema:
        """The inverse of ``to_dict`` as JSON. Raises BadInput, naming ``where``, for what makes no schema."""
        schema = parse_json(text, cls, where)
        values = [one.value for one in schema.classes]
        names = [one.name for one in schema.classes]
        if not values or len({*values}) < len(values) or len({*names}) < len(names):
            raise BadInput(f"{where}: its classes have values or names that occur twice, or there are none.")
        if not all(name.isprintable() and name.strip() for name in names):
            raise BadInput(f"{where}: the name of a class is empty or has characters that cannot be printed.")
        return schema

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {"classes": [{"value": c.value, "name": c.name, "colour": list(c.colour)} for c in self.classes]}

    @property
    def values(self) -> tuple[int, ...]:
        """The values that mean a change, ascending."""
        return tuple(sorted(c.value for c in self.classes))

    def name_of(self, value: int) -> str:
        """Name of the class with this value. Raises BadInput for a value that is not in the schema."""
        for one in self.classes:
            if one.value == value:
                return one.name
        raise BadInput(f"the label schema has no value {value}; it has {self.described()}.")

    def described(self) -> str:
        """The values and names as one phrase, for sentences to people."""
        return ", ".join(f"{c.value} = {c.name}" for c in self.classes)

    def covering(self, wanted: Iterable[int | str] | None) -> tuple[int, ...]:
        """The values among ``wanted`` (values or names; None means all), ascending. BadInput for unknown or none."""
        if wanted is None:
            return self.values
        by_name = {c.name: c.value for c in self.classes}
        chosen = {by_name.get(w, w) if isinstance(w, str) else w for w in wanted}
        unknown = sorted(str(c) for c in chosen if c not in self.values)
        if unknown or not chosen:
            found = ", ".join(unknown) or "none"
            raise BadInput(f"covered classes: {found} given; expected some of {self.described()}.")
        return tuple(sorted(int(c) for c in chosen))

    def admits(self, mask: np.ndarray) -> bool:
        """Whether a uint8 mask holds 0 and values of this schema only."""
        return not mask.tobytes().translate(None, delete=bytes([0, *self.values]))

    def checked_mask(self, mask: np.ndarray, shape: tuple[int, int], where: str) -> np.ndarray:
        """A mask (rows, columns) as contiguous uint8 with values of this schema; True means 1, "change".

        Raises BadInput for another shape, a type that is not whole numbers, or a value outside the schema.
        """
        mask = np.asarray(mask)
        if mask.shape != tuple(shape):
            raise BadInput(f"the mask for {where} has shape {mask.shape}; the slice has shape {tuple(shape)}.")
        if mask.dtype != bool and not np.issubdtype(mask.dtype, np.integer):
            raise BadInput(f"the mask for {where} holds {mask.dtype} values; expected {self.described()}.")
        found = set(np.unique(mask).tolist()) - {0, *self.values}
        if mask.dtype != bool and found:
            listed = ", ".join(str(v) for v in sorted(found)[:5])
            raise BadInput(f"the mask for {where} holds {listed}; expected 0 or {self.described()}.")
        return np.ascontiguousarray(mask, dtype=np.uint8)
