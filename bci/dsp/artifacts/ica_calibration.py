"""Independent components of a recording, and which of them are artifacts.

The ICA is fitted to a copy from 1 Hz up: slow drifts would take components. It is extended
infomax, on whose components ICLabel was trained, and which needs no further package.

References
----------
Lee, Girolami & Sejnowski 1999, Neural Computation 11(2):417-441. From 1 Hz up: Winkler et
al. 2015, Conf Proc IEEE Eng Med Biol Soc, 4101-4105.
"""

from __future__ import annotations

import logging
import warnings
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy.signal import butter, sosfiltfilt

from bci.denoise.components import Component, has_iclabel, iclabel, label_components
from bci.dsp.artifacts.clean_stretches import clean_windows
from bci.dsp.channels import Columns
from bci.errors import CalibrationFailed
from bci.extras import optional
from bci.types import FloatArray, StreamInfo

log = logging.getLogger(__name__)

Labels = Literal["auto", "iclabel", "rules"]

HIGHPASS_HZ = 1.0
#: Samples for each of the n² weights of n components.
SAMPLES_PER_WEIGHT = 20
#: Directions with less variance than this share of the largest hold no signal.
RANK_TOLERANCE = 1e-9
#: A window is left out where more than this share of its channels are disturbed: artifacts are
#: to be learnt, loose electrodes and tugged cables are not.
MAX_BAD_CHANNELS = 0.5
WINDOW_S = 0.5


@dataclass(frozen=True, slots=True)
class Decomposition:
    """What an ICA found.

    Attributes
    ----------
    unmixing : array, shape (n_components, n_channels)
    mixing : array, shape (n_channels, n_components)
        Topographies.
    components : tuple of Component
    by : str
        What labelled them, "ICLabel" or "rules".
    used_s : float
        Seconds of signal fitted to.
    """

    unmixing: FloatArray
    mixing: FloatArray
    components: tuple[Component, ...]
    by: str
    used_s: float


def decompose(
    block: FloatArray,
    usable: NDArray[np.bool_],
    info: StreamInfo,
    eeg: Columns,
    labels: Labels,
    seed: int,
) -> Decomposition:
    """Fit an ICA to the EEG channels of a recording, and say what its components are.

    Parameters
    ----------
    block : array, shape (n_samples, n_channels)
        All channels, µV.
    usable : array of bool, shape (n_samples,)
    info : StreamInfo
    eeg : array of int
        Columns of the EEG channels.
    labels : "auto", "iclabel" or "rules"
        auto: ICLabel where it is installed and the place of every electrode is known.
    seed : int
        Of the ICA's start.

    Raises
    ------
    CalibrationFailed
        There is too little signal, or ICLabel is asked for and electrodes have no place.
    MissingDependency
        ICLabel is asked for and not installed.
    """
    names = [info.ch_names[i] for i in eeg.tolist()]
    places = np.array([info.positions.get(name, (np.nan,) * 3) for name in names], np.float64)
    lost = [name for name in names if name not in info.positions]
    by_iclabel = _asks_iclabel(labels, lost)
    fast = _highpassed(block, info.sfreq)
    x = fast[:, eeg]
    used = clean_windows(x, usable, info.sfreq, WINDOW_S, "ica", MAX_BAD_CHANNELS).mask(len(x))
    x = x[used] - x[used].mean(axis=0)
    n = _n_components(x, info.sfreq)
    raw, ica = _fit(x, info.sfreq, names, places, n, seed)
    scale = ica.pre_whitener_.ravel() * 1e6  # of each channel, from volts to microvolts
    unmixing = ica.unmixing_matrix_ @ ica.pca_components_[:n] / scale
    mixing = scale[:, None] * ica.get_components()
    eog = [i for i, kind in enumerate(info.ch_types) if kind == "eog"]
    components = (
        iclabel(raw, ica)
        if by_iclabel
        else label_components(unmixing @ x.T, mixing, info.sfreq, places, fast[used][:, eog].T)
    )
    by = "ICLabel" if by_iclabel else "rules"
    return Decomposition(unmixing, mixing, components, by, len(x) / info.sfreq)


def _asks_iclabel(labels: Labels, lost: list[str]) -> bool:
    if labels == "rules" or (labels == "auto" and (lost or not has_iclabel())):
        return False
    for package in ("mne_icalabel", "onnxruntime"):
        optional(package, "ica: labels 'iclabel'", "iclabel")
    if lost:
        raise CalibrationFailed(
            f"ica: labels 'iclabel' needs the place of every electrode, and that of "
            f"{', '.join(lost)} is not known; set channels.montage to one that has it, or labels "
            "to 'rules'"
        )
    return True


def _highpassed(block: FloatArray, sfreq: float) -> FloatArray:
    sos = butter(4, HIGHPASS_HZ, "highpass", fs=sfreq, output="sos")
    if len(block) < 10 * sfreq:
        raise CalibrationFailed(
            f"ica: {len(block) / sfreq:.1f} s are too short for an ICA; take a recording of some "
            "minutes"
        )
    result: FloatArray = sosfiltfilt(sos, block, axis=0)
    return result


def _n_components(x: FloatArray, sfreq: float) -> int:
    """As many as the signal has dimensions, and as its length allows."""
    power = np.linalg.eigvalsh(x.T @ x)
    rank = int(np.sum(power > RANK_TOLERANCE * power[-1]))
    allowed = int(np.sqrt(len(x) / SAMPLES_PER_WEIGHT))
    if min(rank, allowed) < 2:
        raise CalibrationFailed(
            f"ica: {len(x) / sfreq:.1f} s of signal of rank {rank} allow {min(rank, allowed)} "
            "components, and two are needed at least; take a longer recording or more channels"
        )
    return min(rank, allowed)


def _fit(
    x: FloatArray, sfreq: float, names: list[str], places: FloatArray, n: int, seed: int
) -> tuple[Any, Any]:
    """MNE's objects: the signal, in volts, and its ICA."""
    import mne  # a second to import

    raw = mne.io.RawArray(1e-6 * x.T, mne.create_info(names, sfreq, "eeg"), verbose="ERROR")
    if np.isfinite(places).all():
        at = dict(zip(names, places, strict=True))
        raw.set_montage(mne.channels.make_dig_montage(at, coord_frame="head"), verbose="ERROR")
    ica = mne.preprocessing.ICA(
        n, method="infomax", fit_params={"extended": True}, random_state=seed, verbose="ERROR"
    )
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        ica.fit(raw, picks="all", verbose="ERROR")
    for warning in caught:
        if issubclass(warning.category, (RuntimeWarning, UserWarning)):
            log.warning("ica: %s", warning.message)
    return raw, ica
