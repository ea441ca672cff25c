"""Studies that somebody prepared: ordinary commands run nothing of theirs and touch nothing outside, and say why."""

from __future__ import annotations

import copy
import json
import os
import pickle
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from LMIALLib.errors import BadInput
from LMIALLib.pipeline.nnunet.digests import LEDGER, is_whole, note, note_folder
from LMIALLib.pipeline.nnunet.ensemble_file import FORMAT, read_ensemble
from LMIALLib.pipeline.nnunet.places import ENSEMBLE, FINAL, RECORD, WorkFolder
from LMIALLib.pipeline.nnunet.plan_table import dataset_from, plan_from, splits_from
from LMIALLib.pipeline.nnunet.settings import NnunetSettings
from LMIALLib.pipeline.nnunet.training import train
from LMIALLib.pipeline.pipeline_lock import alone
from LMIALLib.pipeline.pseudo import pseudo_folder, read_pseudo
from LMIALLib.pipeline.settings import PipelineSettings
from LMIALLib.pipeline.state import PipelineState
from LMIALLib.study.store import Study

HERE = ("--config", "2d", "--size", "tiny", "--epochs", "4", "--iterations", "5", "--folds", "2", "--workers", "0")
Way = tuple[str | int, ...]
CONFIGURATION: Way = ("configurations", "2d")
NETWORK: Way = (*CONFIGURATION, "architecture", "arch_kwargs")


