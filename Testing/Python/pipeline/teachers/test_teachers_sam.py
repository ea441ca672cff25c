"""Real models of the SAM family, tiny and random, saved and loaded as real ones are; bad folders are refused."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from teacher_models import GONE, NEW, SIDE, save_sam, small_pair, small_study

pytest.importorskip("transformers", reason="the extra [teachers] is not installed")

import torch

from LMIALLib.errors import BadInput
from LMIALLib.pipeline.pseudo import read_pseudo
from LMIALLib.pipeline.teachers.prompts import Prompt
from LMIALLib.pipeline.teachers.pseudo_labelling import make_pseudo_labels
from LMIALLib.pipeline.teachers.sam import Frame, sam_teacher
from LMIALLib.pipeline.teachers.sam_folder import ARCHITECTURES
from LMIALLib.pipeline.teachers.teacher import PseudoLabel


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_sam(tmp_path_factory.mktemp("weights") / "sam")


@pytest.fixture
def folder(saved: Path, tmp_path: Path) -> Path:
    """A copy that a test may spoil."""
    return Path(shutil.copytree(saved, tmp_path / "sam"))


@pytest.mark.parametrize("kind", ARCHITECTURES)
def test_each_kind_of_sam_is_loaded_and_asked_at_every_difference(kind: str, tmp_path: Path) -> None:
    teacher = sam_teacher(save_sam(tmp_path / kind, kind), "cpu", 1)
    assert teacher.made_by["architecture"] == kind and teacher.id.startswith("sam-")
    calls = []
    teacher.loaded.model.register_forward_pre_hook(lambda module, args, given: calls.append(given), with_kwargs=True)
    with small_study(tmp_path / "study") as study:
        taught = make_pseudo_labels(study, teacher)
        pseudo = read_pseudo(study, teacher.id, "a")
    assert pseudo is not None and len(calls) == 4, "two slices differ, each is shown at two visits"
    assert all(call["input_boxes"].shape == (1, 1, 4) and not call["multimask_output"] for call in calls)
    assert not torch.equal(calls[0]["pixel_values"], calls[1]["pixel_values"])
    said = set(np.flatnonzero(pseudo.done)) | set(pseudo.failed)
    assert said == set(range(6)) and {1, 4} <= set(np.flatnonzero(pseudo.done)), "no difference, nothing to ask"
    assert taught.cases[0].judged + len(taught.cases[0].failed) == 4


def believing(teacher: object, masks: Callable[[torch.Tensor], torch.Tensor]) -> None:
    """Let a real model answer with other masks, and with scores of 0.9."""

    def after(module: object, args: object, given: dict[str, torch.Tensor], answer: object) -> object:
        answer.pred_masks = masks(given["pixel_values"])  # type: ignore[attr-defined]
        answer.iou_scores = torch.full(answer.iou_scores.shape, 0.9)  # type: ignore[attr-defined]
        return answer

    teacher.loaded.model.register_forward_hook(after, with_kwargs=True)  # type: ignore[attr-defined]


def bright(pixels: torch.Tensor) -> torch.Tensor:
    """Masks, coarse as a SAM's (a quarter of the side), of what is bright in the pictures."""
    red = pixels[:, 0] * 0.229 + 0.485
    return torch.nn.functional.avg_pool2d((red - 0.55) * 20, 4)[:, None, None]


def test_what_is_bright_at_one_visit_only_comes_out_as_change_where_it_is(saved: Path) -> None:
    teacher, pair = sam_teacher(saved, "cpu", 1), small_pair()
    believing(teacher, bright)
    said = dict(teacher.judged(pair, [NEW[0], GONE[0]], lambda: None))
    for number, rows, columns in (NEW, GONE):
        opinion = said[number]
        assert isinstance(opinion, PseudoLabel) and opinion.probability.max() == pytest.approx(0.9, abs=0.02)
        truth = np.zeros((48, 40), bool)
        truth[rows, columns] = True
        called = opinion.probability >= 0.5
        assert 2 * (called & truth).sum() / (called.sum() + truth.sum()) > 0.6
        assert opinion.confidence[called].mean() > 0.4


def test_empty_masks_everywhere_are_a_failure_and_not_no_change(saved: Path) -> None:
    teacher = sam_teacher(saved, "cpu", 1)
    believing(teacher, lambda pixels: torch.full((1, 1, 1, 16, 16), -9.0))
    said = dict(teacher.judged(small_pair(), [1, NEW[0]], lambda: None))
    assert (
        isinstance(said[1], PseudoLabel)
        and said[NEW[0]] == "The teacher found no object at the one place where the visits differ."
    )


