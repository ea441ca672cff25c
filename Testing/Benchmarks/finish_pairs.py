"""The pairs of `finish.py`: real ones and synthetic ones on backgrounds that the weights never saw, with frozen maps.

A pair is made once: registered, its brain found, predicted with ten passes, and kept in build/finish/<name>.npz.

Kinds of synthetic pairs: "longitudinal" (open-ms patient04) and "isotropic" (cross-sectional patient07), which no
weights were trained on; "mslesseg" (P18, P39), "niivue", "isles22": scans of other sources; "label-map": SynthSeg's
label maps, whose two visits draw the brightness of each tissue anew. Lesions have the shapes of ms_lesion_shapes, which
no weights saw either. Heads of 1 mm are cut into slices of 3 mm first, as hospitals scan them.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from finish_heads import array_of, head_of, second_contrast

from LMIALLib.adaptation.inputs import HeadInputs
from LMIALLib.cohorts.lesions import LesionCounts
from LMIALLib.cohorts.shapes import LesionShape, softened
from LMIALLib.datasets.open_ms_patient import open_ms_pair, open_ms_root
from LMIALLib.errors import BadInput
from LMIALLib.files import written_whole
from LMIALLib.laboratory.synthetic_data.cohort import CohortSettings
from LMIALLib.laboratory.synthetic_data.effects import Strengths
from LMIALLib.laboratory.synthetic_data.histories import real_history
from LMIALLib.laboratory.synthetic_data.scanning import ScannedPair, scan
from LMIALLib.laboratory.unseen import LONGITUDINAL, unseen_weights
from LMIALLib.pairs.geometry import Grid
from LMIALLib.pairs.pair import Pair
from LMIALLib.pairs.prepare import prepare
from LMIALLib.pairs.reading import read_volume
from LMIALLib.pairs.request import PairRequest
from LMIALLib.resources import resource

PASSES = 10
REAL = ("patient01", "patient12")
BUNDLED = resource("Weights", "change.safetensors")
WITHOUT = Path("Testing") / "Weights"
KINDS = ("longitudinal", "isotropic", "mslesseg-P18", "mslesseg-P39", "niivue", "isles22", "label-map")
SYNTHETIC = tuple(f"{kind}-{seed}" for kind, seed in zip(KINDS, (2, 2, 1, 2, 2, 1, 1), strict=True))
CACHE = Path("build") / "finish"
SHAPES = 400


@dataclass(frozen=True)
class FinishPair:
    """A pair with frozen maps and its truth.

    Args:
        name: of the pair.
        kind: "real", "own" or a synthetic kind.
        inputs: what the head sees.
        truth: bool (slices, rows, columns), change in the whole grid.
    """

    name: str
    kind: str
    inputs: HeadInputs
    truth: np.ndarray


def data_folder() -> Path:
    """The folder of the shared data. Raises BadInput where there is none."""
    root = open_ms_root()
    if root is None:
        raise BadInput("no scans were found.", "Set LMIAL_DATA to the folder that holds open_ms.")
    return root.parent


def names_of() -> tuple[str, ...]:
    """The pairs that are read where none are named."""
    return (*REAL, *SYNTHETIC)


def named_pair(data: Path, name: str) -> FinishPair:
    """A real patient, or a synthetic pair by its kind and seed. Raises BadInput for another name."""
    if name in REAL:
        return real_pair(data / "open_ms", name)
    kind, _, seed = name.rpartition("-")
    if kind not in KINDS or not seed.isdigit():
        raise BadInput(f"there is no pair {name!r}; write one of {', '.join(REAL)}, or a kind and a seed: niivue-2.")
    return synthetic_pair(data, kind, int(seed))


def real_pair(root: Path, patient: str, cache: Path = CACHE) -> FinishPair:
    """A patient of open-ms, predicted with weights that never saw it. Raises BadInput where they may have."""
    weights = WITHOUT / f"without-{patient}.safetensors"
    unseen_weights(weights, patient)
    files = open_ms_pair(root / LONGITUDINAL / patient)

    def made() -> tuple[Pair, np.ndarray]:
        with tempfile.TemporaryDirectory() as folder:
            pair = prepare(PairRequest(baseline=files.baseline, follow_up=files.follow_up), Path(folder))
        return pair, pair.stack(files.truth_on(read_volume(files.follow_up).image))

    return cached(patient, "real", made, weights, cache)


def own_pair(folder: Path, cache: Path | None = None) -> FinishPair:
    """One's own pair: baseline.nii.gz, follow_up.nii.gz and truth.nii.gz (on the follow-up's grid, above 0: change).

    Raises BadInput where a file is missing or the truth lies on another grid.
    """
    files = {name: folder / f"{name}.nii.gz" for name in ("baseline", "follow_up", "truth")}
    for path in files.values():
        if not path.is_file():
            raise BadInput(f"{path}: this file is missing; a pair has baseline, follow_up and truth.nii.gz.")

    def made() -> tuple[Pair, np.ndarray]:
        with tempfile.TemporaryDirectory() as work:
            pair = prepare(PairRequest(baseline=files["baseline"], follow_up=files["follow_up"]), Path(work))
        truth = array_of(files["truth"]) > 0
        if truth.shape != pair.mask.shape:
            raise BadInput(f"{files['truth']}: it has {truth.shape} voxels; the follow-up has {pair.mask.shape}.")
        return pair, pair.stack(truth)

    return cached(folder.resolve().name, "own", made, BUNDLED, cache)


def synthetic_pair(data: Path, kind: str, seed: int, *, changed: bool = True, cache: Path = CACHE) -> FinishPair:
    """A head of a kind, change painted into it, scanned twice, and prepared from the two scans alone."""
    name = f"{kind}-{seed}" if changed else f"{kind}-{seed}-unchanged"

    def made() -> tuple[Pair, np.ndarray]:
        scanned = _scanned(data, kind, seed, changed)
        with tempfile.TemporaryDirectory() as folder:
            return _prepared(scanned, Path(folder))

    return cached(name, kind, made, BUNDLED, cache)


def cached(
    name: str, kind: str, made: Callable[[], tuple[Pair, np.ndarray]], weights: Path, cache: Path | None
) -> FinishPair:
    """The pair as it lies in the cache, else made, predicted and put there; ``cache`` None: nothing is kept."""
    path = None if cache is None else cache / f"{name}.npz"
    if path is not None and path.is_file():
        with np.load(path, allow_pickle=False) as stored:
            arrays = {field: stored[field] for field in stored.files}
        spacing = tuple(float(mm) for mm in arrays.pop("spacing"))
        truth = arrays.pop("truth")
        return FinishPair(name, kind, HeadInputs(**arrays, spacing=spacing), truth)  # type: ignore[arg-type]
    pair, truth = made()
    inputs = predicted(pair, weights)
    truth = np.ascontiguousarray(truth).astype(bool)
    if path is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
        fields = ("mean", "variance", "expected_entropy", "baseline", "follow_up", "region")
        with written_whole(path) as temporary, open(temporary, "wb") as file:
            np.savez_compressed(
                file, **{field: getattr(inputs, field) for field in fields}, spacing=inputs.spacing, truth=truth
            )
    return FinishPair(name, kind, inputs, truth)


def weights_of(pair: FinishPair) -> Path:
    """The weights that a pair was predicted with."""
    return WITHOUT / f"without-{pair.name}.safetensors" if pair.kind == "real" else BUNDLED


def pair_of(pair: FinishPair) -> Pair:
    """Both visits as the network takes them, slices along the first axis; where the pair lay is not kept."""
    inputs = pair.inputs
    slices, rows, columns = inputs.region.shape
    spacing = (inputs.spacing[2], inputs.spacing[1], inputs.spacing[0])
    grid = Grid((columns, rows, slices), spacing, (0.0, 0.0, 0.0), tuple(np.eye(3).ravel()))  # type: ignore[arg-type]
    return Pair(inputs.baseline, inputs.follow_up, inputs.region, grid, 0)


def inputs_under(pair: FinishPair, weights: Path) -> HeadInputs:
    """What the head sees of a pair under other weights."""
    return predicted(pair_of(pair), weights)


def predicted(pair: Pair, weights: Path) -> HeadInputs:
    """Frozen maps of a pair: ten passes of the given weights, on the CPU."""
    from LMIALLib.network.prediction import predict
    from LMIALLib.network.weights import load_weights

    network, _ = load_weights(weights)
    maps = predict(network, pair, passes=PASSES, seed=0)
    baseline, follow_up, region = (
        np.ascontiguousarray(pair.stack(volume)) for volume in (pair.baseline, pair.follow_up, pair.mask)
    )
    return HeadInputs(
        mean=maps.mean,
        variance=maps.variance,
        expected_entropy=maps.expected_entropy,
        baseline=baseline,
        follow_up=follow_up,
        region=region,
        spacing=(pair.slice_spacing, *pair.in_plane_spacing),
    )


def _prepared(scanned: ScannedPair, folder: Path) -> tuple[Pair, np.ndarray]:
    import SimpleITK as sitk

    images = {"baseline": scanned.baseline, "follow_up": scanned.follow_up}
    images["brain"] = Grid.of(scanned.follow_up).image_of(scanned.brain.astype(np.uint8))
    for name, image in images.items():
        sitk.WriteImage(image, str(folder / f"{name}.nii.gz"))
    request = PairRequest(
        baseline=folder / "baseline.nii.gz",
        follow_up=folder / "follow_up.nii.gz",
        mask=folder / "brain.nii.gz",
        axis="axial",
        force=True,
    )
    pair = prepare(request, folder / "case")
    return pair, pair.stack(scanned.truth > 0)


def _scanned(data: Path, kind: str, seed: int, changed: bool) -> ScannedPair:
    rng = np.random.default_rng([seed, KINDS.index(kind), 0x66696E])
    counts = (
        CohortSettings().counts(rng) if changed else LesionCounts(stable=6, new=0, enlarged=0, shrunk=0, vanished=0)
    )
    head, other = head_of(data, kind, rng, seed)
    history = real_history(head, counts, _shapes(data, rng), rng)
    if other is not None:
        history = second_contrast(history, head, other)
    return scan(history, Strengths(), rng)


def _shapes(data: Path, rng: np.random.Generator) -> list[LesionShape]:
    """Single lesions of ms_lesion_shapes, but for the confluent ones."""
    with np.load(data / "ms_lesion_shapes" / "compact.npz", allow_pickle=False) as stored:
        names, shapes, bits = stored["names"], stored["shape_zyx"], stored["bits"]
    sizes = np.prod(shapes.astype(np.int64), axis=1)
    starts = np.concatenate([[0], np.cumsum((sizes + 7) // 8)])
    single = np.flatnonzero(["5000-more" not in str(name) for name in names])
    found = []
    for index in np.sort(rng.choice(single, SHAPES, replace=False)):
        crop = np.unpackbits(bits[starts[index] : starts[index + 1]])[: sizes[index]].reshape(shapes[index])
        found.append(LesionShape(softened(crop > 0, (1.0, 1.0, 1.0)), (1.0, 1.0, 1.0), "ms_lesion_shapes"))
    return found
