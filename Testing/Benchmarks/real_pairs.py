"""A few annotated slices on real pairs: Dice before and after, on the slices nobody annotated, of both models alike.

    python Testing/Benchmarks/real_pairs.py --weights patient01=FILE patient12=FILE [--answers 3 5] [--seeds 5]

Needs the open-ms scans (LMIAL_DATA, by default ../shared/data). Each raw pair is registered by LMIAL; a simulated
reader answers from the expert mask, brought into the follow-up's raw grid by nearest neighbour with the supplied
transform. Dice pools the voxels of the slices that were not annotated, inside the brain region; the figure over all
voxels of those slices stands in the JSON. Each patient is judged with weights whose header names it as excluded; others
are refused. Of the random strategy each seed and the mean over seeds are given. Prints tables and writes
bench/real_pairs.json.
"""

from __future__ import annotations

import argparse
import json
import platform
import shutil
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from LMIALLib.datasets.open_ms_patient import OpenMSPair, open_ms_pair, open_ms_root
from LMIALLib.errors import LMIALError
from LMIALLib.evaluation.simulated_reader import ExactReader
from LMIALLib.laboratory.unseen import LONGITUDINAL, named_weights, unseen_weights
from LMIALLib.loop.session import Session
from LMIALLib.loop.settings import LoopSettings
from LMIALLib.loop.studies import new_study
from LMIALLib.metrics.voxels import dice
from LMIALLib.pairs.reading import read_volume
from LMIALLib.pairs.registration import transform_from_report
from LMIALLib.pairs.request import PairRequest
from LMIALLib.queries import choices
from LMIALLib.queries.strategies import DEFAULT_TO_TRAIN, strategy
from LMIALLib.study.store import Study
from LMIALLib.worker.requests import Predict

CASE = "pair"
REPORTED = ("dice_before", "dice_after", "held_out_before", "held_out_after", "guard_before", "guard_after", "kept")


def registration_error(pair: OpenMSPair, study: Study) -> dict[str, float]:
    """Distance in mm, over the brain, between where LMIAL and the supplied transforms put a follow-up point."""
    follow_up = read_volume(pair.follow_up).image
    inside = np.argwhere(pair.brain_on(follow_up))[::37, ::-1]
    ours = transform_from_report(study.cases.load_pair(CASE).registration)
    theirs = pair.baseline_from_follow_up()
    points = [follow_up.TransformIndexToPhysicalPoint([int(v) for v in index]) for index in inside]
    apart = np.array([np.subtract(ours.TransformPoint(p), theirs.TransformPoint(p)) for p in points])
    distance = np.linalg.norm(apart, axis=1)
    return {"mean_mm": float(distance.mean()), "max_mm": float(distance.max())}


@dataclass(frozen=True)
class Run:
    """One simulated reader: which strategy asks, with which seed, and how many slices are answered."""

    strategy: str
    seed: int
    answers: int


def one_run(prepared: Path, folder: Path, truth: np.ndarray, run: Run) -> dict[str, Any]:
    """Rank, answer, fine-tune on a copy of the prepared study, and judge both models on the same slices."""
    shutil.copytree(prepared, folder)
    with Study.open(folder, reader="simulated") as study:
        settings = LoopSettings(strategy=run.strategy, seed=run.seed, random_share=0.0, batch=run.answers, train=False)
        session = Session(study, reader="simulated", settings=settings)
        try:
            session.learning.wait(session.learning.request_ranking())
            start = study.models.in_use()
            axis = study.cases.get(CASE).axis
            stack = np.moveaxis(truth, axis, 0)
            brain = np.moveaxis(study.cases.load_pair(CASE).mask, axis, 0)
            read = [query.slice for query in ExactReader({CASE: stack}).answer_next(session, run.answers)]
            began = time.perf_counter()
            session.learning.request_training()
            result = session.learning.wait(session.learning.training)
            seconds = time.perf_counter() - began
            job = session.learning.worker.submit(Predict((CASE,), result.model))
            session.learning.worker.wait(job)
        finally:
            session.close()
        probability = {m: np.moveaxis(study.maps.read(m, CASE, "mean"), axis, 0) for m in (start.id, result.model)}
    unread = np.ones(stack.shape, dtype=bool)
    unread[read] = False
    marked = [probability[m] >= 0.5 for m in (start.id, result.model)]
    before, after = (dice(one, stack > 0, unread & brain) for one in marked)
    return {
        **asdict(run),
        "slices": read,
        "with_change": int(sum(stack[k].any() for k in read)),
        "dice_before": before,
        "dice_after": after,
        "dice_in_use": after if result.adopted else before,
        "adopted": result.adopted,
        "reasons": list(result.reasons),
        "dice_all_voxels": [dice(one, stack > 0, unread) for one in marked],
        "all_before": dice(marked[0], stack > 0, brain),
        "finetune_seconds": seconds,
        "report": {key: result.report[key] for key in REPORTED},
    }


