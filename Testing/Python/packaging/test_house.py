"""The script that counts how the house is built finds what it is there to find."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from house import LIBRARY, PROJECT, circles, count, sources


def test_every_figure_is_counted(tmp_path: Path) -> None:
    files = {
        "LMIALLib/__init__.py": "",
        "LMIALLib/study/__init__.py": "",
        "LMIALLib/study/first.py": (
            "from typing import TYPE_CHECKING\n\nif TYPE_CHECKING:\n    from LMIALLib.study.second import Four\n"
        ),
        "LMIALLib/study/second.py": (
            "from LMIALLib.study import first\n\n\nclass One:\n"
            + "".join(f"    def method_{number}(self): ...\n" for number in range(25))
            + "class Two(One):\n    def more(self): ...\nclass Three(Two): ...\nclass Four(Three): ...\n"
        ),
        "LMIALLib/cli/errors.py": (
            "try:\n    pass\nexcept OSError as error:\n    said = str(error).lower()\n    if 'memory' in said:\n"
            "        raise\n    print(str(error))\n"
        ),
        "LMIALLib/cli/long.py": (
            "def long():\n" + "    pass\n" * 60 + "def explained():  # one table\n" + "    pass\n" * 240
        ),
        "Testing/Python/sitting.py": "import helping\n",
        "Testing/Python/helping.py": "def late():\n    from sitting import something\n",
        "Packaged.cmake": "set(LMIAL_SCRIPTS\n  LMIALLib/study/first.py\n  )\n",
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text, encoding="utf-8")
    figures = count(tmp_path)
    assert figures["lines that ship to Slicer"] == 4
    assert figures["of them by room"] == {"study": 4}
    assert figures["files over 300 lines"] == ["LMIALLib/cli/long.py 302"]
    assert figures["functions over 60 lines without a reason"] == ["LMIALLib/cli/long.py:1 long 61"]
    assert [line.split()[1:] for line in figures["classes over 25 public methods"]] == [  # type: ignore[attr-defined]
        ["Two", "26"], ["Three", "26"], ["Four", "26"],
    ]  # fmt: skip
    assert figures["inheritance over three deep"] == ["LMIALLib/study/second.py:33 Four 4"]
    assert figures["circles of imports"] == [
        "LMIALLib.study.first <-> LMIALLib.study.second",
        "Testing.Python.helping <-> Testing.Python.sitting",
    ]
    assert figures["decisions on an error's text"] == ["LMIALLib/cli/errors.py:5"]


def test_no_module_of_this_project_imports_itself_by_way_of_others() -> None:
    assert circles([*sources(PROJECT, LIBRARY), *sources(PROJECT, "Testing")]) == []


def test_no_class_is_a_tower_and_what_readers_see_fits_on_a_screen() -> None:
    figures = count(PROJECT)
    assert figures["classes over 25 public methods"] == []
    assert figures["inheritance over three deep"] == []
    assert figures["files over 300 lines"] == []
    assert figures["functions over 60 lines without a reason"] == []


def test_no_two_test_files_have_one_name() -> None:
    """Pytest imports them by their bare names and refuses the second of a name, in a run of the whole suite alone."""
    names = [path.name for path in (PROJECT / "Testing" / "Python").rglob("test_*.py")]
    assert sorted(name for name, count in Counter(names).items() if count > 1) == []
