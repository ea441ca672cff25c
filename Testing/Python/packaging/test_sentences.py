"""Decisions stand in types, sentences are for people; what is typed at a terminal is known to the command line only."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest
from sentences import decisions_on_text, in_file

ROOT = Path(__file__).parents[3]
MAKES_SENTENCES = ROOT / "LMIALLib" / "errors.py"
COMMAND = re.compile(r"\blmial [a-z-]+|python -m LMIALLib [a-z]")


def sources() -> list[Path]:
    return sorted(file for room in ("LMIALLib", "LMIAL") for file in (ROOT / room).rglob("*.py"))


def test_no_decision_hangs_on_the_text_of_an_error_or_a_notice() -> None:
    found = [
        f"{file.relative_to(ROOT)}, line {line}: {kind}"
        for file in sources()
        if file != MAKES_SENTENCES
        for line, kind in in_file(file)
    ]
    assert not found, "use a type or a field, or as_sentence and first_line of LMIALLib.errors: " + "; ".join(found)


@pytest.mark.parametrize(
    ("line", "kind"),
    [
        ("if job.error.sentence == DIED: pass", "compared"),
        ("if 'annotated by' in study.why_read_only: pass", "compared"),
        ("if error.hint.startswith('Rank'): pass", ".startswith()"),
        ("first = error.sentence[0].upper()", "cut"),
        ("parts = sentence.split('. ')", ".split()"),
        ("parts = re.split('[.]', sentence)", "matched"),
        ("if {**doubt.sentence}: pass", ""),
        ("say(error.sentence)", ""),
        ("hint = error.hint or 'Try again.'", ""),
        ("if error.hint: pass", ""),
        ("if job.error is not None: pass", ""),
    ],
)
def test_what_a_decision_on_a_text_is(line: str, kind: str) -> None:
    assert [found for _, found in decisions_on_text(ast.parse(line))] == ([kind] if kind else [])


def test_the_text_of_an_exception_is_followed_through_names() -> None:
    function = """
def look(error: OSError):
    try:
        pass
    except ValueError as problem:
        words = f"it failed: {problem}"
        told = words or "nothing"
        if "memory" in told:
            return str(problem).lower()
    return "memory" in str(error)
"""
    assert [line for line, _ in decisions_on_text(ast.parse(function))] == [8, 9, 10]


def test_below_the_command_line_no_text_names_a_command() -> None:
    found = [
        f"{file.relative_to(ROOT)}, line {node.lineno}: {named[0]}"
        for file in sources()
        if "cli" not in file.relative_to(ROOT).parts
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
        if (named := COMMAND.search(node.value))
    ]
    assert not found, "say what to do with a Step of LMIALLib.errors: " + "; ".join(found)
