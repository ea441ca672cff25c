"""Ranking that finishes patients: the network's maps of each case, a head fitted to its answers, its slices in order.

What a case gets depends on the model, its pair, its answers up to a moment, and the settings alone, never on the other
cases or on when it was computed. So a ranking can be made again from what the study stores, and after an answer only
only the case that was answered is ranked again.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from LMIALLib.network.predicted import CONDITIONS
from LMIALLib.progress import Progress
from LMIALLib.queries.patients import one_after_the_other, part_of
from LMIALLib.queries.query import Ranking
from LMIALLib.queries.strategies import Strategy
from LMIALLib.queries.strategies import strategy as strategy_named
from LMIALLib.study.kept import goes_by_stored_maps
from LMIALLib.study.maps import FROZEN
from LMIALLib.study.rankings import StoredRanking, adapted_map
from LMIALLib.study.store import Study
from LMIALLib.study.targets import slice_target
from LMIALLib.worker.predicting import PASSES, conditions_of, model_of, predict_case, queue_options
from LMIALLib.worker.requests import Rank, RankAnew, RankCase, Ranked

if TYPE_CHECKING:
    from LMIALLib.adaptation.answers import SliceAnswer
    from LMIALLib.adaptation.features import Features
    from LMIALLib.adaptation.patient import Course, Learnt
    from LMIALLib.pairs.pair import Pair
    from LMIALLib.queries.pool import CaseScores

GOOD = 0.90
"""Expected Dice up to which slices are counted."""
KEPT = 2
"""Patients whose pair and features stay in memory: the one that is read, and the one after."""


@dataclass(frozen=True)
class Patient:
    """What a head is fitted to, made once for a pair and a model.

    Args:
        pair: both visits on one grid.
        digest: of the pair.
        course: what was learnt of its answers, and the features of its candidates.
        conditions: under which those maps were made.
    """

    pair: Pair
    digest: str
    course: Course
    conditions: dict[str, Any]


Key = tuple[Path, str, object]
"""Folder of the study, case, and all that its features depend on beside."""

_patients: OrderedDict[Key, Patient] = OrderedDict()


def finish_job(study_folder: Path, request: Rank, progress: Progress) -> Ranked:
    """Rank the slices that nobody answered, one patient after the other."""
    chosen = strategy_named(request.strategy)
    parts: list[Ranking] = []
    recorded: dict[str, Any] = {"heads": {}, "estimates": {}, "pairs": {}}
    conditions: dict[str, Any] = {}
    made: dict[str, dict[str, Any]] = {}
    being_read = next(reversed(_patients), (None, None))[:2]
    with Study.open(study_folder, read_only=True) as study:
        if not (request.keep or goes_by_stored_maps(request.model)):
            model_of(study, request.model)  # refuses weights that cannot be trusted, also where their maps lie there
        before = _usable(study.rankings.latest() if request.keep else None, request, chosen)
        for position, wanted in enumerate(request.cases):
            name = wanted.name
            progress("rank", position, len(request.cases), case=name)
            if before is not None and _holds(study, before, request, wanted):
                parts.append(part_of(before.whole, name))
                for field in recorded:
                    if name in before.conditions.get(field, {}):
                        recorded[field][name] = before.conditions[field][name]
                conditions = conditions or before.conditions
                made[name] = _made(before.conditions, name)
                continue
            key = _key(study, request, wanted)
            patient = _patient(study, request, wanted, key, progress)
            part, about = _finished(study, request, wanted, chosen, patient, progress)
            if request.keep or key[:2] == being_read or (position < KEPT and not isinstance(request, RankAnew)):
                _keep_in_memory(key, patient)
            parts.append(part)
            conditions = patient.conditions
            made[name] = _made(conditions, name)
            recorded["pairs"][name] = {"number": wanted.pair, "digest": patient.digest}
            for field in ("heads", "estimates"):
                if field[:-1] in about:
                    recorded[field][name] = about[field[:-1]]
        model_digest = study.models.get(request.model).digest
    recorded["made_otherwise"] = {case: one for case, one in made.items() if one != _made(conditions)}
    shared = {key: value for key, value in conditions.items() if key not in recorded}
    recorded["lesions_upto"] = request.lesions_upto
    named = {"model": request.model, "model_digest": model_digest, "strategy": chosen.name}
    return Ranked(
        ranking=one_after_the_other(parts).to_dict(),
        conditions={**shared, **named, "seed": request.seed, "reader": request.reader, **recorded},
        annotations_upto=request.annotations_upto or 0,
    )


def _made(conditions: dict[str, Any], case: str = "") -> dict[str, Any]:
    """Under which conditions the maps of a case were made, from those of a ranking, or of a prediction.

    A study that moved to another machine has maps of both, so a ranking says it of each case unlike the rest.
    """
    of_all = {key: conditions[key] for key in CONDITIONS if key in conditions and key != "seed"}
    return dict(conditions.get("made_otherwise", {}).get(case, of_all))


def _usable(stored: StoredRanking | None, request: Rank, chosen: Strategy) -> StoredRanking | None:
    """The newest ranking, where its results for unchanged cases may be used for this request too."""
    if not request.keep or stored is None or not stored.finishes or stored.is_core_set:
        return None
    then = stored.model, stored.strategy, stored.conditions.get("seed"), stored.conditions.get("reader", "")
    now = request.model, chosen.name, request.seed, request.reader
    return stored if then == now else None


def _holds(study: Study, before: StoredRanking, request: Rank, wanted: RankCase) -> bool:
    """Whether a ranking of a case would be the same now: the same pair, its maps still there, no answer since."""
    name = wanted.name
    known = before.conditions.get("pairs", {}).get(name)
    if known is None or known["number"] != wanted.pair or name not in before.whole.scores:
        return False
    if not study.maps.has(request.model, name, (*FROZEN, before.map_of(name))):
        return False
    upto = request.annotations_upto or 0
    changed = [before.annotations_upto < number <= upto for number in study.answers.ids(name)]
    lesions, now = int(before.conditions.get("lesions_upto", 0)), request.lesions_upto
    changed += [lesions < number <= now for number in study.lesion_answers.ids(name)]
    return not any(changed)


def _key(study: Study, request: Rank, wanted: RankCase) -> Key:
    computed = request.passes, request.device, request.dtype, request.threads, request.slices_at_once
    model = study.models.get(request.model).digest
    return study.folder, wanted.name, (wanted.pair, model, request.write_maps, computed)


def _keep_in_memory(key: Key, patient: Patient) -> None:
    """Keep a patient at hand for the next answer: of a ranking of many the one that was being read, and the first ones
    of the list, which are read next; of one in the background nobody else, for it must not push out a reader's."""
    _patients[key] = patient
    _patients.move_to_end(key)
    while len(_patients) > KEPT:
        _patients.popitem(last=False)


