"""The scripts of the benchmarks import one another by their bare names, as Python runs them."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[2] / "Benchmarks"))
