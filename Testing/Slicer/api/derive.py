"""Derives names.json, the names that LMIAL may use on slicer, qt, ctk and vtk, from sources given by path.

    python Testing/Slicer/api/derive.py --slicer SLICER --ctk CTK --qt QT_INCLUDE

SLICER and CTK are checkouts; QT_INCLUDE is the include folder of Qt 5.15, with QtCore, QtGui, QtWidgets in it.
VTK's own classes are read from the `vtk` package that is installed, and what its wrapping leaves out of Slicer's
classes from the slicer-core that is installed (one of the same version as the checkout). Only names are kept.
"""

from __future__ import annotations

import argparse
import ast
import importlib
import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent

# Folders of Slicer whose classes a face or the scene room may plausibly use.
SLICER_FOLDERS = (
    "Base/QTCore",
    "Base/QTGUI",
    "Base/QTApp",
    "Base/Logic",
    "Libs/MRML/Core",
    "Libs/MRML/Logic",
    "Libs/MRML/Widgets",
    "Libs/vtkSegmentationCore",
    "Modules/Loadable/Colors",
    "Modules/Loadable/Plots",
    "Modules/Loadable/Segmentations",
    "Modules/Loadable/SubjectHierarchy",
    "Modules/Loadable/Tables",
    "Modules/Loadable/Terminologies",
    "Modules/Loadable/Volumes",
)
CTK_FOLDERS = ("Libs/Core", "Libs/Widgets", "Libs/Visualization/VTK/Core", "Libs/Visualization/VTK/Widgets")
QT_FOLDERS = ("QtCore", "QtGui", "QtWidgets", "QtNetwork", "QtUiTools")
# Of Qt, what no Python face touches: drawing libraries, containers, and what PythonQt turns into Python's own types.
NO_QT = (
    r"QOpenGL|QAccessible|QVulkan|QPlatform|QtPrivate|QMeta(?!Object$)|QAtomic|QFuture|QTypeInfo|QGraphics|QState|QCbor|QSsl|"
    r"QHttp2|QArray|QString[A-Z]?|QChar|QLatin|QVector(?!\dD)|QMatrix|QQuaternion|QXml|QList$|QMap|QHash|QSet$|QSharedPointer|QWeak|"
    r"QScoped|QExplicitly|QGlobalStatic|QLinked|QVarLength|QMulti|QSequential|QAssociative|QConcatenate|QThreadStorage|"
    r"QNetwork|QDtls|QHost|QAnimation|QVariantAnimation|QJson|QSignalTransition|QEventTransition|QHistory|QFinal|QTextObject|"
    r"QTextCodec|QTextEncoder|QTextDecoder|QRandom|QStyle(?!d|$)|QStaticText|QRawFont|QGlyph|QInputMethod|QUndo|QWizard|QMdi|QPdf|"
    r"QPaintEngine|QPageSize|QPageLayout|QPixelFormat|QRgba|QBasic|QRegularExpressionMatch|QText(?:Block|Frame|List|Table|"
    r"Inline|Layout|Length|Line)|.*(?:Iterator|Attributes|Gesture|Functor|Functions|Interface)"
)
SKIPPED = {"Testing", "Documentation", "DesignerPlugins", "Python", "private"}

# VTK classes that are used by name; the ancestors of Slicer's classes come by themselves.
VTK = [
    "vtkActor2D", "vtkCallbackCommand", "vtkCollection", "vtkColorTransferFunction", "vtkCommand", "vtkDataArray",
    "vtkDoubleArray", "vtkFloatArray", "vtkGeneralTransform", "vtkIdList", "vtkImageData", "vtkImageMapper",
    "vtkImageReslice", "vtkIntArray", "vtkLookupTable", "vtkMath", "vtkMatrix4x4", "vtkObject", "vtkPNGWriter",
    "vtkCoordinate", "vtkPointData", "vtkPoints", "vtkPolyData", "vtkPolyDataMapper2D", "vtkRegularPolygonSource",
    "vtkRenderWindow", "vtkRenderWindowInteractor",
    "vtkRenderer", "vtkRendererCollection", "vtkTextActor", "vtkTextProperty",
    "vtkStringArray", "vtkTable", "vtkTransform", "vtkUnsignedCharArray", "vtkVariant", "vtkVersion",
    "vtkWeakReference", "vtkWindowToImageFilter",
]  # fmt: skip

