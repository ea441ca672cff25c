"""Which files go into the Slicer extension, and the list of them that CMake reads.

``python Testing/Python/packaging/packaged.py`` writes `Packaged.cmake` anew from the tree.
"""

from __future__ import annotations

from pathlib import Path

PROJECT = Path(__file__).resolve().parents[3]
LIST = PROJECT / "Packaged.cmake"

LEFT_OUT = {
    "LMIALLib/__main__.py": "starts the command line",
    "LMIALLib/browser/": "the other face",
    "LMIALLib/cli/": "the command line",
    "LMIALLib/evaluation/": "pictures, demo and report; no reader needs them",
    "LMIALLib/laboratory/": "simulated readers, and the synthetic data sets they read",
    "LMIALLib/pipeline/": "pseudo-labels of foundation models, nnU-Net, core-set",
}
"""The rooms of the library that stay out of the extension, and why; every other room goes into it whole."""

MODULE = {"LMIAL/LMIAL.py", "LMIAL/CMakeLists.txt"}
"""What ``LMIAL/CMakeLists.txt`` itself packages, and that file."""


def tree() -> list[str]:
    """Every file of LMIAL, LMIALLib and Resources, as a path relative to the project with slashes, sorted."""
    found = []
    for folder in ("LMIAL", "LMIALLib", "Resources"):
        for path in sorted((PROJECT / folder).rglob("*")):
            if path.is_file() and "__pycache__" not in path.parts and not path.name.startswith("."):
                found.append(path.relative_to(PROJECT).as_posix())
    return found


def is_left_out(path: str) -> bool:
    """Whether a path is on the named list, by itself or through its folder."""
    return any(path.startswith(name) for name in LEFT_OUT)


def expected() -> tuple[list[str], list[str]]:
    """Scripts and resources that the extension must hold, beside ``LMIAL.py``."""
    paths = [path for path in tree() if not is_left_out(path) and path not in MODULE]
    scripts = [path for path in paths if path.startswith("LMIALLib/") and path.endswith(".py")]
    return scripts, [path for path in paths if path not in scripts]


def listing() -> str:
    """The text of ``Packaged.cmake`` that belongs to the tree."""
    scripts, resources = expected()
    lines = ["# Written by: python Testing/Python/packaging/packaged.py (which also names what stays out, and why)"]
    for name, paths in (("LMIAL_SCRIPTS", scripts), ("LMIAL_RESOURCES", resources)):
        lines += [f"set({name}", *(f"  {path}" for path in paths), "  )"]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    LIST.write_text(listing(), encoding="utf-8")
