"""Every name that our files use on slicer, qt and ctk is one that Slicer's source has (Testing/Slicer/api/names.json).

Another tree than this one: `LMIAL_CHECKED_TREE=TREE pytest ...`, or `python test_slicer_calls.py TREE`.
Checked are chains that start at slicer, qt or ctk; members of objects whose class can be told (made here, returned by a
known method, or named in a .ui file); calls in camel case on objects whose class cannot be told, which must exist on
some listed class or be ours; signals named as strings; Qt properties that are called as if they were methods.
"""

from __future__ import annotations

import ast
import functools
import json
import logging
import os
import re
import sys
import unittest
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from xml.etree import ElementTree

import pytest

HERE = Path(__file__).resolve().parents[3]
TREE = Path(os.environ.get("LMIAL_CHECKED_TREE", HERE))
LIST = HERE / "Testing" / "Slicer" / "api" / "names.json"
CHECKED = ("LMIAL", "LMIALLib/scene", "LMIALLib/desktop", "Testing/Slicer")
NOT_CHECKED = "Testing/Slicer/api"
ROOTS = {"slicer", "qt", "ctk", "vtk", "SampleData"}

# Camel-case methods of others that no list of Slicer's has, with whose they are.
OTHERS = {
    "connectGui": "slicer.parameterNodeWrapper",
    "disconnectGui": "slicer.parameterNodeWrapper",
    "examineForExport": "DICOMSegmentationPlugin",
    "installTorch": "PyTorchUtils of the PyTorch extension",
    "CopyInformation": "SimpleITK.Image",
    "GetArrayFromImage": "SimpleITK",
    "GetPixelIDValue": "SimpleITK.Image",
    "SetMetaData": "SimpleITK.Image",
    "TransformContinuousIndexToPhysicalPoint": "SimpleITK.Image",
    "TransformIndexToPhysicalPoint": "SimpleITK.Image",
    "TransformPhysicalPointToContinuousIndex": "SimpleITK.Image",
    "TransformPhysicalPointToIndex": "SimpleITK.Image",
}
OTHERS |= dict.fromkeys((n for n in (*dir(unittest.TestCase), *dir(unittest.TestLoader)) if n[0] != "_"), "unittest")
OTHERS |= dict.fromkeys((n for n in (*dir(logging.Logger), *dir(logging)) if n[0] != "_"), "logging")
# Class of the object that a function of Slicer's Python modules returns.
RETURNED = {
    "slicer.util.VTKObservationMixin": "",
    "slicer.util.mainWindow": "QMainWindow",
    "slicer.util.loadUI": "QWidget",
    "slicer.util.loadVolume": "vtkMRMLVolumeNode",
    "slicer.util.loadSegmentation": "vtkMRMLSegmentationNode",
}


@dataclass(frozen=True)
class Type:
    """An expression: a `module`, a `class`, an `instance` (or of a subclass), an `exact` instance, or a `method`."""

    kind: str
    name: str


@dataclass(frozen=True)
class Class:
    file: str
    bases: tuple[str, ...]
    methods: dict[str, str]
    properties: dict[str, str]
    signals: frozenset[str]
    constants: frozenset[str]

    @functools.cached_property
    def members(self) -> frozenset[str]:
        signals = (one.partition("(")[0] for one in self.signals)
        return frozenset((*self.methods, *self.properties, *signals, *self.constants))


def pairs(words: str) -> dict[str, str]:
    return {one.partition(">")[0]: one.partition(">")[2] for one in words.split()}


