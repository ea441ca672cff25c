"""LMIAL: active learning on pairs of scans. The rooms and their floors are drawn in README.md."""

from LMIALLib.version import __version__

__all__ = ["__version__"]