def judge_patient(pair: OpenMSPair, weights: Path, work: Path, runs: list[Run]) -> dict[str, Any]:
    """All runs on one patient, each beginning with the given weights."""
    began = time.perf_counter()
    request = PairRequest(baseline=pair.baseline, follow_up=pair.follow_up)
    new_study(work / pair.name, CASE, request, subject=pair.name, weights=weights)
    prepared = time.perf_counter() - began
    with Study.open(work / pair.name, read_only=True) as study:
        registration = registration_error(pair, study)
    truth = pair.truth_on(read_volume(pair.follow_up).image).astype(np.uint8)
    rows = []
    for run in runs:
        folder = work / f"{pair.name}-{run.strategy}-{run.seed}-{run.answers}"
        rows.append(one_run(work / pair.name, folder, truth, run))
        shutil.rmtree(folder)
        print(json.dumps({"patient": pair.name, **rows[-1]}), file=sys.stderr, flush=True)
    return {"patient": pair.name, "prepare_seconds": prepared, "registration": registration, "runs": rows}


def table(results: list[dict[str, Any]]) -> str:
    """Every run as a Markdown table."""
    lines = [
        "| pair | answers | strategy | seed | slices read | with change | Dice before | Dice after | adopted "
        "| in use after |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for result in results:
        for run in result["runs"]:
            slices = ", ".join(str(k) for k in run["slices"])
            lines.append(
                f"| {result['patient']} | {run['answers']} | {run['strategy']} | {run['seed']} | {slices} | "
                f"{run['with_change']} | {run['dice_before']:.3f} | {run['dice_after']:.3f} | "
                f"{'yes' if run['adopted'] else 'no'} | {run['dice_in_use']:.3f} |"
            )
    return "\n".join(lines)


def summary(results: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """For each pair, number of answers and strategy: means over its seeds (one, unless it draws by lot)."""
    rows = []
    for result in results:
        groups: dict[tuple[int, str], list[dict[str, Any]]] = {}
        for run in result["runs"]:
            groups.setdefault((run["answers"], run["strategy"]), []).append(run)
        for (answers, name), runs in groups.items():
            means = {key: float(np.mean([run[key] for run in runs])) for key in ("dice_before", "dice_in_use")}
            means["gain"] = means["dice_in_use"] - means["dice_before"]
            means["lowest_gain"] = min(run["dice_in_use"] - run["dice_before"] for run in runs)
            rows.append(
                {"patient": result["patient"], "answers": answers, "strategy": name, "seeds": len(runs), **means}
            )
    return rows


def summary_table(rows: list[dict[str, Any]]) -> str:
    """The summary as a Markdown table."""
    lines = [
        "| pair | answers | strategy | seeds | Dice before | in use after | gain | lowest gain |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        lines.append(
            f"| {row['patient']} | {row['answers']} | {row['strategy']} | {row['seeds']} | {row['dice_before']:.3f} | "
            f"{row['dice_in_use']:.3f} | {row['gain']:+.3f} | {row['lowest_gain']:+.3f} |"
        )
    return "\n".join(lines)


def planned(strategies: list[str], answers: list[int], seeds: int) -> list[Run]:
    """Every run: the random strategy once a seed, the others once. Raises WrongUse for an unknown strategy."""
    return [
        Run(name, seed, count)
        for count in answers
        for name in strategies
        for seed in range(seeds if strategy(name).choice is choices.random else 1)
    ]


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--weights", nargs="+", required=True, metavar="PATIENT=FILE")
    parser.add_argument("--answers", nargs="+", type=int, default=[3, 5], help="slices that the reader answers")
    parser.add_argument("--strategies", nargs="+", default=[DEFAULT_TO_TRAIN, "random"])
    parser.add_argument("--seeds", type=int, default=5, help="seeds of the random strategy")
    arguments = parser.parse_args()
    try:
        weights = named_weights(arguments.weights)
        digests = {patient: unseen_weights(path, patient).digest for patient, path in weights.items()}
        runs = planned(arguments.strategies, arguments.answers, arguments.seeds)
    except LMIALError as error:
        sys.exit(str(error))
    root = open_ms_root()
    if root is None:
        sys.exit("No open-ms scans were found; set LMIAL_DATA to the folder that holds open_ms.")
    with tempfile.TemporaryDirectory() as work:
        results = [
            judge_patient(open_ms_pair(root / LONGITUDINAL / patient), path, Path(work), runs)
            for patient, path in weights.items()
        ]
    for result in results:
        error = result["registration"]
        print(
            f"{result['patient']}: registration differs from the supplied one by {error['mean_mm']:.2f} mm on average "
            f"over the brain (at most {error['max_mm']:.2f} mm); prepared in {result['prepare_seconds']:.1f} s"
        )
    means = summary(results)
    print(f"\n{summary_table(means)}\n\n{table(results)}")
    out = Path("bench")
    out.mkdir(exist_ok=True)
    document = {"weights": digests, "python": platform.python_version(), "summary": means, "results": results}
    (out / "real_pairs.json").write_text(json.dumps(document, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
