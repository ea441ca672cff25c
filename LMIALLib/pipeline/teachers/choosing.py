"""From the words of a person to a loaded teacher: the sources of pseudo-labels by their names.

To add one, write its teacher in a file of its own and name it in `SOURCES`; or in a package of your own, and name it as
an entry point of the group ``lmial.pseudo_labels``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from LMIALLib.errors import WrongUse
from LMIALLib.installed import Group
from LMIALLib.pipeline.teachers.teacher import Teacher


@dataclass(frozen=True)
class Wanted:
    """How a teacher is wanted.

    Args:
        place: what stands behind the colon, an empty string where nothing does.
        device: "cpu", "cuda" or "auto".
        threads: CPU threads; None keeps the library's own number.
        statement: the file that states the input of an ONNX file; None: the one beside it.
    """

    place: str = ""
    device: str = "auto"
    threads: int | None = None
    statement: Path | None = None


@dataclass(frozen=True)
class Source:
    """Where pseudo-labels come from.

    Args:
        name: as people give it, before the colon.
        load: makes the teacher, all checks done, so that nothing fails later that could be known now. Raises WrongUse
            for a missing package, BadInput for weights that cannot be used.
        place: what stands behind the colon, in a word ("FOLDER"); an empty string where nothing does.
    """

    name: str
    load: Callable[[Wanted], Teacher]
    place: str = ""

    @property
    def form(self) -> str:
        """How it is given."""
        return f"{self.name}:{self.place}" if self.place else self.name


def _bundled(wanted: Wanted) -> Teacher:
    from LMIALLib.pipeline.teachers.bundled import bundled_teacher

    return bundled_teacher(wanted.device, wanted.threads)


def _sam(wanted: Wanted) -> Teacher:
    from LMIALLib.pipeline.teachers.sam import sam_teacher

    return sam_teacher(Path(wanted.place), wanted.device, wanted.threads)


def _nninteractive(wanted: Wanted) -> Teacher:
    from LMIALLib.pipeline.teachers.nninteractive import nninteractive_teacher

    return nninteractive_teacher(Path(wanted.place), wanted.device, wanted.threads)


def _onnx(wanted: Wanted) -> Teacher:
    from LMIALLib.pipeline.teachers.onnx_segmenter import onnx_teacher

    return onnx_teacher(Path(wanted.place), wanted.statement, wanted.threads)


SOURCES = {
    source.name: source
    for source in (
        Source("default", _bundled),
        Source("sam", _sam, "FOLDER"),
        Source("nninteractive", _nninteractive, "FOLDER"),
        Source("onnx", _onnx, "FILE"),
    )
}
INSTALLED = Group("lmial.pseudo_labels", "source of pseudo-labels", Source)
"""What installed packages bring."""


def teacher_named(
    words: str, *, device: str = "auto", threads: int | None = None, onnx_input: Path | None = None
) -> Teacher:
    """Load the teacher that ``words`` name, all checks done.

    Args:
        words: name of a source, and behind a colon the place that it wants: ``default``, ``sam:FOLDER``,
            ``nninteractive:FOLDER``, ``onnx:FILE``, or what installed packages bring.
        device: "cpu", "cuda" or "auto"; an ONNX file runs on the CPU.
        threads: CPU threads; None keeps the library's own number.
        onnx_input: what states the input of an ONNX file; by default the JSON file of the same name beside it.

    Raises WrongUse for other words or a missing package, BadInput for weights that cannot be used.
    """
    name, colon, place = words.partition(":")
    if onnx_input is not None and name != "onnx":
        raise WrongUse(f"--onnx-input states the input of an ONNX file, but the teacher is {words!r}.")
    installed = INSTALLED.by_name()
    source = INSTALLED.load(installed[name], taken=SOURCES) if name in installed else SOURCES.get(name)
    if source is None or bool(place) != bool(source.place) or (colon and not place):
        forms = [one.form for one in SOURCES.values()] + list(installed)
        raise WrongUse(f"The teacher {words!r} is unknown.", f"Use {', '.join(forms[:-1])} or {forms[-1]}.")
    return source.load(Wanted(place, device, threads, onnx_input))
