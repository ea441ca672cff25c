"""The delivered label of a pair as a file, with a map of where it comes from, and its provenance."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from LMIALLib.adaptation.answers import SliceAnswer, delivered_label, gathered
from LMIALLib.adaptation.patient import THRESHOLD
from LMIALLib.errors import WrongUse, disk_errors
from LMIALLib.files import written_whole
from LMIALLib.library.one_pair import File, adapt
from LMIALLib.network.predicted import Prediction
from LMIALLib.pairs.pair import Pair
from LMIALLib.pairs.storage import write_image
from LMIALLib.version import __version__

SUFFIXES = (".nii.gz", ".nii", ".nrrd")
ORIGINS = {0: "suggested", 1: "read", 2: "equivocal"}
"""Where a voxel of the delivered label comes from."""


def export(pair: Pair, prediction: Prediction, answers: Sequence[SliceAnswer], file: File) -> tuple[Path, ...]:
    """Write the delivered label: slices that were read as they were read, all others as the head suggests.

    Args:
        pair, prediction, answers: as in `adapt`.
        file: NIfTI or NRRD by its suffix, in a folder that is made where it is missing.

    Writes three files: the label (uint8 on the pair's grid: 0 no change, 1 change); beside it ``-origin``, which says
    of each voxel where it comes from (0 suggested, 1 read, 2 equivocal); and the provenance as JSON.

    Returns their paths. Raises WrongUse for another suffix, BadInput where the disk refuses.

    Example:
        >>> [path.name for path in export(pair, prediction, answers, "label.nii.gz")]
        ['label.nii.gz', 'label-origin.nii.gz', 'label.nii.gz.json']
    """
    file = Path(file)
    suffix = next((one for one in SUFFIXES if file.name.endswith(one)), None)
    if suffix is None:
        raise WrongUse(f"the label cannot be written as {file.name}; use one of {', '.join(SUFFIXES)}.")
    learnt, known = adapt(pair, prediction, answers), gathered(answers)
    label, origin = delivered_label(learnt.maps.probability >= THRESHOLD, known)
    about = {
        "what": "delivered",
        "slices_read": sorted(known.read),
        "slices": pair.n_slices,
        "slice_axis": pair.axis,
        "values": {"0": "no change", "1": "change"},
        "origins": {str(value): word for value, word in ORIGINS.items()},
        "pair": {"digest": pair.digest(), "grid": pair.grid.to_dict()},
        "prediction": prediction.conditions,
        "head": None if learnt.head is None else {**learnt.head.facts, "digest": learnt.head.digest},
        "estimate": asdict(learnt.estimate),
        "lmial": __version__,
    }
    paths = (
        file,
        file.with_name(f"{file.name.removesuffix(suffix)}-origin{suffix}"),
        file.with_name(f"{file.name}.json"),
    )
    with disk_errors(f"exporting to {file}"):
        file.parent.mkdir(parents=True, exist_ok=True)
        with written_whole(paths[0]) as first, written_whole(paths[1]) as second, written_whole(paths[2]) as third:
            third.write_text(json.dumps(about, indent=1), encoding="utf-8")
            write_image(first, pair.unstack(label), pair.grid)
            write_image(second, pair.unstack(origin), pair.grid)
    return paths