# What PythonQt puts on every wrapped object beside its meta-object (PythonQtInstanceWrapper, PythonQtStdDecorators).
PYTHONQT = [
    "className", "connect", "delete", "deleteLater", "disconnect", "emit", "findChild", "findChildren", "help",
    "inherits", "objectName", "parent", "setParent", "setProperty", "property", "children", "tr", "setObjectName",
    "dynamicPropertyNames", "startTimer", "killTimer",
]  # fmt: skip
# Made by Slicer at its start (Base/Python/slicer/__init__.py and slicerqt.py), not defined in any namespace.
INSTANCES = {
    "app": "qSlicerApplication",
    "mrmlScene": "vtkMRMLScene",
    "modules": "",
    "moduleNames": "",
    "dicomDatabase": "ctkDICOMDatabase",
    "selfTests": "",
}


def without_comments(text: str) -> str:
    literal = r'("(?:\\.|[^"\\\n])*")|//[^\n]*|/\*.*?\*/'
    text = re.sub(literal, lambda match: '""' if match.group(1) else " ", text, flags=re.S)
    text = re.sub(r"\\\r?\n", " ", text)
    return re.sub(r"^[ \t]*#[^\n]*", "", text, flags=re.M)


def closing(text: str, start: int, pair: str = "{}") -> int:
    """Index of the bracket that closes the one at `start`; the end of the text if there is none."""
    depth = 0
    for at in range(start, len(text)):
        depth += (text[at] == pair[0]) - (text[at] == pair[1])
        if depth == 0:
            return at
    return len(text) - 1


CLASS = re.compile(r"\b(?:class|struct)\s+((?:[\w]+(?:\([^)]*\))?\s+)*)(\w+)\s*(?:final\s*)?(:[^;{()]*)?\{")
ENUM = re.compile(r"\benum\s+(?:class\s+|struct\s+)?(\w+)?\s*(?::\s*[\w:]+\s*)?\{")
ACCESS = re.compile(
    r"(?<![\w:])(public|protected|private|signals|Q_SIGNALS)(?:\s+(slots|Q_SLOTS))?\s*:(?!:)|(?<![\w:])(Q_SIGNALS|signals)\s*:(?!:)"
)
PROPERTY = re.compile(r"\bQ_PROPERTY\s*\(\s*(?:const\s+)?([\w:<>, ]+?[\s*&]+)(\w+)\s+(?:READ|MEMBER)\b")
NOISE = re.compile(
    r"\b(?:Q_OBJECT|Q_GADGET|QVTK_OBJECT|QT_VERSION_CHECK|Q_REQUIRED_RESULT|Q_DECL_\w+|QT_DEPRECATED\w*(?:\((?:[^()]|\([^()]*\))*\))?|"
    r"Q_(?:PROPERTY|ENUMS|FLAGS|ENUM|FLAG|INTERFACES|DECLARE_\w+|DISABLE_\w+|CLASSINFO|PRIVATE_SLOT|PLUGIN_METADATA|OVERRIDE)"
    r"\s*\((?:[^()]|\([^()]*\))*\)|VTK_\w+|vtk(?:Not)?Deprecated\w*)"
)


def names_of_enum(body: str) -> list[str]:
    flat = re.sub(r"\([^()]*\)", "", re.sub(r"\([^()]*\)", "", body))
    return [m.group(1) for part in flat.split(",") if (m := re.match(r"\s*(\w+)", part))]


