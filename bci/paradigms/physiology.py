"""Every amplitude, rate and time constant of the simulated subject, with its source.

The values were set from the papers and recordings named beside them before any
decoder was scored on the simulation, and are not tuned to results. "Choice"
marks what no source fixes. References in full:

.. [He2014] He. Scale-free brain activity: past, present, and future. Trends
   Cogn. Sci. 18, 480: exponents of scalp EEG lie between 1 and 2.
.. [S001] PhysioNet EEGMMIDB, subject 1, runs 3 to 7 (64 channels), measured here:
   exponent 1.3 to 1.8 at Oz (2 to 40 Hz without 7 to 14 Hz); correlation of two
   channels, 14 to 30 Hz: .92 at 3 cm, .85 at 5, .70 at 9, .48 at 14.5, .34 at 18.
.. [Liu2020] Liu, Huang, Wang, Chen, Gao. BETA: a large benchmark database toward
   SSVEP-BCI application. Front. Neurosci. 14, 627 (figures of the preprint): mean
   wide-band SNR −10.63 dB in the benchmark set of Wang et al. (2017), −13.76 dB in
   BETA; visual latency 136.91 ± 18.4 ms and 124.96 ± 14.81 ms; amplitudes at f, 2f,
   3f, 4f .266, .077, .054, .033 µV in the grand average at 10.6 Hz.
.. [Burkitt2000] Burkitt, Silberstein, Cadusch, Wood. Steady-state visual evoked
   potentials and travelling waves. Clin. Neurophysiol. 111, 246.
.. [Doughty2001] Doughty. Consideration of three types of spontaneous eyeblink
   activity in normal humans. Optom. Vis. Sci. 78, 712: 14.5 ± 3.3 blinks/min in
   primary gaze.
.. [Bentivoglio1997] Bentivoglio et al. Analysis of blink rate patterns in normal
   subjects. Mov. Disord. 12, 1028: log-normal.
.. [VanderWerf2003] VanderWerf et al. Eyelid movements: behavioral studies of blinking
   in humans under different stimulus conditions. J. Neurophysiol. 89, 2784.
.. [Corby1972] Corby, Kopell. Differential contributions of blinks and vertical eye
   movements as artifacts in EEG recording. Psychophysiology 9, 640: 9.3 % of a blink's
   EOG arrives at the vertex.
.. [Muthukumaraswamy2013] Muthukumaraswamy. High-frequency brain activity and muscle
   artifacts in MEG/EEG. Front. Hum. Neurosci. 7, 138: muscle activity at 20 to 300 Hz.
.. [Gasser2005] Gasser, Schuller, Schreiter Gasser. Correction of muscle artefacts in the
   EEG power spectrum. Clin. Neurophysiol. 116, 2044: frontal and temporal sites most.
.. [Pfurtscheller1999] Pfurtscheller, Lopes da Silva. Event-related EEG/MEG
   synchronization and desynchronization: basic principles. Clin. Neurophysiol. 110, 1842.
.. [Pfurtscheller2008] Pfurtscheller, Scherer, Müller-Putz, Lopes da Silva. Short-lived
   brain state after cued motor imagery in naive subjects. Eur. J. Neurosci. 28, 1419:
   desynchronisation begins about 300 ms after the cue.
.. [Braun1988] Braun, Breitmeyer. Relationship between directed visual attention and
   saccadic reaction times. Exp. Brain Res. 73, 546: 240 ms while a fixated point stays.
.. [IFCN] Kane et al. (2017). A revised glossary of terms most commonly used by clinical
   electroencephalographers. Clin. Neurophysiol. Pract. 2, 170: alpha rhythm, mostly below
   50 µV (peak to peak) in adults, attenuated by eye opening and attention.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np


def from_decibel(level_db: float) -> float:
    """Turn a level in dB into a ratio of powers."""
    return float(10.0 ** (level_db / 10.0))


def decibel(ratio: float) -> float:
    """Turn a ratio of powers into its level in dB; −inf for 0."""
    return 10.0 * math.log10(ratio) if ratio > 0.0 else -math.inf


@dataclass(frozen=True, slots=True)
class Physiology:
    """A typical adult, eyes open. Amplitudes in µV, times in s, frequencies in Hz, lengths in m.

    A signal-to-noise ratio is a ratio of powers over 3 to 100 Hz (or half the
    sampling rate, where that is less), steady response to ongoing activity
    (aperiodic and alpha; no artifacts, no line noise): the wide-band SNR of
    [Liu2020]_ with the true powers instead of estimates.
    """

    # ongoing aperiodic activity
    aperiodic_exponent: float = 1.5  # PSD ∝ 1/f^exponent; middle of [He2014], and of [S001]
    aperiodic_psd_1hz: float = 60.0  # µV²/Hz at 1 Hz (7.6 µV RMS in 3–100 Hz); choice
    aperiodic_knee_hz: float = 0.5  # flat below; slower is drift; choice
    correlation_length: float = 0.17  # corr = exp(−(d / length)^power), fits [S001]
    correlation_power: float = 1.3

    # posterior alpha, eyes open and attending [IFCN]
    alpha_rms: float = 4.0  # at Oz; about 15 µV peak to peak when it waxes; choice within [IFCN]
    alpha_hz: float = 10.0
    alpha_hz_sd: float = 0.8  # between persons; choice within 8 to 13 Hz [IFCN]
    alpha_width_hz: float = 1.5  # width at half power; choice

    # steady-state visual evoked potential
    ssvep_snr: float = from_decibel(-10.63)  # wide-band [Liu2020], benchmark set
    harmonics: tuple[float, ...] = (0.266, 0.077, 0.054, 0.033)  # relative amplitudes [Liu2020]
    latency: float = 0.137  # [Liu2020]
    latency_sd: float = 0.018  # between persons [Liu2020]
    build_up: float = 0.1  # time constant; steady after 0.1 to 0.2 s [Liu2020], figure 2A
    wave_speed: float = 8.0  # m/s over the scalp, within 7 to 11 [Burkitt2000]
    visual_spread: float = 0.045  # Gaussian radius of the field about Oz; choice
    trial_gain_sd: float = 0.2  # of log amplitude from trial to trial; choice
    trial_jitter: float = 0.003  # SD of the latency from trial to trial; choice

    # behaviour
    gaze_shift: float = 0.24  # median from cue to gaze on target [Braun1988]
    gaze_shift_sd: float = 0.2  # of its logarithm; choice
    lapse_rate: float = 0.01  # trials in which the cue is missed; choice

    # rolandic rhythms, and how imagery desynchronises them
    mu_snr: float = from_decibel(-6.0)  # of the mu rhythm at C3; choice: a clear peak
    mu_hz: float = 11.0  # [Pfurtscheller1999]
    beta_hz: float = 20.0  # [Pfurtscheller1999]
    rhythm_hz_sd: float = 0.7  # between persons; choice
    mu_width_hz: float = 2.0  # choice
    beta_width_hz: float = 4.0  # choice
    beta_to_mu: float = 0.4  # ratio of RMS; choice
    rolandic_spread: float = 0.035  # Gaussian radius about C3 and C4; choice
    erd_contralateral: float = 0.5  # share of power lost; order of [Pfurtscheller1999]
    erd_ipsilateral: float = 0.1  # choice
    erd_delay: float = 0.3  # [Pfurtscheller2008]
    erd_time: float = 0.3  # time constant of fall and return; choice
    beta_rebound: float = 0.4  # share of power gained after the end; order of [Pfurtscheller1999]
    beta_rebound_time: float = 0.5  # from the end to the peak [Pfurtscheller1999]

    # blinks
    blink_rate: float = 14.5 / 60.0  # 1/s [Doughty2001]
    blink_interval_sd: float = 0.6  # of the log interval; [Bentivoglio1997] for the form
    blink_amplitude: float = 150.0  # peak at Fp1 and Fp2; choice, 100 to 200 is usual
    blink_amplitude_sd: float = 0.25  # of its logarithm; choice
    blink_peak: float = 0.1  # from onset to peak; about 0.3 s in all [VanderWerf2003]
    blink_at_vertex: float = 0.093  # share that reaches Cz [Corby1972]

    # muscle bursts
    emg_rate: float = 3.0 / 60.0  # 1/s; choice
    emg_rms: float = 15.0  # at the muscle's site; choice
    emg_rms_sd: float = 0.5  # of its logarithm; choice
    emg_duration: tuple[float, float] = (0.3, 1.5)  # shortest, longest; choice
    emg_band: tuple[float, float] = (20.0, 300.0)  # [Muthukumaraswamy2013]
    emg_spread: float = 0.06  # exponential decay over the scalp; choice

    # electrodes, amplifier, mains
    drift_rms: float = 20.0  # slow electrode potentials; choice
    drift_time: float = 20.0  # their correlation time; choice
    sensor_density: float = 0.02  # µV/√Hz: 1 µV peak to peak in 70 Hz (ADS1299 data sheet)
    line_hz: float = 50.0
    line_amplitude: float = 2.0  # median over channels, unshielded room; choice
    line_third: float = 0.2  # third harmonic, relative; choice


@dataclass(frozen=True, slots=True)
class Person:
    """What differs from one person to the next; drawn once from the subject's seed."""

    latency: float  # s
    alpha_hz: float
    mu_hz: float
    beta_hz: float
    harmonic_phases: tuple[float, ...]  # radians
    line_offset_hz: float  # of the mains on that day


def draw_person(typical: Physiology, rng: np.random.Generator) -> Person:
    """One person from the population that `typical` describes."""
    z = np.clip(rng.standard_normal(4), -2.0, 2.0)
    return Person(
        latency=float(typical.latency + typical.latency_sd * z[0]),
        alpha_hz=float(typical.alpha_hz + typical.alpha_hz_sd * z[1]),
        mu_hz=float(typical.mu_hz + typical.rhythm_hz_sd * z[2]),
        beta_hz=float(typical.beta_hz + typical.rhythm_hz_sd * z[3]),
        harmonic_phases=tuple(rng.uniform(0.0, 2.0 * np.pi, len(typical.harmonics)).tolist()),
        line_offset_hz=float(rng.uniform(-0.02, 0.02)),
    )
