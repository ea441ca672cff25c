"""The folds of a training, and their combined prediction of every case of a study."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch

from LMIALLib.json_data import Natural, read_json, shaped
from LMIALLib.network.combined_predictions import CombinedMaps
from LMIALLib.network.device import library_versions, processor_name
from LMIALLib.pairs.pair import Pair
from LMIALLib.pairs.storage import read_nrrd
from LMIALLib.pipeline.nnunet.dataset import channels
from LMIALLib.pipeline.nnunet.digests import check
from LMIALLib.pipeline.nnunet.ensemble_file import Ensemble, about_from, read_ensemble
from LMIALLib.pipeline.nnunet.labels import IGNORE
from LMIALLib.pipeline.nnunet.places import ENSEMBLE, FINAL, PLANS, SPLITS, WorkFolder, read_record
from LMIALLib.pipeline.nnunet.trainer import LMIALTrainer
from LMIALLib.pipeline.pseudo import read_pseudo
from LMIALLib.progress import Progress
from LMIALLib.study.maps import STORED_MAPS
from LMIALLib.study.store import Study


def trained_folds(
    work: WorkFolder, config: str, folds: int, start: Path | None = None
) -> tuple[Ensemble, dict[str, Any]]:
    """The final weights of all folds, and those that they started from (empty without ``start``)."""
    states, same, mirrored = [], {}, None
    for fold in range(folds):
        stored = _checkpoint(work, work.fold(config, fold) / FINAL)
        first: dict[tuple[int, torch.Size], str] = {}  # the decoder names the encoder's tensors a second time
        for name, value in stored["network_weights"].items():
            known = first.setdefault((value.data_ptr(), value.shape), name)
            if known != name:
                same[name] = known
        states.append({name: stored["network_weights"][name] for name in first.values()})
        mirrored = stored["inference_allowed_mirroring_axes"]
    read = {name: read_json(work.preprocessed / file, Any) for name, file in _ABOUT.items()}
    described = {**read, "config": config, "mirrored": list(mirrored or ()), "same": same}
    about = about_from(described, str(work.preprocessed))
    return Ensemble(tuple(states), about), _checkpoint(work, start)["network_weights"] if start else {}


def _checkpoint(work: WorkFolder, file: Path) -> dict[str, Any]:
    check(work.root, [file])
    return dict(torch.load(file, map_location="cpu", weights_only=True))


def mixed(ensemble: Ensemble, start: dict[str, torch.Tensor], kept: float) -> Ensemble:
    """Every network the share ``kept`` of the way back to what it started from, in a straight line (Wortsman et al.,
    arXiv 2109.01903, "WiSE-FT"); all names of its tensors."""
    folds = []
    for state in ensemble.folds:
        ours = {
            name: torch.lerp(value, start[name], kept) if kept and value.is_floating_point() else value
            for name, value in state.items()
        }
        folds.append({**ours, **{name: ours[known] for name, known in ensemble.about["same"].items()}})
    return Ensemble(tuple(folds), {**ensemble.about, "kept": kept})


_ABOUT = {"plans": f"{PLANS}.json", "dataset": "dataset.json", "splits": SPLITS}


class Predictor:
    """Predicts with each network of an ensemble, as nnU-Net does: sliding window, mirrored."""

    def __init__(self, ensemble: Ensemble, device: torch.device) -> None:
        from nnunetv2.inference.predict_from_raw_data import nnUNetPredictor
        from nnunetv2.utilities.plans_handling.plans_handler import PlansManager

        about, self._folds = ensemble.about, ensemble.folds
        plans = PlansManager(about["plans"])
        configuration = plans.get_configuration(about["config"])
        heads = plans.get_label_manager(about["dataset"]).num_segmentation_heads
        inputs = len(about["dataset"]["channel_names"])
        network = LMIALTrainer.build_network_architecture(plans, configuration, inputs, heads, False)
        self._predictor = nnUNetPredictor(device=device, allow_tqdm=False)
        self._predictor.manual_initialization(
            network, plans, configuration, None, about["dataset"], LMIALTrainer.__name__, tuple(about["mirrored"])
        )

    def probabilities(self, pair: Pair) -> Sequence[np.ndarray]:
        """Probability of change by each network, float32 (slices, rows, columns), 0 outside the brain region."""
        inside = pair.stack(pair.mask)
        return [np.where(inside, found, 0.0).astype(np.float32) for found in self.by_fold(channels(pair), pair)]

    def by_fold(self, image: np.ndarray, pair: Pair) -> list[np.ndarray]:
        """The same of an image with the spacing of a pair, (channels, slices, rows, columns), outside the brain too."""
        spacing = [pair.slice_spacing, *pair.in_plane_spacing]
        found = []
        for weights in self._folds:
            self._predictor.list_of_parameters = [weights]
            _, by_class = self._predictor.predict_single_npy_array(image, {"spacing": spacing}, None, None, True)
            found.append(by_class[1])
        return found


def best_kept(
    study: Study,
    work: WorkFolder,
    trained: Ensemble,
    start: dict[str, torch.Tensor],
    *,
    device: torch.device,
    progress: Progress,
) -> float:
    """How much of the pretrained weights to keep: the share of ``KEPT`` with the best Dice on read slices of the
    subjects that a fold never saw; of equal ones the largest.

    A few slices make a network forget what it learned from many pseudo-labels, many slices do not.
    """
    record = read_record(work.raw)
    assert record is not None  # written with the data set
    splits, flat = trained.about["splits"], trained.about["config"] == "2d"
    judging = [(fold, one) for one in record["cases"] if (fold := _held_out_by(one, splits)) is not None]
    counts, done = np.zeros((len(KEPT), 3)), 0
    for fold, state in enumerate(trained.folds):
        alone = Ensemble((state,), trained.about)
        shares = tuple(mixed(alone, start, kept).folds[0] for kept in KEPT)
        predictor = Predictor(Ensemble(shares, trained.about), device)
        for one in (one for by, one in judging if by == fold):
            progress("keep", done, len(judging), case=one["case"])
            done += 1
            pair, read = study.cases.load_pair(one["case"]), one["read"]
            inside = pair.stack(pair.mask)[read]
            if not inside.any():
                continue  # nothing is predicted there, whatever is kept
            labels = read_nrrd(work.raw / "labelsTr" / f"{one['id']}.nrrd")[0][read]
            image = channels(pair)
            for share, found in enumerate(predictor.by_fold(image[:, read] if flat else image, pair)):
                counts[share] += _counts(np.where(inside, found if flat else found[read], 0.0), labels)
    best = max(range(len(KEPT)), key=lambda share: (_dice(counts[share]) or 0.0, KEPT[share]))
    return KEPT[best]


_Judge = Literal["folds", "teacher", "beside"]
_Three = tuple[Natural, Natural, Natural]
KEPT = (0.0, 0.25, 0.5, 0.75)
"""Shares of the pretrained weights that are tried."""


def predict(
    study_folder: Path,
    work: WorkFolder,
    model: str,
    *,
    teacher: str | None,
    device: torch.device,
    progress: Progress,
) -> dict[str, Any]:
    """Write the maps of an ensemble for every case, and judge each fold on the read slices that it never saw.

    The maps: ``mean``, and over the folds ``expected_entropy``, ``variance`` and ``vote_entropy``, as every uncertainty
    takes them. Cases that have them already are left alone.

    Args:
        model: the id that the ensemble will have in the study.
        teacher: whose pseudo-labels are judged on the same slices, or None.

    Returns Dice on read slices of held-out subjects, of the folds and of the teacher; None where nothing was marked.
    """
    check(work.root, [work.root / ENSEMBLE])
    ensemble = read_ensemble(work.root / ENSEMBLE)
    predictor = Predictor(ensemble, device)
    record = read_record(work.raw)
    assert record is not None  # its writer says so
    by_name = {one["case"]: one for one in record["cases"]}
    held_out = {name: np.zeros(3) for name in ("folds", "teacher", "beside")}
    with Study.open(study_folder, read_only=True) as study:
        cases = study.cases.all()
        for number, case in enumerate(cases):
            progress("predict", number, len(cases), case=case.name)
            known = study.maps.made_by(model, case.name)
            if known is not None and study.maps.has(model, case.name, STORED_MAPS):
                _add(
                    held_out, shaped(known.get("held_out"), dict[_Judge, _Three], f"the maps of {case.name}: held_out")
                )
                continue
            pair = study.cases.load_pair(case.name)
            sums, judged = CombinedMaps(pair.stack(pair.mask)), {}
            if pair.mask.any():
                probabilities = predictor.probabilities(pair)
                for probability in probabilities:
                    sums.add(probability)
                judged = _judged(study, work, by_name.get(case.name), ensemble.about["splits"], probabilities, teacher)
            maps = {name: pair.unstack(getattr(sums, name)) for name in STORED_MAPS}
            study.maps.write(model, case.name, maps, {**_conditions(ensemble, device), "held_out": judged})
            _add(held_out, judged)
    return {
        "dice_held_out": _dice(held_out["folds"]),
        "dice_teacher": _dice(held_out["teacher"]),
        "dice_beside": _dice(held_out["beside"]),
    }


def _judged(
    study: Study,
    work: WorkFolder,
    member: dict[str, Any] | None,
    splits: Sequence[dict[str, list[str]]],
    probabilities: Sequence[np.ndarray],
    teacher: str | None,
) -> dict[str, list[int]]:
    """Overlap, predicted and marked pixels on the read slices of a case that a fold (the first) did not learn from."""
    fold = _held_out_by(member, splits)
    if member is None or fold is None:
        return {}
    read = member["read"]
    labels = read_nrrd(work.raw / "labelsTr" / f"{member['id']}.nrrd")[0][read]
    pseudo = read_pseudo(study, teacher, member["case"]) if teacher else None
    found = {"folds": _counts(probabilities[fold][read], labels)}
    if pseudo is not None:
        labelled = pseudo.done[read]  # a slice on which a teacher failed has no pseudo-label, which is not "no change"
        stack = np.moveaxis(pseudo.probability, study.cases.get(member["case"]).axis, 0)[read]
        found["teacher"] = _counts(stack[labelled], labels[labelled])
        found["beside"] = _counts(probabilities[fold][read][labelled], labels[labelled])
    return found


def _held_out_by(member: dict[str, Any] | None, splits: Sequence[dict[str, list[str]]]) -> int | None:
    """The first fold that did not learn from a case; None where there is none, or nothing of the case was read."""
    if member is None or not member["read"]:
        return None
    return next((fold for fold, split in enumerate(splits) if member["id"] not in split["train"]), None)


def _counts(probability: np.ndarray, labels: np.ndarray) -> list[int]:
    predicted, marked = (probability >= 0.5) & (labels != IGNORE), labels == 1
    return [int((predicted & marked).sum()), int(predicted.sum()), int(marked.sum())]


def _add(held_out: dict[str, np.ndarray], judged: Mapping[Any, Sequence[int]]) -> None:
    for name, counts in judged.items():
        held_out[name] += counts


def _dice(counts: np.ndarray) -> float | None:
    overlap, predicted, marked = counts
    return float(2 * overlap / (predicted + marked)) if marked else None


def _conditions(ensemble: Ensemble, device: torch.device) -> dict[str, Any]:
    """Everything that must be the same for the same bits, as `network.prediction` records it."""
    import importlib.metadata

    return {
        "device": str(device),
        "dtype": "float32",
        "threads": torch.get_num_threads(),
        "batch": 1,
        "passes": len(ensemble.folds),
        "seed": 0,
        "cpu": processor_name(),
        "versions": {**library_versions(), "nnunetv2": importlib.metadata.version("nnunetv2")},
        "notes": [],
    }