def of_macro(name: str, arguments: list[str]) -> dict[str, str]:
    """Methods that one of VTK's macros makes, with the class each returns ('' if none)."""
    it = arguments[0] if arguments else ""
    if re.fullmatch(r"vtk\w*TypeMacro", name):
        return dict.fromkeys(("GetClassName", "IsA", "IsTypeOf", "SafeDownCast", "NewInstance"), "")
    if name == "vtkBooleanMacro":
        return {f"{it}On": "", f"{it}Off": ""}
    if name in ("vtkSetClampMacro", "vtkSetClampVectorMacro"):
        return {f"Set{it}": "", f"Get{it}MinValue": "", f"Get{it}MaxValue": ""}
    if name in ("vtkGetObjectMacro", "vtkGetNewMacro"):
        return {f"Get{it}": arguments[1] if len(arguments) > 1 else ""}
    if re.fullmatch(r"vtk(?:Cxx)?Set\w*Macro", name):
        return {f"Set{it}": ""}
    if re.fullmatch(r"vtkGet\w*Macro", name):
        return {f"Get{it}": ""}
    if name.startswith("vtkMRMLCopyContent"):
        return {"CopyContent": ""}
    return {}


def normal(arguments: str) -> str:
    """Arguments of a signal as Qt's own normalisation writes them, without names and default values."""
    out = []
    for part in re.split(r",(?![^<]*>)", arguments):
        part = re.sub(r"=.*", "", part, flags=re.S).strip()
        if not part or part in ("void", "QPrivateSignal"):
            continue
        part = re.sub(r"^const\s+(.*)&", r"\1", re.sub(r"\s+", " ", part))
        if re.search(r"[\w>][\s*&]+\w+$", part) and not re.fullmatch(r"(?:unsigned|long|const|signed|short) \w+", part):
            part = re.sub(r"\w+$", "", part)
        out.append(re.sub(r"\s*([*&<>,])\s*", r"\1", part).strip())
    return ",".join(out)


def members(own: str, body: str, exposed: str) -> dict[str, Any]:
    """Public names of one class body. `exposed`: "all", or "meta" where PythonQt sees the meta-object alone."""
    found: dict[str, Any] = {"methods": {}, "properties": {}, "signals": [], "constants": []}
    body = flatten(body, found)
    for kind, name in PROPERTY.findall(body):
        found["properties"][name] = returned(kind)
    body = NOISE.sub(" ", body)
    access, slots, at = "private", False, 0
    sections = []
    for label in ACCESS.finditer(body):
        sections.append((access, slots, body[at : label.start()]))
        access, slots, at = label.group(1) or label.group(3), bool(label.group(2)), label.end()
    sections.append((access, slots, body[at:]))
    for access, slots, text in sections:
        if access in ("protected", "private"):
            continue
        for macro in re.finditer(r"\b(vtk\w*Macro)\s*\(([^()]*)\)", text):
            found["methods"].update(of_macro(macro.group(1), [one.strip() for one in macro.group(2).split(",")]))
        text = re.sub(r"\b[A-Za-z]\w*(?:Macro|MACRO)\s*\([^()]*\)", ";", text)
        for statement in text.split(";"):
            member(statement.strip(), access in ("signals", "Q_SIGNALS"), slots, exposed, found)
    found["methods"].pop(own, None)
    return found


def flatten(body: str, found: dict[str, Any]) -> str:
    """The body with nested braces taken out; enumerators are noted on the way."""
    out, at = [], 0
    while (start := body.find("{", at)) >= 0:
        end = closing(body, start)
        head = body[at:start]
        # an enum's own words stand before its brace, right up to it
        if enum := re.search(r"\benum\s+(?:class\s+|struct\s+)?(\w+)?\s*(?::\s*[\w:]+\s*)?$", head):
            found["constants"] += names_of_enum(body[start + 1 : end]) + ([enum.group(1)] if enum.group(1) else [])
            head = head[: enum.start()]
        elif nested := re.search(r"\b(?:class|struct|union)\s[^;{}()]*$", head):
            head = head[: nested.start()]
        out.append(head + ";")
        at = end + 1
    return "".join([*out, body[at:]])


def returned(kind: str) -> str:
    kind = kind.strip()
    match = re.search(r"(\w+)\s*\*\s*$", kind)
    return match.group(1) if match and re.match(r"vtk|q[A-Z]|Q[A-Z]|ctk", match.group(1)) else ""


