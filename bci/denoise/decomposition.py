"""Independent components of a recording, each labelled: brain, or which artifact.

Labels are ICLabel's where mne-icalabel is installed, else rules on spectrum and topography,
which know no heart beat.

.. [1] Pion-Tonachini, Kreutz-Delgado, Makeig (2019). ICLabel: An automated
   electroencephalographic independent component classifier, dataset, and website.
   NeuroImage 198, 181. doi:10.1016/j.neuroimage.2019.05.026
.. [2] Lee, Girolami, Sejnowski (1999). Independent component analysis using an extended
   infomax algorithm. Neural Comput. 11, 417.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.signal import butter, sosfiltfilt, welch

from bci.electrodes import in_montage
from bci.errors import ConfigError
from bci.extras import optional
from bci.types import FloatArray

Labeller = Literal["auto", "iclabel", "rules"]

#: ICLabel's seven classes by their words here.
CLASSES = ("brain", "muscle", "eye", "heart", "line", "channel", "other")
_ICLABEL = {
    "brain": "brain", "muscle artifact": "muscle", "eye blink": "eye", "heart beat": "heart",
    "line noise": "line", "channel noise": "channel", "other": "other",
}  # fmt: skip
#: Samples that a component's n weights each need, so that n² of them are estimated.
SAMPLES_PER_WEIGHT = 20

# --- the rules, each about one component ------------------------------------------------------
#: Channel noise: share of the squared weights that the strongest channel has, above.
ONE_CHANNEL = 0.8
#: Line noise: power within 1 Hz of 50 or 60 Hz over that 2 to 4 Hz beside it, above.
LINE_PEAK = 6.0
#: Eye: share of squared weights on channels in front of the F row (metres from the centre of the
#: head), and share of the power from 1 to 40 Hz that lies below 5 Hz, above.
FRONT_M, FRONT_SHARE, SLOW_SHARE = 0.045, 0.6, 0.6
#: Muscle: slope of log power over log frequency, 7 to 45 Hz, above; brain: below the second.
MUSCLE_SLOPE, BRAIN_SLOPE = -0.3, -0.6


@dataclass(frozen=True, slots=True)
class Components:
    """What an ICA found in a recording.

    Attributes
    ----------
    mixing : array, shape (n_channels, n_components)
        Topographies.
    unmixing : array, shape (n_components, n_channels)
        Of average-referenced signals.
    labels : tuple of str
        One of `CLASSES` each.
    proba : array, shape (n_components,)
        The label's; 1 where rules gave it.
    labeller : "iclabel" or "rules"
        What labelled them.
    """

    mixing: FloatArray = field(repr=False)
    unmixing: FloatArray = field(repr=False)
    labels: tuple[str, ...]
    proba: FloatArray = field(repr=False)
    labeller: Literal["iclabel", "rules"]

    def part(self, x: FloatArray, label: str, min_proba: float = 0.0) -> FloatArray:
        """Signals, shape (n_channels, n_times), of the components with a label alone."""
        chosen = self.chosen(label, min_proba)
        signals: FloatArray = self.mixing[:, chosen] @ (self.unmixing[chosen] @ x)
        return signals

    def chosen(self, label: str, min_proba: float = 0.0) -> NDArray[np.intp]:
        """Numbers of the components with a label whose probability is at least `min_proba`."""
        alike = np.array(self.labels) == label
        return np.flatnonzero(alike & (self.proba >= min_proba))


def find_components(
    x: FloatArray,
    sfreq: float,
    ch_names: Sequence[str],
    *,
    labeller: Labeller = "auto",
    n_components: int | None = None,
    seed: int = 0,
) -> Components:
    """Decompose a recording by extended infomax, and label what is found.

    The ICA is fitted on a copy from 1 Hz up, in which slow drifts do not take components.

    Parameters
    ----------
    x : array, shape (n_channels, n_times)
        EEG channels, average-referenced, µV, not yet high-passed above 1 Hz.
    sfreq : float
        Hz.
    ch_names : sequence of str
        Electrodes of the 10-05 system, of which topographies are judged.
    labeller : "auto", "iclabel" or "rules"
        auto: ICLabel where it is installed.
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
    places = [in_montage(name, "standard_1005") for name in ch_names]
    lost = [name for name, place in zip(ch_names, places, strict=True) if place is None]
    if lost:
        raise ConfigError(
            f"ICA: {', '.join(lost)} is no electrode of the 10-05 system, so that topographies "
            "cannot be judged; rename it or leave it out"
        )
    if not np.isfinite(x).all():
        raise ConfigError("ICA: the recording has samples that are not finite; cut them out")
    fast = _filtered(x, sfreq)
    most = int(np.sqrt(x.shape[1] / SAMPLES_PER_WEIGHT))
    n = (
        min(most, int(np.linalg.matrix_rank(np.cov(fast))))
        if n_components is None
        else n_components
    )
    if n < 2:
        raise ConfigError(
            f"ICA: {x.shape[1] / sfreq:.1f} s of {len(x)} channels give {n} components, and at "
            "least 2 are needed; take a longer recording"
        )
    chosen = _labeller(labeller)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of MNE and ICLabel about rates below 200 Hz
        raw, ica = _fit(fast, sfreq, ch_names, n, seed)
        scale = ica.pre_whitener_.ravel() * 1e6  # of each channel, from volts to microvolts
        unmixing = ica.unmixing_matrix_ @ ica.pca_components_[:n] / scale
        mixing = scale[:, None] * ica.get_components()
        if chosen == "iclabel":
            labels, proba = _iclabel(raw, ica)
        else:
            spots = np.array(places, np.float64)
            labels = tuple(
                label_by_rules(weights, course, spots, sfreq)
                for weights, course in zip(mixing.T, unmixing @ fast, strict=True)
            )
            proba = np.ones(n)
    return Components(mixing, unmixing, labels, proba, chosen)


