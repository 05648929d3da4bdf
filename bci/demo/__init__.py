"""`bci demo`: the simulated subject calibrates and spells, with no hardware, on a virtual clock.

Everything but the person is the real engine: the same pipeline, decoder,
training, recorder and verification as in a live session. Time is counted in
samples, so the demo runs as fast as the machine allows and gives the same
decisions for the same seed.

`story`: what happens, and what is said about it. `virtual`: the session that
it happens in. `folder`: the files that it leaves.
"""

from bci.demo.story import Demo

__all__ = ["Demo"]