def member(statement: str, signal: bool, slots: bool, exposed: str, found: dict[str, Any]) -> None:
    if not statement or re.match(r"(?:friend|typedef|using|template)\b", statement) or "operator" in statement:
        return
    match = re.match(r"((?:[\w:<>,*&\s]|\[\[.*?\]\])*?)(~?\w+)\s*\(", statement)
    if not match or match.group(2).startswith("~") or match.group(2) in ("Q_INVOKABLE", "if", "return"):
        return
    before, name = match.group(1), match.group(2)
    if not before.strip():
        return  # a constructor, or a macro of one word
    if signal:
        end = closing(statement, match.end() - 1, "()")
        arguments = re.split(r",(?![^<]*>)", statement[match.end() : end])
        optional = sum("=" in one for one in arguments)
        for count in range(
            len(arguments) - optional, len(arguments) + 1
        ):  # moc makes a signal for each default left out
            found["signals"].append(f"{name}({normal(','.join(arguments[:count]))})")
    elif name == "exec":
        found["methods"] |= {"exec": "", "exec_": ""}  # PythonQt gives both
    elif slots or exposed == "all" or "Q_INVOKABLE" in before:
        found["methods"][name] = returned(before) or found["methods"].get(name, "")


def classes_of(path: Path, exposed: str) -> Iterator[tuple[str, list[str], dict[str, Any]]]:
    text = without_comments(path.read_text(encoding="utf-8", errors="replace"))
    for match in CLASS.finditer(text):
        end = closing(text, match.end() - 1)
        bases = re.findall(r"\b(?:public|virtual)\s+(?:public\s+)?([\w:]+)", match.group(3) or "")
        yield (
            match.group(2),
            [base.split("::")[-1] for base in bases],
            members(match.group(2), text[match.end() : end], exposed),
        )


def decorated(path: Path, classes: dict[str, Any]) -> None:
    """Adds what a decorator file gives to classes: its slots take the object first."""
    text = without_comments(path.read_text(encoding="utf-8", errors="replace"))
    for kind, name, owner in re.findall(r"([\w:<>]+[\s*&]+)(\w+)\s*\(\s*(?:const\s+)?(\w+)\s*\*\s*\w*", text):
        if owner in classes and not name.startswith(("new_", "delete_", "static_")):
            classes[owner]["methods"][name] = returned(kind)
    for kind, name in re.findall(r"([\w:<>]+[\s*&]+)static_(\w+)\s*\(", text):
        owner, _, method = name.partition("_")
        if owner in classes and method:
            classes[owner]["methods"][method] = returned(kind)


def entry(file: str, bases: list[str]) -> dict[str, Any]:
    return {"file": file, "bases": bases, "methods": {}, "properties": {}, "signals": [], "constants": []}


def headers(root: Path, folders: tuple[str, ...]) -> Iterator[Path]:
    for folder in folders:
        for path in sorted((root / folder).rglob("*.h")):
            if (
                not SKIPPED & set(path.relative_to(root).parts)
                and not any(part[0].isdigit() for part in path.relative_to(root).parts)  # Qt's private headers
                and path.stem[-2:] != "_p"
                and "Private" not in path.stem
            ):
                yield path


def wanted(name: str, prefix: str) -> bool:
    if re.match(NO_QT, name):
        return False
    return re.match(prefix, name) is not None and not name.endswith(("Private", "Plugin", "Test"))


def read_headers(root: Path, folders: tuple[str, ...], label: str, prefix: str, exposed: str) -> dict[str, Any]:
    classes: dict[str, Any] = {}
    for path in headers(root, folders):
        how = "all" if exposed == "all" or path.stem.startswith("vtk") else "meta"
        for name, bases, found in classes_of(path, how):
            if wanted(name, prefix) and (name not in classes or len(found["methods"]) > len(classes[name]["methods"])):
                classes[name] = entry(f"{label}/{path.relative_to(root).as_posix()}", bases) | found
    return classes


