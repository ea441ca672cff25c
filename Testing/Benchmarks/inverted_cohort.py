"""A cohort as far from FLAIR as its own brains allow: every contrast turned round, so that lesions are dark.

    python Testing/Benchmarks/inverted_cohort.py COHORT OUT

Each visit becomes its 99.9th percentile minus itself, cut at 0; truth and brain stay. Only subjects for training and
test are taken.
"""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import numpy as np
import SimpleITK as sitk


def main(cohort: Path, out: Path) -> None:
    """Write the inverted cohort, its index last."""
    index = json.loads((cohort / "cohort.json").read_text(encoding="utf-8"))
    subjects = [subject for subject in index["subjects"] if subject["part"] != "validation"]
    for name in (subject["name"] for subject in subjects):
        (out / name).mkdir(parents=True, exist_ok=True)
        for visit in ("baseline.nii.gz", "follow_up.nii.gz"):
            image = sitk.ReadImage(str(cohort / name / visit), sitk.sitkFloat32)
            values = sitk.GetArrayFromImage(image)
            turned = sitk.GetImageFromArray(np.maximum(np.percentile(values, 99.9) - values, 0).astype(np.float32))
            turned.CopyInformation(image)
            sitk.WriteImage(turned, str(out / name / visit))
        for same in ("truth.nii.gz", "brain.nii.gz"):
            shutil.copyfile(cohort / name / same, out / name / same)
    words = {**index, "command": f"inverted_cohort.py of: {index['command']}", "subjects": subjects}
    (out / "cohort.json").write_text(json.dumps(words, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit("Two folders are needed: python Testing/Benchmarks/inverted_cohort.py COHORT OUT")
    main(Path(sys.argv[1]), Path(sys.argv[2]))
