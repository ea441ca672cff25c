"""Whether this machine can show the face: what is missing, in words, with the packages that bring it."""

from __future__ import annotations

import ctypes
import importlib.util
import os
import sys

PACKAGES = "trame_slicer", "trame_rca", "slicer", "vtk"


def missing_python() -> str:
    """What to install for Python, or an empty string."""
    absent = [name for name in PACKAGES if importlib.util.find_spec(name) is None]
    return "pip install 'lmial[browser]'" if absent else ""


def missing_graphics() -> str:
    """What to install so that images can be drawn without a display (Linux), or an empty string."""
    if not sys.platform.startswith("linux"):
        return ""
    return "" if any(_loads(name) for name in ("libEGL.so.1", "libOSMesa.so.8")) else "libegl1 libgl1-mesa-dri"


def missing_display() -> str:
    """Why no browser window can open here, or an empty string."""
    if sys.platform.startswith("linux") and not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
        return "this machine has no display"
    import webbrowser

    try:
        webbrowser.get()
    except webbrowser.Error:
        return "no web browser was found (on Debian: chromium)"
    return ""


def obstacles() -> list[str]:
    """Everything that keeps the face from being shown here, one line each; empty where it can be."""
    lines = []
    if missing_python():
        lines.append(f"Python packages: {missing_python()}")
    if missing_graphics():
        lines.append(f"OpenGL without a display: apt-get install {missing_graphics()}")
    if missing_display():
        lines.append(f"A browser window: {missing_display()}; the address can be printed instead")
    return lines


def choose_graphics() -> None:
    """Draw off the screen: set for VTK which way to take before it is imported."""
    if sys.platform.startswith("linux"):
        way = "vtkEGLRenderWindow" if _loads("libEGL.so.1") else "vtkOSOpenGLRenderWindow"
        os.environ.setdefault("VTK_DEFAULT_OPENGL_WINDOW", way)


def _loads(library: str) -> bool:
    try:
        ctypes.CDLL(library)
    except OSError:
        return False
    return True