def test_masks_that_are_not_finite_and_errors_of_the_model_are_told_slice_by_slice(saved: Path) -> None:
    teacher = sam_teacher(saved, "cpu", 1)
    believing(teacher, lambda pixels: torch.full((1, 1, 1, 16, 16), float("nan")))
    (said,) = (said for _, said in teacher.judged(small_pair(), [NEW[0]], lambda: None))
    assert said == "The teacher failed: ValueError: masks or scores are not finite numbers"

    def breaks(*given: object) -> None:
        raise torch.OutOfMemoryError("tried to allocate 9 bytes")

    teacher.loaded.model.register_forward_pre_hook(breaks)
    (said,) = (said for _, said in teacher.judged(small_pair(), [NEW[0]], lambda: None))
    assert said == "There is not enough memory for this slice on this device."


def test_a_gpu_without_enough_memory_hands_over_to_the_cpu_and_says_so(saved: Path) -> None:
    teacher = replace(sam_teacher(saved, "cpu", 1), device="cuda")
    full = [True]

    def once(*given: object) -> None:
        if full.pop() if full else False:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB.")

    believing(teacher, bright)
    teacher.loaded.model.register_forward_pre_hook(once)
    assert isinstance(dict(teacher.judged(small_pair(), [NEW[0]], lambda: None))[NEW[0]], PseudoLabel)
    assert teacher.made_by["notes"] == ["out of memory on cuda: went on on the CPU"]


def test_pictures_are_prepared_as_the_library_itself_prepares_them(saved: Path) -> None:
    from transformers.models.sam.image_processing_pil_sam import SamImageProcessorPil

    teacher = sam_teacher(saved, "cpu", 1)
    rows, columns = np.mgrid[:48, :40]
    picture = (128 + 100 * np.sin(rows / 7) * np.cos(columns / 9)).astype(np.uint8)
    frame = Frame((48, 40), SIDE, True)
    theirs = SamImageProcessorPil.from_pretrained(saved)(
        np.repeat(picture[:, :, None], 3, axis=2), return_tensors="np", mask_size={"longest_edge": 16}
    )
    assert tuple(theirs["reshaped_input_sizes"][0]) == frame.inside == (64, 53)
    ours = teacher._pixels(picture, frame).numpy()
    assert ours.shape == theirs["pixel_values"].shape
    assert np.abs(ours - theirs["pixel_values"]).max() < 0.02, "grey levels of 8 bit apart, no more"


def test_boxes_and_points_land_where_the_slice_lies_in_the_square() -> None:
    prompt = Prompt(0, (10, 20, 5, 15), (10, 20, 5, 15), (12, 7), 1.0, (0, 1))
    kept = Frame((48, 40), 96, True)
    assert kept.inside == (96, 80)
    assert kept.boxes([prompt]).tolist() == [[[9.5, 19.5, 29.5, 39.5]]]
    assert kept.points([prompt]).tolist() == [[[[14.5, 24.5]]]]
    stretched = Frame((48, 40), 80, False)
    assert stretched.inside == (80, 80)
    assert stretched.points([prompt])[0, 0, 0, 0] == 14.5


def test_the_same_weights_give_the_same_id_and_others_another(saved: Path, folder: Path) -> None:
    from safetensors.torch import load_file, save_file

    assert sam_teacher(saved, "cpu").id == sam_teacher(folder, "cpu").id
    tensors = load_file(folder / "model.safetensors")
    next(iter(tensors.values())).add_(1)
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    assert sam_teacher(saved, "cpu").id != sam_teacher(folder, "cpu").id


def spoil_config(folder: Path, **values: object) -> None:
    file = folder / "config.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), **values}))


def without_a_tensor(folder: Path) -> None:
    from safetensors.torch import load_file, save_file

    tensors = load_file(folder / "model.safetensors")
    tensors.pop("mask_decoder.iou_token.weight")
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})


def as_a_pickle(folder: Path) -> None:
    (folder / "model.safetensors").unlink()
    torch.save({"x": torch.zeros(1)}, folder / "pytorch_model.bin")


