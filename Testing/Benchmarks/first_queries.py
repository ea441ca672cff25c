"""What the first six queries of each strategy find, before any annotation, on phantoms outside pretraining.

    python Testing/Benchmarks/first_queries.py [--phantoms 6]

For each strategy, as means over the phantoms: how many of the six slices show change, which share of all wrongly
labelled voxels lies on them, and Spearman's correlation of slice score with wrong voxels. Prints a Markdown table and
writes bench/first_queries.json.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path

import numpy as np

from LMIALLib.cohorts.phantom import DEMO, DEMO_SEED, TRAINING, TRAINING_SEEDS, make_phantom, write_phantom
from LMIALLib.network.predicted import Prediction, case_maps
from LMIALLib.network.prediction import predict
from LMIALLib.network.weights import load_weights
from LMIALLib.pairs.pair import Pair
from LMIALLib.pairs.prepare import prepare
from LMIALLib.pairs.request import PairRequest
from LMIALLib.queries.ranking import rank, score_case
from LMIALLib.queries.strategies import STRATEGIES
from LMIALLib.resources import resource

QUERIES = 6
NAMES = ("random", "entropy", "difference-entropy", "difference-entropy-normalised", "bald", "core-set")
RANDOM_SEEDS = 10


def phantom_pair(number: int) -> tuple[Pair, np.ndarray]:
    """A prepared phantom, alternately as pretraining draws them (other seeds) and as the demo does; truth bool."""
    demo = number % 2 == 1
    phantom = make_phantom(
        DEMO_SEED + number if demo else TRAINING_SEEDS.stop - 1 - number, appearance=DEMO if demo else TRAINING
    )
    with tempfile.TemporaryDirectory() as work:
        folder = Path(work)
        write_phantom(phantom, folder)
        case = folder / "case"
        case.mkdir()
        request = PairRequest(baseline=folder / "baseline.nii.gz", follow_up=folder / "follow_up.nii.gz")
        return prepare(request, case), phantom.truth > 0


def judge(pair: Pair, truth: np.ndarray, name: str, prediction: Prediction) -> tuple[float, float, float]:
    """Slices with change among the first queries, their share of wrong voxels, and Spearman over eligible slices."""
    from scipy.stats import spearmanr

    maps = case_maps("phantom", pair, prediction)
    scores = score_case(maps, STRATEGIES[name])
    stack = pair.stack(truth)
    wrong = ((prediction.mean >= 0.5) != stack).sum(axis=(1, 2))
    found = []
    for seed in range(RANDOM_SEEDS if name == "random" else 1):
        ranking = rank([scores], STRATEGIES[name], seed=seed, random_share=0.0, batch=QUERIES)
        first = [query.slice for query in ranking.queries[:QUERIES]]
        found.append((sum(stack[k].any() for k in first), wrong[first].sum() / max(wrong.sum(), 1)))
    changed, share = np.mean(found, axis=0)
    if name == "random":
        return float(changed), float(share), 0.0
    return (
        float(changed),
        float(share),
        float(spearmanr(scores.score[scores.eligible], wrong[scores.eligible]).statistic),
    )


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--phantoms", type=int, default=6)
    count = parser.parse_args().phantoms
    network, info = load_weights(resource("Weights", "change.safetensors"))
    rows: dict[str, list[tuple[float, float, float]]] = {name: [] for name in NAMES}
    for number in range(count):
        pair, truth = phantom_pair(number)
        single, sampled = predict(network, pair), predict(network, pair, passes=10, seed=0)
        for name in NAMES:
            rows[name].append(judge(pair, truth, name, sampled if "passes" in STRATEGIES[name].needs else single))
    print(f"| strategy | slices with change among {QUERIES} | share of wrong voxels | Spearman with wrong voxels |")
    print("|---|---|---|---|")
    for name, found in rows.items():
        changed, share, rho = np.mean(found, axis=0)
        print(f"| {name} | {changed:.1f} | {100 * share:.0f} % | {'-' if name == 'random' else f'{rho:.2f}'} |")
    out = Path("bench")
    out.mkdir(exist_ok=True)
    document = {"weights": info.digest, "phantoms": count, "rows": rows}
    (out / "first_queries.json").write_text(json.dumps(document, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
