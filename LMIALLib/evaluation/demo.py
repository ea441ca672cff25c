"""The whole loop on one pair, from raw files to a report: what the demo runs."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from LMIALLib.datasets.open_ms_patient import is_open_ms_pair, open_ms_pair
from LMIALLib.datasets.visit_names import order_of_names
from LMIALLib.errors import BadInput
from LMIALLib.evaluation.outcome import CurvePoint, Outcome
from LMIALLib.evaluation.report import write_demo_report
from LMIALLib.evaluation.simulated_reader import ExactReader
from LMIALLib.loop.exporting import export_files
from LMIALLib.loop.session import Session
from LMIALLib.loop.settings import LoopSettings
from LMIALLib.loop.studies import new_study
from LMIALLib.metrics.voxels import dice
from LMIALLib.pairs.request import PairRequest
from LMIALLib.queries.query import Query
from LMIALLib.study.delivered import delivered_label
from LMIALLib.study.store import Study
from LMIALLib.worker.client import Job

QUERIES, MOST = 6, 16
"""Slices that the simulated reader answers at least, and at most."""
GOOD = 0.95
"""True Dice of the delivered label at which the simulated reader is content."""
CASE = "demo"
MARKER = ".made-by-lmial-demo"
VOLUME_ENDINGS = (".nii", ".nii.gz", ".nrrd", ".mha", ".mhd", ".nhdr")

Say = Callable[[str], None]


@dataclass(frozen=True)
class Inputs:
    """What a demo starts from; ``truth`` is bool or schema values (k, j, i) on the follow-up's raw grid, or None."""

    baseline: Path
    follow_up: Path
    mask: Path | None
    truth: np.ndarray | None
    origin: str


def run_demo(
    pair: Path | None,
    out: Path,
    *,
    say: Say,
    watch: Callable[[Job], None] | None = None,
    commands: Callable[[Path], Sequence[str]] = lambda study: (),
) -> Outcome:
    """Run new, rank, a simulated reader who finishes the patient, export and the report, in folder ``out``.

    Args:
        pair: folder with a baseline and a follow-up; a phantom is made when None.
        out: folder to write; one that an earlier demo made is replaced, any other that holds something is refused.
        say: takes one line for the person who watches.
        commands: what a person can type to go on with the study in a folder; stands in the report.
    """
    _fresh_folder(out)
    inputs = _phantom_inputs(out / "pair", say) if pair is None else find_inputs(pair)
    say(f"Pair: {inputs.origin}")
    request = PairRequest(baseline=inputs.baseline.absolute(), follow_up=inputs.follow_up.absolute(), mask=inputs.mask)
    result = new_study(out / "study", CASE, request, subject="subject1", watch=watch)
    outcome = Outcome(out, out / "study", inputs.origin, result.registration["sentence"], result.slices)
    say(outcome.registration)
    with Study.open(outcome.study, reader="simulated reader") as study:
        session = Session(study, reader="simulated reader", settings=LoopSettings(train=False))
        try:
            _rank(session, outcome, say, watch)
            if inputs.truth is not None:
                _finish(session, inputs.truth, outcome, say, watch)
            _export(session, outcome)
        finally:
            session.close()
        write_demo_report(study, CASE, outcome, out / "report.html", commands=commands(outcome.study))
    return outcome


def find_inputs(folder: Path) -> Inputs:
    """The two time points (and mask and truth, where there are) in a folder.

    Understood are the open-ms layout, names that begin with baseline / follow_up / mask or brain / truth or gt, and
    two volumes that are nothing else, in the order that their names show (pre and post, 2020 and 2021). Raises BadInput
    naming what was looked for.
    """
    folder = Path(folder).absolute()
    if not folder.is_dir():
        raise BadInput(f"{folder}: there is no such folder.")
    if is_open_ms_pair(folder):
        return _open_ms_inputs(folder)
    volumes = sorted(file for file in folder.iterdir() if file.name.lower().endswith(VOLUME_ENDINGS))
    found: dict[str, Path] = {}
    roles = {"baseline": ("baseline",), "follow_up": ("follow",), "mask": ("mask", "brain"), "truth": ("truth", "gt")}
    for role, beginnings in roles.items():
        named = [file for file in volumes if file.name.lower().startswith(beginnings)]
        if named:
            found[role] = named[0]
    rest = [file for file in volumes if file not in found.values()]
    if "baseline" not in found and "follow_up" not in found and len(rest) == 2:
        first, last = _in_time(rest)
        found["baseline"], found["follow_up"] = first, last
    if "baseline" not in found or "follow_up" not in found:
        raise BadInput(
            f"{folder}: no pair was recognised.",
            "Name the two scans baseline.nii.gz and follow_up.nii.gz (or .nrrd, .mha).",
        )
    truth = _read_truth(found["truth"], found["follow_up"]) if "truth" in found else None
    return Inputs(found["baseline"], found["follow_up"], found.get("mask"), truth, f"{folder}")


def _in_time(files: list[Path]) -> tuple[Path, Path]:
    """Two files, the earlier one first, by their names."""
    stems = {file.name.split(".")[0]: file for file in files}
    order = order_of_names(list(stems)) if len(stems) == len(files) else None
    if order is None:
        raise BadInput(
            f"{files[0].parent}: {files[0].name} and {files[1].name} do not show which came first.",
            "Name the two scans baseline.nii.gz and follow_up.nii.gz (or .nrrd, .mha).",
        )
    return stems[order.names[0]], stems[order.names[1]]


