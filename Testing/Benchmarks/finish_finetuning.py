"""Fine-tuning of the network while a pair of `finish.py` is read: as the worker does it after an answer.

After 5, 10 and 20 answers the network in use is trained on all answers of the pair so far, with the product's settings,
and judged by the product's rules; where these adopt the new one, its maps take the place of the old ones. A reader does
not wait for that: here the new maps are there at the next slice, in the product about one slice later.

What a training gives depends on the network it starts from and on what was read, not on the order of the answers; it is
kept in build/finish/tuned, so that a run that was broken off goes on, and rows that read the same slices share it.
"""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from finish_pairs import CACHE, FinishPair, inputs_under, pair_of, weights_of

from LMIALLib.adaptation.answers import SliceAnswer
from LMIALLib.adaptation.inputs import HeadInputs
from LMIALLib.files import written_whole

if TYPE_CHECKING:
    from LMIALLib.network.finetune_settings import FinetuneSettings

AFTER = (5, 10, 20)
"""Numbers of answers after which the network is trained."""
PAIRS = ("patient01", "patient12", "longitudinal-2", "isotropic-2", "niivue-2", "mslesseg-P18-1")
ORDERS = ("default", "equidistant")
MAPS = ("mean", "variance", "expected_entropy")


@dataclass(frozen=True)
class Trained:
    """What a training gave.

    Args:
        facts: JSON-ready: whether the new network is adopted, why, the report of the training, its settings.
        weights: of the new network, where it is adopted.
        inputs: what the head sees of the pair under the new network, where it is adopted.
    """

    facts: Mapping[str, Any]
    weights: Path | None = None
    inputs: HeadInputs | None = None


@dataclass
class Finetuning:
    """The network of one run, trained from time to time.

    Args:
        pair: that is read.
        settings: of a training; None: the product's.
        after: numbers of answers after which it is trained.
        folder: where trainings are kept.
        weights: in use.
        adopted: numbers of answers after which a new network was taken.
    """

    pair: FinishPair
    settings: FinetuneSettings | None = None
    after: Sequence[int] = AFTER
    folder: Path = CACHE / "tuned"
    weights: Path | None = None
    adopted: list[int] = field(default_factory=list)

    def __call__(self, answers: Sequence[SliceAnswer]) -> HeadInputs | None:
        """Train if it is time to, and give what the head sees under the new network; None where the old one stays."""
        if len(answers) not in self.after:
            return None
        self.weights = self.weights or weights_of(self.pair)
        made = trained(self.pair, self.weights, answers, self.settings or product_settings(), self.folder)
        if made.weights is not None:
            self.weights = made.weights
            self.adopted.append(len(answers))
        return made.inputs


def product_settings() -> FinetuneSettings:
    """The settings that the product trains with."""
    from LMIALLib.network.finetune_settings import FinetuneSettings

    return FinetuneSettings()


def recipe() -> list[Any]:
    """What rows with fine-tuning depend on beside everything else."""
    return [list(AFTER), asdict(product_settings())]


def trained(
    pair: FinishPair, weights: Path, answers: Sequence[SliceAnswer], settings: FinetuneSettings, folder: Path
) -> Trained:
    """Train a network on all answers of a pair and judge it, or look up what came of it before."""
    from LMIALLib.network.families import load_model

    read = sorted(answers, key=lambda answer: answer.number)
    total = hashlib.sha256(f"{load_model(weights).digest} {json.dumps(asdict(settings))}".encode())
    for part in (pair.inputs.digest(), *(answer.digest() for answer in read)):
        total.update(part.encode())
    facts, maps, new = (
        folder / f"{pair.name}-{len(read)}-{total.hexdigest()[:16]}.{kind}" for kind in ("json", "npz", "safetensors")
    )
    if not facts.is_file():
        folder.mkdir(parents=True, exist_ok=True)
        found, under = _train(pair, weights, read, settings, new)
        if under is not None:
            with written_whole(maps) as temporary, open(temporary, "wb") as file:
                np.savez_compressed(file, **{name: getattr(under, name) for name in MAPS})
        with written_whole(facts) as temporary:
            Path(temporary).write_text(json.dumps(found, indent=1), encoding="utf-8")
    found = json.loads(facts.read_text(encoding="utf-8"))
    if not found["adopted"]:
        return Trained(found)
    with np.load(maps, allow_pickle=False) as stored:
        return Trained(found, new, replace(pair.inputs, **{name: stored[name] for name in MAPS}))


def _train(
    pair: FinishPair, weights: Path, read: Sequence[SliceAnswer], settings: FinetuneSettings, out: Path
) -> tuple[dict[str, Any], HeadInputs | None]:
    """Train and judge as `worker.training_job` does in a study of this one case; weights are kept where adopted."""
    from LMIALLib.network.adoption import judge
    from LMIALLib.network.families import load_model
    from LMIALLib.network.finetuning_batches import Example

    scans = pair_of(pair)
    examples = [Example.of_pair(scans, answer.number, answer.target) for answer in read]
    unread = [Example.of_pair(scans, number) for number in unread_slices(pair, read, settings.seed)]
    old = load_model(weights)
    with tempfile.TemporaryDirectory(prefix="lmial-") as work:
        made = Path(work) / "new.safetensors"
        report = old.finetune(examples, unread, made, settings=settings)
        volumes: dict[str, dict[str, float]] = {}
        under = None
        if report.finite:
            new = load_model(made)
            volumes[pair.name] = {
                when: float((model.predict(scans, threads=settings.threads).mean >= 0.5).sum()) * scans.grid.voxel_ml
                for when, model in (("before", old), ("after", new))
            }
        adoption = judge(report, volumes)
        if adoption.adopted:
            under = inputs_under(pair, made)
            with written_whole(out) as temporary:
                Path(temporary).write_bytes(made.read_bytes())
    about = {"pair": pair.name, "read": [answer.number for answer in read], "settings": asdict(settings)}
    judged = {"adopted": adoption.adopted, "reasons": list(adoption.reasons), "volumes_ml": volumes}
    return about | judged | {"report": asdict(report)}, under


def unread_slices(pair: FinishPair, read: Sequence[SliceAnswer], seed: int) -> list[int]:
    """The unread slices on which the old network's probabilities are kept, as the worker draws them."""
    from LMIALLib.network.finetuning_batches import UNREAD_SLICES

    answered = {answer.number for answer in read}
    region = pair.inputs.region
    free = [k for k in range(len(region)) if k not in answered and region[k].any()]
    return sorted(np.random.default_rng(seed).permutation(free)[:UNREAD_SLICES].tolist())
