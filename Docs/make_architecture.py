"""Draw the rooms of LMIALLib as they are: floors from pyproject.toml, imports counted in the source.

python Docs/make_architecture.py writes Docs/pictures/architecture.png and, beside the page, what the picture shows as
Docs/architecture.json.
"""

from __future__ import annotations

import json
import sys
import tomllib
from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

PROJECT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(PROJECT / "Testing" / "Python" / "packaging"))

from house import LIBRARY, Source, by_room, imports, sources  # noqa: E402

if TYPE_CHECKING:
    from matplotlib.axes import Axes

PICTURE = PROJECT / "Docs" / "pictures" / "architecture.png"
DATA = PROJECT / "Docs" / "architecture.json"
GROUND = "errors, files, …"
"""The modules of the lowest floors, which lie in no room and which every room may import."""
PAIR = ("cli", "loop", "worker", "pairs", "study", "network", "adaptation", "queries", "scene", "desktop")
"""The way of a pair through the rooms, from two files to the first slice on the screen."""
MASK = ("desktop", "scene", "loop", "study")
"""The way of a mask that a reader saves, from the brush to the disk."""
COLOURS = {"pair": "#2166ac", "mask": "#c2560c", "count": "#1b4f72"}
HALF = 0.45
"""Half the height of a box; floors are 1 apart."""


@dataclass(frozen=True)
class House:
    """What the picture shows.

    Args:
        floors: rooms of each floor, the lowest first.
        lines: of the Python files of each room.
        imports: room to the rooms that it imports, each with the number of imported modules, counted once a file.
    """

    floors: list[list[str]]
    lines: dict[str, int]
    imports: dict[str, dict[str, int]]


def counted(project: Path = PROJECT) -> House:
    """Read the floors and count the imports of a checkout."""
    files = sources(project, LIBRARY)
    known = {file.name: file for file in files}
    counts: dict[str, Counter[str]] = {}
    for file in files:
        own = place(file)
        for name in imports(file, set(known)):
            if own and (other := place(known[name])) and other != own:
                counts.setdefault(own, Counter())[other] += 1
    lines = {room: count for room, count in by_room(files).items() if room}
    floors = floors_of(project, set(lines))
    return House(
        floors=floors,
        lines={room: lines[room] for floor in floors for room in floor},
        imports={room: dict(sorted(counts.get(room, Counter()).items())) for floor in floors for room in floor},
    )


def place(file: Source) -> str:
    """The room of a file, `GROUND` for a module of the lowest floors, nothing for the package itself."""
    return file.room or ("" if file.path.endswith(("__init__.py", "__main__.py")) else GROUND)