def cut(folder: Path) -> None:
    whole = (folder / "model.safetensors").read_bytes()
    (folder / "model.safetensors").write_bytes(whole[: len(whole) // 2])


def without_a_shard(folder: Path) -> None:
    save_sam(folder / "shards", max_shard_size="50KB")
    shutil.copytree(folder / "shards", folder, dirs_exist_ok=True)
    (folder / "model.safetensors").unlink()
    sorted(folder.glob("model-*.safetensors"))[-1].unlink()


def pickle_by_another_name(folder: Path) -> None:
    torch.save({"x": torch.zeros(1)}, folder / "model.safetensors")


SPOILT: dict[str, tuple[Callable[[Path], object], str]] = {
    "is missing": (shutil.rmtree, "does not exist"),
    "is empty": (lambda folder: (shutil.rmtree(folder), folder.mkdir()), "is empty"),
    "is a file": (lambda folder: (shutil.rmtree(folder), folder.write_text("")), "is a file"),
    "has no config": (lambda folder: (folder / "config.json").unlink(), "config.json is missing"),
    "has a broken config": (lambda folder: (folder / "config.json").write_text("{"), "is not JSON"),
    "is another architecture": (lambda folder: spoil_config(folder, model_type="vit"), "type 'vit', which is no SAM"),
    "has no picture settings": (
        lambda folder: (folder / "preprocessor_config.json").unlink(),
        "preprocessor_config.json is missing",
    ),
    "has odd picture settings": (
        lambda folder: (folder / "preprocessor_config.json").write_text('{"size": {"longest_edge": 64}}'),
        "does not say how pictures are prepared: KeyError: 'image_mean'",
    ),
    "does not fit together": (
        lambda folder: (folder / "preprocessor_config.json").write_text(
            '{"size": {"longest_edge": 1024}, "image_mean": [0, 0, 0], "image_std": [1, 1, 1]}'
        ),
        "prepared with 1024 pixels a side, its model takes 64",
    ),
    "has no weights": (lambda folder: (folder / "model.safetensors").unlink(), "model.safetensors is missing"),
    "is a pickle": (as_a_pickle, "as a pickle (pytorch_model.bin), which LMIAL never opens"),
    "is a pickle by another name": (pickle_by_another_name, "is a pickle or torch archive"),
    "is cut": (cut, "cannot be loaded"),
    "lacks a tensor": (without_a_tensor, "1 tensors are missing, the first is mask_decoder.iou_token.weight"),
    "lacks a shard": (without_a_shard, "is incomplete: model-"),
    "has other sizes": (
        lambda folder: spoil_config(folder, mask_decoder_config={"hidden_size": 32, "num_attention_heads": 2}),
        "do not fit",
    ),
}


@pytest.mark.parametrize("what", SPOILT)
def test_a_folder_that_cannot_be_used_is_refused_in_one_sentence(what: str, folder: Path) -> None:
    spoil, sentence = SPOILT[what]
    spoil(folder)
    with pytest.raises(BadInput) as refused:
        sam_teacher(folder, "cpu")
    assert sentence in refused.value.sentence and "\n" not in refused.value.sentence


def test_a_pickle_beside_safetensors_is_never_opened_and_code_in_the_folder_never_runs(folder: Path) -> None:
    (folder / "pytorch_model.bin").write_bytes(b"\x80\x04cos\nsystem\n.")
    spoil_config(folder, auto_map={"AutoModelForMaskGeneration": "evil.Evil"})
    (folder / "evil.py").write_text(f"open({str(folder / 'ran')!r}, 'w')\nclass Evil: pass\n")
    assert sam_teacher(folder, "cpu").made_by["architecture"] == "sam"
    assert not (folder / "ran").exists()


def test_sharded_weights_are_loaded(tmp_path: Path) -> None:
    folder = save_sam(tmp_path / "shards", max_shard_size="50KB")
    assert not (folder / "model.safetensors").exists() and sam_teacher(folder, "cpu").made_by["kind"] == "sam"


def test_a_torchvision_that_cannot_be_imported_breaks_nothing(saved: Path, tmp_path: Path) -> None:
    broken = tmp_path / "path" / "torchvision"
    broken.mkdir(parents=True)
    (broken / "__init__.py").write_text("raise RuntimeError('operator torchvision::nms does not exist')\n")
    told = broken.parent / "torchvision-9.9.9.dist-info"
    told.mkdir()
    (told / "METADATA").write_text("Metadata-Version: 2.1\nName: torchvision\nVersion: 9.9.9\n")
    script = (
        f"import sys; sys.path.insert(0, {str(broken.parent)!r}); sys.path.insert(0, {str(Path(__file__).parent)!r})\n"
        "from pathlib import Path; from teacher_models import small_pair\n"
        "from LMIALLib.pipeline.teachers.sam import sam_teacher\n"
        f"print(len(list(sam_teacher(Path({str(saved)!r}), 'cpu', 1).judged(small_pair(), [1, 2], lambda: None))))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, encoding="utf-8", timeout=120, check=False
    )
    assert done.stdout.strip() == "2", done.stderr[-500:]
