"""``python -m LMIALLib.worker STUDY``: the background process; see ``LMIALLib.worker.process``."""

import signal
import sys

# Ctrl-C in a terminal reaches every process there. The session decides: the worker ends when its input closes.
signal.signal(signal.SIGINT, signal.SIG_IGN)

from LMIALLib.worker.process import main  # noqa: E402

sys.exit(main(sys.argv[1:]))