def floors_of(project: Path, rooms: set[str]) -> list[list[str]]:
    """The rooms by floor as the layers of import-linter have them, the lowest first. Raises ValueError where a room is
    on no floor."""
    contracts = tomllib.loads((project / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"]
    layers = next(one["layers"] for one in contracts["contracts"] if one["type"] == "layers")
    named = [[part.strip().removeprefix(f"{LIBRARY}.") for part in layer.split("|")] for layer in reversed(layers)]
    found = [floor for layer in named if (floor := [room for room in layer if room in rooms])]
    if missing := rooms - {room for floor in found for room in floor}:
        raise ValueError(f"no floor is given to {', '.join(sorted(missing))}")
    return found


def draw(house: House) -> None:
    """Draw the floors with their rooms, and beside them who imports whom."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, (left, right) = pyplot.subplots(
        1, 2, figsize=(15, 8.2), width_ratios=(1.15, 1), gridspec_kw={"wspace": 0.14}
    )
    draw_floors(left, house)
    draw_imports(right, house)
    figure.savefig(PICTURE, dpi=110, bbox_inches="tight", metadata={"Software": None})
    pyplot.close(figure)


def draw_floors(axes: Axes, house: House) -> None:
    """A box a room, and on it its turns in both ways."""
    from matplotlib.patches import FancyBboxPatch

    turns = {room: [("pair", n) for n, one in enumerate(PAIR, start=1) if one == room] for room in house.lines}
    for n, room in enumerate(MASK, start=1):
        turns[room].append(("mask", n))
    for number, floor in enumerate(house.floors, start=1):
        axes.text(-0.12, number, str(number), ha="center", va="center", color="0.45", fontsize=11)
        for position, room in enumerate(floor):
            width = 3 / len(floor)
            x = position * width
            shape = FancyBboxPatch(
                (x + 0.05, number - HALF + 0.06), width - 0.1, 2 * HALF - 0.12,
                boxstyle="round,pad=0,rounding_size=0.05", facecolor="#f4f6f8", edgecolor="0.55", linewidth=0.8,
            )  # fmt: skip
            axes.add_patch(shape)
            axes.text(x + 0.12, number + 0.08, room, va="center", fontsize=12, weight="bold", color="0.15")
            size = f"{round(house.lines[room], -2):,} lines"
            axes.text(x + width - 0.1, number - 0.25, size, va="center", ha="right", fontsize=7.5, color="0.45")
            for turn, (way, n) in enumerate(turns[room]):
                axes.text(
                    x + width - 0.16 - 0.13 * (len(turns[room]) - 1 - turn), number + 0.13, str(n), ha="center",
                    va="center", fontsize=8, color="white", weight="bold",
                    bbox={"boxstyle": "circle,pad=0.22", "facecolor": COLOURS[way], "edgecolor": "none"},
                )  # fmt: skip
    ground = FancyBboxPatch(
        (0.05, -0.3), 2.9, 0.6, boxstyle="round,pad=0,rounding_size=0.05", facecolor="#e9ecef", edgecolor="0.7",
        linewidth=0.8,
    )  # fmt: skip
    axes.add_patch(ground)
    axes.text(1.5, 0, f"{GROUND}: small modules that every room may import", ha="center", va="center", fontsize=9.5)
    axes.set_title("Rooms and floors: a room imports only from lower floors", fontsize=12, loc="left")
    axes.text(0.05, -0.75, "The way of a pair", color=COLOURS["pair"], fontsize=10.5, va="center", weight="bold")
    axes.text(1.2, -0.75, "The way of a saved mask", color=COLOURS["mask"], fontsize=10.5, va="center", weight="bold")
    axes.set(xlim=(-0.2, 3.02), ylim=(-1.0, len(house.floors) + 0.6))
    axes.axis("off")


def draw_imports(axes: Axes, house: House) -> None:
    """A table of counts: rows import columns, both from the highest floor down, so that nothing stands below the
    diagonal."""
    import numpy as np

    rows = [room for floor in reversed(house.floors) for room in floor]
    columns = [*rows, GROUND]
    table = np.array([[house.imports[row].get(column, 0) for column in columns] for row in rows])
    axes.imshow(np.log1p(table), cmap="Blues", vmin=0, vmax=float(np.log1p(table).max()) * 1.25, aspect="auto")
    for row, column in np.argwhere(table):
        strong = table[row, column] > 30
        axes.text(
            column, row, str(table[row, column]), ha="center", va="center", fontsize=8,
            color="white" if strong else COLOURS["count"],
        )  # fmt: skip
    for number in range(len(rows)):
        axes.add_patch(_square(number))
    axes.set_xticks(range(len(columns)), columns, rotation=60, ha="left", rotation_mode="anchor", fontsize=9)
    axes.set_yticks(range(len(rows)), rows, fontsize=9)
    axes.tick_params(length=0, top=False, labeltop=True, labelbottom=False)
    axes.set_xticks(np.arange(len(columns) + 1) - 0.5, minor=True)
    axes.set_yticks(np.arange(len(rows) + 1) - 0.5, minor=True)
    axes.grid(which="minor", color="0.9", linewidth=0.6)
    axes.tick_params(which="minor", length=0)
    axes.set_xlabel("How many modules of the column's room the files of the row's room import", fontsize=10)
    for side in axes.spines.values():
        side.set_visible(False)


def _square(number: int) -> object:
    from matplotlib.patches import Rectangle

    return Rectangle((number - 0.5, number - 0.5), 1, 1, facecolor="0.88", edgecolor="none")


def main() -> None:
    """Write picture and data."""
    house = counted()
    DATA.write_text(json.dumps(asdict(house), indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    draw(house)


if __name__ == "__main__":
    main()
