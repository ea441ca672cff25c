"""LMIAL: active learning on pairs of scans. The rooms and their floors are drawn in README.md."""

__version__ = "0.1.0"
