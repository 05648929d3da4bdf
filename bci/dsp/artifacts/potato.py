"""Rejection by Riemannian potatoes, one a frequency band, on sliding windows."""

from __future__ import annotations

from collections import deque
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, field_validator
from scipy.special import log_ndtr
from scipy.stats import chi2

from bci.dsp.artifacts.alive import check_alive, check_usable
from bci.dsp.artifacts.calibration import Arrays, CalibratedSettings, CalibratedStage
from bci.dsp.artifacts.clean_stretches import clean_windows
from bci.dsp.artifacts.eye_reference import runs
from bci.dsp.artifacts.riemannian_potato import Potato, fit
from bci.dsp.block_least_squares import stretches
from bci.dsp.channels import Columns, eeg_columns, find_eeg
from bci.dsp.delay import DelayLine
from bci.dsp.filters import Bandpass, SosFilter
from bci.errors import CalibrationFailed, ConfigError
from bci.types import Chunk, Flag, FloatArray, StreamInfo

#: Fewest clean windows that a potato is fitted to.
MIN_WINDOWS = 10
#: Most channels judged together: no window tells more variances and covariances apart.
MAX_CHANNELS = 32


class PotatoField(CalibratedSettings):
    """Windows whose covariance lies too far from those of clean signal are rejected.

    Samples are not changed. A window is judged when it is complete, and the verdict falls on
    its newest `hop_s`, without delay: a decoder's window is rejected where one that was judged
    ends in it. All samples of a rejected window can be flagged only if they are still held.
    `lookahead_s` says for how long, null: as long as that takes. What is delayed by so much
    needs a `window.offset_s` larger by as much wherever markers open the windows.

    For a few channels, up to some 16 in a window of 1 s (32 are taken at most): name them
    where there are more.
    One that goes flat or rails is an artifact, and rejects until it is mended.
    """

    kind: Literal["potato"] = "potato"
    bands: tuple[tuple[float, float], ...] = Field(
        ((1.0, 20.0), (25.0, 45.0)),
        min_length=1,
        description="[low, high] of each potato, Hz: blinks and movements, muscles",
    )
    channels: tuple[str, ...] = Field((), description="EEG channels judged; empty: all")
    window_s: float = Field(1.0, gt=0, le=10, description="length of a window, seconds")
    hop_s: float = Field(0.1, gt=0, le=10, description="step between windows, seconds")
    lookahead_s: float | None = Field(
        0.0, ge=0, le=10, description="delay of the samples, seconds; null: a whole window"
    )
    z: float = Field(3.0, gt=0, description="rejects from this z of the log distance on")
    adapt_s: float | None = Field(
        120.0, gt=0, description="time constant of following clean signal, seconds; null: static"
    )
    shrinkage: float = Field(
        0.01, gt=0, lt=1, description="of covariances towards a multiple of the identity"
    )

    @field_validator("bands")
    @classmethod
    def _in_order(cls, bands: tuple[tuple[float, float], ...]) -> tuple[tuple[float, float], ...]:
        for low, high in bands:
            if not 0 < low < high:
                raise ValueError(f"a band is [low, high] in Hz; [{low:g}, {high:g}] is none")
        return bands

    def build(self) -> PotatoRejector:
        """Make the stage."""
        return PotatoRejector(self)


