"""Clean EEG and an artifact, mixed at a signal-to-noise ratio: what a denoiser learns to undo.

Zhang et al., "EEGdenoiseNet: a benchmark dataset for deep learning solutions of EEG
denoising", J. Neural Eng. 18, 056057 (2021), arXiv:2009.11662. Its dB are ten times the
logarithm of a ratio of amplitudes: half of the dB of power that are usual elsewhere.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.floating]


def rms(x: ArrayLike) -> NDArray[np.float64]:
    """Root of the mean square over the last axis; the mean is not removed."""
    root: NDArray[np.float64] = np.sqrt(np.mean(np.square(np.asarray(x, np.float64)), axis=-1))
    return root


def mix(clean: Array, artifact: Array, snr_db: ArrayLike) -> NDArray[np.float32]:
    """Add artifacts to clean epochs, ``y = x + λ n`` with ``λ = RMS(x) / (RMS(n) 10^(SNR/10))``.

    Parameters
    ----------
    clean, artifact : arrays, shape (n_epochs, n_times), in one unit
    snr_db : float or array, shape (n_epochs,)
        ``10 log10(RMS(x) / RMS(λ n))``, of each epoch.

    Returns
    -------
    array, shape (n_epochs, n_times), float32

    Raises
    ------
    ValueError
        Shapes differ, or an artifact is zero throughout, which no λ brings to an SNR.
    """
    clean, artifact = np.asarray(clean), np.asarray(artifact)
    if clean.ndim != 2 or clean.shape != artifact.shape:
        raise ValueError(
            "clean epochs and artifacts must be alike in shape, (n_epochs, n_times); found "
            f"{clean.shape} and {artifact.shape}"
        )
    there = rms(artifact)
    if not there.all():
        raise ValueError(
            f"artifact {int(np.argmin(there))} is zero throughout: it cannot be mixed at an SNR; "
            "leave it out"
        )
    scale = rms(clean) / (there * 10.0 ** (np.asarray(snr_db, np.float64) / 10.0))
    mixed: NDArray[np.float32] = (clean + scale[:, np.newaxis] * artifact).astype(np.float32)
    return mixed
