"""Which channels show what the eyes do, and whether they still do."""

from __future__ import annotations

from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field
from scipy.signal import bessel, sosfilt_zi

from bci.config import StageSettings
from bci.dsp.channels import Columns, eeg_columns, find_columns, find_eeg
from bci.dsp.delay import DelayLine
from bci.dsp.filters import apply_sos, group_delay_s
from bci.electrodes import canonical
from bci.errors import ConfigError
from bci.types import Chunk, Flag, FloatArray, StreamInfo

__all__ = ["EyeReference", "EyeReferenceSettings", "mended", "runs"]

#: Electrodes above the eyes, of which those in the stream are the frontal reference.
FRONTAL = ("Fp1", "Fpz", "Fp2", "AF7", "AF8")
#: Low-pass of a frontal reference where none is asked for, Hz: blinks lie below.
FRONTAL_LOWPASS_HZ = 10.0
#: Farther from rest than this no eye moves an electrode, µV: it railed, or came loose.
PLAUSIBLE_UV = 1500.0
#: A reference that repeats one value for this long is flat or railed, seconds.
STUCK_S = 0.1

#: From how many standard deviations of a clean channel on, and from how many µV, a correction
#: is worth a flag.
NOTABLE, LEAST_UV = 2.0, 0.5


class EyeReferenceSettings(StageSettings):
    """Where stages that remove eye artifacts see them.

    eog: channels of type "eog" (`channels.pick` must let them in). frontal: without such
    channels, what is slow in EEG electrodes above the eyes. Frontal brain activity below
    `lowpass_hz` is removed with it, everywhere: choose it for rhythms over the back of the
    head or above `lowpass_hz`, not for frontal theta.
    """

    mends: ClassVar[bool] = True

    reference: Literal["eog", "frontal"] = Field(
        "eog", description="channels of type eog, or the EEG channels above the eyes"
    )
    channels: tuple[str, ...] = Field(
        (), description="the reference channels; empty: all of type eog / Fp1 Fpz Fp2 AF7 AF8"
    )
    lowpass_hz: float | None = Field(
        None,
        gt=0,
        description="low-pass of the reference, Hz, which delays all samples by some "
        "0.2 / lowpass_hz seconds; null: none for eog, 10 for frontal",
    )


class EyeReference:
    """The reference beside the samples that it belongs to.

    The low-pass is Bessel's, of order 2, which keeps a blink's shape. All samples are
    delayed by as much as it delays the reference.

    Attributes
    ----------
    names : tuple of str
        The reference channels.
    targets : array of int
        Columns of the EEG channels to be cleaned. EEG channels named under `reference: eog`
        stay as they are; frontal ones are cleaned themselves.
    counts : array of bool
        Of each target whether a change of it is worth a flag: not of the references, of which
        little is left below the low-pass.
    delay_s : float
    """

    def __init__(self, settings: EyeReferenceSettings, info: StreamInfo) -> None:
        kind = settings.kind
        self.columns = _columns(settings, info)
        self.names = tuple(info.ch_names[i] for i in self.columns)
        self.targets: Columns = eeg_columns(info, kind)
        if settings.reference == "eog":
            self.targets = np.setdiff1d(self.targets, self.columns)
        if len(self.targets) == 0:
            raise ConfigError(
                f"{kind}: every EEG channel ({', '.join(self.names)}) is a reference, and none is "
                "left to be cleaned; name fewer under 'channels'"
            )
        self.counts: NDArray[np.bool_] = ~np.isin(self.targets, self.columns)
        hz = settings.lowpass_hz
        if hz is None and settings.reference == "frontal":
            hz = FRONTAL_LOWPASS_HZ
        self._sos: FloatArray | None = None
        n_delay = 0
        if hz is not None:
            if hz >= info.sfreq / 2:
                raise ConfigError(
                    f"{kind}: lowpass_hz is {hz:g} Hz, but the stream's sfreq of {info.sfreq:g} Hz "
                    f"allows only frequencies below {info.sfreq / 2:g} Hz; lower it"
                )
            self._sos = np.ascontiguousarray(bessel(2, hz, norm="mag", fs=info.sfreq, output="sos"))
            n_delay = round(group_delay_s(self._sos, 0.0, info.sfreq) * info.sfreq)
        self._zi: FloatArray | None = None
        self._delay = DelayLine(n_delay)
        self.delay_s = n_delay / info.sfreq
        self._n_stuck = max(3, round(STUCK_S * info.sfreq))
        self._newest: FloatArray = np.full(len(self.columns), np.nan)
        self._n_same: NDArray[np.int_] = np.zeros(len(self.columns), int)

    def __call__(
        self, chunk: Chunk, rest: FloatArray | float = 0.0
    ) -> tuple[Chunk, FloatArray, NDArray[np.bool_]]:
        """Samples, their reference, and where the reference is dead, flags of that included.

        Parameters
        ----------
        chunk : Chunk
        rest : array, shape (n_references,)
            Where the reference lies with the eyes at rest, µV.

        Returns
        -------
        chunk : Chunk
            Delayed where the reference is low-passed.
        reference : array, shape (n_samples, n_references)
        dead : array of bool, shape (n_samples,)
            A reference channel is flat, railed or loose: nothing is to be told from it.
        """
        reference = np.take(chunk.data, self.columns, axis=1).astype(np.float64, copy=False)
        if len(reference) == 0:
            return chunk, reference, np.zeros(0, bool)
        stuck = self._stuck(reference)
        if self._sos is not None:
            if self._zi is None:
                self._zi = sosfilt_zi(self._sos) * reference[0][:, None, None]
            reference = apply_sos(self._sos, self._zi, reference, None)
        dead = stuck | (np.abs(reference - rest) > PLAUSIBLE_UV)
        notes = [
            Flag(start, stop, "no-reference", name, rejects=False)
            for name, column in zip(self.names, dead.T, strict=True)
            for start, stop in runs(chunk.start, column)
        ]
        out = self._delay(chunk)
        return Chunk(out.start, out.data, (*out.flags, *notes)), reference, np.any(dead, axis=1)

    def _stuck(self, reference: FloatArray) -> NDArray[np.bool_]:
        """Where each channel has repeated one value for too long."""
        before = np.concatenate([self._newest[None], reference[:-1]])
        index = np.arange(1, len(reference) + 1)[:, None]
        changed = np.maximum.accumulate(np.where(reference == before, 0, index), axis=0)
        n_same = np.where(changed > 0, index - changed, self._n_same + index)
        self._newest, self._n_same = reference[-1].copy(), n_same[-1]
        stuck: NDArray[np.bool_] = n_same >= self._n_stuck
        return stuck


