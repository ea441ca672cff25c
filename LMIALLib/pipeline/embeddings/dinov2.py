"""DINOv2 (Oquab et al., arXiv 2304.07193) from a local folder as an encoder of slice pairs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from LMIALLib.errors import BadInput
from LMIALLib.network.device import chosen_device, reproducible
from LMIALLib.pipeline.embeddings.local_weights import load_local, quiet_transformers
from LMIALLib.pipeline.embeddings.pooling import mean_over_brain
from LMIALLib.pipeline.embeddings.slice_images import CHANNELS

if TYPE_CHECKING:
    from torch import Tensor

WHAT = "DINOv2"
MODEL_TYPE = "dinov2"
LARGEST = 224
"""Pixels along a side at most; weights trained at more are used with fewer positions."""
BRIGHTEST = 2.0
"""Intensity, in units of `slice_images`, that is shown as white, its negative as black: four robust spreads."""
MEAN, SPREAD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""Of the colours that DINOv2 was trained with (ImageNet)."""


class Dinov2Encoder:
    """DINOv2 on grey pictures of baseline, follow-up and difference; their vectors are put side by side.

    One picture of three channels would be in colours that no photograph has.

    Args:
        folder: config.json and *.safetensors, as ``save_pretrained`` writes them.
        device: "cpu", "cuda" or "auto".

    Raises BadInput for a folder that is missing, incomplete, of another architecture, or holds only pickles.
    """

    def __init__(self, folder: Path, device: str = "auto") -> None:
        model_class = quiet_transformers().Dinov2Model
        self._device = torch.device(chosen_device(device))
        self._model = load_local(model_class, folder, MODEL_TYPE, WHAT).to(self._device)
        config = self._model.config
        if config.num_channels != 3:
            raise BadInput(f"{folder / 'config.json'} has {config.num_channels} channels; expected 3.")
        if not all(isinstance(side, int) and side > 0 for side in (config.image_size, config.patch_size)):
            raise BadInput(f"{folder / 'config.json'} does not say of how many pixels images and patches are.")
        self.size = max(1, min(int(config.image_size), LARGEST) // int(config.patch_size)) * int(config.patch_size)
        self._width = int(config.hidden_size)

    def __call__(self, images: np.ndarray, batch: int = 16) -> np.ndarray:
        """Mean token of the patches that hold brain, of each channel: images (n, 3, size, size), see `slice_images`, to
        float32 (n, 3 * width)."""
        found = np.empty((len(images), len(CHANNELS) * self._width), np.float32)
        for start in range(0, len(images), batch):
            part = images[start : start + batch]
            for channel in range(len(CHANNELS)):
                columns = slice(channel * self._width, (channel + 1) * self._width)
                found[start : start + batch, columns] = mean_over_brain(self._tokens(part[:, channel]), part)
        return found

    def _tokens(self, grey: np.ndarray) -> np.ndarray:
        """The token of each patch, float32 (n, patches, width), of grey pictures (n, size, size)."""
        shown = np.clip(grey / (2.0 * BRIGHTEST) + 0.5, 0.0, 1.0).astype(np.float32)
        with reproducible(), torch.inference_mode():
            mean, spread = (torch.tensor(values).view(1, 3, 1, 1) for values in (MEAN, SPREAD))
            pixels = (torch.from_numpy(shown)[:, None].expand(-1, 3, -1, -1) - mean) / spread
            hidden: Tensor = self._model(pixels.to(self._device)).last_hidden_state
        result: np.ndarray = hidden[:, 1:].float().cpu().numpy()
        return result
