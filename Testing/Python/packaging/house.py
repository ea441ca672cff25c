"""Count how the house is built: lines, long files and functions, towers, circles and decisions on sentences.

``python Testing/Python/packaging/house.py --tree FOLDER`` reads any checkout (this one by default) and imports nothing
of it, so that two states of the project are counted by the same script. ``--list`` names every place.
"""

from __future__ import annotations

import argparse
import ast
import json
import re
import sys
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[3]
LIBRARY = "LMIALLib"

LONG_FILE, MANY_METHODS, DEEP, LONG_FUNCTION = 300, 25, 3, 60

TEXT_METHODS = {
    "count", "endswith", "find", "index", "partition", "removeprefix", "removesuffix", "replace", "rfind", "rpartition",
    "rsplit", "split", "splitlines", "startswith",
}  # fmt: skip
"""Methods of a text that search or cut it."""


@dataclass(frozen=True)
class Source:
    """A Python file: path relative to the tree with slashes, dotted name, lines and syntax tree."""

    path: str
    name: str
    lines: tuple[str, ...]
    tree: ast.Module

    @property
    def room(self) -> str:
        """The folder below the library, or "" for a file that lies in no room."""
        parts = self.name.split(".")
        return parts[1] if len(parts) > 2 or (self.path.endswith("__init__.py") and len(parts) == 2) else ""


def sources(tree: Path, folder: str) -> list[Source]:
    """Read every Python file below a folder of the tree, sorted by path."""
    found = []
    for path in sorted((tree / folder).rglob("*.py")):
        text = path.read_text(encoding="utf-8")
        relative = path.relative_to(tree).as_posix()
        name = relative.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
        found.append(Source(relative, name, tuple(text.splitlines()), ast.parse(text)))
    return found


def by_room(files: Iterable[Source]) -> dict[str, int]:
    """Lines of each room, the largest first."""
    lines: Counter[str] = Counter()
    for file in files:
        lines[file.room] += len(file.lines)
    return dict(lines.most_common())


def shipped(tree: Path, files: Iterable[Source]) -> list[Source]:
    """The files of the library that ``Packaged.cmake`` names."""
    listed = set(re.findall(r"^\s+(\S+\.py)$", (tree / "Packaged.cmake").read_text(encoding="utf-8"), re.MULTILINE))
    return [file for file in files if file.path in listed]


def long_files(files: Iterable[Source]) -> list[str]:
    """Files above 300 lines."""
    return [f"{file.path} {len(file.lines)}" for file in files if len(file.lines) > LONG_FILE]


def long_functions(files: Iterable[Source]) -> list[str]:
    """Functions above 60 lines that have no reason beside them: a comment in the line of ``def`` or right above it."""
    found = []
    for file in files:
        for node in ast.walk(file.tree):
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and node.end_lineno is not None:
                length = node.end_lineno - node.lineno + 1
                above = file.lines[min([node.lineno, *(one.lineno for one in node.decorator_list)]) - 2]
                reason = "  # " in file.lines[node.lineno - 1] or above.lstrip().startswith("# ")
                if length > LONG_FUNCTION and not reason:
                    found.append(f"{file.path}:{node.lineno} {node.name} {length}")
    return found


@dataclass(frozen=True)
class Class:
    """A class: where, its bases by bare name, and its own public methods."""

    place: str
    name: str
    bases: tuple[str, ...]
    public: frozenset[str]


def classes(files: Iterable[Source]) -> dict[str, list[Class]]:
    """Every class by its bare name."""
    found: dict[str, list[Class]] = defaultdict(list)
    for file in files:
        for node in ast.walk(file.tree):
            if isinstance(node, ast.ClassDef):
                bases = tuple(ast.unparse(base).split("[")[0].split(".")[-1] for base in node.bases)
                own = {
                    one.name
                    for one in node.body
                    if isinstance(one, (ast.FunctionDef, ast.AsyncFunctionDef)) and not one.name.startswith("_")
                }
                found[node.name].append(Class(f"{file.path}:{node.lineno}", node.name, bases, frozenset(own)))
    return found


def ancestry(one: Class, known: Mapping[str, list[Class]]) -> list[list[Class]]:
    """Every line of descent from a class upwards through classes of the tree, itself first."""
    above = [parent for base in one.bases for parent in known.get(base, []) if parent.name != one.name]
    return [[one, *line] for parent in above for line in ancestry(parent, known)] or [[one]]


def broad_classes(known: Mapping[str, list[Class]]) -> list[str]:
    """Classes with more than 25 public methods and properties, inherited ones counted."""
    found = []
    for one in (each for group in known.values() for each in group):
        methods = {name for line in ancestry(one, known) for ancestor in line for name in ancestor.public}
        if len(methods) > MANY_METHODS:
            found.append(f"{one.place} {one.name} {len(methods)}")
    return found


def deep_classes(known: Mapping[str, list[Class]]) -> list[str]:
    """Classes that stand more than three deep: four or more classes of the tree in one line of descent."""
    found = []
    for one in (each for group in known.values() for each in group):
        depth = max(len(line) for line in ancestry(one, known))
        if depth > DEEP:
            found.append(f"{one.place} {one.name} {depth}")
    return found


