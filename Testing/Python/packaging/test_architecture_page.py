"""The architecture page names every room on its floor, and its picture shows the rooms as they are."""

from __future__ import annotations

import json
import re
import sys

import pytest
from packaged import PROJECT

sys.path.insert(0, str(PROJECT / "Docs"))

from make_architecture import DATA, GROUND, MASK, PAIR, PICTURE, House, counted, floors_of

PAGE = (PROJECT / "Docs" / "architecture.md").read_text(encoding="utf-8")
AGAIN = "run: python Docs/make_architecture.py"
SLACK = 4, 0.25
"""By so many imports or hundreds of lines, or by this share, what is drawn may be off before it counts as old: it would
look the same, and work on one room should not fail for the picture."""


@pytest.fixture(scope="module")
def house() -> House:
    return counted()


@pytest.fixture(scope="module")
def drawn() -> House:
    return House(**json.loads(DATA.read_text(encoding="utf-8")))


def near(then: int, now: int, unit: int = 1) -> bool:
    return abs(now - then) <= max(SLACK[0] * unit, SLACK[1] * max(now, then))


def test_every_room_has_one_sentence_on_the_page(house: House) -> None:
    rows = re.findall(r"^\| (\d+) \| `(\w+)` \| [a-z][^|]+ \|$", PAGE, re.MULTILINE)
    floors = [(str(number), room) for number, floor in enumerate(house.floors, start=1) for room in floor]
    assert sorted(rows) == sorted(floors)
    folders = {path.parent.name for path in (PROJECT / "LMIALLib").glob("*/__init__.py")}
    assert {room for _, room in rows} == folders


def test_the_picture_shows_the_rooms_as_they_are(house: House, drawn: House) -> None:
    assert drawn.floors == house.floors, AGAIN
    assert {room: set(found) for room, found in drawn.imports.items()} == {
        room: set(found) for room, found in house.imports.items()
    }, AGAIN
    for room, found in house.imports.items():
        assert near(drawn.lines[room], house.lines[room], 100), f"{room}: {AGAIN}"
        for other, count in found.items():
            assert near(drawn.imports[room][other], count), f"{room} imports {other}: {AGAIN}"
    assert PICTURE.is_file()
    assert f"({PICTURE.relative_to(PROJECT / 'Docs').as_posix()})" in PAGE


def test_no_room_imports_an_upper_one_and_the_ways_lead_through_rooms(house: House) -> None:
    height = {room: number for number, floor in enumerate(house.floors, start=1) for room in floor} | {GROUND: 0}
    for room, found in house.imports.items():
        assert all(height[other] < height[room] for other in found), room
    assert set(PAIR) | set(MASK) <= set(house.lines)
    assert all(MASK[n + 1] in house.imports[MASK[n]] for n in range(len(MASK) - 1)), "each hands the mask to the next"


def test_a_room_without_a_floor_is_refused() -> None:
    with pytest.raises(ValueError, match="no floor is given to cellar"):
        floors_of(PROJECT, {"cellar", "pairs"})
