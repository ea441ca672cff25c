"""What weights see on the first day, before any annotation: the evidence tables of the model card.

    python Testing/Benchmarks/first_day.py --weights patient01=FILE patient12=FILE [--pictures FOLDER]
    python Testing/Benchmarks/first_day.py --synthetic COHORT --weights FILE

The first form judges real pairs of open-ms (LMIAL_DATA, by default ../shared/data), each with weights whose header
names that patient as excluded; others are refused. Each raw pair is registered, scaled and given a brain region by
LMIAL itself; truth comes to the follow-up's raw grid by nearest neighbour with the supplied transform. The second form
gives the same figures for whole synthetic volumes, COHORT/<subject>/{baseline,follow_up,truth}.nii.gz.

Figures stand pair by pair, never as a mean. False change is what is reported between two synthetic protocols of one
scan. Prints Markdown tables and writes everything as JSON.
"""

from __future__ import annotations

import argparse
import json
import math
import platform
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from case_figures import case_figures
from evidence_pictures import failures, reliability_and_risk, save_small_png
from false_change import PROTOCOLS, rescanned

from LMIALLib.datasets.open_ms_patient import open_ms_pair, open_ms_root
from LMIALLib.errors import BadInput, LMIALError, WrongUse
from LMIALLib.laboratory.unseen import LONGITUDINAL, named_weights, unseen_weights
from LMIALLib.pairs.prepare import prepare
from LMIALLib.pairs.reading import read_volume
from LMIALLib.pairs.request import PairRequest
from LMIALLib.queries.strategies import DEFAULT_TO_TRAIN, STRATEGIES

if TYPE_CHECKING:
    from LMIALLib.network.architecture import ChangeNetwork
    from LMIALLib.network.predicted import Prediction
    from LMIALLib.pairs.pair import Pair


@dataclass(frozen=True)
class Case:
    """A pair that is judged: its files, its truth (bool, (k, j, i) on the follow-up's raw grid), and with what."""

    name: str
    baseline: Path
    follow_up: Path
    truth: np.ndarray
    weights: Path


def real_cases(weights: dict[str, Path]) -> Iterator[Case]:
    """The named patients. Nothing is opened before all weights were found not to have seen their patient."""
    for patient, path in weights.items():
        unseen_weights(path, patient)
    root = open_ms_root()
    if root is None:
        raise BadInput("No open-ms scans were found.", "Set LMIAL_DATA to the folder that holds open_ms.")
    for patient, path in weights.items():
        pair = open_ms_pair(root / LONGITUDINAL / patient)
        truth = pair.truth_on(read_volume(pair.follow_up).image)
        yield Case(patient, pair.baseline, pair.follow_up, truth, path)


def synthetic_cases(cohort: Path, weights: Path) -> Iterator[Case]:
    """Every subject of a folder that ``lmial cohort make`` wrote."""
    import SimpleITK as sitk

    folders = sorted(path.parent for path in cohort.glob("*/truth.nii.gz"))
    if not folders:
        raise BadInput(f"{cohort}: there is no subject with a truth.nii.gz.", "Make some: lmial cohort make OUT")
    for folder in folders:
        truth = sitk.GetArrayFromImage(sitk.ReadImage(str(folder / "truth.nii.gz"))) > 0
        yield Case(folder.name, folder / "baseline.nii.gz", folder / "follow_up.nii.gz", truth, weights)


def prepared(baseline: Path, follow_up: Path) -> Pair:
    """A pair as LMIAL makes it from raw files. Two protocols of one scan are two scans here, hence the force."""
    with tempfile.TemporaryDirectory() as work:
        return prepare(PairRequest(baseline=baseline, follow_up=follow_up, force=True), Path(work))


def predicted(network: ChangeNetwork, pair: Pair) -> Prediction:
    """One pass, or several where the default strategy needs them."""
    from LMIALLib.network.prediction import predict
    from LMIALLib.worker.jobs import PASSES

    return predict(network, pair, passes=PASSES if "passes" in STRATEGIES[DEFAULT_TO_TRAIN].needs else 1)


