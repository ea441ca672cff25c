"""How many labels the pipeline saves: a teacher alone, nnU-Net on its opinions, then with a few read slices, then all.

    python Testing/Benchmarks/pipeline_evidence.py OUT [--pool cohort|real] [--seeds 0 1 2] [--device cpu] ...

Needs nnunetv2 and the open-ms scans (LMIAL_DATA, by default ../shared/data). Everything is made in OUT, and a run that
was stopped goes on when it is repeated. Made once: a cohort of synthetic change on real backgrounds without patient01
and patient12; a study of its training subjects; a study of everything that is judged (the cohort's test and validation
brains, and the two real pairs); a teacher that saw phantoms and no scan of any person. So nothing that judges a patient
saw a scan or a label of that patient. For each seed nnU-Net learns from the teacher's opinions (stage 2 of the
pipeline), and from there, fold by fold (stage 5), from what an exact reader says of 2 % and 5 % of the slices as the
core-set chooses them (stage 3), of as many random slices, and of all. `scratch` reads all slices and never
saw an opinion, in as many steps as both stages have together. With `--pool real` both real pairs are the study that is
read, in two folds, and each is judged by the fold that saw no label of it. "Nothing kept" are the folds as they were
trained, before they go part of the way back to the pretrained weights.

Dice: mean over the cases of a group; F1: of all lesions of a group over 10 mm3, as `lesion_counts` says. Prints
Markdown tables and writes OUT/pipeline.json or OUT/real.json.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import subprocess
import sys
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import torch

from LMIALLib.datasets.open_ms_patient import open_ms_root
from LMIALLib.errors import BadInput
from LMIALLib.files import written_whole
from LMIALLib.loop.studies import add_first_model
from LMIALLib.metrics.lesions import lesion_counts
from LMIALLib.metrics.voxels import dice
from LMIALLib.network.prediction import predict
from LMIALLib.network.weights import load_weights
from LMIALLib.pairs.pair import Pair
from LMIALLib.pipeline import spread_core_set
from LMIALLib.pipeline.core_set import core_set
from LMIALLib.pipeline.nnunet.dataset import write_dataset
from LMIALLib.pipeline.nnunet.ensemble import Predictor, best_kept, mixed, trained_folds
from LMIALLib.pipeline.nnunet.labels import IGNORE, CaseLabels
from LMIALLib.pipeline.nnunet.places import WorkFolder
from LMIALLib.pipeline.nnunet.pretraining import pretrain, pretrained_weights
from LMIALLib.pipeline.nnunet.running import run
from LMIALLib.pipeline.nnunet.settings import FINETUNING_RATE, NnunetSettings
from LMIALLib.pipeline.nnunet.splits import fold_splits
from LMIALLib.pipeline.teachers.bundled import bundled_teacher
from LMIALLib.pipeline.teachers.pseudo_labelling import make_pseudo_labels
from LMIALLib.study.case import Case
from LMIALLib.study.labels import UNREAD
from LMIALLib.study.store import Study

HERE = Path(__file__).parent
REAL = ("patient01", "patient12")
SUBJECTS = 30
OVER_MM3 = 10.0
ARMS = ("teacher", "pseudo", "core-set 2%", "core-set 5%", "random 5%", "k-center 5%", "all", "scratch")
TOLD = {
    "teacher": "teacher alone",
    "pseudo": "nnU-Net on its pseudo-labels",
    "core-set 2%": "+ 2 % of the slices, core-set",
    "core-set 5%": "+ 5 %, core-set",
    "random 5%": "+ 5 %, at random",
    "k-center 5%": "+ 5 %, k-center without regard to signs of change",
    "all": "+ every slice",
    "scratch": "every slice, without pseudo-labels",
}
WHOLE = ("all", "scratch")
Slices = frozenset[tuple[str, int]]


def lmial(*words: str | Path, **environment: str) -> None:
    """One command of LMIAL. Raises CalledProcessError where it fails."""
    subprocess.run([sys.executable, "-m", "LMIALLib", *map(str, words)], check=True, env={**os.environ, **environment})


def prepare(out: Path, root: Path) -> None:
    """Cohort, both studies and the teacher's weights, whatever of them is missing."""
    cohort, weights = out / "cohort", out / "teacher.safetensors"
    if not cohort.exists():
        excluded = [word for patient in REAL for word in ("--exclude", patient)]
        options = ["--subjects", str(SUBJECTS), "--seed", "0", "--flavour", "real", "--data", str(root), *excluded]
        lmial("cohort", "make", cohort, *options)
    if not weights.exists():
        lmial("pretrain", HERE / "evidence-phantom.json", "--out", weights, LMIAL_DATA=str(out / "nowhere"))
    for study, parts in (("pool", ("train",)), ("judged", ("validation", "test"))):
        table = out / f"{study}.csv"
        if not table.exists():
            write_table(cohort, parts, table)
        lmial("import", out / study, table, "--layout", "csv")
    for study in ("judged", "real"):
        lmial("import", out / study, root, "--layout", "open-ms", "--subjects", ",".join(REAL))
    for folder in ("pool", "real"):
        with Study.open(out / folder, reader="benchmark") as opened:
            if all(model.report.get("from") != weights.name for model in opened.models.all()):
                add_first_model(opened, weights)  # what embeds the slices saw no person either
            make_pseudo_labels(opened, teacher_from(weights), existing="keep")


