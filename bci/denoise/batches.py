"""What a denoiser learns from, epoch by epoch, mixed anew each time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from bci.denoise.bank import Bank, Epochs, Sources
from bci.denoise.mixing import mix
from bci.denoise.pairs import Pairs

Windows = NDArray[np.float32]


class BankBatches:
    """Random pairs of a bank: as many as it has epochs of clean EEG, at random SNRs.

    Every source is drawn as often as any other, of clean EEG and of an artifact, so that
    nobody decides by the mere length of a recording what is learned. Both are turned upside
    down, and run backwards, at random: what is EEG and what is not depends neither on the
    polarity of an electrode's reference nor, nearly, on the direction of time, and few
    people's artifacts become more this way.

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
        self.clean = _Even(bank.clean, bank.clean_sources)
        self.artifacts = [_Even(bank.artifact(k), bank.artifacts[k][1]) for k in artifacts]
        self.snr_db, self.batch_size = snr_db, batch_size

    def __call__(self, rng: np.random.Generator) -> Iterator[tuple[Windows, Windows]]:
        """Batches of one epoch: noisy and clean windows, (B, 1, n_times), µV."""
        for size in _sizes(len(self.clean.epochs), self.batch_size):
            clean = _turned(rng, self.clean.draw(rng, size))
            kinds = rng.integers(len(self.artifacts), size=(size, 1))
            drawn = [artifact.draw(rng, size) for artifact in self.artifacts]
            artifact = _turned(rng, np.choose(kinds, drawn))
            noisy = mix(clean, artifact, rng.uniform(*self.snr_db, size=size))
            yield noisy[:, np.newaxis], clean[:, np.newaxis]


class _Even:
    """Epochs, each source drawn as often as any other."""

    def __init__(self, epochs: Epochs, sources: Sources) -> None:
        self.epochs = epochs
        _, of, counts = np.unique(sources, return_inverse=True, return_counts=True)
        self.chances = 1.0 / (len(counts) * counts[of])

    def draw(self, rng: np.random.Generator, n: int) -> Epochs:
        return self.epochs[rng.choice(len(self.epochs), n, p=self.chances)]


class PairBatches:
    """Pairs of recordings, varied anew each time; see `bci.denoise.pairs.Pairs.varied`.

    Parameters
    ----------
    pairs : Pairs
        Those to train with.
    batch_size : int
        As in `BankBatches`.
    n_epoch : int or None
        How many of them are drawn for an epoch; None: all.
    """

    def __init__(self, pairs: Pairs, batch_size: int, n_epoch: int | None = None) -> None:
        self.pairs, self.batch_size, self.n_epoch = pairs, batch_size, n_epoch

    def __call__(self, rng: np.random.Generator) -> Iterator[tuple[Windows, Windows]]:
        """Batches of one epoch: noisy and clean windows, (B, n_channels, n_times), µV."""
        drawn = rng.permutation(len(self.pairs))[: self.n_epoch]
        varied = self.pairs.rows(drawn).varied(rng)
        order, n_batches = rng.permutation(len(varied)), len(_sizes(len(varied), self.batch_size))
        for rows in np.array_split(order, n_batches):
            yield varied.noisy[rows], varied.clean[rows]


def _sizes(n: int, batch_size: int) -> list[int]:
    """Sizes of batches, alike, which are n together."""
    n_batches = -(-n // batch_size)
    return [n // n_batches + (k < n % n_batches) for k in range(n_batches)]


def _turned(rng: np.random.Generator, epochs: Epochs) -> Epochs:
    """Epochs upside down, and backwards, one in two each."""
    flipped = epochs * rng.choice(np.array([-1.0, 1.0], np.float32), size=(len(epochs), 1))
    backwards = rng.random((len(epochs), 1)) < 0.5
    turned: Epochs = np.where(backwards, flipped[:, ::-1], flipped)
    return turned
