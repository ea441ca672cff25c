"""A type checker that knows nothing of this project sees the types of the installed package (PEP 561)."""

from __future__ import annotations

import os
import subprocess
import sys
import venv
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[3]
SCRIPT = """import LMIALLib as lmial
pair = lmial.prepare("baseline.nii.gz", "follow_up.nii.gz")
reveal_type(lmial.predict(pair).passes)
"""


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Python of a new environment in which the package is installed editable, and nothing else is."""
    folder = tmp_path_factory.mktemp("outside")
    venv.create(folder, with_pip=False)
    scripts = folder / ("Scripts" if os.name == "nt" else "bin")
    python = scripts / Path(sys.executable).name
    look = "import sysconfig; print(sysconfig.get_path('purelib'))"
    place = subprocess.run([python, "-c", look], capture_output=True, text=True, check=True).stdout.strip()
    (Path(place) / "lmial.pth").write_text(f"{PROJECT}\n", encoding="utf-8")
    return python


def checked(python: Path, folder: Path, text: str) -> str:
    """What mypy says of a script outside of the project."""
    (folder / "script.py").write_text(text, encoding="utf-8")
    options = ["--python-executable", str(python), "--config-file", os.devnull, "--cache-dir", str(folder / "cache")]
    bare = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "MYPYPATH")}
    done = subprocess.run(
        [sys.executable, "-m", "mypy", *options, "script.py"], cwd=folder, env=bare, capture_output=True, text=True
    )
    return done.stdout


def test_three_lines_are_typed_and_a_wrong_argument_is_found(python: Path, tmp_path: Path) -> None:
    found = checked(python, tmp_path, SCRIPT + "lmial.rank(pair, pair)\nlmial.nothing\n")
    assert 'script.py:3: note: Revealed type is "int"' in found.replace("builtins.", "")
    assert 'script.py:4: error: Argument 2 to "rank" has incompatible type "Pair"; expected "Prediction"' in found
    assert 'script.py:5: error: Module has no attribute "nothing"' in found
    assert "py.typed" not in found and "missing library stubs" not in found


def test_the_marker_lies_in_the_package_and_nothing_keeps_it_out_of_a_wheel() -> None:
    import tomllib

    wheel = tomllib.loads((PROJECT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["hatch"]["build"]["targets"]
    assert (PROJECT / "LMIALLib" / "py.typed").is_file()
    assert wheel["wheel"]["packages"] == ["LMIALLib"] and not {"exclude", "only-include"} & wheel["wheel"].keys()
