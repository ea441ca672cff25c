"""nnInteractive (Isensee et al., arXiv 2503.08373) as a teacher: a 3-D model that segments what it is pointed at.

It is prompted as a SAM is, at both visits, but for whole components of the difference: by a box on the slice where the
component differs most, then by a point in it as well. It gives plain masks without a score. So its mask is taken to
be the mean of both answers, and its score their Dice overlap (1 where both find nothing): an object that changes when
the same thing is pointed at twice is not to be trusted.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from LMIALLib.pairs.pair import Pair
from LMIALLib.pipeline.teachers.nninteractive_folder import LoadedSession, load_nninteractive, quiet
from LMIALLib.pipeline.teachers.prompts import (
    Prompt,
    PromptSettings,
    background_confidence,
    prompts_of_volume,
    standardised_difference,
)
from LMIALLib.pipeline.teachers.teacher import Check, PseudoLabel, attempted, cpu_threads
from LMIALLib.pipeline.teachers.visits import Seen, change_at_prompts
from LMIALLib.pipeline.weight_files import teacher_id

MOST = 40
"""Components of a pair that become prompts, those with the largest excess first; bounds the time of a pair."""


@dataclass(frozen=True)
class SeenInVolume:
    """As `Seen`, on all slices of a prompt's extent: masks float32 (slices, rows, columns)."""

    masks: np.ndarray
    score: float
    found: bool

    def on_slice(self, number: int, prompt: Prompt) -> Seen:
        """What is seen on one slice of the extent."""
        return Seen(self.masks[number - prompt.extent[0]], self.score, self.found)


@dataclass(frozen=True)
class NnInteractive:
    """A loaded nnInteractive model as a teacher; see the file's docstring for how it is prompted."""

    loaded: LoadedSession
    prompts: PromptSettings
    made_by: dict[str, Any]
    threads: int | None
    id: str

    def judged(self, pair: Pair, slices: Sequence[int], check: Check) -> Iterator[tuple[int, PseudoLabel | str]]:
        """As `Teacher.judged`; all components that touch these slices come first, then the slices."""
        difference = standardised_difference(pair, self.prompts)
        calm = background_confidence(difference, self.prompts)
        brain = pair.stack(pair.mask)
        touched = [
            prompt
            for prompt in prompts_of_volume(difference, pair, self.prompts, MOST)
            if any(prompt.extent[0] <= number < prompt.extent[1] for number in slices)
        ]
        before, after = (self._answers(volume, pair, touched, check) for volume in (pair.baseline, pair.follow_up))
        for number in slices:
            check()
            here = [
                (prompt, first, second)
                for prompt, first, second in zip(touched, before, after, strict=True)
                if prompt.extent[0] <= number < prompt.extent[1]
            ]
            asked, failed = [], ""
            for prompt, first, second in here:
                if isinstance(first, str) or isinstance(second, str):
                    failed = first if isinstance(first, str) else str(second)
                else:
                    asked.append((prompt, first.on_slice(number, prompt), second.on_slice(number, prompt)))
            yield number, failed or change_at_prompts(asked, calm[number], brain[number])

    def _answers(
        self, volume: np.ndarray, pair: Pair, prompts: Sequence[Prompt], check: Check
    ) -> list[SeenInVolume | str]:
        """What the model segments at each prompt in the scan of one visit, or why it did not."""
        session = self.loaded.session
        target = np.zeros(volume.shape, np.uint8)
        if prompts:
            session.set_image(volume[None])
            session.set_target_buffer(target)
        found: list[SeenInVolume | str] = []
        for prompt in prompts:
            check()

            def ask(prompt: Prompt = prompt) -> Any:
                return self._seen(target, pair, prompt)

            with quiet(), cpu_threads(self.threads), _same_draws():
                answer: Any = attempted(ask)
            found.append(answer)
        return found

    def _seen(self, target: np.ndarray, pair: Pair, prompt: Prompt) -> SeenInVolume:
        session = self.loaded.session
        top, bottom, left, right = prompt.box
        box, point = [[top, bottom], [left, right]], list(prompt.point)
        box.insert(pair.axis, [prompt.number, prompt.number + 1])
        point.insert(pair.axis, prompt.number)
        session.reset_interactions()
        session.add_bbox_interaction(box, include_interaction=True)
        first = self._part(target, pair, prompt)
        session.add_point_interaction(tuple(point), include_interaction=True)
        second = self._part(target, pair, prompt)
        marked = int(first.sum()) + int(second.sum())
        both = int((first & second).sum())
        return SeenInVolume((first.astype(np.float32) + second) / 2, 2 * both / marked if marked else 1.0, both > 0)

    def _part(self, target: np.ndarray, pair: Pair, prompt: Prompt) -> np.ndarray:
        """The marked voxels of a prompt's extent and region, a bool copy."""
        return pair.stack(target)[slice(*prompt.extent), *prompt.window] > 0


@contextmanager
def _same_draws() -> Iterator[None]:
    """Inside the block numpy's global generator begins anew: nnInteractive draws where it refines a large object."""
    before = np.random.get_state()
    np.random.seed(0)
    try:
        yield
    finally:
        np.random.set_state(before)


def nninteractive_teacher(folder: Path, device: str = "auto", threads: int | None = None) -> NnInteractive:
    """An nnInteractive model from a local folder as a teacher. Raises as ``load_nninteractive`` does."""
    import torch

    from LMIALLib.network.device import chosen_device, library_versions

    used = chosen_device(device)
    loaded = load_nninteractive(folder, used, threads or torch.get_num_threads())
    prompts = PromptSettings()
    settings = {"prompts": asdict(prompts), "most": MOST}
    made_by = {
        "kind": "nninteractive",
        "weights": loaded.digest,
        "licence": loaded.licence,
        "settings": settings,
        "versions": {**library_versions(), "nnInteractive": type(loaded.session).INFERENCE_SESSION_VERSION},
        "device": used,
    }
    return NnInteractive(loaded, prompts, made_by, threads, teacher_id("nninteractive", loaded.digest, settings))