def write_table(cohort: Path, parts: Collection[str], table: Path) -> None:
    """Subjects of some parts of a cohort as a table that ``lmial import`` reads."""
    subjects = json.loads((cohort / "cohort.json").read_text(encoding="utf-8"))["subjects"]
    files = ("baseline", "follow_up", "brain", "truth")
    with written_whole(table) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file)
        rows.writerow(("case", "subject", "baseline", "follow_up", "mask", "truth"))
        for one in subjects:
            if one["part"] in parts:
                name = one["name"]
                rows.writerow((name, name, *(f"{cohort.name}/{name}/{part}.nii.gz" for part in files)))


def teacher_from(weights: Path) -> Any:
    """The bundled teacher with other weights."""
    network, info = load_weights(weights)
    teacher = bundled_teacher("cpu", 1)
    return replace(teacher, network=network, made_by={**teacher.made_by, "weights": info.digest}, id="phantoms")


@dataclass(frozen=True)
class TruthOnSlices:
    """What an exact reader says of some slices, as a label source of nnU-Net's data set."""

    study: Study
    chosen: Slices

    def key(self, case: Case) -> str | None:
        """The chosen slices of a case."""
        numbers = sorted(number for name, number in self.chosen if name == case.name)
        return f"truth of {numbers}" if numbers else None

    def labels(self, case: Case) -> CaseLabels:
        """0 and 1 on them, ignored elsewhere."""
        truth = self.study.truths.read(case.name)
        assert truth is not None  # the cohort has one of each
        stack = np.moveaxis(truth, case.axis, 0)
        read = tuple(sorted(number for name, number in self.chosen if name == case.name))
        values = np.full(stack.shape, IGNORE, np.uint8)
        for number in read:
            values[number] = np.where(stack[number] == UNREAD, IGNORE, stack[number] > 0)
        return CaseLabels(values, read=read)


def slices_of(study: Study, arm: str, seed: int) -> Slices:
    """The slices that are read in an arm."""
    if arm.startswith(("core-set", "k-center")):
        sign = spread_core_set.SIGN if arm.startswith("core-set") else 0.0
        with mock.patch.object(spread_core_set, "SIGN", sign):
            found = core_set(study, budget=arm.split()[1], seed=seed, device="cpu")
        return frozenset((query.case, query.slice) for query in found.queries)
    every = [(case.name, number) for case in study.cases.all() for number in range(case.n_slices)]
    if not arm.startswith("random"):
        return frozenset(every)
    share = float(arm.split()[1].rstrip("%")) / 100
    brain = {case.name: study.cases.load_pair(case.name) for case in study.cases.all() if case.split == "train"}
    open_ = [(name, k) for name, k in every if name in brain and brain[name].stack(brain[name].mask)[k].any()]
    drawn = np.random.default_rng([seed, 0x6C6F7473]).permutation(len(open_))[: int(share * len(every))]
    return frozenset(open_[index] for index in drawn)


@dataclass(frozen=True)
class Judge:
    """An ensemble, and by case the fold that may judge it; all folds together judge a case that none of them had."""

    predictor: Predictor
    fold_of: dict[str, int]
    loss: float
    kept: float = 0.0

    def probability(self, case: Case, pair: Pair) -> np.ndarray:
        """Of change, (slices, rows, columns)."""
        by_fold = self.predictor.probabilities(pair)
        fold = self.fold_of.get(case.name)
        return np.asarray(np.mean(by_fold, axis=0) if fold is None else by_fold[fold])


