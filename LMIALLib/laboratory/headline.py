"""The outcome of a simulation in plain words."""

from __future__ import annotations

from LMIALLib.laboratory.report_tables import leading, percent
from LMIALLib.laboratory.statistics import SEEDS_FOR_P, Comparison
from LMIALLib.laboratory.summary import LEAST_GAP, OF_GAP, StrategySummary, Summary

BASELINES = ("foreground-random-prediction", "foreground-random-difference", "random")
"""What a strategy has to beat; the first that was run counts."""
AIM = 0.04
"""Fraction of the slices that should be enough."""


def headline(summary: Summary) -> list[str]:
    """Sentences: how much of the gap is closed, what that takes, and whether anything beats foreground-aware random."""
    if not summary.strategies:
        return ["No strategy has a complete run yet, so there is nothing to compare."]
    lead = leading(summary)
    if summary.full.seeds and not summary.informative:
        return [
            "This setting shows nothing about strategies: full annotation is worth "
            f"{summary.gap:.3f} Dice more than no labels ({summary.full.mean:.3f} against {summary.start.mean:.3f}); "
            f"{LEAST_GAP:g} is the least that counts."
        ]
    sentences = [_gap_closed(summary, lead)] if summary.full.seeds else [_best(summary)]
    if summary.planned is not None:
        sentences.append(_planned(summary.planned))
    sentences.append(_against_baseline(summary))
    return sentences


def _gap_closed(summary: Summary, lead: StrategySummary) -> str:
    budget = min(AIM, float(lead.dice.fraction[-1]))
    closed = lead.gap_closed.at(budget).mean
    most, whole = (lead.gap_needed[share] for share in OF_GAP)
    if most is None:
        takes = "neither {} nor {} % of it was reached".format(*OF_GAP)
    else:
        end = "was not reached" if whole is None else f"took {percent(whole, 1)}"
        takes = f"{OF_GAP[0]} % of it took {percent(most, 1)}, {OF_GAP[1]} % {end}"
    last = float(lead.dice.fraction[-1])
    return (
        f"Reading {percent(budget)} of the slices as {lead.strategy} chooses them closes {percent(closed)} of the gap "
        f"between no labels (Dice {summary.start.mean:.3f}) and full annotation ({summary.full.mean:.3f}); {takes} "
        f"(simulated up to {percent(last)} of the slices)."
    )


def _best(summary: Summary) -> str:
    best = summary.strategies[0]
    return f"{best.strategy} has the highest area under the budget curve, a mean Dice of {best.area.mean:.3f}."


def _planned(found: Comparison) -> str:
    effect = found.effect
    if effect.seeds < 2:
        return f"{found.first} against {found.second}, the comparison named beforehand: {found.verdict}."
    verdict = "a tie, because the interval contains 0" if found.tied else f"{found.first} is {found.verdict}"
    return (
        f"{found.first} against {found.second}, the comparison named beforehand: {effect.mean:+.3f} in area under the "
        f"budget curve (95 % interval {effect.low:+.3f} to {effect.high:+.3f}, {effect.seeds} seeds): {verdict}."
    )


def _against_baseline(summary: Summary) -> str:
    baseline = next((name for name in BASELINES if summary.strategy(name) is not None), None)
    if baseline is None:
        return "No random baseline was run, so it is unknown whether any strategy is worth its trouble."
    what = "foreground-aware random" if baseline.startswith("foreground") else "random"
    others = [found.strategy for found in summary.strategies if found.strategy not in BASELINES]
    if not others:
        return f"Nothing was compared with {what}."
    known = [comparison for name in others if (comparison := summary.against(name, baseline)) is not None]
    found = [comparison for comparison in known if comparison.effect.seeds > 1]
    if not found:
        return f"One seed does not show whether anything beats {what} ({baseline})."
    better = [comparison.first for comparison in found if comparison.verdict == "better"]
    worse = [comparison.first for comparison in found if comparison.verdict == "worse"]
    if any(comparison.p_holm is not None for comparison in found):
        how = "after Holm's correction"
    elif summary.seeds < SEEDS_FOR_P:
        how = f"by uncorrected intervals, as fewer than {SEEDS_FOR_P} seeds allow no test"
    else:
        how = "by uncorrected intervals, as only the comparison named beforehand was made"
    ties = len(found) - len(better) - len(worse)
    rest = f"{ties} tied with it, {len(worse)} worse"
    if not better:
        return f"No strategy beats {what} ({baseline}) {how}: of {len(found)}, {rest}."
    names = ", ".join(better[:5]) + (f" and {len(better) - 5} more" if len(better) > 5 else "")
    return f"{len(better)} of {len(found)} strategies beat {what} ({baseline}) {how}: {names}; {rest}."
