"""What the commands say of a pair in which no brain was found, and the region that is chosen instead."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from LMIALLib.study.report import report_page
from LMIALLib.study.store import Study


def lmial(*words: object) -> subprocess.CompletedProcess[str]:
    """Run ``lmial`` with words, as a process of its own; rich breaks no line."""
    command = [sys.executable, "-m", "LMIALLib", *map(str, words)]
    return subprocess.run(
        command, capture_output=True, text=True, timeout=300, env={**os.environ, "COLUMNS": "1000"}, check=False
    )


def trunk(folder: Path, name: str, changed: bool) -> Path:
    """CT of a trunk, 40 x 28 x 18 cm of 5 mm voxels, with a hole in which something may appear."""
    rng = np.random.default_rng(int(changed))
    z, y, x = np.meshgrid(*(5.0 * (np.arange(n) - (n - 1) / 2) for n in (36, 56, 80)), indexing="ij")
    grey = np.where((x / 180) ** 2 + (y / 120) ** 2 <= 1, 40.0, -1000.0)
    grey[((np.abs(x) - 80) / 60) ** 2 + (y / 85) ** 2 <= 1] = -850
    if changed:
        grey[(x - 80) ** 2 + y**2 + z**2 < 20**2] = 30
    image = sitk.GetImageFromArray((grey + rng.normal(0, 20, grey.shape)).astype(np.int16))
    image.SetSpacing((5.0, 5.0, 5.0))
    sitk.WriteImage(image, str(folder / name))
    return folder / name


def test_no_brain_is_said_everywhere_and_everything_can_be_searched(tmp_path: Path) -> None:
    study = tmp_path / "study"
    scans = trunk(tmp_path, "b.nii.gz", False), trunk(tmp_path, "f.nii.gz", True)
    made = lmial("new", study, "--baseline", scans[0], "--follow-up", scans[1])
    assert made.returncode == 0, made.stderr
    assert "case1: No brain was found in the follow-up" in made.stderr and "lmial region" in made.stderr
    assert "case1: Both scans look unlike the FLAIR and T1 scans of heads" in made.stderr
    shown = json.loads(lmial("status", study, "--json").stdout)["alarms"]
    assert [alarm["about"] for alarm in shown["case1"]] == ["region", "family"]
    assert "No brain was found" in lmial("status", study).stderr
    with Study.open(study, read_only=True) as opened:
        page = report_page(opened, opened.cases.all(), lesions={"case1": ()})
    assert page.count("class=warn") == 2 and "No brain was found" in page
    before = {path: path.read_bytes() for path in (study / "cases" / "case1").rglob("*") if path.is_file()}

    for words in ((), ("--brain", "--everything"), ("--everything", "--mask", scans[0])):
        refused = lmial("region", study, "--case", "case1", *words)
        assert refused.returncode == 2 and "Say one region" in refused.stderr and "Traceback" not in refused.stderr
    assert lmial("region", study, "--case", "case1", "--mask", tmp_path / "no.nii").returncode == 3
    done = lmial("region", study, "--case", "case1", "--everything")
    assert done.returncode == 0 and "the whole volume is searched, 20160 ml" in done.stdout, done.stderr
    assert "No brain" not in done.stderr and "unlike" in done.stderr
    assert {path: path.read_bytes() for path in before} == before, "nothing is overwritten"
    assert "region changed" in lmial("history", study).stdout and lmial("check", study).returncode == 0

    ranked = lmial("rank", study, "--top", 1, "--strategy", "entropy")
    assert ranked.returncode == 0 and "rank by difference alone" in ranked.stderr, ranked.stderr
    assert "--strategy foreground-random-difference" in ranked.stderr
    other = lmial("rank", study, "--top", 1, "--strategy", "foreground-random-difference")
    assert other.returncode == 0 and "lmial rank" not in other.stderr
