"""A layout that another package brings: one file, and nothing else changes."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner

from LMIALLib.cli.main import app
from LMIALLib.datasets import LAYOUTS, list_cases
from LMIALLib.errors import WrongUse

README = Path(__file__).resolve().parents[3] / "README.md"
SIDE_BY_SIDE = """
from pathlib import Path

from LMIALLib.datasets.layout import Layout, LayoutCase, Listing, checked_root


def cases(root: Path) -> Listing:
    found = sorted(checked_root(root).glob("*_before.nii.gz"))
    names = [file.name.removesuffix("_before.nii.gz") for file in found]
    return Listing(tuple(LayoutCase(n, n, f, f.with_name(f"{n}_after.nii.gz")) for n, f in zip(names, found)))


LAYOUT = Layout("side-by-side", cases)
"""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for name in ("anna_before", "anna_after", "bert_before", "bert_after"):
        (tmp_path / f"{name}.nii.gz").touch()
    return tmp_path


def test_a_layout_is_added_in_one_file(install: Callable[..., None], root: Path) -> None:
    install("lmial-side", {"side_by_side.py": SIDE_BY_SIDE}, {"side-by-side": "side_by_side:LAYOUT"}, "lmial.layouts")
    listing = list_cases("side-by-side", root, subjects=["bert"])
    assert [(case.name, case.follow_up.name) for case in listing.cases] == [("bert", "bert_after.nii.gz")]
    with pytest.raises(WrongUse, match="contrast is chosen in the layout bids only, not in side-by-side"):
        list_cases("side-by-side", root, contrast="T1w")
    with pytest.raises(WrongUse, match="use one of bids, msseg2, open-ms, csv, side-by-side"):
        list_cases("martians", root)


def test_the_layout_of_the_readme_works(install: Callable[..., None], tmp_path: Path) -> None:
    section = README.read_text(encoding="utf-8").split("## Your own layout")[1].split("\n## ")[0]
    code = re.search(r"```python\n(.*?)```", section, re.DOTALL)
    entry = re.search(r"`([\w-]+) = \"([\w:]+)\"`", section)
    assert code and entry
    install("lmial-readme", {f"{entry[2].split(':')[0]}.py": code[1]}, {entry[1]: entry[2]}, "lmial.layouts")
    for file in ("data/anna/2019-03-01", "data/anna/2020-03-02", "data/bert/2019-03-01"):
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / f"{file}.nii.gz").touch()
    listing = list_cases(entry[1], tmp_path / "data")
    assert [(case.name, case.dates) for case in listing.cases] == [("anna", ("2019-03-01", "2020-03-02"))]
    assert [remark.case for remark in listing.left_out] == ["bert"]


def test_the_help_of_import_names_every_layout() -> None:
    told = CliRunner().invoke(app, ["import", "--help"], env={"COLUMNS": "400", "TERMINAL_WIDTH": "400"}).stdout
    assert all(name in told for name in LAYOUTS)


def test_none_of_ours_can_be_replaced(install: Callable[..., None], root: Path) -> None:
    thief = SIDE_BY_SIDE.replace("side-by-side", "bids")
    install("lmial-thief", {"layout_thief.py": thief}, {"bids": "layout_thief:LAYOUT"}, "lmial.layouts")
    with pytest.raises(WrongUse, match="layout 'bids' of the package lmial-thief has the name of one of LMIAL's own"):
        list_cases("bids", root)
    assert "bids" in LAYOUTS
