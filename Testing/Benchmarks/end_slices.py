"""Whether looks are wasted on the first and last slices of the brain, before any annotation, on phantoms.

Both defaults are counted: that which finishes a patient, and that which trains the network.

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

from LMIALLib.adaptation.features import features_of
from LMIALLib.adaptation.head import adapted
from LMIALLib.adaptation.inputs import HeadInputs
from LMIALLib.adaptation.order import FINISH_STRATEGIES, finish_scores
from LMIALLib.network.predicted import case_maps
from LMIALLib.network.prediction import predict
from LMIALLib.network.weights import load_weights
from LMIALLib.pairs.pair import Pair
from LMIALLib.queries.aggregations import difference_mass
from LMIALLib.queries.pool import CaseMaps, CaseScores
from LMIALLib.queries.ranking import score_case
from LMIALLib.queries.strategies import DEFAULT_OF, STRATEGIES
from LMIALLib.resources import resource

FIRST = 12
DEFAULT = DEFAULT_OF["train"]
TO_FINISH = DEFAULT_OF["finish"]


def to_finish(maps: CaseMaps, pair: Pair, name: str) -> CaseScores:
    """Scores of a strategy that finishes a patient, of whom nothing was read yet."""
    inputs = HeadInputs(
        np.ascontiguousarray(maps.mean),
        np.ascontiguousarray(pair.stack(pair.baseline)),
        np.ascontiguousarray(pair.stack(pair.follow_up)),
        np.ascontiguousarray(maps.mask),
        (pair.slice_spacing, *pair.in_plane_spacing),
    )
    features = features_of(inputs)
    order = finish_scores(features, adapted(features, None), strategy=name)
    return replace(score_case(maps, STRATEGIES[name]), score=order.score)


def scored(maps: CaseMaps, pair: Pair, name: str) -> CaseScores:
    """Scores of a strategy; "before" is the default with its former least divisor."""
    if name in FINISH_STRATEGIES:
        return to_finish(maps, pair, name)
    if name != "before":
        return score_case(maps, STRATEGIES[name])
    total = score_case(maps, STRATEGIES["difference-entropy"])
    mass = difference_mass(maps)
    return replace(total, score=total.score / np.maximum(mass, 0.1 * float(np.median(mass[mass > 0]))))


def counted(maps: CaseMaps, pair: Pair, name: str) -> tuple[int, int, int, int]:
    """End slices asked too early, the same by more than one voxel, among the first queries, and end slices in all."""
    scores = scored(maps, pair, name)
    area = maps.mask.sum(axis=(1, 2))
    asked = np.flatnonzero(scores.eligible)
    order = asked[np.argsort(-scores.score[asked], kind="stable")]
    p = np.where(maps.mask, maps.mean, 0.0).astype(np.float64)
    error = np.minimum(p, 1.0 - p).sum(axis=(1, 2))
    end = area < 0.5 * np.median(area[area > 0])

    def early(more: float) -> list[bool]:
        later = [error[order[place:]][~end[order[place:]]] for place in range(len(order))]
        return [bool(end[k] and (rest > error[k] + more).any()) for k, rest in zip(order, later, strict=True)]

    return sum(early(0.0)), sum(early(1.0)), sum(early(0.0)[:FIRST]), int(end[asked].sum())


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--phantoms", type=int, default=6)
    count = parser.parse_args().phantoms
    network, _ = load_weights(resource("Weights", "change.safetensors"))
    names = ("before", TO_FINISH, "expected-error", DEFAULT, "difference-entropy", "entropy")
    rows: dict[str, list[tuple[int, int, int, int]]] = {name: [] for name in names}
    for number in range(count):
        pair, _ = phantom_pair(number)
        maps = case_maps("phantom", pair, predict(network, pair))
        for name in names:
            rows[name].append(counted(maps, pair, name))
    print(f"| strategy | end slices asked too early | by more than one voxel | among the first {FIRST} | end slices |")
    print("|---|---:|---:|---:|---:|")
    for name, found in rows.items():
        told = f"{DEFAULT}, least divisor 0.1 of the median" if name == "before" else name
        early, clearly, first, ends = np.sum(found, axis=0)
        print(f"| {told} | {early} | {clearly} | {first} | {ends} |")


if __name__ == "__main__":
    main()
