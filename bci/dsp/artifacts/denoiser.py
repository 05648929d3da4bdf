"""A trained denoiser in the stream: overlapping windows, blended into one another.

A window as long as the network was trained on ends at each multiple of the hop. What the
network takes away from it is taken away from the stream, in the second to last hop of the
window and the one before the newest, so that every sample is cleaned by two windows and
passes from one to the next. The delay is two hops, of any network.

Rates and montages other than the network's own are brought to it and back (see
`bci.denoise.montage`); it is what the network removes that goes this way, never the signal.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from bci.config import StageSettings
from bci.denoise.artifact import LoadedDenoiser, load
from bci.denoise.montage import MontageMap, map_montage, resampled
from bci.dsp.channels import Columns, eeg_columns
from bci.dsp.delay import DelayLine
from bci.errors import ConfigError
from bci.types import Chunk, Flag, FloatArray, StreamInfo, rate_ratio

#: Lowest rate of a stream, as a share of the rate that a denoiser was trained at.
MIN_RATE = 0.5


class DenoiserSettings(StageSettings):
    """A denoiser of `bci train --kind denoiser` on the EEG channels.

    Belongs behind the filters that it was trained behind: for pairs of recordings a
    band-pass from 1 to 50 Hz and the average reference, which is demanded. All channels are
    delayed by two hops; until the first one comes out it is held, under a rejecting flag
    "delay", and until a window is full, samples pass under the note "warm-up".

    A channel that is flat or not finite in a window is for this window as if it were not
    there: its place is filled from the channels around it, and it passes as it is.
    """

    mends: ClassVar[bool] = True

    kind: Literal["denoiser"] = "denoiser"
    path: Path = Field(description="folder of the denoiser")
    hop_s: float = Field(
        0.5, gt=0, le=10, description="from one window to the next, seconds; the delay is twice it"
    )
    noted_from: float = Field(
        0.1, ge=0, le=1, description="a hop is noted as repaired where this share of its RMS, or "
        "more, is taken away",
    )  # fmt: skip

    def build(self) -> DenoiserStage:
        """Make the stage."""
        return DenoiserStage(self, load(self.path))


class DenoiserStage:
    """Windows at absolute multiples of the hop, one at a time; any chunking gives the same.

    Parameters
    ----------
    settings : DenoiserSettings
    denoiser : LoadedDenoiser
    """

    def __init__(self, settings: DenoiserSettings, denoiser: LoadedDenoiser) -> None:
        self._settings, self._denoiser = settings, denoiser
        self.delay_s = 0.0

    def reset(self, info: StreamInfo, start: int = 0) -> StreamInfo:
        """See `Stage.reset`."""
        model = self._denoiser.manifest
        self._check(info)
        self._eeg: Columns = eeg_columns(info, "denoiser")
        self._names = tuple(info.ch_names[i] for i in self._eeg)
        self._positions = info.positions
        self._maps: dict[tuple[str, ...], MontageMap] = {}
        if model.ch_names:
            self._map(self._names)
        self._ratio = rate_ratio(model.sfreq, info.sfreq)
        self._hop = max(1, math.floor(self._settings.hop_s * info.sfreq))
        self._n = math.ceil(model.n_times / self._ratio)  # samples of a window in the stream
        if 2 * self._hop > self._n:
            raise ConfigError(
                f"denoiser: hop_s is {self._settings.hop_s:g}, and windows of "
                f"{self._n / info.sfreq:g} s, on which {model.model_id} was trained, must be two "
                "hops long at least; shorten it"
            )
        self.delay_s = 2 * self._hop / info.sfreq
        self._start = start
        self._line: FloatArray | None = None  # the newest samples, the hop under way at its end
        self._delay = DelayLine(2 * self._hop)
        self._taken = np.zeros((self._hop, len(self._eeg)))  # from the output of the hop under way
        self._note: Flag | None = None  # on that output: of it, `start` and `stop` do not count
        self._newest = np.zeros((self._hop, len(self._eeg)))  # removed by the last window
        self._blend = ((1 - np.cos(np.pi * (np.arange(self._hop) + 0.5) / self._hop)) / 2)[:, None]
        return info

    def _check(self, info: StreamInfo) -> None:
        model = self._denoiser.manifest
        if info.sfreq < MIN_RATE * model.sfreq:
            raise ConfigError(
                f"denoiser: {model.model_id} was trained at {model.sfreq:g} Hz, and the stream's "
                f"{info.sfreq:g} Hz hold too little of what it has learnt to see; "
                f"{MIN_RATE * model.sfreq:g} Hz or more are needed: leave the stage out"
            )
        # pairs of recordings are average-referenced; in a bank each channel is by itself
        averaged = model.training.get("data", {}).get("kind") == "pairs"
        if averaged and info.rank is None:
            raise ConfigError(
                f"denoiser: {model.model_id} was trained on average-referenced signals; put "
                "{kind: reference, mode: average} before it"
            )

    def _map(self, names: tuple[str, ...]) -> MontageMap:
        if names not in self._maps:
            template = self._denoiser.manifest.ch_names
            self._maps[names] = map_montage(names, template, positions=self._positions)
        return self._maps[names]

    # --- samples ---------------------------------------------------------------------------------

    def __call__(self, chunk: Chunk) -> Chunk:
        """See `Stage`."""
        late = self._delay(chunk)
        out = np.array(late.data, np.float64, order="C")
        if len(out) == 0:
            return Chunk(chunk.start, out, late.flags)
        hop, past = self._hop, self._n
        if self._line is None:
            self._line = np.repeat(np.asarray(chunk.data[:1], np.float64), past + hop, axis=0)
        notes: list[Flag] = []
        at = 0
        while at < len(out):
            offset = (chunk.start + at) % hop
            n = min(hop - offset, len(out) - at)
            out[at : at + n, self._eeg] -= self._taken[offset : offset + n]
            self._line[past + offset : past + offset + n] = chunk.data[at : at + n]
            if self._note is not None:
                _add(notes, self._note, chunk.start + at, chunk.start + at + n)
            at += n
            if offset + n == hop:
                self._turn(chunk.start + at)
        return Chunk(chunk.start, out, (*late.flags, *notes))

    def _turn(self, end: int) -> None:
        """A hop is complete: clean the window that ends here; what to take from the next hop."""
        assert self._line is not None
        hop = self._hop
        self._line[: self._n] = self._line[hop:].copy()
        window = self._line[: self._n, self._eeg]
        if end - self._start < self._n:
            self._note = Flag(0, 1, "warm-up", rejects=False)
            return
        removed = self._removed(window)
        self._taken = self._newest + self._blend * (removed[:hop] - self._newest)
        self._newest = removed[hop:]
        before = window[-2 * hop : -hop]
        good = np.isfinite(before).all(axis=0)
        much = _rms(self._taken[:, good]) >= self._settings.noted_from * _rms(before[:, good])
        mended = much and self._taken.any()
        self._note = Flag(0, 1, "denoiser", rejects=False, repairs=True) if mended else None

    def _removed(self, window: FloatArray) -> FloatArray:
        """What the network takes away, shape (2 * hop, n_eeg), in the newest two hops."""
        there = np.isfinite(window).all(axis=0) & (np.ptp(window, axis=0) > 0)
        removed = np.zeros((2 * self._hop, len(self._eeg)))
        if there.any():
            x = window[:, there].T
            n_times = self._denoiser.manifest.n_times
            found = self._artifact(resampled(x, self._ratio, n_times), there)
            back = resampled(found, 1 / self._ratio, self._n)
            removed[:, there] = back[:, -2 * self._hop :].T
        return removed

    def _artifact(self, x: FloatArray, there: NDArray[np.bool_]) -> FloatArray:
        """What the network removes of a window at its own rate, shape (n_there, n_times)."""
        if not self._denoiser.manifest.ch_names:
            found: FloatArray = x - self._denoiser.clean(x[None])[0]
            return found
        names = tuple(name for name, is_there in zip(self._names, there, strict=True) if is_there)
        laid = self._map(names)
        on_template = laid.to_template(x)
        removed: FloatArray = on_template - self._denoiser.clean(on_template)
        return laid.from_template(removed)


def _add(notes: list[Flag], note: Flag, start: int, stop: int) -> None:
    """Add a note on samples, as one flag with those just before that have the same."""
    if notes and notes[-1].stop == start and notes[-1].reason == note.reason:
        start = notes.pop().start
    notes.append(Flag(start, stop, note.reason, None, note.rejects, note.repairs))


def _rms(x: FloatArray) -> float:
    return float(np.sqrt(np.mean(x**2))) if x.size else 0.0
