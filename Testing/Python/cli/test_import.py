"""``lmial import``: whole data sets into a study; what is broken names itself, what was stopped goes on."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from LMIALLib.study import UNREAD, Study
from LMIALLib.study.checks import check_study
from LMIALLib.study.targets import training_examples

NAMES = {
    "baseline": "flair_time01_on_middle_space.nii.gz",
    "follow_up": "flair_time02_on_middle_space.nii.gz",
    "truth": "ground_truth.nii.gz",
    "brain": "brain_mask.nii.gz",
}


def lmial(*words: object) -> subprocess.CompletedProcess[str]:
    """Run ``lmial`` with words, as a process of its own."""
    command = [sys.executable, "-m", "LMIALLib", *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)


def msseg2_patient(tiny_pair: Path, folder: Path) -> Path:
    """One patient as MSSEG-2 lies, made of the tiny pair."""
    folder.mkdir(parents=True)
    for name, file in NAMES.items():
        shutil.copyfile(tiny_pair / f"{name}.nii.gz", folder / file)
    return folder


@pytest.fixture(scope="module")
def msseg2(tmp_path_factory: pytest.TempPathFactory, tiny_pair: Path) -> Path:
    """Six patients: 013 and 100 whole, four with a missing or broken file."""
    root = tmp_path_factory.mktemp("data") / "training"
    for number in ("013", "015", "016", "019", "020", "100"):
        msseg2_patient(tiny_pair, root / number)
    (root / "015" / NAMES["follow_up"]).unlink()
    (root / "016" / NAMES["baseline"]).write_bytes(b"not gzip")
    (root / "019" / NAMES["truth"]).write_bytes((tiny_pair / "truth.nii.gz").read_bytes()[:200])
    shutil.copyfile(root / "020" / NAMES["baseline"], root / "020" / NAMES["follow_up"])
    return root


def test_a_data_set_with_broken_files_becomes_a_study(msseg2: Path, tiny_pair: Path, tmp_path: Path) -> None:
    study = tmp_path / "new" / "study"
    done = lmial("import", study, msseg2, "--layout", "msseg2")
    assert done.returncode == 0, done.stderr
    assert "2 cases imported, 4 left out." in done.stdout and "Traceback" not in done.stderr
    lines = [line for line in done.stderr.splitlines() if line]
    assert {line.split(":")[0] for line in lines} == {"015", "016", "019", "020"} and len(lines) == 4
    for fragment in (NAMES["follow_up"], NAMES["baseline"], NAMES["truth"], "same image"):
        assert fragment in done.stderr
    with Study.open(study, read_only=True) as opened:
        assert [(c.name, c.subject, c.covered) for c in opened.cases.all()] == [
            ("013", "013", (2,)),
            ("100", "100", (2,)),
        ]
        assert check_study(opened) == () and opened.answers.all() == () and training_examples(opened) == ()
        truth, pair = opened.truths.read("013"), opened.cases.load_pair("013")
    blocks = sitk.GetArrayFromImage(sitk.ReadImage(str(tiny_pair / "blocks.nii.gz")))
    assert truth is not None and np.array_equal(truth == 2, blocks == 2), "new where the expert marked"
    assert (truth[blocks == 5] == UNREAD).mean() > 0.5, "what got darker is ignored, not negative"
    assert (truth[pair.mask] == UNREAD).mean() < 0.05
    assert json.loads(lmial("status", study, "--json").stdout)["cases"][0]["read"] == 0

    again = lmial("import", study, msseg2, "--layout", "msseg2", "--json", "--subjects", "013,015")
    assert again.returncode == 0, "an import that is complete is no failure"
    document = json.loads(again.stdout)
    assert (document["imported"], document["already"]) == ([], ["013"])
    assert [one["case"] for one in document["left_out"]] == ["015"]
    with Study.open(study, read_only=True) as opened:
        assert len(opened.cases.all()) == 2 and len([e for e in opened.log.events() if e.kind == "case added"]) == 2


def test_three_sessions_are_two_pairs_of_one_subject(tiny_pair: Path, tmp_path: Path) -> None:
    root = tmp_path / "bids"
    for session, name in (("1", "baseline"), ("2", "follow_up"), ("3", "baseline")):
        anat = root / "sub-01" / f"ses-{session}" / "anat"
        anat.mkdir(parents=True)
        image = sitk.ReadImage(str(tiny_pair / f"{name}.nii.gz")) + int(session)
        sitk.WriteImage(image, str(anat / f"sub-01_ses-{session}_FLAIR.nii.gz"))
    truth = root / "derivatives" / "x" / "sub-01" / "ses-2" / "anat" / "sub-01_ses-2_desc-change_dseg.nii.gz"
    truth.parent.mkdir(parents=True)
    shutil.copyfile(tiny_pair / "blocks.nii.gz", truth)
    done = lmial("import", tmp_path / "study", root, "--layout", "bids", "--json")
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    assert [(c["case"], c["subject"]) for c in document["imported"]] == [
        ("sub-01_ses-1_ses-2", "sub-01"),
        ("sub-01_ses-2_ses-3", "sub-01"),
    ]
    with Study.open(tmp_path / "study", read_only=True) as study:
        assert {(c.subject, c.split) for c in study.cases.all()} == {("sub-01", "train")}
        assert set(np.unique(study.truths.read("sub-01_ses-1_ses-2"))) == {0, 2, 5}
        assert study.truths.read("sub-01_ses-2_ses-3") is None


def test_an_import_that_was_killed_goes_on(tiny_pair: Path, tmp_path: Path) -> None:
    rows = ["case;subject;baseline;follow_up;mask;truth;covers"]
    pair = ";".join(str(tiny_pair / f"{name}.nii.gz") for name in ("baseline", "follow_up", "brain", "truth"))
    rows += [f"visit-{n};s1;{pair};new" for n in (1, 2, 3)]
    table, study = tmp_path / "pairs.csv", tmp_path / "study"
    table.write_text("\n".join(rows), encoding="utf-8-sig")
    command = [sys.executable, "-m", "LMIALLib", "import", str(study), str(table), "--layout", "csv"]
    running = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    end = time.monotonic() + 60
    while not (study / "study.sqlite").is_file() and time.monotonic() < end:
        time.sleep(0.02)
    running.kill()
    running.wait()
    with Study.open(study, read_only=True) as opened:
        first = {case.name: case.created for case in opened.cases.all()}
    assert 1 <= len(first) < 3
    done = lmial("import", study, table, "--layout", "csv")
    assert done.returncode == 0, done.stderr
    assert f"{3 - len(first)} cases imported, 0 left out, {len(first)} there already." in done.stdout
    with Study.open(study, read_only=True) as opened:
        assert [case.name for case in opened.cases.all()] == ["visit-1", "visit-2", "visit-3"]
        assert {case.name: case.created for case in opened.cases.all()}.items() >= first.items()
        assert check_study(opened) == () and opened.truths.read("visit-1") is not None


def test_a_position_that_was_lost_is_asked_about_and_then_aligned(tiny_pair: Path, tmp_path: Path) -> None:
    image = sitk.ReadImage(str(tiny_pair / "baseline.nii.gz"))
    image.SetOrigin((900.0, -400.0, 250.0))
    sitk.WriteImage(image, str(tmp_path / "lost.nii.gz"))
    rows = ["case,subject,baseline,follow_up,mask,align"]
    scans = f"{tmp_path / 'lost.nii.gz'},{tiny_pair / 'follow_up.nii.gz'},{tiny_pair / 'brain.nii.gz'}"
    rows += [f"asked,s1,{scans},NA", f"told,s2,{scans},centres", f"wrong,s3,{scans},middle"]
    (tmp_path / "pairs.csv").write_text("\n".join(rows))
    done = lmial("import", tmp_path / "study", tmp_path / "pairs.csv", "--layout", "csv", "--json")
    document = json.loads(done.stdout)
    assert [one["case"] for one in document["imported"]] == ["told"]
    assert "its centre onto the follow-up's" in document["imported"][0]["remarks"][0]
    left = {one["case"]: one["sentence"] for one in document["left_out"]}
    assert left.keys() == {"asked", "wrong"} and "centres can be laid on each other" in left["asked"]
    assert "headers or centres" in left["wrong"]
    scans = ("--baseline", tmp_path / "lost.nii.gz", "--follow-up", tiny_pair / "follow_up.nii.gz")
    asked = lmial("add", tmp_path / "study", *scans)
    assert asked.returncode == 3 and "--align centres" in asked.stderr and "Traceback" not in asked.stderr
    assert lmial("add", tmp_path / "study", *scans, "--align", "middle").returncode == 2
    added = lmial("add", tmp_path / "study", *scans, "--mask", tiny_pair / "brain.nii.gz", "--align", "centres")
    assert added.returncode == 0 and "its centre onto the follow-up's" in added.stderr.replace("\n", " ")


def test_nothing_imported_is_bad_input_and_leaves_no_study(msseg2: Path, tmp_path: Path) -> None:
    words = ["import", tmp_path / "study", msseg2, "--layout", "msseg2", "--subjects", "015,016"]
    done = lmial(*words)
    assert done.returncode == 3 and done.stdout == "" and "0 cases imported, 2 left out" in done.stderr
    assert list(tmp_path.iterdir()) == []
    document = json.loads(lmial(*words, "--json").stdout)
    assert [one["case"] for one in document["left_out"]] == ["015", "016"]


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["{out}/study", "{data}", "--layout", "dicom"], 2, "bids, msseg2, open-ms, csv"),
        (["{out}/study", "{data}", "--layout", "msseg2", "--contrast", "T1w"], 2, "contrast"),
        (["{out}/study", "{data}", "--layout", "msseg2", "--subjects", ","], 2, "no subject"),
        (["{out}/study", "{data}", "--layout", "msseg2", "--subjects", "7"], 3, "no subject 7"),
        (["{out}/study", "{data}/none", "--layout", "bids"], 3, "no such folder"),
        (["{data}", "{data}", "--layout", "msseg2"], 3, "not empty"),
    ],
)
def test_what_cannot_be_imported_at_all(words: list[str], code: int, said: str, msseg2: Path, tmp_path: Path) -> None:
    done = lmial("import", *(word.format(out=tmp_path, data=msseg2) for word in words))
    assert done.returncode == code and said in done.stderr and "Traceback" not in done.stderr
    assert done.stdout == "" and not os.listdir(tmp_path)


def test_real_pairs_of_open_ms(open_ms: Path, tmp_path: Path) -> None:
    done = lmial("import", tmp_path / "study", open_ms, "--layout", "open-ms", "--subjects", "patient12,patient04")
    assert done.returncode == 0 and "patient04" in done.stderr, done.stderr
    with Study.open(tmp_path / "study", read_only=True) as study:
        (case,) = study.cases.all()
        truth = study.truths.read("patient12")
    assert truth is not None and (truth == 1).sum() > 1000 and case.covered == (1, 2, 3, 4, 5)
