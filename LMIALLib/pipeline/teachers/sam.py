"""A teacher of the SAM family (Kirillov et al., arXiv 2304.02643; SAM 2, arXiv 2408.00714), prompted at both visits.

SAM knows objects, not change. It is pointed at every place where the visits differ, by a box and a point in it, once
in the follow-up and once in the baseline; `visits.change_at_prompts` finds what changed from what it segments there.
With both a box and a point there is little to be ambiguous about, so one mask is taken a prompt, as its authors do.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from LMIALLib.pairs.pair import Pair
from LMIALLib.pipeline.teachers.prompts import (
    Prompt,
    PromptSettings,
    background_confidence,
    prompts_of_slice,
    standardised_difference,
)
from LMIALLib.pipeline.teachers.sam_folder import LoadedSam, load_sam
from LMIALLib.pipeline.teachers.teacher import Check, PseudoLabel, attempted, cpu_threads
from LMIALLib.pipeline.teachers.visits import Seen, change_at_prompts
from LMIALLib.pipeline.weight_files import teacher_id

if TYPE_CHECKING:
    from torch import Tensor

WINDOW = (0.5, 99.5)
"""Percentiles of the brain of both visits that become black and white."""


@dataclass(frozen=True)
class Sam:
    """A loaded SAM as a teacher; see the file's docstring for how it is prompted."""

    loaded: LoadedSam
    prompts: PromptSettings
    made_by: dict[str, Any]
    device: str
    threads: int | None
    id: str

    def judged(self, pair: Pair, slices: Sequence[int], check: Check) -> Iterator[tuple[int, PseudoLabel | str]]:
        """As `Teacher.judged`, one slice after another. A slice without any difference costs nothing."""
        difference = standardised_difference(pair, self.prompts)
        calm = background_confidence(difference, self.prompts)
        visits = _pictures(pair)
        brain = pair.stack(pair.mask)
        for number in slices:
            check()
            prompts = prompts_of_slice(difference, number, pair, self.prompts)

            def judge(number: int = number, prompts: list[Prompt] = prompts) -> PseudoLabel | str:
                seen = [self._seen(visit[number], prompts) for visit in visits] if prompts else [[], []]
                return change_at_prompts(list(zip(prompts, *seen, strict=True)), calm[number], brain[number])

            with cpu_threads(self.threads):
                label = attempted(judge)
            yield number, label

    def _seen(self, picture: np.ndarray, prompts: list[Prompt]) -> list[Seen]:
        """As ``_answered``; where a GPU has not enough memory for one picture, all goes on on the CPU, and is noted."""
        import torch

        try:
            return self._answered(picture, prompts)
        except torch.OutOfMemoryError:
            if self.device == "cpu" or "notes" in self.made_by:
                raise
            self.made_by["notes"] = [f"out of memory on {self.device}: went on on the CPU"]
            self.loaded.model.to("cpu")
            torch.cuda.empty_cache()
        return self._answered(picture, prompts)

    def _answered(self, picture: np.ndarray, prompts: list[Prompt]) -> list[Seen]:
        """What the model segments in a picture, uint8 (rows, columns), at each prompt."""
        import torch
        from torch.nn import functional

        device = self.loaded.model.device
        frame = Frame(picture.shape, self.loaded.picture.side, self.loaded.picture.keeps_shape)
        with torch.inference_mode():
            answer = self.loaded.model(
                pixel_values=self._pixels(picture, frame).to(device),
                input_boxes=frame.boxes(prompts).to(device),
                input_points=frame.points(prompts).to(device),
                input_labels=torch.ones((1, len(prompts), 1), dtype=torch.long, device=device),
                multimask_output=False,
            )
            whole = functional.interpolate(
                answer.pred_masks[0].float(), (frame.side, frame.side), mode="bilinear", align_corners=False
            )
            rows, columns = frame.inside
            logits = functional.interpolate(
                whole[..., :rows, :columns], frame.shape, mode="bilinear", align_corners=False
            )
            masks = torch.sigmoid(logits)[:, 0].cpu().numpy()
            scores = answer.iou_scores[0, :, 0].float().clamp(0, 1).cpu().numpy()
        if not (np.isfinite(masks).all() and np.isfinite(scores).all()):
            raise ValueError("masks or scores are not finite numbers")
        parts = [mask[prompt.window] for mask, prompt in zip(masks, prompts, strict=True)]
        return [Seen(part, float(score), bool((part > 0.5).any())) for part, score in zip(parts, scores, strict=True)]

    def _pixels(self, picture: np.ndarray, frame: Frame) -> Tensor:
        """The picture as the model takes it, (1, 3, side, side): resized, normalised, filled with 0."""
        import torch
        from torch.nn import functional

        settings = self.loaded.picture
        values = torch.from_numpy(picture.astype(np.float32))[None, None]
        small = functional.interpolate(values, frame.inside, mode="bilinear", antialias=True, align_corners=False)
        mean, spread = (torch.tensor(v)[None, :, None, None] for v in (settings.mean, settings.spread))
        normal = ((small / 255).expand(1, 3, -1, -1) - mean) / spread
        return functional.pad(normal, (0, frame.side - frame.inside[1], 0, frame.side - frame.inside[0]))


