"""Data-set layouts: where the scans, masks and truths of a data set lie. One file a layout; each lists its cases."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import Any

from LMIALLib.datasets.bids import bids_cases
from LMIALLib.datasets.csv_table import csv_cases
from LMIALLib.datasets.layout import LayoutCase, Listing, Remark
from LMIALLib.datasets.msseg2 import msseg2_cases
from LMIALLib.datasets.open_ms import open_ms_cases
from LMIALLib.errors import WrongUse

LAYOUTS: dict[str, Callable[..., Listing]] = {
    "bids": bids_cases,
    "msseg2": msseg2_cases,
    "open-ms": open_ms_cases,
    "csv": csv_cases,
}

__all__ = ["LAYOUTS", "LayoutCase", "Listing", "Remark", "list_cases"]


def list_cases(
    layout: str,
    root: Path,
    *,
    contrast: str | None = None,
    subjects: Collection[str] | None = None,
    order: Sequence[str] | None = None,
) -> Listing:
    """What lies in ``root``.

    Args:
        layout: a name in LAYOUTS.
        root: folder of the data set; for "csv" the table.
        contrast: which scans of a BIDS data set; FLAIR where None.
        subjects: only these; None means all.
        order: names of the sessions of a BIDS data set, earliest first, where neither dates nor names tell.

    Raises WrongUse for an unknown layout, a contrast or an order where the layout has one only, BadInput where ``root``
    is not of the layout or a subject is not there.
    """
    if layout not in LAYOUTS:
        raise WrongUse(f"the layout {layout!r} is unknown; use one of {', '.join(LAYOUTS)}.")
    if contrast is not None and layout != "bids":
        raise WrongUse(f"a contrast is chosen in the layout bids only, not in {layout}.")
    if order is not None and layout != "bids":
        raise WrongUse(f"an order of sessions is given in the layout bids only, not in {layout}.")
    chosen: dict[str, Any] = {"contrast": contrast, "order": order}
    listing = LAYOUTS[layout](Path(root), **{name: value for name, value in chosen.items() if value})
    return listing if subjects is None else listing.of(subjects)