class Names:
    """The list, with inheritance."""

    def __init__(self, path: Path = LIST) -> None:
        raw = json.loads(path.read_text(encoding="utf-8"))
        self.instances = raw["instances"]
        self.modules = {
            name: {one for words in files.values() for one in words.split()} for name, files in raw["modules"].items()
        }
        self.slicer_modules = set(raw["slicer.modules"])
        self.classes = {
            name: Class(
                one["file"],
                tuple(one.get("bases", ())),
                pairs(one.get("methods", "")),
                pairs(one.get("properties", "")),
                frozenset(re.findall(r"\S+?\([^)]*\)", one.get("signals", ""))),
                frozenset(one.get("constants", "").split()),
            )
            for name, one in raw["classes"].items()
        }
        self.children: dict[str, list[str]] = {}
        for name, one in self.classes.items():
            for base in one.bases:
                self.children.setdefault(base, []).append(name)
        self.all_members = frozenset(member for one in self.classes.values() for member in one.members)
        self.all_signals = frozenset(signal for one in self.classes.values() for signal in one.signals)

    @functools.cache  # noqa: B019 (one object lives as long as the tests)
    def line(self, name: str) -> tuple[str, ...]:
        """The class and its ancestors that are listed, nearest first."""
        if name not in self.classes:
            return ()
        return (name, *(each for base in self.classes[name].bases for each in self.line(base)))

    @functools.cache  # noqa: B019
    def family(self, name: str) -> tuple[str, ...]:
        """The class, its ancestors, and all that derive from it."""
        below = [name]
        for each in below:
            below += [child for child in self.children.get(each, []) if child not in below]
        return (*self.line(name), *below[1:])

    @functools.cache  # noqa: B019
    def whole(self, name: str) -> bool:
        """Whether every ancestor is listed, so that what is not found is not there."""
        return name in self.classes and all(
            self.whole(base) or base.startswith(("vtkPython", "Q_"))  # wrapping's own bases
            for base in self.classes[name].bases
        )

    def find(self, kind: Type, member: str) -> str | None:
        """The listed class that has the member, for an object or class of that type; None if there is none."""
        among = self.family(kind.name) if kind.kind == "instance" else self.line(kind.name)
        return next((each for each in among if member in self.classes[each].members), None)


@dataclass
class Findings:
    wrong: list[str] = field(default_factory=list)
    used: set[tuple[str, str, str]] = field(default_factory=set)  # file, class, member of it ("" for the class alone)


def camel(name: str) -> bool:
    return bool(re.fullmatch(r"[a-z]+[a-z0-9]*[A-Z]\w*|[A-Z][A-Za-z0-9]*[a-z][A-Za-z0-9]*", name)) and "_" not in name


