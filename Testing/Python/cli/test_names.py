"""Files and folders whose names are not written in UTF-8: read, or named readably in one sentence."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from LMIALLib.cli.console import document, plain
from LMIALLib.errors import BadInput, readable
from LMIALLib.files import sendable, sent
from LMIALLib.pairs.request import PairRequest
from LMIALLib.worker.messages import decode, encode
from LMIALLib.worker.requests import Prepare, read_request, request_message

MULLER = os.fsdecode(b"sub-M\xfcller")
"""As Latin-1 writes it: Python holds the byte as half a character."""

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="other systems take no such names")


def lmial(*words: object) -> subprocess.CompletedProcess[str]:
    """Run ``lmial`` with words, as a process of its own."""
    command = [sys.executable, "-m", "LMIALLib", *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)


def test_a_byte_that_is_no_utf_8_is_shown_as_one() -> None:
    assert readable(f"/data/{MULLER}: gone") == "/data/sub-M\\xfcller: gone"
    assert plain(f"{MULLER}\x1b[2J") == "sub-M\\xfcller\\x1b[2J"
    error = BadInput(f"{MULLER}: gone.", f"See {MULLER}.")
    assert str(error) == "sub-M\\xfcller: gone. See sub-M\\xfcller." == f"{error.args[0]} {error.hint}"


def test_documents_hold_no_half_characters(capsys) -> None:
    document({"folder": MULLER, "ü": "ü"})
    text = capsys.readouterr().out
    assert text.encode() and json.loads(text) == {"folder": "sub-M\\xfcller", "ü": "ü"}


@pytest.mark.parametrize("name", [MULLER, "plain", "a%20b", "Größe #1?", "file:"])
def test_paths_reach_another_process(name) -> None:
    path = Path("/data") / name / "scan.nii.gz"
    assert sent(sendable(path)) == path
    request = PairRequest(path, path, path, (("T1", path, path),))
    asked = Prepare(request, "staged")
    assert read_request(decode(encode(request_message(asked, 1)))) == asked


def test_a_data_set_is_imported_and_a_study_is_refused(tiny_pair: Path, tmp_path: Path) -> None:
    for session, name in (("1", "baseline"), ("2", "follow_up")):
        anat = tmp_path / "bids" / MULLER / f"ses-{session}" / "anat"
        anat.mkdir(parents=True)
        shutil.copy(tiny_pair / f"{name}.nii.gz", anat / f"{MULLER}_ses-{session}_FLAIR.nii.gz")
    done = lmial("import", tmp_path / "study", tmp_path / "bids", "--layout", "bids", "--json")
    assert done.returncode == 0, done.stderr
    (case,) = json.loads(done.stdout)["imported"]
    assert case["case"].startswith("case-") and case["subject"].startswith("subject-")
    scans = [tmp_path / "bids" / MULLER / f"ses-{n}" / "anat" / f"{MULLER}_ses-{n}_FLAIR.nii.gz" for n in (1, 2)]
    for study, baseline, said in (
        (tmp_path / MULLER, scans[0], f"{tmp_path}/sub-M\\xfcller: the name of this folder is not written in UTF-8"),
        (tmp_path / "other", scans[0].with_name("none.nii.gz"), "sub-M\\xfcller/ses-1/anat/none.nii.gz: there is no"),
    ):
        done = lmial("new", study, "--baseline", baseline, "--follow-up", scans[1])
        assert done.returncode == 3 and said in done.stderr and "Traceback" not in done.stderr
        assert not study.exists()
    done = lmial("export", tmp_path / "study", tmp_path / MULLER)
    assert done.returncode == 3 and "sub-M\\xfcller: this name is not written in UTF-8" in done.stderr
    assert not any(tmp_path.glob(f"{MULLER}*"))


def test_remarks_on_a_scan_are_printed(tiny_pair: Path, tmp_path: Path) -> None:
    import nibabel
    import numpy as np

    image = nibabel.load(tiny_pair / "follow_up.nii.gz")
    moved = image.affine.copy()
    moved[0, 3] += 7
    both = nibabel.Nifti1Image(np.asarray(image.dataobj), image.affine)
    both.set_qform(moved, 1)
    nibabel.save(both, tmp_path / "f.nii.gz")
    baseline = tiny_pair / "baseline.nii.gz"
    done = lmial("new", tmp_path / "study", "--baseline", baseline, "--follow-up", tmp_path / "f.nii.gz")
    assert done.returncode == 0, done.stderr
    assert "follow-up: its header gives two places, up to 7 mm apart" in done.stderr
    record = json.loads((tmp_path / "study" / "cases" / "case1" / "pair-1" / "registration.json").read_text())
    assert len(record["registration"]["remarks"]) == 1
