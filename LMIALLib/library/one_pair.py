"""One pair in ten lines, in this process and without a study folder: prepare, predict, rank, adapt, fine-tune.

`rank`, `adapt` and `label_file.export` take the same three: a pair, what a network predicts of it, and the answers so
far. Nothing is kept on disk but what `finetune` and `export` write; who wants every answer kept works with `Study` and
`Session`. The examples follow one another; Docs/library.md explains them together.
"""

from __future__ import annotations

import os
import weakref
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from LMIALLib.adaptation.answers import SliceAnswer, gathered
from LMIALLib.adaptation.features import features_of
from LMIALLib.adaptation.inputs import inputs_of
from LMIALLib.adaptation.patient import Course, Learnt
from LMIALLib.adaptation.ranking import rank_patient
from LMIALLib.errors import WrongUse
from LMIALLib.network.predicted import Prediction, case_maps, checked_prediction
from LMIALLib.pairs.pair import Pair
from LMIALLib.pairs.prepare import made
from LMIALLib.pairs.request import PairRequest
from LMIALLib.progress import Progress, ignore
from LMIALLib.queries import ranking as queries
from LMIALLib.queries.query import Ranking
from LMIALLib.queries.strategies import DEFAULT
from LMIALLib.queries.strategies import strategy as strategy_named
from LMIALLib.resources import resource

if TYPE_CHECKING:
    from LMIALLib.network.report import FinetuneReport

File = str | os.PathLike[str]
PASSES = 10
"""Stochastic passes of a prediction (T of the published comparisons)."""
CASE = "pair"
"""What a ranking calls its only case."""


def prepare(
    baseline: File,
    follow_up: File,
    *,
    mask: File | None = None,
    everything: bool = False,
    register: bool = True,
    axis: str | None = None,
    force: bool = False,
    progress: Progress = ignore,
) -> Pair:
    """Read two scans of one patient, align them, and scale both to one range of intensities.

    Args:
        baseline, follow_up: the earlier and the later scan: NIfTI, NRRD or MetaImage files, or folders of one DICOM
            series each.
        mask: file of the region that is searched, on the follow-up's grid; None: the brain is found.
        everything: search the whole volume instead of a region.
        register: False trusts the positions in the headers.
        axis: of the slices: "axial", "coronal" or "sagittal"; None: the axis of the thickest slices.
        force: go on where the input is probably a mistake, such as the same scan twice.
        progress: called as (what is done, steps done, steps in all).

    Returns the pair on the follow-up's grid, arrays (k, j, i): intensities with a median of 0 and a robust spread of 1
    in the region.

    Raises BadInput for what cannot be read or does not belong together, NeedsConfirmation (not with ``force``) and
    NeedsAlignment, which are BadInput too, and WrongUse for options that do not go together.

    Example:
        >>> pair = prepare("baseline.nii.gz", "follow_up.nii.gz")
        >>> pair.baseline.shape == pair.follow_up.shape == pair.mask.shape
        True
    """
    request = PairRequest(
        baseline=Path(baseline),
        follow_up=Path(follow_up),
        mask=None if mask is None else Path(mask),
        everything=everything,
        register=register,
        axis=axis,
        force=force,
    )
    return made(request, progress=progress)[0]


def predict(
    pair: Pair,
    *,
    weights: File | None = None,
    passes: int = PASSES,
    seed: int = 0,
    device: str = "cpu",
    progress: Progress = ignore,
) -> Prediction:
    """Predict the probability of change at every voxel of a pair, and its uncertainty.

    Args:
        pair: see `prepare`.
        weights: a weights file of LMIAL (.safetensors); None: the bundled network.
        passes: 1 for one pass without dropout; more for Monte Carlo dropout (Gal and Ghahramani, arXiv 1506.02142),
            which gives variance and expected entropy as well.
        seed: of dropout; the same seed on the same machine gives the same bits.
        device: "cpu", "cuda" or "auto".
        progress: called as ("predict", slices done, slices in all).

    Returns stacks (slices, rows, columns): probabilities in [0, 1], entropies in nats, 0 outside the region. A stack
    becomes a volume (k, j, i) with ``pair.unstack``.

    Raises BadInput for weights that cannot be used, WrongUse for an unknown device or fewer than one pass.

    Example:
        >>> prediction = predict(pair, passes=2)
        >>> prediction.mean.shape == (pair.n_slices, *pair.slice_shape)
        True
        >>> bool((prediction.mean >= 0).all() and (prediction.mean <= 1).all())
        True
    """
    from LMIALLib.network.families import load_model

    model = load_model(_weights(weights))
    found = model.predict(pair, passes=passes, seed=seed, device=device, progress=progress)
    made_by = {**found.conditions, "model_digest": model.digest}
    return checked_prediction(replace(found, conditions=made_by), pair)


