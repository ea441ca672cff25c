"""Where the files that LMIAL brings along lie: ``Resources/`` in a checkout, ``LMIALLib/_resources/`` in a wheel."""

from __future__ import annotations

from pathlib import Path


def resource(*parts: str) -> Path:
    """Path of a bundled file, for example ``resource("Weights", "change.safetensors")``.

    Raises FileNotFoundError naming both places when neither holds it.
    """
    here = Path(__file__).resolve().parent
    places = [here / "_resources", here.parent / "Resources"]
    for place in places:
        found = place.joinpath(*parts)
        if found.exists():
            return found
    raise FileNotFoundError(f"{'/'.join(parts)} is in neither {places[0]} nor {places[1]}")
