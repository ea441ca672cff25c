"""How long a place was looked at in desktop Slicer."""

from __future__ import annotations

from LMIALLib.desktop.looks import Looks

VIEWS = ("baseline", "follow_up", "difference")


def test_the_clock_runs_from_the_moment_at_which_every_view_has_drawn_the_place() -> None:
    now = [10.0]
    looks = Looks(lambda: now[0])
    assert looks.now is None
    looks.drawn("baseline", 1, VIEWS)
    looks.drawn("follow_up", 1, VIEWS)
    now[0] = 11.0
    assert looks.now is None
    assert looks.drawn("difference", 1, VIEWS) is None
    now[0] = 11.5
    assert looks.now == (1, 0.5)
    looks.drawn("baseline", 1, VIEWS)  # drawn again: nothing new
    now[0] = 12.0
    looks.drawn("baseline", 2, VIEWS)
    looks.drawn("difference", 2, VIEWS)
    assert looks.now == (1, 1.0)
    assert looks.drawn("follow_up", 2, VIEWS) == (1, 1.0)
    assert looks.now == (2, 0.0)


def test_a_view_that_is_not_on_the_screen_is_not_waited_for() -> None:
    now = [10.0]
    looks = Looks(lambda: now[0])
    looks.drawn("follow_up", 1, ("follow_up",))
    now[0] = 10.4
    number, seconds = looks.now or (0, 0.0)
    assert number == 1 and abs(seconds - 0.4) < 1e-9