def _columns(settings: EyeReferenceSettings, info: StreamInfo) -> Columns:
    """Columns of the reference channels."""
    kind, names = settings.kind, settings.channels
    if settings.reference == "frontal":
        if names:
            return find_eeg(info, names, kind)
        eeg = eeg_columns(info, kind)
        found = np.array([i for i in eeg if canonical(info.ch_names[i]) in FRONTAL], np.intp)
        if len(found) == 0:
            raise ConfigError(
                f"{kind}: reference 'frontal' looks for {', '.join(FRONTAL)}, and the stream has "
                f"{', '.join(info.ch_names)}; name the electrodes next to the eyes under "
                "'channels', or leave the stage out"
            )
        return found
    if names:
        try:
            return find_columns(info, names, kind)
        except ConfigError as error:
            raise ConfigError(
                f"{error}; name only channels that are there and check that channels.pick lets "
                "them in, or do without: 'reference: frontal'"
            ) from error
    found = np.flatnonzero(np.array(info.ch_types) == "eog")
    if len(found) == 0:
        raise ConfigError(
            f"{kind}: reference 'eog' asks for a channel of type eog, and the stream has none "
            f"({', '.join(info.ch_names)}); let it in with channels.pick, say which it is in "
            "channels.types, or do without: 'reference: frontal'"
        )
    return found


def runs(start: int, mask: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """Stretches ``[a, b)`` of a mask that begins at sample `start`."""
    if not mask.any():
        return []
    edges = np.flatnonzero(np.diff(np.concatenate([[False], mask, [False]])))
    return [(start + int(a), start + int(b)) for a, b in edges.reshape(-1, 2)]


def mended(start: int, correction: FloatArray, spread: FloatArray) -> tuple[Flag, ...]:
    """Flags "eog" over samples that were altered notably.

    Notably: on some channel by more than `NOTABLE` times `spread` (of each channel, or of each
    sample and channel), the standard deviation of what that channel shows when it is clean;
    infinite for channels that do not count. Less
    changes a sample no more than the brain does.
    """
    limit = np.maximum(NOTABLE * spread, LEAST_UV)
    notable = np.any(np.abs(correction) > limit, axis=1)
    return tuple(Flag(a, b, "eog", rejects=False, repairs=True) for a, b in runs(start, notable))
