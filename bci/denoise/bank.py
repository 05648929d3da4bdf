"""Epochs of clean EEG and of artifacts, each with its source, to make training pairs of.

A denoiser is judged on people that it has not learned from, so a bank is split by source:
the clean EEG's and each artifact's.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
from numpy.lib.npyio import NpzFile
from numpy.typing import NDArray
from scipy.signal import resample_poly

from bci.denoise.mixing import mix
from bci.errors import ConfigError

log = logging.getLogger(__name__)

Epochs = NDArray[np.float32]
Sources = NDArray[np.str_]

#: Kinds of artifact that a bank may hold.
ARTIFACTS = ("eog", "emg")

#: Sampling rate of all that EEGdenoiseNet's authors mix, Hz, and length of an epoch, seconds.
SFREQ = 256.0
EPOCH_S = 2.0


@dataclass(frozen=True, eq=False)
class Bank:
    """Epochs to mix.

    Attributes
    ----------
    clean : array, shape (n, n_times), µV, float32
        Of one channel each.
    clean_sources : array of str, shape (n,)
        Whom each epoch is from.
    artifacts : mapping of str to (array (m, n_times), array of str (m,))
        Epochs and sources of each kind of artifact.
    sfreq : float
        Hz.
    """

    clean: Epochs = field(repr=False)
    clean_sources: Sources = field(repr=False)
    artifacts: Mapping[str, tuple[Epochs, Sources]] = field(repr=False)
    sfreq: float = SFREQ

    @classmethod
    def load(cls, path: str | Path) -> Bank:
        """Read a bank.

        Parameters
        ----------
        path : path
            An npz file with `eeg`, `eog`, `emg` (n, n_times), the sources of each,
            `eeg_src` and so on, and the sampling rate `fs`; or a folder with
            EEGdenoiseNet's own `EEG_all_epochs.npy`, `EOG_all_epochs.npy` and
            `EMG_all_epochs.npy`, which don't tell sources: each epoch is taken for
            one. One of the artifacts may be missing.

        Raises
        ------
        ConfigError
            It is missing, damaged, or no such bank.
        """
        path = Path(path)
        return _own_files(path) if path.is_dir() else _npz(path)

    def split(
        self, test_share: float = 0.2, validation_share: float = 0.1, seed: int = 0
    ) -> tuple[Bank, Bank, Bank]:
        """Bank to train with, to choose with, and to test with: no source is in two of them.

        Sources that hold one and the same epoch are taken for one.

        Parameters
        ----------
        test_share, validation_share : float
            Of the epochs; as near as whole sources come without going beyond, or else
            the smallest source.
        seed : int

        Raises
        ------
        ConfigError
            There are fewer than three sources of clean EEG or of an artifact.
        """
        shares = (test_share, validation_share)
        parts = _split("clean EEG", self.clean, self.clean_sources, shares, seed)
        split = {
            kind: _split(kind.upper(), *held, shares, seed) for kind, held in self.artifacts.items()
        }
        train, validation, test = (
            Bank(
                self.clean[rows],
                self.clean_sources[rows],
                {kind: _rows(held, split[kind][k]) for kind, held in self.artifacts.items()},
                self.sfreq,
            )
            for k, rows in enumerate(parts)
        )
        return train, validation, test

    def artifact(self, kind: str) -> Epochs:
        """Epochs of a kind of artifact.

        Raises
        ------
        ConfigError
            The bank has none.
        """
        if kind not in self.artifacts:
            raise ConfigError(
                f"the bank has no artifact '{kind}'; it has {', '.join(self.artifacts) or 'none'}"
            )
        return self.artifacts[kind][0]


def pairs(
    bank: Bank, artifact: str, snr_db: Sequence[float] | tuple[float, float], n: int, seed: int
) -> tuple[Epochs, Epochs, NDArray[np.float64]]:
    """Mix epochs of clean EEG and of an artifact, drawn at random.

    Each is drawn as often as any other, as nearly as `n` allows. The same seed and `n`
    give the same epochs whatever the SNR.

    Parameters
    ----------
    bank : Bank
    artifact : str
    snr_db : sequence of float, or tuple of two
        A tuple of two: uniform between them. Any other sequence, also a list of two: each of
        these values equally often. EEGdenoiseNet's dB, see `bci.denoise.mixing`.
    n : int
    seed : int

    Returns
    -------
    noisy, clean : arrays, shape (n, n_times), µV, float32
    snr : array, shape (n,)
    """
    rng = np.random.default_rng(seed)
    held = bank.artifact(artifact)
    clean = bank.clean[_drawn(rng, len(bank.clean), n)]
    added = held[_drawn(rng, len(held), n)]
    if isinstance(snr_db, tuple) and len(snr_db) == 2:
        snr = rng.uniform(*snr_db, size=n)
    else:
        snr = np.resize(np.asarray(snr_db, np.float64), n)
    return mix(clean, added, snr), clean, snr


def _drawn(rng: np.random.Generator, m: int, n: int) -> NDArray[np.intp]:
    """Numbers below m, each as often as any other."""
    return np.concatenate([rng.permutation(m) for _ in range(-(-n // m))])[:n]


# --- splitting -------------------------------------------------------------------------------


def _rows(held: tuple[Epochs, Sources], rows: NDArray[np.intp]) -> tuple[Epochs, Sources]:
    return held[0][rows], held[1][rows]


def _split(
    what: str, epochs: Epochs, sources: Sources, shares: tuple[float, float], seed: int
) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.intp]]:
    """Rows to train, to choose and to test with."""
    of = _same_source(epochs, sources)
    groups, sizes = np.unique(of, return_counts=True)
    if len(groups) < 3:
        raise ConfigError(
            f"a split by source needs three sources or more of {what}, one for training, one for "
            f"validation and one for the test; found {len(groups)}"
        )
    order = np.random.default_rng(seed).permutation(len(groups))
    test = _share(order, sizes, shares[0] * len(of))
    rest = order[~np.isin(order, test)]
    validation = _share(rest, sizes, shares[1] * len(of))
    train = rest[~np.isin(rest, validation)]
    found = [np.flatnonzero(np.isin(of, groups[part])) for part in (train, validation, test)]
    return found[0], found[1], found[2]


def _share(order: NDArray[np.intp], sizes: NDArray[np.intp], quota: float) -> NDArray[np.intp]:
    """Groups of `order` that fill the quota and don't exceed it; or else the smallest."""
    taken: list[int] = []
    for group in order:
        if sizes[[*taken, group]].sum() <= quota:
            taken.append(group)
    return np.array(taken or [order[np.argmin(sizes[order])]])


