"""Memory and CPU time of preparing a pair, by its size: python Testing/Benchmarks/preparing_memory.py [COUNTS ...].

Each size is prepared in a process of its own, one after the other, from two files (gzip-compressed NIfTI, int16) of a
synthetic head, moved and scaled between the visits. Memory is the most that the process ever held less what it held
once everything was imported, CPU time is that of all its threads. COUNTS are sizes such as 256x256x180. The code that
is measured is that of PYTHONPATH, so that an older checkout can be measured by this file too.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

SIZES = ("256x256x180", "512x512x300", "512x512x400")
EXTENT_MM = (170.0, 205.0, 160.0)
MOVED_MM = (3.0, -2.0, 1.5)
TURNED_DEGREES = 3.0


def head() -> np.ndarray:
    """A head with scalp, dark skull, folded brain and ventricles on 2 mm voxels, float32 (k, j, i)."""
    from scipy.ndimage import gaussian_filter

    shape = tuple(round(length / 2.0) for length in EXTENT_MM[::-1])
    z, y, x = np.meshgrid(*(2.0 * (np.arange(n) - (n - 1) / 2) for n in shape), indexing="ij")
    folds = gaussian_filter(np.random.default_rng(0).standard_normal(shape), 3.0)
    folds /= folds.std()

    def inside(a: float, b: float, c: float) -> np.ndarray:
        return np.asarray((x / a) ** 2 + (y / b) ** 2 + (z / c) ** 2 <= 1)

    brain = inside(60, 74, 58)
    grey = np.zeros(shape, np.float32)
    grey[inside(76, 92, 74)] = 130
    grey[inside(70, 85, 67)] = 20
    grey[brain] = 300
    grey[brain & (folds > 0.3)] = 250
    grey[(brain & (folds < -1.3)) | inside(8, 22, 12)] = 80
    return grey


def make(size: tuple[int, ...], folder: Path) -> None:
    """Write both visits of the head with ``size`` voxels (i, j, k)."""
    import SimpleITK as sitk

    coarse = sitk.GetImageFromArray(head())
    coarse.SetSpacing((2.0, 2.0, 2.0))
    coarse.SetOrigin([-length / 2 for length in EXTENT_MM])
    turned = sitk.Euler3DTransform((0, 0, 0), 0, 0, np.radians(TURNED_DEGREES), MOVED_MM)
    spacing = [length / count for length, count in zip(EXTENT_MM, size, strict=True)]
    for seed, (name, transform, gain) in enumerate(
        (("baseline", turned, 2.5), ("follow_up", sitk.Transform(3, sitk.sitkIdentity), 1.0))
    ):
        fine = sitk.Resample(
            coarse, size, transform, sitk.sitkLinear, coarse.GetOrigin(), spacing, coarse.GetDirection(), 0.0
        )
        grey, rng = sitk.GetArrayFromImage(fine), np.random.default_rng(seed)
        for plane in grey:
            plane += rng.normal(0, 4, plane.shape)
        image = sitk.GetImageFromArray(np.maximum(gain * grey, 0).astype(np.int16))
        image.CopyInformation(fine)
        sitk.WriteImage(image, str(folder / f"{name}.nii.gz"), True, 1)


def most_held() -> float:
    """The most bytes that this process ever held."""
    try:
        status = Path("/proc/self/status").read_text(encoding="ascii")
        return 1024.0 * float(next(line.split()[1] for line in status.splitlines() if line.startswith("VmHWM")))
    except (OSError, StopIteration):  # ru_maxrss would count the process that started this one, but exists elsewhere
        return float(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss) * (1 if sys.platform == "darwin" else 1024)


def measure(folder: Path) -> None:
    """Prepare the pair in ``folder`` and print what it took, as JSON."""
    import nrrd  # noqa: F401
    import scipy.ndimage
    import scipy.optimize
    import scipy.spatial.transform  # noqa: F401
    import SimpleITK as sitk  # noqa: F401

    from LMIALLib.pairs.prepare import prepare
    from LMIALLib.pairs.request import PairRequest

    before, begun = most_held(), sum(os.times()[:2])
    pair = prepare(PairRequest(folder / "baseline.nii.gz", folder / "follow_up.nii.gz"), folder / "case")
    print(
        json.dumps(
            {
                "bytes": most_held() - before,
                "seconds": sum(os.times()[:2]) - begun,
                "quality": pair.registration["quality"],
                "brain_ml": pair.registration["brain"]["millilitres"],
                "matrix": pair.registration["matrix"],
            }
        )
    )


def main(sizes: list[str]) -> None:
    """Print one row a size."""
    print("| voxels | most memory, GB | bytes a voxel | CPU, s | quality | brain, ml |\n|---|---|---|---|---|---|")
    for text in sizes or SIZES:
        size = tuple(int(part) for part in text.split("x"))
        with tempfile.TemporaryDirectory() as name:
            for step in ("make", "measure"):
                done = subprocess.run(
                    [sys.executable, __file__, f"--{step}", text, name], stdout=subprocess.PIPE, text=True, check=True
                )
        found = json.loads(done.stdout)
        print(
            f"| {' x '.join(map(str, size))} | {found['bytes'] / 1e9:.2f} | {found['bytes'] / np.prod(size):.0f} |"
            f" {found['seconds']:.0f} | {found['quality']:.3f} | {found['brain_ml']:.0f} |",
            flush=True,
        )


if __name__ == "__main__":
    if len(sys.argv) == 4 and sys.argv[1] == "--make":
        make(tuple(int(part) for part in sys.argv[2].split("x")), Path(sys.argv[3]))
    elif len(sys.argv) == 4 and sys.argv[1] == "--measure":
        measure(Path(sys.argv[3]))
    else:
        main(sys.argv[1:])