def judge(case: Case, *, with_false_change: bool, pictures: Path | None) -> dict[str, Any]:
    """All figures of one case; its worst slices become a picture."""
    from LMIALLib.network.predicted import case_maps
    from LMIALLib.network.weights import load_weights

    network, info = load_weights(case.weights)
    began = time.perf_counter()
    pair = prepared(case.baseline, case.follow_up)
    ready = time.perf_counter()
    prediction = predicted(network, pair)
    done = time.perf_counter()
    if case.truth.shape != pair.grid.shape:
        raise BadInput(f"{case.name}: the truth has shape {case.truth.shape}, the follow-up {pair.grid.shape}.")
    truth = pair.stack(case.truth)
    found = case_figures(case_maps(case.name, pair, prediction), truth, 1000 * pair.grid.voxel_ml)
    if pictures is not None:
        save_small_png(failures(pair, prediction.mean, truth), pictures / f"failures-{case.name}.png")
    false = {}
    if with_false_change:
        for visit, path in (("baseline", case.baseline), ("follow-up", case.follow_up)):
            false[visit] = false_change(network, path)
    return {
        "weights": {"file": case.weights.name, "digest": info.digest, "excluded": info.provenance.get("excluded")},
        "registration": pair.registration,
        "grid": pair.grid.to_dict(),
        "brain_ml": float(pair.mask.sum() * pair.grid.voxel_ml),
        "prepare_seconds": ready - began,
        "predict_seconds": done - ready,
        **found,
        "false_change": false,
    }


def false_change(network: ChangeNetwork, scan: Path) -> dict[str, float]:
    """Change reported between two synthetic protocols of one scan, after LMIAL's own registration, in ml."""
    import SimpleITK as sitk

    image = read_volume(scan).image
    with tempfile.TemporaryDirectory() as work:
        files = [Path(work) / f"{name}.nii.gz" for name in ("baseline", "follow_up")]
        for seed, (file, protocol) in enumerate(zip(files, PROTOCOLS, strict=True)):
            sitk.WriteImage(rescanned(image, protocol, seed), str(file))
        pair = prepared(*files)
    mean = predicted(network, pair).mean
    return {
        "reported_ml": float((mean >= 0.5).sum() * pair.grid.voxel_ml),
        "expected_ml": float(mean.sum(dtype=np.float64) * pair.grid.voxel_ml),
        "brain_ml": float(pair.mask.sum() * pair.grid.voxel_ml),
    }


def tables(cases: dict[str, dict[str, Any]]) -> str:
    """Everything as Markdown tables."""
    return "\n\n".join(part(cases) for part in (voxel_table, lesion_table, ranking_table, false_change_table))


def voxel_table(cases: dict[str, dict[str, Any]]) -> str:
    """Voxel by voxel, beside subtraction with its threshold in hindsight."""
    head = (
        "pair",
        "changed, ml",
        "marked, ml",
        "Dice",
        "Dice, all voxels",
        "average precision",
        "calibration error",
        "sum of p / changed",
        "subtraction: Dice in hindsight",
        "average precision",
    )
    return markdown(
        head,
        [
            (
                name,
                f"{c['truth_ml']:.2f}",
                f"{c['predicted_ml']:.2f}",
                *(shown(c[key]) for key in ("dice", "dice_all_voxels", "average_precision", "calibration_error")),
                f"{c['probability_ratio']:.2f}",
                shown(c["subtraction"]["dice_in_hindsight"]),
                shown(c["subtraction"]["average_precision"]),
            )
            for name, c in cases.items()
        ],
    )


def lesion_table(cases: dict[str, dict[str, Any]]) -> str:
    """Lesion by lesion, for each smallest volume."""
    return markdown(
        (
            "pair",
            "lesions",
            "true",
            "hit",
            "sensitivity",
            "predicted",
            "right",
            "precision",
            "F1 by cover",
            "F1 one to one",
        ),
        [
            (
                name,
                f"over {row['over_mm3']:.0f} mm³" if row["over_mm3"] else "all",
                *(str(row[key]) for key in ("true", "hit")),
                shown(row["sensitivity"]),
                *(str(row[key]) for key in ("predicted", "right")),
                *(shown(row[key]) for key in ("precision", "f1", "matched_f1")),
            )
            for name, c in cases.items()
            for row in c["lesions"]
        ],
    )


