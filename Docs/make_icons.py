"""Draw the extension's icon and the thumbnail of the sample pair: ``python Docs/make_icons.py``."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.patches import Circle, Ellipse
from PIL import Image

from LMIALLib.desktop.sample_data import make_pair

PROJECT = Path(__file__).resolve().parents[1]
ICONS = PROJECT / "Resources" / "Icons"
PRIOR, CURRENT, CHANGE = "#8fa3b8", "#1f4e79", "#f28c28"


def draw_icon(path: Path) -> None:
    """Two heads, the prior behind the current one, and the one spot that changed: 128 x 128, clear around."""
    figure = plt.figure(figsize=(1.28, 1.28), dpi=100)
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set(xlim=(0, 128), ylim=(0, 128))
    axes.axis("off")
    axes.add_patch(Ellipse((48, 64), 76, 104, facecolor=PRIOR, edgecolor="white", linewidth=1.5))
    axes.add_patch(Ellipse((78, 64), 80, 108, facecolor=CURRENT, edgecolor="white", linewidth=2.5))
    for side in (-1, 1):  # ventricles
        axes.add_patch(Ellipse((78 + 8 * side, 60), 8, 34, angle=-12 * side, facecolor="#0e2a44", edgecolor="none"))
    axes.add_patch(Circle((97, 86), 7.5, facecolor=CHANGE, edgecolor="none"))
    axes.add_patch(Circle((97, 86), 13.5, facecolor="none", edgecolor=CHANGE, linewidth=2.5))
    figure.savefig(path, transparent=True)
    plt.close(figure)


def draw_thumbnail(path: Path) -> None:
    """Baseline beside follow-up of the sample pair, one slice each: 260 x 280."""
    import SimpleITK as sitk

    with tempfile.TemporaryDirectory() as folder:
        slices = [_slice(sitk.GetArrayFromImage(sitk.ReadImage(str(file)))) for file in make_pair(Path(folder))]
    figure = plt.figure(figsize=(2.6, 2.8), dpi=100, facecolor="black")
    for number, (image, title) in enumerate(zip(slices, ("PRIOR", "CURRENT"), strict=True)):
        axes = figure.add_axes((0.5 * number, 0.0, 0.5, 0.88))
        axes.imshow(image, cmap="gray", vmin=0, vmax=np.percentile(image, 99.7))
        axes.axis("off")
        axes.set_title(title, color="white", fontsize=9)
    figure.savefig(path)
    plt.close(figure)


def _slice(volume: np.ndarray) -> np.ndarray:
    """A slice (j, i) somewhat above the middle of a volume (k, j, i), cut to the head's width."""
    image = volume[int(0.55 * len(volume))]
    columns = np.flatnonzero((image > 0.2 * np.percentile(image, 99)).mean(axis=0) > 0.02)
    return image[:, columns[0] : columns[-1] + 1]


def main() -> None:
    """Write LMIAL.png, its copy among the resources, and the thumbnail; few colours, few bytes."""
    ICONS.mkdir(parents=True, exist_ok=True)
    draw_icon(PROJECT / "LMIAL.png")
    shutil.copyfile(PROJECT / "LMIAL.png", ICONS / "LMIAL.png")
    thumbnail = ICONS / "LMIALSample.png"
    draw_thumbnail(thumbnail)
    with Image.open(thumbnail) as full:
        reduced = full.convert("RGB").quantize(128)
    reduced.save(thumbnail, optimize=True)


if __name__ == "__main__":
    main()
