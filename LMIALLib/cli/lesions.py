"""The command that lists the changed lesions of a study, one by one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from LMIALLib.cli.console import OUT, document, guarded
from LMIALLib.cli.opening import study_at
from LMIALLib.cli.options import Json, StudyFolder
from LMIALLib.cli.reading import AnyCase
from LMIALLib.errors import BadInput

if TYPE_CHECKING:
    import numpy as np

    from LMIALLib.study.lesion import Lesion
    from LMIALLib.study.store import Study


def register(app: typer.Typer) -> None:
    """Add this group's commands."""
    app.command()(guarded(lesions))


def lesions(
    study: StudyFolder,
    case: AnyCase = None,
    teacher: Annotated[
        str | None, typer.Option("--teacher", metavar="ID", help="Pseudo-labels of this teacher where nobody read.")
    ] = None,
    as_json: Json = False,
) -> None:
    """List every changed lesion: as readers answered, and where nobody read as the network suggests."""

    listed = []
    with study_at(study, read_only=False) as opened:
        for one in (opened.cases.get(case),) if case is not None else opened.cases.all():
            probability = _probability(opened, one.name, teacher)
            found = opened.lesions.of_case(one.name, probability, keep=not opened.read_only)
            read = len(opened.answers.current(one.name))
            listed.append((one, read, probability is not None, found.lesions))
    if as_json:
        document(
            [
                {
                    "case": one.name,
                    "subject": one.subject,
                    "slices": one.n_slices,
                    "slices_read": read,
                    "suggested_where_nobody_read": suggested,
                    "lesions": [{**asdict(lesion), "name": lesion.name} for lesion in table],
                }
                for one, read, suggested, table in listed
            ]
        )
        return
    for one, read, suggested, table in listed:
        rest = "the rest as the model suggests" if suggested else "of the rest nothing is known"
        OUT.print(f"{one.name}: {len(table)} lesions; {read} of {one.n_slices} slices read by a person, {rest}")
        if table:
            _print_table(table)
    OUT.print("Slices are counted from 1 here, as the faces do; in --json and CSV from 0. Places are RAS mm.")


def _probability(study: Study, case: str, teacher: str | None) -> np.ndarray | None:
    """Probability of change, of the newest ranking, or of pseudo-labels: NaN on slices without one."""
    import numpy as np

    from LMIALLib.pipeline.pseudo import read_pseudo

    if teacher is None:
        return study.maps.suggested(case)
    pseudo = read_pseudo(study, teacher, case)
    if pseudo is None:
        raise BadInput(f"there are no pseudo-labels of {case} by a teacher {teacher!r}.")
    probability = pseudo.probability.copy()
    np.moveaxis(probability, study.cases.get(case).axis, 0)[~pseudo.done] = np.nan
    return probability


def _print_table(found: Sequence[Lesion]) -> None:
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    for name in ("lesion", "class", "ml", "slices", "place", "diameter", "difference", "confidence", "read"):
        table.add_column(name, justify="left" if name in ("class", "read") else "right")  # type: ignore[arg-type]
    for one in found:
        table.add_row(*_cells(one))
    OUT.print(table)


def _cells(one: Lesion) -> tuple[Any, ...]:
    place = " ".join(f"{value:.0f}" for value in one.place_ras)
    slices = f"{one.first_slice + 1}" if one.slices == 1 else f"{one.first_slice + 1}-{one.last_slice + 1}"
    confidence = "-" if one.confidence is None else f"{one.confidence:.2f}"
    figures = f"{one.volume_ml:.3f}", slices, place, f"{one.diameter_mm:.1f} mm", f"{one.difference_sd:+.1f} SD"
    return str(one.number), one.described, *figures, confidence, one.status