class Checker(ast.NodeVisitor):
    """Walks one file."""

    def __init__(self, names: Names, own: set[str], widgets: dict[str, str], where: str, findings: Findings) -> None:
        self.names, self.own, self.widgets, self.where, self.findings = names, own, widgets, where, findings
        self.scopes: list[dict[str, Type | None]] = [{}]
        self.selves: list[dict[str, Type | None]] = [{}]
        self.imported: set[str] = set()
        self.called: set[int] = set()

    def wrong(self, node: ast.AST, text: str) -> None:
        line = f"{self.where}:{getattr(node, 'lineno', 0)}: {text}"
        if line not in self.findings.wrong:
            self.findings.wrong.append(line)

    # What an expression is

    def infer(self, node: ast.expr) -> Type | None:
        if isinstance(node, ast.Name):
            for scope in reversed(self.scopes):
                if node.id in scope:
                    return scope[node.id]
            return Type("module", node.id) if node.id in ROOTS else None
        if isinstance(node, ast.Attribute):
            return self.of_attribute(node)
        if isinstance(node, ast.Call):
            return self.of_call(node)
        return None

    def of_attribute(self, node: ast.Attribute) -> Type | None:
        if isinstance(node.value, ast.Name) and node.value.id == "self" and node.attr in self.selves[-1]:
            return self.selves[-1][node.attr]
        if self.is_ui(node.value) and node.attr in self.widgets:
            return Type("instance", self.widgets[node.attr]) if self.widgets[node.attr] else None
        base = self.infer(node.value)
        if base is None:
            return None
        if base.kind == "module":
            return self.of_module(base.name, node.attr)
        if base.kind in ("class", "instance", "exact") and (owner := self.names.find(base, node.attr)):
            found = self.names.classes[owner]
            if found.properties.get(node.attr):
                return Type("instance", found.properties[node.attr])
            if node.attr in found.methods:
                if node.attr in ("SafeDownCast", "New") and base.kind == "class":
                    return Type("method", base.name)
                return Type("method", found.methods[node.attr]) if found.methods[node.attr] else None
        return None

    def of_module(self, module: str, name: str) -> Type | None:
        whole = f"{module}.{name}"
        if whole in self.names.modules or whole in ("slicer.modules", "slicer.moduleNames"):
            return Type("module", whole)
        if module == "slicer" and self.names.instances.get(name):
            return Type("instance", self.names.instances[name])
        if module == "slicer.modules" and name in self.names.slicer_modules:
            return Type("instance", "qSlicerAbstractCoreModule")
        if self.has(module, name) and name in self.names.classes:
            return Type("class", name)
        if RETURNED.get(whole):
            return Type("method", RETURNED[whole])
        return None

    def of_call(self, node: ast.Call) -> Type | None:
        if isinstance(node.func, ast.Attribute) and node.func.attr in ("AddNewNodeByClass", "GetFirstNodeByClass"):
            first = node.args[0] if node.args else None
            if isinstance(first, ast.Constant) and first.value in self.names.classes:
                return Type("exact" if node.func.attr.startswith("Add") else "instance", first.value)
        what = self.infer(node.func)
        if what is None or what.kind not in ("class", "method"):
            return None
        kind = "exact" if what.kind == "class" else "instance"
        return Type(kind, what.name) if what.name in self.names.classes else None

    def has(self, module: str, name: str) -> bool:
        """Whether a module of Slicer's has the name."""
        if name in self.names.modules.get(module, ()) or f"{module}.{name}" in self.names.modules:
            return True
        if module == "slicer":
            file = self.names.classes[name].file if name in self.names.classes else ""
            made = name in self.names.instances or name in ("modules", "moduleNames")
            return made or (file.startswith("Slicer/") and file.endswith(".h"))
        if module == "slicer.modules":
            plain = re.sub(r"(Widget|Instance)$", "", name).lower()  # as Slicer sets them of scripted modules
            return plain in self.names.slicer_modules or plain == "lmial" or name.startswith("sampleData")
        if module == "slicer.moduleNames":
            return name.lower() in self.names.slicer_modules or name.startswith("LMIAL")
        if module in ("qt", "ctk"):
            return name in self.names.classes and self.names.classes[name].file.lower().startswith(f"{module}/")
        return False

    def is_ui(self, node: ast.expr) -> bool:
        name = node.id if isinstance(node, ast.Name) else node.attr if isinstance(node, ast.Attribute) else ""
        return bool(self.widgets) and name in ("ui", "_ui")

    # What is remembered

    def visit_Import(self, node: ast.Import) -> None:
        for one in node.names:
            root = one.name.partition(".")[0]
            if root in ROOTS - {"vtk"}:
                self.module_exists(node, one.name)
                self.scopes[-1][one.asname or root] = Type("module", one.name if one.asname else root)
            elif root != "vtk":
                self.imported.add(one.asname or root)

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        root = (node.module or "").partition(".")[0]
        if root not in ROOTS - {"vtk"} or node.level:
            self.imported |= {one.asname or one.name for one in node.names}
            return
        self.module_exists(node, node.module or "")
        for one in node.names:
            if one.name == "*":
                for name in self.names.modules.get(node.module or "", ()):
                    self.scopes[-1][name] = self.of_module(node.module or "", name)
            else:
                self.member_of_module(node, node.module or "", one.name)
                self.scopes[-1][one.asname or one.name] = self.of_module(node.module or "", one.name)

    def module_exists(self, node: ast.AST, name: str) -> None:
        known = {"slicer", "qt", "ctk", "slicer.modules", *self.names.modules}
        if name not in known:
            self.wrong(node, f"no module {name}")

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        self.generic_bases(node)
        self.selves.append({})
        for one in ast.walk(node):  # what self.x is, wherever the class says it first
            for target, value in assignments(one):
                if (
                    isinstance(target, ast.Attribute)
                    and isinstance(target.value, ast.Name)
                    and target.value.id == "self"
                ):
                    note(self.selves[-1], target.attr, self.infer(value))
        self.scopes.append({})
        for one in node.body:
            self.visit(one)
        self.scopes.pop()
        self.selves.pop()

    def generic_bases(self, node: ast.ClassDef) -> None:
        for one in (*node.bases, *node.decorator_list):
            self.visit(one)

    def visit_FunctionDef(self, node: ast.FunctionDef) -> None:
        for one in (*node.decorator_list, *node.args.defaults, *[d for d in node.args.kw_defaults if d]):
            self.visit(one)
        given = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
        scope: dict[str, Type | None] = {one.arg: None for one in given if one.arg not in ROOTS}
        self.scopes.append(scope)
        for one in ast.walk(node):  # imports first: a nested function may stand above them
            if isinstance(one, ast.Import | ast.ImportFrom):
                self.visit(one)
        for one in sorted((n for n in ast.walk(node) if hasattr(n, "lineno")), key=lambda n: (n.lineno, n.col_offset)):
            for target, value in assignments(one):
                if isinstance(target, ast.Name) and target.id not in ROOTS:
                    note(scope, target.id, self.infer(value))
            for name in bound(one):
                if name not in ROOTS:
                    scope[name] = None
        for one in node.body:
            self.visit(one)
        self.scopes.pop()

    visit_AsyncFunctionDef = visit_FunctionDef  # noqa: N815 (the name that ast asks for)

    def visit_Assign(self, node: ast.Assign) -> None:
        if len(self.scopes) == 1:
            for target, value in assignments(node):
                if isinstance(target, ast.Name) and target.id not in ROOTS:
                    note(self.scopes[0], target.id, self.infer(value))
        self.generic_visit(node)

    # What is checked

    def visit_Call(self, node: ast.Call) -> None:
        self.called.add(id(node.func))
        if isinstance(node.func, ast.Attribute) and node.func.attr in ("connect", "disconnect") and node.args:
            first = node.args[0]
            if isinstance(first, ast.Constant) and isinstance(first.value, str):
                self.signal(node, self.infer(node.func.value), first.value)
        self.generic_visit(node)

    def signal(self, node: ast.Call, kind: Type | None, text: str) -> None:
        plain = re.sub(r"\bconst\s+|&|(?<=[(,<])\s+|\s+(?=[),>*])", "", text)
        if kind is None or not self.names.whole(kind.name):
            if plain not in self.names.all_signals:
                self.wrong(node, f'no listed class has a signal "{text}"')
            return
        among = self.names.family(kind.name) if kind.kind == "instance" else self.names.line(kind.name)
        if not any(plain in self.names.classes[one].signals for one in among):
            name = plain.partition("(")[0]
            near = sorted(s for one in among for s in self.names.classes[one].signals if s.startswith(f"{name}("))
            self.wrong(node, f'{kind.name} has no signal "{text}"' + (f", but {', '.join(near)}" if near else ""))

    def visit_Attribute(self, node: ast.Attribute) -> None:
        self.generic_visit(node)
        if self.is_ui(node.value):
            if node.attr not in self.widgets and not node.attr.startswith("_"):
                self.wrong(node, f"no widget named {node.attr} in a .ui file")
            return
        base = self.infer(node.value)
        called = id(node) in self.called
        if base is None:
            if called and camel(node.attr):
                self.unknown(node)
        elif base.kind == "module":
            if base.name.partition(".")[0] != "vtk":
                self.member_of_module(node, base.name, node.attr)
        elif base.kind in ("class", "instance", "exact"):
            self.member_of_class(node, base, called)

    def unknown(self, node: ast.Attribute) -> None:
        root: ast.expr = node
        while isinstance(root, ast.Attribute | ast.Call | ast.Subscript):
            root = root.func if isinstance(root, ast.Call) else root.value
        direct = isinstance(node.value, ast.Name | ast.Attribute)
        if direct and isinstance(root, ast.Name) and (root.id in self.imported or root.id == "vtk"):
            return
        if node.attr not in self.names.all_members and node.attr not in self.own and node.attr not in OTHERS:
            self.wrong(node, f"no listed class has {node.attr}, and it is not ours")

    def member_of_module(self, node: ast.AST, module: str, name: str) -> None:
        if name.startswith("__") or not (
            module in ("qt", "ctk", "slicer.modules", "slicer.moduleNames") or module in self.names.modules
        ):
            return
        if not self.has(module, name):
            self.wrong(node, f"{module} has no {name}")
        elif module == "slicer":
            self.findings.used.add((self.where, name, ""))

    def member_of_class(self, node: ast.Attribute, kind: Type, called: bool) -> None:
        if node.attr.startswith("__") or not self.names.whole(kind.name):
            return
        owner = self.names.find(kind, node.attr)
        if owner is None:
            self.wrong(node, f"{kind.name} ({self.names.classes[kind.name].file}) has no {node.attr}")
            return
        if kind.name.startswith("vtk"):
            self.findings.used.add(
                (self.where, owner if owner not in self.names.line(kind.name) else kind.name, node.attr)
            )
        elif called and kind.kind != "class" and owner in self.names.line(kind.name):
            first = next(one for one in self.names.line(kind.name) if node.attr in self.names.classes[one].members)
            found = self.names.classes[first]
            if node.attr in found.properties and found.file.endswith(".h"):
                self.wrong(node, f"{node.attr} of {kind.name} is a property for PythonQt: without parentheses")


