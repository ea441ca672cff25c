"""Everything that query strategies need of the network, case by case, as plain arrays for the queries room."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from LMIALLib.errors import WrongUse
from LMIALLib.network.architecture import ChangeNetwork
from LMIALLib.network.change_model import ChangeModel
from LMIALLib.network.combined_predictions import committee, seen_in_views
from LMIALLib.network.device import reproducible
from LMIALLib.network.learned_scores import predicted_loss, slice_losses, unlike_read
from LMIALLib.network.predicted import CaseInput, Prediction, case_maps, checked_prediction
from LMIALLib.network.unet import as_model
from LMIALLib.pairs.pair import Pair
from LMIALLib.progress import Progress, ignore
from LMIALLib.queries.measures import binary_entropy
from LMIALLib.queries.pool import CaseMaps
from LMIALLib.queries.reading_time import ReadingTime, outline_mm

SOURCES = frozenset({"passes", "members", "views"})
"""Where several predictions come from: stochastic passes, a committee, views of the slice."""
LEARNED = frozenset({"loss-prediction", "discriminator"})
NEEDS = SOURCES | LEARNED | {"features", "gradients", "expected-dice", "seconds"}
"""All that a strategy may need."""


def case_evidence(  # half of it says what the arguments mean
    networks: Sequence[ChangeNetwork | ChangeModel],
    cases: Sequence[CaseInput],
    needs: Collection[str],
    *,
    passes: int = 10,
    seed: int = 0,
    device: str = "cpu",
    dtype: str = "float32",
    batch: int = 8,
    threads: int | None = None,
    reading_time: ReadingTime | None = None,
    progress: Progress = ignore,
) -> Iterator[tuple[CaseMaps, Prediction]]:
    """What the network predicts for each case, in the order given, as far as a strategy needs it.

    Args:
        networks: the model in use, then earlier snapshots, newest first.
        cases: one at a time is held here; a sequence that loads each when it is needed keeps memory small. It is
            gone through twice where a learned score needs the whole pool.
        needs: names of `NEEDS`; features always come. "passes", "members" (all networks) and "views" name what mean,
            expected entropy and variance are taken over, one of them at most; "members" gives vote entropy as well.
            "expected-dice" goes with passes. "gradients": see `slice_terms.gradient_embeddings`. "loss-prediction"
            and "discriminator", one at most, fill ``learned``, see `learned_scores`; where fewer than 4 slices were
            answered the entropy added up over the brain replaces it, which the conditions record. "seconds": predicted
            reading time, from the outline of what is predicted.
        passes: stochastic passes, where those are needed.
        seed: of passes and learned scores.
        device, dtype, batch, threads, progress: as in `prediction.predict`.
        reading_time: of the reader; None for the constants.

    Features, gradients and losses are those of the model in use. Same inputs give the same bits on a CPU, and what a
    case gets does not depend on the order of the cases. Raises WrongUse for needs that are unknown or exclude each
    other, a committee of one, no network, and as `predict` does.
    """
    models = [as_model(network) for network in networks]
    needed = _checked(needs, models)
    options: dict[str, Any] = {"device": device, "dtype": dtype, "batch": batch, "threads": threads}
    stochastic: dict[str, Any] = {"passes": passes if "passes" in needed else 1, "seed": seed}
    learned: dict[str, np.ndarray] = {}
    learned_by: dict[str, str] = {}
    for name in needed & LEARNED:  # one at most
        learned = _learned(models[0], cases, name, seed, options, progress)
        learned_by = {"learned": name if learned else f"entropy: too little was answered for {name}"}

    def single(model: ChangeModel, pair: Pair) -> Prediction:
        return checked_prediction(model.predict(pair, seed=seed, progress=progress, **options), pair)

    for case in cases:
        votes, more = None, dict[str, Any]()
        if "members" in needed:
            prediction, votes = committee(models, case.pair, single)
        elif "views" in needed:
            prediction = seen_in_views(models[0], case.pair, single)
        else:
            prediction = models[0].predict(case.pair, progress=progress, **stochastic, **options)
            checked_prediction(prediction, case.pair)
        if learned_by:
            prediction = replace(prediction, conditions={**prediction.conditions, **learned_by})
            more["learned"] = learned[case.name] if learned else _entropy(prediction, case.pair)
        if "expected-dice" in needed:
            more["expected_dice"] = models[0].numbers("expected-dice", case.pair, **stochastic, **options)
        if "gradients" in needed:
            more["gradients"] = models[0].numbers("gradients", case.pair, **options)
        if "seconds" in needed:
            outline = outline_mm(prediction.mean >= 0.5, case.pair.in_plane_spacing)
            predicted = (reading_time or ReadingTime()).seconds(outline)
            more["seconds"] = predicted if case.seconds is None else case.seconds
        maps = case_maps(case.name, case.pair, prediction, answered=case.answers, skipped=case.skipped)
        yield replace(maps, vote_entropy=votes, **more), prediction


def _checked(needs: Collection[str], models: Sequence[ChangeModel]) -> frozenset[str]:
    """The needs, once they make sense together."""
    needed = frozenset(needs)
    if not models:
        raise WrongUse("There is no model to rank with.")
    if unknown := sorted(needed - NEEDS):
        raise WrongUse(f"A strategy needs {unknown[0]!r}, which is unknown.", f"Known are {', '.join(sorted(NEEDS))}.")
    for group in (SOURCES, LEARNED):
        if len(both := sorted(needed & group)) > 1:
            raise WrongUse(f"A strategy needs {' and '.join(both)} at once; only one of them can be given.")
    if lacking := sorted((needed & {"expected-dice", "gradients"}) - models[0].gives):
        raise WrongUse(f"This model cannot give {lacking[0]}, which the strategy needs.", "Take another strategy.")
    if "expected-dice" in needed and "passes" not in needed:
        raise WrongUse("Expected Dice is taken over stochastic passes; a strategy that needs it needs passes as well.")
    return needed


def _learned(
    model: ChangeModel,
    cases: Sequence[CaseInput],
    name: str,
    seed: int,
    options: dict[str, Any],
    progress: Progress,
) -> dict[str, np.ndarray]:
    """Case to learned score (n,) float32, 0 for slices without brain; empty where too little was answered."""
    found = []
    for case in cases:
        prediction = model.predict(case.pair, progress=progress, **options)
        mask = case.pair.stack(case.pair.mask)
        brain = np.flatnonzero(mask.any(axis=(1, 2)))
        losses = slice_losses(prediction.mean, mask, case.answers)[brain]
        read = np.isin(brain, list(case.answers))
        found.append((case.name, len(mask), brain, prediction.features[brain], losses, read))
    if not found:
        return {}
    found.sort(key=lambda one: one[0])
    features, losses, read = (np.concatenate([one[part] for one in found]) for part in (3, 4, 5))
    with reproducible(options["threads"]):
        if name == "loss-prediction":
            scores = predicted_loss(features, losses, seed)
        else:
            scores = unlike_read(features, read, seed)
    if scores is None:
        return {}
    result = {}
    for case_name, count, brain, *_ in found:
        result[case_name] = np.zeros(count, np.float32)
        result[case_name][brain], scores = np.split(scores, [len(brain)])
    return result


def _entropy(prediction: Prediction, pair: Pair) -> np.ndarray:
    """Entropy of each slice, added up over its brain region, nats, float32 (n,)."""
    mask, known = pair.stack(pair.mask), prediction.entropy
    entropy = binary_entropy(prediction.mean) if known is None else known
    return np.array([h[inside].sum(dtype=np.float64) for h, inside in zip(entropy, mask, strict=True)], np.float32)