def ranking_table(cases: dict[str, dict[str, Any]]) -> str:
    """Slice by slice: how well scores tell where the prediction is wrong."""
    rows = []
    for name, case in cases.items():
        ranking = case["ranking"]
        for score in ("entropy", "default", "area", "soft_area", "difference"):
            word = f"{DEFAULT_TO_TRAIN} (default)" if score == "default" else score.replace("_", " ")
            partial = [ranking["partial"].get(f"{score} given {area}", math.nan) for area in ("area", "soft_area")]
            under = f"{ranking['risk_area'][score]:.1f}"
            rows.append((name, word, shown(ranking["spearman"][score]), *map(shown, partial), under))
        rows.append((name, "oracle", "1", "-", "-", f"{ranking['risk_area']['oracle']:.1f}"))
        rows.append((name, "chance", "0", "-", "-", f"{ranking['mean_error']:.1f}"))
        own = case["subtraction"]["spearman_area"]
        rows.append((name, "subtraction's area with its own error", shown(own), "-", "-", "-"))
    head = ("pair", "score", "Spearman with wrong voxels", "given area", "given soft area", "area under risk-coverage")
    return markdown(head, rows)


def false_change_table(cases: dict[str, dict[str, Any]]) -> str:
    """What is reported between two protocols of one scan."""
    rows = [
        (name, visit, f"{found['reported_ml']:.3f}", f"{found['expected_ml']:.3f}")
        for name, case in cases.items()
        for visit, found in case["false_change"].items()
    ]
    return markdown(("pair", "scan", "false change, ml", "sum of p, ml"), rows) if rows else "False change: not asked."


def markdown(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table."""
    return "\n".join("| " + " | ".join(row) + " |" for row in (head, ["---"] * len(head), *rows))


def shown(value: float) -> str:
    """Three decimals, or a dash where there is no such figure."""
    return "-" if math.isnan(value) else f"{value:.3f}"


def plain(value: Any) -> Any:
    """For JSON, which knows no NaN."""
    if isinstance(value, dict):
        return {key: plain(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [plain(part) for part in value]
    return None if isinstance(value, float) and math.isnan(value) else value


def chosen_cases(weights: Sequence[str], cohort: Path | None) -> Iterator[Case]:
    """The cases that the command line asks for. Raises WrongUse where its options do not fit each other."""
    if cohort is None:
        return real_cases(named_weights(weights))
    if len(weights) != 1:
        raise WrongUse("Synthetic pairs are judged with one weights file.", "--synthetic COHORT --weights FILE")
    return synthetic_cases(cohort, Path(weights[0]))


def main() -> None:
    """Run, print and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--weights", nargs="+", required=True, metavar="PATIENT=FILE")
    parser.add_argument("--synthetic", type=Path, metavar="COHORT", help="judge synthetic pairs; --weights FILE")
    parser.add_argument("--json", type=Path, default=Path("bench") / "first_day.json", metavar="FILE")
    parser.add_argument("--pictures", type=Path, metavar="FOLDER", help="also draw reliability, risk and worst slices")
    parser.add_argument("--no-false-change", action="store_true", help="leave that part out; it registers each scan")
    arguments = parser.parse_args()
    for folder in (arguments.json.parent, arguments.pictures):
        if folder is not None:
            folder.mkdir(parents=True, exist_ok=True)
    found: dict[str, dict[str, Any]] = {}
    try:
        for case in chosen_cases(arguments.weights, arguments.synthetic):
            found[case.name] = judge(case, with_false_change=not arguments.no_false_change, pictures=arguments.pictures)
            print(f"{case.name}: Dice {found[case.name]['dice']:.3f}", file=sys.stderr, flush=True)
    except LMIALError as error:
        sys.exit(str(error))
    print(tables(found))
    if arguments.pictures is not None:
        save_small_png(reliability_and_risk(found), arguments.pictures / "reliability-and-risk.png")
    document = {
        "command": sys.argv[1:],
        "python": platform.python_version(),
        "finished": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "protocols": [asdict(protocol) for protocol in PROTOCOLS],
        "cases": found,
    }
    arguments.json.write_text(json.dumps(plain(document), indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
