"""The command ``strategies``: what can be named by ``--strategy``, and what each needs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from LMIALLib.cli.console import ERR, OUT, document, guarded

if TYPE_CHECKING:
    from LMIALLib.queries.strategies import Strategy


def register(app: typer.Typer) -> None:
    """Add this group's command."""
    app.command()(guarded(strategies))


def strategies(
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document on standard output.")] = False,
    as_markdown: Annotated[
        bool, typer.Option("--markdown", help="A table with formulas and sources; of LMIAL's own strategies only.")
    ] = False,
) -> None:
    """List every query strategy with what it needs beyond the network's prediction."""
    from LMIALLib.errors import WrongUse
    from LMIALLib.queries.strategies import DEFAULT_STRATEGY, STRATEGIES, known_strategies

    if as_json and as_markdown:
        raise WrongUse("--json and --markdown exclude each other.")
    if as_markdown:
        OUT.print(table(list(STRATEGIES.values())), markup=False, end="")
        return
    known, problems = known_strategies()
    if as_json:
        listed = [described(strategy) for strategy in known.values()]
        document({"default": DEFAULT_STRATEGY, "strategies": listed, "problems": problems})
        return
    width = max(len(name) for name in known)
    for name, strategy in known.items():
        needs = f" (needs {', '.join(sorted(strategy.needs))})" if strategy.needs else ""
        default = " (the default)" if name == DEFAULT_STRATEGY else ""
        OUT.print(f"{name:{width}}  {strategy.summary}{needs}{default}", markup=False)
    for problem in problems:
        ERR.print(problem, markup=False)


def described(strategy: Strategy) -> dict[str, object]:
    """Everything that describes a strategy, for JSON."""
    words = {"formula": strategy.formula, "source": strategy.source, "summary": strategy.summary}
    return {**strategy.to_dict(), "needs": sorted(strategy.needs), **words}


def table(strategies: list[Strategy]) -> str:
    """A Markdown document: one row a strategy, with name, needs, formula, source and summary."""
    from LMIALLib.cli.strategy_notes import CHANGED, LEFT_OUT, NOTATION, SAME_ORDER, SPACING
    from LMIALLib.queries.strategies import DEFAULT_STRATEGY

    lines = [
        "# Query strategies",
        "",
        f"Written by `lmial strategies --markdown`. `default` means `{DEFAULT_STRATEGY}`.",
        "",
        NOTATION,
        "",
        "| name | needs | formula | source | summary |",
        "|---|---|---|---|---|",
    ]
    for strategy in strategies:
        formula = strategy.formula.replace("|", "\\|")
        needs = ", ".join(sorted(strategy.needs)) or "-"
        lines.append(f"| {strategy.name} | {needs} | `{formula}` | {strategy.source} | {strategy.summary} |")
    twins = sum(
        strategy.measure.name == "margin" and strategy.choice.name == "highest-first" for strategy in strategies
    )
    same = SAME_ORDER.format(names=len(strategies), orders=len(strategies) - twins)
    lines += ["", SPACING, "", same, "", "## Not here, and why", "", "| strategy | reason |", "|---|---|"]
    lines += [f"| {name} | {reason} |" for name, reason in LEFT_OUT]
    lines += ["", "## Names whose formulas changed", ""]
    lines += [
        "On 2026-11-28 some formulas were brought in line with their names and sources. Rankings store the version of "
        "the formulas among their conditions; one that was made before holds none, and `lmial replay` says that its "
        "conditions differ.",
        "",
        "| name | what changed |",
        "|---|---|",
    ]
    lines += [f"| {names} | {what} |" for names, what in CHANGED]
    return "\n".join(lines) + "\n"
