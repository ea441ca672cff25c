"""How a model comes out of labelled slices, and its predictions; the only part of the laboratory near torch."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from LMIALLib.errors import BadInput
from LMIALLib.laboratory.settings import SimulationSettings
from LMIALLib.laboratory.subjects import Subject
from LMIALLib.queries.pool import CaseMaps
from LMIALLib.resources import resource

if TYPE_CHECKING:
    from LMIALLib.laboratory.simulation_training import Labels, Slices
    from LMIALLib.network.architecture import ChangeNetwork

COMMITTEE = 3
"""Members of a committee: the models of the last rounds."""
PASSES = 10
"""Stochastic passes of strategies that need them (T of the published comparisons)."""
SLICES_AT_ONCE = 16


def start_weights(start: str) -> Path | None:
    """The weights file that a word means; None for a start from scratch. Raises BadInput where there is none."""
    if start == "scratch":
        return None
    path = resource("Weights", "change.safetensors") if start == "bundled" else Path(start)
    if not path.is_file():
        raise BadInput(f"{path}: there is no such weights file.", "Use --start scratch, bundled or a weights file.")
    return path


@dataclass
class Learner:
    """Trains models of one simulation.

    Args:
        settings: of the simulation.
        subjects: all cases by name.
    """

    settings: SimulationSettings
    subjects: Mapping[str, Subject]

    def __post_init__(self) -> None:
        self._slices: dict[tuple[str, ...], Slices] = {}

    def start(self, seed: int) -> ChangeNetwork:
        """The model before anything was labelled; from scratch it depends on the seed alone."""
        from LMIALLib.laboratory.simulation_training import new_network
        from LMIALLib.network.weights import load_weights

        path = start_weights(self.settings.start)
        if path is None:
            return new_network(seed, self.settings.widths, [s.pair for s in self.subjects.values()])
        network, info = load_weights(path)
        if info.digest != self.settings.start_digest:
            raise BadInput(f"{path}: these are other weights than those that the simulation began with.")
        return network

    def trained(
        self, begin: ChangeNetwork, labels: Labels, cases: Collection[str], seed: Sequence[int], *, known: bool
    ) -> ChangeNetwork:
        """The model that comes out of what was read.

        Args:
            begin: to train from.
            labels: everything that was read.
            cases: cases of the pool.
            seed: of the run and the round.
            known: whether ``begin`` has learned something.
        """
        from LMIALLib.laboratory.simulation_training import LabRecipe, train

        if self.settings.recipe == "product":
            return self._as_product(begin, labels, cases, seed)
        recipe = LabRecipe(steps=self.settings.steps, threads=self.settings.threads)
        return train(begin, self._slices_of(begin, cases, recipe.crop), labels, recipe, seed, known=known)

    def _slices_of(self, network: ChangeNetwork, cases: Collection[str], least: int) -> Slices:
        from LMIALLib.laboratory.simulation_training import Slices

        key = tuple(sorted(cases))
        if key not in self._slices:
            pairs = {name: self.subjects[name].pair for name in key}
            self._slices[key] = Slices(pairs, network.architecture, least)
        return self._slices[key]

    def _as_product(
        self, begin: ChangeNetwork, labels: Labels, cases: Collection[str], seed: Sequence[int]
    ) -> ChangeNetwork:
        import tempfile

        from LMIALLib.laboratory.simulation_training import train_as_product
        from LMIALLib.network.weights import save_weights

        pairs = {name: self.subjects[name].pair for name in cases}
        with tempfile.TemporaryDirectory(prefix="lmial-") as folder:
            path = Path(folder) / "start.safetensors"
            save_weights(begin, path, {}, dtype="float32")
            drawn = int(np.random.default_rng(list(seed)).integers(2**31))
            settings = self.settings
            return train_as_product(path, pairs, labels, steps=settings.steps, seed=drawn, threads=settings.threads)

    def probabilities(self, network: ChangeNetwork, cases: Collection[str]) -> dict[str, np.ndarray]:
        """Probability of change of every voxel of some cases, one pass without dropout, float32 (n, r, c)."""
        from LMIALLib.network.prediction import predict

        threads = self.settings.threads
        return {
            name: predict(network, self.subjects[name].pair, batch=SLICES_AT_ONCE, threads=threads).mean
            for name in sorted(cases)
        }

    def plain_maps(
        self, probability: Mapping[str, np.ndarray], answers: Mapping[str, Mapping[int, np.ndarray]]
    ) -> dict[str, CaseMaps]:
        """What a strategy sees that needs nothing but the probabilities; ``answers`` as for `maps`."""
        return {
            name: CaseMaps(
                case=name,
                mean=probability[name],
                mask=self.subjects[name].pair.mask,
                difference=self.subjects[name].pair.difference,
                slice_spacing=self.subjects[name].pair.slice_spacing,
                answered=frozenset(answers[name]),
            )
            for name in sorted(answers)
        }

    def maps(
        self,
        networks: Sequence[ChangeNetwork],
        needs: Collection[str],
        answers: Mapping[str, Mapping[int, np.ndarray]],
        seed: int,
    ) -> dict[str, CaseMaps]:
        """What a strategy sees of the cases of the pool.

        Args:
            networks: the model in use, then the other members of a committee.
            needs: of the strategy.
            answers: case name to what was read of its slices; all cases of the pool.
            seed: of dropout and whatever else is drawn.
        """
        from LMIALLib.network.evidence import case_evidence
        from LMIALLib.network.predicted import CaseInput

        cases = [CaseInput(name, self.subjects[name].pair, answers[name]) for name in sorted(answers)]
        seen = case_evidence(
            networks, cases, needs, passes=PASSES, seed=seed, batch=SLICES_AT_ONCE, threads=self.settings.threads
        )
        return {maps.case: maps for maps, _ in seen}