def qt_namespace(root: Path) -> dict[str, Any]:
    path = next(root.rglob("qnamespace.h"))
    text = without_comments(path.read_text(encoding="utf-8"))
    found = entry(f"Qt/QtCore/{path.name}", [])
    for match in ENUM.finditer(text):
        end = closing(text, match.end() - 1)
        found["constants"] += names_of_enum(text[match.end() : end]) + ([match.group(1)] if match.group(1) else [])
    return found


def of_vtk(names: set[str]) -> dict[str, Any]:
    """VTK's own classes with their ancestors, as its Python wrapping shows them."""
    vtk = importlib.import_module("vtkmodules.all")
    classes: dict[str, Any] = {}
    waiting = sorted(names)  # their ancestors are added below
    while waiting:
        name = waiting.pop()
        kind = getattr(vtk, name, None)
        if not isinstance(kind, type) or name in classes:
            continue
        bases = [base.__name__ for base in kind.__bases__ if base is not object]
        made = entry(f"VTK {vtk.vtkVersion.GetVTKVersion()}, {kind.__module__}", bases)
        for key, value in vars(kind).items():
            if not key.startswith("_"):
                if callable(value) and not isinstance(value, type):
                    made["methods"][key] = ""
                else:
                    made["constants"].append(key)
        classes[name] = made
        waiting += bases
    commands = classes.get("vtkCommand")
    if commands:
        commands["constants"] += [key for key in dir(vtk.vtkCommand) if key.endswith("Event")]
    return classes


def only_wrapped(classes: dict[str, Any]) -> None:
    """Drops what VTK's wrapping leaves out (std::vector of pointers, streams), as slicer-core of this version shows it.

    Without slicer-core nothing is dropped, and the list is a little too generous.
    """
    try:
        slicer = importlib.import_module("slicer")
    except ImportError:
        return
    for name, found in classes.items():
        real = getattr(slicer, name, None)
        if name.startswith("vtk") and isinstance(real, type):
            found["methods"] = {key: kind for key, kind in found["methods"].items() if hasattr(real, key)}
            found["constants"] = [key for key in found["constants"] if hasattr(real, key)]


def python_names(path: Path) -> tuple[dict[str, str], dict[str, Any]]:
    """Names at the top of a Python module, and its classes with their methods."""
    names, classes = {}, {}
    stack = list(ast.parse(path.read_text(encoding="utf-8")).body)
    while stack:
        node = stack.pop()
        if isinstance(node, ast.If | ast.Try):
            stack += [*node.body, *node.orelse, *getattr(node, "finalbody", [])]
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            names[node.name] = "function"
        elif isinstance(node, ast.ClassDef):
            names[node.name] = "class"
            made = entry(
                "",
                [
                    base.id if isinstance(base, ast.Name) else base.attr
                    for base in node.bases
                    if isinstance(base, ast.Name | ast.Attribute)
                ],
            )
            for one in ast.walk(node):
                if isinstance(one, ast.FunctionDef) and one in node.body:
                    made["methods"][one.name] = ""
                elif isinstance(one, ast.Assign) and one in node.body:
                    made["constants"] += [each.id for each in one.targets if isinstance(each, ast.Name)]
                elif (
                    isinstance(one, ast.Attribute)
                    and isinstance(one.ctx, ast.Store)
                    and (isinstance(one.value, ast.Name) and one.value.id == "self")
                ):
                    made["properties"][one.attr] = ""
            classes[node.name] = made
        elif isinstance(node, ast.Assign):
            names |= {one.id: "value" for one in node.targets if isinstance(one, ast.Name)}
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            names[node.target.id] = "value"
        elif isinstance(node, ast.ImportFrom) and path.name == "__init__.py" and node.level:
            names |= {one.asname or one.name: "name" for one in node.names if one.name != "*"}
    return names, classes


