"""What goes into the Slicer extension: every file or a name on the list, closed under imports, light to import."""

from __future__ import annotations

import ast
import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest
from packaged import LEFT_OUT, LIST, MODULE, PROJECT, expected, is_left_out, listing, tree

FACE_ROOMS = ("pairs", "queries", "metrics", "study", "loop", "scene", "desktop", "cohorts", "datasets")
WORKER_SIDE = tuple(f"LMIALLib.worker.{name}" for name in ("client", "events", "messages", "requests", "transport"))
IN_SLICER = {
    "numpy", "scipy", "SimpleITK", "vtk", "slicer", "qt", "ctk", "packaging", "pydicom", "SampleData",
    "DICOMLib", "DICOMSegmentationPlugin", "PyTorchUtils", "PIL",
}  # fmt: skip
"""Third-party packages that Slicer 5.12 brings, or that come with an extension we depend on."""


def module_name(path: str) -> str:
    return path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")


def imported(path: Path, *, at_load: bool = False) -> set[str]:
    """Full names of what a file imports; ``at_load``: only outside functions and ``if TYPE_CHECKING``."""
    found: set[str] = set()

    def visit(node: ast.AST) -> None:
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            return
        if at_load and isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)):
            return
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found.add(node.module)
            found.update(f"{node.module}.{alias.name}" for alias in node.names)
        for child in ast.iter_child_nodes(node):
            visit(child)

    visit(ast.parse(path.read_text(encoding="utf-8")))
    return found


def third_party(path: Path, *, at_load: bool = False) -> set[str]:
    tops = {name.split(".")[0] for name in imported(path, at_load=at_load)}
    return tops - set(sys.stdlib_module_names) - {"LMIALLib"}


def packaged_scripts() -> list[Path]:
    return [PROJECT / path for path in expected()[0]]


def test_every_file_is_packaged_or_on_the_named_list() -> None:
    assert LIST.read_text(encoding="utf-8") == listing(), "run: python Testing/Python/packaging/packaged.py"
    scripts, resources = expected()
    listed = {*scripts, *resources, *MODULE}
    assert [path for path in tree() if path not in listed and not is_left_out(path)] == []
    assert [path for path in listed if is_left_out(path)] == []


def test_the_named_list_names_what_is_there() -> None:
    for name in LEFT_OUT:
        assert any(path.startswith(name) for path in tree()), name


def test_whole_rooms_stay_out() -> None:
    rooms = {name for name in LEFT_OUT if name != "LMIALLib/__main__.py"}
    assert all(re.fullmatch(r"LMIALLib/\w+/", name) for name in rooms), rooms


def test_what_is_packaged_imports_nothing_that_is_not() -> None:
    left_out = {module_name(path) for path in tree() if path.endswith(".py") and is_left_out(path)}
    for path in packaged_scripts():
        assert not imported(path) & left_out, path


def test_what_slicer_does_not_bring_is_imported_inside_functions() -> None:
    for path in packaged_scripts():
        room = path.relative_to(PROJECT / "LMIALLib").parts[0]
        if room in FACE_ROOMS:
            assert third_party(path, at_load=True) <= {"numpy", "scipy", "SimpleITK", "vtk"}, path


def test_face_side_modules_load_with_everything_else_blocked() -> None:
    """In a fresh Python where only what Slicer brings can be imported, and neither qt, ctk nor slicer at load."""
    names = [
        module_name(path)
        for path in expected()[0]
        if path.split("/")[1] in FACE_ROOMS or module_name(path) in WORKER_SIDE
    ]
    assert len(names) > 90
    script = f"""
import importlib, sys
import numpy, scipy, SimpleITK
allowed = {{"numpy", "scipy", "SimpleITK", "vtk", "vtkmodules", "LMIALLib", "packaging"}} | set(sys.stdlib_module_names)
class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] not in allowed:
            raise ImportError("blocked: " + name)
sys.meta_path.insert(0, Blocked())
failed = []
for name in {names!r}:
    try:
        importlib.import_module(name)
    except ImportError as error:
        failed.append(name + ": " + str(error))
print("\\n".join(failed))
"""
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, env={**os.environ, "PYTHONPATH": str(PROJECT)}
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == ""


