"""From a continuous recording to epochs, as MOABB makes them.

Each band is a 4th-order Butterworth filter run forwards and backwards over the
whole recording (`mne.filter.filter_data` with ``method="iir"``, which is what
MOABB's paradigms call), so epochs hold no edges of the filter. That uses samples
from after a window and cannot be done live: pseudo-online evaluation filters
causally instead. The notch, which MOABB has none of, is causal here too. Unlike
MNE's, an epoch does not hold the sample at `tmax`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.signal import sosfilt, sosfilt_zi

from bci.benchmark.datasets.scheme import Scheme
from bci.benchmark.datasets.settings import Band, EpochSettings
from bci.dsp.filters import Notch
from bci.errors import ConfigError, SourceError
from bci.sources.files import Recording
from bci.types import FloatArray


@dataclass(frozen=True, slots=True)
class Cut:
    """Epochs of one recording.

    Attributes
    ----------
    X : array, shape (n_epochs, n_channels, n_times)
    y : array of str, shape (n_epochs,)
    trials : array of int, shape (n_epochs,)
        Numbers from 0, not all of them need be there.
    sfreq : float
    ch_names : tuple of str
    n_trials : int
        More than any number in `trials`.
    """

    X: FloatArray
    y: NDArray[np.str_]
    trials: NDArray[np.int64]
    sfreq: float
    ch_names: tuple[str, ...]
    n_trials: int


def cut(recording: Recording, scheme: Scheme, settings: EpochSettings) -> Cut:
    """Cut the labelled epochs of a recording.

    Epochs that do not lie in the recording whole, or touch a break in it, are left out.

    Raises
    ------
    ConfigError
        A channel is not there, or a band does not fit the sampling rate.
    SourceError
        The recording cannot be filtered because of samples that are not finite.
    """
    sfreq = recording.info.sfreq
    picks, names = _pick(recording, settings.channels)
    data = np.ascontiguousarray(recording.data[:, picks].T, dtype=np.float64)  # (channel, time)
    offset, n_times = round(settings.tmin * sfreq), round((settings.tmax - settings.tmin) * sfreq)
    opened = scheme.opened(recording)
    starts = np.array([o.onset + offset for o in opened], dtype=np.int64)
    y = np.array([o.label for o in opened], dtype=np.str_)
    trials = np.arange(len(opened), dtype=np.int64) // scheme.epochs_per_trial
    if scheme.joins_overlapping and len(opened):
        apart = (y[1:] != y[:-1]) | (np.diff(starts) >= n_times)
        trials = np.concatenate([[0], np.cumsum(apart)]).astype(np.int64)
    whole = _whole(recording, starts, n_times)
    if whole.any():
        data = _filtered(recording, data, names, settings)
    X = np.empty((int(whole.sum()), len(data), n_times))
    for epoch, start in zip(X, starts[whole], strict=True):
        epoch[:] = data[:, start : start + n_times]
    return finish(
        Cut(
            X, y[whole], trials[whole], sfreq, band_names(names, settings.filters),
            int(trials[-1]) + 1 if len(trials) else 0,
        ),
        settings,
    )  # fmt: skip


def finish(epochs: Cut, settings: EpochSettings) -> Cut:
    """Resample epochs and cut them into windows, where the settings say so."""
    if settings.resample is not None and settings.resample != epochs.sfreq:
        epochs = _resampled(epochs, settings.resample)
    if settings.window_s is not None:
        epochs = _windows(epochs, settings.window_s, settings.step_s or settings.window_s)
    return epochs


def without_hum(data: FloatArray, sfreq: float, notch_hz: float | None) -> FloatArray:
    """Notch out a line frequency, forwards, from the steady state of the first sample.

    Parameters
    ----------
    data : array, shape (..., n_channels, n_times)
    sfreq : float
        Hz.
    notch_hz : float or None
        None: nothing is done.

    Raises
    ------
    ConfigError
        It does not fit the sampling rate.
    """
    if notch_hz is None:
        return data
    sos = Notch(freq_hz=notch_hz).design(sfreq)
    steady = sosfilt_zi(sos).reshape(len(sos), *(1,) * (data.ndim - 1), 2)
    filtered: FloatArray = sosfilt(sos, data, zi=steady * data[..., :1])[0]
    return filtered


def stack_bands(data: FloatArray, sfreq: float, filters: Sequence[Band]) -> FloatArray:
    """Filter into bands without phase shift and stack the channels of all bands.

    Parameters
    ----------
    data : array, shape (..., n_channels, n_times)
    sfreq : float
        Hz.
    filters : sequence of (low, high)
        Hz; empty: nothing is done.

    Returns
    -------
    array, shape (..., n_bands * n_channels, n_times)

    Raises
    ------
    ConfigError
        A band does not fit the sampling rate.
    """
    if not filters:
        return data
    from mne.filter import filter_data  # a second to import

    for low, high in filters:
        if max(edge for edge in (low, high) if edge is not None) >= sfreq / 2:
            raise ConfigError(
                f"the filter {low} to {high} Hz does not fit a sampling rate of {sfreq:g} Hz: "
                f"its edges must lie below {sfreq / 2:g} Hz"
            )
    bands = [
        filter_data(data, sfreq, low, high, method="iir", phase="zero", verbose="ERROR")
        for low, high in filters
    ]
    return np.concatenate(bands, axis=-2)


def band_names(ch_names: Sequence[str], filters: Sequence[Band]) -> tuple[str, ...]:
    """Channel labels after `stack_bands`: the same for one band, with the band for several."""
    if len(filters) < 2:
        return tuple(ch_names)
    return tuple(f"{name} {_edges(band)}" for band in filters for name in ch_names)


def _edges(band: Band) -> str:
    low, high = ("" if edge is None else f"{edge:g}" for edge in band)
    return f"{low}-{high} Hz"


def no_epochs(recordings: Sequence[Recording], scheme: Scheme, who: str) -> SourceError:
    """Explain why a subject has no epochs: which markers were asked for, and which there are."""
    there = Counter(m.value for r in recordings for m in r.markers)
    listed = ", ".join(f"{value!r} ({n})" for value, n in there.most_common(8)) or "none"
    asked = ", ".join(map(repr, sorted(scheme.openers or scheme.labels)))
    return SourceError(f"{who}: no epoch fits at markers {asked}; the recordings have {listed}")


def _pick(recording: Recording, channels: tuple[str, ...] | None) -> tuple[list[int], list[str]]:
    names = recording.info.ch_names
    if channels is None:
        picks = [i for i, kind in enumerate(recording.info.ch_types) if kind == "eeg"]
        if not picks:
            raise SourceError(f"{recording.path}: has no EEG channel, only {', '.join(names)}")
        return picks, [names[i] for i in picks]
    missing = [label for label in channels if label not in names]
    if missing:
        raise ConfigError(
            f"{recording.path}: has no channel {', '.join(missing)}; there are {', '.join(names)}"
        )
    return [names.index(label) for label in channels], list(channels)


def _whole(recording: Recording, starts: NDArray[np.int64], n_times: int) -> NDArray[np.bool_]:
    """Which epochs lie in the recording, without a break inside."""
    stops = starts + n_times
    whole: NDArray[np.bool_] = (starts >= 0) & (stops <= recording.n_samples)
    for at, _ in recording.breaks:
        whole &= (stops <= at) | (starts >= at)
    return whole


def _filtered(
    recording: Recording, data: FloatArray, names: Sequence[str], settings: EpochSettings
) -> FloatArray:
    """Filter each unbroken stretch of a recording for itself."""
    if not settings.filters and settings.notch_hz is None:
        return data
    bad = ~np.isfinite(data)
    if bad.any():
        channel, sample = (int(i) for i in np.argwhere(bad)[0])
        raise SourceError(
            f"{recording.path}: {int(bad.sum())} samples are not finite (channel {names[channel]} "
            f"from {sample / recording.info.sfreq:.2f} s on), so it cannot be filtered; mend the "
            "recording, leave the channel out with 'channels', or set no 'filters' nor 'notch_hz'"
        )
    sfreq = recording.info.sfreq
    stretches = [
        stack_bands(
            without_hum(data[:, piece.start : piece.stop], sfreq, settings.notch_hz),
            sfreq,
            settings.filters,
        )
        for piece in recording.pieces(0, recording.n_samples)
    ]
    return stretches[0] if len(stretches) == 1 else np.concatenate(stretches, axis=1)


def _resampled(epochs: Cut, sfreq: float) -> Cut:
    """Resample by FFT, as `mne.Epochs.resample` (and so MOABB) does."""
    from mne.filter import resample

    X = resample(epochs.X, up=sfreq, down=epochs.sfreq, npad="auto", pad="edge", verbose="ERROR")
    return Cut(X, epochs.y, epochs.trials, sfreq, epochs.ch_names, epochs.n_trials)


def _windows(epochs: Cut, length_s: float, step_s: float) -> Cut:
    """Cut each epoch into windows, which keep its trial number."""
    length, step = round(length_s * epochs.sfreq), max(1, round(step_s * epochs.sfreq))
    starts = range(0, epochs.X.shape[2] - length + 1, step)
    X = np.stack([epochs.X[:, :, start : start + length] for start in starts], axis=1)
    return Cut(
        np.ascontiguousarray(X.reshape(-1, *X.shape[2:])),
        np.repeat(epochs.y, len(starts)),
        np.repeat(epochs.trials, len(starts)),
        epochs.sfreq,
        epochs.ch_names,
        epochs.n_trials,
    )