@dataclass(frozen=True)
class Frame:
    """Where a slice lies in the square that the model sees; at its top left corner.

    Args:
        shape: rows and columns of the slice.
        side: of the square.
        keeps_shape: whether the slice keeps its proportions there.
    """

    shape: tuple[int, int]
    side: int
    keeps_shape: bool

    @property
    def inside(self) -> tuple[int, int]:
        """Rows and columns that the slice takes up in the square."""
        if not self.keeps_shape:
            return self.side, self.side
        scale = self.side / max(self.shape)
        return int(self.shape[0] * scale + 0.5), int(self.shape[1] * scale + 0.5)

    def boxes(self, prompts: list[Prompt]) -> Tensor:
        """Boxes of prompts as (1, n, 4): left, top, right, bottom edge, from the centre of the first pixel."""
        import torch

        down, right = self._scales
        edges = [
            (left * right - 0.5, top * down - 0.5, end * right - 0.5, bottom * down - 0.5)
            for top, bottom, left, end in (prompt.box for prompt in prompts)
        ]
        return torch.tensor([edges], dtype=torch.float32)

    def points(self, prompts: list[Prompt]) -> Tensor:
        """Points of prompts as (1, n, 1, 2): column, row, from the centre of the first pixel."""
        import torch

        down, right = self._scales
        places = [
            [((column + 0.5) * right - 0.5, (row + 0.5) * down - 0.5)] for row, column in (p.point for p in prompts)
        ]
        return torch.tensor([places], dtype=torch.float32)

    @property
    def _scales(self) -> tuple[float, float]:
        rows, columns = self.inside
        return rows / self.shape[0], columns / self.shape[1]


def sam_teacher(folder: Path, device: str = "auto", threads: int | None = None) -> Sam:
    """A SAM from a local folder as a teacher. Raises as ``load_sam`` does."""
    from LMIALLib.network.device import chosen_device, library_versions

    used = chosen_device(device)
    loaded = load_sam(folder)
    import transformers  # after load_sam, which says what to do where it is missing

    loaded.model.to(used)
    prompts = PromptSettings()
    settings = {"prompts": asdict(prompts), "window": list(WINDOW), "picture": asdict(loaded.picture)}
    made_by = {
        "kind": "sam",
        "architecture": loaded.architecture,
        "weights": loaded.digest,
        "settings": settings,
        "versions": {**library_versions(), "transformers": transformers.__version__},
        "device": used,
    }
    return Sam(loaded, prompts, made_by, used, threads, teacher_id("sam", loaded.digest, settings))


def _pictures(pair: Pair) -> tuple[np.ndarray, np.ndarray]:
    """Both visits as uint8 (slices, rows, columns) in one window, so that the same tissue is equally bright."""
    both = np.concatenate([volume[pair.mask] for volume in (pair.baseline, pair.follow_up)])
    low, high = np.percentile(both, WINDOW) if both.size else (0.0, 1.0)
    width = max(float(high - low), 1e-6)

    def shown(volume: np.ndarray) -> np.ndarray:
        return np.clip((pair.stack(volume) - low) / width * 255 + 0.5, 0, 255).astype(np.uint8)

    return shown(pair.baseline), shown(pair.follow_up)
