"""What is drawn and not saved: kept as drafts in the study, so that a crash loses nothing."""

from __future__ import annotations

import numpy as np

from LMIALLib.scene.screen import Screen


def keep_draft(screen: Screen) -> None:
    """Keep what is drawn on the slice at hand as a draft on the disk."""
    here = screen.session.current
    screen.measured = None
    screen.views["follow_up"].refresh()
    if here is not None and not screen.watching:
        keep_mask(screen, here.slice, screen.opened().drawing.mask)


def keep_mask(screen: Screen, number: int, mask: np.ndarray) -> None:
    """Keep a mask as a draft of the case at hand; where it is the stored answer or nothing, no draft is kept."""
    answer = screen.answers.get(number)
    known = answer.mask if answer and answer.mask is not None else np.zeros_like(mask)
    if not np.array_equal(mask, known):
        screen.session.draft(mask, number)
        screen.drafts = screen.drafts | {number}
    elif number in screen.drafts:
        screen.session.study.drafts.drop(screen.opened().case, number)
        screen.drafts = screen.drafts - {number}
