"""A torchvision built for another torch, as nnU-Net's dependencies may bring it, must not stop ``transformers``."""

from __future__ import annotations

import importlib
import sys


def hide_broken_torchvision() -> bool:
    """Where torchvision is installed but cannot be imported, let it count as not installed in this process.

    ``transformers`` only looks whether the package is there, then imports it with every model, and fails. To be called
    before a model of it is loaded. Returns whether anything was hidden.
    """
    if sys.modules.get("torchvision", ...) is not ...:
        return sys.modules["torchvision"] is None
    try:
        importlib.import_module("torchvision")
    except ModuleNotFoundError as error:
        if error.name == "torchvision":
            return False
    except Exception:  # a build for another torch raises whatever its first missing operator makes of itself
        pass
    else:
        return False
    for name in [name for name in sys.modules if name.startswith("torchvision.")]:
        del sys.modules[name]
    sys.modules["torchvision"] = None  # type: ignore[assignment]  # Python's own way to say: not to be found
    known = sys.modules.get("transformers.utils.import_utils")
    if known is not None:
        known.is_torchvision_available.cache_clear()
    return True
