"""The cases of a simulation with every contrast turned round, as the beginning of another one.

    python Testing/Benchmarks/inverted_cases.py FROM TO [NAME=VALUE ...]

Prepared intensities (median 0, robust spread 1) change their sign within the brain, so that lesions are dark: as far
from FLAIR as the same brains allow. ``lmial simulate ... --out TO --resume`` goes on with the settings of FROM, those
replaced that are named.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from LMIALLib.evaluation.laboratory.subjects import load_subject, save_subject, stacked_pair


def main(before: Path, after: Path, replaced: Mapping[str, str]) -> None:
    """Write the inverted cases, then what the simulation is asked."""
    (after / "cases").mkdir(parents=True)
    for path in sorted((before / "cases").glob("*.npz")):
        subject = load_subject(path)
        pair = subject.pair
        turned = stacked_pair(-pair.baseline * pair.mask, -pair.follow_up * pair.mask, pair.mask, subject.voxel_mm)
        save_subject(replace(subject, pair=turned), after / "cases" / path.name)
    asked = json.loads((before / "config.json").read_text(encoding="utf-8"))["asked"]
    asked["settings"].update(replaced)
    (after / "config.json").write_text(json.dumps({"asked": asked}) + "\n", encoding="utf-8")


if __name__ == "__main__":
    if len(sys.argv) < 3:
        sys.exit("Two folders are needed: python Testing/Benchmarks/inverted_cases.py FROM TO")
    main(Path(sys.argv[1]), Path(sys.argv[2]), dict(word.split("=", 1) for word in sys.argv[3:]))