class Covariances:
    """Covariances of sliding windows of band-passed signal, from sums over hops.

    Parameters
    ----------
    settings : PotatoField
    n_channels : int
    sfreq : float

    Attributes
    ----------
    n_hop : int
        Samples in a hop.
    n_hops : int
        Hops in a window.
    """

    def __init__(self, settings: PotatoField, info: StreamInfo, start: int) -> None:
        self.n_hop = max(1, round(settings.hop_s * info.sfreq))
        self.n_hops = max(1, round(settings.window_s / settings.hop_s))
        self._shrinkage = settings.shrinkage
        self._filters = [SosFilter(Bandpass(low_hz=a, high_hz=b)) for a, b in settings.bands]
        for band in self._filters:
            band.reset(info, start)
        n = info.n_channels
        self._hop = np.empty((len(self._filters), self.n_hop, n))
        self._filled = 0
        self._sums: deque[FloatArray] = deque(maxlen=self.n_hops)

    def filtered(self, chunk: Chunk) -> FloatArray:
        """The chunk in each band, shape (n_bands, n_samples, n_channels)."""
        return np.stack([np.asarray(band(chunk).data, np.float64) for band in self._filters])

    def take(self, part: FloatArray, ends: bool) -> FloatArray | None:
        """Take in what lies within one hop, shape (n_bands, n_samples, n_channels).

        Returns
        -------
        array, shape (n_bands, n_channels, n_channels), or None
            Covariance of the window that `ends` here, where all of it was seen.
        """
        self._hop[:, self._filled : self._filled + part.shape[1]] = part
        self._filled += part.shape[1]
        if not ends:
            return None
        whole, self._filled = self._filled == self.n_hop, 0
        if not whole:  # the stream began within this hop
            return None
        self._sums.append(self._hop.swapaxes(1, 2) @ self._hop)
        if len(self._sums) < self.n_hops:
            return None
        return self._shrunk(np.add.reduce(self._sums) / (self.n_hop * self.n_hops))

    def _shrunk(self, covariances: FloatArray) -> FloatArray:
        """Positive definite also where channels are flat or referenced to their average."""
        n = covariances.shape[-1]
        # a picovolt's worth keeps silence itself defined
        scale = np.trace(covariances, axis1=1, axis2=2)[:, None, None] / n + 1e-12
        shrunk: FloatArray = (1 - self._shrinkage) * covariances + self._shrinkage * scale * np.eye(
            n
        )
        return shrunk


