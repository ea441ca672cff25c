"""Real ONNX models: the stated channels, size and output are what is fed and read; anything else is refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from teacher_models import GONE, NEW, save_onnx, small_pair, small_study

pytest.importorskip("onnxruntime", reason="the extra [teachers] is not installed")
pytest.importorskip("onnx", reason="the extra [test] is not installed")

from LMIALLib.errors import BadInput
from LMIALLib.pipeline.pseudo import read_pseudo
from LMIALLib.pipeline.teachers.onnx_segmenter import OnnxSegmenter, onnx_teacher
from LMIALLib.pipeline.teachers.pseudo_labelling import make_pseudo_labels
from LMIALLib.pipeline.teachers.teacher import PseudoLabel


def said_of(teacher: OnnxSegmenter, number: int) -> Any:
    return dict(teacher.judged(small_pair(), [number], lambda: None))[number]


def sigmoid(values: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-values))


def test_the_model_sees_the_channels_in_the_stated_order_and_its_logits_become_probabilities(tmp_path: Path) -> None:
    pair = small_pair()
    brain = pair.mask[2]
    channels = {"baseline": pair.baseline, "follow_up": pair.follow_up, "difference": pair.follow_up - pair.baseline}
    for order in (["baseline", "follow_up", "difference"], ["difference", "baseline", "follow_up"]):
        file = save_onnx(tmp_path / "model.onnx", weights=((2.0, -1.0, 0.5),), bias=(-0.25,), channels=order)
        opinion = said_of(onnx_teacher(file), 2)
        factors = zip((2.0, -1.0, 0.5), order, strict=True)
        expected = sigmoid(sum(w * channels[name][2] for w, name in factors) - 0.25)
        assert np.abs(opinion.probability - np.where(brain, expected, 0)).max() < 1e-5
        assert np.allclose(opinion.confidence, np.abs(2 * opinion.probability - 1), atol=1e-6)


def test_several_channels_of_logits_are_a_softmax_and_the_stated_one_is_change(tmp_path: Path) -> None:
    weights = ((0.0, 0.0, 1.0), (0.0, 0.0, -1.0), (0.0, 0.0, 0.0))
    file = save_onnx(tmp_path / "m.onnx", weights=weights, bias=(0.0, 0.0, 0.0), channel_of_change=1)
    pair = small_pair()
    d = pair.difference[GONE[0]]
    expected = np.exp(-d) / (np.exp(d) + np.exp(-d) + 1)
    assert np.abs(said_of(onnx_teacher(file), GONE[0]).probability - expected * pair.mask[GONE[0]]).max() < 1e-5


@pytest.mark.parametrize("size", [("rows", "columns"), (32, 32), (96, 80)])
def test_slices_are_filled_up_or_resampled_to_the_stated_size_and_come_back_in_place(size: Any, tmp_path: Path) -> None:
    file = save_onnx(tmp_path / "m.onnx", weights=((0.0, 0.0, 3.0),), bias=(-6.0,), size=size)
    (number, rows, columns) = NEW
    opinion = said_of(onnx_teacher(file, threads=1), number)
    truth = np.zeros((48, 40), bool)
    truth[rows, columns] = True
    called = opinion.probability >= 0.5
    assert opinion.probability.shape == (48, 40)
    assert 2 * (called & truth).sum() / (called.sum() + truth.sum()) > 0.85


def test_scaling_unit_brings_the_brain_to_0_and_1_then_takes_mean_and_spread(tmp_path: Path) -> None:
    file = save_onnx(
        tmp_path / "m.onnx", weights=((1.0,),), bias=(0.0,), channels=["follow_up"], scaling="unit", mean=[0.1],
        spread=[2.0], output="probability",
    )  # fmt: skip
    teacher, pair = onnx_teacher(file), small_pair()
    low, high = np.percentile(np.concatenate([pair.baseline[pair.mask], pair.follow_up[pair.mask]]), (0.5, 99.5))
    (fed,) = teacher.stated.scaled_channels(pair)
    assert np.allclose(fed, np.clip((pair.follow_up - low) / (high - low), 0, 1) * pair.mask, atol=1e-6)
    said = said_of(teacher, 2)
    assert said == "The teacher's output is stated as a probability but runs from -0.05 to 0.45."


def test_a_study_is_taught_by_an_onnx_file_along_any_axis(tmp_path: Path) -> None:
    teacher = onnx_teacher(save_onnx(tmp_path / "m.onnx", weights=((0.0, 0.0, 3.0),), bias=(-6.0,)))
    with small_study(tmp_path / "study", axis=1) as study:
        taught = make_pseudo_labels(study, teacher)
        pseudo = read_pseudo(study, teacher.id, "a")
    assert pseudo is not None and pseudo.done.all() and (taught.cases[0].changed, taught.cases[0].judged) == (1, 4)
    assert taught.cases[0].changed_ml == pytest.approx(42 * 0.81 * 3 / 1000, rel=0.1)
    assert pseudo.made_by["settings"]["channels"] == ["baseline", "follow_up", "difference"]


def test_values_that_are_not_finite_fail_the_slice(tmp_path: Path) -> None:
    teacher = onnx_teacher(save_onnx(tmp_path / "m.onnx", bias=(float("nan"),), output="probability"))
    assert said_of(teacher, 2) == "The teacher's answer holds values that are not finite numbers."


def test_the_same_file_and_statement_give_the_same_id(tmp_path: Path) -> None:
    first = onnx_teacher(save_onnx(tmp_path / "a.onnx")).id
    (tmp_path / "b").mkdir()
    assert onnx_teacher(save_onnx(tmp_path / "b" / "a.onnx")).id == first
    assert onnx_teacher(save_onnx(tmp_path / "a.onnx", scaling="unit")).id != first


def stated(file: Path, **values: Any) -> None:
    said = {**json.loads(file.with_suffix(".json").read_text()), **values}
    file.with_suffix(".json").write_text(json.dumps({k: v for k, v in said.items() if v is not None}))


def a_pickle(file: Path) -> None:
    import pickle

    file.write_bytes(pickle.dumps({"weights": 1}))


SPOILT: dict[str, tuple[Callable[[Path], object], str]] = {
    "is missing": (Path.unlink, "does not exist"),
    "is not stated": (lambda file: file.with_suffix(".json").unlink(), "is not stated"),
    "has a broken statement": (lambda file: file.with_suffix(".json").write_text("["), "is not JSON"),
    "states a list": (lambda file: file.with_suffix(".json").write_text("[]"), "holds no JSON object"),
    "states too little": (lambda file: stated(file, scaling=None), "'scaling' is missing"),
    "states what nobody knows": (lambda file: stated(file, colour="red"), "'colour' is unknown"),
    "states other channels": (lambda file: stated(file, channels=["t1"]), "expected a list of baseline, follow_up"),
    "states too few channels": (lambda file: stated(file, channels=["baseline"]), "takes 3 channels, but its input"),
    "states an odd size": (lambda file: stated(file, size=0), "expected [rows, columns]"),
    "states an odd output": (lambda file: stated(file, output="mask"), "expected logit or probability"),
    "states too many means": (lambda file: stated(file, mean=[1.0]), "one number for each of 3 channels"),
    "states no spread": (lambda file: stated(file, spread=[1, 0, 1]), "expected positive numbers"),
    "states a channel too high": (lambda file: stated(file, channel_of_change=1), "gives 1 channels"),
    "states a negative channel": (lambda file: stated(file, channel_of_change=-1), "expected 0, 1, ..."),
    "is a pickle": (a_pickle, "is a pickle or torch archive"),
    "is cut": (lambda file: file.write_bytes(file.read_bytes()[:80]), "cannot be loaded as an ONNX model"),
    "is empty": (lambda file: file.write_bytes(b""), "cannot be loaded as an ONNX model"),
}


@pytest.mark.parametrize("what", SPOILT)
def test_a_file_that_cannot_be_used_is_refused_in_one_sentence(what: str, tmp_path: Path) -> None:
    file = save_onnx(tmp_path / "model.onnx")
    spoil, sentence = SPOILT[what]
    spoil(file)
    with pytest.raises(BadInput) as refused:
        onnx_teacher(file)
    assert sentence in refused.value.sentence and "\n" not in refused.value.sentence


def test_a_model_of_a_fixed_size_is_refused_where_another_is_stated(tmp_path: Path) -> None:
    file = save_onnx(tmp_path / "model.onnx", size=(32, 48))
    assert isinstance(said_of(onnx_teacher(file), 2), PseudoLabel)
    for said, sentence in (
        ([32, 32], "takes 48 columns, but its input is stated with 32"),
        ({"multiple_of": 16}, "takes 32 rows, but its input is stated with any multiple of 16"),
    ):
        stated(file, size=said)
        with pytest.raises(BadInput, match=sentence):
            onnx_teacher(file)


def test_models_of_other_inputs_and_outputs_are_refused(tmp_path: Path) -> None:
    import onnx
    from onnx import TensorProto, helper

    def saved(kind: int, shape: list[Any], node: Any, out: list[Any], inputs: tuple[str, ...] = ("a",)) -> Path:
        graph = helper.make_graph(
            [node],
            "odd",
            [helper.make_tensor_value_info(name, kind, shape) for name in inputs],
            [helper.make_tensor_value_info("z", kind, out)],
        )
        file = save_onnx(tmp_path / "model.onnx")
        onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), str(file))
        return file

    identity = helper.make_node("Identity", ["a"], ["z"])
    pooled = helper.make_node("GlobalAveragePool", ["a"], ["z"])
    shape = [1, 3, "r", "c"]
    for file, sentence in (
        (lambda: saved(TensorProto.DOUBLE, shape, identity, shape), r"takes tensor\(double\)"),
        (lambda: saved(TensorProto.FLOAT, [1, 3, 8, "r", "c"], identity, [1, 3, 8, "r", "c"]), "expected float32"),
        (
            lambda: saved(TensorProto.FLOAT, shape, helper.make_node("Add", ["a", "b"], ["z"]), shape, ("a", "b")),
            "takes 2 inputs",
        ),
        (lambda: saved(TensorProto.FLOAT, shape, pooled, [1, 3, 1, 1]), r"answers with the shape \(1, 3, 1, 1\)"),
    ):
        with pytest.raises(BadInput, match=sentence):
            onnx_teacher(file())


def test_a_model_that_fails_on_what_is_stated_is_refused_when_it_is_loaded(tmp_path: Path) -> None:
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    graph = helper.make_graph(
        [helper.make_node("Reshape", ["a", "shape"], ["z"])],
        "odd",
        [helper.make_tensor_value_info("a", TensorProto.FLOAT, [1, 3, "r", "c"])],
        [helper.make_tensor_value_info("z", TensorProto.FLOAT, [1, 3, 7, 7])],
        [numpy_helper.from_array(np.array([1, 3, 7, 7], np.int64), "shape")],
    )
    file = save_onnx(tmp_path / "model.onnx")
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), str(file))
    with pytest.raises(BadInput, match=r"does not take what is stated, \(1, 3, 64, 64\)"):
        onnx_teacher(file)
