"""Artifact subspace reconstruction: what exceeds clean signal is rebuilt from the rest.

Every 50 ms the covariance of the last `window_s` is held against thresholds learnt from
clean signal. Directions that exceed theirs are replaced by what the others predict of
them, under the covariance of clean signal.

With C that covariance and V the directions to replace, the rest's best linear prediction
of them leaves ``R = I - V (Vᵀ C⁻¹ V)⁻¹ Vᵀ C⁻¹``, which is the reconstruction from the
mixing matrix ``C^(1/2)`` by the pseudo-inverse, at the cost of as many dimensions as are
replaced.

References
----------
Mullen et al. 2015, IEEE Trans Biomed Eng 62(11):2553-2567; Chang et al. 2020, IEEE Trans
Biomed Eng 67(4):1114-1121 (the cut-off); Blum et al. 2019, Front Hum Neurosci 13:141 (the
Riemannian mean). Blum's "nonlinear eigenspace" is left out: asked for as many vectors as
there are channels it has but one subspace to find, the whole space.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field
from scipy.linalg.lapack import dpotrf
from scipy.signal import sosfilt_zi

from bci.dsp.artifacts.asr_calibration import RANK_TOLERANCE, Clean, Method, learn
from bci.dsp.artifacts.calibration import Arrays, CalibratedSettings, CalibratedStage
from bci.dsp.artifacts.shaping import shaping_filter
from bci.dsp.channels import Columns, eeg_columns
from bci.dsp.filters import apply_sos
from bci.errors import ConfigError
from bci.types import Chunk, Flag, FloatArray, StreamInfo

#: Time between decisions on what to replace, seconds.
HOP_S = 0.05


class ASR(CalibratedSettings):
    """Artifact subspace reconstruction of the EEG channels.

    Belongs behind a high-pass (0.5 or 1 Hz). All channels are delayed by `lookahead_s`,
    calibrated or not. A change is blended in over 50 ms, so that what is replaced has been
    seen for `lookahead_s` less 50 ms.

    Replacing lowers the rank of a window by the number of directions. `StreamInfo.rank`
    does not follow that, since it may change every 50 ms: covariance decoders shrink their
    estimates, which keeps them defined.
    """

    mends: ClassVar[bool] = True

    kind: Literal["asr"] = "asr"
    calibration_s: float = Field(
        60.0,
        gt=0,
        le=600,
        description="without a file: seconds of signal to calibrate on; the spread of clean "
        "amplitudes is uncertain by a third in 30 s",
    )
    method: Method = Field(
        "euclid",
        description="mean covariance of clean signal: geometric median, or Riemannian (seconds of "
        "computing with 64 channels: better from a file than on the stream)",
    )
    cutoff: float = Field(
        20.0, ge=1, le=1000, description="threshold: mean + cutoff sd of clean amplitude"
    )
    max_dims: float = Field(
        0.66, gt=0, le=1, description="share of the channels that may be replaced at one time"
    )
    lookahead_s: float = Field(
        0.25, ge=HOP_S, le=1, description="delay, in which what comes is taken into account"
    )
    window_s: float = Field(
        0.5, ge=2 * HOP_S, le=5, description="length of the covariance that is judged, seconds"
    )

    def build(self) -> ArtifactSubspaceReconstruction:
        """Make the stage."""
        return ArtifactSubspaceReconstruction(self)


class ArtifactSubspaceReconstruction(CalibratedStage):
    """Decides at absolute multiples of the hop, so that any chunking gives the same output.

    The output of a hop is made when it begins, of samples that lie in the look-ahead.
    Until the first sample comes out it is held, under a rejecting flag "delay"; windows that
    reach back further than the start count what is missing as zero.
    """

    def __init__(self, settings: ASR) -> None:
        super().__init__(settings)
        self._asr = settings

    # --- what a stage says -------------------------------------------------------------------

    def prepare(self, info: StreamInfo, start: int) -> StreamInfo:
        """See `CalibratedStage.prepare`."""
        settings, self._sfreq = self._asr, info.sfreq
        self._eeg: Columns = eeg_columns(info, "asr")
        if len(self._eeg) < 2:
            raise ConfigError(
                f"asr: needs two EEG channels or more, the stream has only "
                f"'{info.ch_names[self._eeg[0]]}'; leave the stage out"
            )
        self._names = [info.ch_names[i] for i in self._eeg]
        self._hop = max(1, round(HOP_S * info.sfreq))
        self._late = max(self._hop, round(settings.lookahead_s * info.sfreq))
        self.delay_s = self._late / info.sfreq
        self._sos = shaping_filter(info.sfreq)
        self._zi: FloatArray | None = None
        n = len(self._eeg)
        n_hops = max(1, round(settings.window_s / HOP_S))
        self._sums = np.zeros(
            (n_hops, n, n)
        )  # of x xᵀ in each hop of the window, behind the filter
        self._oldest = 0
        self._shaped = np.zeros((self._hop, n))  # of the hop under way
        self._line = np.zeros((self._late + self._hop, info.n_channels))  # the newest samples
        self._ready = np.zeros((self._hop, info.n_channels))  # output of the hop under way
        self._real = start  # index of the first sample in the output that is no held one
        self._altered = False  # it differs from the input
        self._repair: FloatArray | None = None  # R; None: nothing to replace
        self._flags: list[Flag] = []  # of the input, still to cover output
        up = np.arange(1, self._hop + 1)[:, None] / self._hop
        self._blend = (1 - np.cos(np.pi * up)) / 2
        return info

    def calibrate(self, block: FloatArray, usable: NDArray[np.bool_]) -> Arrays:
        """See `CalibratedStage.calibrate`."""
        settings, sfreq = self._asr, self._sfreq
        x = np.take(block, self._eeg, axis=1)
        zi = sosfilt_zi(self._sos) * x[0][:, None, None]
        shaped = apply_sos(self._sos, zi, x, None)
        clean, clean_s = learn(
            x, shaped, usable, sfreq, settings.window_s, settings.method, self._names
        )
        limits = (clean.mean + settings.cutoff * clean.sd)[-clean.rank :]
        self.findings = (
            f"{clean_s:.1f} s of {len(x) / sfreq:.1f} s are clean, of rank {clean.rank} in "
            f"{len(self._names)} channels",
            f"components are replaced from {limits.min():.3g} to {limits.max():.3g} µV on (root "
            "mean square, frequencies weighted)",
        )
        return {
            "covariance": clean.covariance,
            "components": clean.components,
            "mean": clean.mean,
            "sd": clean.sd,
            "window_s": np.array([settings.window_s]),
            "riemann": np.array([float(settings.method == "riemann")]),
        }

    def adopt(self, arrays: Arrays) -> None:
        """See `CalibratedStage.adopt`."""
        self._check(arrays)
        clean = Clean(*(arrays[key] for key in ("covariance", "components", "mean", "sd")))
        power, vectors = np.linalg.eigh(clean.covariance)
        # where clean signal has nothing, the least activity is too much and is not kept
        least = RANK_TOLERANCE * float(power[-1])
        self._precision = (vectors / np.maximum(power, least)) @ vectors.T
        limit = np.maximum((clean.mean + self._asr.cutoff * clean.sd) ** 2, least)
        self._limits = (clean.components * limit) @ clean.components.T
        n = len(limit)
        self._kept = n - round(self._asr.max_dims * n)
        self.arrays = arrays

    def _check(self, arrays: Arrays) -> None:
        n, settings = len(self._eeg), self._asr
        shapes = {"covariance": (n, n), "components": (n, n), "mean": (n,), "sd": (n,)}
        shapes |= {"window_s": (1,), "riemann": (1,)}
        found = {key: value.shape for key, value in arrays.items()}
        if found != shapes:
            raise ConfigError(
                f"asr: its calibration holds {found}, and {shapes} are expected for the {n} EEG "
                "channels that enter the stage; calibrate it anew"
            )
        window_s = float(arrays["window_s"][0])
        method = "riemann" if arrays["riemann"][0] else "euclid"
        if method != settings.method or not np.isclose(window_s, settings.window_s):
            raise ConfigError(
                f"asr: it was calibrated with method {method} and window_s {window_s:g}, and is "
                f"asked for {settings.method} and {settings.window_s:g}; set these, or calibrate "
                "it anew"
            )

    # --- samples -----------------------------------------------------------------------------

    def process(self, chunk: Chunk) -> Chunk:
        """See `CalibratedStage.process`."""
        data = chunk.data
        self._note(chunk.flags)
        if len(data) == 0:
            return Chunk(chunk.start, data, ())
        x = np.take(data, self._eeg, axis=1)
        if self._zi is None:
            self._zi = sosfilt_zi(self._sos) * x[0][:, None, None]
            self._line[:] = data[0]
            self._ready[:] = data[0]
            self._real = chunk.start + self._late
        shaped = apply_sos(self._sos, self._zi, x, None)
        out = np.empty_like(data)
        altered: list[tuple[int, int]] = []
        at = 0
        while at < len(data):
            offset = (chunk.start + at) % self._hop
            n = min(self._hop - offset, len(data) - at)
            out[at : at + n] = self._ready[offset : offset + n]
            self._line[self._late + offset : self._late + offset + n] = data[at : at + n]
            self._shaped[offset : offset + n] = shaped[at : at + n]
            if self._altered:
                altered.append((chunk.start + at, chunk.start + at + n))
            at += n
            if offset + n == self._hop:
                self._turn()
        return Chunk(chunk.start, out, (*self._passed(chunk), *_flagged(altered)))

    def _turn(self) -> None:
        """A hop is complete: decide anew, and make the output of the next."""
        self._sums[self._oldest] = self._shaped.T @ self._shaped
        self._oldest = (self._oldest + 1) % len(self._sums)
        self._shaped[:] = 0.0
        self._line[: self._late] = self._line[self._hop :].copy()
        before = self._repair
        self._repair = self._decide()
        self._ready[:] = self._line[: self._hop]
        self._altered = before is not None or self._repair is not None
        if self._altered:
            x = np.take(self._ready, self._eeg, axis=1)
            old, new = (x if r is None else x @ r.T for r in (before, self._repair))
            self._ready[:, self._eeg] = old + self._blend * (new - old)

    def _decide(self) -> FloatArray | None:
        """Matrix R that rebuilds what exceeds its limit, shape (n_eeg, n_eeg)."""
        if self.arrays is None:
            return None
        covariance = np.add.reduce(self._sums) / (len(self._sums) * self._hop)
        # if limits - covariance is positive definite, no direction exceeds its own; to see that
        # takes a twentieth of the time that the directions themselves take
        if dpotrf(self._limits - covariance, lower=1, overwrite_a=1)[1] == 0:
            return None
        power, vectors = np.linalg.eigh(covariance)
        exceeds = power >= np.sum(vectors * (self._limits @ vectors), axis=0)
        exceeds[: self._kept] = False
        if not exceeds.any():
            return None
        directions = vectors[:, exceeds]
        seen = directions.T @ self._precision
        rest: FloatArray = np.eye(len(power))
        rest -= directions @ np.linalg.solve(seen @ directions, seen)
        return rest

    def _note(self, flags: tuple[Flag, ...]) -> None:
        """Take flags in; one that goes on from chunk to chunk stays one."""
        for flag in flags:
            for i, known in enumerate(self._flags):
                if known.stop == flag.start and replace(known, start=0, stop=0) == replace(
                    flag, start=0, stop=0
                ):
                    self._flags[i] = replace(known, stop=flag.stop)
                    break
            else:
                self._flags.append(flag)

    def _passed(self, chunk: Chunk) -> Iterator[Flag]:
        """Flags of the input, from when it comes in until it has come out."""
        if chunk.start < self._real:
            yield Flag(chunk.start, min(chunk.stop, self._real), "delay")
        for flag in self._flags:
            start, stop = max(flag.start, chunk.start), min(flag.stop + self._late, chunk.stop)
            if start < stop:
                yield replace(flag, start=start, stop=stop)
        self._flags = [f for f in self._flags if f.stop + self._late > chunk.stop]


def _flagged(stretches: list[tuple[int, int]]) -> list[Flag]:
    """One flag for each run of neighbouring stretches."""
    flags: list[Flag] = []
    for start, stop in stretches:
        if flags and flags[-1].stop == start:
            start = flags.pop().start
        flags.append(Flag(start, stop, "asr", rejects=False, repairs=True))
    return flags