def _same_source(epochs: Epochs, sources: Sources) -> Sources:
    """Sources with one name where they hold the same epoch: recordings published twice."""
    named: dict[bytes, str] = {}
    merged: dict[str, str] = {}

    def root(source: str) -> str:
        while source in merged:
            source = merged[source]
        return source

    for epoch, source in zip(epochs, sources.tolist(), strict=True):
        first = root(named.setdefault(hashlib.sha256(epoch.tobytes()).digest(), source))
        if first != (own := root(source)):
            merged[own] = first
    return np.array([root(source) for source in sources.tolist()])


# --- files -----------------------------------------------------------------------------------


def _npz(path: Path) -> Bank:
    try:
        with path.open("rb") as file:
            found = np.load(file, allow_pickle=False)
            if not isinstance(found, NpzFile):
                raise ValueError("it holds one array")
            held = {key: found[key] for key in found.files}
    except FileNotFoundError as error:
        raise ConfigError(
            f"bank '{path}' does not exist; a bank is an npz file, or a folder with "
            "EEGdenoiseNet's EEG_all_epochs.npy, EOG_all_epochs.npy and EMG_all_epochs.npy"
        ) from error
    except (OSError, ValueError, EOFError, BadZipFile) as error:
        raise ConfigError(f"bank '{path}' cannot be read as an npz file: {error}") from error
    kinds = [kind for kind in ARTIFACTS if kind in held]
    missing = [key for key in ("fs", "eeg", *(f"{k}_src" for k in ("eeg", *kinds)))
               if key not in held]  # fmt: skip
    if missing or not kinds:
        raise ConfigError(
            f"bank '{path}' has no '{(missing or ['eog'])[0]}'; it needs fs, eeg and eeg_src, and "
            f"eog or emg with its sources; found {', '.join(held) or 'nothing'}"
        )
    epochs = {key: _epochs(f"{path}: {key}", held[key]) for key in ("eeg", *kinds)}
    sources = {key: _sources(f"{path}: {key}", held[f"{key}_src"], len(epochs[key]))
               for key in epochs}  # fmt: skip
    return _bank(path, epochs, sources, float(np.ravel(held["fs"])[0]))