def rank(
    pair: Pair,
    prediction: Prediction,
    answers: Sequence[SliceAnswer] = (),
    *,
    strategy: str = DEFAULT,
    seed: int = 0,
    random_share: float = 1 / 6,
    count: int | None = None,
) -> Ranking:
    """Order the slices that nobody read, the one that is worth most to a reader first.

    Args:
        pair: see `prepare`.
        prediction: of this pair, see `predict`.
        answers: of this pair, in the order in which they were given.
        strategy: a name of Docs/strategies.md, which holds the formulas and their sources. Those that finish a patient,
            the default among them, rank the maps of the per-patient head; all others the network's own.
        seed: of everything that is chosen at random.
        random_share: share of queries that are chosen at random, for an honest measurement; 0 for none.
        count: how many queries; None: all slices.

    Returns the queries, best first, each with its slice (0-based), the row and column to look at, and the reason.

    Raises WrongUse for an unknown strategy, and for one that needs more than this prediction holds: several passes, or
    what only the cases of a `Study` have (a committee, gradients, reading times). ValueError for an answer that does
    not fit the pair.

    Example:
        >>> ranking = rank(pair, prediction, random_share=0)
        >>> query = ranking.queries[0]
        >>> query.rank, query.drawn
        (1, 'strategy')
        >>> 0 <= query.slice < pair.n_slices
        True
    """
    chosen, read = strategy_named(strategy), gathered(answers).read
    if chosen.purpose == "finish":
        course = _course(pair, prediction)
        learnt = course.learn(answers)
        return rank_patient(
            CASE,
            pair,
            course.features,
            learnt,
            answers,
            chosen,
            answered=read,
            seed=seed,
            random_share=random_share,
            count=count,
        )[0]
    here = {"features", "passes"} if prediction.passes > 1 else {"features"}
    if missing := sorted(chosen.needs - here):
        raise WrongUse(f"The strategy {chosen.name} needs more than this prediction holds: {', '.join(missing)}.")
    scored = queries.score_case(case_maps(CASE, pair, prediction, answered=read), chosen)
    return queries.rank([scored], chosen, seed=seed, random_share=random_share, count=count)


def adapt(pair: Pair, prediction: Prediction, answers: Sequence[SliceAnswer]) -> Learnt:
    """Take the answers into every other slice of the patient: fit the per-patient head, in under a second.

    Args:
        pair: see `prepare`.
        prediction: of this pair, see `predict`. The head knows more with two passes or more.
        answers: of this pair, in the order in which they were given; none give the network's own map.

    Returns the head, its maps (stacks (slices, rows, columns), probabilities in [0, 1]), and the expected Dice and
    volume (cubic millimetres) of the delivered label, each with a 90 % interval; see `adaptation.head` and
    `adaptation.estimate` for the formulas.

    Raises ValueError for an answer of a slice that the pair does not have, or of another shape.

    Example:
        >>> answers = [mask_answer(query.slice, prediction.mean[query.slice] >= 0.5)]
        >>> learnt = adapt(pair, prediction, answers)
        >>> learnt.maps.probability.shape == prediction.mean.shape
        True
        >>> learnt.estimate.read
        1
    """
    return _course(pair, prediction).learn(answers)


def finetune(
    read: Sequence[tuple[Pair, Sequence[SliceAnswer]]],
    out: File,
    *,
    weights: File | None = None,
    steps: int = 30,
    seed: int = 0,
    device: str = "cpu",
    progress: Progress = ignore,
) -> FinetuneReport:
    """Go on training a network on the slices that were read, and write the new weights to ``out``.

    Slices that nobody read are never taken for "no change": there the new network is kept near the old one's
    predictions (Li and Hoiem, arXiv 1606.09282), and the weights of both are averaged (Wortsman et al., arXiv
    2109.01903).

    Args:
        read: each pair with its answers; slices that were not read as a whole are not trained on.
        out: the new weights file, written whole or not at all.
        weights: the network to start from; None: the bundled one.
        steps: optimiser steps; as many again on each half of the slices, to judge on the other half.
        seed: of everything that is random.
        device: "cpu", "cuda" or "auto".
        progress: called before each step as ("finetune", steps done, steps in all, loss=..., dice=...).

    Returns figures before and after. Nothing is written where ``finite`` is False.

    Raises ValueError where no slice was read, BadInput for weights that cannot be used.

    Example:
        >>> report = finetune([(pair, answers)], "finetuned.safetensors", steps=1)
        >>> report.finite, report.examples
        (True, 1)
    """
    from LMIALLib.network.families import load_model
    from LMIALLib.network.finetuning import Example, FinetuneSettings
    from LMIALLib.network.finetuning_batches import UNREAD_SLICES, unread_examples

    random, share = np.random.default_rng(seed), max(UNREAD_SLICES // max(len(read), 1), 1)
    examples: list[Example] = []
    unread: list[Example] = []
    for pair, answers in read:
        known = gathered(answers)
        examples += [Example.of_pair(pair, number, known.targets[number]) for number in sorted(known.read)]
        unread += unread_examples(pair, known.targets.keys(), share, random)
    settings = FinetuneSettings(steps=steps, seed=seed, device=device)
    return load_model(_weights(weights)).finetune(examples, unread, Path(out), settings=settings, progress=progress)


_courses: dict[tuple[int, int], Course] = {}
"""What was learnt of the pair that was worked with last, by the identity of pair and prediction."""


def _course(pair: Pair, prediction: Prediction) -> Course:
    """The features of a pair, which cost a second, kept while both are alive and no other pair is worked with."""
    key = id(pair), id(prediction)
    if key not in _courses:
        _courses.clear()
        _courses[key] = Course(features_of(inputs_of(pair, case_maps(CASE, pair, prediction))))
        for one in (pair, prediction):
            weakref.finalize(one, _courses.pop, key, None)
    return _courses[key]


def _weights(file: File | None) -> Path:
    return resource("Weights", "change.safetensors") if file is None else Path(file)
