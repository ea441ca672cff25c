"""The command line's own words come at once: nothing heavy is imported before a command needs it."""

from __future__ import annotations

import subprocess
import sys


def test_the_help_needs_none_of_the_heavy_libraries() -> None:
    heavy = ("numpy", "SimpleITK", "scipy", "torch", "nibabel", "pydicom", "skimage", "sklearn")
    look = f"import sys, LMIALLib.cli.main; print([name for name in {heavy} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", look], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
