"""From the words of a person to a loaded teacher."""

from __future__ import annotations

from pathlib import Path

from LMIALLib.errors import WrongUse
from LMIALLib.pipeline.teachers.teacher import Teacher

FORMS = "default, sam:FOLDER, nninteractive:FOLDER or onnx:FILE"


def teacher_named(
    words: str, *, device: str = "auto", threads: int | None = None, onnx_input: Path | None = None
) -> Teacher:
    """Load the teacher that ``words`` name, all checks done, so that nothing fails later that could be known now.

    Args:
        words: ``default``, ``sam:FOLDER``, ``nninteractive:FOLDER`` or ``onnx:FILE``.
        device: "cpu", "cuda" or "auto"; an ONNX file runs on the CPU.
        threads: CPU threads; None keeps the library's own number.
        onnx_input: what states the input of an ONNX file; by default the JSON file of the same name beside it.

    Raises WrongUse for other words or a missing package, BadInput for weights that cannot be used.
    """
    kind, colon, place = words.partition(":")
    if onnx_input is not None and kind != "onnx":
        raise WrongUse(f"--onnx-input states the input of an ONNX file, but the teacher is {words!r}.")
    if words == "default":
        from LMIALLib.pipeline.teachers.bundled import bundled_teacher

        return bundled_teacher(device, threads)
    if kind not in ("sam", "nninteractive", "onnx") or not (colon and place):
        raise WrongUse(f"The teacher {words!r} is unknown.", f"Use {FORMS}.")
    if kind == "sam":
        from LMIALLib.pipeline.teachers.sam import sam_teacher

        return sam_teacher(Path(place), device, threads)
    if kind == "nninteractive":
        from LMIALLib.pipeline.teachers.nninteractive import nninteractive_teacher

        return nninteractive_teacher(Path(place), device, threads)
    from LMIALLib.pipeline.teachers.onnx_segmenter import onnx_teacher

    return onnx_teacher(Path(place), onnx_input, threads)
