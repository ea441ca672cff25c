"""A process that saves annotations and says so after each: ``python saving_child.py STUDY SEED [COUNT]``.

Each acknowledgement is one line, "saved ID SLICE VOXELS", written only after ``save_annotation`` returned, so that the
one who killed it can compare.
"""

from __future__ import annotations

import itertools
import os
import sys

import numpy as np

from LMIALLib.study import NewAnswer, Study


def main(folder: str, seed: int, count: int | None = None) -> None:
    """Save until killed, or ``count`` times."""
    rng = np.random.default_rng(seed)
    with Study.open(folder, reader="child") as study:  # type: ignore[arg-type]
        case = study.cases.all()[0]
        os.write(1, b"ready\n")
        for number in itertools.count() if count is None else range(count):
            mask = (rng.random(case.slice_shape) < 0.2).astype(np.uint8)
            mask[0, 0] = 1
            place = number % case.n_slices
            saved = study.answers.save(NewAnswer(case.name, place, "mask", mask, reader="child"))
            os.write(1, f"saved {saved.id} {place} {int(mask.sum())}\n".encode())


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), *(int(a) for a in sys.argv[3:]))
