"""When a session compares decoders: after which numbers of cued blocks."""

from __future__ import annotations

from collections.abc import Iterator
from math import ceil

#: Cued blocks before the first look: two to train on, one to judge.
FEWEST_BLOCKS = 3
#: The next look waits for so many times the blocks: each look makes later ones stricter.
GROWTH = 4 / 3


def own_looks() -> Iterator[int]:
    """Numbers of blocks after which a session looks by itself, endless."""
    n_blocks = FEWEST_BLOCKS
    while True:
        yield n_blocks
        n_blocks = ceil(n_blocks * GROWTH)