def assignments(node: ast.AST) -> Iterator[tuple[ast.expr, ast.expr]]:
    if isinstance(node, ast.Assign):
        for target in node.targets:
            yield target, node.value
            if isinstance(target, ast.Tuple) and isinstance(node.value, ast.Tuple):
                yield from zip(target.elts, node.value.elts, strict=False)
    elif isinstance(node, ast.AnnAssign | ast.NamedExpr) and node.value is not None:
        yield node.target, node.value


def bound(node: ast.AST) -> Iterator[str]:
    """Names that get a value which is not looked into: loops, unpacking, with, comprehensions, lambdas."""
    targets: list[ast.expr] = []
    if isinstance(node, ast.For | ast.comprehension):
        targets = [node.target]
    elif isinstance(node, ast.With):
        targets = [one.optional_vars for one in node.items if one.optional_vars]
    elif isinstance(node, ast.Assign) and not isinstance(node.value, ast.Tuple):
        targets = [one for one in node.targets if isinstance(one, ast.Tuple)]
    elif isinstance(node, ast.Lambda):
        yield from (one.arg for one in node.args.args)
    for target in targets:
        yield from (one.id for one in ast.walk(target) if isinstance(one, ast.Name))


def note(scope: dict[str, Type | None], name: str, kind: Type | None) -> None:
    """Remembers a name's type; a name that is two things is unknown."""
    scope[name] = kind if name not in scope or scope[name] == kind else None


