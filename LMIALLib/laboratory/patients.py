"""The per-patient heads of a simulation: maps under the answers of each case, slices queried one after the other."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from LMIALLib.adaptation.answers import SliceAnswer
from LMIALLib.adaptation.features import features_of
from LMIALLib.adaptation.found import Found, judged
from LMIALLib.adaptation.head import AdaptedMaps, adapted
from LMIALLib.adaptation.inputs import inputs_of
from LMIALLib.adaptation.order import FINISH_STRATEGIES, finish_scores
from LMIALLib.adaptation.patient import THRESHOLD, Course
from LMIALLib.laboratory.labelling import Labelling
from LMIALLib.laboratory.subjects import Subject
from LMIALLib.queries.pool import CaseMaps
from LMIALLib.queries.ranking import rank
from LMIALLib.queries.scoring import score_case
from LMIALLib.queries.strategy import Strategy

Reply = Callable[[str, int], np.ndarray]
"""What the reader answers of a slice of a case: uint8 (rows, columns) of 0, 1 and 255."""


@dataclass
class Patients:
    """The cases of a pool under one network's maps, each with its head.

    What comes out depends on maps and answers alone, so that a simulation that was stopped goes on alike.

    Args:
        subjects: all cases by name.
        probability: the network's map of each, float32 (slices, rows, columns), of one pass without dropout.
        head: whether a head learns from the answers; else the network's maps stand.
    """

    subjects: Mapping[str, Subject]
    probability: Mapping[str, np.ndarray]
    head: bool
    _courses: dict[str, Course] = field(default_factory=dict)

    def shown(self, labelling: Labelling) -> dict[str, np.ndarray]:
        """The map of every case: under its head where something was answered, else the network's."""
        found = dict(self.probability)
        if self.head:
            for case in sorted({case for case, _ in labelling.order}):
                found[case] = self._learnt(case, labelling.answers_of(case))[0].probability
        return found

    def in_turn(
        self, labelling: Labelling, wanted: int, chosen: Strategy, reply: Reply, seed: int
    ) -> list[tuple[str, int]]:
        """Query so many slices, each answered and learnt before the next, one patient after the other by name.

        Notes in ``labelling.suggested`` what was suggested on each; its labels stay as they are.
        """
        new: list[tuple[str, int]] = []
        for case in sorted(labelling.track.pool):
            answers = labelling.answers_of(case)
            while len(new) < wanted:
                maps, found = self._learnt(case, answers)
                number = self._next(case, labelling.track.pool[case], answers, maps, found, chosen, seed)
                if number is None:
                    break
                labelling.suggested[case, number] = maps.probability[number] >= THRESHOLD
                answers.append(SliceAnswer(number, reply(case, number)))
                new.append((case, number))
        return new

    def _course(self, case: str) -> Course:
        if case not in self._courses:
            inputs = inputs_of(self.subjects[case].pair, self._maps(case, self.probability[case], ()))
            self._courses[case] = Course(features_of(inputs))
        return self._courses[case]

    def _learnt(self, case: str, answers: Sequence[SliceAnswer]) -> tuple[AdaptedMaps, Sequence[Found]]:
        """The maps of a case once its answers are learnt, and what each answer found under the map before it."""
        if self.head:
            learnt = self._course(case).learn(answers)
            return learnt.maps, learnt.found
        features = self._course(case).features
        maps = adapted(features, None)
        return maps, [judged(features, maps, answer.number, answer.target) for answer in answers]

    def _next(
        self,
        case: str,
        pool: np.ndarray,
        answers: Sequence[SliceAnswer],
        maps: AdaptedMaps,
        found: Sequence[Found],
        chosen: Strategy,
        seed: int,
    ) -> int | None:
        """The slice of a case to query next, ranked as in a study; None where all were read."""
        read = [answer.number for answer in answers]
        of_case = self._maps(case, maps.probability, read)
        scored = score_case(replace(of_case, mask=of_case.mask & pool[:, None, None]), chosen)
        if chosen.name in FINISH_STRATEGIES:
            order = finish_scores(self._course(case).features, maps, found, read=read, strategy=chosen.name)
            scored = replace(scored, score=order.score, terms={**scored.terms, **order.terms, "score": order.score})
        queries = rank([scored], chosen, seed=seed, random_share=0.0, spacing_mm=0.0, batch=1, count=1).queries
        return queries[0].slice if queries else None

    def _maps(self, case: str, probability: np.ndarray, read: Sequence[int]) -> CaseMaps:
        pair = self.subjects[case].pair
        return CaseMaps(
            case=case,
            mean=probability,
            mask=pair.mask,
            difference=pair.difference,
            slice_spacing=pair.slice_spacing,
            answered=frozenset(read),
        )
