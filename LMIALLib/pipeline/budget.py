"""How many slices a reader is to read, from what a person writes: ``5%`` of a study, or a count."""

from __future__ import annotations

import re

from LMIALLib.errors import BadInput, Do, Step

HINT = "Give a share of the study's slices, as 5%, or a number of slices, as 40."


def slices_of(budget: str, total: int) -> int:
    """The number of slices that a budget means, rounded down but 1 at least.

    Args:
        budget: a share, "5%" or "2.5 %", above 0 % and below 100 %; or a count, from 1 up.
        total: slices of the study.

    Raises BadInput for anything else, and for a count that takes in the whole study.
    """
    found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*(%?)\s*", budget)
    if found is None:
        raise BadInput(f"the budget {budget!r} is neither a share nor a count.", HINT)
    number, share = float(found[1]), bool(found[2])
    if not share and not number.is_integer():
        raise BadInput(f"the budget {budget!r} is no whole number of slices.", HINT)
    if number <= 0:
        raise BadInput(f"a budget of {budget.strip()} is no slice at all.", HINT)
    if number >= (100 if share else total):
        raise BadInput(
            f"a budget of {budget.strip()} takes in the whole study ({total} slices), so there is nothing to choose.",
            "Annotate the study to read everything.",
            Step(Do.ANNOTATE),
        )
    return max(1, int(number * total / 100)) if share else int(number)
