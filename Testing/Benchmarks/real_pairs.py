"""Five annotated slices on real pairs: Dice before and after, on the slices nobody annotated, of both models alike.

    python Testing/Benchmarks/real_pairs.py [--patients patient01 patient12] [--answers 5]

Needs the open-ms scans (LMIAL_DATA, by default ../shared/data). Each raw pair is registered by LMIAL; a simulated
reader answers from the expert mask, brought into the follow-up's raw grid by nearest neighbour with the supplied
transform. Dice pools all voxels of the slices that were not annotated; none is left out by a brain mask. The weights
are the bundled ones, whose header names the patients they never saw; the script refuses patients that they saw.
Prints a table and writes bench/real_pairs.json.
"""

from __future__ import annotations

import argparse
import json
import platform
import shutil
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from LMIALLib.cohorts.open_ms import OpenMSPair, open_ms_pair, open_ms_root
from LMIALLib.evaluation.metrics import dice
from LMIALLib.evaluation.simulated_reader import ExactReader
from LMIALLib.loop.learning import LoopSettings
from LMIALLib.loop.session import Session
from LMIALLib.loop.studies import new_study
from LMIALLib.pairs.prepare import PairRequest
from LMIALLib.pairs.reading import read_volume
from LMIALLib.pairs.registration import transform_from_report
from LMIALLib.queries.strategies import DEFAULT_STRATEGY
from LMIALLib.resources import resource
from LMIALLib.study.maps import read_map
from LMIALLib.study.store import Study

CASE = "pair"
REPORTED = ("dice_before", "dice_after", "held_out_before", "held_out_after", "guard_before", "guard_after", "kept")


def registration_error(pair: OpenMSPair, study: Study) -> dict[str, float]:
    """Distance in mm, over the brain, between where LMIAL and the supplied transforms put a follow-up point."""
    follow_up = read_volume(pair.follow_up).image
    inside = np.argwhere(pair.brain_on(follow_up))[::37, ::-1]
    ours = transform_from_report(study.load_pair(CASE).registration)
    theirs = pair.baseline_from_follow_up()
    points = [follow_up.TransformIndexToPhysicalPoint([int(v) for v in index]) for index in inside]
    apart = np.array([np.subtract(ours.TransformPoint(p), theirs.TransformPoint(p)) for p in points])
    distance = np.linalg.norm(apart, axis=1)
    return {"mean_mm": float(distance.mean()), "max_mm": float(distance.max())}


def one_run(prepared: Path, folder: Path, truth: np.ndarray, strategy: str, seed: int, answers: int) -> dict[str, Any]:
    """Rank, answer, fine-tune on a copy of the prepared study, and judge both models on the same slices."""
    shutil.copytree(prepared, folder)
    with Study.open(folder, reader="simulated") as study:
        settings = LoopSettings(strategy=strategy, seed=seed, random_share=0.0, batch=answers, train=False)
        session = Session(study, reader="simulated", settings=settings)
        try:
            session.learning.wait(session.learning.request_ranking())
            start = study.model_in_use()
            axis = study.case(CASE).axis
            stack = np.moveaxis(truth, axis, 0)
            read = [query.slice for query in ExactReader({CASE: stack}).answer_next(session, answers)]
            began = time.perf_counter()
            session.learning.request_training()
            result = session.learning.wait(session.learning.training)
            seconds = time.perf_counter() - began
            job = session.learning.worker.submit("predict", cases=[CASE], model=result["model"])
            session.learning.worker.wait(job)
        finally:
            session.close()
        probability = {m: np.moveaxis(read_map(study, m, CASE, "mean"), axis, 0) for m in (start.id, result["model"])}
    unread = np.ones(stack.shape, dtype=bool)
    unread[read] = False
    before, after = (dice(probability[m] >= 0.5, stack > 0, unread) for m in (start.id, result["model"]))
    return {
        "strategy": strategy,
        "seed": seed,
        "slices": read,
        "with_change": int(sum(stack[k].any() for k in read)),
        "dice_before": before,
        "dice_after": after,
        "dice_in_use": after if result["adopted"] else before,
        "adopted": result["adopted"],
        "reasons": result["reasons"],
        "all_before": dice(probability[start.id] >= 0.5, stack > 0),
        "finetune_seconds": seconds,
        "report": {key: result["report"][key] for key in REPORTED},
    }