class Bomb:
    """Makes a file when its pickle is read."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def __reduce__(self) -> tuple[Callable, tuple]:
        return Path.touch, (self.file,)


def lmial(*words: object, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "LMIALLib", *map(str, words)]
    return subprocess.run(
        command, capture_output=True, encoding="utf-8", timeout=300, check=False, env={**os.environ, **environment}
    )


def refused(done: subprocess.CompletedProcess[str], *fragments: str) -> None:
    assert done.returncode == 3 and "Traceback" not in done.stderr, done.stderr
    for fragment in fragments:
        assert fragment in " ".join(done.stderr.split()), done.stderr


def put(whole: Any, way: Way, value: object) -> Any:
    """A copy of nested objects with one value exchanged."""
    made = copy.deepcopy(whole)
    inner = made
    for step in way[:-1]:
        inner = inner[step]
    inner[way[-1]] = value
    return made


def plan_of(folder: Path) -> tuple[Path, dict[str, Any]]:
    file = WorkFolder.pretraining(folder).preprocessed / "lmial.json"
    return file, json.loads(file.read_text())


def read_some(folder: Path, reader: Callable[[Study, str, int], None]) -> None:
    with Study.open(folder, reader="tests") as study:
        for case in ("a1", "c1", "d1"):
            for number in (3, 4, 5):
                reader(study, case, number)


HOSTILE: dict[str, tuple[Way, object]] = {
    "a shell": ((*NETWORK, "nonlin"), "os.system"),
    "a hub": ((*NETWORK, "nonlin"), "torch.hub.load"),
    "a name that only begins well": ((*NETWORK, "norm_op"), "torch.nn.parallel.distributed.os.system"),
    "another convolution": ((*NETWORK, "conv_op"), "subprocess.Popen"),
    "a dropout": ((*NETWORK, "dropout_op"), "os.system"),
    "arguments of a layer": ((*NETWORK, "nonlin_kwargs"), {"command": "true"}),
    "one more argument": ((*NETWORK, "block"), "os.system"),
    "another network": ((*CONFIGURATION, "architecture", "network_class_name"), "os.system"),
    "one more import": ((*CONFIGURATION, "architecture", "_kw_requires_import"), ["conv_op", "features_per_stage"]),
    "another preprocessor": ((*CONFIGURATION, "preprocessor_name"), "shutil"),
    "another resampling": ((*CONFIGURATION, "resampling_fn_data"), "os"),
    "arguments of resampling": ((*CONFIGURATION, "resampling_fn_seg_kwargs", "fn"), "os.system"),
    "another normalisation": ((*CONFIGURATION, "normalization_schemes"), ["ZScoreNormalization"] * 3),
    "a folder elsewhere": ((*CONFIGURATION, "data_identifier"), "/tmp"),
    "a folder above": ((*CONFIGURATION, "data_identifier"), "../../../elsewhere"),
    "a stage before": ((*CONFIGURATION, "previous_stage"), "../../elsewhere"),
    "an heir": ((*CONFIGURATION, "inherits_from"), "3d_fullres"),
    "another configuration": (("configurations", "4d"), {}),
    "another data set": (("dataset_name",), "../elsewhere"),
    "another name of plans": (("plans_name",), "../../elsewhere"),
    "another reader": (("image_reader_writer",), "NibabelIO"),
    "another label manager": (("label_manager",), "importlib"),
    "another planner": (("experiment_planner_used",), "os"),
    "something unknown": (("callback",), "os.system"),
    "a huge patch": (("configurations", "3d_fullres", "patch_size"), [1024, 1024, 1024]),
    "a patch beyond all": ((*CONFIGURATION, "patch_size"), [10**9, 32]),
    "a huge batch": ((*CONFIGURATION, "batch_size"), 90_000),
    "huge widths": ((*NETWORK, "features_per_stage"), [10**6, 16, 16]),
    "odd strides": ((*NETWORK, "strides"), [[1, 1], [2, 2], [0, 2]]),
    "fewer stages": ((*NETWORK, "n_stages"), 2),
    "a number as text": ((*CONFIGURATION, "batch_size"), "8"),
    "a text as number": ((*NETWORK, "nonlin"), 7),
    "nothing": (("configurations",), None),
}


@pytest.mark.parametrize("what", HOSTILE)
def test_a_plan_that_holds_anything_else_is_refused_by_name(what: str, pretrained_study: tuple[Path, object]) -> None:
    file, plan = plan_of(pretrained_study[0])
    assert plan_from(plan, str(file)) == plan, "nnU-Net's own plan is made anew as it was"
    way, value = HOSTILE[what]
    with pytest.raises(BadInput) as told:
        plan_from(put(plan, way, value), "plans")
    assert any(word in told.value.sentence for word in (str(way[-1]), "does not fit", "too much memory"))


def test_data_sets_and_splits_are_made_anew_as_well(pretrained_study: tuple[Path, object]) -> None:
    work = WorkFolder.pretraining(pretrained_study[0])
    told = json.loads((work.preprocessed / "dataset.json").read_text())
    splits = json.loads((work.preprocessed / "splits_final.json").read_text())
    assert dataset_from(told, "x") == told and splits_from(splits, "x") == splits
    for way, value in (
        (("overwrite_image_reader_writer",), "os"),
        (("file_ending",), ".pkl"),
        (("labels",), {"background": 0, "change": 10**9}),
        (("dataset", "c0000", "label"), "/etc/passwd"),
        (("dataset", "../c0000"), {}),
        (("regions_class_order",), [1]),
    ):
        with pytest.raises(BadInput, match=str(way[0])):
            dataset_from(put(told, way, value), "x")
    for wrong in ([{"train": ["/tmp/evil"], "val": []}], [{"train": ["c0000"]}], [{"train": [1], "val": []}], {}, [[]]):
        with pytest.raises(BadInput):
            splits_from(wrong, "x")


def test_a_plan_that_names_a_shell_runs_nothing_where_a_fine_tuning_takes_it_over(
    pretrained_folder: Path, reader: Callable, tmp_path: Path
) -> None:
    mark = tmp_path / "it-ran"
    read_some(pretrained_folder, reader)
    file, plan = plan_of(pretrained_folder)
    evil = put(put(plan, (*NETWORK, "nonlin"), "os.system"), (*NETWORK, "nonlin_kwargs"), {"command": f"touch {mark}"})
    file.write_text(json.dumps(evil))
    note(WorkFolder.pretraining(pretrained_folder).root, [file])  # even with the seal of this user
    refused(lmial("nnunet", "finetune", pretrained_folder, "--teacher", "tests", *HERE), "nonlin", "os.system")
    refused(lmial("nnunet", "pretrain", pretrained_folder, "--teacher", "tests", *HERE[:-4], *HERE[-2:]), "nonlin")
    assert not mark.exists()


def test_a_folder_elsewhere_that_a_plan_names_stays(pretrained_folder: Path, reader: Callable, tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.mkdir()
    (victim / "letter.txt").write_text("dear")
    read_some(pretrained_folder, reader)
    file, plan = plan_of(pretrained_folder)
    file.write_text(json.dumps(put(plan, (*CONFIGURATION, "data_identifier"), str(victim))))
    refused(lmial("nnunet", "finetune", pretrained_folder, "--teacher", "tests", *HERE), "data_identifier")
    assert (victim / "letter.txt").read_text() == "dear"


def test_a_work_folder_that_travelled_is_not_read_and_is_made_anew_once_removed(
    pretrained_folder: Path, reader: Callable, tmp_path: Path
) -> None:
    elsewhere = {"LMIAL_USER_DATA": str(tmp_path / "another user")}
    read_some(pretrained_folder, reader)
    root = WorkFolder.pretraining(pretrained_folder).root
    for ledger in (None, {}, {"files": {}, "seal": ""}, {"files": {}, "seal": "é"}, {"files": 3}, []):
        if ledger is not None:
            (root / LEDGER).write_text(json.dumps(ledger))
        done = lmial("nnunet", "finetune", pretrained_folder, "--teacher", "tests", *HERE, **elsewhere)
        refused(done, "was not written by your LMIAL on this computer", "Remove the folder")
    shutil.rmtree(root)
    words = ("--teacher", "tests", *HERE[:-4], *HERE[-2:], "--json")
    done = lmial("nnunet", "pretrain", pretrained_folder, *words, **elsewhere)
    assert done.returncode == 0 and len(json.loads(done.stdout)["losses"]) == 4, done.stderr
    assert (tmp_path / "another user" / "key").stat().st_size == 32
    if os.name == "posix":
        assert (tmp_path / "another user" / "key").stat().st_mode & 0o077 == 0


def test_pickles_are_read_nowhere_else_and_not_under_another_name(
    pretrained_folder: Path, tiny: NnunetSettings, environment: Callable, tmp_path: Path
) -> None:
    import torch

    work, mark = environment(pretrained_folder), tmp_path / "it-was-read"
    evil = tmp_path / "evil"
    evil.mkdir()
    for name in ("c0000.pkl", "c0000.b2nd", "c0000_seg.b2nd"):
        (evil / name).write_bytes(pickle.dumps(Bomb(mark)))

    def go_on() -> None:
        options: dict[str, Any] = {"weights": None, "device": torch.device("cpu"), "workers": 0}
        train(work, "2d", 0, tiny.of_training, **options, progress=lambda *told, **figures: None)

    own = work.preprocessed / "lmial_2d"
    shutil.copyfile(evil / "c0000.pkl", own / "stranger.pkl")
    with pytest.raises(BadInput, match="stranger"):
        go_on()
    (own / "stranger.pkl").unlink()
    packed = (own / "c0000.b2nd").read_bytes()
    (own / "c0000.b2nd").write_bytes(packed[:-1])  # such a file may hold expressions that are run
    with pytest.raises(BadInput, match=r"c0000\.b2nd is not the file"):
        go_on()
    shutil.rmtree(own)
    own.symlink_to(evil)
    with pytest.raises(BadInput, match="link"):
        go_on()
    own.unlink()
    splits = work.preprocessed / "splits_final.json"
    splits.write_text(json.dumps([{"train": [str(evil / "c0000")], "val": ["c0001"]}]))
    with pytest.raises(BadInput, match=r"train: .* is no name of a case"):
        go_on()
    assert not mark.exists()


def test_a_member_with_a_path_for_a_name_makes_the_data_set_anew(pretrained_folder: Path, tmp_path: Path) -> None:
    work = WorkFolder.pretraining(pretrained_folder)
    record = json.loads((work.raw / RECORD).read_text())
    record["cases"][0]["id"] = str(tmp_path / "evil")
    (work.raw / RECORD).write_text(json.dumps(record))
    done = lmial("nnunet", "pretrain", pretrained_folder, "--teacher", "tests", *HERE[:-4], *HERE[-2:], "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads((work.raw / RECORD).read_text())["cases"][0]["id"] == "c0000"


def test_a_checkpoint_of_a_stranger_is_never_read(pretrained_folder: Path, reader: Callable, tmp_path: Path) -> None:
    mark = tmp_path / "it-was-read"
    read_some(pretrained_folder, reader)
    (WorkFolder.pretraining(pretrained_folder).fold("2d", 0) / FINAL).write_bytes(pickle.dumps(Bomb(mark)))
    done = lmial("nnunet", "finetune", pretrained_folder, "--teacher", "tests", *HERE)
    refused(done, "is not the file that nnU-Net wrote")
    assert not mark.exists()


def test_links_in_a_work_folder_are_refused_and_nothing_behind_them_is_removed(
    study_folder: Path, tmp_path: Path
) -> None:
    victim = tmp_path / "victim"
    (victim / "Dataset701_pre").mkdir(parents=True)
    (victim / "Dataset701_pre" / "letter.txt").write_text("dear")
    (study_folder / "nnunet").mkdir()
    (study_folder / "nnunet" / "pre").symlink_to(victim)
    refused(lmial("nnunet", "pretrain", study_folder, "--teacher", "tests", *HERE[:-4], *HERE[-2:]), "link")
    assert (victim / "Dataset701_pre" / "letter.txt").read_text() == "dear"


def test_a_lock_with_something_in_it_is_not_opened_and_a_journal_names_nothing(
    study_folder: Path, tmp_path: Path
) -> None:
    (study_folder / "nnunet").mkdir()
    lock, victim = study_folder / "nnunet" / "lock.sqlite", tmp_path / "victim"
    victim.write_text("dear")
    for content in (b"SQLite format 3\x00" + bytes(4080), b"x"):
        lock.write_bytes(content)
        refused(lmial("nnunet", "pretrain", study_folder, "--teacher", "tests"), "lock.sqlite is not a file of LMIAL")
    lock.unlink()
    named = str(victim).encode()
    told = len(named).to_bytes(4, "big") + (sum(named) & 0xFFFFFFFF).to_bytes(4, "big")
    journal = (
        b"\xd9\xd5\x05\xf9\x20\xa1\x63\xd7" + bytes(504) + bytes(4) + named + told + b"\xd9\xd5\x05\xf9\x20\xa1\x63\xd7"
    )
    lock.with_name("lock.sqlite-journal").write_bytes(journal)
    with alone(study_folder):
        assert victim.read_text() == "dear"


def test_an_ensemble_that_says_more_than_it_should_is_refused(
    finetuned_study: tuple[Path, object], tmp_path: Path
) -> None:
    from safetensors import safe_open
    from safetensors.torch import load_file, save_file

    file = WorkFolder.finetuning(finetuned_study[0]).root / ENSEMBLE
    assert len(read_ensemble(file).folds) == 2
    with safe_open(file, framework="pt") as opened:
        told = json.loads(opened.metadata()[FORMAT])
    tensors, other = load_file(file), tmp_path / "other.safetensors"
    for way, value in (
        (("plans", *NETWORK, "nonlin"), "os.system"),
        (("dataset", "overwrite_image_reader_writer"), "os"),
        (("splits", 0, "train", 0), "../evil"),
        (("config",), "3d_cascade_fullres"),
        (("mirrored",), [10**9]),
        (("same", "decoder.x"), "nowhere"),
        (("same",), 3),
        (("splits",), []),
    ):
        save_file(tensors, other, metadata={FORMAT: json.dumps(put(told, way, value))})
        with pytest.raises(BadInput):
            read_ensemble(other)
    for text in ("[" * 100_000, "{", '"x"', "{}"):
        save_file(tensors, other, metadata={FORMAT: text})
        with pytest.raises(BadInput):
            read_ensemble(other)


WRONG = {
    "too deep": "[" * 100_000 + "]" * 100_000,
    "a list": "[]",
    "no settings": '{"format": 1, "stages": {}}',
    "a newer one": '{"format": 99, "settings": {}, "stages": {}}',
    "a format in words": '{"format": "1", "settings": {}, "stages": {}}',
    "settings as a list": '{"format": 1, "settings": [], "stages": {}}',
    "nnU-Net as a text": '{"format": 1, "settings": {"nnunet": "x"}, "stages": {}}',
    "a thousand workers": '{"format": 1, "settings": {"nnunet": {"workers": 100000}}, "stages": {}}',
    "a device that is none": '{"format": 1, "settings": {"nnunet": {"device": "meta; rm"}}, "stages": {}}',
    "stages as a list": '{"format": 1, "settings": {}, "stages": []}',
    "a stage as a number": '{"format": 1, "settings": {}, "stages": {"teacher": 3}}',
    "a huge number": '{"format": 1, "settings": {"seed": 1' + "0" * 5000 + '}, "stages": {}}',
}


@pytest.mark.parametrize("what", WRONG)
def test_a_pipeline_json_that_is_wrong_is_refused_naming_the_file(what: str, tmp_path: Path) -> None:
    (tmp_path / "pipeline.json").write_text(WRONG[what])
    with pytest.raises(BadInput, match=r"pipeline\.json"):
        PipelineState.read(tmp_path)


def test_weights_that_only_a_study_names_are_refused_until_a_person_names_them(
    study_folder: Path, tmp_path: Path
) -> None:
    for name, words in (("teacher", f"onnx:{tmp_path / 'm.onnx'}"), ("embedding", f"dinov2:{tmp_path}")):
        PipelineState(PipelineSettings(**{name: words}), own=False).write(study_folder)
        for more in (("--resume",), ("--stage", "teacher"), ("--stage", "core-set")):
            refused(lmial("pipeline", study_folder, *more), f"names the {name}", f"--{name} ")
        state = PipelineState.read(study_folder)
        assert state is not None and not state.own, "a refusal does not make it one's own"
        named = lmial("pipeline", study_folder, "--resume", f"--{name}", words)
        assert "this study names the" not in named.stderr and named.returncode == 3
    PipelineState(PipelineSettings(teacher="sam:/models/sam")).write(study_folder)
    told = json.loads((study_folder / "pipeline.json").read_text())
    told["settings"]["teacher"] = "sam:/models/evil"
    (study_folder / "pipeline.json").write_text(json.dumps(told))
    refused(lmial("pipeline", study_folder, "--resume"), "names the teacher")


def test_what_a_stage_left_is_read_as_it_should_be(study_folder: Path) -> None:
    state = PipelineState(PipelineSettings())
    for stage, name, shape, wrong in (
        ("core-set", "chosen", list[tuple[str, int]], [["a", "b"], 3, [["a"]], None, [["a", 1, 2]]]),
        ("teacher", "teacher", str, [None, 3, ["x"]]),
    ):
        for value in wrong:
            done = state.with_stage(stage, {}, "x", {name: value})
            with pytest.raises(BadInput, match=rf"pipeline\.json: stages\.{stage}\.result\.{name}"):
                done.left(stage, name, shape)


def test_records_of_pseudo_labels_that_are_wrong_are_refused_naming_the_file(study_folder: Path) -> None:
    with Study.open(study_folder, read_only=True) as study:
        file = pseudo_folder(study, "tests", "c1") / "pseudo.json"
    good = json.loads(file.read_text())
    for wrong in (
        "[" * 100_000,
        "[]",
        json.dumps({**good, "done": "all"}),
        json.dumps({**good, "done": [99]}),
        json.dumps({**good, "done": [-1]}),
        json.dumps({**good, "slices": 10**12}),
        json.dumps({**good, "failed": {"x": "y"}}),
        json.dumps({**good, "failed": []}),
        json.dumps({**good, "made_by": None}),
    ):
        file.write_text(wrong)
        with Study.open(study_folder, read_only=True) as study, pytest.raises(BadInput, match=r"pseudo\.json"):
            read_pseudo(study, "tests", "c1")
    refused(lmial("nnunet", "pretrain", study_folder, "--teacher", "tests"), "pseudo.json")


def test_a_folder_that_lmial_made_is_known_again_and_one_that_was_changed_is_not(tmp_path: Path) -> None:
    folder = tmp_path / "raw" / "x"
    folder.mkdir(parents=True)
    (folder / "one").write_text("1")
    note_folder(tmp_path, folder)
    assert is_whole(tmp_path, folder)
    for spoil, mend in (
        (lambda: (folder / "two").write_text("2"), lambda: (folder / "two").unlink()),
        (lambda: (folder / "one").write_text("2"), lambda: (folder / "one").write_text("1")),
        (lambda: (folder / "two").symlink_to(folder / "one"), lambda: (folder / "two").unlink()),
    ):
        spoil()
        assert not is_whole(tmp_path, folder)
        mend()
        assert is_whole(tmp_path, folder)
    (folder / "one").unlink()
    assert not is_whole(tmp_path, folder)
