"""FBCCA with learned offsets: what each frequency scores by itself is taken off.

Ongoing activity is not equally strong at all frequencies (alpha near 10 Hz, beta near
20 Hz), nor are responses to flicker. So some targets score higher than others whoever
looks at them, and FBCCA decides for them too often. Calibration shows by how much. The
scores s of FBCCA become log-odds ``β s_k + b_k``: one slope for all, an offset for each
class. That is temperature scaling with bias (Alexandari, Kundaje & Shrikumar, ICML 2020,
arXiv:1901.06852), here with a normal prior on the offsets, so that it starts at FBCCA and
leaves it only as far as the trials demand: K + 1 numbers are learned, of which a few
trials a class tell enough.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field
from scipy.optimize import minimize
from scipy.special import logsumexp, softmax

from bci.decoders.covariance.classifier import Learned
from bci.decoders.ssvep.cca import FBCCA
from bci.decoders.ssvep.filterbank import FilterBank
from bci.decoders.ssvep.phase_free import PhaseFree, PhaseFreeSettings
from bci.types import FloatArray


class OffsetFBCCA(PhaseFree):
    """FBCCA whose classes have offsets, learned from labelled windows.

    Parameters
    ----------
    sfreq, frequencies, n_harmonics, n_bands, high_hz, channels
        As in `bci.decoders.FBCCA`.
    C : float
        Variance of the offsets' prior, in log-odds squared.
    """

    kind: ClassVar[str] = "offset_fbcca"

    def __init__(
        self,
        sfreq: float,
        frequencies: Mapping[Any, float],
        n_harmonics: int = 5,
        n_bands: int = 5,
        *,
        C: float = 1.0,
        high_hz: float = 90.0,
        channels: Sequence[int] | None = None,
    ) -> None:
        self.sfreq = sfreq
        self.frequencies = frequencies
        self.n_harmonics = n_harmonics
        self.n_bands = n_bands
        self.C = C
        self.high_hz = high_hz
        self.channels = channels

    def _scorer(self) -> FBCCA:
        hz: Any = self.frequencies
        return FBCCA(self.sfreq, hz, self.n_harmonics, self.n_bands, high_hz=self.high_hz)

    def _shortest(self, n_channels: int, bank: FilterBank) -> int:
        return self._scorer()._shortest(n_channels, bank)

    def _check_classes(self, classes: NDArray[Any]) -> None:
        if classes.tolist() != self._labels():
            raise ValueError(
                f"y holds {classes.tolist()}, OffsetFBCCA needs windows of each of "
                f"{self._labels()}, and of no other class"
            )

    def _measure(self, windows: FloatArray) -> FloatArray:
        """Scores of FBCCA, shape (n_windows, n_classes)."""
        return self._scorer().scores(windows)

    def _fit_weights(self, measured: FloatArray, codes: NDArray[np.intp]) -> dict[str, FloatArray]:
        n, n_classes = measured.shape
        error = 1.0 / (n + 2)  # the rule of succession: a few trials give no certainty
        targets = np.full(measured.shape, error / (n_classes - 1))
        targets[np.arange(n), codes] = 1.0 - error
        # which targets were cued more often says nothing about what will be wanted
        weights = (n / (n_classes * np.bincount(codes, minlength=n_classes)))[codes]

        def loss(parameters: FloatArray) -> tuple[float, FloatArray]:
            slope, offsets = np.exp(parameters[0]), parameters[1:]
            logits = slope * measured + offsets
            missed = weights[:, None] * (softmax(logits, axis=1) - targets)
            value = float(weights @ (logsumexp(logits, axis=1) - np.sum(targets * logits, axis=1)))
            value += float(offsets @ offsets) / (2 * self.C)
            slopes = slope * np.sum(missed * measured)
            return value, np.concatenate([[slopes], missed.sum(axis=0) + offsets / self.C])

        start = np.zeros(1 + n_classes)
        bounds = [(np.log(1e-3), np.log(1e4)), *[(None, None)] * n_classes]
        found = minimize(loss, start, jac=True, method="L-BFGS-B", bounds=bounds).x
        return {"slope": np.exp(found[:1]), "offsets": found[1:].copy()}

    def _logits(self, measured: FloatArray, learned: Learned) -> FloatArray:
        logits: FloatArray = learned["slope"] * measured + learned["offsets"]
        return logits


class OffsetFBCCASettings(PhaseFreeSettings):
    """Filter-bank CCA with an offset for each frequency; to be trained."""

    decoder: ClassVar[type[OffsetFBCCA]] = OffsetFBCCA

    kind: Literal["offset_fbcca"] = "offset_fbcca"
    harmonics: int = Field(5, ge=1, le=20, description="harmonics in the reference signals")
    bands: int = Field(5, ge=1, le=20, description="bands of the filter bank")
    C: float = Field(1.0, gt=0, description="variance of the offsets' prior")

    def _arguments(self) -> dict[str, Any]:
        return {**super()._arguments(), "n_bands": self.bands}
