"""How long a ranking takes on a pool of 100,000 slices with 128 features, given the scores of the maps, and its memory.

    python Testing/Benchmarks/pool.py [--slices 100000] [--features 128]

Every strategy that needs no vectors is ranked for 100 queries, then k-center for 1,000 picks and every other choice by
vectors for the first two batches, each in a process of its own; nothing answered, no random share. Time is of ``rank``
alone, the fastest of three for single passes, and beside it the processor time of all threads; memory is what the
process holds at most beyond what it held before ``rank``, the flat pool included, and in all. Prints a Markdown table
and writes bench/pool.json.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

from LMIALLib.queries.pool import CaseScores
from LMIALLib.queries.ranking import rank
from LMIALLib.queries.strategies import STRATEGIES

SINGLE_PASS, K_CENTER, K_CENTER_MEGABYTES = 1.0, 20.0, 1000
PER_CASE = 50


def pool(slices: int, width: int, vectors: bool) -> list[CaseScores]:
    """Cases of 50 slices with random scores and, where wanted, features and gradients in 40 loose groups."""
    rng = np.random.default_rng(0)
    middles = 4 * rng.standard_normal((40, width)).astype(np.float32)
    names = ("score", "sum", "weight", "uncertainty", "difference", "spots", "predicted_pixels", "seconds", "learned")
    cases = []
    for number in range(slices // PER_CASE):
        features = None
        if vectors:
            features = middles[rng.integers(0, 40, PER_CASE)] + rng.standard_normal((PER_CASE, width), dtype=np.float32)
        score = rng.random(PER_CASE)
        cases.append(
            CaseScores(
                case=f"case{number:05d}",
                score=score,
                terms=dict.fromkeys((*names, "expected_dice"), score),
                peak=np.zeros((PER_CASE, 2), dtype=int),
                features=features,
                slice_spacing=3.0,
                answered=frozenset(),
                skipped=frozenset(),
                eligible=np.ones(PER_CASE, dtype=bool),
                others=(rng.random(PER_CASE), rng.random(PER_CASE)),
                gradients=features,
            )
        )
    return cases


def measure(name: str, slices: int, width: int, count: int) -> dict[str, float | str | int]:
    """Seconds and megabytes of one ranking, in this process."""
    needs = STRATEGIES[name].needs
    cases = pool(slices, width, vectors=bool(needs & {"features", "gradients"}))
    if needs & {"features"}:  # libraries are loaded once in a program, not once in a ranking
        import sklearn.cluster  # noqa: F401
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    seconds, work = np.inf, np.inf
    for _ in range(3 if count == 100 else 1):
        began, busy = time.perf_counter(), time.process_time()
        ranking = rank(cases, STRATEGIES[name], seed=0, random_share=0.0, count=count)
        seconds = min(seconds, time.perf_counter() - began)
        work = min(work, time.process_time() - busy)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    assert len(ranking.queries) == count == len({(query.case, query.slice) for query in ranking.queries})
    return {
        "strategy": name,
        "picks": count,
        "seconds": seconds,
        "processor_seconds": work,
        "added_mb": peak - before,
        "peak_mb": peak,
    }


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--slices", type=int, default=100_000)
    parser.add_argument("--features", type=int, default=128)
    parser.add_argument("--one", nargs=2, metavar=("STRATEGY", "PICKS"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        name, count = options.one
        print(json.dumps(measure(name, options.slices, options.features, int(count))))
        return
    vectors = {"features", "gradients"}
    single = [(name, 100) for name, one in STRATEGIES.items() if not one.needs & vectors]
    greedy = [(name, 1000) for name in ("core-set", "core-set-cosine")]
    others = [(n, 12) for n, one in STRATEGIES.items() if one.needs & vectors and n not in dict(greedy)]
    rows = []
    print("| strategy | picks | seconds | processor seconds | memory added, MB | whole process, MB | aim |")
    print("|---|---|---|---|---|---|---|")
    for name, count in (*single, *greedy, *others):
        command = [sys.executable, __file__, "--slices", str(options.slices), "--features", str(options.features)]
        done = subprocess.run([*command, "--one", name, str(count)], capture_output=True, text=True, check=True)
        row = json.loads(done.stdout)
        row["aim"] = {100: f"{SINGLE_PASS:.0f} s", 1000: f"{K_CENTER:.0f} s, {K_CENTER_MEGABYTES} MB"}.get(count, "-")
        rows.append(row)
        times = f"{row['seconds']:.2f} | {row['processor_seconds']:.2f}"
        print(
            f"| {name} | {count} | {times} | {row['added_mb']:.0f} | {row['peak_mb']:.0f} | {row['aim']} |", flush=True
        )
    slowest = max(row["seconds"] for row in rows[: len(single)])
    print(f"Slowest single pass: {slowest:.2f} s of {SINGLE_PASS:.0f} s.")
    conditions = {"slices": options.slices, "features": options.features, "cores": os.cpu_count()}
    versions = {"python": platform.python_version(), "numpy": np.__version__}
    out = Path("bench")
    out.mkdir(exist_ok=True)
    (out / "pool.json").write_text(json.dumps({**conditions, **versions, "rows": rows}, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
