"""Pieces of the face that need no Qt: keys, strip, texts, tools, and what loading the module imports."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import LMIALLib
from LMIALLib.desktop import qt_slots
from LMIALLib.desktop.actions import texts_of
from LMIALLib.desktop.curve import BAND, LINE
from LMIALLib.desktop.curve import bars_of as curve_bars
from LMIALLib.desktop.editor import EFFECTS, OWN_KEYS
from LMIALLib.desktop.panel import BUTTONS
from LMIALLib.desktop.shortcuts import Keys, ours, sequences, tips, writing
from LMIALLib.desktop.strip import bars_of, slice_at
from LMIALLib.loop.shortcuts import SHORTCUTS
from LMIALLib.resources import resource

PROJECT = Path(LMIALLib.__file__).resolve().parents[1]
EDITORS = {*"0123456789", "Esc", "Space", "Z", "Y", "Ctrl+Z", "Ctrl+Y", "Q", "W", "/", "*", ",", ".", ">", "<", "I"}
"""Keys that Slicer 5.12's Segment Editor installs (qMRMLSegmentEditorWidget::installKeyboardShortcuts)."""
VIEWS = {*"GTFBVR[]{}", "Left", "Right", "Up", "Down"}
"""Keys of slice views (vtkMRMLSliceIntersectionWidget)."""
APPLICATION = {"Ctrl+H", "Ctrl+F", "Ctrl+0", "Ctrl+3", "Ctrl+5", "Ctrl+O", "Ctrl+S", "Ctrl+W", "Ctrl+X", "Ctrl+C"}


def test_keys_of_ours_are_nobody_elses() -> None:
    keys = [sequence for one in ours() for sequence in sequences(one.key)]
    assert len(keys) == len(set(keys))
    assert not set(keys) & (EDITORS | APPLICATION | VIEWS)
    assert all(one.key in EDITORS for one in SHORTCUTS if one.editor)
    assert sequences("Ctrl+Enter") == ("Ctrl+Return", "Ctrl+Enter") and sequences("N") == ("N",)
    assert tips()["accept"].endswith("(A)")


def test_keys_that_an_effect_takes_are_left_to_it_while_it_is_active() -> None:
    assert OWN_KEYS == {"Draw": ("A", "X")}, "read in SegmentEditorDrawEffect.processInteractionEvents"
    assert set(OWN_KEYS) <= set(EFFECTS)
    keys = Keys(lambda *_: None)
    made = {one.key: Enabled() for one in ours()}
    keys._made = [(one, made[one.key]) for one in ours()]
    keys.leave(OWN_KEYS["Draw"])
    assert {key for key, one in made.items() if not one.on} == {"A", "X"}
    keys.leave(())
    assert all(one.on for one in made.values())


class Enabled:
    """A shortcut that can be switched off."""

    on = True

    def setEnabled(self, on: bool) -> None:  # noqa: N802
        self.on = on


def test_text_fields_are_known() -> None:
    class Focus:
        def __init__(self, kind: str) -> None:
            self.kind = kind

        def inherits(self, name: str) -> bool:
            return name == self.kind

    assert writing(Focus("QLineEdit")) and writing(Focus("QTextEdit")) and not writing(Focus("QTableWidget"))
    assert not writing(None)


