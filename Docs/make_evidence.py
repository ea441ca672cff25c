"""Write the tables and figures of ``Docs/evidence.md`` anew: ``python Docs/make_evidence.py FOLDER``.

FOLDER is what ``Testing/Benchmarks/evidence.sh`` left behind. What is not there is named as missing.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from LMIALLib.laboratory.curves import area_under_budget
from LMIALLib.laboratory.headline import headline
from LMIALLib.laboratory.report_tables import (
    Table,
    bounds,
    comparison_table,
    gap_table,
    labels_table,
    number,
    pair_table,
)
from LMIALLib.laboratory.statistics import compared
from LMIALLib.laboratory.summary import Summary, summarise

DOCS = Path(__file__).resolve().parent
STARTS = {"phantom": "weights pretrained on phantoms only", "scratch": "from scratch"}
COLOURS = {
    "default": "#d95f02",
    "foreground-random-prediction": "#7570b3",
    "random": "#666666",
    "entropy": "#1b9e77",
    "difference-entropy": "#e7298a",
    "core-set": "#66a61e",
}
GAP_BUDGETS = 6


def main(folder: Path) -> None:
    """Write the document and its figures."""
    found = {path.parent.name: summarise(path.parent) for path in sorted(folder.glob("*/rounds.csv"))}
    prose = (DOCS / "evidence.md").read_text(encoding="utf-8")
    parts = {
        "SETTING": _setting(found),
        "SCREENING": _screening(found),
        "CONFIRMATION": "\n".join(_confirmation(found, f"confirm-{start}", words) for start, words in STARTS.items()),
        "NOISY": _confirmation(found, "confirm-noisy", "noisy reader, weights pretrained on phantoms only")
        + _confirmation(found, "confirm-noisy-scratch", "noisy reader, from scratch"),
        "SPACING": _choices(found, [f"spacing-{mm}" for mm in (0, 6, 12, 24)], "spacing-12"),
        "BATCH": _choices(found, ["batch-27", "spacing-12", "batch-107"], "spacing-12"),
        "PAIRS": "\n".join(_pair(found, f"pair-{name}", name) for name in ("patient01", "patient12")),
    }
    for word, text in parts.items():
        before, rest = prose.split(f"<!-- {word} begin -->\n", maxsplit=1)
        after = rest.split(f"<!-- {word} end -->", maxsplit=1)[1]
        prose = f"{before}<!-- {word} begin -->\n{text}<!-- {word} end -->{after}"
    (DOCS / "evidence.md").write_text(prose, encoding="utf-8")
    _curves(found, DOCS / "pictures" / "evidence-curves.png")


def _missing(name: str) -> str:
    return f"*`{name}` was not run to its end.*\n"


def _setting(found: dict[str, Summary]) -> str:
    """What was in the pool and on what it was judged."""
    lines = ["| simulation | pool | seeds | steps | budgets | judged on | full | no labels |", "|---" * 8 + "|"]
    for name, summary in found.items():
        config = summary.config
        settings = config["settings"]
        shares = ", ".join(f"{100 * share:.0f}" for share in summary.strategies[0].dice.fraction)
        cases = sum(case["part"] == "train" for case in config["cases"])
        judged = "folds" if config["kind"] == "study" else settings["judged"]
        pool = f"{config['pool']} slices" + (f", {cases} cases" if cases else "")
        lines.append(
            f"| {name} | {pool} | {summary.seeds} | {settings['steps']} | {shares} % | {judged} | "
            f"{number(summary.full.mean)} | {number(summary.start.mean)} |"
        )
    return "\n".join(lines) + "\n"


def _screening(found: dict[str, Summary]) -> str:
    """All strategies, both starts beside each other, by mean place."""
    both = {start: found[f"screen-{start}"] for start in STARTS if f"screen-{start}" in found}
    if len(both) < len(STARTS):
        return "".join(_missing(f"screen-{start}") for start in STARTS if start not in both)
    places = {
        start: {one.strategy: place for place, one in enumerate(summary.strategies, start=1)}
        for start, summary in both.items()
    }
    names = [name for name in places["phantom"] if name in places["scratch"]]
    names.sort(key=lambda name: sum(place[name] for place in places.values()))
    head = ["strategy", "mean place"]
    for words in STARTS.values():
        head += [f"area, {words}", "95 % interval"]
    rows = []
    for name in names:
        row = [name, f"{np.mean([place[name] for place in places.values()]):.1f}"]
        for summary in both.values():
            one = summary.strategy(name)
            assert one is not None
            row += [number(one.area.mean), bounds(one.area)]
        rows.append(tuple(row))
    told = [f"*{STARTS[start]}*: " + " ".join(summary.notes) for start, summary in both.items()]
    return Table(tuple(head), tuple(rows)).markdown() + "\n" + "\n\n".join(told) + "\n"


def _confirmation(found: dict[str, Summary], name: str, words: str) -> str:
    """What a comparison says in words, the gap closed, the labels needed, each pair's difference."""
    title = f"\n### {words[0].upper()}{words[1:]}\n\n"
    if name not in found:
        return title + _missing(name)
    summary = found[name]
    told = "\n\n".join(headline(summary))
    notes = "\n\n".join(summary.notes)
    gap = (
        "Share of the gap between no labels and full annotation that is closed, by share of slices:\n\n"
        f"{gap_table(summary, GAP_BUDGETS).markdown()}\nLabels needed:\n\n{labels_table(summary).markdown()}\n"
    )
    return (
        f"{title}{told}\n\n{gap if summary.informative else ''}"
        "Area under the budget curve (p by Holm's correction but for the comparison named beforehand):\n\n"
        f"{comparison_table(summary, 'default').markdown()}" + (f"\n{notes}\n" if notes and summary.informative else "")
    )


