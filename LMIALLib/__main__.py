"""``python -m LMIALLib`` is the command line."""

from LMIALLib.cli import main

main()