def test_bars_fill_the_strip_and_a_click_finds_its_slice() -> None:
    bars = [[0.0, "", False], [1.0, "mask", True], [0.5, "draft", False]]
    made = bars_of(bars, 300, 60)
    assert [one[0] for one in made] == [0, 100, 200] and made[1][3] == 50 and made[1][4:] == ("mask", True)
    for number, (x, _, wide, *_) in enumerate(made):
        assert slice_at(x + wide // 2, 3, 300) == number
    assert slice_at(-5, 3, 300) == 0 and slice_at(999, 3, 300) == 2
    assert bars_of([], 300, 60) == []


def test_the_line_of_the_query_says_rank_score_and_draft() -> None:
    banner = {"case": "head", "subject": "P1", "prior": "2020-01-02", "current": "", "registration": None, "alarms": []}
    query = {"slice": 5, "of": 30, "rank": 2, "score": "0.31", "answered": "", "draft": True, "reason": "r",
             "details": [["entropy", "0.3"]]}  # fmt: skip
    patient = {"sentence": "Delivered label: Dice 0.86 (0.79 to 0.91)."}
    lines = texts_of({"banner": banner, "query": query, "look": {"away": True}, "patient": patient})
    assert lines["query"] == "Slice 5 of 30, query 2, score 0.31; draft; away from the query"
    assert lines["banner"].startswith("head, P1   PRIOR 2020-01-02   CURRENT date unknown")
    assert lines["details"] == "entropy: 0.3" and lines["patient"] == patient["sentence"]


def test_the_curve_shows_each_estimate_with_its_interval() -> None:
    made = curve_bars([(0, 0.5, 0.25, 0.75), (1, 1.0, 0.9, 1.0)], 100, 40)
    assert made[0] == (0, 10, 49, 20, BAND) and made[1] == (0, 20, 49, 2, LINE)
    assert made[2] == (50, 0, 49, 4, BAND) and made[3] == (50, 0, 49, 2, LINE)
    assert curve_bars([], 100, 40) == []


def test_no_offered_effect_can_bypass_masking() -> None:
    assert not {"Logical operators", "Mask volume", "Fill between slices"} & set(EFFECTS)
    assert EFFECTS[:2] == ("Paint", "Erase")  # their keys stand in the table of shortcuts


def test_every_entry_is_timed_once_and_errors_become_sentences() -> None:
    heard: list[tuple[str, float]] = []
    said: list[Exception] = []

    class Face:
        unexpected = staticmethod(said.append)

        @qt_slots.entry
        def outer(self) -> None:
            self.act("save")

        @qt_slots.entry
        def act(self, name: str) -> None:
            raise ValueError(name)

    def listen(name: str, seconds: float) -> None:
        heard.append((name, seconds))

    qt_slots.LISTENERS.append(listen)
    try:
        Face().outer()
        Face().act("skip")
    finally:
        qt_slots.LISTENERS.remove(listen)
    assert [name for name, _ in heard] == ["outer", "act skip"] and [str(one) for one in said] == ["save", "skip"]


def widgets() -> dict[str, str]:
    tree = ElementTree.parse(resource("UI", "LMIAL.ui"))
    return {one.attrib["name"]: one.attrib["class"] for one in tree.iter("widget")}


def test_every_widget_that_is_used_is_in_the_form_and_names_are_unique() -> None:
    text = resource("UI", "LMIAL.ui").read_text(encoding="utf-8")
    names = re.findall(r'<(?:widget|layout) class="\w+" name="(\w+)"', text)
    assert len(names) == len(set(names))
    used = set(BUTTONS)
    for file in (*(PROJECT / "LMIALLib" / "desktop").glob("*.py"), PROJECT / "LMIAL" / "LMIAL.py"):
        used |= set(re.findall(r"\bui\.(\w+)", file.read_text(encoding="utf-8")))
    assert used <= set(widgets())


def test_parameters_of_the_form_are_those_of_the_parameter_node() -> None:
    tree = ElementTree.parse(resource("UI", "LMIAL.ui"))
    in_form = {p.findtext("string") for p in tree.iter("property") if p.attrib["name"] == "SlicerParameterName"}
    module = ast.parse((PROJECT / "LMIAL" / "LMIAL.py").read_text(encoding="utf-8"))
    node = next(one for one in module.body if isinstance(one, ast.ClassDef) and one.name == "LMIALParameterNode")
    assert in_form == {one.target.id for one in node.body if isinstance(one, ast.AnnAssign)}  # type: ignore[union-attr]


def test_loading_the_module_file_imports_nothing_heavy() -> None:
    tree = ast.parse((PROJECT / "LMIAL" / "LMIAL.py").read_text(encoding="utf-8"))
    imported = set()
    for one in tree.body:
        if isinstance(one, ast.Import):
            imported |= {alias.name.partition(".")[0] for alias in one.names}
        elif isinstance(one, ast.ImportFrom):
            imported.add(str(one.module).partition(".")[0])
    assert imported == {"sys", "pathlib", "typing", "qt", "slicer"}


def test_the_rooms_of_the_face_can_be_imported_without_qt_or_slicer() -> None:
    modules = [f"LMIALLib.desktop.{one.stem}" for one in (PROJECT / "LMIALLib" / "desktop").glob("[a-z]*.py")]
    blocked = ["qt", "ctk", "slicer", "vtk", "torch", "monai", "nrrd", "skimage", "SimpleITK", "trame"]
    code = f"import sys\nfor name in {blocked!r}: sys.modules[name] = None\n" + "\n".join(
        f"import {m}" for m in modules
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=PROJECT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-800:]
