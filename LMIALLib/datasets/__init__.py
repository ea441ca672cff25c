"""Data-set layouts: where the scans, masks and truths of a data set lie. One file a layout; each lists its cases.

To add one, write a `Layout` in a file of its own and name it in `LAYOUTS`; or in a package of your own, and name it as
an entry point of the group ``lmial.layouts``.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path

from LMIALLib.datasets.bids import BIDS
from LMIALLib.datasets.csv_table import CSV
from LMIALLib.datasets.layout import Layout, LayoutCase, Listing, Remark
from LMIALLib.datasets.msseg2 import MSSEG2
from LMIALLib.datasets.open_ms import OPEN_MS
from LMIALLib.errors import WrongUse
from LMIALLib.installed import Group

LAYOUTS = {layout.name: layout for layout in (BIDS, MSSEG2, OPEN_MS, CSV)}
INSTALLED = Group("lmial.layouts", "layout", Layout)
"""What installed packages bring."""

__all__ = ["LAYOUTS", "Layout", "LayoutCase", "Listing", "Remark", "layout_named", "list_cases"]


def layout_named(name: str) -> Layout:
    """The layout of that name, ours or an installed one.

    Raises WrongUse where there is none, and where an installed one cannot be used or has the name of ours.
    """
    installed = INSTALLED.by_name()
    if name in installed:
        return INSTALLED.load(installed[name], taken=LAYOUTS)
    if name not in LAYOUTS:
        raise WrongUse(f"the layout {name!r} is unknown; use one of {', '.join([*LAYOUTS, *installed])}.")
    return LAYOUTS[name]


def list_cases(
    layout: str,
    root: Path,
    *,
    contrast: str | None = None,
    subjects: Collection[str] | None = None,
    order: Sequence[str] | None = None,
) -> Listing:
    """The cases in ``root``.

    Args:
        layout: name of a layout, see `layout_named`.
        root: folder of the data set; for "csv" the table.
        contrast: which scans of a BIDS data set; FLAIR where None.
        subjects: only these; None means all.
        order: names of the sessions of a BIDS data set, earliest first, where neither dates nor names show it.

    Raises WrongUse for an unknown layout, a contrast or an order where the layout takes none, BadInput where ``root``
    is not of the layout or a subject is not there.
    """
    found = layout_named(layout)
    takers = ", ".join(one.name for one in LAYOUTS.values() if "contrast" in one.takes)
    if contrast is not None and "contrast" not in found.takes:
        raise WrongUse(f"a contrast is chosen in the layout {takers} only, not in {layout}.")
    if order is not None and "order" not in found.takes:
        raise WrongUse(f"an order of sessions is given in the layout {takers} only, not in {layout}.")
    chosen = {"contrast": contrast, "order": order}
    listing = found.cases(Path(root), **{name: value for name, value in chosen.items() if value})
    return listing if subjects is None else listing.of(subjects)
