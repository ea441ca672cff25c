"""How long the per-patient head takes for an answer, and the memory that it adds.

    python Testing/Benchmarks/head_latency.py [--answers 12]

Two made cases, 60 slices of 334 x 325 and 180 of 256 x 256, whose features and lesions are noise. An answer is
everything that happens in the worker until the next slice is known: judging the map, fitting, adapted maps, the finish
order and the estimate. The fit uses one thread. Prints a table and writes bench/head_latency.json.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import resource
import time
from pathlib import Path
from typing import Any

import numpy as np

from LMIALLib.adaptation.answers import gathered, mask_answer
from LMIALLib.adaptation.estimate import estimate
from LMIALLib.adaptation.features import features_of
from LMIALLib.adaptation.found import judged
from LMIALLib.adaptation.head import adapted, fit
from LMIALLib.adaptation.inputs import HeadInputs
from LMIALLib.adaptation.order import finish_scores

CASES = ((60, 334, 325), (180, 256, 256))


def made_case(shape: tuple[int, int, int]) -> tuple[HeadInputs, np.ndarray]:
    """Noise with smooth spots of change in it, and a network that half sees them; the truth beside."""
    from scipy.ndimage import gaussian_filter

    rng = np.random.default_rng(0)

    def noise(sigma: tuple[float, float, float]) -> np.ndarray:
        made = gaussian_filter(rng.standard_normal(shape).astype(np.float32), sigma)
        return np.asarray(made / made.std())

    region = np.zeros(shape, bool)
    region[:, shape[1] // 6 : -shape[1] // 6, shape[2] // 6 : -shape[2] // 6] = True
    spots = noise((1, 3, 3))
    truth = (spots > 3.3) & region
    seen = gaussian_filter(((spots > 3.1) & region).astype(np.float32), (0, 1, 1))
    mean = np.where(region, np.clip(0.002 + 0.8 * seen, 0, 1), 0).astype(np.float32)
    follow_up = (noise((0, 0.7, 0.7)) + 2.0 * truth).astype(np.float32)
    spread = mean * (1 - mean)
    return HeadInputs(mean, noise((0, 0.7, 0.7)), follow_up, region, (3.0, 0.72, 0.72), 0.1 * spread, spread), truth


def peak_mib() -> float:
    """Largest memory of this process so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def measure(shape: tuple[int, int, int], answers: int) -> dict[str, Any]:
    """Times of one case, seconds, by the clock and of the processor, and the memory added, MiB."""
    inputs, truth = made_case(shape)
    before = peak_mib()
    clock, cpu = time.perf_counter(), time.process_time()
    features = features_of(inputs)
    made = {"features": time.perf_counter() - clock, "features_cpu": time.process_time() - cpu}
    given, found, maps = [], [], adapted(features, None)
    walls, cpus = [], []
    for number in np.argsort(-truth.sum(axis=(1, 2)), kind="stable")[:answers].tolist():
        clock, cpu = time.perf_counter(), time.process_time()
        given.append(mask_answer(number, truth[number]))
        found.append(judged(features, maps, number, given[-1].target))
        maps = adapted(features, fit(features, given))
        answered = gathered(given)
        finish_scores(features, maps, found, read=answered.read)
        estimate(features, maps, answered, found)
        walls.append(time.perf_counter() - clock)
        cpus.append(time.process_time() - cpu)
    times = {"answer": walls, "answer_cpu": cpus}
    return {
        "shape": list(shape),
        "candidates": len(features.voxels),
        **made,
        **{f"{name}_p{p}": float(np.percentile(taken, p)) for name, taken in times.items() for p in (50, 99)},
        "added_mib": peak_mib() - before,
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--answers", type=int, default=12)
    answers = parser.parse_args().answers
    # a process each, because the largest memory is a process's
    with multiprocessing.get_context("spawn").Pool(1, maxtasksperchild=1) as pool:
        rows = pool.starmap(measure, [(shape, answers) for shape in CASES], chunksize=1)
    print("| case | features once, s (CPU) | an answer: p50, s (CPU) | p99, s (CPU) | memory added, MiB |")
    print("|---|---|---|---|---|")
    for row in rows:
        shape = " x ".join(str(n) for n in row["shape"])
        times = [
            f"{row[wall]:.2f} ({row[cpu]:.2f})"
            for wall, cpu in (
                ("features", "features_cpu"),
                ("answer_p50", "answer_cpu_p50"),
                ("answer_p99", "answer_cpu_p99"),
            )
        ]
        print(f"| {shape} | {' | '.join(times)} | {row['added_mib']:.0f} |")
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f} while measuring")
    Path("bench").mkdir(exist_ok=True)
    Path("bench/head_latency.json").write_text(json.dumps(rows, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
