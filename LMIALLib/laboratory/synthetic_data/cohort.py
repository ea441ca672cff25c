"""A synthetic longitudinal cohort on disk: whole pairs with known change, split so that nothing is judged on what it
was trained on.

A cohort is split by the brain an image comes from and by the patient a lesion's shape comes from, never by synthetic
subject: brains and shapes of one part occur in no other.
"""

from __future__ import annotations

import json
import shutil
import uuid
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np

from LMIALLib.cohorts.backgrounds import CITATIONS, CROSS_SECTIONAL, LONGITUDINAL, is_excluded
from LMIALLib.cohorts.lesions import LesionCounts
from LMIALLib.cohorts.real_backgrounds import real_shapes
from LMIALLib.cohorts.shapes import LesionShape
from LMIALLib.errors import BadInput, WrongUse
from LMIALLib.files import flush_file, flush_folder, rename
from LMIALLib.laboratory.synthetic_data.effects import Strengths
from LMIALLib.laboratory.synthetic_data.heads import RealHead, read_real_head, real_heads
from LMIALLib.laboratory.synthetic_data.histories import phantom_history, real_history
from LMIALLib.laboratory.synthetic_data.parts import PARTS, part_of_patients, parts_of
from LMIALLib.laboratory.synthetic_data.scanning import History, ScannedPair, scan
from LMIALLib.pairs.geometry import Grid
from LMIALLib.study.labels import LabelSchema
from LMIALLib.version import __version__

FLAVOURS = ("phantom", "real")
MOST_SUBJECTS = 9999
METHOD = (
    "Kamraoui et al., Longitudinal detection of new MS lesions using deep learning, Frontiers in Neuroimaging 2022, "
    "doi 10.3389/fnimg.2022.948235"
)
Count = tuple[int, int]


@dataclass(frozen=True)
class CohortSettings:
    """What a cohort is made with; numbers of lesions are (least, most), both included.

    Args:
        new, enlarged, shrunk, vanished: lesions that change.
        stable: lesions that are put into both visits and must not be reported.
        strengths: what differs between the visits besides.
    """

    new: Count = (1, 5)
    enlarged: Count = (0, 3)
    shrunk: Count = (0, 2)
    vanished: Count = (0, 2)
    stable: Count = (2, 8)
    strengths: Strengths = field(default_factory=Strengths)

    def counts(self, rng: np.random.Generator) -> LesionCounts:
        """Numbers of lesions for one subject."""
        names = ("stable", "new", "enlarged", "shrunk", "vanished")
        ranges = {name: getattr(self, name) for name in names}
        return LesionCounts(
            **{name: int(rng.integers(low, high, endpoint=True)) for name, (low, high) in ranges.items()}
        )


@dataclass(frozen=True)
class CohortSubject:
    """One pair of a cohort, as its index names it.

    Args:
        name: its folder.
        part: train, validation or test.
        brain: the brain's source, as "longitudinal/patient04" or "phantom/3/7" (seed and number).
        shapes: sources of its lesions' shapes.
        change_ml: volume of the truth by kind of change, millilitres.
        lesions: how many lesions of each kind the truth shows.
    """

    name: str
    part: str
    brain: str
    shapes: tuple[str, ...]
    change_ml: dict[str, float]
    lesions: dict[str, int]


@dataclass(frozen=True)
class Cohort:
    """What was made: its subjects, and a sentence on how many different brains there are."""

    folder: Path
    subjects: tuple[CohortSubject, ...]
    brains: str


Watch = Callable[[int, int], None]


