"""What chose the settings of companions: trainings of the laboratory on slices by lot, judged on validation brains.

    python Testing/Benchmarks/companions_settings.py SIMULATION --arm none --arm none:rate=0.004 \\
        --arm pseudo:weight=0.2 --arm mean-teacher:weight=20,noise=0.3 --arm mae:rate=0.004 --arm FILE

SIMULATION is a folder whose ``cases/`` are used. An arm is how unread slices take part or how the network starts
(``none``, ``pseudo``, ``mean-teacher``, ``mae`` or a weights file), then what is set of the companion, or the highest
learning rate.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import replace
from pathlib import Path

from LMIALLib.evaluation.laboratory.learning import MASKED_RATE, Learner
from LMIALLib.evaluation.laboratory.rows import test_figures
from LMIALLib.evaluation.laboratory.settings import SimulationSettings
from LMIALLib.evaluation.laboratory.subjects import load_subject
from LMIALLib.evaluation.laboratory.tracks import tracks_of
from LMIALLib.network.lab_training import LabRecipe, Slices, train
from LMIALLib.network.unread_slices import COMPANIONS
from LMIALLib.network.weights import load_weights


def main() -> None:
    """Print the Dice on the validation brains of each seed, arm and number of slices."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("simulation", type=Path)
    parser.add_argument("--arm", action="append", required=True)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--slices", type=int, nargs="+", default=[21, 85])
    parser.add_argument("--steps", type=int, default=300)
    asked = parser.parse_args()
    found = [load_subject(path) for path in sorted((asked.simulation / "cases").glob("*.npz"))]
    subjects = {subject.name: subject for subject in found if subject.part != "test"}
    track = tracks_of("cohort", list(subjects.values()), "validation")[0]
    pool = Slices(
        {name: subjects[name].pair for name in track.pool}, _starter("scratch", subjects).start(0).architecture, 48
    )
    for seed in range(asked.seeds):
        for arm in asked.arm:
            kind, _, words = arm.partition(":")
            changed = {name: float(value) for name, value in (word.split("=") for word in words.split(",") if word)}
            recipe = LabRecipe(steps=asked.steps)
            if kind == "mae":
                recipe = replace(recipe, rate=MASKED_RATE)
            if "rate" in changed:
                recipe = replace(recipe, rate=changed.pop("rate"))
            if kind in COMPANIONS:
                COMPANIONS[kind] = replace(COMPANIONS[kind], **changed)
            known = kind not in ("none", "mae", *COMPANIONS)
            starter = _starter("mae" if kind == "mae" else "scratch", subjects)
            begin = load_weights(Path(kind))[0] if known else starter.start(seed)
            for count in asked.slices:
                labels = {(case, k): subjects[case].truth[k] for case, k in track.drawn(count, seed)}
                unread = set(track.slices()) - set(labels)
                semi = kind if kind in COMPANIONS else "none"
                began = time.monotonic()
                model = train(begin, pool, labels, recipe, (seed, 1), known=known, semi=semi, unread=unread)
                seconds = time.monotonic() - began
                dice = test_figures(subjects, [(track, starter.probabilities(model, track.test))])["dice_fixed"]
                print(f"seed {seed}  {arm:40} {count:4d} slices  Dice {dice:.3f}  {seconds:.1f} s", flush=True)


def _starter(start: str, subjects: dict) -> Learner:
    settings = SimulationSettings(("random",), start=start, judged="validation", pixel_mm=1.6)
    return Learner(settings, subjects)


if __name__ == "__main__":
    main()
