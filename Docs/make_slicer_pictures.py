"""Makes the README's pictures of the module in desktop Slicer from the screenshots of its suite.

LMIAL_SCREENSHOTS=shots Slicer --no-splash --testing --python-script Testing/Slicer/run.py
python Docs/make_slicer_pictures.py shots
"""

from __future__ import annotations

import sys
from pathlib import Path

from PIL import Image

PICTURES = Path(__file__).parent / "pictures"
WANTED = {
    "chosen": "slicer-start",
    "query-suggestion": "slicer",
    "painted": "slicer-painted",
    "queue-and-lesions": "slicer-lists",
}
"""Name of a screenshot, without its number, to the name of the picture."""
WIDTH = 1200


def main(folder: Path) -> None:
    """Shrink the wanted screenshots to a size that a page loads quickly."""
    for shot in sorted(folder.glob("*.png")):
        name = WANTED.get(shot.stem.partition("-")[2])
        if name is not None:
            with Image.open(shot) as picture:
                size = WIDTH, round(picture.height * WIDTH / picture.width)
                small = picture.convert("RGB").resize(size, Image.Resampling.LANCZOS)
            small.save(PICTURES / f"{name}.jpg", quality=88, optimize=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
