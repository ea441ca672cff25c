"""The suite of the module in the real application.

    Slicer --no-splash --testing --python-script Testing/Slicer/run.py

The last line is `N passed, N failed, N skipped`; the exit code is 0 only if nothing failed and at least
`face_test.EXPECTED` tests ran. Screenshots go to LMIAL_SCREENSHOTS, by default a new folder that is printed.
"""

import sys
from pathlib import Path

import slicer

# Slicer runs a script in the namespace of its console, where whatever loads a module takes names away again: so the
# tests are a module of their own.
sys.path.insert(0, str(Path(__file__).resolve().parent))
import face_test

if __name__ == "__main__" and slicer.app.commandOptions().pythonScript:
    failed = face_test.main()
    import sys  # again, because Slicer's own end of a script needs it there

    slicer.util.exit(0 if failed == 0 else 1)
