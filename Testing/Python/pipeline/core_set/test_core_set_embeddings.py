"""Encoders of slice pairs: what they are fed, that two runs agree, and what they refuse."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("transformers", reason="the extra [teachers] is not installed")
import torch
from safetensors.torch import load_file, save_file
from small_studies import TINY, head

from LMIALLib.errors import BadInput, WrongUse
from LMIALLib.pipeline.embeddings.dinov2 import Dinov2Encoder
from LMIALLib.pipeline.embeddings.encoders import case_embedding, checked_embedding, encoder_for
from LMIALLib.pipeline.embeddings.masked_autoencoder import CHECKPOINT, MaskedEncoder, train_masked
from LMIALLib.pipeline.embeddings.pooling import mean_over_brain
from LMIALLib.pipeline.embeddings.slice_images import slice_images
from LMIALLib.progress import Cancelled
from LMIALLib.study.store import Study

IMAGES = np.random.default_rng(0).normal(size=(10, 3, 32, 32)).astype(np.float16)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("mae")
    train_masked(IMAGES, TINY, folder, about={})
    return folder


def test_images_hold_baseline_follow_up_and_difference_and_nothing_outside_the_brain() -> None:
    pair = head(0)
    images = slice_images(pair, 32, np.array([2, 5]))
    assert images.shape == (2, 3, 32, 32) and images.dtype == np.float32
    assert 0.5 < np.abs(images[:, :2]).max() <= 4 and np.abs(images[:, 2]).max() <= 8
    np.testing.assert_allclose(images[:, 2], images[:, 1] - images[:, 0], atol=1e-5)
    assert (images[:, :, 0, 0] == 0).all() and images[1, 1].any()


def test_two_extractions_agree_bit_for_bit(trained: Path) -> None:
    first, again = MaskedEncoder(trained, "cpu")(IMAGES), MaskedEncoder(trained, "cpu")(IMAGES)
    assert first.tobytes() == again.tobytes() and first.shape == (10, 32)


def test_extraction_masks_nothing_and_keeps_the_patches_in_their_order(trained: Path) -> None:
    encoder = MaskedEncoder(trained, "cpu")
    tokens = encoder.tokens(IMAGES[:1])
    assert tokens.shape == (1, 16, 32)
    embeddings = encoder._model.embeddings
    with torch.inference_mode():
        plain = embeddings.patch_embeddings(torch.from_numpy(IMAGES[:1].astype(np.float32)))
        plain = plain + embeddings.position_embeddings[:, 1:]
        given = embeddings(
            torch.from_numpy(IMAGES[:1].astype(np.float32)), noise=torch.arange(16, dtype=torch.float32)[None]
        )
    assert torch.equal(given[0][:, 1:], plain)
    assert given[1].sum() == 0 and torch.equal(given[2], torch.arange(16)[None])


def test_what_transformers_does_by_itself_would_shuffle(trained: Path) -> None:
    """The mistake of a published pipeline, which flattened shuffled tokens: this is why noise is given."""
    encoder = MaskedEncoder(trained, "cpu")
    pixels = torch.from_numpy(IMAGES[:1].astype(np.float32))
    with torch.inference_mode():
        orders = [tuple(encoder._model(pixels).ids_restore[0].tolist()) for _ in range(4)]
    assert len(set(orders)) > 1


def test_only_patches_that_hold_brain_count_unless_none_does(trained: Path) -> None:
    tokens = np.random.default_rng(1).normal(size=(2, 16, 5)).astype(np.float32)
    images = np.zeros((2, 3, 32, 32), np.float32)
    images[0, 2, 8:16, 16:32] = 1.0  # patches 6 and 7 of four by four
    found = mean_over_brain(tokens, images)
    np.testing.assert_allclose(found[0], tokens[0, 6:8].mean(axis=0), rtol=1e-6)
    np.testing.assert_allclose(found[1], tokens[1].mean(axis=0), rtol=1e-6)


def test_a_stopped_run_goes_on_to_the_very_weights_of_an_uninterrupted_one(trained: Path, tmp_path: Path) -> None:
    asked: list[int] = []

    def after_three() -> bool:
        asked.append(1)
        return len(asked) > 3

    with pytest.raises(Cancelled, match="after 3 of 6"):
        train_masked(IMAGES, TINY, tmp_path, about={}, cancelled=after_three)
    assert (tmp_path / CHECKPOINT).is_file() and not (tmp_path / "model.safetensors").exists()
    seen: list[tuple[int, int]] = []
    train_masked(IMAGES, TINY, tmp_path, about={}, progress=lambda sentence, done, total: seen.append((done, total)))
    assert seen == [(4, 6), (5, 6), (6, 6)]
    whole, resumed = (load_file(folder / "model.safetensors") for folder in (trained, tmp_path))
    assert whole.keys() == resumed.keys() and all(torch.equal(whole[name], resumed[name]) for name in whole)
    assert sorted(file.name for file in tmp_path.iterdir()) == ["config.json", "model.safetensors"]


def test_a_run_that_was_killed_goes_on_from_its_last_checkpoint_to_the_same_weights(
    trained: Path, tmp_path: Path
) -> None:
    def killed(sentence: str, done: int, total: int) -> None:
        if done == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train_masked(IMAGES, TINY, tmp_path, about={}, progress=killed)
    assert len(train_masked(IMAGES, TINY, tmp_path, about={})) == 4, "from the checkpoint after two steps"
    whole, resumed = (load_file(folder / "model.safetensors") for folder in (trained, tmp_path))
    assert all(torch.equal(whole[name], resumed[name]) for name in whole)


def test_a_checkpoint_of_another_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Cancelled):
        train_masked(IMAGES, TINY, tmp_path, about={"pairs": "these"}, cancelled=lambda: True)
    with pytest.raises(BadInput, match="other settings"):
        train_masked(IMAGES, TINY, tmp_path, about={"pairs": "those"})


def test_training_lowers_the_loss(tmp_path: Path) -> None:
    rows = np.linspace(-1, 1, 32, dtype=np.float32)
    waves = [np.sin(k * rows)[None, :, None] * np.cos(k * rows)[None, None] * np.ones((3, 1, 1)) for k in range(1, 4)]
    losses = train_masked(np.stack(waves), replace(TINY, steps=200, batch=8, rate=5e-3), tmp_path, about={})
    assert np.mean(losses[-30:]) < 0.85 * np.mean(losses[:5])


def test_a_study_trains_once_and_again_only_when_its_pairs_change(make_study: Callable[..., Study]) -> None:
    from small_studies import put

    study = make_study(2)
    steps: list[str] = []
    options: dict[str, Any] = {
        "masked": TINY,
        "progress": lambda sentence, done, total: steps.append(sentence),
        "cancelled": lambda: False,
    }
    first = encoder_for(study, "mae", **options)
    trained_steps = len([one for one in steps if "loss" in one])
    again = encoder_for(study, "mae", **options)
    assert first is not None and again is not None and first.digest == again.digest
    assert trained_steps == TINY.steps == len([one for one in steps if "loss" in one])
    assert not list((study.folder / "embeddings").rglob("*.npy")), "gathered slices go when the weights are there"
    put(study, "late", head(9))
    more = encoder_for(study, "mae", **options)
    assert more is not None and more.digest != first.digest


def test_vectors_are_kept_and_made_anew_when_damaged(make_study: Callable[..., Study], dinov2_folder: Path) -> None:
    study = make_study(1)
    options: dict[str, Any] = {"masked": TINY, "progress": lambda *told: None, "cancelled": lambda: False}
    encoder = encoder_for(study, f"dinov2:{dinov2_folder}", **options)
    assert encoder is not None
    pair = study.cases.load_pair("case0")
    vectors = case_embedding(study, "case0", pair, encoder)
    assert vectors.shape == (10, 96) and not vectors[0].any() and vectors[5].any()
    never = replace(encoder, embed=lambda images: pytest.fail("embedded again"))
    assert case_embedding(study, "case0", pair, never).tobytes() == vectors.tobytes()
    file = next((study.folder / "embeddings" / "dinov2").rglob("*.safetensors"))
    file.write_bytes(file.read_bytes()[:-20])
    assert case_embedding(study, "case0", pair, encoder).tobytes() == vectors.tobytes()


def test_dinov2_agrees_with_itself_bit_for_bit_and_sees_every_channel(dinov2_folder: Path) -> None:
    images = slice_images(head(1), 42, np.array([4, 5]))
    first, again = (Dinov2Encoder(dinov2_folder, "cpu")(images) for _ in range(2))
    assert first.tobytes() == again.tobytes()
    changed = images.copy()
    changed[:, 2] *= -1
    other = Dinov2Encoder(dinov2_folder, "cpu")(changed)
    assert (other[:, :64] == first[:, :64]).all() and (other[:, 64:] != first[:, 64:]).any()


def broken(folder: Path, how: str) -> Path:
    """A copy of a good folder that something is wrong with."""
    if how == "missing":
        return folder.parent / "nowhere"
    place = Path(shutil.copytree(folder, folder.parent / how, dirs_exist_ok=True))
    config = json.loads((place / "config.json").read_text())
    weights = load_file(place / "model.safetensors")
    if how == "no-config":
        (place / "config.json").unlink()
    elif how == "config-is-no-json":
        (place / "config.json").write_text("{")
    elif how == "other-architecture":
        (place / "config.json").write_text(json.dumps({**config, "model_type": "vit"}))
    elif how == "other-size":
        (place / "config.json").write_text(json.dumps({**config, "hidden_size": 64}))
    elif how == "only-pickles":
        (place / "model.safetensors").unlink()
        torch.save(weights, place / "pytorch_model.bin")
    elif how == "no-weights":
        (place / "model.safetensors").unlink()
    elif how == "incomplete":
        left = dict(list(weights.items())[:-4])
        save_file(left, place / "model.safetensors", metadata={"format": "pt"})
    elif how == "cut-short":
        file = place / "model.safetensors"
        file.write_bytes(file.read_bytes()[:1000])
    return place


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ("missing", "does not exist"),
        ("no-config", "no config.json"),
        ("config-is-no-json", "names no architecture"),
        ("other-architecture", "'vit'; expected 'dinov2'"),
        ("other-size", "cannot be loaded"),
        ("only-pickles", "pickle"),
        ("no-weights", "no weights"),
        ("incomplete", "incomplete"),
        ("cut-short", "cannot be loaded"),
    ],
)
def test_a_folder_that_holds_no_such_model_is_refused_with_one_sentence(
    how: str, said: str, dinov2_folder: Path, tmp_path: Path
) -> None:
    good = Path(shutil.copytree(dinov2_folder, tmp_path / "good"))
    place = broken(good, how)
    with pytest.raises(BadInput, match=said) as refused:
        Dinov2Encoder(place, "cpu")
    assert "\n" not in str(refused.value) and refused.value.exit_code == 3


def test_unknown_words_are_wrong_use() -> None:
    for words in ("resnet", "dinov2", "dinov2:", "mae:folder"):
        with pytest.raises(WrongUse):
            checked_embedding(words)


def test_nothing_here_needs_torchvision(dinov2_folder: Path) -> None:
    import subprocess
    import sys

    script = (
        "import sys; sys.modules['torchvision'] = None\n"
        "from pathlib import Path; import numpy as np\n"
        "from LMIALLib.pipeline.embeddings.dinov2 import Dinov2Encoder\n"
        "from LMIALLib.pipeline.embeddings.masked_autoencoder import MaskedEncoder\n"
        f"print(Dinov2Encoder(Path({str(dinov2_folder)!r}), 'cpu')(np.zeros((1, 3, 42, 42), np.float32)).shape)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, encoding="utf-8", timeout=120, check=False
    )
    assert done.stdout.strip() == "(1, 96)", done.stderr
