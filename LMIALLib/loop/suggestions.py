"""What is suggested to a reader: the maps that belong to the slice under their hand, and what may be shown of them."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from LMIALLib.loop.presented import Presented
from LMIALLib.study.store import Study


@dataclass(frozen=True)
class SuggestedMaps:
    """The maps of a case, the very ones that were ranked.

    Args:
        ranking, model, strategy: which ranking, whose maps (a model's or a teacher's), the measure of the uncertainty.
        probability, uncertainty: float32 (k, j, i) on the pair's grid.
    """

    ranking: int
    model: str
    strategy: str
    probability: np.ndarray
    uncertainty: np.ndarray


class Suggestions:
    """The suggestions of one study; those of the slice at hand stay in memory.

    Args:
        study: an open study.
    """

    def __init__(self, study: Study) -> None:
        self._study = study
        self._maps: SuggestedMaps | None = None
        self._key: tuple[str, int, int] | None = None

    def withheld(self, case: str) -> frozenset[int]:
        """Slices of a case whose maps no face shows: chosen at random and not answered, so that nobody is led, or
        without anything to show, because whoever makes the suggestions made none there."""
        stored = self._study.rankings.latest()
        if stored is None:
            return frozenset()
        random = {q["slice"] for q in stored.ranking["queries"] if q["case"] == case and q["drawn"] == "random"}
        return (frozenset(random) - self._study.answers.current(case).keys()) | stored.without_suggestion(case)

    def maps(self, here: Presented) -> SuggestedMaps | None:
        """The maps that belong to a presented slice, of its whole case; None where there are none.

        A face leaves out what ``withheld`` names. They stay the same until another slice is presented.
        """
        if here.ranking is None:
            return None
        key = here.case, self._study.cases.get(here.case).pair_number, here.ranking.number
        if key != self._key:
            stored, ranking = self._study.maps, here.ranking
            mean, uncertainty = stored.probability(ranking, here.case), stored.doubt(ranking, here.case)
            if mean is None or uncertainty is None:
                return None
            self._maps = SuggestedMaps(ranking.number, ranking.suggested_by, ranking.strategy, mean, uncertainty)
            self._key = key
        return self._maps

    def network_maps(self, here: Presented) -> SuggestedMaps | None:
        """As ``maps``, of the network alone, without what the head learnt of this patient."""
        shown = self.maps(here)
        if here.ranking is None or shown is None or not here.ranking.finishes:
            return shown
        mean = self._study.maps.read(here.ranking.suggested_by, here.case, "mean")
        if mean is None:
            return None
        doubt = np.minimum(mean, np.float32(1.0) - mean)
        return replace(shown, model=here.ranking.suggested_by, probability=mean, uncertainty=doubt)

    def newest(self, case: str, here: Presented | None) -> np.ndarray | None:
        """Probability of change, float32 (k, j, i), that the newest ranking saw, or None; withholds nothing.

        What was answered of a lesion as a whole counts at once. ``here``: the slice at hand, whose maps are in memory.
        """
        stored = self._study.rankings.latest()
        if here and here.ranking and stored and (here.case, here.ranking.number) == (case, stored.number):
            maps = self.maps(here)
            found = maps.probability if maps else None
        else:
            found = self._study.maps.suggested(case)
        return None if found is None else self._study.lesion_answers.laid_over(case, found)

    def of_slice(self, here: Presented, number: int | None = None) -> np.ndarray | None:
        """The suggestion (rows, columns) bool for a presented slice, or another one of its case, whether or not it may
        be shown; lesions that were answered as a whole as they were answered."""
        number = here.slice if number is None else number
        mapped = self._mapped(here, number)
        return None if mapped is None else self._study.lesion_answers.on_slice(here.case, number, mapped)

    def predicted(self, here: Presented) -> np.ndarray | None:
        """What the model itself predicted for a slice (rows, columns) bool, also where a teacher suggested."""
        if here.suggested_by == here.model:
            return self._mapped(here, here.slice)
        mean = self._study.maps.read(str(here.model), here.case, "mean")
        return None if mean is None else self._plane(mean, here.case, here.slice) >= 0.5

    def _mapped(self, here: Presented, number: int) -> np.ndarray | None:
        maps = self.maps(here)
        return None if maps is None else self._plane(maps.probability, here.case, number) >= 0.5

    def _plane(self, volume: np.ndarray, case: str, number: int) -> np.ndarray:
        plane: np.ndarray = np.moveaxis(volume, self._study.cases.get(case).axis, 0)[number]
        return plane
