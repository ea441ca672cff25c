"""A simulation: prepare the cases, run every strategy with every seed, write the tables and the report."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from LMIALLib.errors import BadInput
from LMIALLib.files import written_whole
from LMIALLib.json_data import read_json
from LMIALLib.laboratory.cluster import check_scheduler, computed, connected
from LMIALLib.laboratory.learning import COMMITTEE, PASSES, start_weights
from LMIALLib.laboratory.readers import SECONDS_A_CASE
from LMIALLib.laboratory.report import write_report
from LMIALLib.laboratory.rounds import Job, run_job
from LMIALLib.laboratory.settings import FULL, PLANNED, SimulationSettings
from LMIALLib.laboratory.sources import Source, found_sources
from LMIALLib.laboratory.subjects import Subject, load_subject, made_subject, save_subject
from LMIALLib.laboratory.tracks import tracks_of
from LMIALLib.laboratory.write_tables import write_tables
from LMIALLib.queries.reading_time import ReadingTime
from LMIALLib.version import __version__

if TYPE_CHECKING:
    from dask.distributed import Client

Watch = Callable[[str, int, int], None]


@dataclass(frozen=True)
class Where:
    """Where jobs are computed; nothing of it changes what comes out.

    Args:
        scheduler: address of a Dask scheduler; None for a local cluster.
        insecure: whether a scheduler on another machine may do without TLS.
        workers: processes of a local cluster; None: as many as the cores hold.
    """

    scheduler: str | None = None
    insecure: bool = False
    workers: int | None = None


def simulate(
    place: Path,
    out: Path,
    settings: SimulationSettings,
    *,
    truths: Mapping[str, Path] | None = None,
    judge: str | None = None,
    where: Where | None = None,
    resume: bool = False,
    watch: Watch = lambda stage, done, total: None,
) -> list[Job]:
    """Compare strategies on a cohort or a study whose truth is known, and return the jobs, all finished.

    Args:
        place: a cohort folder or a study.
        out: folder for ``config.json``, ``cases/``, ``jobs/``, ``rounds.csv``, ``delivered.csv``,
            ``timing.csv``, ``chosen.csv`` and ``report.html``.
        settings: see `SimulationSettings`.
        truths: of a study, case name to a volume on the pair's grid; a case without takes the one stored with it.
        judge: "subjects" or "slices", see `subjects.found_sources`.
        where: see `Where`.
        resume: go on in a folder that holds a part of the same simulation; finished jobs and rounds are not repeated.
        watch: called with what is being done, how much of it is done, and of how much.

    Raises WrongUse and BadInput for what cannot be simulated, before anything is computed.
    """
    where = where or Where()
    check_scheduler(where.scheduler, where.insecure)
    settings = _with_weights(settings)
    kind, sources = found_sources(place, truths or {}, settings.pixel_mm, judge, settings.judged)
    out = Path(out).absolute()
    asked = {"kind": kind, "settings": settings.shared(), "cases": [[s.name, s.part] for s in sources]}
    _check_folder(out, asked, resume)
    for name in ("cases", "jobs"):
        (out / name).mkdir(parents=True, exist_ok=True)
    _write_json(out / "config.json", {"asked": asked})
    with connected(where.scheduler, where.workers, settings.threads) as client:
        _prepare(client, sources, out, watch)
        jobs = _planned(kind, sources, settings, Path(place).name, asked, out)
        left = [job for job in jobs if not job.result.is_file()]
        ready = len(jobs) - len(left)
        computed(client, run_job, [(j.key, j) for j in left], lambda n, of: watch("jobs", ready + n, ready + of))
    write_tables(out, jobs)
    watch("report", 0, 1)
    write_report(out)
    watch("report", 1, 1)
    return jobs


def _with_weights(settings: SimulationSettings) -> SimulationSettings:
    """The digest of the weights to start from. Raises BadInput where they cannot be used."""
    path = start_weights(settings.start)
    if path is None:
        return settings
    from LMIALLib.network.weights import read_weights

    return replace(settings, start_digest=read_weights(path)[1].digest)


@dataclass(frozen=True)
class _Config:
    """The part of config.json with the settings of the simulation."""

    asked: dict[str, Any]


def _check_folder(out: Path, asked: Mapping[str, Any], resume: bool) -> None:
    """Raise BadInput for a folder that holds something, unless it is a part of this very simulation."""
    if not out.exists() or (out.is_dir() and not any(out.iterdir())):
        return
    if not out.is_dir() or not resume:
        raise BadInput(f"{out} exists and is not an empty folder.", "Choose another --out, or go on with --resume.")
    try:
        before = read_json(out / "config.json", _Config).asked
    except (OSError, BadInput) as error:
        raise BadInput(f"{out} holds no simulation that could go on.", "Choose another --out.") from error
    if before != json.loads(json.dumps(asked)):
        earlier = before.get("settings")
        settings = earlier if isinstance(earlier, dict) else {}
        words = [name for name in asked["settings"] if asked["settings"][name] != settings.get(name)]
        differing = ", ".join(words) or "the cases"
        raise BadInput(
            f"{out} holds another simulation: {differing} differ.",
            "Only strategies and seeds may be added; choose another --out.",
        )


def _prepare(client: Client, sources: Sequence[Source], out: Path, watch: Watch) -> None:
    """Make every case that is not there yet."""
    missing = [(s, out / "cases" / f"{s.name}.npz") for s in sources if not (out / "cases" / f"{s.name}.npz").is_file()]
    if not missing:
        return
    tag = hashlib.sha256(str(out).encode()).hexdigest()[:8]
    computed(
        client,
        prepare_case,
        [(f"{tag}-{source.name}", (source, path)) for source, path in missing],
        lambda done, total: watch("cases", done, total),
    )


def prepare_case(task: tuple[Source, Path]) -> None:
    """Make one case and keep it."""
    source, path = task
    save_subject(made_subject(source), path)


def _planned(
    kind: str,
    sources: Sequence[Source],
    settings: SimulationSettings,
    name: str,
    asked: Mapping[str, Any],
    out: Path,
) -> list[Job]:
    """All jobs of the simulation, after writing the exact configuration."""
    subjects = [load_subject(out / "cases" / f"{source.name}.npz") for source in sources]
    tracks = tracks_of(kind, subjects, settings.judged)
    settings = settings.resolved(tracks[0].size)
    digests = {subject.name: subject.digest() for subject in subjects}
    described = [
        _described(source, subject, digests[subject.name]) for source, subject in zip(sources, subjects, strict=True)
    ]
    _write_json(
        out / "config.json",
        {
            "lmial": __version__,
            "source": name,
            "kind": kind,
            "settings": settings.to_dict(),
            "pool": tracks[0].size,
            "tracks": {track.name: track.size for track in tracks},
            "cases": described,
            "training": _recipe(settings),
            "planned": list(PLANNED),
            "constants": {
                "passes": PASSES,
                "committee": COMMITTEE,
                "seconds_a_slice": ReadingTime.base,
                "seconds_a_boundary_mm": ReadingTime.per_mm,
                "seconds_a_case_switch": SECONDS_A_CASE,
            },
            "asked": asked,
        },
    )
    every = json.dumps(sorted(digests.items()))
    decisive = {**settings.shared(), "kind": kind, "lmial": __version__}
    return [
        Job(
            folder=str(out),
            kind=kind,
            cases=every,
            settings=settings.to_dict(),
            strategy=strategy,
            seed=seed,
            key=_key(decisive, every, strategy, seed),
        )
        for strategy in (*settings.strategies, FULL)
        for seed in settings.all_seeds
    ]


def _described(source: Source, subject: Subject, digest: str) -> dict[str, Any]:
    """A case as the configuration lists it."""
    return {
        "name": subject.name,
        "part": subject.part,
        "brain": source.brain,
        "slices": subject.pair.n_slices,
        "voxel_mm": list(subject.voxel_mm),
        "shape": list(subject.truth.shape),
        "change_voxels": int((subject.truth == 1).sum()),
        "unknown_share": round(subject.unknown, 4),
        "digest": digest,
    }


def _recipe(settings: SimulationSettings) -> dict[str, Any]:
    """Everything that shapes a training, as it is used."""
    if settings.recipe == "product":
        from LMIALLib.network.finetuning import FinetuneSettings

        return asdict(FinetuneSettings(steps=settings.steps, threads=settings.threads))
    from LMIALLib.laboratory.simulation_training import LabRecipe

    return asdict(LabRecipe(steps=settings.steps, threads=settings.threads))


def _key(decisive: Mapping[str, Any], cases: str, strategy: str, seed: int) -> str:
    """Hash of everything that decides the outcome of a job."""
    text = json.dumps([dict(decisive), cases, strategy, seed], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:20]


def _write_json(path: Path, value: Any) -> None:
    with written_whole(path) as temporary:
        temporary.write_text(json.dumps(value, indent=1) + "\n", encoding="utf-8")
