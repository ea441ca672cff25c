"""What runs in the background of a session: ranking and training in the worker, recorded in the study when done.

The session alone writes to the study; the worker computes.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from LMIALLib.errors import Do, LMIALError, Step, WrongUse, disk_problem
from LMIALLib.loop.pair_changes import PairChanges
from LMIALLib.loop.queue import core_set_waits
from LMIALLib.loop.ranking_request import ranking_request
from LMIALLib.loop.settings import LoopSettings
from LMIALLib.queries.query import Ranking
from LMIALLib.queries.strategies import strategy
from LMIALLib.study.kept import goes_by_stored_maps
from LMIALLib.study.rankings import StoredRanking
from LMIALLib.study.store import Study
from LMIALLib.worker.client import Job, WorkerClient
from LMIALLib.worker.events import Cancelled, Event, Failed
from LMIALLib.worker.requests import (
    Exported,
    Finetune,
    R,
    RankAnew,
    Ranked,
    Registered,
    Trained,
)

HEARTBEAT = 30.0
"""Seconds between two signs of life of a session; another machine takes one that is silent for 120 s for dead."""


class Learning:
    """Rank and train in the background; saves that pile up while a run is going on train once.

    Args:
        study: an open study.
        worker: client of the background process.
        settings: see LoopSettings.
        reader: says who sits here; an empty string for nobody yet.
    """

    def __init__(
        self, study: Study, worker: WorkerClient, settings: LoopSettings, *, reader: Callable[[], str] = str
    ) -> None:
        self._reader = reader
        self.study = study
        self.worker = worker
        self.settings = settings
        self.training: Job[Trained] | None = None
        self.ranking: Job[Ranked] | None = None
        self.ranking_anew: Job[Ranked] | None = None
        self.pairs = PairChanges(study, worker)
        self.trouble = ""
        self._train_again = False
        self._rank_again = False
        self._last_beat = time.monotonic()

    def request_ranking(self, *, keep: bool = False) -> Job[Ranked]:
        """Ask the worker to rank what nobody answered; ``poll`` or ``wait`` stores the result.

        With ``keep``, cases of which nothing changed since the newest ranking stay as they are there, where the
        strategy finishes one patient after the other.
        """
        self._rank_again = False
        self._give_up_ranking_anew()
        self.ranking = self.worker.submit(ranking_request(self.study, self.settings, self._reader(), keep=keep))
        return self.ranking

    def _rank_with_new_model(self) -> None:
        """Rank by the network that was just adopted. A reader who is finishing a patient goes on meanwhile, with the
        ranking and the maps of the one before."""
        stored = self.study.rankings.latest()
        if stored is None or not stored.finishes or not self.finishes:
            self.request_ranking()
            return
        self._give_up_ranking_anew()
        request = ranking_request(self.study, self.settings, self._reader())
        self.ranking_anew = self.worker.submit(RankAnew(**vars(request)))

    def _give_up_ranking_anew(self) -> None:
        if self.ranking_anew is not None and not self.ranking_anew.over:
            self.worker.cancel(self.ranking_anew)
        self.ranking_anew = None

    @property
    def finishes(self) -> bool:
        """Whether slices are asked for to finish one patient after the other."""
        return strategy(self.settings.strategy).purpose == "finish"

    def adapt_when_possible(self) -> None:
        """Take an answer into the rest of its patient, after a save: a failure is reported in ``trouble`` only.

        Answers that come while that is being done are taken in together, afterwards. Nothing is done where no ranking
        waits to be adapted, and while a core-set is read.
        """
        if not self.finishes or core_set_waits(self.study):
            return
        if self.ranking is not None and not self.ranking.over:
            self._rank_again = True
            return
        try:
            if self.ranking_anew is None:
                self.request_ranking(keep=True)
                return
            self._rank_again, stored = False, self.study.rankings.latest()
            model = stored.model if stored is not None else None
            self.ranking = self.worker.submit(
                ranking_request(self.study, self.settings, self._reader(), keep=True, model=model)
            )
        except (LMIALError, OSError) as error:
            self.trouble = f"The rest of the patient was not brought up to date: {error}"

    def request_training(self, *, steps: int | None = None, minutes: float | None = None) -> None:
        """Train on what was saved. A running training is never killed: saves that pile up train once.

        Args:
            steps, minutes: as in ``network.finetuning.FinetuneSettings``; None: its defaults.
        """
        if self.training is not None and not self.training.over:
            self._train_again = True
            return
        in_use = self.study.models.in_use()
        if in_use is None:
            raise LMIALError("This study has no model.", "Check it.", Step(Do.CHECK, str(self.study.folder)))
        if goes_by_stored_maps(in_use.id):
            raise WrongUse(
                f"The model in use, {in_use.id}, does not learn between answers.",
                "It learns from all of them at once, in the pipeline's fine-tuning.",
                Step(Do.PIPELINE_STAGE, str(self.study.folder), "fine-tuning"),
            )
        self._train_again = False
        self.training = self.worker.submit(
            Finetune(
                model=in_use.id,
                # the random end keeps two sessions, after a take-over, from writing one file
                new_model=f"model-{len(self.study.models.all()):03d}-{secrets.token_hex(2)}",
                upto=self.study.answers.highest_id(),
                seed=self.settings.seed,
                steps=steps,
                minutes=minutes,
                device=self.settings.device,
            )
        )

    def train_when_possible(self) -> None:
        """``request_training`` after a save: what was saved stays saved, so a failure is reported in ``trouble`` only.

        Nothing is trained where the model in use goes by stored maps.
        """
        in_use = self.study.models.in_use()
        if in_use is not None and goes_by_stored_maps(in_use.id):
            return
        try:
            self.request_training()
            self.trouble = ""
        except (LMIALError, OSError) as error:
            self.trouble = f"Training did not start: {error}"

    def cancel_training(self) -> None:
        """Ask the running training to stop; nothing that was saved is lost, and nothing is trained again by itself."""
        self._train_again = False
        if self.training is not None:
            self.worker.cancel(self.training)

    def poll(self, timeout: float = 0.0) -> list[tuple[Job[Any], Event]]:
        """Take in what the worker reported, record its results, start what is due. Call it from a timer."""
        if not self.study.read_only and time.monotonic() - self._last_beat > HEARTBEAT:
            self._last_beat = time.monotonic()
            self.study.heartbeat()
        events = self.worker.poll(timeout)
        first: LMIALError | None = None
        for job, event in events:  # each is recorded, whatever became of the others
            try:
                self._record(job, event)
            except LMIALError as error:
                first = first or error
            except OSError as error:
                first = first or disk_problem(error, "keeping what the worker made")
        if first is not None:
            raise first
        return events

    def wait(self, job: Job[R], *, watch: Callable[[Job[Any]], None] | None = None) -> R:
        """Block until ``job`` is over and its result is recorded; raises what it failed with."""
        while not job.over:
            for seen, _ in self.poll(timeout=0.1):
                if seen is job and watch is not None:
                    watch(job)
        return self.worker.wait(job)

    def _record(self, job: Job[Any], event: Event) -> None:
        if isinstance(event, Ranked):
            self._record_ranking(job, event)
        elif isinstance(event, Trained):
            self._record_model(event)
        elif isinstance(event, Registered):
            if self.pairs.record(job, event) and self.settings.train and not core_set_waits(self.study):
                self.request_ranking()
        elif job is self.pairs.job and isinstance(event, Failed | Cancelled):
            self.pairs.drop()
        elif job is self.ranking_anew and isinstance(event, Failed | Cancelled):
            self.ranking_anew = None
        elif isinstance(event, Exported) and not self.study.read_only:
            files = [Path(file).name for file in event.files]
            self.study.log.record("export", what=event.what, files=files)
        if isinstance(event, Trained) and job is self.training and self._train_again:
            self.request_training()

    def _record_ranking(self, job: Job[Any], event: Ranked) -> None:
        """Store a ranking, and what was answered while it was made goes into the next. One by the network before that
        ends after the first one by the new network is not stored."""
        ranking = Ranking.from_dict(event.ranking)
        new = StoredRanking(event.ranking, event.conditions, ranking.scores, event.annotations_upto)
        before, in_use = self.study.rankings.latest(), self.study.models.in_use()
        outdated = before is not None and in_use is not None and before.model == in_use.id != new.model
        if not outdated:
            self.study.rankings.store(new)
        behind = outdated or (job is self.ranking_anew and self.answered_since())
        if job is self.ranking_anew:
            self.ranking_anew = None
        if behind or self._rank_again:
            self.adapt_when_possible()

    def _record_model(self, new: Trained) -> None:
        parent = self.study.models.get(new.parent)
        file, reasons = self.study.models.path(new.model), list(new.reasons)
        if not file.is_file():  # weights that are not finite are never written
            self.study.log.record("model refused", model=new.model, parent=parent.id, reasons=reasons)
            return
        self.study.models.add(
            file,
            id=new.model,
            parent=parent.id,
            round=parent.round + 1,
            adopted=new.adopted,
            report={**new.report, "adopted": new.adopted, "reasons": reasons},
        )
        if new.adopted and self.settings.train and not core_set_waits(self.study):
            self._rank_with_new_model()

    def answered_since(self) -> bool:
        """Whether there is an answer that the newest ranking's heads have not learnt."""
        stored, study = self.study.rankings.latest(), self.study
        if stored is None or not stored.finishes:
            return False
        lesions = int(stored.conditions.get("lesions_upto", 0))
        return stored.annotations_upto < study.answers.highest_id() or lesions < study.lesion_answers.highest_id()
