"""The names that `LMIALLib` exports: loaded late, known to type checkers, documented with examples that run."""

from __future__ import annotations

import ast
import doctest
import inspect
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import LMIALLib

NAMES = list(LMIALLib._WHERE)
IMPORT_SECONDS = 0.1


def test_the_three_lists_hold_the_same_names() -> None:
    tree = ast.parse(Path(str(LMIALLib.__file__)).read_text(encoding="utf-8"))
    block = next(node for node in tree.body if isinstance(node, ast.If))
    seen = {
        alias.name: node.module for node in block.body if isinstance(node, ast.ImportFrom) for alias in node.names
    }  # fmt: skip
    assert seen == {name: f"LMIALLib.{module}" for name, module in LMIALLib._WHERE.items()}
    assert sorted(LMIALLib.__all__) == sorted([*NAMES, "__version__"])


@pytest.mark.parametrize("name", NAMES)
def test_a_name_is_loaded_and_documented(name: str) -> None:
    found = getattr(LMIALLib, name)
    text = inspect.getdoc(found) or ""
    assert name in dir(LMIALLib)
    assert "Example:\n" in text, "an example that runs"
    if inspect.isfunction(found):
        wanted = [argument for argument in inspect.signature(found).parameters if argument not in text]
        assert not wanted, f"{name} does not document {wanted}"


def test_another_name_is_no_attribute() -> None:
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        LMIALLib.nothing  # noqa: B018


def test_importing_takes_under_a_tenth_of_a_second_and_loads_nothing_heavy() -> None:
    heavy = ("numpy", "SimpleITK", "scipy", "torch", "sqlite3", "LMIALLib.library")
    look = (
        "import sys, time; start = time.perf_counter(); import LMIALLib; "
        f"print(time.perf_counter() - start, [name for name in {heavy} if name in sys.modules])"
    )
    seconds = []
    for _ in range(3):  # on a busy machine one of them is undisturbed
        done = subprocess.run([sys.executable, "-c", look], capture_output=True, text=True, check=True)
        taken, loaded = done.stdout.strip().split(" ", 1)
        assert loaded == "[]"
        seconds.append(float(taken))
    assert min(seconds) < IMPORT_SECONDS


@pytest.mark.usefixtures("two_files")
def test_every_example_runs() -> None:
    """In the order of the work, so that one example goes on where the one before ended."""
    known = {"np": np, "Path": Path, **{name: getattr(LMIALLib, name) for name in NAMES}}
    finder, runner = doctest.DocTestFinder(recurse=False), doctest.DocTestRunner(verbose=False)
    from LMIALLib.pairs.geometry import Grid

    known["Grid"] = Grid
    for name in NAMES:
        for test in finder.find(known[name], name, globs={}):
            test.globs = known
            runner.run(test, clear_globs=False)
    result = runner.summarize(verbose=False)
    assert (result.failed, result.attempted > 40) == (0, True)


def test_the_page_names_every_public_name_and_no_other() -> None:
    page = (Path(__file__).parents[3] / "Docs" / "library.md").read_text(encoding="utf-8")
    table = page.split("\n## Names")[1]
    assert set(re.findall(r"`(\w+)`", table.split("Everything else")[0])) == set(NAMES)
    assert set(re.findall(r"\blmial\.(\w+)", page)) <= set(NAMES)
