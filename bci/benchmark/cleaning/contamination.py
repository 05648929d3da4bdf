"""Real artifacts added to real recordings, so that what is beneath is known.

Epochs of a bank's *test* sources (no denoiser has learnt from them) are laid over a
recording at random times: those of the eyes in the field of a blink, those of muscles in
the field of one of four muscles, each scaled to a signal-to-noise ratio in
EEGdenoiseNet's dB at the electrode where it is strongest. As in semi-simulated EOG data
[1]_, what the eyes sent can be given as a channel of its own.

.. [1] Klados, Bamidis (2016). A semi-simulated EEG/EOG dataset for the comparison of EOG
   artifact rejection techniques. Data in Brief 8, 1004.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
from pydantic import Field, model_validator
from scipy.signal import butter, detrend, resample_poly, sosfiltfilt
from scipy.signal.windows import tukey

from bci.config import Settings
from bci.denoise.bank import Bank
from bci.errors import ConfigError
from bci.paradigms import scalp
from bci.paradigms.ongoing import MUSCLE_SITES
from bci.paradigms.physiology import Physiology
from bci.sources.files import Recording
from bci.types import FloatArray, rate_ratio

Kind = Literal["eog", "emg"]

#: Band in which a recording's own strength is measured, Hz: drift is no EEG.
BAND_HZ = (1.0, 45.0)
#: Length of the stretches whose RMS is taken; their median is a channel's strength. Seconds.
STRETCH_S = 2.0
#: A muscle whose field has fallen below this share at the nearest electrode is out of reach.
REACH = 0.5
#: Share of an epoch over which it fades in and out, so that its ends are no steps.
FADE = 0.1
#: What a channel with the eyes' signal holds besides, relative to the strongest EEG channel.
EOG_NOISE = 0.1


class Added(Settings):
    """Epochs of one kind."""

    per_min: float = Field(gt=0, le=30, description="rate; epochs do not overlap each other")
    snr_db: tuple[float, float] = Field(
        (-7.0, 2.0), description="lowest and highest, drawn evenly; EEGdenoiseNet's dB"
    )

    @model_validator(mode="after")
    def _in_order(self) -> Added:
        if self.snr_db[0] > self.snr_db[1]:
            raise ValueError(f"'snr_db' is a lowest and a highest value; found {self.snr_db}")
        return self


class AddedArtifacts(Settings):
    """What is added to the recordings of a data set."""

    bank: Path = Field(description="epochs of EEG and artifacts, see bci.denoise.bank")
    split_seed: int = Field(0, ge=0, description="of the bank's split: its test sources are added")
    test_share: float = Field(0.2, gt=0, lt=1, description="of the bank's split")
    validation_share: float = Field(0.1, gt=0, lt=1, description="of the bank's split")
    eog: Added | None = None
    emg: Added | None = None
    reference: str | None = Field(
        None, min_length=1, description="name of a channel with the eyes' signal; null: none"
    )

    rms_uv: float | None = Field(
        None,
        gt=0,
        description="for recordings of arbitrary amplitude: they are scaled so that the median "
        "channel has this RMS, 1 to 45 Hz; null: as they are",
    )

    @model_validator(mode="after")
    def _something(self) -> AddedArtifacts:
        if self.eog is None and self.emg is None:
            raise ValueError("nothing is added: give 'eog', 'emg' or both")
        if self.reference is not None and self.eog is None:
            raise ValueError("'reference' holds the eyes' signal: give 'eog' too")
        return self


@dataclass(frozen=True, slots=True)
class Pair:
    """A recording before and after, with the same channels and markers."""

    clean: Recording
    contaminated: Recording


def contaminate(recording: Recording, settings: AddedArtifacts, seed: int) -> Pair:
    """Add artifacts to the EEG channels of a recording.

    Raises
    ------
    ConfigError
        The bank does not fit, an electrode has no known place, or no muscle is in reach.
    """
    info = recording.info
    eeg = np.flatnonzero(np.array(info.ch_types) == "eeg")
    electrodes = scalp.positions([info.ch_names[k] for k in eeg])
    data = np.asarray(recording.data, np.float64)
    strength = _strength(data[:, eeg], info.sfreq)
    if settings.rms_uv is not None:
        gain = settings.rms_uv / np.median(strength)
        data, strength = gain * data, gain * strength
    _, _, bank = Bank.load(settings.bank).split(
        settings.test_share, settings.validation_share, settings.split_seed
    )
    added = np.zeros((len(data), len(eeg)))
    eyes = np.zeros(len(data))
    typical = Physiology()
    if settings.eog is not None:
        field = scalp.blink_field(electrodes, typical.blink_at_vertex)
        rng = np.random.default_rng([seed, 0])
        for at, wave in _epochs(bank, "eog", settings.eog, info.sfreq, len(data), rng):
            scaled = wave * strength[field.argmax()]
            added[at] += np.outer(scaled, field / field.max())
            eyes[at] += scaled / field.max()
    if settings.emg is not None:
        fields = _muscles(electrodes, typical.emg_spread)
        rng = np.random.default_rng([seed, 1])
        for at, wave in _epochs(bank, "emg", settings.emg, info.sfreq, len(data), rng):
            field = fields[rng.integers(len(fields))]
            added[at] += np.outer(wave * strength[field.argmax()], field / field.max())
    noisy = data.copy()
    noisy[:, eeg] += added
    pair = Pair(replace(recording, data=data), replace(recording, data=noisy))
    if settings.reference is None:
        return pair
    noise = np.random.default_rng([seed, 2]).standard_normal(len(data))
    noise *= EOG_NOISE * strength.max()
    return Pair(
        _with_channel(pair.clean, settings.reference, noise),
        _with_channel(pair.contaminated, settings.reference, noise + eyes),
    )


def _strength(eeg: FloatArray, sfreq: float) -> FloatArray:
    """Median over stretches of each channel's RMS, shape (n_channels,)."""
    high = min(BAND_HZ[1], 0.45 * sfreq)
    sos = butter(2, (BAND_HZ[0], high), "bandpass", fs=sfreq, output="sos")
    n = round(STRETCH_S * sfreq)
    filtered = sosfiltfilt(sos, eeg, axis=0)[: len(eeg) // n * n]
    result: FloatArray = np.median(
        np.sqrt(np.mean(filtered.reshape(-1, n, eeg.shape[1]) ** 2, axis=1)), axis=0
    )
    return result


def _epochs(
    bank: Bank, kind: Kind, added: Added, sfreq: float, n_samples: int, rng: np.random.Generator
) -> Iterator[tuple[slice, FloatArray]]:
    """Where epochs lie, and their samples, scaled to the SNR beside EEG of RMS 1."""
    ratio = rate_ratio(sfreq, bank.sfreq)
    held = np.asarray(bank.artifact(kind), np.float64)
    epochs = resample_poly(held, ratio.numerator, ratio.denominator, axis=1, padtype="line")
    epochs = detrend(epochs, axis=1) * tukey(epochs.shape[1], FADE)
    epochs /= np.sqrt(np.mean(epochs**2, axis=1, keepdims=True))
    n_times = epochs.shape[1]
    gap_s = max(60.0 / added.per_min - n_times / sfreq, 0.1)
    start = round(rng.exponential(gap_s) * sfreq)
    while start + n_times <= n_samples:
        level = 10.0 ** (-rng.uniform(*added.snr_db) / 10.0)
        yield slice(start, start + n_times), level * epochs[rng.integers(len(epochs))]
        start += n_times + round(rng.exponential(gap_s) * sfreq)


def _muscles(electrodes: FloatArray, length: float) -> list[FloatArray]:
    fields = [scalp.exponential_field(electrodes, site, length) for site in MUSCLE_SITES]
    reached = [field for field in fields if field.max() >= REACH]
    if not reached:
        raise ConfigError(
            "EMG cannot be added: no electrode lies near temples, forehead or neck "
            f"({', '.join(MUSCLE_SITES)}); leave 'emg' out"
        )
    return reached


def _with_channel(recording: Recording, name: str, samples: FloatArray) -> Recording:
    info = recording.info
    if name in info.ch_names:
        raise ConfigError(f"'reference' {name} is a channel of the recording; choose another name")
    return replace(
        recording,
        info=replace(
            info, ch_names=(*info.ch_names, name), ch_types=(*info.ch_types, "eog"),
        ),
        data=np.column_stack([recording.data, samples]),
    )  # fmt: skip