def finetuned(study: Study, chosen: Slices, settings: NnunetSettings, *, pretrained: bool) -> tuple[Judge, Judge]:
    """Stage 5 without the maps of the pool: one training a fold. Returns the folds as they are used, and before they
    went part of the way back to the pretrained weights."""
    work = WorkFolder.finetuning(study.folder)
    dataset = write_dataset(
        study,
        work,
        TruthOnSlices(study, chosen),
        lambda members: fold_splits(members, settings.folds),
        progress=said,
        cancelled=lambda: False,
    )
    common: dict[str, Any] = {"data": "fine", "config": settings.config}
    weights = str(pretrained_weights(study, settings.config)) if pretrained else None
    training = {**common, "do": "train", "of_training": settings.of_training, "weights": weights}
    steps = [{**common, "do": "plan", "size": settings.size, "plans_of": "pre"}]
    steps += [{**training, "fold": fold} for fold in range(len(dataset.splits))]
    request = {"device": settings.device, "workers": settings.workers, "steps": steps}
    _, *trained = run(study.folder, request, progress=said, cancelled=lambda: False)
    fold_of = {
        member.case: fold
        for fold, split in enumerate(dataset.splits)
        for member in dataset.members
        if member.id not in split["train"]
    }
    loss = float(np.mean([one["losses"][-1] for one in trained]))
    folds, start = trained_folds(work, settings.config, len(dataset.splits), Path(weights) if weights else None)
    device, kept = torch.device(settings.device), 0.0
    if start:
        kept = best_kept(study, work, folds, start, device=device, progress=lambda *told, **figures: None)
    used, plain = (Judge(Predictor(mixed(folds, start, k), device), fold_of, loss, k) for k in (kept, 0.0))
    return used, plain


def said(sentence: str, done: int, total: int) -> None:
    """One line on standard error, written over."""
    print(f"\r{sentence[:110]:110}", end="", file=sys.stderr, flush=True)


def figures(probability: np.ndarray, pair: Pair, truth: np.ndarray) -> dict[str, Any]:
    """Dice and lesion counts of one case; ``probability`` (slices, rows, columns)."""
    known, inside = pair.stack(truth), pair.stack(pair.mask)
    where = inside & (known != UNREAD)
    called, true = (probability >= 0.5) & where, (known > 0) & where
    (count,) = lesion_counts(called, true, pair.grid.voxel_ml * 1000, (OVER_MM3,))
    lesions = {name: getattr(count, name) for name in (*_COUNTS, *_MATCHED)}
    return {"dice": dice(called, true), **lesions}


def judge(judged: Study, judging: Judge | None, weights: Path) -> dict[str, Any]:
    """Figures of every case, of the teacher where ``judging`` is None."""
    found = {}
    for case in judged.cases.all():
        pair, truth = judged.cases.load_pair(case.name), judged.truths.read(case.name)
        assert truth is not None  # the cohort and both pairs have one
        if judging is None:
            probability = predict(load_weights(weights)[0], pair, threads=1).mean
        else:
            probability = judging.probability(case, pair)
        found[case.name] = figures(probability, pair, truth)
    return found


def one_arm(study: Study, judged: Study, arm: str, seed: int, settings: NnunetSettings, tuned: NnunetSettings) -> Any:
    """Train what an arm asks for, and judge it."""
    weights = study.folder.parent / "teacher.safetensors"
    if arm == "teacher":
        return {"slices": 0, "cases": judge(judged, None, weights)}
    done = pretrain(study, "phantoms", settings=settings, progress=said)  # of this seed; done before, it is found again
    if arm == "pseudo":
        pretrained, _ = trained_folds(WorkFolder.pretraining(study.folder), settings.config, 1)
        alone = Judge(Predictor(mixed(pretrained, {}, 0.0), torch.device(settings.device)), {}, done.losses[-1])
        return {"slices": 0, "loss": alone.loss, "cases": judge(judged, alone, weights)}
    chosen = slices_of(study, arm, seed)
    scratch = replace(settings, folds=tuned.folds, epochs=settings.epochs + tuned.epochs)
    try:
        used, plain = finetuned(study, chosen, scratch if arm == "scratch" else tuned, pretrained=arm != "scratch")
    except BadInput as refused:  # too few slices for two folds
        return {"slices": len(chosen), "refused": refused.sentence}
    found = {"slices": len(chosen), "loss": plain.loss, "plain": judge(judged, plain, weights)}
    if arm in WHOLE:  # what the others are held against is nnU-Net's own fine-tuning
        return {**found, "kept": 0.0, "cases": found["plain"]}
    return {**found, "kept": used.kept, "cases": judge(judged, used, weights)}


def groups(out: Path, judged: Iterable[str]) -> dict[str, list[str]]:
    """Cases that are judged together, by the words of the table."""
    cohort = json.loads((out / "cohort" / "cohort.json").read_text(encoding="utf-8"))["subjects"]
    parts = {one["name"]: one["part"] for one in cohort}
    named: dict[str, list[str]] = {}
    for case in judged:
        part = parts.get(case)
        named.setdefault(f"synthetic, {part} brain" if part else case, []).append(case)
    return named


