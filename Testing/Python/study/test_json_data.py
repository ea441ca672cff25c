"""JSON from a stranger: what does not have its shape is refused in one sentence that names the field."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest

from LMIALLib.errors import BadInput
from LMIALLib.json_data import Limits, Natural, parse_json, read_json


@dataclass(frozen=True)
class Grid:
    size: tuple[Natural, Natural, Natural]
    spacing: tuple[float, float, float] = (1.0, 1.0, 1.0)


@dataclass(frozen=True)
class Record:
    grid: Grid
    kind: Literal["a", "b"] = "a"
    reader: Annotated[str, Limits(longest=5)] | None = None
    runs: dict[str, list[int]] | None = None


GOOD = {"grid": {"size": [1, 2, 3], "spacing": [1, 0.5, 2]}, "kind": "b", "runs": {"1": [0, 4]}, "more": "left out"}


def test_what_fits_is_read() -> None:
    found = parse_json(json.dumps(GOOD), Record, "x.json")
    assert found == Record(Grid((1, 2, 3), (1.0, 0.5, 2.0)), "b", None, {"1": [0, 4]})


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"grid": None}, "grid"),
        ({"grid": {"size": [1, 2]}}, "grid.size"),
        ({"grid": {"size": [1, 2, -3]}}, "grid.size[2]"),
        ({"grid": {"size": [1, 2, True]}}, "grid.size[2]"),
        ({"grid": {"size": [1, 2, 10**30]}}, "grid.size[2]"),
        ({"grid": {"size": [1, 2, 3], "spacing": [1, "2", 3]}}, "grid.spacing[1]"),
        ({"grid": {"size": [1, 2, 3], "spacing": [1, float("nan"), 3]}}, "grid.spacing[1]"),
        ({"kind": "c"}, "kind"),
        ({"kind": ["a"]}, "kind"),
        ({"reader": "too long"}, "reader"),
        ({"reader": "\ud800"}, "reader"),
        ({"runs": {"1": [0, 1.5]}}, "runs.1[1]"),
        ({"runs": []}, "runs"),
    ],
)
def test_a_wrong_field_is_named(changes: dict[str, Any], named: str) -> None:
    with pytest.raises(BadInput) as refused:
        parse_json(json.dumps({**GOOD, **changes}), Record, "x.json")
    assert f"x.json: {named} " in refused.value.sentence


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "nonsense",
        "[" * 100_000,
        '{"a":' * 100_000,
        "[" * 60 + "]" * 60,
        "9" * 5_000,
        '{"a": 1' + "0" * 400 + "}",
        '"\\ud800"',
        '{"\\udfff": 1}',
        b"\xff\xfe\x00",
        b"\x80",
    ],
)
def test_text_that_no_program_of_ours_wrote_is_refused(text: str | bytes) -> None:
    with pytest.raises(BadInput, match=r"^x\.json: [^\x00-\x1f\ud800-\udfff]+$"):
        parse_json(text, Any, "x.json")


def test_a_sentence_carries_no_control_characters_and_stays_short() -> None:
    text = json.dumps({"runs": {"\x1b[2Jboo" * 100: ["\x1b]0;x\x07" * 1000]}, "grid": GOOD["grid"]})
    with pytest.raises(BadInput) as refused:
        parse_json(text, Record, "x.json")
    assert refused.value.sentence.isprintable() and len(refused.value.sentence) < 250


def test_a_file_is_read_no_further_than_its_limit(tmp_path: Path) -> None:
    file = tmp_path / "big.json"
    file.write_text(json.dumps(list(range(1000))), encoding="utf-8")
    assert read_json(file, list[int]) == list(range(1000))
    with pytest.raises(BadInput, match="more than 1,000 bytes"):
        read_json(file, list[int], most_bytes=1_000)
    with pytest.raises(FileNotFoundError):
        read_json(tmp_path / "none.json", Any)
    with pytest.raises(BadInput, match="cannot be read"):
        read_json(tmp_path, Any)


def test_numbers_that_are_none_stay_where_any_value_may_stand() -> None:
    report = parse_json('{"dice": NaN, "loss": Infinity}', dict[str, Any], "a report")
    assert report["dice"] != report["dice"] and report["loss"] == float("inf")