def _patient(study: Study, request: Rank, wanted: RankCase, key: Key, progress: Progress) -> Patient:
    """The features of a case, from memory, from the maps that lie in the study, or by predicting them."""
    from LMIALLib.adaptation.features import features_of
    from LMIALLib.adaptation.inputs import HeadInputs
    from LMIALLib.adaptation.patient import Course

    name = wanted.name
    if key in _patients and (not request.write_maps or study.maps.has(request.model, name, FROZEN)):
        return _patients[key]
    pair = study.cases.load_pair(name, wanted.pair)
    maps, conditions = _frozen(study, request, wanted, pair, progress)
    inputs = HeadInputs(
        mean=np.ascontiguousarray(maps["mean"]),
        baseline=np.ascontiguousarray(pair.stack(pair.baseline)),
        follow_up=np.ascontiguousarray(pair.stack(pair.follow_up)),
        region=np.ascontiguousarray(pair.stack(pair.mask)),
        spacing=(pair.slice_spacing, *pair.in_plane_spacing),
        variance=maps["variance"],
        expected_entropy=maps["expected_entropy"],
    )
    return Patient(pair, pair.digest(), Course(features_of(inputs)), conditions)


def _frozen(
    study: Study, request: Rank, wanted: RankCase, pair: Pair, progress: Progress
) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """The network's own maps of a case as stacks, and how they were made; written into the study where they were not.

    A replay (``write_maps`` false) predicts again, so that it also tests what lies there; once for all rankings of one
    model, pair and way of computing.
    """
    model, name, writes = request.model, wanted.name, request.write_maps
    stored = goes_by_stored_maps(model)
    digest = study.models.get(model).digest
    made_by = study.maps.made_by(model, name) if (writes or stored) and study.maps.has(model, name, FROZEN) else None
    if made_by is not None and (stored or made_by.get("model_digest") == digest):
        volumes = {measure: study.maps.read(model, name, measure) for measure in FROZEN}
        stacks = {m: np.ascontiguousarray(pair.stack(v)) for m, v in volumes.items() if v is not None}
        return stacks, {key: value for key, value in made_by.items() if key not in ("sha256", "model_digest")}
    loaded = model_of(study, model)
    same = replace(request, seed=0)  # whatever is drawn at random later, the maps are the same
    prediction = predict_case(loaded, pair, same, progress, passes=request.passes or PASSES)
    found = {measure: getattr(prediction, measure) for measure in FROZEN}
    conditions = conditions_of(prediction)
    if writes:
        on_grid = {measure: pair.unstack(stack) for measure, stack in found.items()}
        study.maps.write(model, name, on_grid, {**conditions, "model_digest": digest})
    return found, conditions