def tables(out: Path, rows: Sequence[dict[str, Any]]) -> None:
    """One Markdown table a group: arms, mean over seeds and each of them."""
    for refused in (row for row in rows if "refused" in row):
        print(f"{TOLD[refused['arm']]}, seed {refused['seed']}: {refused['refused']}")
    rows = [row for row in rows if "cases" in row]
    for group, cases in groups(out, rows[0]["cases"]).items():
        print(f"\n**{group}** ({len(cases)} pairs)\n" if len(cases) > 1 else f"\n**{group}**\n")
        print(
            "| | slices | lesion Dice | by seed | of all slices' | F1 by cover | F1 one to one | Dice, nothing kept |"
        )
        print("|---|---:|---:|---|---:|---:|---:|---:|")
        full = mean_dice([row for row in rows if row["arm"] == "all"], cases)
        for arm in ARMS:
            found = [row for row in rows if row["arm"] == arm]
            if found:
                by_seed = [float(np.mean([row["cases"][case]["dice"] for case in cases])) for row in found]
                each = ", ".join(f"{value:.3f}" for value in by_seed)
                share = f"{100 * np.mean(by_seed) / full:.0f} %" if full else ""
                f1, matched = (np.mean([f1_of(row, cases, names) for row in found]) for names in (_COUNTS, _MATCHED))
                plain = [row["plain"][case]["dice"] for row in found for case in cases if "plain" in row]
                without = f"{np.mean(plain):.3f}" if plain and arm not in WHOLE else ""
                told = f"| {TOLD[arm]} | {found[0]['slices']} | {np.mean(by_seed):.3f} | {each} | {share} | {f1:.3f} | "
                told += f"{matched:.3f} |"
                print(f"{told} {without} |")


def mean_dice(rows: Sequence[dict[str, Any]], cases: Sequence[str]) -> float | None:
    """Over seeds and cases; None without rows."""
    return float(np.mean([row["cases"][case]["dice"] for row in rows for case in cases])) if rows else None


def f1_of(row: dict[str, Any], cases: Sequence[str], names: Sequence[str]) -> float:
    """Of all lesions of some cases together, by cover or one to one; 0 where none is hit, NaN where not counted."""
    true, hit, predicted, right = (sum(row["cases"][c].get(name, np.nan) for c in cases) for name in names)
    if not hit or not right:
        return 0.0
    sensitivity, precision = hit / true, right / predicted
    return float(2 * sensitivity * precision / (sensitivity + precision))


_COUNTS = ("true", "hit", "predicted", "right")
_MATCHED = ("true", "matched_true", "predicted", "matched_predicted")


def main() -> None:
    """Whatever is missing, seed by seed; then the tables of what is there."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--pool", choices=("cohort", "real"), default="cohort")
    parser.add_argument("--seeds", type=int, nargs="+", default=(0, 1, 2))
    parser.add_argument("--arms", nargs="+", choices=ARMS, default=ARMS)
    parser.add_argument("--config", default="2d")
    parser.add_argument("--size", default="small")
    parser.add_argument("--epochs", type=int, nargs=2, default=(20, 20), metavar=("PRE", "FINE"))
    parser.add_argument("--iterations", type=int, default=50)
    parser.add_argument("--folds", type=int, default=2)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--workers", type=int, default=0)
    given = parser.parse_args()
    root = open_ms_root()
    if root is None:
        sys.exit("No open-ms scans were found; set LMIAL_DATA to the folder that holds open_ms.")
    given.out.mkdir(parents=True, exist_ok=True)
    prepare(given.out, root)
    same = {name: getattr(given, name) for name in ("config", "size", "iterations", "folds", "device", "workers")}
    file = given.out / ("pipeline.json" if given.pool == "cohort" else "real.json")
    rows = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else []
    pool, judging = ("pool", "judged") if given.pool == "cohort" else ("real", "real")
    os.environ.update(WorkFolder.pretraining(given.out / pool).environment())
    with (
        Study.open(given.out / pool, reader="benchmark") as study,
        Study.open(given.out / judging, read_only=True) as judged,
    ):
        for seed in given.seeds:
            before = NnunetSettings(**same, seed=seed, epochs=given.epochs[0])
            after = NnunetSettings(**same, seed=seed, epochs=given.epochs[1], learning_rate=FINETUNING_RATE)
            for arm in given.arms:
                about = {"arm": arm, "seed": seed, "settings": [before.to_dict(), after.to_dict()]}
                if any(about.items() <= row.items() for row in rows) or (arm == "teacher" and seed):
                    continue
                rows.append({**about, **one_arm(study, judged, arm, seed, before, after)})
                with written_whole(file) as temporary:
                    temporary.write_text(json.dumps(rows, indent=1), encoding="utf-8")
                print(f"\r{arm}, seed {seed}", file=sys.stderr)
    tables(given.out, rows)


if __name__ == "__main__":
    main()
