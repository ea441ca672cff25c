"""Which subjects are set aside for validation: decided once when a subject arrives, never changed."""

from __future__ import annotations

import hashlib

BLOCK = 5
"""One subject in every block of five is set aside; a study with fewer subjects sets none aside."""


def split_of(number: int, seed: str) -> str:
    """ "validation" or "train" for the subject that arrives as ``number`` (0-based).

    The first four are for training, because most studies never see a fifth, and a subject that was trained on can never
    validate; so the fifth is set aside. In every later block of five a seeded draw says which one.
    """
    block, place = divmod(number, BLOCK)
    if block == 0:
        chosen = BLOCK - 1
    else:
        chosen = int.from_bytes(hashlib.sha256(f"{seed}:{block}".encode()).digest()[:8], "big") % BLOCK
    return "validation" if place == chosen else "train"
