"""A study whose kept embeddings somebody prepared: a core-set runs nothing of them, and says or mends what is wrong."""

from __future__ import annotations

import json
import os
import pickle
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

pytest.importorskip("transformers", reason="the extra [teachers] is not installed")

from safetensors.numpy import save_file
from small_studies import TINY

from LMIALLib.errors import BadInput
from LMIALLib.pipeline.embeddings.dinov2 import Dinov2Encoder
from LMIALLib.pipeline.embeddings.encoders import encoder_for
from LMIALLib.pipeline.embeddings.stored import embedding_file, made_by_of, read_embedding, write_embedding
from LMIALLib.pipeline.pseudo import pseudo_folder
from LMIALLib.study.store import Study


class Bomb:
    """Makes a file when its pickle is read."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def __reduce__(self) -> tuple[Callable, tuple]:
        return Path.touch, (self.file,)


def lmial(*words: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "LMIALLib", *map(str, words)]
    return subprocess.run(command, capture_output=True, encoding="utf-8", timeout=300, env={**os.environ}, check=False)


def begun(study: Study) -> Path:
    """The folder of a masked autoencoder that was stopped before its first step."""
    folder = study.folder / "embeddings" / "mae"
    folder.mkdir(parents=True)
    run = {"settings": asdict(TINY), "pairs": {case.name: case.digest for case in study.cases.all()}}
    (folder / "run.json").write_text(json.dumps(run))
    return folder


OPTIONS: dict[str, Any] = {"masked": TINY, "progress": lambda *told: None, "cancelled": lambda: False}


@pytest.mark.parametrize("what", ["a pickle", "objects", "another shape", "another type", "cut", "a huge one"])
def test_gathered_slices_that_are_something_else_are_gathered_anew(
    what: str, make_study: Callable[..., Study], tmp_path: Path
) -> None:
    study, mark = make_study(2), tmp_path / "it-was-read"
    file = begun(study) / "images.npy"
    if what == "a pickle":
        file.write_bytes(pickle.dumps(Bomb(mark)))
    elif what == "objects":
        np.save(file, np.array([Bomb(mark)], dtype=object), allow_pickle=True)
    elif what == "another shape":
        np.save(file, np.zeros((4, 2, 32, 32), np.float16))
    elif what == "another type":
        np.save(file, np.zeros((4, 3, 32, 32), np.float64))
    elif what == "cut":
        np.save(file, np.zeros((4, 3, 32, 32), np.float16))
        file.write_bytes(file.read_bytes()[:500])
    else:
        head = b"{'descr': '<f2', 'fortran_order': False, 'shape': (99999999999, 3, 32, 32), }"
        file.write_bytes(b"\x93NUMPY\x01\x00" + len(head).to_bytes(2, "little") + head)
    assert encoder_for(study, "mae", **OPTIONS) is not None and not mark.exists()


def test_weights_of_another_size_and_another_configuration_are_refused(make_study: Callable[..., Study]) -> None:
    study = make_study(2)
    assert encoder_for(study, "mae", **OPTIONS) is not None
    config = study.folder / "embeddings" / "mae" / "config.json"
    good = json.loads(config.read_text())
    for wrong in ({"image_size": 1600}, {"hidden_size": 60_000}, {"num_hidden_layers": 10**6}, {"hidden_act": "os"}):
        config.write_text(json.dumps({**good, **wrong}))
        with pytest.raises(BadInput):
            encoder_for(study, "mae", **OPTIONS)
    config.write_text("[" * 100_000)
    with pytest.raises(BadInput):
        encoder_for(study, "mae", **OPTIONS)


def test_kept_vectors_that_are_something_else_count_as_not_there(make_study: Callable[..., Study]) -> None:
    study, made_by = make_study(1), {"weights": "w", "pair": "p"}
    write_embedding(study, "dinov2", "case0", np.ones((10, 4), np.float32), made_by)
    assert read_embedding(study, "dinov2", "case0", made_by) is not None
    file, told = embedding_file(study, "dinov2", "case0"), json.dumps(made_by)
    for vectors, text in (
        (np.ones((3, 4), np.float32), told),
        (np.ones((10,), np.float32), told),
        (np.ones((10, 4), np.float64), told),
        (np.full((10, 4), np.nan, np.float32), told),
        (np.ones((10, 4), np.float32), "[" * 100_000),
        (np.ones((10, 4), np.float32), "[]"),
        (np.ones((10, 4), np.float32), "{"),
    ):
        save_file({"vectors": vectors}, file, metadata={"made_by": text})
        assert read_embedding(study, "dinov2", "case0", made_by) is None
        assert made_by_of(study, "dinov2", "case0") == {}


def test_a_core_set_of_a_study_with_foreign_vectors_ends_well(make_study: Callable[..., Study]) -> None:
    study = make_study(2)
    study.close()
    assert lmial("core-set", study.folder, "--budget", 3).returncode == 0
    with Study.open(study.folder, read_only=True) as opened:
        files = [embedding_file(opened, "bundled", case.name) for case in opened.cases.all()]
        told = [made_by_of(opened, "bundled", case.name) for case in opened.cases.all()]
    for made_by, shape in (
        (told[0], (10, 5)),
        ({**told[0], "conditions": 3}, (10, 7)),
        ({**told[0], "mean": 1}, (1, 1)),
    ):
        save_file({"vectors": np.ones(shape, np.float32)}, files[0], metadata={"made_by": json.dumps(made_by)})
        done = lmial("core-set", study.folder, "--budget", 3)
        assert done.returncode in (0, 3) and "Traceback" not in done.stderr, done.stderr


def test_a_dinov2_folder_reads_nothing_elsewhere(dinov2_folder: Path, tmp_path: Path) -> None:
    mark = tmp_path / "it-ran"
    folder = Path(shutil.copytree(dinov2_folder, tmp_path / "model"))
    (folder / "model.safetensors").rename(tmp_path / "elsewhere.safetensors")
    (folder / "x.safetensors").write_bytes(b"")
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": {"x": "../elsewhere.safetensors"}}))
    (folder / "pytorch_model.bin").write_bytes(pickle.dumps(Bomb(mark)))
    with pytest.raises(BadInput, match="does not say in which files beside it"):
        Dinov2Encoder(folder, "cpu")
    shutil.copyfile(tmp_path / "elsewhere.safetensors", folder / "model.safetensors")
    config = json.loads((folder / "config.json").read_text())
    named = {"attn_implementation": "a/b", "auto_map": {"AutoModel": "evil.Evil"}, "quantization_config": {"a": 1}}
    (folder / "config.json").write_text(json.dumps({**config, **named}))
    assert Dinov2Encoder(folder, "cpu").size == 42 and not mark.exists()
    for wrong in ({"image_size": [42, 42]}, {"patch_size": 0}, {"image_size": 10**6}, {"hidden_size": "x"}):
        (folder / "config.json").write_text(json.dumps({**config, **wrong}))
        with pytest.raises(BadInput):
            Dinov2Encoder(folder, "cpu")


def test_a_checkpoint_of_a_stranger_is_refused_with_a_sentence(make_study: Callable[..., Study]) -> None:
    study = make_study(2)
    folder = begun(study)
    (folder / "checkpoint.safetensors").write_bytes(pickle.dumps("x") + bytes(100))
    with pytest.raises(BadInput, match="damaged"):
        encoder_for(study, "mae", **OPTIONS)
    about = {"settings": asdict(TINY), "pairs": {case.name: case.digest for case in study.cases.all()}}
    good = {"format": "lmial-checkpoint-1", "step": "2", "about": json.dumps(about, sort_keys=True)}
    for told in (good, {**good, "step": "many"}):
        save_file({"model/x": np.ones(1, np.float32)}, folder / "checkpoint.safetensors", metadata=told)
        with pytest.raises(BadInput):
            encoder_for(study, "mae", **OPTIONS)


@pytest.mark.parametrize("name", ["../../victim", "/tmp/victim", "..", "a/../../b", "a\\b", ""])
def test_a_case_with_a_path_for_a_name_leads_nowhere(name: str, tmp_path: Path) -> None:
    case = SimpleNamespace(name=name, pair_number=1, n_slices=3)
    study: Any = SimpleNamespace(folder=tmp_path, cases=SimpleNamespace(get=lambda asked: case))
    for place in (lambda: embedding_file(study, "mae", "x"), lambda: pseudo_folder(study, "default", "x")):
        with pytest.raises(BadInput):
            place()
