"""The study folder: cases, answers, models and rankings, so kept that nothing acknowledged is ever lost."""

from LMIALLib.study.answer import Answer, NewAnswer, SliceTest
from LMIALLib.study.case import Case
from LMIALLib.study.checks import Problem
from LMIALLib.study.drafts import Draft
from LMIALLib.study.labels import UNREAD, LabelClass, LabelSchema
from LMIALLib.study.lease import Lease, SessionTakenOver
from LMIALLib.study.log import Event
from LMIALLib.study.models import Model
from LMIALLib.study.rankings import StoredRanking
from LMIALLib.study.status import CaseStatus, StudyStatus
from LMIALLib.study.store import Study
from LMIALLib.study.targets import ReadSlice

__all__ = [
    "UNREAD",
    "Answer",
    "Case",
    "CaseStatus",
    "Draft",
    "Event",
    "LabelClass",
    "LabelSchema",
    "Lease",
    "Model",
    "NewAnswer",
    "Problem",
    "ReadSlice",
    "SessionTakenOver",
    "SliceTest",
    "StoredRanking",
    "Study",
    "StudyStatus",
]