def _filtered(x: FloatArray, sfreq: float) -> FloatArray:
    """From 1 Hz to 100 Hz, the band of ICLabel's training, as far as the rate reaches."""
    edges, kind = ((1.0, 100.0), "bandpass") if sfreq > 220 else (1.0, "highpass")
    filtered: FloatArray = sosfiltfilt(butter(2, edges, kind, fs=sfreq, output="sos"), x)
    return filtered


def _labeller(asked: Labeller) -> Literal["iclabel", "rules"]:
    there = all(find_spec(name) is not None for name in ("mne_icalabel", "onnxruntime"))
    if asked == "iclabel":
        for name in ("mne_icalabel", "onnxruntime"):
            optional(name, "labeller 'iclabel'", "iclabel")
    if asked == "auto":
        return "iclabel" if there else "rules"
    return asked


def _fit(x: FloatArray, sfreq: float, ch_names: Sequence[str], n: int, seed: int):  # type: ignore[no-untyped-def]
    """MNE's objects: the recording, volts, and its ICA."""
    import mne  # a second to import

    info = mne.create_info([f"{k}" for k in range(len(x))], sfreq, "eeg", verbose="error")
    places = {f"{k}": in_montage(name, "standard_1005") for k, name in enumerate(ch_names)}
    raw = mne.io.RawArray(x * 1e-6, info, verbose="error")
    raw.set_montage(mne.channels.make_dig_montage(places, coord_frame="head"), verbose="error")
    raw.set_eeg_reference("average", verbose="error")
    ica = mne.preprocessing.ICA(
        n, method="infomax", fit_params={"extended": True}, random_state=seed, verbose="error"
    )
    return raw, ica.fit(raw, verbose="error")


def _iclabel(raw: object, ica: object) -> tuple[tuple[str, ...], FloatArray]:
    from mne_icalabel import label_components

    found = label_components(raw, ica, method="iclabel")
    labels = tuple(_ICLABEL[label] for label in found["labels"])
    return labels, np.asarray(found["y_pred_proba"], np.float64)


def label_by_rules(
    weights: FloatArray, course: FloatArray, places: FloatArray, sfreq: float
) -> str:
    """Label a component by its topography and spectrum.

    Parameters
    ----------
    weights : array, shape (n_channels,)
    course : array, shape (n_times,)
        From 1 Hz up.
    places : array, shape (n_channels, 3)
        Of the channels, metres, MNE head coordinates (the second axis points to the front).
    sfreq : float
        Hz.
    """
    share = weights**2 / np.sum(weights**2)
    if share.max() > ONE_CHANNEL:
        return "channel"
    f, power = welch(course, sfreq, nperseg=min(len(course), int(2 * sfreq)))
    if any(_peak(f, power, hz) > LINE_PEAK for hz in (50.0, 60.0)):
        return "line"
    total = power[(f >= 1) & (f <= 40)].sum()
    slow = power[(f >= 1) & (f < 5)].sum() / total
    if share[places[:, 1] > FRONT_M].sum() > FRONT_SHARE and slow > SLOW_SHARE:
        return "eye"
    band = (f >= 7) & (f <= 45)
    slope = np.polyfit(np.log(f[band]), np.log(power[band]), 1)[0]
    if slope > MUSCLE_SLOPE:
        return "muscle"
    return "brain" if slope < BRAIN_SLOPE else "other"


def _peak(f: FloatArray, power: FloatArray, hz: float) -> float:
    """Power at a frequency over that beside it; 0 where the rate does not reach it."""
    if f[-1] < hz + 4:
        return 0.0
    off = np.abs(f - hz)
    return float(power[off <= 1].mean() / power[(off >= 2) & (off <= 4)].mean())
