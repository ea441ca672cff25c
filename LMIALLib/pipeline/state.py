"""What the pipeline has done in a study: ``pipeline.json``, written whole after each stage."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Self

from LMIALLib.errors import BadInput, disk_errors
from LMIALLib.files import written_whole
from LMIALLib.pipeline.settings import PipelineSettings
from LMIALLib.study.clock import now

FILE = "pipeline.json"
FORMAT = 1


@dataclass(frozen=True)
class PipelineState:
    """Settings and finished stages of a study's pipeline.

    Args:
        settings: of the run.
        stages: by name: key (SHA-256 of what it depends on), result (JSON-ready), sentence, finished (UTC time).
    """

    settings: PipelineSettings
    stages: dict[str, dict[str, Any]] = field(default_factory=dict)

    @classmethod
    def read(cls, folder: Path) -> Self | None:
        """The state of a study, or None where its pipeline never began. Raises BadInput where the file is broken."""
        file = folder / FILE
        if not file.is_file():
            return None
        try:
            found = json.loads(file.read_text(encoding="utf-8"))
            if found["format"] > FORMAT:
                raise BadInput(f"{file} was written by a newer LMIAL.")
            return cls(PipelineSettings.from_dict(found["settings"]), dict(found["stages"]))
        except (ValueError, KeyError, TypeError, OSError) as error:
            raise BadInput(
                f"{file} is broken.", "Remove it: finished trainings and labels are found again by themselves."
            ) from error

    def write(self, folder: Path) -> None:
        """Put it on the disk, whole."""
        told = {"format": FORMAT, "settings": self.settings.to_dict(), "stages": self.stages}
        with disk_errors("writing the state of the pipeline"), written_whole(folder / FILE) as temporary:
            temporary.write_text(json.dumps(told, indent=1), encoding="utf-8")

    def result(self, stage: str) -> dict[str, Any]:
        """What a finished stage left. Raises BadInput where it is not finished."""
        if stage not in self.stages:
            raise BadInput(
                f"the stage {stage} of this study's pipeline is not finished.",
                f"Do it first: lmial pipeline STUDY --stage {stage}",
            )
        return dict(self.stages[stage]["result"])

    def finished(self, stage: str, depends: dict[str, Any]) -> bool:
        """Whether a stage was finished with the very same inputs."""
        return stage in self.stages and self.stages[stage]["key"] == key_of(depends)

    def with_stage(self, stage: str, depends: dict[str, Any], sentence: str, result: dict[str, Any]) -> Self:
        """The state after a stage."""
        done = {"key": key_of(depends), "finished": now(), "sentence": sentence, "result": result}
        return replace(self, stages={**self.stages, stage: done})


def key_of(depends: dict[str, Any]) -> str:
    """SHA-256 over JSON-ready values."""
    return hashlib.sha256(json.dumps(depends, sort_keys=True).encode()).hexdigest()
