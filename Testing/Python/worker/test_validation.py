"""Which slices judge a new network: those of subjects set aside, read without a suggestion."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from LMIALLib.network.finetuning import Example
from LMIALLib.pairs.geometry import Grid
from LMIALLib.pairs.pair import Pair
from LMIALLib.pairs.storage import save_pair
from LMIALLib.study import NewAnswer, Study
from LMIALLib.worker.requests import Finetune
from LMIALLib.worker.training_job import _validation


def with_cases(folder: Path, count: int) -> Study:
    """A study of so many subjects with noise of 4 x 4 x 4 voxels; a tenth of them is set aside."""
    grid = Grid((4, 4, 4), (1.0, 1.0, 1.0), (0.0, 0.0, 0.0), (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0))
    study, scan = Study.create(folder, reader="r"), np.random.default_rng(0).normal(size=(4, 4, 4)).astype(np.float32)
    for number in range(count):
        staged = study.cases.stage(f"c{number}")
        save_pair(Pair(scan, scan + 1, np.ones(scan.shape, bool), grid, 0), staged / "pair-1")
        (staged / "source").mkdir()
        (staged / "source" / "follow_up.nrrd").write_bytes(b"stands for a volume")
        study.cases.add(f"c{number}", staged)
    return study


def test_only_what_was_drawn_at_random_judges_a_network(tmp_path: Path) -> None:
    """Where patients are finished, the other slices were chosen because the model in use was expected to be wrong."""
    mask, asked = np.zeros((4, 4), np.uint8), list[Example]()
    mask[0, 0] = 2

    class Perfect:
        def probability(self, example: Example) -> np.ndarray:
            asked.append(example)
            return (example.target == 1).astype(np.float32)

    def judged(study: Study) -> Any:
        return _validation(study, Finetune("old", "new", None, 0), Perfect(), Perfect())  # type: ignore[arg-type]

    with with_cases(tmp_path / "study", 12) as study:
        aside = next(case.name for case in study.cases.all() if case.split == "validation")
        for number, drawn in enumerate(("strategy", "reader")):
            study.answers.save(NewAnswer(aside, number, "mask", mask, reader="r", drawn=drawn))
        assert judged(study) is None and not asked
        study.answers.save(NewAnswer(aside, 2, "mask", mask, reader="r", drawn="random"))
        assert judged(study) == (1.0, 1.0)
        assert len(asked) == 2
