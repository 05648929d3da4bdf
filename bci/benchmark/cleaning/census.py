"""What independent components a signal consists of, by ICLabel: how many are brain.

Counted before and after cleaning, it says what went: of a good cleaner the components of
eyes and muscles go, and brain stays. It is the opinion of a classifier about another
decomposition, not a score [1]_.

.. [1] Pion-Tonachini, Kreutz-Delgado, Makeig (2019). ICLabel: an automated
   electroencephalographic independent component classifier. NeuroImage 198, 181.
"""

from __future__ import annotations

import warnings
from importlib.util import find_spec

import numpy as np

from bci.types import FloatArray

#: ICLabel's classes.
CLASSES = (
    "brain", "muscle artifact", "eye blink", "heart beat", "line noise", "channel noise", "other",
)  # fmt: skip
#: Band that ICLabel was trained on, Hz; its upper edge lies below half the sampling rate.
BAND_HZ = (1.0, 100.0)
#: Variance that the components explain: what cleaning has taken out leaves none to find.
EXPLAINED = 0.999


def installed() -> bool:
    """Whether mne-icalabel is there to ask."""
    return find_spec("mne_icalabel") is not None


def census(eeg: FloatArray, sfreq: float, ch_names: tuple[str, ...], seed: int) -> dict[str, int]:
    """Count the components of each of `CLASSES`.

    Parameters
    ----------
    eeg : array, shape (n_samples, n_channels)
        EEG channels of the 10-05 system, µV.
    sfreq : float
        Hz.
    ch_names : tuple of str
    seed : int
        Of the decomposition (extended infomax, as ICLabel asks for).
    """
    import mne
    from mne_icalabel import label_components

    info = mne.create_info(list(ch_names), sfreq, "eeg", verbose="error")
    known = set(mne.channels.get_builtin_montages())
    info.set_montage("colin27_1005" if "colin27_1005" in known else "standard_1005")
    raw = mne.io.RawArray(1e-6 * np.asarray(eeg, np.float64).T, info, verbose="error")
    raw.filter(BAND_HZ[0], min(BAND_HZ[1], 0.45 * sfreq), verbose="error")
    raw.set_eeg_reference("average", verbose="error")
    ica = mne.preprocessing.ICA(
        EXPLAINED, method="infomax", fit_params={"extended": True}, random_state=seed,
        max_iter=500, verbose="error",
    )  # fmt: skip
    with warnings.catch_warnings():  # of too few iterations, or a band narrower than ICLabel's
        warnings.simplefilter("ignore")
        ica.fit(raw, verbose="error")
        labels = label_components(raw, ica, method="iclabel")["labels"]
    return {name: labels.count(name) for name in CLASSES}