def make_cohort(  # half of it says what the arguments mean
    out: Path,
    subjects: int,
    seed: int,
    *,
    flavour: str = "phantom",
    root: Path | None = None,
    exclude: Collection[str] = (),
    settings: CohortSettings | None = None,
    command: str = "",
    watch: Watch = lambda done, total: None,
) -> Cohort:
    """Make a cohort in the folder ``out``, whole or not at all; the same arguments give the same bytes of images.

    Each subject is a folder with baseline, follow_up, truth and brain (``.nii.gz``; truth and brain on the follow-up's
    grid); ``cohort.json`` names them all. About 10 s a subject on one core, and 15 s more for each real head.

    Args:
        out: a folder that does not exist, or is empty.
        subjects: how many, 1 to 9999.
        seed: 0 or more.
        flavour: "phantom" or "real".
        root: the folder open_ms, for real heads.
        exclude: patients whose images and masks are left out, as "patient01" or "longitudinal/patient01".
        settings: numbers of lesions and strengths of effects.
        command: what was typed, kept in ``cohort.json``.
        watch: called with how many subjects are done, of how many.

    Raises WrongUse for impossible arguments, BadInput when ``out`` holds something, real data are missing or the disk
    refuses; nothing is left behind then.
    """
    settings = settings or CohortSettings()
    _check(out, subjects, seed, flavour, root, exclude)
    made: list[CohortSubject] = []
    with _folder_written_whole(out) as folder:
        if root is not None and flavour == "real":
            histories: Iterator[tuple[str, History]] = _real(root, subjects, seed, exclude, settings)
        else:
            histories = _phantoms(subjects, seed, settings)
        for number, (part, history) in enumerate(histories, start=1):
            pair = scan(history, settings.strengths, np.random.default_rng([seed, number, 0x7363616E]))
            name = f"subject{number:04d}"
            _write_pair(pair, folder / name)
            made.append(_described(name, part, history, pair))
            watch(number, subjects)
        brains = _brains(made, root if flavour == "real" else None)
        index = {
            "lmial": __version__,
            "command": command,
            "seed": seed,
            "flavour": flavour,
            "excluded": sorted(exclude),
            "settings": asdict(settings),
            "labels": LabelSchema.default().to_dict()["classes"],
            "brains": brains,
            "citations": [METHOD, *(CITATIONS if flavour == "real" else ())],
            "subjects": [asdict(subject) for subject in made],
        }
        (folder / "cohort.json").write_text(json.dumps(index, indent=1) + "\n", encoding="utf-8")
        flush_file(folder / "cohort.json")
    return Cohort(Path(out), tuple(made), brains)


def _check(out: Path, subjects: int, seed: int, flavour: str, root: Path | None, exclude: Collection[str]) -> None:
    """Refuse what cannot be done before anything is written."""
    if flavour not in FLAVOURS:
        raise WrongUse(f"flavour {flavour!r} is unknown; use one of {', '.join(FLAVOURS)}.")
    if not 1 <= subjects <= MOST_SUBJECTS:
        raise WrongUse(f"{subjects} subjects cannot be made; ask for 1 to {MOST_SUBJECTS}.")
    if seed < 0:
        raise WrongUse(f"a seed is 0 or more, not {seed}.")
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise BadInput(f"{out} exists and is not an empty folder; a cohort is never written over something else.")
    if flavour == "phantom":
        if exclude:
            raise WrongUse("phantoms come from no patient, so none can be excluded.", "Leave --exclude out.")
        return
    if root is None:
        raise BadInput(
            "no real scans were found.", "Set LMIAL_DATA to the folder that holds open_ms, or make phantoms."
        )
    heads = real_heads(root)
    if not heads:
        raise BadInput(
            f"{root} holds no FLAIR scan in {LONGITUDINAL} or {CROSS_SECTIONAL}; expected the folder open_ms."
        )
    known = {folder.name for folder in root.glob("*/patient*")}
    unknown = [name for name in exclude if name.split("/")[-1] not in known]
    if unknown:
        raise WrongUse(f"{', '.join(unknown)} cannot be excluded: {root} has no such patient.")
    if all(is_excluded(source, exclude) for source, _ in heads):
        raise WrongUse("every patient with a scan is excluded; no brain is left.")


def _phantoms(subjects: int, seed: int, settings: CohortSettings) -> Iterator[tuple[str, History]]:
    """Part and history of each subject: a head and lesions of its own."""
    for number, part in enumerate(parts_of(subjects), start=1):
        rng = np.random.default_rng([seed, number, 0x70686E74])
        counts = settings.counts(rng)
        yield part, phantom_history(f"phantom/{seed}/{number}", counts, settings.strengths.flow, rng)


