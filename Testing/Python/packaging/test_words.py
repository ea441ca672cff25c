"""Private words that a newcomer has to learn first come back no more; the glossary defines the words that stay."""

from __future__ import annotations

import re

import pytest
from house import LIBRARY, PROJECT

CEILINGS = {
    r"tell|tells|told": (1, "returns, reports, shows, states, is named, is called with; distinguish or separate"),
    r"said": (0, "the answer, the message, the sentence, given; or the name of what was given"),
    r"by lot": (0, "at random"),
    r"opinion|opinions": (4, "suggestion, prediction, pseudo-label"),
    r"teach|teaches|taught": (1, "train, learn, pseudo-label"),
}
"""Words, how many lines of the library hold them, and what to write instead. A number may be lowered, never raised.

What is left: a file's position (``tell``), a setting and an option under their old names (``opinion``,
``--opinions-above``), and the old name of ``lmial pseudo-label``.
"""


def lines_with(words: str) -> list[str]:
    """Lines of the library that hold one of some words, as "file:line"."""
    pattern = re.compile(rf"\b(?:{words})\b")
    return [
        f"{file.relative_to(PROJECT).as_posix()}:{number}"
        for file in sorted((PROJECT / LIBRARY).rglob("*.py"))
        for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), start=1)
        if pattern.search(line)
    ]


@pytest.mark.parametrize("words", CEILINGS)
def test_private_words_only_become_fewer(words: str) -> None:
    ceiling, instead = CEILINGS[words]
    found = lines_with(words)
    assert len(found) <= ceiling, (
        f"{len(found)} lines hold {words.replace('|', ', ')}, {ceiling} may. Write plain technical English: {instead}. "
        f"They are: {' '.join(found)}"
    )


def test_the_glossary_defines_25_words_once_each_and_the_readme_links_it() -> None:
    text = (PROJECT / "Docs" / "glossary.md").read_text(encoding="utf-8")
    words = re.findall(r"^\| \*\*(.+?)\*\* \| .+\. \|$", text, re.MULTILINE)
    assert len(words) == len(set(words)) == 25
    assert "(Docs/glossary.md)" in (PROJECT / "README.md").read_text(encoding="utf-8")
