"""The settings of a run of the pipeline, stored in the study, so that going on uses the same."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any, Self

from LMIALLib.errors import BadInput, WrongUse
from LMIALLib.json_data import shaped
from LMIALLib.pipeline.nnunet.settings import FINETUNING_RATE, NnunetSettings


@dataclass(frozen=True)
class PipelineSettings:
    """Of all stages.

    Args:
        teacher: who labels first, in the words of the command line.
        budget: of slices that a person reads, as "5%" or a count.
        embedding, distance: how the core-set compares slices.
        opinions_above: fine-tune also on pseudo-labels of unread slices from this confidence on; None: only on answers.
        seed: of everything that is drawn.
        nnunet: how nnU-Net plans and trains; its seed is the one above.
    """

    teacher: str = "default"
    budget: str = "5%"
    embedding: str = "bundled"
    distance: str = "cosine"
    opinions_above: float | None = None
    seed: int = 0
    nnunet: NnunetSettings = field(default_factory=NnunetSettings)

    def __post_init__(self) -> None:
        if self.opinions_above is not None and not 0 <= self.opinions_above <= 1:
            raise WrongUse(f"a confidence lies between 0 and 1; {self.opinions_above} does not.")

    @property
    def pretraining(self) -> NnunetSettings:
        """Of stage 2."""
        return replace(self.nnunet, seed=self.seed)

    @property
    def finetuning(self) -> NnunetSettings:
        """Of stage 5."""
        return replace(self.nnunet, seed=self.seed, learning_rate=FINETUNING_RATE)

    def changed(self, given: Mapping[str, Any]) -> Self:
        """The same with other values, of its own fields or of those of ``nnunet``; None stands for "as it was"."""
        chosen = {name: value for name, value in given.items() if value is not None}
        inner = {one.name for one in fields(NnunetSettings)} - {"seed"}
        nnunet = replace(self.nnunet, **{name: value for name, value in chosen.items() if name in inner})
        return replace(self, nnunet=nnunet, **{name: value for name, value in chosen.items() if name not in inner})

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any], where: str) -> Self:
        """The inverse of ``to_dict``. Raises BadInput naming ``where`` and the field that is not as it should be."""
        try:
            return shaped(dict(values), cls, where)
        except WrongUse as error:
            raise BadInput(f"{where}: {error.sentence}") from error
