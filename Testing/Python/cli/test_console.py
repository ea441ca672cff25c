"""What a study holds is shown on a terminal, never obeyed by it."""

from __future__ import annotations

import io
import json

import pytest
from rich.table import Table

from LMIALLib.cli.console import PlainConsole, document, plain

HOSTILE = [
    "\x1b[2J",
    "\x1b]0;title\x07",
    "\x9b31m",
    "a\rb",
    "\x08\x08",
    "\u202eexe.txt",
    "\ud800",
    "\x7f",
    "\u2028",
    "\x00",
]


@pytest.mark.parametrize("text", HOSTILE)
def test_what_a_terminal_obeys_is_escaped(text: str) -> None:
    assert plain(text).isprintable()
    assert plain(f"Größe 3 mm, „neu“\n\t{text}").startswith("Größe 3 mm, „neu“\n\t")


@pytest.mark.parametrize("terminal", [True, False])
@pytest.mark.parametrize("text", HOSTILE)
def test_texts_and_cells_of_tables_are_escaped(text: str, terminal: bool) -> None:
    stream = io.StringIO()
    console = PlainConsole(file=stream, force_terminal=terminal, highlight=False, markup=False, width=200)
    table = Table(text, box=None)
    table.add_row(text)
    console.print(f"name {text}", text)
    console.print(table)
    shown = stream.getvalue()
    for own in ("\x1b[1m", "\x1b[0m"):  # a table's head is bold where rich draws for a terminal
        shown = shown.replace(own, "")
    assert all(letter.isprintable() or letter == "\n" for letter in shown)


@pytest.mark.parametrize("text", HOSTILE)
def test_documents_stay_json_and_hold_no_codes(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    document({"name": text, text: 1})
    shown = capsys.readouterr().out
    assert all(letter.isprintable() or letter == "\n" for letter in shown)
    assert json.loads(shown) == {"name": text, text: 1}
