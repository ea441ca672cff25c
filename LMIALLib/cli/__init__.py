"""The command line ``lmial``. Commands only translate words into calls of the session; they hold no logic."""

from LMIALLib.cli.main import main

__all__ = ["main"]
