"""Whether looks are wasted on the first and last slices of the brain, before any annotation, on phantoms.

    python Testing/Benchmarks/end_slices.py [--phantoms 6]

An end slice has less than half of the median brain area. It is asked *too early* where a slice that is no end slice and
has more expected error, Sum min(p, 1-p), is asked after it; distance is left aside. Counted over the whole order of
each phantom and over its first 12 queries, for the default strategy, the same with the least divisor that it had before
2026-11-28 (0.1 of the median of Sum w instead of the median), and the plain sums. Prints a Markdown table.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parent))
from first_queries import phantom_pair

from LMIALLib.network.predicted import case_maps
from LMIALLib.network.prediction import predict
from LMIALLib.network.weights import load_weights
from LMIALLib.queries.aggregations import difference_mass
from LMIALLib.queries.pool import CaseMaps, CaseScores
from LMIALLib.queries.ranking import score_case
from LMIALLib.queries.strategies import STRATEGIES
from LMIALLib.resources import resource

FIRST = 12
DEFAULT = "difference-entropy-normalised"


def scored(maps: CaseMaps, name: str) -> CaseScores:
    """Scores of a strategy; "before" is the default with its former least divisor."""
    if name != "before":
        return score_case(maps, STRATEGIES[name])
    total = score_case(maps, STRATEGIES["difference-entropy"])
    mass = difference_mass(maps)
    return replace(total, score=total.score / np.maximum(mass, 0.1 * float(np.median(mass[mass > 0]))))


def counted(maps: CaseMaps, name: str) -> tuple[int, int, int]:
    """End slices asked too early, the same among the first queries, and end slices in all."""
    scores = scored(maps, name)
    area = maps.mask.sum(axis=(1, 2))
    asked = np.flatnonzero(scores.eligible)
    order = asked[np.argsort(-scores.score[asked], kind="stable")]
    p = np.where(maps.mask, maps.mean, 0.0).astype(np.float64)
    error = np.minimum(p, 1.0 - p).sum(axis=(1, 2))
    end = area < 0.5 * np.median(area[area > 0])
    early = [
        bool(end[k] and (error[order[place:]][~end[order[place:]]] > error[k]).any()) for place, k in enumerate(order)
    ]
    return sum(early), sum(early[:FIRST]), int(end[asked].sum())


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--phantoms", type=int, default=6)
    count = parser.parse_args().phantoms
    network, _ = load_weights(resource("Weights", "change.safetensors"))
    names = ("before", DEFAULT, "difference-entropy", "entropy")
    rows: dict[str, list[tuple[int, int, int]]] = {name: [] for name in names}
    for number in range(count):
        pair, _ = phantom_pair(number)
        maps = case_maps("phantom", pair, predict(network, pair))
        for name in names:
            rows[name].append(counted(maps, name))
    print(f"| strategy | end slices asked too early | of them among the first {FIRST} | end slices |")
    print("|---|---:|---:|---:|")
    for name, found in rows.items():
        told = f"{DEFAULT}, least divisor 0.1 of the median" if name == "before" else name
        early, first, ends = np.sum(found, axis=0)
        print(f"| {told} | {early} | {first} | {ends} |")


if __name__ == "__main__":
    main()
