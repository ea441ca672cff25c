"""A second family of networks that another package brings: one file, and a study is ranked and trained with it."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from LMIALLib.errors import BadInput, WrongUse
from LMIALLib.loop.session import Session
from LMIALLib.loop.settings import LoopSettings
from LMIALLib.network.families import load_model
from LMIALLib.study.store import Study

TOY = '''
"""Change is where the difference of the scans, in robust spreads, is larger than one number."""

from dataclasses import dataclass

import numpy as np
from scipy.special import expit

from LMIALLib.network.change_model import Family
from LMIALLib.network.device import conditions
from LMIALLib.network.predicted import Prediction
from LMIALLib.network.report import FinetuneReport
from LMIALLib.network.slices import NEIGHBOURS
from LMIALLib.network.weights import read_arrays, save_arrays
from LMIALLib.queries.measures import binary_entropy


def dice(called, marked):
    return 2 * (called & marked).sum() / max(called.sum() + marked.sum(), 1)


@dataclass(frozen=True)
class Threshold:
    value: float
    digest: str = ""
    gives: frozenset = frozenset()

    def predict(self, pair, *, passes=1, seed=0, device="cpu", dtype="float32", batch=8, threads=None, progress=None):
        inside, difference = pair.stack(pair.mask), np.abs(pair.stack(pair.difference))
        mean = np.where(inside, expit(2 * (difference - self.value)), 0).astype(np.float32)
        if progress is not None:
            progress("predict", len(mean), len(mean))
        features = np.stack([mean.mean((1, 2)), difference.mean((1, 2))], axis=1).astype(np.float32)
        once = None, None
        again = binary_entropy(mean).astype(np.float32), np.zeros_like(mean)  # every pass says the same
        return Prediction(mean, *(once if passes == 1 else again), features, passes,
                          conditions(passes=passes, seed=seed))

    def numbers(self, need, pair, **options):
        raise NotImplementedError

    def probability(self, example):
        return expit(2 * (np.abs(example.follow_up - example.baseline)[NEIGHBOURS] - self.value))

    def finetune(self, examples, unread, out, *, settings, checkpoint=None, progress=lambda *_, **more: None):
        marked = np.concatenate([e.target[e.read] == 1 for e in examples])

        def fit(value):
            called = np.concatenate([Threshold(value).probability(e)[e.read] >= 0.5 for e in examples])
            return dice(called, marked), int((called & ~marked).sum())

        values = [self.value, *np.linspace(0.5, 8, settings.steps)]
        found = []
        for number, value in enumerate(values):
            progress("learn", number, len(values))
            found.append(fit(value))
        best = int(np.argmax([one[0] for one in found]))
        digest = Threshold(values[best]).save(out, {"parent": self.digest})
        return FinetuneReport(digest=digest, steps=len(values), losses=(), examples=len(examples),
                              dice_before=found[0][0], dice_after=found[best][0], held_out_before=None,
                              held_out_after=None, false_before=found[0][1], false_after=found[best][1],
                              guard_before=0.0, guard_after=0.0, kept=0.0, shift=0.0, finite=True, seconds=0.0)

    def save(self, path, provenance):
        return save_arrays({"value": np.array([self.value], np.float32)}, {"family": "threshold"}, path, provenance)


def load(file):
    arrays, header = read_arrays(file)
    return Threshold(float(arrays["value"][0]), header.digest)


FAMILY = Family("threshold", load)
'''


@pytest.fixture
def toy(install: Callable[..., None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A weights file of the family, which is installed."""
    monkeypatch.delitem(sys.modules, "threshold_network", raising=False)
    install(
        "lmial-threshold", {"threshold_network.py": TOY}, {"threshold": "threshold_network:FAMILY"}, "lmial.networks"
    )
    from threshold_network import Threshold  # type: ignore[import-not-found]

    Threshold(6.0).save(tmp_path / "toy.safetensors", {})
    return tmp_path / "toy.safetensors"


def test_a_family_of_networks_is_added_in_one_file(toy: Path, study_folder: Path, phantom_truth) -> None:
    from LMIALLib.evaluation.simulated_reader import ExactReader

    with Study.open(study_folder, reader="anna") as study:
        study.models.add(toy, id="toy", adopted=True)
        session = Session(study, reader="anna", settings=LoopSettings(train=False, strategy="entropy", device="cpu"))
        ranked = session.learning.wait(session.learning.request_ranking())
        assert ranked.conditions["model"] == "toy" and ranked.ranking["queries"]
        assert ranked.conditions["model_digest"] == load_model(toy).digest
        ExactReader({"head": phantom_truth}).answer_next(session, 3)
        session.learning.request_training(steps=16)
        assert session.learning.training is not None
        trained = session.learning.wait(session.learning.training)
        assert trained.parent == "toy" and trained.report["dice_after"] >= trained.report["dice_before"]
        model = load_model(study.models.path(trained.model))
        assert type(model).__name__ == "Threshold" and model.digest == trained.report["digest"]
        session.use_strategy("expected-error")
        finished = session.learning.wait(session.learning.request_ranking())
        assert finished.conditions["heads"]["head"]["digest"]
        assert finished.conditions["model"] == (trained.model if trained.adopted else "toy")
        session.use_strategy("badge")
        with pytest.raises(WrongUse, match="cannot give gradients"):
            session.learning.wait(session.learning.request_ranking())
        session.close()


def test_a_family_that_leaves_something_out_is_told_what(toy: Path, study_folder: Path) -> None:
    from LMIALLib.network.evidence import CaseInput, case_evidence

    with Study.open(study_folder, read_only=True) as study:
        pair = study.cases.load_pair("head")
    model = load_model(toy)
    whole = model.predict(pair)
    given = replace(whole, conditions={"device": "cpu"}, features=whole.features[:, 0])

    class Forgetful:
        gives = model.gives

        def predict(self, pair, **options):
            return given

    with pytest.raises(BadInput, match=r"no 'versions' among its conditions, features of shape \(\d+,\) for"):
        next(case_evidence([Forgetful()], [CaseInput("head", pair, {})], frozenset()))


def test_weights_of_a_family_that_is_not_installed_are_refused(tmp_path: Path) -> None:
    import numpy as np

    from LMIALLib.network.weights import save_arrays

    file = tmp_path / "lost.safetensors"
    save_arrays({"value": np.zeros(1, np.float32)}, {"family": "martians"}, file, {})
    with pytest.raises(BadInput, match="martians"):
        load_model(file)