def read_python(root: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    modules: dict[str, Any] = {}
    classes: dict[str, Any] = {}
    base = root / "Base/Python/slicer"
    for path in [
        *sorted(base.glob("*.py")),
        *sorted((base / "parameterNodeWrapper").glob("*.py")),
        root / "Modules/Scripted/SampleData/SampleData.py",
    ]:
        if path.parent == base and path.name == "__init__.py":
            name = "slicer"
        elif path.parent.name == "parameterNodeWrapper":
            name = "slicer.parameterNodeWrapper"
        elif path.parent == base:
            name = f"slicer.{path.stem}"
        else:
            name = path.stem
        file = f"Slicer/{path.relative_to(root).as_posix()}"
        names, made = python_names(path)
        modules.setdefault(name, {}).update({one: file for one in names if not one.startswith("__")})
        for one, found in made.items():
            classes[one] = found | {"file": file}
    return modules, classes


def module_names(root: Path) -> dict[str, str]:
    """slicer.modules.NAME of every loadable and scripted module, with the folder that holds it."""
    found = {}
    for kind in ("Loadable", "Scripted", "CLI"):
        for folder in sorted((root / "Modules" / kind).iterdir()):
            if folder.is_dir():
                found[folder.name.lower()] = f"Slicer/{folder.relative_to(root).as_posix()}"
    return found


def revision(root: Path) -> str:
    run = subprocess.run(["git", "-C", str(root), "rev-parse", "HEAD"], capture_output=True, text=True, check=False)
    return run.stdout.strip()


def compact(found: dict[str, Any]) -> dict[str, Any]:
    """A class with lists as lines of words: smaller, and a change shows in one line."""

    def words(table: dict[str, str]) -> str:
        return " ".join(f"{name}>{kind}" if kind else name for name, kind in sorted(table.items()))

    out = {
        "file": found["file"],
        "bases": found["bases"],
        "methods": words(found["methods"]),
        "properties": words(found["properties"]),
        "signals": " ".join(sorted(set(found["signals"]))),
        "constants": " ".join(sorted(set(found["constants"]))),
    }
    return {key: value for key, value in out.items() if value}


def derive(slicer: Path, ctk: Path, qt: Path) -> dict[str, Any]:
    classes = read_headers(slicer, SLICER_FOLDERS, "Slicer", r"vtk|qMRML|qSlicer", "meta")
    classes |= read_headers(ctk, CTK_FOLDERS, "CTK", r"ctk", "meta")
    classes |= read_headers(qt, QT_FOLDERS, "Qt", r"Q[A-Z]", "all")
    classes["Qt"] = qt_namespace(qt)
    classes["QObject"]["methods"].update(dict.fromkeys(PYTHONQT, ""))
    for root in (slicer, ctk):
        for path in sorted(root.rglob("*PythonQtDecorators.h")):
            decorated(path, classes)
    only_wrapped(classes)
    modules, python = read_python(slicer)
    bases = {base for found in classes.values() for base in found["bases"] if base.startswith("vtk")}
    classes |= {name: found for name, found in of_vtk(set(VTK) | bases).items() if name not in classes}
    classes |= {name: found for name, found in python.items() if name not in classes}
    return {
        "derived from": {"Slicer": revision(slicer), "CTK": revision(ctk), "Qt": "5.15"},
        "instances": INSTANCES,
        "modules": {
            name: {
                file: " ".join(sorted(k for k, v in names.items() if v == file)) for file in sorted({*names.values()})
            }
            for name, names in sorted(modules.items())
        },
        "slicer.modules": module_names(slicer),
        "classes": {name: compact(found) for name, found in sorted(classes.items())},
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("slicer", "ctk", "qt"):
        parser.add_argument(f"--{name}", type=Path, required=True)
        parser.add_argument(f"--{name}-revision", default="", help="if the folder is not a git checkout")
    parser.add_argument("--out", type=Path, default=HERE / "names.json")
    given = parser.parse_args()
    names = derive(given.slicer, given.ctk, given.qt)
    for key, label in (("slicer", "Slicer"), ("ctk", "CTK"), ("qt", "Qt")):
        names["derived from"][label] = getattr(given, f"{key}_revision") or names["derived from"][label]
    given.out.write_text(json.dumps(names, indent=0, sort_keys=False) + "\n", encoding="utf-8")
    print(f"{len(names['classes'])} classes, {given.out.stat().st_size} bytes")


if __name__ == "__main__":
    main()
