"""``python -m LMIALLib.worker STUDY``: the background process; see ``LMIALLib.worker.process``."""

import sys

from LMIALLib.worker.process import main

sys.exit(main(sys.argv[1:]))
