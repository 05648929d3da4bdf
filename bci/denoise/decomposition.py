"""The independent components of a recording, each with its label, and signals of some of them.

.. [1] Lee, Girolami, Sejnowski (1999). Independent component analysis using an extended
   infomax algorithm. Neural Comput. 11, 417.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy.signal import butter, sosfiltfilt

from bci.denoise.components import Component, Label, has_iclabel, iclabel, label_components
from bci.electrodes import in_montage
from bci.errors import ConfigError
from bci.extras import optional
from bci.types import FloatArray

Labeller = Literal["auto", "iclabel", "rules"]

#: Samples that each of the n² weights of n components needs.
SAMPLES_PER_WEIGHT = 20


@dataclass(frozen=True, slots=True)
class Decomposition:
    """What an ICA found in a recording.

    Attributes
    ----------
    mixing : array, shape (n_channels, n_components)
        Topographies.
    unmixing : array, shape (n_components, n_channels)
        Of signals in the reference that they came in.
    components : tuple of Component
        What each is.
    labeller : "iclabel" or "rules"
        What says so.
    """

    mixing: FloatArray = field(repr=False)
    unmixing: FloatArray = field(repr=False)
    components: tuple[Component, ...] = field(repr=False)
    labeller: Literal["iclabel", "rules"]

    @property
    def labels(self) -> tuple[Label, ...]:
        """What each component is."""
        return tuple(component.label for component in self.components)

    def chosen(self, label: Label, min_proba: float = 0.0) -> NDArray[np.intp]:
        """Numbers of the components with a label, whose probability is at least `min_proba`."""
        return np.flatnonzero([c.label == label and c.proba >= min_proba for c in self.components])

    def part(self, x: FloatArray, label: Label, min_proba: float = 0.0) -> FloatArray:
        """Signals, shape (n_channels, n_times), of the components with a label alone."""
        chosen = self.chosen(label, min_proba)
        signals: FloatArray = self.mixing[:, chosen] @ (self.unmixing[chosen] @ x)
        return signals


def decompose(
    x: FloatArray,
    sfreq: float,
    ch_names: Sequence[str],
    *,
    positions: FloatArray | None = None,
    eog: FloatArray | None = None,
    used: NDArray[np.bool_] | None = None,
    labeller: Labeller = "auto",
    n_components: int | None = None,
    seed: int = 0,
) -> Decomposition:
    """Decompose a recording by extended infomax [1]_, and label what is found.

    The ICA is fitted on a copy from 1 Hz up, in which slow drifts do not take components.

    Parameters
    ----------
    x : array, shape (n_channels, n_times)
        EEG channels, µV; ICLabel knows topographies of average-referenced ones.
    sfreq : float
        Hz.
    ch_names : sequence of str
        Electrodes, of which topographies are judged.
    positions : array, shape (n_channels, 3), or None
        Metres, head coordinates, NaN where unknown; None: electrodes of the 10-05 system.
    eog : array, shape (n_eog, n_times), or None
        EOG channels, which the rules look at.
    used : array of bool, shape (n_times,), or None
        Samples that the ICA is fitted to; None: all.
    labeller : "auto", "iclabel" or "rules"
        auto: ICLabel where it is installed and every position is known.
    n_components : int, optional
        None: as many as the recording's length allows, with 20 samples for each of their n²
        weights, and as its rank allows.
    seed : int
        Of the ICA's start.

    Raises
    ------
    ConfigError
        Samples are not finite, the recording is too short, or a channel's place is unknown.
    MissingDependency
        ICLabel is asked for and not installed.
    """
    spots = _positions(ch_names) if positions is None else positions
    unknown = np.flatnonzero(~np.isfinite(spots).all(axis=1))
    lost = [ch_names[i] for i in unknown.tolist()]
    chosen = _labeller(labeller, lost)
    if not np.isfinite(x).all():
        raise ConfigError("ICA: the recording has samples that are not finite; cut them out")
    kept = slice(None) if used is None else used
    fast = filtered(x, sfreq)[:, kept]
    fast -= fast.mean(axis=1, keepdims=True)
    most = int(np.sqrt(fast.shape[1] / SAMPLES_PER_WEIGHT))
    rank = int(np.linalg.matrix_rank(np.cov(fast)))
    n = min(most, rank) if n_components is None else n_components
    if n < 2:
        raise ConfigError(
            f"ICA: {fast.shape[1] / sfreq:.1f} s of {len(x)} channels, of rank {rank}, give {n} "
            "components, and at least 2 are needed; take a longer recording"
        )
    raw, ica = _fit(fast, sfreq, spots, n, seed)
    scale = ica.pre_whitener_.ravel() * 1e6  # of each channel, from volts to microvolts
    unmixing = ica.unmixing_matrix_ @ ica.pca_components_[:n] / scale
    mixing = scale[:, None] * ica.get_components()
    if chosen == "iclabel":
        components = iclabel(raw, ica)
    else:
        eyes = None if eog is None else filtered(eog, sfreq)[:, kept]
        components = label_components(unmixing @ fast, mixing, sfreq, spots, eyes)
    return Decomposition(mixing, unmixing, components, chosen)


def _positions(ch_names: Sequence[str]) -> FloatArray:
    places = [in_montage(name, "standard_1005") for name in ch_names]
    lost = [name for name, place in zip(ch_names, places, strict=True) if place is None]
    if lost:
        raise ConfigError(
            f"ICA: {', '.join(lost)} is no electrode of the 10-05 system, so that topographies "
            "cannot be judged; rename it or leave it out"
        )
    return np.array(places, np.float64)


def filtered(x: FloatArray, sfreq: float) -> FloatArray:
    """From 1 Hz to 100 Hz, the band of ICLabel's training, as far as the rate reaches."""
    edges, kind = ((1.0, 100.0), "bandpass") if sfreq > 220 else (1.0, "highpass")
    filtered: FloatArray = sosfiltfilt(butter(2, edges, kind, fs=sfreq, output="sos"), x)
    return filtered


def _labeller(asked: Labeller, lost: Sequence[str] = ()) -> Literal["iclabel", "rules"]:
    """What says what components are; `lost` are the electrodes whose position is not known."""
    if asked == "auto":
        return "iclabel" if has_iclabel() and not lost else "rules"
    if asked == "iclabel":
        for name in ("mne_icalabel", "onnxruntime"):
            optional(name, "labeller 'iclabel'", "iclabel")
        if lost:
            raise ConfigError(
                f"ICA: ICLabel needs the place of every electrode, and that of {', '.join(lost)} "
                "is not known; set channels.montage to one that has it, or let rules label"
            )
    return asked


def _fit(x: FloatArray, sfreq: float, places: FloatArray, n: int, seed: int) -> tuple[Any, Any]:
    """MNE's objects: the recording, volts, and its ICA."""
    import mne  # a second to import

    names = [f"{k}" for k in range(len(x))]
    raw = mne.io.RawArray(x * 1e-6, mne.create_info(names, sfreq, "eeg"), verbose="error")
    if np.isfinite(places).all():
        at = dict(zip(names, places, strict=True))
        raw.set_montage(mne.channels.make_dig_montage(at, coord_frame="head"), verbose="error")
    ica = mne.preprocessing.ICA(
        n, method="infomax", fit_params={"extended": True}, random_state=seed, verbose="error"
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # infomax that has not converged after all its steps
        ica.fit(raw, verbose="error")
    return raw, ica