def _own_files(folder: Path) -> Bank:
    epochs = {}
    for kind in ("eeg", *ARTIFACTS):
        path = folder / f"{kind.upper()}_all_epochs.npy"
        if not path.exists():
            continue
        try:
            array = np.load(path, allow_pickle=False)
        except (OSError, ValueError, EOFError) as error:
            raise ConfigError(f"'{path}' cannot be read as an npy file: {error}") from error
        epochs[kind] = _at_rate(path, _epochs(str(path), array))
    if "eeg" not in epochs or len(epochs) < 2:
        raise ConfigError(
            f"bank '{folder}' needs EEG_all_epochs.npy, and EOG_all_epochs.npy or "
            f"EMG_all_epochs.npy; found {', '.join(epochs) or 'none'}"
        )
    log.warning(
        "EEGdenoiseNet's files do not tell whom an epoch is from: each is taken for a source of "
        "its own, so that people may be in training and test alike"
    )
    sources = {
        kind: np.array([f"{kind}_{number}" for number in range(len(array))])
        for kind, array in epochs.items()
    }
    return _bank(folder, epochs, sources, SFREQ)


def _at_rate(path: Path, array: Epochs) -> Epochs:
    """Epochs of 2 s at 256 Hz; those of EMG also come at 512 Hz."""
    n_times = round(SFREQ * EPOCH_S)
    if array.shape[1] == n_times:
        return array
    if array.shape[1] != 2 * n_times:
        raise ConfigError(
            f"'{path}' has epochs of {array.shape[1]} samples; EEGdenoiseNet's have {n_times} (2 s "
            f"at 256 Hz) or {2 * n_times} (at 512 Hz)"
        )
    log.info("%s: resampled from 512 to 256 Hz", path)
    halved: Epochs = resample_poly(array, 1, 2, axis=1, padtype="line").astype(np.float32)
    return halved


def _epochs(name: str, array: NDArray[Any]) -> Epochs:
    if array.ndim != 2 or not array.size or array.dtype.kind not in "fiu":
        raise ConfigError(
            f"{name}: expected epochs of one channel, numbers of shape (n, n_times); found "
            f"{array.dtype} of shape {array.shape}"
        )
    epochs = np.ascontiguousarray(array, np.float32)
    if not np.isfinite(epochs).all():
        raise ConfigError(f"{name}: {int((~np.isfinite(epochs)).any(axis=1).sum())} epochs hold "
                          "values that are no numbers; leave them out")  # fmt: skip
    return epochs


def _sources(name: str, array: NDArray[Any], n: int) -> Sources:
    if array.shape != (n,):
        raise ConfigError(f"{name}_src: expected a source for each of {n} epochs, found shape "
                          f"{array.shape}")  # fmt: skip
    return array.astype(str)


def _bank(
    path: Path, epochs: Mapping[str, Epochs], sources: Mapping[str, Sources], sfreq: float
) -> Bank:
    lengths = {kind: array.shape[1] for kind, array in epochs.items()}
    if len(set(lengths.values())) > 1:
        told = ", ".join(f"{kind} {length}" for kind, length in lengths.items())
        raise ConfigError(f"bank '{path}' has epochs of different lengths, samples: {told}")
    artifacts = {kind: (epochs[kind], sources[kind]) for kind in epochs if kind != "eeg"}
    return Bank(epochs["eeg"], sources["eeg"], artifacts, sfreq)
