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

from LMIALLib.adaptation.inputs import HeadInputs
from LMIALLib.cohorts.backgrounds import background_of, with_lesions
from LMIALLib.cohorts.lesions import LesionCounts
from LMIALLib.cohorts.shapes import LesionShape, softened
from LMIALLib.datasets.open_ms_patient import open_ms_pair
from LMIALLib.errors import BadInput
from LMIALLib.files import written_whole
from LMIALLib.laboratory.synthetic_data.cohort import CohortSettings
from LMIALLib.laboratory.synthetic_data.effects import Strengths
from LMIALLib.laboratory.synthetic_data.heads import RealHead, read_real_head
from LMIALLib.laboratory.synthetic_data.histories import real_history
from LMIALLib.laboratory.synthetic_data.scanning import History, ScannedPair, scan
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
KINDS = ("longitudinal", "isotropic", "mslesseg-P18", "mslesseg-P39", "niivue", "isles22", "label-map")
CACHE = Path("build") / "finish"
THICK = 3
"""Slices of 1 mm that become one."""
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


def real_pair(root: Path, patient: str, cache: Path = CACHE) -> FinishPair:
    """A patient of open-ms, predicted with weights that never saw it. Raises BadInput where they may have."""
    weights = Path("Testing/Weights") / f"without-{patient}.safetensors"
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
        truth = _array(files["truth"]) > 0
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
    head, other = _head(data, kind, rng, seed)
    history = real_history(head, counts, _shapes(data, rng), rng)
    if other is not None:
        history = _second_contrast(history, head, other)
    return scan(history, Strengths(), rng)


def _second_contrast(history: History, head: RealHead, other: np.ndarray) -> History:
    """The later visit with the tissues of another drawing, where nothing was painted."""
    from dataclasses import replace

    volume = head.background.volume
    zero, white = float(volume.min()), head.background.white
    difference = (other - volume) / (white - zero) * (1.0 - history.lesion_after)
    return replace(history, after=np.maximum(history.after + difference, 0.0).astype(np.float32))


def _head(data: Path, kind: str, rng: np.random.Generator, seed: int) -> tuple[RealHead, np.ndarray | None]:
    """A head of a kind; of a label map also a second drawing of its tissues, scaled like the first."""
    ms = data / "open_ms"
    if kind == "longitudinal":
        return read_real_head(ms, "longitudinal/patient04", "study1_FLAIR.nii.gz", (), seed), None
    if kind == "label-map":
        return _label_map_head(data / "synthseg" / f"training_seg_{1 + seed % 20:02d}.nii.gz", rng, seed)
    lesions = None
    if kind == "isotropic":
        volume = _array(ms / "cross_sectional_MNI/patient07/FLAIR.nii.gz")
        lesions = _array(ms / "cross_sectional_MNI/patient07/lesions.nii.gz") > 0
    elif kind == "niivue":
        volume = _array(data / "single_flair/niivue/FLAIR.nii.gz")
    elif kind == "isles22":
        volume = _array(next((data / "single_flair/isles22").glob("*.nii.gz")))
        volume = volume.reshape(volume.shape[0], volume.shape[1] // 2, 2, -1, 2).mean(axis=(2, 4))
        return _made_head(kind, volume, None, (5.0, 0.9, 0.9), seed), None
    else:
        patient = kind.split("-")[1]
        volume = _array(data / "mslesseg" / f"{patient}_T1_FLAIR.nii.gz")
        lesions = _array(data / "mslesseg" / f"{patient}_T1_MASK.nii.gz") > 0
    return _made_head(
        kind, _thick(volume), None if lesions is None else _thick(lesions) > 0.5, (3.0, 1.0, 1.0), seed
    ), None


def _thick(volume: np.ndarray) -> np.ndarray:
    """Every `THICK` slices averaged into one, float32."""
    count = volume.shape[0] // THICK
    return volume[: count * THICK].reshape(count, THICK, *volume.shape[1:]).mean(axis=1, dtype=np.float32)


def _made_head(
    kind: str, volume: np.ndarray, lesions: np.ndarray | None, spacing: tuple[float, float, float], seed: int
) -> RealHead:
    """A stripped head; arrays (k, j, i) with k from feet to head."""
    from scipy.ndimage import binary_closing, binary_fill_holes

    shown = volume > 0.02 * np.percentile(volume, 99)
    brain = np.stack([binary_fill_holes(binary_closing(plane, iterations=2)) for plane in shown])
    background = background_of(kind, volume, brain, spacing[0], spacing[1], seed=seed)
    if lesions is not None:
        background = with_lesions(background, lesions, seed)
    return RealHead(background, _grid(volume.shape, spacing), np.zeros_like(brain), True)


def _grid(shape: tuple[int, ...], spacing: tuple[float, float, float]) -> Grid:
    size = (shape[2], shape[1], shape[0])
    return Grid(size, (spacing[2], spacing[1], spacing[0]), (0.0, 0.0, 0.0), tuple(np.eye(3).ravel()))  # type: ignore[arg-type]


WHITE, GREY = (2, 41, 7, 46, 16, 28, 60, 10, 49), (3, 42, 8, 47, 11, 50, 12, 51, 13, 52, 17, 53, 18, 54, 26, 58)
FLUID = (4, 43, 5, 44, 14, 15, 24)


def _label_map_head(path: Path, rng: np.random.Generator, seed: int) -> tuple[RealHead, np.ndarray]:
    """A FLAIR-like head drawn twice from a label map: grey matter 1.0 to 1.16 of white, fluid 0.15 to 0.4."""
    from scipy.ndimage import gaussian_filter

    labels = _array(path).astype(np.int32)
    head = np.flatnonzero((labels > 0).any(axis=(1, 2)))
    labels = labels[head[0] : head[-1] + 1]
    tissue = [np.isin(labels, group) for group in (WHITE, GREY, FLUID)]
    brain = _thick(np.any(tissue, axis=0)) > 0.5
    texture = gaussian_filter(rng.standard_normal(labels.shape).astype(np.float32), 1.0)
    texture *= 0.03 / texture.std()
    visits = []
    for _ in range(2):
        image = np.zeros(labels.shape, np.float32)
        for number in np.unique(labels[labels > 0]):
            image[labels == number] = rng.uniform(0.2, 1.3)  # outside the brain anything may be bright
        for inside, low, high in zip(tissue, (1.0, 1.0, 0.15), (1.0, 1.16, 0.4), strict=True):
            image[inside] = rng.uniform(low, high)
        image = np.where(labels > 0, gaussian_filter(image, 0.6) + texture, 0.0)
        visits.append(_thick(np.maximum(image, 0.0)))
    background = background_of(f"synthseg/{path.stem}", visits[0], brain, 3.0, 1.0, seed=seed)
    slope, offset = np.polyfit(visits[0][brain][::7], background.volume[brain][::7], 1)
    fluid = _thick(np.isin(labels, (4, 43))) > 0.5
    made = RealHead(background, _grid(brain.shape, (3.0, 1.0, 1.0)), fluid, False)
    return made, (slope * visits[1] + offset).astype(np.float32)


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


def _array(path: Path) -> np.ndarray:
    """Voxels (k, j, i), axes turned to run nearest to left, posterior and superior."""
    import SimpleITK as sitk

    return sitk.GetArrayFromImage(sitk.DICOMOrient(sitk.ReadImage(str(path), sitk.sitkFloat32), "LPS"))
