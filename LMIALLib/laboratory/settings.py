"""What shapes a simulation; written to ``config.json`` and, but for how it is computed, part of every job's key."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from LMIALLib.errors import WrongUse

FULL = "full"
"""Name of the fully annotated reference among the strategies of a table."""
PLANNED = ("default", "foreground-random-prediction")
"""The comparison named beforehand: ``config.json`` holds it before the first job runs."""
TRAININGS = ("fresh", "warm")
READERS = ("exact", "noisy")
RECIPES = ("plain", "product")
JUDGED = ("test", "validation")
LEARNINGS = ("none", "head", "finetune", "both")
SHARE = 0.02
"""Share of the pool that is queried in a round, where no number is given."""


@dataclass(frozen=True)
class SimulationSettings:
    """Everything that decides what comes out.

    Args:
        strategies: names of query strategies; the fully annotated reference ``full`` is always added.
        seeds, first_seed: how many seeds, and the first of them.
        initial: random slices, the same for all strategies, before the first query; None: 2 % of the pool for a start
            from scratch, none for a start from weights.
        query: slices queried in a round; None: 2 % of the pool, at least one.
        rounds: rounds of queries.
        training: "fresh" (each round from the start weights) or "warm" (from the model of the round before).
        start: "scratch", "bundled" or a weights file.
        start_digest: of the weights; empty for scratch.
        recipe: "plain" (see ``laboratory.simulation_training``) or "product" (fine-tuning and adoption as in a study).
        steps: optimiser steps of every training, whatever was labelled.
        reader: "exact" or "noisy".
        judged: part of a cohort that models are judged on: "test", or "validation" while something is still chosen.
        pixel_mm: in-plane pixel size that cases are brought to; None keeps each as it is.
        widths: channels of a network trained from scratch; its decoder has as many as the first entry.
        spacing_mm: queries of one round and case are at least so far apart, unless nothing else is left.
        threads: CPU threads of a job; sums depend on it in the last bit.
        learning: what learns from the answers: "none", "head" (the per-patient head), "finetune" (the network) or
            "both"; strategies that finish a patient then ask slice after slice, as in a study. None: the network
            learns, and every strategy chooses the slices of a round at once.
    """

    strategies: tuple[str, ...]
    seeds: int = 5
    first_seed: int = 0
    initial: int | None = None
    query: int | None = None
    rounds: int = 9
    training: str = "fresh"
    start: str = "scratch"
    start_digest: str = ""
    recipe: str = "plain"
    steps: int = 200
    reader: str = "exact"
    judged: str = "test"
    pixel_mm: float | None = None
    widths: tuple[int, ...] = (16, 32, 48, 64)
    spacing_mm: float = 12.0
    threads: int = 1
    learning: str | None = None

    def __post_init__(self) -> None:
        from LMIALLib.queries.strategies import strategy

        if not self.strategies:
            raise WrongUse("No strategy was named.", "Give some: --strategies default,random")
        for name in self.strategies:
            strategy(name)
        if doubled := [name for name in self.strategies if self.strategies.count(name) > 1]:
            raise WrongUse(f"The strategy {doubled[0]} is named twice.")
        for word, value, known in (
            ("training", self.training, TRAININGS),
            ("reader", self.reader, READERS),
            ("recipe", self.recipe, RECIPES),
            ("part", self.judged, JUDGED),
            ("learning", self.learning or LEARNINGS[0], LEARNINGS),
        ):
            if value not in known:
                raise WrongUse(f"The {word} {value!r} is unknown.", f"Use {' or '.join(known)}.")
        for word, number, least in (
            ("seeds", self.seeds, 1),
            ("first seed", self.first_seed, 0),
            ("initial", self.initial if self.initial is not None else 0, 0),
            ("query", self.query if self.query is not None else 1, 1),
            ("rounds", self.rounds, 0),
            ("steps", self.steps, 1),
            ("threads", self.threads, 1),
        ):
            if number < least:
                raise WrongUse(f"{word} is {number}; expected {least} or more.")
        if self.pixel_mm is not None and not 0.1 <= self.pixel_mm <= 10:
            raise WrongUse(f"The pixel size is {self.pixel_mm:g} mm; expected 0.1 to 10.")
        if not 0 <= self.spacing_mm < 1e6:
            raise WrongUse(f"The spacing is {self.spacing_mm:g} mm; expected 0 or more.")
        if len(self.widths) < 2 or not all(1 <= width <= 4096 for width in self.widths):
            raise WrongUse(f"The widths {self.widths} make no network.", "Give two or more: 16,32,48,64")
        if self.recipe == "product" and self.start == "scratch":
            raise WrongUse("The product's recipe starts from weights.", "Give --start bundled or a weights file.")

    @property
    def trains(self) -> bool:
        """Whether the network learns from the answers."""
        return self.learning in (None, "finetune", "both")

    @property
    def head(self) -> bool:
        """Whether a head learns from the answers of each patient."""
        return self.learning in ("head", "both")

    @property
    def all_seeds(self) -> range:
        """The seeds, one after the other."""
        return range(self.first_seed, self.first_seed + self.seeds)

    def resolved(self, pool: int) -> SimulationSettings:
        """The same with numbers of slices for a pool of so many. WrongUse where the first draw takes all of them."""
        share = max(1, round(SHARE * pool))
        initial = self.initial if self.initial is not None else (share if self.start == "scratch" else 0)
        if initial >= pool:
            raise WrongUse(
                f"The first {initial} slices leave nothing to choose: the pool has {pool}.", "Lower --initial."
            )
        return replace(self, initial=initial, query=self.query or share)

    @property
    def budgets(self) -> tuple[int, ...]:
        """Labelled slices of each round, of a pool that is large enough; the first is 0."""
        assert self.initial is not None and self.query is not None
        before = (0, self.initial) if self.initial else (0,)
        return (*before, *(before[-1] + self.query * k for k in range(1, self.rounds + 1)))

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON; without ``learning`` where it is None, as simulations before it were written."""
        values = {**asdict(self), "strategies": list(self.strategies), "widths": list(self.widths)}
        if self.learning is None:
            del values["learning"]
        return values

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> SimulationSettings:
        """The inverse of ``to_dict``. Raises TypeError for unknown names."""
        lists = {name: tuple(values[name]) for name in ("strategies", "widths") if name in values}
        return cls(**{**values, **lists})

    def shared(self) -> dict[str, Any]:
        """What must be equal for two simulations to be one: everything but which strategies and seeds are run."""
        values = self.to_dict()
        for name in ("strategies", "seeds", "first_seed"):
            del values[name]
        return values