def _phantom_inputs(folder: Path, say: Say) -> Inputs:
    from LMIALLib.cohorts.phantom import DEMO, DEMO_SEED, make_phantom, write_phantom

    say("Making a synthetic pair (a head, two protocols, a known misalignment) ...")
    phantom = make_phantom(DEMO_SEED, appearance=DEMO)
    folder.mkdir(parents=True)
    write_phantom(phantom, folder)
    origin = f"synthetic pair, seed {DEMO_SEED}"
    return Inputs(folder / "baseline.nii.gz", folder / "follow_up.nii.gz", None, phantom.truth, origin)


def _open_ms_inputs(folder: Path) -> Inputs:
    from LMIALLib.pairs.reading import read_volume

    pair = open_ms_pair(folder)
    truth = pair.truth_on(read_volume(pair.follow_up).image).astype(np.uint8)
    return Inputs(pair.baseline, pair.follow_up, None, truth, f"open-ms {pair.name} (Lesjak et al. 2016, CC-BY)")


def _read_truth(path: Path, follow_up: Path) -> np.ndarray:
    from LMIALLib.pairs.label_volume import read_mask
    from LMIALLib.pairs.reading import read_volume

    return read_mask(path, read_volume(follow_up).grid, name="truth").astype(np.uint8)


def _fresh_folder(out: Path) -> None:
    if out.exists() and any(out.iterdir()):
        if not (out / MARKER).is_file():
            raise BadInput(
                f"{out} holds something that the demo did not make.", "Move it away, or run the demo elsewhere."
            )
        shutil.rmtree(out)
    out.mkdir(parents=True, exist_ok=True)
    (out / MARKER).write_text(
        "This folder was made by LMIAL's demo, which replaces it when it runs again.\n", encoding="utf-8"
    )


def _rank(session: Session, outcome: Outcome, say: Say, watch: Callable[[Job], None] | None) -> None:
    session.learning.wait(session.learning.request_ranking(), watch=watch)
    stored = session.study.rankings.latest()
    assert stored is not None
    outcome.rankings.append(stored.whole)
    say(f"Ranked {len(outcome.rankings[-1].queries)} slices; the next are " + _slices(session.queue()[:QUERIES]))


def _finish(
    session: Session, truth: np.ndarray, outcome: Outcome, say: Say, watch: Callable[[Job], None] | None
) -> None:
    """Answer slices one by one, each learnt at once, until the label is right, look through the rest, and finish."""
    study = session.study
    pair = study.cases.load_pair(CASE)
    stack = np.moveaxis(truth.astype(np.uint8), pair.axis, 0)
    reader, true = ExactReader({CASE: stack}), stack > 0
    untaught = _suggested(study, pair.axis)
    _note(session, outcome, true)
    while len(outcome.answered) < MOST and (outcome.curve[-1].dice < GOOD or len(outcome.answered) < QUERIES):
        asked = reader.answer_next(session, 1)
        if not asked:
            break
        outcome.answered += asked
        session.learning.wait(session.learning.request_ranking(keep=True))
        _note(session, outcome, true)
    numbers = _slices(outcome.answered)
    say(f"The simulated reader answered {len(outcome.answered)} of {pair.n_slices} slices, one by one: {numbers}")
    _train(session, outcome, say, watch)
    _rank(session, outcome, say, watch)
    unread = np.ones(stack.shape, dtype=bool)
    unread[[query.slice for query in outcome.answered]] = False
    outcome.dice_before, outcome.dice_after = (
        dice(untaught, true, unread),
        dice(_suggested(study, pair.axis), true, unread),
    )
    first, last = outcome.curve[0], outcome.curve[-1]
    say(f"Dice of the delivered label: {first.dice:.3f} before, {last.dice:.3f} after {last.answers} slices")
    say(f"Dice on the slices that nobody read: {outcome.dice_before:.3f} before, {outcome.dice_after:.3f} after")
    left = session.patient.left_to_sweep(CASE)
    session.patient.swept(CASE, [(number, 1.0) for number in left], label_shown=True)
    session.patient.finish(CASE)
    outcome.looked_at = len(left)
    say(f"The simulated reader looked at the other {len(left)} slices: the patient is finished.")


def _train(session: Session, outcome: Outcome, say: Say, watch: Callable[[Job], None] | None) -> None:
    """What goes on in the background while a person reads: the network is fine-tuned on the answers."""
    session.learning.request_training()
    assert session.learning.training is not None
    trained = session.learning.wait(session.learning.training, watch=watch)
    outcome.adopted, outcome.reasons = trained.adopted, trained.reasons
    refused = "The fine-tuned network was not adopted: " + " ".join(outcome.reasons)
    say("The fine-tuned network was adopted." if outcome.adopted else refused)


def _note(session: Session, outcome: Outcome, true: np.ndarray) -> None:
    """Add the delivered label as it is now to the curve."""
    study = session.study
    delivered = delivered_label(study, CASE, study.maps.suggested(CASE)).values > 0
    axis = study.cases.get(CASE).axis
    known = dice(np.moveaxis(delivered, axis, 0), true)
    outcome.curve.append(CurvePoint(len(outcome.answered), known, session.patient.estimate(CASE)))


def _suggested(study: Study, axis: int) -> np.ndarray:
    """What the last ranking suggests, bool (slices, rows, columns)."""
    volume = study.maps.suggested(CASE)
    assert volume is not None
    return np.moveaxis(volume >= 0.5, axis, 0)


def _export(session: Session, outcome: Outcome) -> None:
    for what, file_format in (
        ("delivered", "seg.nrrd"),
        ("labels", "seg.nrrd"),
        ("suggestion", "nifti"),
        ("uncertainty", "nifti"),
        ("table", None),
    ):
        outcome.files += export_files(session.learning, outcome.folder / "export", what=what, file_format=file_format)


def _slices(queries: list[Query]) -> str:
    return ", ".join(f"{query.slice}{' (random)' if query.drawn == 'random' else ''}" for query in queries)
