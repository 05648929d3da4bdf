"""What a denoiser learns from, epoch by epoch, mixed anew each time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from bci.denoise.bank import Bank, Epochs
from bci.denoise.mixing import mix

Windows = NDArray[np.float32]


class BankBatches:
    """Random pairs of a bank: each epoch of clean EEG once, with some artifact at some SNR.

    Both are turned upside down, and run backwards, at random: what is EEG and what is not
    depends on neither the polarity of an electrode's reference nor, nearly, on the direction
    of time, and few people's artifacts become more this way.

    Parameters
    ----------
    bank : Bank
        The part to train with.
    artifacts : sequence of str
        Kinds, each in a share of the windows that does not depend on how many there are.
    snr_db : (float, float)
        Uniform between these; EEGdenoiseNet's dB, see `bci.denoise.mixing`.
    batch_size : int
        Windows in a batch; those of an epoch are alike in size, so that none is left with one.
    """

    def __init__(
        self, bank: Bank, artifacts: Sequence[str], snr_db: tuple[float, float], batch_size: int
    ) -> None:
        self.clean = bank.clean
        self.artifacts = [bank.artifact(kind) for kind in artifacts]
        self.snr_db, self.batch_size = snr_db, batch_size

    def __call__(self, rng: np.random.Generator) -> Iterator[tuple[Windows, Windows]]:
        """Batches of one epoch: noisy and clean windows, (B, 1, n_times), µV."""
        for rows in _batches(rng, len(self.clean), self.batch_size):
            clean = _turned(rng, self.clean[rows])
            kinds = rng.integers(len(self.artifacts), size=len(rows))
            drawn = [a[rng.integers(len(a), size=len(rows))] for a in self.artifacts]
            artifact = _turned(rng, np.choose(kinds[:, np.newaxis], drawn))
            noisy = mix(clean, artifact, rng.uniform(*self.snr_db, size=len(rows)))
            yield noisy[:, np.newaxis], clean[:, np.newaxis]


def _batches(rng: np.random.Generator, n: int, batch_size: int) -> list[NDArray[np.intp]]:
    """Numbers below n in random order, in batches alike in size."""
    return np.array_split(rng.permutation(n), -(-n // batch_size))


def _turned(rng: np.random.Generator, epochs: Epochs) -> Epochs:
    """Epochs upside down, and backwards, one in two each."""
    flipped = epochs * rng.choice(np.array([-1.0, 1.0], np.float32), size=(len(epochs), 1))
    backwards = rng.random((len(epochs), 1)) < 0.5
    turned: Epochs = np.where(backwards, flipped[:, ::-1], flipped)
    return turned
