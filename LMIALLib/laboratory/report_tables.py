"""The tables of a simulation's outcome: for the report, the terminal and the documentation."""

from __future__ import annotations

import html
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from LMIALLib.laboratory.delivered import CROSSINGS, LEVELS, crossings, middle
from LMIALLib.laboratory.statistics import Comparison, Interval
from LMIALLib.laboratory.summary import OF_DICE, OF_GAP, StrategySummary, Summary, mean_curve

BUDGETS = (0.05, 0.10, 0.20)
"""Fractions of labels at which the gap closed is reported."""
PAIR_BUDGETS = (0.02, 0.05, 0.08, 0.15)
"""Fractions of labels of the table of one real pair."""
UNKNOWN = "–"


@dataclass(frozen=True)
class Table:
    """Rows of text under a head; all columns but the first hold numbers or short words.

    Args:
        head: (columns,) names.
        rows: each (columns,) texts.
    """

    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]

    def markdown(self) -> str:
        """A Markdown table, numbers to the right, ending in a line break."""
        rule = ("---",) + ("---:",) * (len(self.head) - 1)
        return "".join(f"| {' | '.join(row)} |\n" for row in (self.head, rule, *self.rows))

    def html(self) -> str:
        """An HTML table in the classes of the report's style."""
        sides = ("", *(" class=n" for _ in self.head[1:]))

        def line(cells: Sequence[str], tag: str) -> str:
            texts = "".join(f"<{tag}{s}>{html.escape(c)}</{tag}>" for c, s in zip(cells, sides, strict=True))
            return f"<tr>{texts}</tr>"

        return f"<table>{line(self.head, 'th')}{''.join(line(row, 'td') for row in self.rows)}</table>"


def screening_table(summary: Summary, budgets: Sequence[float] = BUDGETS) -> Table:
    """Strategy, area under the budget curve with its interval, mean rank, share of the gap closed at some budgets."""
    head = ("strategy", "area", "95 % interval", "mean rank", *(f"gap closed at {percent(b)}" for b in budgets))
    rows = [
        (
            found.strategy,
            number(found.area.mean),
            bounds(found.area),
            number(found.rank, 1),
            *(percent(found.gap_closed.at(budget).mean) for budget in budgets),
        )
        for found in summary.strategies
    ]
    return Table(head, tuple(rows))


def gap_table(summary: Summary, most: int = 6) -> Table:
    """Share of the gap closed, with 95 % intervals, at the simulated budgets after the first, or ``most`` of them."""
    if not summary.strategies:
        return Table(("strategy",), ())
    fraction = summary.strategies[0].dice.fraction
    shown = np.unique(np.linspace(min(1, len(fraction) - 1), len(fraction) - 1, most).round().astype(int))
    rows = [
        (found.strategy, *(percent_with_bounds(found.gap_closed.values[k]) for k in shown))
        for found in summary.strategies
    ]
    return Table(("strategy", *(percent(fraction[k], 1) for k in shown)), tuple(rows))


def labels_table(summary: Summary) -> Table:
    """Fraction of labels at which shares of the full Dice and of the gap are reached; foreground efficiency."""
    head = (
        "strategy",
        *(f"{share} % of full Dice" for share in OF_DICE),
        *(f"{share} % of gap" for share in OF_GAP),
        "foreground efficiency",
    )
    known = summary.full.seeds > 0
    rows = [
        (
            found.strategy,
            *(_labels(found.dice_needed[share], known) for share in OF_DICE),
            *(_labels(found.gap_needed[share], summary.informative) for share in OF_GAP),
            found.foreground.reason or f"{found.foreground.value:.3f} ± {found.foreground.error:.3f}",
        )
        for found in summary.strategies
    ]
    return Table(head, tuple(rows))


def comparison_table(summary: Summary, reference: str) -> Table:
    """``reference`` against each other strategy: effect on the area, 95 % interval, p where it may be given, verdict.

    The planned comparison stands first and is not corrected; p of the others is Holm's, over all pairs of strategies.
    """
    others = [found.strategy for found in summary.strategies if found.strategy != reference]
    found = [comparison for name in others if (comparison := summary.against(reference, name)) is not None]
    found.sort(key=lambda comparison: not comparison.planned)
    tested = any(comparison.p is not None for comparison in found)
    head = (
        f"{reference} against",
        "effect on the area",
        "95 % interval",
        "seeds",
        *(("p",) if tested else ()),
        "it is",
    )
    rows = [
        (
            comparison.second + (" (named beforehand)" if comparison.planned else ""),
            signed(comparison.effect.mean),
            bounds(comparison.effect, plus=True),
            str(comparison.effect.seeds),
            *((_p(comparison),) if tested else ()),
            comparison.verdict,
        )
        for comparison in found
    ]
    return Table(head, tuple(rows))


def confirmation_table(summary: Summary) -> Table:
    """`comparison_table` of the strategy that was named beforehand, or of the best one where none was."""
    return comparison_table(summary, leading(summary).strategy)


