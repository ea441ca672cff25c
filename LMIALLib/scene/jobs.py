"""What a reader can have done in the background: ranking, training, registration, another region to search."""

from __future__ import annotations

import numpy as np

from LMIALLib.errors import BadInput
from LMIALLib.loop.settings import BY_DIFFERENCE
from LMIALLib.scene.screen import Screen


class Jobs:
    """Asks the worker; what becomes of it comes through `following.Following`.

    Args:
        screen: what is on the screen.
    """

    def __init__(self, screen: Screen) -> None:
        self._screen = screen

    def rank(self) -> None:
        """Rank what nobody answered."""
        learning = self._screen.session.learning
        if learning.ranking is None or learning.ranking.over:
            learning.request_ranking()

    def rank_by_difference(self) -> None:
        """Rank by how the two scans differ, without the network: for images unlike those that it learned from."""
        self._screen.session.use_strategy(BY_DIFFERENCE)
        self._screen.say("info", "From now on slices are asked for by how the two scans differ, without the network.")
        self.rank()

    def register_again(self, kind: str) -> None:
        """Register the case on the screen again, "rigid" or "affine"."""
        self._screen.session.learning.pairs.register_again(self._screen.opened().case, kind)
        self._screen.say("info", "Registering again; you can go on meanwhile. Your answers stay where they are.")

    def change_region(self, choice: str) -> None:
        """Search another region of the case on the screen: "brain", "everything", or "drawn".

        What is drawn on the slice at hand then counts on every slice.
        """
        opened = self._screen.opened()
        mask = None
        if choice == "drawn":
            if opened.drawing.slice is None or not opened.drawing.mask.any():
                raise BadInput(
                    "Nothing is drawn.", "Draw the region on the slice at hand; it then counts on every slice."
                )
            pair = opened.images.pair
            stack = np.broadcast_to(opened.drawing.mask > 0, (pair.n_slices, *opened.drawing.mask.shape))
            mask = np.ascontiguousarray(np.moveaxis(stack, 0, pair.axis))
        learning = self._screen.session.learning
        learning.pairs.change_region(opened.case, "given" if choice == "drawn" else choice, mask)
        self._screen.say(
            "info", "The region is being changed; you can go on meanwhile. Your answers stay where they are."
        )

    def cancel_training(self) -> None:
        """Stop the running training; it is not begun again by itself."""
        self._screen.session.learning.cancel_training()
        self._screen.say("info", "Training is being cancelled; your answers are kept, and the next save trains again.")