class PotatoRejector(CalibratedStage):
    """Flags "potato" where the potatoes together find a window unlike clean signal.

    Their p-values are combined as Fisher does, and held against that of a single potato's
    `z`. Windows found clean move the potatoes along. The bands' filters delay what is judged
    by some 50 ms against the samples.
    """

    def __init__(self, settings: PotatoField) -> None:
        super().__init__(settings)
        self._asked = settings
        # of one potato: -2 log p(z) itself
        n_bands = len(settings.bands)
        self._limit = float(chi2.isf(np.exp(log_ndtr(-settings.z)), 2 * n_bands))

    def prepare(self, info: StreamInfo, start: int) -> StreamInfo:
        """See `CalibratedStage`."""
        asked = self._asked
        for _, high in asked.bands:
            if high >= info.sfreq / 2:
                raise ConfigError(
                    f"potato: a band reaches {high:g} Hz, but the stream's sfreq of "
                    f"{info.sfreq:g} Hz allows only frequencies below {info.sfreq / 2:g} Hz; "
                    "lower it, or leave the band out"
                )
        self._columns: Columns = (
            find_eeg(info, asked.channels, "potato")
            if asked.channels
            else eeg_columns(info, "potato")
        )
        if len(self._columns) > MAX_CHANNELS:
            raise ConfigError(
                f"potato: {len(self._columns)} EEG channels are more than a window of "
                f"{asked.window_s:g} s can be judged by; name at most {MAX_CHANNELS} under "
                "'channels', for example some over each region"
            )
        names = tuple(info.ch_names[i] for i in self._columns)
        self._judged = StreamInfo(info.name, info.sfreq, names, ("eeg",) * len(names))
        self._windows = Covariances(asked, self._judged, start)
        n_hop, n_window = self._windows.n_hop, self._windows.n_hop * self._windows.n_hops
        n_ahead = n_window - 1
        if asked.lookahead_s is not None:
            n_ahead = min(round(asked.lookahead_s * info.sfreq), n_ahead)
        self._delay = DelayLine(n_ahead)
        self.delay_s = n_ahead / info.sfreq
        self._n_rejected = max(n_ahead + 1, n_hop)
        self._until = start  # what comes out before this index is rejected
        self._alpha = 0.0
        if asked.adapt_s is not None:
            self._alpha = float(-np.expm1(-n_hop / (asked.adapt_s * info.sfreq)))
        self._potatoes: list[Potato] = []
        return info

    def calibrate(self, block: FloatArray, usable: NDArray[np.bool_]) -> Arrays:
        """Fit each band's potato to windows, half a window apart, without rejected samples."""
        asked, sfreq = self._asked, self._judged.sfreq
        eeg = np.ascontiguousarray(block[:, self._columns])
        check_usable("potato", usable, asked.window_s, sfreq)
        check_alive("potato", eeg, self._judged.ch_names, sfreq)
        windows = Covariances(asked, self._judged, 0)
        filtered = windows.filtered(Chunk(0, eeg))
        usable = usable.copy()
        usable[: round(sfreq / min(low for low, _ in asked.bands))] = False  # filters settle
        # the potato alone would take blinks for clean where every other window holds one
        for x in filtered:
            usable &= clean_windows(x, usable, sfreq, asked.window_s, "potato").mask(len(x))
        every = max(1, windows.n_hops // 2)
        found = []
        for stop in range(windows.n_hop, len(block) + 1, windows.n_hop):
            covariances = windows.take(filtered[:, stop - windows.n_hop : stop], ends=True)
            start = stop - windows.n_hop * windows.n_hops
            if covariances is None or stop // windows.n_hop % every:
                continue
            if usable[start:stop].all():
                found.append(covariances)
        if len(found) < MIN_WINDOWS:
            raise CalibrationFailed(
                f"potato: {MIN_WINDOWS} windows of {asked.window_s:g} s, half overlapping, without "
                f"rejected samples are needed, and {len(block) / sfreq:.3g} s hold {len(found)}; "
                "let the person sit still, or raise calibration_s"
            )
        potatoes = []
        for band, covariances in zip(asked.bands, np.stack(found, axis=1), strict=True):
            potato, kept = fit(covariances, asked.z)
            if kept.sum() < max(MIN_WINDOWS, len(kept) / 2):
                raise CalibrationFailed(
                    f"potato: of {len(kept)} windows only {kept.sum()} are alike at {band[0]:g} to "
                    f"{band[1]:g} Hz, so it cannot be told what clean signal is; calibrate it "
                    "while the person sits still"
                )
            potatoes.append(potato)
        return self._learnt(potatoes)

    def _learnt(self, potatoes: list[Potato]) -> Arrays:
        return {
            "channels": self._columns.astype(float),
            "bands": np.array(self._asked.bands),
            "centroids": np.stack([p.centroid for p in potatoes]),
            "means": np.array([p.mean for p in potatoes]),
            "stds": np.array([p.std for p in potatoes]),
        }

    def adopt(self, arrays: Arrays) -> None:
        """See `CalibratedStage`."""
        for key, asked in (("channels", self._columns), ("bands", self._asked.bands)):
            found = np.asarray(arrays.get(key, ()))
            if not np.array_equal(found, np.asarray(asked, float)):
                raise ConfigError(
                    f"potato: calibrated with other {key} than the settings ask for; calibrate it "
                    "with these settings"
                )
        each = zip(arrays["centroids"], arrays["means"], arrays["stds"], strict=True)
        self._potatoes = [Potato(np.array(c), float(m), float(s)) for c, m, s in each]
        self.arrays = arrays

    def process(self, chunk: Chunk) -> Chunk:
        """See `CalibratedStage`."""
        if len(chunk.data) == 0:
            return chunk
        eeg = Chunk(chunk.start, np.take(chunk.data, self._columns, axis=1))
        filtered = self._windows.filtered(eeg)
        rejected = np.zeros(len(chunk.data), bool)
        n_hop = self._windows.n_hop
        for start, stop in stretches(chunk.start, chunk.stop, n_hop):
            part = slice(start - chunk.start, stop - chunk.start)
            rejected[part] = np.arange(start, stop) < self._until
            covariances = self._windows.take(filtered[:, part], ends=stop % n_hop == 0)
            if covariances is not None and self._potatoes and not self._is_clean(covariances):
                rejected[part.stop - 1] = True
                self._until = stop - 1 + self._n_rejected
        out = self._delay(chunk)
        flags = [Flag(a, b, "potato") for a, b in runs(chunk.start, rejected)]
        return Chunk(out.start, out.data, (*out.flags, *flags))

    def _is_clean(self, covariances: FloatArray) -> bool:
        """Judge a window, and follow it where it is clean."""
        each = zip(self._potatoes, covariances, strict=True)
        z = np.array([potato.z(covariance) for potato, covariance in each])
        clean = -2.0 * float(np.sum(log_ndtr(-z))) < self._limit
        if clean and self._alpha:
            for potato in self._potatoes:
                potato.update(self._alpha)
            self.arrays = self._learnt(self._potatoes)
        return clean
