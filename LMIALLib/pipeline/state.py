"""What the pipeline has done in a study: ``pipeline.json``, written whole after each stage."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Self, TypeVar

from LMIALLib.errors import BadInput, Do, Step, disk_errors
from LMIALLib.files import written_whole
from LMIALLib.json_data import read_json, shaped
from LMIALLib.pipeline.settings import PipelineSettings
from LMIALLib.pipeline.user_key import is_sealed, seal
from LMIALLib.study.clock import now
from LMIALLib.study.inside import inside
from LMIALLib.study.kept import PIPELINE_STATE

FORMAT = 1
T = TypeVar("T")


@dataclass(frozen=True)
class Finished:
    """A finished stage.

    Args:
        key: SHA-256 of what it depends on.
        result: JSON-ready, for the stages that follow.
        sentence: its summary, for a person.
        finished: when, UTC.
    """

    key: str
    result: dict[str, Any]
    sentence: str
    finished: str


@dataclass(frozen=True)
class PipelineState:
    """Settings and finished stages of a study's pipeline.

    Args:
        settings: of the run.
        stages: by name.
        own: whether this user named the folders that the settings name, on this computer; False for a file that
            came with a study from elsewhere.
    """

    settings: PipelineSettings
    stages: dict[str, Finished] = field(default_factory=dict)
    own: bool = True

    @classmethod
    def read(cls, folder: Path) -> Self | None:
        """The state of a study, or None where its pipeline never began. Raises BadInput where the file is broken."""
        file = inside(folder, PIPELINE_STATE)
        try:
            found = read_json(file, _Stored)
            settings = PipelineSettings.from_dict(found.settings, f"{file}: settings")
        except FileNotFoundError:
            return None
        except BadInput as error:
            raise BadInput(
                f"{file} is broken. {error.sentence}",
                "Remove it: finished trainings and labels are found again by themselves.",
            ) from error
        if found.format > FORMAT:
            raise BadInput(f"{file} was written by a newer LMIAL.")
        return cls(settings, found.stages, is_sealed(_places(settings), found.seal))

    def write(self, folder: Path) -> None:
        """Put it on the disk, whole."""
        stored = {
            "format": FORMAT,
            "settings": self.settings.to_dict(),
            "stages": {name: asdict(stage) for name, stage in self.stages.items()},
            "seal": seal(_places(self.settings)) if self.own else "",
        }
        file = inside(folder, PIPELINE_STATE)
        with disk_errors("writing the state of the pipeline"), written_whole(file) as temporary:
            temporary.write_text(json.dumps(stored, indent=1), encoding="utf-8")

    def check_places(self, given: Mapping[str, Any]) -> None:
        """Raise BadInput where only a study from elsewhere names a folder of weights.

        ``given`` are the options of this run by name, None for those that were not given.
        """
        for name in ("teacher", "embedding"):
            words = str(getattr(self.settings, name))
            if ":" in words and given.get(name) is None and not self.own:
                raise BadInput(
                    f"this study names the {name} {words[:200]!a}, files on this computer that you have not named "
                    "yourself.",
                    f"If you trust them: --{name} {words[:200]}. Otherwise name another.",
                )

    def result(self, stage: str) -> dict[str, Any]:
        """What a finished stage left. Raises BadInput where it is not finished."""
        if stage not in self.stages:
            raise BadInput(
                f"the stage {stage} of this study's pipeline is not finished.",
                "Do it first.",
                Step(Do.PIPELINE_STAGE, stage=stage),
            )
        return dict(self.stages[stage].result)

    def left(self, stage: str, name: str, shape: type[T]) -> T:
        """One thing that a finished stage left, as ``shape``. Raises BadInput where it is not finished, or left
        something else."""
        found = self.result(stage)
        where = f"{PIPELINE_STATE}: stages.{stage}.result"
        return shaped(found.get(name), shape, f"{where}.{name}")

    def finished(self, stage: str, depends: dict[str, Any]) -> bool:
        """Whether a stage was finished with the very same inputs."""
        return stage in self.stages and self.stages[stage].key == key_of(depends)

    def with_stage(self, stage: str, depends: dict[str, Any], sentence: str, result: dict[str, Any]) -> Self:
        """The state after a stage."""
        done = Finished(key_of(depends), result, sentence, now())
        return replace(self, stages={**self.stages, stage: done})


@dataclass(frozen=True)
class _Stored:
    format: int
    settings: dict[str, Any]
    stages: dict[str, Finished]
    seal: str = ""


def _places(settings: PipelineSettings) -> bytes:
    """What the seal of a file covers: which files elsewhere the settings name."""
    return b"weights of LMIAL's pipeline 1\n" + json.dumps([settings.teacher, settings.embedding]).encode()


def key_of(depends: dict[str, Any]) -> str:
    """SHA-256 over JSON-ready values."""
    return hashlib.sha256(json.dumps(depends, sort_keys=True).encode()).hexdigest()
