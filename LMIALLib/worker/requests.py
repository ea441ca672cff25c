"""The requests that the worker can do, and the result of each: frozen dataclasses, checked when they are read.

To add one, write its result and the request here, and its handler in a module that only `process` imports (see
`handling`). Folders are given as text: a name that is not written in UTF-8 is refused when it is sent.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Annotated, Any, ClassVar, Generic, TypeVar

from LMIALLib.errors import BadInput
from LMIALLib.json_data import Limits, Natural, shaped
from LMIALLib.pairs.request import PairRequest
from LMIALLib.queries.reading_time import ReadingTime
from LMIALLib.worker.events import Result
from LMIALLib.worker.messages import plain
from LMIALLib.worker.orders import ORDERS, Order

R = TypeVar("R", bound=Result)
Count = Annotated[int, Limits(least=1)]
Share = Annotated[float, Limits(least=0, most=1)]
Positive = Annotated[float, Limits(least=0)]


REQUESTS: dict[str, type[Request[Any]]] = {}
"""By the name that each is sent under."""


class Request(Generic[R]):
    """Something to do. A subclass has ``do``, the name that it is sent under, and ``gives``, its result.

    With ``for_reader`` a person waits for it: it goes before a request that is done ``in_background``, and pauses a
    running one at its next step. All others are done in the order in which they came.
    """

    do: ClassVar[str]
    gives: ClassVar[type[Result]]
    for_reader: ClassVar[bool]
    in_background: ClassVar[bool]

    def __init_subclass__(
        cls, *, do: str, gives: type[Result], for_reader: bool = False, in_background: bool = False
    ) -> None:
        cls.do, cls.gives, cls.for_reader, cls.in_background = do, gives, for_reader, in_background
        REQUESTS[do] = cls


@dataclass(frozen=True)
class Prepared(Result, event="prepared"):
    """A pair lies in the folder that was named.

    Args:
        registration: its record, see ``pairs.registration_record``.
        slices, axis, digest: of the pair.
    """

    registration: dict[str, Any]
    slices: Natural
    axis: Natural
    digest: str


@dataclass(frozen=True)
class Prepare(Request[Prepared], do="prepare", gives=Prepared):
    """Read, register and scale a pair into ``staged``, a folder of the study."""

    pair: PairRequest
    staged: str


@dataclass(frozen=True)
class Registered(Result, event="registered"):
    """Another pair of a case lies in ``staged``."""

    case: str
    staged: str
    registration: dict[str, Any]


@dataclass(frozen=True)
class Register(Request[Registered], do="register", gives=Registered):
    """Register a case again, "rigid" or "affine", into ``staged``, a folder of the study."""

    case: str
    kind: str
    staged: str


@dataclass(frozen=True)
class ChangeRegion(Request[Registered], do="region", gives=Registered):
    """Give a case another region in ``staged``, a folder of the study.

    Args:
        choice: one of ``pairs.regions.CHOICES``.
        mask: the file of a region that is given.
    """

    case: str
    choice: str
    staged: str
    mask: str | None = None


@dataclass(frozen=True)
class Predicted(Result, event="predicted"):
    """The maps of these cases are written."""

    cases: tuple[str, ...]


@dataclass(frozen=True)
class Predict(Request[Predicted], do="predict", gives=Predicted):
    """Write the probability maps of some cases by a model; the other fields as in ``network.prediction.predict``."""

    cases: tuple[str, ...]
    model: str
    passes: Count | None = None
    seed: Natural = 0
    device: str = "auto"
    dtype: str | None = None
    threads: Count | None = None
    slices_at_once: Count | None = None


@dataclass(frozen=True)
class Ranked(Result, event="ranked"):
    """The slices of a study in the order in which they are put to the reader.

    Args:
        ranking: as ``queries.Ranking.to_dict`` gives it, with the scores of every slice.
        conditions: everything under which it was computed.
        annotations_upto: as in the request.
    """

    ranking: dict[str, Any]
    conditions: dict[str, Any]
    annotations_upto: Natural


@dataclass(frozen=True)
class RankCase:
    """A case of a ranking: which pair of it, and the slices (0-based) that were answered and skipped.

    With ``validation`` a strategy for training the network never chooses its slices: they are chosen at random.
    Where patients are finished it is finished like all others, and only what was drawn at random judges a network.
    """

    name: str
    pair: Natural
    answered: tuple[Natural, ...] = ()
    skipped: tuple[Natural, ...] = ()
    validation: bool = False


@dataclass(frozen=True)
class Rank(Request[Ranked], do="rank", gives=Ranked, for_reader=True):
    """Rank the slices that nobody answered. A model that goes by stored maps is not computed: its maps are read.

    Args:
        cases: in list order.
        model, strategy: their names.
        seed: of everything that is chosen at random.
        annotations_upto, lesions_upto: highest ids of the answers to slices, and of those to lesions, that may
            be learned from; None: all.
        reader: only this reader's answers are learned from by the per-patient head; an empty string: everybody's.
        keep: cases of which nothing changed since the newest ranking are taken from there, where the strategy finishes
            one patient after the other.
        count, random_share, spacing_mm, batch: as in ``queries.ranking.rank``; None: its defaults.
        passes: stochastic passes, where the strategy needs them; None: ten.
        device, dtype, threads, slices_at_once: as in ``network.prediction.predict``.
        write_maps: whether the maps that were ranked are written.
        committee: ids of models, the one in use first, where the strategy needs them.
        reading_time: of this reader, where the strategy needs it.
    """

    cases: tuple[RankCase, ...]
    model: str
    strategy: str
    seed: Natural
    annotations_upto: Natural | None = None
    lesions_upto: Natural = 0
    reader: str = ""
    keep: bool = False
    count: Natural | None = None
    random_share: Share | None = None
    spacing_mm: Positive | None = None
    batch: Count | None = None
    passes: Count | None = None
    device: str = "auto"
    dtype: str | None = None
    threads: Count | None = None
    slices_at_once: Count | None = None
    write_maps: bool = True
    committee: tuple[str, ...] = ()
    reading_time: ReadingTime | None = None


@dataclass(frozen=True)
class RankAnew(Rank, do="rank anew", gives=Ranked, in_background=True):
    """As `Rank`, by a network that was just adopted, while its reader goes on with the ranking of the one before."""


@dataclass(frozen=True)
class Trained(Result, event="model"):
    """A new model, and whether it should be adopted.

    Args:
        model, parent: ids of the new model and of the one that it started from.
        report: figures of the run, with settings; JSON-ready.
        adopted, reasons: the advice, and why, in sentences.
    """

    model: str
    parent: str
    report: dict[str, Any]
    adopted: bool
    reasons: tuple[str, ...]


@dataclass(frozen=True)
class Finetune(Request[Trained], do="finetune", gives=Trained, in_background=True):
    """Train on the answers, and state whether the result should be adopted.

    The weights are written to ``models/<new_model>.safetensors`` either way, unless they are not finite.

    Args:
        model, new_model: ids of the model that it starts from, and of the new one.
        upto: highest id of the answers that count; None: all.
        seed, steps, minutes, device, threads: as in ``network.finetuning.FinetuneSettings``; None: its defaults.
    """

    model: str
    new_model: str
    upto: Natural | None
    seed: Natural
    steps: Count | None = None
    minutes: Positive | None = None
    device: str = "auto"
    threads: Count | None = None


@dataclass(frozen=True)
class Exported(Result, event="exported"):
    """Files that were written, by their whole names."""

    files: tuple[str, ...]
    what: str


@dataclass(frozen=True)
class Export(Request[Exported], do="export", gives=Exported, for_reader=True):
    """Write files into the folder ``out``; the other fields as in ``study.exports.ExportRequest``."""

    out: str
    what: str = "labels"
    format: str | None = None
    case: str | None = None
    reader: str | None = None
    unread: Natural = 255
    suggestions: bool = False
    keep_numbers: bool = False


def request_message(request: Request[Any] | Order, number: int) -> dict[str, Any]:
    """A request as a message; ``number`` is its id, by which events name it."""
    content = {one.name: plain(getattr(request, one.name)) for one in fields(request)}  # type: ignore[arg-type]
    return {"id": number, "do": request.do, **content}


def read_request(message: dict[str, Any]) -> Request[Any] | Order:
    """The request in a message. Raises BadInput naming the field that is unknown, missing or ill-typed."""
    name = shaped(message.get("do"), str, "a request: do")
    kind: type[Any] | None = REQUESTS.get(name) or ORDERS.get(name)
    if kind is None:
        raise BadInput(f"The worker knows no request {name[:40]!r}.")
    content = {key: value for key, value in message.items() if key not in ("protocol", "id", "do")}
    read: Request[Any] | Order = shaped(content, kind, f"the request {name}", only_known=True)
    return read
