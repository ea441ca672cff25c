"""The command line ``lmial``. Commands only translate words into calls of the session; they hold no logic."""

from LMIALLib.cli import interrupts

_ends = interrupts.end_at_once()  # before the first import that takes a while
from LMIALLib.cli.main import main  # noqa: E402

if _ends:
    interrupts.leave_to_others()

__all__ = ["main"]
