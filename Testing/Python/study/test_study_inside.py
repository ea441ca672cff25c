"""One rule for every path that comes from a study: inside its folder, and no link on the way."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from LMIALLib.errors import BadInput
from LMIALLib.study.inside import check_no_links, inside


@pytest.mark.parametrize("relative", ["cases/a/pair-1/mask.nrrd", "study.sqlite", "models/m1.safetensors"])
def test_plain_paths_lie_inside(tmp_path: Path, relative: str) -> None:
    assert inside(tmp_path, relative) == tmp_path / relative


@pytest.mark.parametrize(
    "relative",
    [
        "", ".", "..", "../x", "a/../../x", "a/..", "a//b", "/etc/passwd", "//server/share", "a/./b", "a/", "C:/x",
        "C:x", "a\\b", "\\\\server\\x", "a\x00b", "a\nb", "a\x1b[2Jb", "a\ud800", "x" * 300, "~/../..", "file:///etc/passwd",
    ],
)  # fmt: skip
def test_paths_that_lead_out_or_are_none_are_refused(tmp_path: Path, relative: str) -> None:
    with pytest.raises(BadInput) as refused:
        inside(tmp_path, relative)
    assert re.sub(re.escape(str(tmp_path)), "", refused.value.sentence).isprintable()


@pytest.mark.parametrize("relative", [None, 3, b"cases", ["a"]])
def test_what_is_no_text_is_refused(tmp_path: Path, relative: object) -> None:
    with pytest.raises(BadInput):
        inside(tmp_path, relative)  # type: ignore[arg-type]


def test_links_on_the_way_are_refused(tmp_path: Path) -> None:
    study, elsewhere = tmp_path / "study", tmp_path / "elsewhere"
    study.mkdir()
    (elsewhere / "a").mkdir(parents=True)
    (elsewhere / "a" / "secret").write_text("x", encoding="utf-8")
    (study / "cases").symlink_to(elsewhere, target_is_directory=True)
    (study / "within").symlink_to("cases")
    for relative in ("cases", "cases/a", "cases/a/secret", "within/a"):
        with pytest.raises(BadInput, match="is a link"):
            inside(study, relative)
    with pytest.raises(BadInput, match="is a link"):
        check_no_links(study)


@pytest.mark.parametrize("kind", ["file", "folder", "broken", "pipe", "socket"])
def test_a_study_with_a_link_or_pipe_anywhere_is_refused(tmp_path: Path, kind: str) -> None:
    study = tmp_path / "study"
    deep = study / "maps" / "m1" / "case" / "pair-1"
    deep.mkdir(parents=True)
    (deep / "mean.nrrd").write_bytes(b"x")
    check_no_links(study)
    foreign = deep / "foreign"
    if kind == "pipe":
        os.mkfifo(foreign)
    elif kind == "socket":
        import socket

        here = Path.cwd()
        os.chdir(deep)  # a socket's path may have 108 characters only
        try:
            socket.socket(socket.AF_UNIX).bind("foreign")
        finally:
            os.chdir(here)
    else:
        foreign.symlink_to({"file": "/etc/passwd", "folder": "/etc", "broken": "nowhere"}[kind])
    with pytest.raises(BadInput, match="foreign"):
        check_no_links(study)


def test_the_study_itself_may_be_reached_by_a_link(tmp_path: Path) -> None:
    (tmp_path / "study" / "cases").mkdir(parents=True)
    (tmp_path / "here").symlink_to("study")
    check_no_links(tmp_path / "here")
    assert inside(tmp_path / "here", "cases/a") == tmp_path / "here" / "cases" / "a"
