"""Set before numpy and torch are imported: a process that is forked for each input must have no threads."""

import os

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS"):
    os.environ[_name] = "1"
os.environ.update(MPLBACKEND="Agg", COLUMNS="160", TERM="dumb")