def test_requirements_cover_the_imports_and_never_name_torch() -> None:
    from packaging.requirements import Requirement

    names = {"nrrd": "pynrrd", "sklearn": "scikit-learn", "skimage": "scikit-image"}
    lines = (PROJECT / "Resources" / "requirements.txt").read_text(encoding="utf-8").splitlines()
    wanted = [Requirement(line) for line in lines if line.strip() and not line.startswith("#")]
    assert {r.name for r in wanted} & {"torch", "torchvision", "torchaudio", "numpy", "scipy", "SimpleITK"} == set()
    needed = set().union(*(third_party(path) for path in packaged_scripts())) - IN_SLICER - {"torch"}
    assert {r.name for r in wanted} == {names.get(name, name) for name in needed}
    for requirement in wanted:
        assert [specifier.operator for specifier in requirement.specifier] == [">="], requirement


def test_requirements_ask_for_what_the_project_asks_for() -> None:
    from packaging.requirements import Requirement

    from LMIALLib.desktop.dependencies import TORCH, requirements

    project = tomllib.loads((PROJECT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["dependencies"]
    bounds = {r.name: str(r.specifier) for r in map(Requirement, project)}
    assert bounds["torch"] == TORCH
    for requirement in map(Requirement, requirements()):
        assert bounds.get(requirement.name, str(requirement.specifier)) == str(requirement.specifier)


def cmake_variables() -> dict[str, str]:
    """The EXTENSION_* variables as the Extensions Index finds them: one ``set(NAME "value")`` a line."""
    text = (PROJECT / "CMakeLists.txt").read_text(encoding="utf-8")
    return dict(re.findall(r'^set\((EXTENSION_\w+) "([^"\n]+)"\)$', text, re.MULTILINE))


def test_cmake_tells_the_index_what_it_reads() -> None:
    text = (PROJECT / "CMakeLists.txt").read_text(encoding="utf-8")
    assert re.findall(r"project\s*\(\s*([^\s)]+)", text) == ["LMIAL"]
    values = cmake_variables()
    assert set(values) == {
        f"EXTENSION_{name}"
        for name in ("HOMEPAGE", "CONTRIBUTORS", "DESCRIPTION", "ICONURL", "SCREENSHOTURLS", "DEPENDS")
    }
    assert values["EXTENSION_DEPENDS"] == "PyTorch"
    assert values["EXTENSION_DESCRIPTION"].count(". ") <= 1
    for name in ("ICONURL", "SCREENSHOTURLS"):
        assert all(re.fullmatch(r"https://\S+\.(png|jpg|jpeg|gif)", url) for url in values[f"EXTENSION_{name}"].split())
    assert "## NEXT_MODULE" in text


def test_the_drafted_entry_belongs_to_the_extension() -> None:
    document = (PROJECT / "Docs" / "extensions-index.md").read_text(encoding="utf-8")
    entry = json.loads(re.findall(r"```json\n(.*?)```", document, re.DOTALL)[0])
    assert set(entry) == {
        "$schema", "build_dependencies", "build_subdirectory", "category", "scm_revision", "scm_url", "tier",
    }  # fmt: skip
    assert entry["$schema"].endswith("/slicer-extension-catalog-entry-schema-v1.0.1.json#")
    assert entry["build_dependencies"] == [cmake_variables()["EXTENSION_DEPENDS"]]
    assert entry["scm_url"].rsplit("/", 1)[1] == "SlicerLMIAL"
    assert entry["category"] == "Active Learning"
    for value in (*cmake_variables().values(), entry["scm_url"]):
        for url in re.findall(r"https://example\.invalid\S*", value):
            assert url in document, f"{url} is not listed as to be filled in"


def test_icons_have_the_sizes_slicer_shows() -> None:
    from PIL import Image

    for path, size in (
        ("LMIAL.png", (128, 128)),
        ("Resources/Icons/LMIAL.png", (128, 128)),
        ("Resources/Icons/LMIALSample.png", (260, 280)),
    ):
        with Image.open(PROJECT / path) as picture:
            assert (picture.format, picture.size) == ("PNG", size)


STUB = """
set(Slicer_USE_FILE ${CMAKE_CURRENT_LIST_DIR}/use.cmake)
set(Slicer_EXTENSION_GENERATE_CONFIG ${CMAKE_CURRENT_LIST_DIR}/nothing.cmake)
set(Slicer_EXTENSION_CPACK ${CMAKE_CURRENT_LIST_DIR}/nothing.cmake)
"""
USE = """
function(slicerMacroBuildScriptedModule)
  cmake_parse_arguments(MY "WITH_GENERIC_TESTS" "NAME" "SCRIPTS;RESOURCES" ${ARGN})
  foreach(file ${MY_SCRIPTS} ${MY_RESOURCES})
    if(NOT EXISTS ${CMAKE_CURRENT_SOURCE_DIR}/${file})
      message(FATAL_ERROR "there is no ${file}")
    endif()
    get_filename_component(folder ${file} DIRECTORY)
    install(FILES ${file} DESTINATION qt-scripted-modules/${folder})
  endforeach()
endfunction()
function(slicer_add_python_test)
  cmake_parse_arguments(MY "" "SCRIPT;TESTNAME_PREFIX" "" ${ARGN})
  if(NOT EXISTS ${CMAKE_CURRENT_SOURCE_DIR}/${MY_SCRIPT})
    message(FATAL_ERROR "there is no ${MY_SCRIPT}")
  endif()
  get_filename_component(name ${MY_SCRIPT} NAME_WE)
  add_test(NAME py_${MY_TESTNAME_PREFIX}${name} COMMAND ${CMAKE_COMMAND} -E true)
endfunction()
"""


@pytest.mark.skipif(not (PROJECT / "LMIAL" / "LMIAL.py").is_file(), reason="LMIAL/LMIAL.py is not there yet")
def test_cmake_packages_a_library_that_finds_its_resources(
    tmp_path: Path, require_program: Callable[[str, str], str]
) -> None:
    """Configured and installed with Slicer's macros replaced by what they do to files."""
    cmake = require_program("cmake", "cmake")
    require_program("cc", "gcc")  # CMake looks for one, although nothing is compiled
    stub = tmp_path / "stub"
    stub.mkdir()
    (stub / "SlicerConfig.cmake").write_text(STUB, encoding="utf-8")
    (stub / "use.cmake").write_text(USE, encoding="utf-8")
    (stub / "nothing.cmake").write_text("", encoding="utf-8")
    built, installed = tmp_path / "built", tmp_path / "installed"
    options = [f"-DSlicer_DIR={stub}", f"-DCMAKE_INSTALL_PREFIX={installed}", "-DBUILD_TESTING=ON"]
    subprocess.run([cmake, "-S", str(PROJECT), "-B", str(built), *options], check=True, capture_output=True, text=True)
    subprocess.run([cmake, "--install", str(built)], check=True, capture_output=True, text=True)
    modules = installed / "qt-scripted-modules"
    found = {path.relative_to(modules).as_posix() for path in modules.rglob("*") if path.is_file()}
    assert found == {"LMIAL.py", *expected()[0], *expected()[1]}
    code = (
        "import LMIALLib; from LMIALLib.resources import resource; print(LMIALLib.__file__); "
        "print(resource('requirements.txt')); print(resource('Weights', 'change.safetensors'))"
    )
    environment = {**os.environ, "PYTHONPATH": str(modules), "PYTHONSAFEPATH": "1"}
    done = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True, env=environment, cwd=tmp_path
    )
    assert all(Path(line).is_relative_to(modules) for line in done.stdout.splitlines())
    shutil.rmtree(built)