def _finished(
    study: Study, request: Rank, wanted: RankCase, chosen: Strategy, patient: Patient, progress: Progress
) -> tuple[Ranking, dict[str, Any]]:
    """The ranking of one case, and what is to be kept of its head and of how finished it is."""
    from LMIALLib.adaptation.ranking import rank_patient

    name, pair, features = wanted.name, patient.pair, patient.course.features
    answers = _answers(study, request, name)
    learnt = patient.course.learn(answers, progress)
    ranking, scored = rank_patient(
        name,
        pair,
        features,
        learnt,
        answers,
        chosen,
        answered=wanted.answered,
        skipped=wanted.skipped,
        seed=request.seed,
        **queue_options(request, "count", "random_share", "batch"),
    )
    about: dict[str, Any] = {"estimate": _estimated(learnt, features, answers, scored)}
    if learnt.head is not None:
        head = learnt.head
        about["head"] = {**head.facts, "digest": head.digest, "upto": request.annotations_upto or 0}
        if request.write_maps:
            volume = pair.unstack(learnt.maps.probability)
            study.maps.put_adapted(request.model, name, adapted_map(head.digest), volume)
    return ranking, about


def _estimated(learnt: Learnt, features: Features, answers: list[SliceAnswer], scored: CaseScores) -> dict[str, Any]:
    """How finished a patient is, as `loop.patient.Estimate` reads it."""
    from LMIALLib.adaptation.patient import outlook, suggested_lesions

    found = learnt.estimate
    expected = outlook(learnt, features, answers, scored.score)
    good = np.flatnonzero(expected >= GOOD)
    return {
        "slices_to_90": int(good[0]) if good.size else None,
        "gain": float(max(expected[1] - expected[0], 0.0)) if expected.size > 1 else None,
        "dice": found.dice,
        "dice_low": found.low,
        "dice_high": found.high,
        "volume_ml": found.volume_mm3 / 1000,
        "volume_low": found.volume_low / 1000,
        "volume_high": found.volume_high / 1000,
        "chance_left": found.lesion_left,
        "lesions": suggested_lesions(learnt.maps, answers),
        "answers": found.read,
    }


def _answers(study: Study, request: Rank, name: str) -> list[SliceAnswer]:
    """The reader's answers to a case up to the request's moment, in the order in which they were given.

    Lesions come first: where a slice was read, its answer alone counts, whatever the answer to a lesion there.
    """
    from LMIALLib.adaptation.answers import SliceAnswer, lesion_answers

    case = study.cases.get(name)
    answers: list[SliceAnswer] = []
    for lesion in study.lesion_answers.current(name, upto=request.lesions_upto):
        voxels, change = (np.moveaxis(volume, case.axis, 0) for volume in (lesion.voxels, lesion.change))
        answers += lesion_answers(voxels, change, lesion.shown)
    upto, reader = request.annotations_upto or 0, request.reader or None
    current = study.answers.current(name, upto=upto, reader=reader)
    ordered = sorted(current.values(), key=lambda one: one.id)
    return answers + [SliceAnswer(one.slice, slice_target(one, case)) for one in ordered]
