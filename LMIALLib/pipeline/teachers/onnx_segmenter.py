"""A teacher from any ONNX file that segments slices, run by onnxruntime on the CPU; see `onnx_input.OnnxInput`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from LMIALLib.errors import BadInput, WrongUse, first_line
from LMIALLib.pairs.pair import Pair
from LMIALLib.pipeline.teachers.onnx_files import files_of
from LMIALLib.pipeline.teachers.onnx_input import OnnxInput
from LMIALLib.pipeline.teachers.teacher import Check, PseudoLabel, attempted, margin
from LMIALLib.pipeline.weight_files import files_digest, is_pickle, teacher_id

BLANK = (64, 64)
"""Slice that a model of any size is tried on when it is loaded."""
SIDES = ("rows", "columns")
SLACK = 1e-3
"""By which a stated probability may miss 0 and 1 through rounding."""


@dataclass(frozen=True)
class OnnxSegmenter:
    """An ONNX file as a teacher. Its confidence is |2 p - 1|: whether its p can be trusted is not known."""

    session: Any
    stated: OnnxInput
    made_by: dict[str, Any]
    id: str

    def judged(self, pair: Pair, slices: Sequence[int], check: Check) -> Iterator[tuple[int, PseudoLabel | str]]:
        """As `Teacher.judged`, one slice after another."""
        channels = self.stated.scaled_channels(pair)
        brain = pair.stack(pair.mask)
        for number in slices:
            check()

            def judge(number: int = number) -> PseudoLabel | str:
                return self._judged_slice(np.stack([channel[number] for channel in channels]), brain[number])

            yield number, attempted(judge)

    def _judged_slice(self, channels: np.ndarray, brain: np.ndarray) -> PseudoLabel | str:
        from LMIALLib.network.slices import resized

        shape = brain.shape
        frame = self.stated.frame(shape)
        fed = np.zeros((len(channels), *frame), np.float32)
        if self.stated.size is None:
            fed[:, : shape[0], : shape[1]] = channels
        else:
            fed[:] = resized(channels, frame)
        mean, spread = (np.array(v, np.float32)[:, None, None] for v in (self.stated.mean, self.stated.spread))
        answer = answered(self.session, ((fed - mean) / spread)[None])
        if answer.shape[0] != 1 or answer.ndim != 4 or answer.shape[2:] != frame:
            return f"The teacher answered with the shape {answer.shape} to slices of {frame}."
        p = change_of(answer[0], self.stated)
        if not np.isfinite(p).all():
            return "The teacher's answer holds values that are not finite numbers."
        if p.min() < -SLACK or p.max() > 1 + SLACK:
            return f"The teacher's output is stated as a probability but runs from {p.min():.3g} to {p.max():.3g}."
        p = p[: shape[0], : shape[1]] if self.stated.size is None else resized(p[None], (shape[0], shape[1]))[0]
        p = np.where(brain, np.clip(p, 0, 1), 0).astype(np.float32)
        return PseudoLabel(p, margin(p))


def change_of(answer: np.ndarray, stated: OnnxInput) -> np.ndarray:
    """Probability of change, float32 (rows, columns), from what a model gives (classes, rows, columns)."""
    from scipy.special import expit, softmax

    values = answer.astype(np.float32)
    if stated.output == "logit":
        values = expit(values) if len(values) == 1 else softmax(values, axis=0)
    return values[stated.channel_of_change]


def answered(session: Any, fed: np.ndarray) -> np.ndarray:
    """A session's first output for one input."""
    return np.asarray(session.run([session.get_outputs()[0].name], {session.get_inputs()[0].name: fed})[0])


def onnx_teacher(file: Path, statement: Path | None = None, threads: int | None = None) -> OnnxSegmenter:
    """An ONNX file as a teacher; ``statement`` states its input, by default the JSON file of the same name beside it.

    Raises BadInput when a file is missing, is no ONNX model, or does not take and give what is stated; WrongUse when
    onnxruntime is not installed.
    """
    file = Path(file).absolute()
    if not file.is_file():
        raise BadInput(f"The ONNX file {file} does not exist.")
    stated = OnnxInput.from_file(_statement(file, statement))
    try:
        import onnxruntime
    except ImportError as error:
        raise WrongUse(
            "An ONNX file as teacher needs onnxruntime, which is not installed.", "pip install 'lmial[teachers]'"
        ) from error
    if is_pickle(file):
        raise BadInput(f"{file} is a pickle or torch archive, not an ONNX model.", "Export the model to ONNX.")
    files = files_of(file)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.inter_op_num_threads = 1
    options.intra_op_num_threads = threads or 0
    try:
        session = onnxruntime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # the library raises a class of its own for each kind of damage
        raise BadInput(f"{file} cannot be loaded as an ONNX model ({first_line(error)}).") from error
    _check(session, stated, file)
    settings = asdict(stated)
    digest = files_digest(files)
    made_by = {
        "kind": "onnx",
        "weights": digest,
        "settings": settings,
        "versions": {"onnxruntime": onnxruntime.__version__},
        "device": "cpu",
    }
    return OnnxSegmenter(session, stated, made_by, teacher_id("onnx", digest, settings))


def _statement(file: Path, statement: Path | None) -> Path:
    place = Path(statement).absolute() if statement else file.with_suffix(".json")
    if not place.is_file():
        raise BadInput(
            f"What {file.name} takes is not stated: {place} does not exist.", "Write it, or name it with --onnx-input."
        )
    return place


def _check(session: Any, stated: OnnxInput, file: Path) -> None:
    """Hold what a model declares, and what it answers to a blank slice, against what is stated."""
    inputs = session.get_inputs()
    if len(inputs) != 1:
        raise BadInput(f"{file} takes {len(inputs)} inputs; a teacher takes one, the channels of a slice.")
    kind, declared = inputs[0].type, inputs[0].shape
    if kind != "tensor(float)" or len(declared) != 4:
        raise BadInput(f"{file} takes {kind} of the shape {declared}; expected float32 (1, channels, rows, columns).")
    rows, columns = stated.frame(BLANK)
    wanted = (1, len(stated.channels), rows, columns)
    for name, found, want in zip(("slices at a time", "channels", *SIDES), declared, wanted, strict=True):
        if isinstance(found, int) and (found != want or (stated.size is None and name in SIDES)):
            stated_size = (
                f"any multiple of {stated.multiple_of}" if stated.size is None and name in SIDES else str(want)
            )
            raise BadInput(f"{file} takes {found} {name}, but its input is stated with {stated_size}.")
    try:
        answer = answered(session, np.zeros(wanted, np.float32))
    except Exception as error:
        raise BadInput(f"{file} does not take what is stated, {wanted} ({first_line(error)}).") from error
    if answer.ndim != 4 or answer.shape[0] != 1 or answer.shape[2:] != wanted[2:]:
        raise BadInput(
            f"{file} answers with the shape {answer.shape}; expected (1, classes, {wanted[2]}, {wanted[3]})."
        )
    if stated.channel_of_change >= answer.shape[1]:
        raise BadInput(
            f"{file} gives {answer.shape[1]} channels, but channel_of_change is stated as {stated.channel_of_change}."
        )
