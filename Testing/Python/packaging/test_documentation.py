"""The README tells the shortcuts that are obeyed, the packages that are asked for, and only pictures that exist."""

from __future__ import annotations

import re

from packaged import PROJECT

from LMIALLib.desktop.dependencies import SETTING, TORCH, requirements
from LMIALLib.loop.shortcuts import SHORTCUTS

TEXT = (PROJECT / "README.md").read_text(encoding="utf-8")


def test_the_table_of_shortcuts_is_the_one_of_the_loop() -> None:
    section = TEXT.split("\n## Keys")[1].split("\n## ")[0]
    rows = [tuple(row) for row in re.findall(r"^\| (.+?) \| (.+?) \|$", section, re.MULTILINE)][1:]
    assert rows[: len(SHORTCUTS)] == [(s.key + (" (held)" if s.held else ""), s.tip) for s in SHORTCUTS]


def test_the_packages_and_the_setting_are_named_as_they_are() -> None:
    for line in requirements():
        assert re.split(r"[<>=]", line)[0].lower() in TEXT.lower()
    assert f"PyTorch ({TORCH.removeprefix('>=')} or newer)" in " ".join(TEXT.split())
    assert f'"{SETTING}"' in TEXT


def test_links_lead_to_files_that_exist() -> None:
    for target in re.findall(r"\]\((?!https?:|#)([^)#]+)", TEXT):
        assert (PROJECT / target).is_file(), target