def pair_table(summary: Summary, budgets: Sequence[float] = PAIR_BUDGETS) -> Table:
    """One study: ``dice_fixed`` and the gain on the same slices after some budgets, means over seeds.

    The gain is ``dice_unlabelled - dice_start_same_slices``: Dice on what nobody annotated, minus that of the model of
    round 0 on the very same slices.
    """
    rows = []
    for found in summary.strategies:
        after, before = (mean_curve(found.runs, name) for name in ("dice_unlabelled", "dice_start_same_slices"))
        gains = (after.at(budget).mean - before.at(budget).mean for budget in budgets)
        rows.append(
            (
                found.strategy,
                *(number(found.dice.at(budget).mean) for budget in budgets),
                *(signed(gain) for gain in gains),
            )
        )
    head = (
        "strategy",
        *(f"dice_fixed at {percent(budget)}" for budget in budgets),
        *(f"same-slice gain at {percent(budget)}" for budget in budgets),
    )
    return Table(head, tuple(rows))


def minutes_table(summary: Summary, share: int = 90) -> Table:
    """Estimated minutes of reading until the mean curve reaches a share of the fully annotated Dice, and to its end.

    Each with the lowest and the highest estimate, one constant of the reading time 50 % smaller or larger.
    """
    from LMIALLib.laboratory.curves import first_reaching

    names = ("minutes", "minutes_low", "minutes_high")
    rows = []
    for found in summary.strategies:
        spent = [mean_curve(found.runs, name).mean for name in names]
        target = summary.full.mean * share / 100
        needed = [first_reaching(minutes, found.dice.mean, target) for minutes in spent]
        rows.append((found.strategy, _minutes(needed, summary.full.seeds > 0), _minutes([m[-1] for m in spent], True)))
    return Table(("strategy", f"minutes to {share} % of full Dice", "minutes to the last round"), tuple(rows))


def delivered_table(summary: Summary) -> Table | None:
    """The delivered label: its mean Dice at the end, slices and minutes until it stays at a level; None where not kept.

    Medians over seeds, in which a level that is not reached comes after all that are. Minutes of a reader who corrects
    the suggestion.
    """
    columns = ("dice_delivered", "labelled", "minutes_correcting")
    rows = []
    for found in summary.strategies:
        runs = [[run.column(name).tolist() for name in columns] for run in found.runs]
        ends = [dice[-1] for dice, _, _ in runs]
        if not np.isfinite(ends).all():
            continue
        reached = [crossings(*run) for run in runs]
        needed = {name: middle(one[name] for one in reached) for name in CROSSINGS}
        texts = ["not reached" if value is None else f"{value:.4g}" for value in needed.values()]
        rows.append((found.strategy, number(float(np.mean(ends))), *texts))
    head = (
        "strategy",
        "delivered Dice",
        *(f"{kind} to {level:.2f}" for kind in ("slices", "minutes") for level in LEVELS),
    )
    return Table(head, tuple(rows)) if rows else None


def leading(summary: Summary) -> StrategySummary:
    """The strategy whose outcome is reported: the one named beforehand, else "default", else the highest area.

    Raises ValueError where no strategy has a complete run.
    """
    if not summary.strategies:
        raise ValueError("no strategy has a complete run")
    named = summary.planned.first if summary.planned else "default"
    return summary.strategy(named) or summary.strategies[0]


def number(value: float, digits: int = 3) -> str:
    """A number, or a dash where it is not known."""
    return f"{value:.{digits}f}" if np.isfinite(value) else UNKNOWN


def signed(value: float) -> str:
    """A difference with its sign."""
    return f"{value:+.3f}" if np.isfinite(value) else UNKNOWN


def percent(value: float, digits: int = 0) -> str:
    """A share as per cent."""
    return f"{100 * value:.{digits}f} %" if np.isfinite(value) else UNKNOWN


def bounds(found: Interval, *, plus: bool = False) -> str:
    """The bounds of an interval, or a dash."""
    if not np.isfinite(found.low):
        return UNKNOWN
    return f"{found.low:+.3f} to {found.high:+.3f}" if plus else f"{found.low:.3f} to {found.high:.3f}"


def percent_with_bounds(found: Interval) -> str:
    """A share and its interval as whole per cent."""
    if not np.isfinite(found.mean):
        return UNKNOWN
    return percent(found.mean) + (
        f" ({100 * found.low:.0f} to {100 * found.high:.0f})" if np.isfinite(found.low) else ""
    )


def _labels(fraction: float | None, known: bool) -> str:
    if not known:
        return UNKNOWN
    return "not reached" if fraction is None else percent(fraction, 1)


def _minutes(values: Sequence[float | None], known: bool) -> str:
    if not known or any(value is not None and not np.isfinite(value) for value in values):
        return UNKNOWN
    middle, low, high = values
    if middle is None or low is None or high is None:
        return "not reached"
    return f"{middle:.1f} ({low:.1f} to {high:.1f})"


def _p(comparison: Comparison) -> str:
    p = comparison.p if comparison.planned else comparison.p_holm
    if p is None:
        return UNKNOWN
    return "< 0.001" if p < 0.001 else f"{p:.3f}"
