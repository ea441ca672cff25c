"""What the worker needs beside what Slicer brings, and the one dialog that installs it on first use.

PyTorch comes first, through the PyTorch extension, which knows the build that fits the graphics card; then the rest,
with a constraints file that keeps the torch, numpy, scipy and SimpleITK that are there. Nothing here runs when the
module is loaded.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import os
import shutil
import sys
import tempfile
from contextlib import suppress
from pathlib import Path
from subprocess import CalledProcessError
from typing import Any

from LMIALLib.resources import resource

TORCH = ">=2.8"
"""The bound that MONAI, as `Resources/requirements.txt` asks for it, sets for PyTorch."""

KEPT = ("torch", "numpy", "scipy", "SimpleITK")
"""Packages whose installed version pip must leave alone."""

SETTING = "LMIAL/WorkerPython"
"""Slicer's setting that names another interpreter for the worker; empty: Slicer's own."""

FACE = ("pynrrd", "scikit-image")
"""Of the requirements, what Slicer itself needs where the worker has an interpreter of its own."""


def worker_python() -> str:
    """The interpreter of the worker: LMIAL_PYTHON, else Slicer's setting LMIAL/WorkerPython, else PythonSlicer."""
    return _named_python() or slicer_python()


def slicer_python() -> str:
    """Slicer's own interpreter, PythonSlicer."""
    return shutil.which("PythonSlicer") or sys.executable


def _named_python() -> str:
    import slicer

    named = os.environ.get("LMIAL_PYTHON") or slicer.util.settingsValue(SETTING, "") or ""
    return "" if str(named) == slicer_python() else str(named)


def requirements() -> list[str]:
    """The lines of `Resources/requirements.txt` that name a package."""
    lines = resource("requirements.txt").read_text(encoding="utf-8").splitlines()
    return [line.strip() for line in lines if line.strip() and not line.strip().startswith("#")]


def missing() -> list[str]:
    """What is still to be installed into Slicer's Python, as requirements, torch first; empty when all is there.

    Only the versions that packages say they have are read; nothing is imported.
    """
    from packaging.requirements import Requirement

    if _named_python():
        wanted = [line for line in requirements() if Requirement(line).name in FACE]
    else:
        wanted = [f"torch{TORCH}", *requirements()]
    importlib.invalidate_caches()
    return [line for line in wanted if not _satisfied(Requirement(line))]


def _satisfied(requirement: Any) -> bool:
    installed = _installed(requirement.name)
    return installed is not None and requirement.specifier.contains(installed, prereleases=True)


def _installed(name: str) -> str | None:
    """Version of an installed package, or None."""
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def constraints() -> str:
    """The constraints that keep what is installed of `KEPT`, a line each."""
    pinned = [(name, _installed(name)) for name in KEPT]
    return "".join(f"{name}=={version}\n" for name, version in pinned if version)


def install(parent: Any = None) -> bool:
    """Ask once, then install what `missing` lists; whether everything is there now.

    Must be called on Qt's main thread, from something the reader did. Slicer shows the progress. Where the PyTorch
    extension is not there it is fetched, and the reader is asked to restart Slicer. A failure is shown in one sentence.
    In testing mode nothing is installed.

    Args:
        parent: the widget that the dialogs belong to.
    """
    import slicer
    from slicer.i18n import tr as _

    wanted = missing()
    if not wanted:
        return True
    if slicer.app.testingEnabled() or not _agreed(wanted, parent):
        return False
    try:
        if wanted[0].startswith("torch") and not _install_torch(parent):
            return False
        _install_rest([line for line in missing() if not line.startswith("torch")])
    except Exception as error:  # pip, light-the-torch and the extension server fail in many ways
        slicer.util.errorDisplay(
            _("The packages could not be installed; looking, drawing and saving still work."),
            parent=parent,
            detailedText=str(error),
        )
    return not missing()


def _agreed(wanted: list[str], parent: Any) -> bool:
    import slicer
    from slicer.i18n import tr as _

    torch = wanted[0].startswith("torch")
    size = _("PyTorch is a download of several hundred megabytes, or gigabytes with an NVIDIA card.") if torch else ""
    question = _(
        "LMIAL's network needs {count} Python packages that Slicer does not bring. {size}\n\n"
        "Install them into Slicer now? Without them you can look, draw and save, but nothing is prepared, "
        "suggested or learned."
    )
    return bool(
        slicer.util.confirmOkCancelDisplay(
            question.format(count=len(wanted), size=size),
            _("LMIAL - Install Python Packages"),
            parent=parent,
            detailedText="\n".join(wanted),
        )
    )


def _install_torch(parent: Any) -> bool:
    """Install PyTorch through its extension; False where Slicer has to be restarted first."""
    import slicer
    from slicer.i18n import tr as _

    try:
        from PyTorchUtils import PyTorchUtilsLogic
    except ImportError:
        _install_extension(parent)
        return False

    slicer.util.showStatusMessage(_("Installing PyTorch; this takes some minutes."))
    with slicer.util.WaitCursor():
        PyTorchUtilsLogic().installTorch(askConfirmation=False, torchVersionRequirement=TORCH)
    return True


def _install_extension(parent: Any) -> None:
    import slicer
    from slicer.i18n import tr as _

    manager = slicer.app.extensionsManagerModel()
    asking = manager.interactive
    manager.interactive = False  # the reader has agreed already
    try:
        there = manager.installExtensionFromServer("PyTorch", False)
    finally:
        manager.interactive = asking
    if not there:
        raise RuntimeError(_("The PyTorch extension could not be fetched: install it in the Extensions Manager."))
    if slicer.util.confirmYesNoDisplay(
        _(
            "The PyTorch extension is installed. Slicer has to restart before it can be used; then start again.\n\n"
            "Restart now?"
        ),
        _("LMIAL - Restart Slicer"),
        parent=parent,
    ):
        slicer.util.restart()


def _install_rest(wanted: list[str]) -> None:
    """Install requirements with pip, in Slicer's own way, with the constraints beside them."""
    import slicer

    if not wanted:
        return
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "constraints.txt"
        file.write_text(constraints(), encoding="utf-8")
        try:
            from slicer.packaging import pip_ensure
        except ImportError:  # Slicer 5.10
            slicer.util.pip_install([*wanted, "-c", str(file)])
            return
        with suppress(CalledProcessError):  # Slicer has shown pip's log
            pip_ensure(wanted, constraints=file, prompt_install=False, requester="LMIAL")
