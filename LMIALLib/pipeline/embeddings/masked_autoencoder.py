"""A masked autoencoder trained on the slices of one study (He et al., arXiv 2111.06377), and its vector of a slice.

The model is ViT-MAE of ``transformers``, small, with baseline, follow-up and difference as its three channels. No label
is looked at. Every draw depends on the seed and the step alone, so that a run that was stopped goes on as if it had
not been.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from LMIALLib.errors import BadInput, disk_errors
from LMIALLib.files import written_whole
from LMIALLib.network.checkpoint import load_checkpoint, save_checkpoint
from LMIALLib.network.device import chosen_device, reproducible
from LMIALLib.network.schedule import set_rate, warmed_cosine
from LMIALLib.pipeline.embeddings.local_weights import load_local, quiet_transformers
from LMIALLib.pipeline.embeddings.pooling import mean_over_brain
from LMIALLib.progress import Cancelled, Progress, ignore

if TYPE_CHECKING:
    from torch import Tensor, nn

WHAT = "a masked autoencoder"
MODEL_TYPE = "vit_mae"
CHECKPOINT = "checkpoint.safetensors"


@dataclass(frozen=True)
class MaskedTraining:
    """Everything that shapes a run; stored with the weights. Small enough for two cores to train in minutes.

    Args:
        size, patch: pixels along a side of an image and of a patch.
        width, layers, heads: of the encoder; width is a multiple of 4 and of the heads.
        decoder_width, decoder_layers, decoder_heads: of the decoder, which is used in training only.
        masked: share of the patches that the encoder does not see.
        steps, batch: optimiser steps, and images in each, mirrored or not.
        rate: highest learning rate (AdamW); it rises over a tenth of the steps, then falls along a cosine to 0. At ten
            times as much the tokens of two real pairs fell together into a plane.
        weight_decay: of AdamW.
        seed: of weights, batches, mirrors and masks.
        checkpoint_every: steps between two checkpoints.
        device: "cpu", "cuda" or "auto".
    """

    size: int = 80
    patch: int = 8
    width: int = 128
    layers: int = 4
    heads: int = 4
    decoder_width: int = 64
    decoder_layers: int = 2
    decoder_heads: int = 4
    masked: float = 0.75
    steps: int = 2000
    batch: int = 32
    rate: float = 2e-4
    weight_decay: float = 0.05
    seed: int = 0
    checkpoint_every: int = 50
    device: str = "auto"

    def config(self) -> dict[str, Any]:
        """The same as fields of ``ViTMAEConfig``; the loss is taken of patches brought to mean 0 and variance 1."""
        return {
            "image_size": self.size,
            "patch_size": self.patch,
            "num_channels": 3,
            "hidden_size": self.width,
            "num_hidden_layers": self.layers,
            "num_attention_heads": self.heads,
            "intermediate_size": 4 * self.width,
            "decoder_hidden_size": self.decoder_width,
            "decoder_num_hidden_layers": self.decoder_layers,
            "decoder_num_attention_heads": self.decoder_heads,
            "decoder_intermediate_size": 4 * self.decoder_width,
            "mask_ratio": self.masked,
            "norm_pix_loss": True,
        }


def train_masked(
    images: np.ndarray,
    settings: MaskedTraining,
    folder: Path,
    *,
    about: dict[str, Any],
    progress: Progress = ignore,
    cancelled: Callable[[], bool] = lambda: False,
) -> list[float]:
    """Train and write ``config.json`` and ``model.safetensors`` into a folder, as ``from_pretrained`` takes them.

    Args:
        images: (n, 3, size, size) of any float type, see `slice_images`; may be mapped from a file.
        settings: see there.
        folder: also holds the checkpoint, from which a stopped run goes on; it goes when the weights are there.
        about: what else the run depends on (JSON-ready); a checkpoint of another run is not gone on from.
        progress: called with (a sentence, steps done, steps in all).
        cancelled: called before each step; True writes a checkpoint and raises Cancelled.

    Returns the loss of each step of this call. Raises BadInput for a full disk.
    """
    transformers = quiet_transformers()
    device = torch.device(chosen_device(settings.device))
    run = {"settings": asdict(settings), **about}
    losses: list[float] = []
    with reproducible():
        torch.manual_seed(settings.seed)
        config = transformers.ViTMAEConfig(**settings.config())
        config._attn_implementation = "eager"  # others are not the same bit for bit on a GPU
        model = transformers.ViTMAEForPreTraining(config).to(device).train()
        optimiser = torch.optim.AdamW(
            model.parameters(), lr=settings.rate, betas=(0.9, 0.95), weight_decay=settings.weight_decay
        )
        with disk_errors("training the masked autoencoder"):
            folder.mkdir(parents=True, exist_ok=True)
            checkpoint = folder / CHECKPOINT
            first = _gone_on_with(checkpoint, model, optimiser, run) if checkpoint.is_file() else 0
            for step in range(first, settings.steps):
                if cancelled():
                    save_checkpoint(checkpoint, step, {"model": model}, optimiser, run)
                    raise Cancelled(
                        f"Training the masked autoencoder was cancelled after {step} of {settings.steps} steps.",
                        "Run it again to go on from there.",
                    )
                losses.append(_step(model, optimiser, images, settings, step, device))
                done = step + 1
                progress(f"masked autoencoder: loss {losses[-1]:.3f}", done, settings.steps)
                if done % settings.checkpoint_every == 0 and done < settings.steps:
                    save_checkpoint(checkpoint, done, {"model": model}, optimiser, run)
            _write(model, folder)
            checkpoint.unlink(missing_ok=True)
    return losses


def _gone_on_with(checkpoint: Path, model: nn.Module, optimiser: torch.optim.Optimizer, run: dict[str, Any]) -> int:
    """The step of a checkpoint, whose state model and optimiser take. Raises BadInput where it is of another model."""
    try:
        return load_checkpoint(checkpoint, {"model": model}, optimiser, run)
    except (RuntimeError, KeyError, IndexError, TypeError, ValueError) as error:
        raise BadInput(f"The checkpoint {checkpoint} is of another model, or damaged.", "Remove it.") from error


def _step(
    model: nn.Module,
    optimiser: torch.optim.Optimizer,
    images: np.ndarray,
    settings: MaskedTraining,
    step: int,
    device: torch.device,
) -> float:
    """One step of the optimiser; returns the loss."""
    draw = np.random.default_rng([settings.seed, 31, step])
    chosen = draw.integers(0, len(images), settings.batch)
    batch = np.stack([images[index] for index in chosen]).astype(np.float32)
    mirrored = draw.random(len(batch)) < 0.5
    batch[mirrored] = batch[mirrored, :, :, ::-1]
    noise = draw.random((len(batch), (settings.size // settings.patch) ** 2), dtype=np.float32)
    share = warmed_cosine(step, settings.steps, rising=max(1, settings.steps // 10), lowest=0.0)
    set_rate(optimiser, settings.rate * share)
    loss: Tensor = model(torch.from_numpy(batch).to(device), noise=torch.from_numpy(noise).to(device)).loss
    optimiser.zero_grad()
    loss.backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimiser.step()
    return float(loss.detach())


def _write(model: Any, folder: Path) -> None:
    from safetensors.torch import save_file

    tensors = {name: value.detach().cpu().contiguous().clone() for name, value in model.state_dict().items()}
    with written_whole(folder / "config.json") as temporary:
        config = {**model.config.to_dict(), "architectures": [type(model).__name__]}
        temporary.write_text(json.dumps(config, indent=1, sort_keys=True), encoding="utf-8")
    with written_whole(folder / "model.safetensors") as temporary:
        save_file(tensors, temporary, metadata={"format": "pt"})


class MaskedEncoder:
    """The encoder of a trained masked autoencoder, without masking.

    Args:
        folder: as `train_masked` leaves it.
        device: "cpu", "cuda" or "auto".

    Raises BadInput where the folder holds no such model.
    """

    def __init__(self, folder: Path, device: str = "auto") -> None:
        model_class = quiet_transformers().ViTMAEModel
        self._device = torch.device(chosen_device(device))
        self._model = load_local(model_class, folder, MODEL_TYPE, WHAT, mask_ratio=0.0)
        self._model = self._model.to(self._device)
        self.size = int(self._model.config.image_size)

    def __call__(self, images: np.ndarray, batch: int = 32) -> np.ndarray:
        """Mean token of the patches that hold brain: images (n, 3, size, size) to float32 (n, width)."""
        parts = [images[start : start + batch] for start in range(0, len(images), batch)]
        found = [mean_over_brain(self.tokens(part), part) for part in parts]
        return np.concatenate([np.empty((0, int(self._model.config.hidden_size)), np.float32), *found])

    def tokens(self, images: np.ndarray) -> np.ndarray:
        """The token of each patch, float32 (n, patches, width), patches row by row; the class token is left out.

        Even where nothing is masked the model shuffles the patches by random noise unless it is given some: rising
        noise keeps them in their order.
        """
        count = self._model.embeddings.patch_embeddings.num_patches
        with reproducible(), torch.inference_mode():
            pixels = torch.from_numpy(np.ascontiguousarray(images, dtype=np.float32)).to(self._device)
            noise = torch.arange(count, dtype=torch.float32, device=self._device).expand(len(pixels), -1)
            hidden: Tensor = self._model(pixels, noise=noise).last_hidden_state
        result: np.ndarray = hidden[:, 1:].float().cpu().numpy()
        return result