def _choices(found: dict[str, Summary], names: Sequence[str], kept: str) -> str:
    """Simulations that differ in one setting, each against ``kept`` seed by seed."""
    if absent := [name for name in names if name not in found]:
        return "".join(map(_missing, absent))
    areas = {
        name: {
            run.seed: area_under_budget(run.column("fraction"), run.column("dice_fixed"))
            for run in found[name].strategies[0].runs
        }
        for name in names
    }
    rows = []
    for name in names:
        settings, one = found[name].config["settings"], found[name].strategies[0]
        against = compared(name, kept, areas).effect if name != kept else None
        rows.append(
            (
                f"{settings['spacing_mm']:g} mm",
                str(settings["query"]),
                str(one.area.seeds),
                number(one.area.mean),
                "-" if against is None else f"{against.mean:+.3f}",
                "-" if against is None else bounds(against, plus=True),
            )
        )
    head = ("spacing", "slices a round", "seeds", "area", "against 12 mm and 53", "95 % interval")
    return Table(head, tuple(rows)).markdown()


def _pair(found: dict[str, Summary], name: str, words: str) -> str:
    """The table of one real pair."""
    title = f"\n### {words}\n\n"
    if name not in found:
        return title + _missing(name)
    summary = found[name]
    ends = f"Dice on the fixed folds: {number(summary.start.mean)} before, {number(summary.full.mean)} fully annotated."
    notes = "\n\n".join(summary.notes)
    return f"{title}{ends}\n\n{pair_table(summary).markdown()}" + (f"\n{notes}\n" if notes else "")


def _curves(found: dict[str, Summary], out: Path) -> None:
    """Learning curves of the confirmation with 95 % bands, one panel a start."""
    panels = [(name, words) for name, words in _panels() if name in found]
    if not panels:
        return
    figure = Figure(figsize=(4.2 * len(panels), 3.4), layout="constrained")
    axes: Sequence = figure.subplots(1, len(panels), squeeze=False)[0]
    for axis, (name, words) in zip(axes, panels, strict=True):
        summary = found[name]
        for one in summary.strategies:
            colour, x = COLOURS.get(one.strategy, "#333333"), 100 * one.dice.fraction
            axis.plot(
                x, one.dice.mean, color=colour, label=one.strategy, linewidth=2 if one.strategy == "default" else 1.2
            )
            axis.fill_between(x, one.dice.low, one.dice.high, color=colour, alpha=0.12, linewidth=0)
        axis.axhline(summary.full.mean, color="black", linestyle=":", linewidth=1)
        place = {"xycoords": ("axes fraction", "data"), "ha": "right", "va": "bottom"}
        axis.annotate("full annotation", (0.98, summary.full.mean), fontsize=7, **place)
        axis.set(title=words, xlabel="slices read, % of the pool", ylabel="Dice on the test brains")
        axis.title.set_fontsize(9)
        axis.spines[["top", "right"]].set_visible(False)
    axes[0].legend(fontsize=7, frameon=False, loc="lower right")
    figure.savefig(out, dpi=110)


def _panels() -> list[tuple[str, str]]:
    """Simulations that are drawn, with their titles."""
    return [*((f"confirm-{start}", words) for start, words in STARTS.items()), ("confirm-noisy", "noisy reader")]


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("One folder is needed: python Docs/make_evidence.py FOLDER")
    main(Path(sys.argv[1]))
    print("Written: Docs/evidence.md")
