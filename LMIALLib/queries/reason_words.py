"""Words for a reader, from the terms of a slice: what an aggregation or a choice used, beyond the map that is shown.

Each function returns "" where the terms lack what it describes, as for a slice that was drawn at random.
"""

from __future__ import annotations

from collections.abc import Mapping

UNLIKE, ALIKE = 1.5, 0.5
"""From so many times the typical distance to anything labelled a slice is called unlike it; up to the second, alike."""

MORE, LESS = 1.25, 0.8
"""From so many times the expected errors on a slice's neighbours they are called more; up to the second, less."""

Terms = Mapping[str, float]


def novelty(terms: Terms) -> str:
    """How near the nearest labelled slice is for this pool; empty when it is as usual or nothing is labelled."""
    typical = terms.get("typical_distance", 0.0)
    if typical <= 0.0:
        return ""
    if terms["distance"] >= UNLIKE * typical:
        return "unlike anything labelled so far"
    return "much like a labelled slice" if terms["distance"] <= ALIKE * typical else ""


def seconds(terms: Terms) -> str:
    """Predicted reading time."""
    return f"about {terms['seconds']:.0f} s to read"


def expected_error(terms: Terms) -> str:
    """How much of the suggestion is expected to be wrong on a slice, where, and whether answers nearby changed that."""
    wrong = max(round(terms.get("expected_error", terms["score"])), 1)
    spots = int(terms.get("spots", 0))
    where = f", in {spots} spot{'s' if spots > 1 else ''}" if spots else ""
    nearby = terms.get("nearby", 1.0)
    found = "more" if nearby >= MORE else "less" if nearby <= LESS else ""
    after = f"; {found} than expected was wrong nearby" if found else ""
    return f"about {wrong} voxel{'s' if wrong > 1 else ''} of the suggestion may be wrong{where}{after}"


def expected_dice(terms: Terms) -> str:
    """How well the passes agree."""
    return f"expected Dice {terms['expected_dice']:.2g}"


def predicted_loss(terms: Terms) -> str:
    """The loss that the trained head predicts."""
    return f"predicted loss {terms['learned']:.2g}"


def unlike(terms: Terms) -> str:
    """The probability that a slice is none of the labelled ones, by the discriminator."""
    return f"unlike the labelled slices with probability {terms['learned']:.2g}"


def farthest(terms: Terms) -> str:
    """Core-set."""
    return f"{novelty(terms) or 'differs most from the slices in the queue so far'} (distance {terms['distance']:.2g})"


def at_random(terms: Terms) -> str:
    """Random, where it is no fair draw because the slice was skipped before."""
    return "chosen at random"


def foreground_random(terms: Terms) -> str:
    """Foreground-aware random: from which slices this one was drawn."""
    if "among_foreground" not in terms:
        return ""
    return "chosen at random" + (" among slices that show signs of change" if terms["among_foreground"] else "")


def turn(terms: Terms) -> str:
    """Class-stratified: for which class the slice was chosen."""
    if "turn" not in terms:
        return ""
    return ("most uncertain", "most uncertain of change")[int(terms["turn"])]


def selective_turn(terms: Terms) -> str:
    """Selective: by which of its two means the slice was chosen."""
    if "turn" not in terms:
        return ""
    return ("most uncertain where change may be", "most uncertain near the border of change")[int(terms["turn"])]


def drawn_batch(terms: Terms) -> str:
    """Stochastic batches."""
    return "in the most uncertain of several random batches" if "batch_score" in terms else ""


def group(terms: Terms) -> str:
    """Clusters: how many slices are like this one."""
    if "group" not in terms:
        return ""
    size = int(terms["group"])
    return f"typical of a group of {size} slices" if size > 1 else "like no other slice"


def unlabelled_group(terms: Terms) -> str:
    """TypiClust: the same, and how many of them are labelled."""
    return f"{group(terms)}, {int(terms['labelled_in_group'])} of them read or queued" if "group" in terms else ""


def shortlisted_group(terms: Terms) -> str:
    """Cluster-margin: how many of the shortlisted slices lie in the same cluster."""
    return f"one of {int(terms['group'])} such slices among the least certain" if "group" in terms else ""


def apart(terms: Terms) -> str:
    """K-means on BALD: how far from what was chosen with it."""
    return "among the most uncertain, and unlike the rest of its batch" if "batch_distance" in terms else ""


def gradient(terms: Terms) -> str:
    """BADGE."""
    if "gradient_distance" not in terms:
        return ""
    return (
        f"drawn by how much and how differently it would change the network (distance {terms['gradient_distance']:.2g})"
    )


def cover(terms: Terms) -> str:
    """Maximum cover."""
    return "resembles many slices that nothing read or queued resembles as much" if "cover_gain" in terms else ""


def ball(terms: Terms) -> str:
    """ProbCover: which share of all slices it represents."""
    if "covered_share" not in terms:
        return ""
    return f"represents {100 * terms['covered_share']:.0f} % of the slices, none of them represented so far"


def dissimilar(terms: Terms) -> str:
    """Hybrid."""
    return "among the most uncertain, and least like what was read or queued" if "similarity" in terms else ""
