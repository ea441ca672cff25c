"""Small studies and small models in the real formats, to try the pipeline on."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from small_studies import head, put

from LMIALLib.resources import resource
from LMIALLib.study.store import Study


@pytest.fixture
def make_study(tmp_path: Path) -> Callable[..., Study]:
    """A function (subjects, brain) -> an open study with the bundled model and one case of ten slices a subject."""
    opened: list[Study] = []

    def make(subjects: int = 3, *, brain: bool = True) -> Study:
        study = Study.create(tmp_path / f"study-{len(opened)}", reader="tester")
        opened.append(study)
        study.models.add(resource("Weights", "change.safetensors"), id="first", adopted=True)
        for number in range(subjects):
            put(study, f"case{number}", head(number, brain=brain), f"subject{number}")
        return study

    yield make  # type: ignore[misc]
    for study in opened:
        study.close()


@pytest.fixture(scope="session")
def dinov2_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A DINOv2 of two layers with random weights, saved as transformers saves it."""
    pytest.importorskip("transformers", reason="the extra [teachers] is not installed")
    from LMIALLib.pipeline.embeddings.local_weights import quiet_transformers

    transformers = quiet_transformers()
    import torch

    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("weights") / "dinov2"
    config = transformers.Dinov2Config(
        hidden_size=32, num_hidden_layers=2, num_attention_heads=2, image_size=42, patch_size=14
    )
    transformers.Dinov2Model(config).save_pretrained(folder)
    return folder
