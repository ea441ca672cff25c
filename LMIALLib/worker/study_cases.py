"""The cases of a ranking as the network room takes them, each loaded from the study when it is its turn."""

from __future__ import annotations

from collections.abc import Sequence
from typing import overload

import numpy as np

from LMIALLib.network.predicted import CaseInput
from LMIALLib.study.labels import UNREAD
from LMIALLib.study.store import Study
from LMIALLib.study.targets import training_examples
from LMIALLib.worker.requests import Rank, RankCase


class StudyCases(Sequence[CaseInput]):
    """Cases of a ranking; only the last one that was read is in memory.

    Args:
        study: an open study.
        request: what is to be ranked.
        with_targets: whether to bring what was answered. Cases set aside for validation never bring it, since nothing
            may be learned from them; without, answered slices are ignored all over.
    """

    def __init__(self, study: Study, request: Rank, *, with_targets: bool) -> None:
        self.study, self.wanted = study, request.cases
        read = training_examples(study, upto=request.annotations_upto) if with_targets else ()
        self._targets = {(one.case, one.slice): one.target for one in read}
        self._last: tuple[int, CaseInput] | None = None

    def __len__(self) -> int:
        return len(self.wanted)

    @overload
    def __getitem__(self, position: int) -> CaseInput: ...

    @overload
    def __getitem__(self, position: slice) -> Sequence[CaseInput]: ...

    def __getitem__(self, position: int | slice) -> CaseInput | Sequence[CaseInput]:
        if isinstance(position, slice):
            return [self[k] for k in range(*position.indices(len(self)))]
        if self._last is None or self._last[0] != position:
            self._last = None  # the pair before goes first
            self._last = (position, self._loaded(self.wanted[position]))
        return self._last[1]

    def _loaded(self, wanted: RankCase) -> CaseInput:
        name = wanted.name
        pair = self.study.cases.load_pair(name, wanted.pair)
        unknown = np.broadcast_to(np.uint8(UNREAD), pair.slice_shape)
        answers = {number: self._targets.get((name, number), unknown) for number in wanted.answered}
        return CaseInput(name, pair, answers, frozenset(wanted.skipped))
