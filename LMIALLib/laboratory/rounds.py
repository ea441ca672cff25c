"""One job of a simulation: a strategy with a seed, round by round, each round on disk before the next begins."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from LMIALLib.files import written_whole
from LMIALLib.json_data import read_json
from LMIALLib.laboratory.labelling import Labelling
from LMIALLib.laboratory.learning import COMMITTEE, Learner
from LMIALLib.laboratory.patients import Patients
from LMIALLib.laboratory.readers import answer
from LMIALLib.laboratory.round_metrics import budget_figures, pool_figures, row_of, test_figures
from LMIALLib.laboratory.settings import FULL, SimulationSettings
from LMIALLib.laboratory.subjects import loaded_subjects
from LMIALLib.laboratory.tracks import tracks_of

if TYPE_CHECKING:
    from LMIALLib.network.architecture import ChangeNetwork

OTHER_SEED = 1_000_003
"""What is added to a seed for a further member of a committee."""


@dataclass(frozen=True)
class Job:
    """A strategy (or ``full``) with a seed.

    Args:
        folder: of the simulation; ``cases/`` and ``jobs/`` are in it.
        kind: "cohort" or "study".
        cases: digest of all cases.
        settings: of the simulation, as `SimulationSettings.to_dict` gives them.
        strategy, seed: which run.
        key: hash of everything that decides the outcome.
    """

    folder: str
    kind: str
    cases: str
    settings: dict[str, Any]
    strategy: str
    seed: int
    key: str

    @property
    def result(self) -> Path:
        """Where the finished job lies."""
        return Path(self.folder) / "jobs" / f"{self.key}.json"

    @property
    def state(self) -> Path:
        """Where its rounds lie until then."""
        return Path(self.folder) / "jobs" / self.key


def run_job(job: Job) -> str:
    """Run a job, from its last complete round on, and return its key; a finished one is left alone.

    What it writes: ``jobs/<key>/round-<n>.json`` and models while it runs, then ``jobs/<key>.json``, each whole.
    """
    if not job.result.is_file():
        _Simulation(job).run()
    return job.key


class _Simulation:
    def __init__(self, job: Job) -> None:
        self.job, self.settings = job, SimulationSettings.from_dict(job.settings)
        self.subjects = loaded_subjects(job.folder, job.cases)
        self.learner = Learner(self.settings, self.subjects)
        self.runs = [
            Labelling(track) for track in tracks_of(job.kind, list(self.subjects.values()), self.settings.judged)
        ]
        self.patients: dict[str, Patients] = {}
        self.full = job.strategy == FULL
        self.trains = self.full or self.settings.trains
        self.rounds: list[dict[str, Any]] = []
        self.start: dict[str, np.ndarray] = {}

    def run(self) -> None:
        """All rounds that are left, then the result."""
        job, budgets = self.job, self._budgets()
        job.state.mkdir(parents=True, exist_ok=True)
        first = self._taken_up(len(budgets))
        for number in range(first, len(budgets)):
            spent = {"choose": 0.0, "train": 0.0, "predict": 0.0}
            chosen = []
            for run in self.runs:
                chosen += self._step(run, number, budgets, spent)
            if number == 0:
                self.start = self.runs[0].probability
            entry = {"row": self._row(number), "chosen": chosen, "seconds": spent}
            self._keep_round(number, entry)
        from LMIALLib.network.device import library_versions, processor_name

        result = {
            "key": job.key,
            "strategy": job.strategy,
            "seed": job.seed,
            "rounds": self.rounds,
            "conditions": {
                "cpu": processor_name(),
                "threads": self.settings.threads,
                "versions": library_versions(),
            },
        }
        with written_whole(job.result) as temporary:
            temporary.write_text(json.dumps(result), encoding="utf-8")
        shutil.rmtree(job.state, ignore_errors=True)

    def _budgets(self) -> tuple[int, ...]:
        """Labelled slices of the pool after each round; rounds in which no slice is left are none."""
        size = self.runs[0].track.size
        if self.full:
            return (size,)
        budgets = self.settings.budgets
        reached = [index for index, budget in enumerate(budgets) if budget >= size]
        return tuple(min(budget, size) for budget in budgets[: reached[0] + 1 if reached else None])

    def _wanted(self, run: Labelling, budget: int) -> int:
        """Labelled slices of a track: in a fold as large a share as in the whole pool."""
        whole = self.runs[0].track.size
        return budget if run is self.runs[0] else round(budget * run.track.size / whole)

    def _step(self, run: Labelling, number: int, budgets: Sequence[int], spent: dict[str, float]) -> list[list[Any]]:
        """Query, train and predict on one track; returns the chosen slices."""
        began = time.perf_counter()
        new = self._chosen(run, number, budgets)
        first = len(run.order) + 1
        self._answered(run, new)
        asked = time.perf_counter()
        begin = self._begin(run)
        model = begin
        if run.labels and self.trains:
            known = run.learned or self.settings.start != "scratch"
            model = self.learner.trained(begin, run.labels, run.track.pool, (self.job.seed, number), known=known)
        run.learned = bool(run.labels) and self.trains and self.settings.training == "warm"
        run.models = [model, *run.models][:COMMITTEE]
        learned = time.perf_counter()
        if self.trains or not run.probability:
            self._predict(run)
        self._show(run)
        spent["choose"] += asked - began
        spent["train"] += learned - asked
        spent["predict"] += time.perf_counter() - learned
        return [[run.track.name, number, first + k, case, slice_] for k, (case, slice_) in enumerate(new)]

    def _predict(self, run: Labelling) -> None:
        """Renew the network's maps, and start every head again on them."""
        run.probability = self.learner.probabilities(run.models[0], {*run.track.pool, *run.track.test})
        if self.settings.learning and not self.full:
            self.patients[run.track.name] = Patients(self.subjects, run.probability, self.settings.head)

    def _show(self, run: Labelling) -> None:
        """Renew the maps that are shown once all answers are learnt."""
        patients = self.patients.get(run.track.name)
        run.shown = patients.shown(run) if patients else run.probability

    def _begin(self, run: Labelling) -> ChangeNetwork:
        """What the model of the next round is trained from."""
        warm = self.settings.training == "warm" and run.models
        return run.models[0] if warm else self.learner.start(self.job.seed)

    def _chosen(self, run: Labelling, number: int, budgets: Sequence[int]) -> list[tuple[str, int]]:
        """The slices that are queried in a round."""
        if self.full:
            return run.track.slices()
        wanted = self._wanted(run, budgets[number]) - len(run.order)
        if number == 0 or wanted <= 0:
            return []
        if number == 1 and self.settings.initial:
            return run.track.drawn(wanted, self.job.seed)
        return self._queried(run, wanted, number, place_in_budget(number, len(budgets), bool(self.settings.initial)))

    def _queried(self, run: Labelling, wanted: int, number: int, progress: float) -> list[tuple[str, int]]:
        """The strategy's choice; ``progress`` as `ranking.rank` takes it."""
        from LMIALLib.queries.ranking import rank
        from LMIALLib.queries.scoring import score_case
        from LMIALLib.queries.strategies import strategy

        chosen = strategy(self.job.strategy)
        if "members" in chosen.needs and not run.labels:
            return run.track.drawn(wanted, self.job.seed)  # one model alone is no committee
        patients = self.patients.get(run.track.name)
        if patients and chosen.purpose == "finish":
            return patients.in_turn(run, wanted, chosen, self._reply, self.job.seed)
        answers: dict[str, dict[int, np.ndarray]] = {name: {} for name in run.track.pool}
        for (case, slice_), target in run.labels.items():
            answers[case][slice_] = target
        if chosen.needs:
            networks = self._committee(run, number) if "members" in chosen.needs else run.models[:1]
            maps = self.learner.maps(networks, chosen.needs, answers, self.job.seed)
        else:
            maps = self.learner.plain_maps(run.probability, answers)
        scored = [
            score_case(replace(found, mask=found.mask & run.track.pool[name][:, None, None]), chosen)
            for name, found in maps.items()
        ]
        ranking = rank(
            scored,
            chosen,
            seed=self.job.seed,
            random_share=0.0,
            spacing_mm=self.settings.spacing_mm,
            batch=wanted,
            count=wanted,
            progress=progress,
        )
        return [(query.case, query.slice) for query in ranking.queries]

    def _committee(self, run: Labelling, number: int) -> list[ChangeNetwork]:
        """The models of the last rounds that learned from labels; too few are filled up with others, trained alike from
        further seeds."""
        learned = run.models[: number - 1]
        known = self.settings.start != "scratch"
        others = [self.job.seed + OTHER_SEED * k for k in range(1, COMMITTEE + 1 - len(learned))]
        extra = [
            self.learner.trained(self.learner.start(seed), run.labels, run.track.pool, (seed, number), known=known)
            for seed in others
        ]
        return [*learned, *extra]

    def _reply(self, case: str, number: int) -> np.ndarray:
        return answer(self.subjects[case], number, self.settings.reader, self.job.seed)

    def _answered(self, run: Labelling, new: Sequence[tuple[str, int]]) -> None:
        """Let the reader answer."""
        run.answered([(self.subjects[case], k, self._reply(case, k)) for case, k in new])

    def _row(self, number: int) -> dict[str, Any]:
        """One line of ``rounds.csv``."""
        run = self.runs[0]
        row = {"strategy": self.job.strategy, "seed": self.job.seed, "round": number}
        row |= budget_figures(self.subjects, run.track, run.order, run.time)
        row |= pool_figures(self.subjects, run.track, run.order, run.shown, None if self.full else self.start)
        row |= test_figures(self.subjects, [(each.track, each.shown) for each in self.runs])
        row["dice_delivered"] = run.delivered_dice([self.subjects[name] for name in run.track.pool])
        row["minutes_correcting"] = run.correcting / 60
        return row_of(row)

    def _keep_round(self, number: int, entry: dict[str, Any]) -> None:
        """Models first, then the mark that the round is complete; models that nothing needs any more go."""
        from LMIALLib.network.weights import save_weights

        state = self.job.state
        for run in self.runs:
            save_weights(run.models[0], state / f"{run.track.name}-{number}.safetensors", {}, dtype="float32")
            if number - COMMITTEE > 0:
                (state / f"{run.track.name}-{number - COMMITTEE}.safetensors").unlink(missing_ok=True)
        with written_whole(state / f"round-{number}.json") as temporary:
            temporary.write_text(json.dumps(entry), encoding="utf-8")
        self.rounds.append(entry)

    def _taken_up(self, rounds: int) -> int:
        """Bring everything to where the last complete round left it; returns the number of the next one."""
        from LMIALLib.network.weights import load_weights

        state = self.job.state
        done = 0
        while done < rounds and (state / f"round-{done}.json").is_file():
            self.rounds.append(read_json(state / f"round-{done}.json", dict[str, Any]))
            done += 1
        if not done:
            return 0
        for run in self.runs:
            for entry in self.rounds:
                new = [(case, int(k)) for part, _, _, case, k in entry["chosen"] if part == run.track.name]
                self._answered(run, new)
            kept = range(done - 1, max(done - 1 - COMMITTEE, -1), -1)
            run.models = [load_weights(state / f"{run.track.name}-{k}.safetensors")[0] for k in kept]
            run.learned = bool(run.labels) and self.trains and self.settings.training == "warm"
            self._predict(run)
            self._show(run)
        # a round made before this figure existed has none, nor have those after it
        spent = self.rounds[-1]["row"].get("minutes_correcting")
        self.runs[0].correcting = float("nan") if spent is None else 60 * spent
        begin = load_weights(state / f"{self.runs[0].track.name}-0.safetensors")[0]
        self.start = self.learner.probabilities(begin, self.runs[0].track.pool)
        return done


def place_in_budget(number: int, rounds: int, initial: bool) -> float:
    """k / (K - 1) of a round that a strategy chooses, the k-th from 0 of K: 0 in the first of them, 1 in the last.

    Args:
        number: of the round; round 0 queries nothing.
        rounds: rounds in all, with round 0.
        initial: whether round 1 is drawn at random.
    """
    first, last = 1 + initial, rounds - 1
    return (number - first) / (last - first) if last > first else 0.0