def own_names(tree: Path) -> set[str]:
    """Functions, classes and attributes that our own files define."""
    found = set()
    for folder in ("LMIAL", "LMIALLib", "Testing"):
        for path in (tree / folder).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                    found.add(node.name)
                elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
                    found.add(node.target.id)
                elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
                    found.add(node.attr)
    return found


def ui_widgets(tree: Path) -> dict[str, str]:
    """Class of each widget that a .ui file of ours names; '' where two files disagree."""
    found: dict[str, str] = {}
    for path in [*tree.rglob("Resources/UI/*.ui")]:
        for one in ElementTree.parse(path).iter():
            if one.tag in ("widget", "layout", "action") and (name := one.get("name")):
                kind = one.get("class") or "QAction"
                found[name] = kind if found.get(name, kind) == kind else ""
    return found


def check(tree: Path, names: Names | None = None) -> Findings:
    names, findings = names or Names(), Findings()
    own, widgets = own_names(tree), ui_widgets(tree)
    for name, kind in widgets.items():
        if kind and kind not in names.classes and kind != "Line":
            findings.wrong.append(f"a .ui file: {name} is of class {kind}, which is not listed")
    for folder in CHECKED:
        for path in sorted((tree / folder).rglob("*.py")):
            where = path.relative_to(tree).as_posix()
            if not where.startswith(NOT_CHECKED):
                Checker(names, own, widgets, where, findings).visit(ast.parse(path.read_text(encoding="utf-8")))
    return findings


@functools.cache
def listed() -> Names:
    return Names()


def wrong_in(tmp_path: Path, code: str, ui: str = "") -> list[str]:
    (tmp_path / "LMIAL").mkdir()
    (tmp_path / "LMIAL" / "LMIAL.py").write_text(code, encoding="utf-8")
    if ui:
        (tmp_path / "Resources" / "UI").mkdir(parents=True)
        (tmp_path / "Resources" / "UI" / "LMIAL.ui").write_text(ui, encoding="utf-8")
    return check(tmp_path, listed()).wrong


def test_every_name_is_one_of_slicers() -> None:
    assert check(TREE, listed()).wrong == []