def imports(file: Source, known: set[str]) -> set[str]:
    """Modules of the tree that a file imports, inside functions and under ``TYPE_CHECKING`` too.

    A test may name a neighbour by its bare name, as pytest puts a test's folder on the path.
    """
    folder = file.name.rpartition(".")[0]
    found = set()
    for node in ast.walk(file.tree):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and not node.level and node.module:
            parts = [f"{node.module}.{alias.name}" for alias in node.names]
            names = [part if part in known or f"{folder}.{part}" in known else node.module for part in parts]
        else:
            continue
        found |= {near for name in names if (near := name if name in known else f"{folder}.{name}") in known}
    return found - {file.name}


def circles(files: Iterable[Source]) -> list[str]:
    """Groups of modules that import one another, however late."""
    files = list(files)
    known = {file.name for file in files}
    uses = {file.name: imports(file, known) for file in files}
    reached = {name: _reach(name, uses) for name in uses}
    groups = {
        tuple(sorted(other for other in reached[name] if name in reached[other]))
        for name in uses
        if name in reached[name]
    }
    return [" <-> ".join(group) for group in sorted(groups)]


def _reach(name: str, uses: Mapping[str, set[str]]) -> set[str]:
    found: set[str] = set()
    ahead = set(uses[name])
    while ahead:
        found |= ahead
        ahead = {further for one in ahead for further in uses[one]} - found
    return found


def decisions_on_sentences(files: Iterable[Source]) -> list[str]:
    """Lines that compare, search or cut the text of a caught error."""
    found = set()
    for file in files:
        for handler in ast.walk(file.tree):
            if isinstance(handler, ast.ExceptHandler) and handler.name:
                found |= {(file.path, line) for line in _decisions(handler, handler.name)}
    return [f"{path}:{line}" for path, line in sorted(found)]


def _decisions(handler: ast.ExceptHandler, error: str) -> Iterator[int]:
    """Yield lines of one handler in which the error's text is compared, searched or cut, also through a name."""
    texts: set[str] = set()

    def is_text(node: ast.AST) -> bool:
        for one in ast.walk(node):
            match one:
                case ast.Call(func=ast.Name(id="str" | "repr"), args=[ast.Name(id=name)]) if name == error:
                    return True
                case ast.Attribute(value=ast.Name(id=name), attr="args" | "what" | "text") if name == error:
                    return True
                case ast.Name(id=name) if name in texts:
                    return True
        return False

    for node in ast.walk(handler):
        if isinstance(node, ast.Assign) and is_text(node.value):
            texts |= {target.id for target in node.targets if isinstance(target, ast.Name)}
    for node in ast.walk(handler):
        if isinstance(node, ast.Compare) and any(is_text(side) for side in (node.left, *node.comparators)):
            yield node.lineno
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            cut = node.func.attr in TEXT_METHODS and is_text(node.func.value)
            searched = ast.unparse(node.func.value) == "re" and any(is_text(one) for one in node.args)
            if cut or searched:
                yield node.lineno
        elif isinstance(node, ast.Subscript) and is_text(node.value) and "args" not in ast.unparse(node.value):
            yield node.lineno


def count(tree: Path) -> dict[str, object]:
    """Count everything of a checkout.

    Returns figures by name: numbers, lines by room, and the places behind each number.
    """
    library, tests = sources(tree, LIBRARY), sources(tree, "Testing")
    known = classes(library)
    ships = shipped(tree, library)
    return {
        "lines that ship to Slicer": sum(len(file.lines) for file in ships),
        "of them by room": by_room(ships),
        f"lines of {LIBRARY}": sum(len(file.lines) for file in library),
        "all by room": by_room(library),
        "files over 300 lines": long_files(library),
        "functions over 60 lines without a reason": long_functions(library),
        "classes over 25 public methods": broad_classes(known),
        "inheritance over three deep": deep_classes(known),
        "circles of imports": circles([*library, *tests]),
        "decisions on an error's text": decisions_on_sentences(library),
    }


def main() -> None:
    """Print the figures of a checkout."""
    options = argparse.ArgumentParser(description="Count how the house is built.")
    options.add_argument("--tree", type=Path, default=PROJECT, help="a checkout; by default this one")
    options.add_argument("--list", action="store_true", help="name every place")
    options.add_argument("--json", action="store_true", help="one JSON document")
    asked = options.parse_args()
    figures = count(asked.tree)
    if asked.json:
        json.dump(figures, sys.stdout, indent=1)
        return
    for name, value in figures.items():
        if isinstance(value, dict):
            print(f"  {name}: " + ", ".join(f"{room or 'no room'} {lines:,}" for room, lines in value.items()))
        elif isinstance(value, list):
            print(f"{name}: {len(value)}", *(value if asked.list else []), sep="\n  ")
        else:
            print(f"{name}: {value:,}")


if __name__ == "__main__":
    main()
