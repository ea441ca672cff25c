"""The demo's report: one HTML file that needs nothing else."""

from __future__ import annotations

import base64
import html
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from LMIALLib.evaluation.case_views import case_montage
from LMIALLib.evaluation.pictures import curve_picture, png_bytes, score_strip
from LMIALLib.files import written_whole
from LMIALLib.version import __version__

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from LMIALLib.evaluation.outcome import Outcome
    from LMIALLib.study.store import Study

STYLE = """
body{margin:0;background:#11151a;color:#d7dde4;font:15px/1.55 system-ui,sans-serif}
main{max-width:1180px;margin:0 auto;padding:28px 20px 60px}
h1{font-size:26px;margin:0 0 4px}h2{font-size:18px;margin:34px 0 8px;color:#fff}
p.lead{color:#9fb0c0;margin:0 0 18px}img{max-width:100%;border-radius:6px;display:block}
table{border-collapse:collapse;margin:6px 0}
td,th{padding:5px 16px 5px 0;text-align:left;border-bottom:1px solid #2a333d}
td.n,th.n{text-align:right;font-variant-numeric:tabular-nums}code{background:#1c232b;padding:2px 5px;border-radius:4px}
.note{border-left:3px solid #38c6d9;padding:2px 12px;color:#b9c6d2;margin:14px 0}
"""


def write_demo_report(study: Study, case: str, outcome: Outcome, out: Path, *, commands: Sequence[str] = ()) -> None:
    """Write ``out``: the curve of the delivered label, the queried slices, the score strip, where each file lies.

    ``commands`` are what a person can type to go on with the study.
    """
    parts = [
        _heading(study, outcome),
        _curve(outcome),
        _queries(study, case, outcome),
        _strip(outcome),
        _files(outcome, commands),
    ]
    page = (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>LMIAL demo</title><style>{STYLE}</style>'
        f"<main>{''.join(parts)}</main></html>"
    )
    with written_whole(out) as temporary:
        temporary.write_text(page, encoding="utf-8")


def _heading(study: Study, outcome: Outcome) -> str:
    read = len(outcome.answered)
    in_use = study.models.in_use()
    who = "a simulated reader who answers from the known truth" if read else "nobody: this pair came without a truth"
    return (
        "<h1>LMIAL: one pair, from two scans to a finished patient</h1>"
        f'<p class="lead">{html.escape(outcome.origin)}. <b>{read} of {outcome.n_slices} slices read</b> by {who}. '
        f"Model in use: <code>{html.escape(in_use.id if in_use else 'none')}</code>, LMIAL {__version__}. "
        "Research use only.</p>"
        f'<p class="note">{html.escape(outcome.registration)}</p>'
    )


def _curve(outcome: Outcome) -> str:
    """The delivered label from the first to the last answer."""
    if not outcome.curve:
        return '<p class="note">No truth was given, so no Dice can be computed. Below is what a reader would see.</p>'
    first, last = outcome.curve[0], outcome.curve[-1]
    verdict = (
        "The network that was fine-tuned meanwhile was adopted."
        if outcome.adopted
        else "The network that was fine-tuned meanwhile was <b>not</b> adopted: "
        + html.escape(" ".join(outcome.reasons))
    )
    return (
        f"<h2>The delivered label: Dice {first.dice:.2f} before, {last.dice:.2f} after {last.answers} of"
        f" {outcome.n_slices} slices</h2>{_picture(delivered_curve(outcome))}"
        "<p>Slices that were read are delivered as they were read, all others as suggested. After each answer a small"
        " model of this patient is fitted to all answers, in under a second, and makes every other slice better; the"
        " line is the true Dice, the band what LMIAL expected (90 %), which is all that a reader without a truth sees."
        f" On the slices that nobody read Dice was {_number(outcome.dice_before)} before and is"
        f" {_number(outcome.dice_after)} now. {verdict} The other {outcome.looked_at} slices were looked at once, and"
        " the patient was called finished.</p>"
    )


def delivered_curve(outcome: Outcome) -> Figure:
    """True and expected Dice of the delivered label over the answers."""
    points = [(one.answers, one.dice, one.expected) for one in outcome.curve]
    return curve_picture(
        [(answers, dice) for answers, dice, _ in points],
        [
            (answers, one.dice, one.dice_low, one.dice_high)
            for answers, _, one in points
            if one is not None and one.dice is not None and one.dice_low is not None and one.dice_high is not None
        ],
    )


def _queries(study: Study, case: str, outcome: Outcome) -> str:
    queries = outcome.answered or list(outcome.rankings[-1].queries[:6])
    notes = {
        q.slice: f"query {place}" + ("\nrandom" if q.drawn == "random" else "") for place, q in enumerate(queries, 1)
    }
    figure = case_montage(study, case, [query.slice for query in queries], notes=notes)
    rows = "".join(
        f"<tr><td class=n>{place}</td><td class=n>{q.slice}</td><td class=n>{q.score:.4g}</td>"
        f"<td>{html.escape(q.reason)}</td></tr>"
        for place, q in enumerate(queries, 1)
    )
    return (
        "<h2>Queries</h2>"
        "<table><tr><th class=n>query</th><th class=n>slice</th><th class=n>score</th><th>why</th></tr>"
        f"{rows}</table><p>Maps are those of the last ranking; labels are the reader's answers.</p>{_picture(figure)}"
    )


def _strip(outcome: Outcome) -> str:
    return f"<h2>The score of every slice</h2>{_picture(demo_strip(outcome))}"


def demo_strip(outcome: Outcome) -> Figure:
    """Scores of all slices in the first and the last ranking; the answered slices carry their rank."""
    names = ("before", "after")
    scores = [(names[min(k, 1)], next(iter(ranking.scores.values()))) for k, ranking in enumerate(outcome.rankings)]
    marked = [(query.slice, str(place)) for place, query in enumerate(outcome.answered, 1)]
    strategy = outcome.rankings[0].strategy
    return score_strip(scores, marked, title=f"score of every slice ({strategy}); amber: the slices that were answered")


def _files(outcome: Outcome, commands: Sequence[str]) -> str:
    known: Sequence[tuple[str, Path]] = [
        ("the study", outcome.study),
        *(("exported", file) for file in outcome.files),
    ]
    rows = "".join(f"<tr><td>{what}</td><td><code>{html.escape(str(path))}</code></td></tr>" for what, path in known)
    lines = ", ".join(f"<code>{html.escape(line)}</code>" for line in commands)
    go_on = f"<p>Go on with {lines}.</p>" if lines else ""
    return f"<h2>Where everything lies</h2><table>{rows}</table>{go_on}"


def _picture(figure: Figure) -> str:
    return f'<img alt="" src="data:image/png;base64,{base64.b64encode(png_bytes(figure)).decode()}">'


def _number(value: float | None) -> str:
    return "-" if value is None or value != value else f"{value:.3f}"