def _real(
    root: Path, subjects: int, seed: int, exclude: Collection[str], settings: CohortSettings
) -> Iterator[tuple[str, History]]:
    """Part and history of each subject, head by head; a head's shapes come from other patients of its part."""
    dealt = part_of_patients(root, exclude, seed)
    heads = [head for head in real_heads(root) if not is_excluded(head[0], exclude)]
    parts = [part for part in PARTS if any(dealt[source.split("/")[1]] == part for source, _ in heads)]
    asked = [part if part in parts else parts[0] for part in parts_of(subjects)]
    number = 0
    for part in parts:
        ours = [head for head in heads if dealt[head[0].split("/")[1]] == part]
        members = {name for name, where in dealt.items() if where == part}
        others = {path.name for path in root.glob("*/patient*")} - members
        shapes = real_shapes(root, (*exclude, *others)) if part in asked else []
        loaded: tuple[tuple[str, str], RealHead] | None = None
        for index in range(asked.count(part)):
            which = ours[index * len(ours) // asked.count(part)]
            if loaded is None or loaded[0] != which:
                allowed = {name for name in members if not is_excluded(f"{CROSS_SECTIONAL}/{name}", exclude)}
                loaded = (which, read_real_head(root, *which, allowed, seed))
            number += 1
            rng = np.random.default_rng([seed, number, 0x7265616C])
            yield part, real_history(loaded[1], settings.counts(rng), _of_others(shapes, which[0]), rng)


def _of_others(shapes: list[LesionShape], source: str) -> list[LesionShape]:
    """Shapes of other patients than that of ``source``. Raises BadInput when there are none."""
    patient = source.split("/")[1]
    found = [shape for shape in shapes if shape.source.split("/")[1] != patient]
    if not found:
        raise BadInput(f"no other patient's lesion masks are left to paint into {source}.", "Exclude fewer patients.")
    return found


def _described(name: str, part: str, history: History, pair: ScannedPair) -> CohortSubject:
    """A pair's entry in the index."""
    voxel, schema = Grid.of(pair.follow_up).voxel_ml, LabelSchema.default()
    return CohortSubject(
        name=name,
        part=part,
        brain=history.brain_source,
        shapes=history.shape_sources,
        change_ml={c.name: round(float((pair.truth == c.value).sum()) * voxel, 4) for c in schema.classes[1:]},
        lesions={c.name: pair.lesions.get(c.value, 0) for c in schema.classes[1:]},
    )


def _brains(made: list[CohortSubject], root: Path | None) -> str:
    """How many different brains each part rests on, and how many real ones there are at all."""
    counts = [(part, len({s.brain for s in made if s.part == part})) for part in PARTS]
    shares = ", ".join(f"{n} for {part}" for part, n in counts if n)
    total = len({s.brain for s in made})
    sentence = f"{len(made)} subjects rest on {total} brain{'s' if total > 1 else ''} ({shares}). "
    if root is not None:
        sentence += f"Only {len({source for source, _ in real_heads(root)})} patients here have images. "
    return sentence + "Give figures per brain."


def _write_pair(pair: ScannedPair, folder: Path) -> None:
    """Write a pair's four images and flush them. Raises BadInput where the image writer cannot."""
    import SimpleITK as sitk

    folder.mkdir()
    grid = Grid.of(pair.follow_up)
    images = {
        "baseline": pair.baseline,
        "follow_up": pair.follow_up,
        "truth": grid.image_of(pair.truth),
        "brain": grid.image_of(pair.brain),
    }
    for name, image in images.items():
        path = folder / f"{name}.nii.gz"
        try:
            sitk.WriteImage(image, str(path))
        except RuntimeError as error:  # all that ITK says of a full or missing disk
            raise BadInput(f"{path.name} of {folder.name} could not be written; is the disk full?") from error
        flush_file(path)


@contextmanager
def _folder_written_whole(path: Path) -> Iterator[Path]:
    """Give a temporary folder beside ``path``; on success rename it to ``path``, else remove it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.parent / f".tmp-{uuid.uuid4().hex[:8]}"
    temporary.mkdir()
    try:
        yield temporary
        flush_folder(temporary)
        if path.exists():
            path.rmdir()  # empty; Windows renames onto nothing only
        rename(temporary, path)
        flush_folder(path.parent)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
