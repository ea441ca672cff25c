"""`lmial simulate` from raw files: a phantom cohort, and a real pair where the scans are there."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from pathlib import Path

import numpy as np

SMALL = ["--seeds", "1", "--rounds", "1", "--steps", "4", "--widths", "4,8", "--start", "scratch"]


def _simulated(place: Path, out: Path, *more: str) -> list[dict[str, str]]:
    command = [sys.executable, "-m", "LMIALLib", "simulate", str(place), "--out", str(out), *SMALL, *more]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr
    assert "report.html" in done.stdout and (out / "report.html").stat().st_size > 100_000
    with open(out / "rounds.csv", newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_a_phantom_cohort_is_prepared_and_simulated(tmp_path: Path, phantom_folder: Path) -> None:
    import SimpleITK as sitk

    parts = {"subject0001": "train", "subject0002": "validation", "subject0003": "test"}
    for name in parts:
        (tmp_path / "cohort" / name).mkdir(parents=True)
        for path in phantom_folder.glob("*.nii.gz"):
            small = sitk.Shrink(sitk.ReadImage(str(path)), [4, 4, 1])
            sitk.WriteImage(small, str(tmp_path / "cohort" / name / path.name))
    subjects = [{"name": name, "part": part, "brain": f"phantom/{name}"} for name, part in parts.items()]
    (tmp_path / "cohort" / "cohort.json").write_text(json.dumps({"subjects": subjects}), encoding="utf-8")
    given = ["--pixel", "5", "--reader", "noisy", "--strategies", "default,random"]
    rows = _simulated(tmp_path / "cohort", tmp_path / "out", *given)
    assert {row["strategy"] for row in rows} == {"default", "random", "full"}
    config = json.loads((tmp_path / "out" / "config.json").read_text(encoding="utf-8"))
    assert [case["part"] for case in config["cases"]] == ["train", "validation", "test"]
    assert config["settings"]["reader"] == "noisy" and config["pool"] > 20
    assert all(4 < side < 6 for case in config["cases"] for side in case["voxel_mm"][1:])
    assert config["cases"][0]["change_voxels"] > 0
    with open(tmp_path / "out" / "chosen.csv", newline="", encoding="utf-8") as file:
        assert {row["case"] for row in csv.DictReader(file)} == {"subject0001"}


def test_a_real_pair_is_simulated(open_ms: Path, tmp_path: Path) -> None:
    import SimpleITK as sitk

    from LMIALLib.datasets.open_ms_patient import open_ms_pair
    from LMIALLib.loop.studies import new_study
    from LMIALLib.pairs.reading import read_volume
    from LMIALLib.pairs.request import PairRequest

    pair = open_ms_pair(open_ms / "longitudinal" / "patient01")
    new_study(tmp_path / "study", "p", PairRequest(baseline=pair.baseline, follow_up=pair.follow_up))
    image = read_volume(pair.follow_up).image
    truth = sitk.GetImageFromArray(pair.truth_on(image).astype(np.uint8))
    truth.CopyInformation(image)
    sitk.WriteImage(truth, str(tmp_path / "truth.nii.gz"))
    given = ["--truth", f"p={tmp_path / 'truth.nii.gz'}", "--pixel", "2", "--strategies", "default"]
    rows = _simulated(tmp_path / "study", tmp_path / "out", *given)
    assert [row["round"] for row in rows] == ["0", "1", "2", "0"] and rows[-1]["fraction"] == "1.000000"
    assert 0.0 <= float(rows[2]["dice_fixed"]) <= 1.0 and float(rows[-1]["foreground_voxels"]) > 50
