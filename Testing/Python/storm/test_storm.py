"""A small part of the storm (``make storm``): nothing acknowledged is lost and no claim is false, with a fixed seed."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

STORM = Path(__file__).with_name("storm.py")
RUNS = 40
OPERATIONS = "label", "adopt", "remove", "backup"
"""Those that need no other process: the others take seconds each."""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the failing disk is a library for Linux")
def test_nothing_is_lost_and_no_claim_is_false(require_program: Callable[[str, str], str], tmp_path: Path) -> None:
    require_program("gcc", "gcc")
    result = tmp_path / "storm.json"
    options = ["--runs", str(RUNS), "--seed", "16", "--json", str(result), "--operations", *OPERATIONS]
    done = subprocess.run(
        [sys.executable, str(STORM), *options], capture_output=True, text=True, timeout=600, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    runs = json.loads(result.read_text())["runs"]
    struck = [run for run in runs if run["ended"]["moment"]]
    assert len(runs) == RUNS and len(struck) > 0.9 * RUNS, (
        "a full disk does not strike the last calls: they need no room"
    )
    assert {run["fault"]["kind"] for run in runs} == {"SIGKILL", "SIGINT", "SIGTERM", "EIO", "ENOSPC"}
