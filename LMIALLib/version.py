"""The version of LMIAL, in a file that every room may import. Floor 0."""

__version__ = "0.1.0"
