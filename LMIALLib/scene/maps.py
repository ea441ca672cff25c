"""The suggestion and the uncertainty over the images: which maps belong to the slice at hand, and when to show them."""

from __future__ import annotations

from typing import Any

import numpy as np

from LMIALLib.scene.screen import Screen
from LMIALLib.scene.viewing import Viewing


class Maps:
    """What is shown of the network's maps.

    Args:
        screen: what is on the screen.
        viewing: draws it again.
    """

    def __init__(self, screen: Screen, viewing: Viewing) -> None:
        self._screen, self._viewing = screen, viewing
        self._overlaid: tuple[Any, ...] = ()

    @property
    def withheld(self) -> frozenset[int]:
        """Slices of the case on the screen whose maps may not be shown yet, in whatever form."""
        session, case = self._screen.session, self._screen.opened().case
        here = session.current
        random = here is not None and here.case == case and here.query is not None and here.query.drawn == "random"
        return session.suggestions.withheld(case) | ({here.slice} if random and here is not None else frozenset())

    def update(self) -> None:
        """Show the maps that belong to the slice at hand; no maps of slices that may not be shown yet."""
        session, opened = self._screen.session, self._screen.opened()
        withheld, own = self.withheld, self._screen.tools.own_map
        here, suggestions = session.current, session.suggestions
        maps = None if here is None else suggestions.network_maps(here) if own else suggestions.maps(here)
        study, case = session.study, opened.case
        lesions = study.lesion_answers.highest_id()
        key = (self._viewing.pair_shown, maps.ranking if maps else None, withheld, own, lesions)
        if key == self._overlaid:
            return
        self._overlaid = key
        if maps is None:
            opened.overlays.clear()
        else:
            probability = maps.probability if own else study.lesion_answers.laid_over(case, maps.probability)
            opened.overlays.show(probability, maps.uncertainty, withheld)

    def outline(self, before: np.ndarray, after: np.ndarray) -> None:
        """Show another outline of a suggested lesion, both bool (k, j, i), until the maps are shown anew."""
        self._screen.opened().overlays.outline(before, after)
        self.show(True)

    def show(self, on: bool) -> None:
        """Show suggestion and uncertainty, or clean images again; the first look is noted in the answer."""
        self._screen.tools.showing = on
        if on:
            self._look_at_suggestion()
        self._viewing.redraw()

    def show_always(self, on: bool) -> None:
        """Keep suggestion and uncertainty shown on every slice, or only while the key is held."""
        self._screen.tools.always = on
        self.show(False)
        if on:
            self._look_at_suggestion()

    def flip_own_map(self) -> None:
        """Show the network's own suggestion, without what was learnt of this patient, or that of the head again."""
        tools = self._screen.tools
        tools.own_map = not tools.own_map
        if self._screen.open is not None:
            self.update()
        self._screen.say(
            "info", "The network's own suggestion." if tools.own_map else "What was learnt here counts again."
        )
        self._viewing.redraw()

    def _look_at_suggestion(self) -> None:
        """Note in the answer to come that the suggestion was seen; where there is none to see, say why."""
        session = self._screen.session
        here = session.current
        if here is None or session.suggestion() is not None:
            return
        self._screen.say(
            "info",
            "Chosen at random: the suggestion stays hidden until you have answered."
            if here.slice in session.suggestions.withheld(here.case)
            else "The network has made no suggestion yet.",
        )
