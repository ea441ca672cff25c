"""LMIAL: active learning on pairs of scans.

What a researcher needs is here by one name each, and loaded when it is first used; Docs/library.md shows it in ten
lines. The rooms behind it, and their floors, are drawn in Docs/architecture.md.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from LMIALLib.version import __version__

if TYPE_CHECKING:
    from LMIALLib.adaptation.answers import SliceAnswer, mask_answer, nothing_here
    from LMIALLib.adaptation.patient import Learnt
    from LMIALLib.errors import BadInput, LMIALError
    from LMIALLib.library.label_file import export
    from LMIALLib.library.one_pair import adapt, finetune, predict, prepare, rank
    from LMIALLib.loop.exporting import export_files
    from LMIALLib.loop.session import Session
    from LMIALLib.loop.settings import LoopSettings
    from LMIALLib.loop.studies import new_study
    from LMIALLib.network.predicted import Prediction
    from LMIALLib.pairs.pair import Pair
    from LMIALLib.pairs.request import PairRequest
    from LMIALLib.queries.query import Ranking
    from LMIALLib.study.store import Study

__all__ = [
    "BadInput", "LMIALError", "Learnt", "LoopSettings", "Pair", "PairRequest", "Prediction", "Ranking", "Session",
    "SliceAnswer", "Study", "__version__", "adapt", "export", "export_files", "finetune", "mask_answer", "new_study",
    "nothing_here", "predict", "prepare", "rank",
]  # fmt: skip

_WHERE = {
    "prepare": "library.one_pair",
    "predict": "library.one_pair",
    "rank": "library.one_pair",
    "mask_answer": "adaptation.answers",
    "nothing_here": "adaptation.answers",
    "adapt": "library.one_pair",
    "finetune": "library.one_pair",
    "export": "library.label_file",
    "Pair": "pairs.pair",
    "Prediction": "network.predicted",
    "Ranking": "queries.query",
    "SliceAnswer": "adaptation.answers",
    "Learnt": "adaptation.patient",
    "PairRequest": "pairs.request",
    "new_study": "loop.studies",
    "Study": "study.store",
    "LoopSettings": "loop.settings",
    "Session": "loop.session",
    "export_files": "loop.exporting",
    "LMIALError": "errors",
    "BadInput": "errors",
}
"""The module of each name, in the order of the work: one pair in this process, its types, a study on disk, errors."""


if not TYPE_CHECKING:  # a type checker would take any name for one of ours

    def __getattr__(name: str) -> Any:
        """Load a public name when it is first used (PEP 562). Raises AttributeError for any other."""
        if name not in _WHERE:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        found = getattr(import_module(f"{__name__}.{_WHERE[name]}"), name)
        globals()[name] = found  # the next use does not come here
        return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
