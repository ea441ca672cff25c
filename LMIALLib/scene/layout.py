"""The three views of a case as a layout of Slicer's: baseline, follow-up and difference side by side, one view group.

The views have tags of our own: Red, Yellow and Green stay as the user left them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from xml.sax.saxutils import escape

LAYOUT = 2507
"""Number of the layout; Slicer's own stay below 1000."""
GROUP = 2507
"""View group: what is linked in it moves no view of the user's."""
TAGS = {"baseline": "LMIALBaseline", "follow_up": "LMIALFollowUp", "difference": "LMIALDifference"}
"""View name to the singleton tag of its slice node."""
_SHOWN = {
    "baseline": ("P", "#9fb6c9"),
    "follow_up": ("C", "#f2b134"),
    "difference": ("D", "#8a8a8a"),
}
"""Label and colour of a view's bar, which has room for a letter or two."""


def layout_xml(*, prior_left: bool = True) -> str:
    """The layout's description for a vtkMRMLLayoutNode; ``prior_left``: whether the baseline stands at the left."""
    visits = ("baseline", "follow_up") if prior_left else ("follow_up", "baseline")
    items = "".join(_item(name) for name in (*visits, "difference"))
    return f'<layout type="horizontal" split="true">{items}</layout>'


def _item(name: str) -> str:
    label, colour = _SHOWN[name]
    properties = (("orientation", "Axial"), ("viewlabel", label), ("viewcolor", colour), ("viewgroup", str(GROUP)))
    inner = "".join(f'<property name="{key}" action="default">{escape(value)}</property>' for key, value in properties)
    return f'<item><view class="vtkMRMLSliceNode" singletontag="{TAGS[name]}">{inner}</view></item>'


def add_layout(layout_node: Any, *, prior_left: bool = True) -> None:
    """Make the layout known to a vtkMRMLLayoutNode; the layout that is shown stays until ``SetViewArrangement``."""
    xml = layout_xml(prior_left=prior_left)
    if layout_node.IsLayoutDescription(LAYOUT):
        layout_node.SetLayoutDescription(LAYOUT, xml)
    else:
        layout_node.AddLayoutDescription(LAYOUT, xml)


def unlink(composite_nodes: Sequence[Any]) -> None:
    """Let no view hand its volumes on to another: each of ours shows its own, and the workspace moves them together."""
    for node in composite_nodes:
        node.SetLinkedControl(0)
        node.SetHotLinkedControl(0)
