"""Sums modulo 2¹²⁸ of hashes: no order."""

import numpy as np

from engine.compiled import kernel


@kernel
def add_word(total, h):
    """Add a hash to u8[2], low word first."""
    total[0] += h
    if total[0] < h:
        total[1] += np.uint64(1)