def judge_patient(folder: Path, work: Path, runs: list[tuple[str, int]], answers: int) -> dict[str, Any]:
    """All runs on one patient."""
    pair = open_ms_pair(folder)
    began = time.perf_counter()
    request = PairRequest(baseline=pair.baseline, follow_up=pair.follow_up)
    new_study(work / pair.name, CASE, request.to_dict(), subject=pair.name)
    prepared = time.perf_counter() - began
    with Study.open(work / pair.name, read_only=True) as study:
        registration = registration_error(pair, study)
    truth = pair.truth_on(read_volume(pair.follow_up).image).astype(np.uint8)
    rows = []
    for strategy, seed in runs:
        rows.append(one_run(work / pair.name, work / f"{pair.name}-{strategy}-{seed}", truth, strategy, seed, answers))
        print(json.dumps({"patient": pair.name, **rows[-1]}), file=sys.stderr)
    return {"patient": pair.name, "prepare_seconds": prepared, "registration": registration, "runs": rows}


def table(results: list[dict[str, Any]]) -> str:
    """The results as a Markdown table."""
    lines = [
        "| pair | strategy | seed | slices read | with change | Dice before | Dice after | adopted | in use after |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for result in results:
        for run in result["runs"]:
            slices = ", ".join(str(k) for k in run["slices"])
            lines.append(
                f"| {result['patient']} | {run['strategy']} | {run['seed']} | {slices} | {run['with_change']} | "
                f"{run['dice_before']:.3f} | {run['dice_after']:.3f} | {'yes' if run['adopted'] else 'no'} | "
                f"{run['dice_in_use']:.3f} |"
            )
    return "\n".join(lines)


def check_never_saw(patients: list[str]) -> str:
    """The digest of the bundled weights; exits when they were trained on one of the patients."""
    from LMIALLib.network.weights import load_weights

    _, info = load_weights(resource("Weights", "change.safetensors"))
    excluded = set(info.provenance.get("excluded", ()))
    seen = [patient for patient in patients if patient not in excluded]
    if seen:
        sys.exit(f"The bundled weights saw {', '.join(seen)}; no honest figure can be given.")
    return str(info.digest)


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--patients", nargs="+", default=["patient01", "patient12"])
    parser.add_argument("--answers", type=int, default=5)
    parser.add_argument("--seeds", type=int, default=3, help="seeds of the random strategy")
    arguments = parser.parse_args()
    root = open_ms_root()
    if root is None:
        sys.exit("No open-ms scans were found; set LMIAL_DATA to the folder that holds open_ms.")
    digest = check_never_saw(arguments.patients)
    runs = [("entropy", 0), (DEFAULT_STRATEGY, 0), *(("random", seed) for seed in range(arguments.seeds))]
    runs = list(dict.fromkeys(runs))
    with tempfile.TemporaryDirectory() as work:
        results = [
            judge_patient(root / "longitudinal" / patient, Path(work), runs, arguments.answers)
            for patient in arguments.patients
        ]
    for result in results:
        error = result["registration"]
        print(
            f"{result['patient']}: registration differs from the supplied one by {error['mean_mm']:.2f} mm on average "
            f"over the brain (at most {error['max_mm']:.2f} mm); prepared in {result['prepare_seconds']:.1f} s"
        )
    print(table(results))
    out = Path("bench")
    out.mkdir(exist_ok=True)
    document = {"weights": digest, "python": platform.python_version(), "results": results}
    (out / "real_pairs.json").write_text(json.dumps(document, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