@pytest.mark.parametrize(
    "code",
    [
        "import slicer\nslicer.util.laodVolume('a')",
        "import slicer.packaging as p\np.pip_ensured([])",
        "import slicer.packagin",
        "from slicer.util import arrayFromVolum",
        "import slicer\nslicer.vtkMRMLSliceNod()",
        "import slicer\nslicer.vtkMRMLScene.EndClosedEvent",
        "import slicer\nslicer.app.layoutManager().sliceWidgets('Red')",
        "import slicer\nslicer.app.layoutManager().sliceWidget('Red').sliceLogic().GetSliceNodes()",
        "import slicer\na = slicer.mrmlScene.AddNewNodeByClass('vtkMRMLModelNode')\na.CreateDefaultDisplayNode()",
        "import slicer\nslicer.modules.segmentation.logic()",
        "import qt\nqt.QTimer.singleShoot(0, print)",
        "import qt\nqt.Qt.AlignMiddle",
        "import qt\nclass A:\n def a(self):\n  self.box = qt.QComboBox()\n def b(self):\n  self.box.currentIndex()",
        "import ctk\nctk.ctkPathLineEdit().connect('currentPathChange(QString)', print)",
        "import qt\nqt.QProcess().connect('finished(int,int)', print)",
        "def f(node):\n    node.SetSliceOfset(3)",
        "def f(box):\n    box.connect('currentNodeChanged(QString)', print)",
    ],
)
def test_a_misspelt_name_is_found(tmp_path: Path, code: str) -> None:
    assert len(wrong_in(tmp_path, code)) == 1


def test_right_names_pass(tmp_path: Path) -> None:
    code = """
import qt, ctk, slicer, vtk
from slicer.ScriptedLoadableModule import *
from slicer.i18n import tr as _
from slicer.util import VTKObservationMixin

class LMIALWidget(ScriptedLoadableModuleWidget, VTKObservationMixin):
    def setup(self):
        self.editor = slicer.qMRMLSegmentEditorWidget()
        self.editor.setMRMLScene(slicer.mrmlScene)
        self.editor.setMaximumNumberOfUndoStates(10)
        self.process = qt.QProcess()
        self.process.connect("finished(int,QProcess::ExitStatus)", self.onEnd)
        self.process.connect("readyReadStandardOutput()", self.onEnd)
        self.addObserver(slicer.mrmlScene, slicer.vtkMRMLScene.EndCloseEvent, self.onEnd)
        button = ctk.ctkCollapsibleButton()
        button.text = _("Queue")
        button.setSizePolicy(qt.QSizePolicy.Minimum, qt.QSizePolicy.Minimum)
        slicer.app.connect("aboutToQuit()", self.onEnd)
        self.ui.next.setToolTip("N")

    def onEnd(self, *args):
        logic = slicer.app.layoutManager().sliceWidget("Red").sliceLogic()
        logic.GetSliceNode().JumpSliceByCentering(0, 0, 0)
        self.editor.mrmlSegmentEditorNode().SetMaskMode(slicer.vtkMRMLSegmentationNode.EditAllowedInsideSingleSegment)
"""
    ui = '<ui><widget class="QWidget" name="LMIAL"><widget class="QPushButton" name="next"/></widget></ui>'
    assert wrong_in(tmp_path, code, ui) == []


def test_a_widget_that_the_ui_file_has_not_is_found(tmp_path: Path) -> None:
    ui = '<ui><widget class="QPushButton" name="next"/></ui>'
    code = "class A:\n    def f(self):\n        self.ui.nxt.hide()\n        self.ui.next.setCheckables(True)"
    assert len(wrong_in(tmp_path, code, ui)) == 2


def test_names_that_slicer_core_knows_are_there() -> None:
    """What the list says of MRML classes that we use is true of the slicer-core that is installed."""
    slicer = pytest.importorskip("slicer", reason="slicer-core is missing")
    used = sorted(check(TREE, listed()).used)
    missing = []
    for where, name, member in used:
        if not name.startswith("vtk") or listed().classes[name].file.startswith("VTK"):
            continue
        real = getattr(slicer, name, None)
        if real is None:
            if where.startswith("LMIALLib/scene"):
                missing.append(f"{where}: {name}")
        elif member and not hasattr(real, member):
            missing.append(f"{where}: {name}.{member}")
    assert missing == []


if __name__ == "__main__":
    results = check(Path(sys.argv[1]) if len(sys.argv) > 1 else TREE, listed()).wrong
    print("\n".join(results))
    sys.exit(bool(results))
