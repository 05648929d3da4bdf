"""What the simulated EEG looks like: spectra, topography, phase, amplitude, blinks."""

import numpy as np
import pytest
from scipy.signal import butter, find_peaks, sosfiltfilt, welch
from scipy.stats import f as f_distribution

from bci.paradigms.imagery import ImageryTimetable
from bci.paradigms.physiology import Physiology, decibel, from_decibel
from bci.paradigms.speller import TARGETS_12, SpellerTimetable
from bci.paradigms.subject import CENTRAL, OCCIPITAL, SimulatedSubject

SFREQ = 250
TYPICAL = Physiology()
LABELS = tuple(target.label for target in TARGETS_12)
FREQUENCY = {target.label: target.frequency_hz for target in TARGETS_12}
PHASE = {target.label: target.phase for target in TARGETS_12}


@pytest.fixture(scope="module")
def resting():
    """Ten minutes of rest, by parts."""
    person = SimulatedSubject(ch_names=("Oz", "C3", "Cz", "Fp1", "Fp2", "T7", "Iz"), seed=11)
    return person, person.generate_parts(600 * SFREQ)


def spectrum(x):
    return welch(x, SFREQ, nperseg=4 * SFREQ, axis=0)


def spelling(n_blocks=4, stim_s=4.0, **settings):
    """Parts of a session, its trials, and the sample at which each flicker starts."""
    person = SimulatedSubject(TARGETS_12, **{"ch_names": ("Oz",), **settings})
    trials = list(SpellerTimetable(LABELS, n_blocks, stim_s=stim_s).trials())
    for trial in trials:
        for marker in trial.markers:
            person.see(marker.value, round(marker.t * SFREQ))
    parts = person.generate_parts(round(trials[-1].stop_s * SFREQ))
    return person, parts, trials, [round(trial.markers[1].t * SFREQ) for trial in trials]


# --- ongoing activity ----------------------------------------------------------------------------


def test_background_falls_as_one_over_f(resting):
    f, p = spectrum(resting[1]["background"])
    fitted = (f >= 2) & (f <= 40)
    for channel in range(p.shape[1]):
        slope, level = np.polyfit(np.log(f[fitted]), np.log(p[fitted, channel]), 1)
        assert -slope == pytest.approx(TYPICAL.aperiodic_exponent, abs=0.1)
        assert np.exp(level) == pytest.approx(TYPICAL.aperiodic_psd_1hz, rel=0.3)


def test_alpha_peaks_over_the_occiput_at_the_persons_frequency(resting):
    person, parts = resting
    f, p = spectrum(sum(parts.values()))
    searched = (f >= 7) & (f <= 14)
    relative = p * f[:, None] ** TYPICAL.aperiodic_exponent
    assert f[searched][relative[searched, 0].argmax()] == pytest.approx(
        person.person.alpha_hz, abs=0.5
    )
    assert relative[searched, 0].max() > 2 * np.median(relative[(f > 15) & (f < 30), 0])
    rms = parts["alpha"].std(axis=0)
    assert rms[0] == pytest.approx(TYPICAL.alpha_rms, rel=0.1)
    assert rms[3] < 0.1 * rms[0]


def test_mains_hum_is_a_line_with_a_third_harmonic(resting):
    person = SimulatedSubject(ch_names=("Oz", "Fp1"), sfreq=500.0)
    f, p = welch(person.generate(60 * 500), 500, nperseg=2000, axis=0)
    for line, contrast in ((50, 10), (150, 2)):
        near = (np.abs(f - line) > 1) & (np.abs(f - line) < 5)
        at = np.abs(f - line) < 0.3
        assert np.all(p[at].max(axis=0) > contrast * np.median(p[near], axis=0))


def test_neighbours_share_more_than_distant_channels():
    person = SimulatedSubject(ch_names=("Oz", "O1", "POz", "Cz", "Fpz"), seed=2)
    background = person.generate_parts(200 * SFREQ)["background"]
    sos = butter(4, [14, 30], "bandpass", fs=SFREQ, output="sos")
    shared = np.corrcoef(sosfiltfilt(sos, background, axis=0).T)
    assert shared[0, 1] > 0.8
    assert shared[0, 1] > shared[0, 3] > shared[0, 4] > 0.1


def test_amplitudes_are_those_of_scalp_eeg(resting):
    signal = sum(resting[1].values())
    sos = butter(4, [1, 40], "bandpass", fs=SFREQ, output="sos")
    quiet = np.abs(resting[1]["blinks"]).max(axis=1) < 1
    rms = sosfiltfilt(sos, signal, axis=0)[quiet].std(axis=0)
    assert np.all((rms > 5) & (rms < 25))
    assert np.abs(signal).max() < 1000
    assert np.all(np.isfinite(signal))


def test_the_signal_is_stationary_from_its_first_sample():
    first = [SimulatedSubject(ch_names=("Oz", "C3"), seed=s).generate_parts(50) for s in range(100)]
    later = SimulatedSubject(ch_names=("Oz", "C3"), seed=999).generate_parts(300 * SFREQ)
    for name, column in (("background", 0), ("alpha", 0), ("rolandic", 1), ("drift", 0)):
        at_start = np.sqrt(np.mean([part[name][:, column] ** 2 for part in first]))
        wanted = np.sqrt(np.mean(later[name][:, column] ** 2))
        if name == "drift":  # too slow for the mean of one run
            wanted = TYPICAL.drift_rms
        assert at_start == pytest.approx(wanted, rel=0.2), name


# --- artifacts -----------------------------------------------------------------------------------


def test_blinks_come_at_the_published_rate_and_reach_the_vertex_as_published(resting):
    blinks = resting[1]["blinks"]
    peaks, _ = find_peaks(blinks[:, 3], height=30)
    assert len(peaks) / 10 == pytest.approx(14.5, abs=3.0)  # per minute
    assert 100 < np.median(blinks[peaks, 3]) < 200
    assert blinks[peaks, 2] / blinks[peaks, 3] == pytest.approx(0.093, abs=0.01)
    assert np.all(blinks[peaks, 0] < 0.05 * blinks[peaks, 3])  # at Oz
    intervals = np.diff(peaks) / SFREQ
    assert intervals.min() > 0.25
    assert 0.4 < np.std(np.log(intervals)) < 0.8


def test_a_blink_takes_a_third_of_a_second(resting):
    frontal = resting[1]["blinks"][:, 3]
    peaks, _ = find_peaks(frontal, height=30)
    alone = peaks[1:-1][(np.diff(peaks)[1:] > 250) & (np.diff(peaks)[:-1] > 250)]
    for peak in alone:
        above = frontal[peak - 100 : peak + 150] > 0.1 * frontal[peak]
        assert 0.25 < above.sum() / SFREQ < 0.5


def test_muscle_bursts_are_rare_fast_and_at_the_edge(resting):
    emg = resting[1]["emg"]
    f, p = spectrum(emg)
    assert np.all(p[f >= 20].sum(axis=0) > 0.8 * p.sum(axis=0))
    active = np.abs(emg).max(axis=1) > 1
    assert 0.005 < active.mean() < 0.15
    rms = emg.std(axis=0)
    assert rms[5] > rms[2]  # T7 more than Cz


def test_drift_is_slow(resting):
    drift = resting[1]["drift"]
    assert drift.std(axis=0) == pytest.approx(TYPICAL.drift_rms, rel=0.35)
    step = (drift[SFREQ:] - drift[:-SFREQ]).std(axis=0)  # over one second of a 20-s memory
    assert step == pytest.approx(TYPICAL.drift_rms * np.sqrt(2 * (1 - np.exp(-1 / 20))), rel=0.1)


# --- SSVEP ---------------------------------------------------------------------------------------


def amplitude_ratios(signal, trials, onsets, frequency_of):
    """Power at a frequency over the mean of twelve neighbouring bins, one value a trial."""
    n = 4 * SFREQ
    ratios = []
    for trial, onset in zip(trials, onsets, strict=True):
        power = np.abs(np.fft.rfft(signal[onset + 50 : onset + 50 + n] * np.hanning(n))) ** 2
        k = round(frequency_of(trial) * n / SFREQ)
        floor = np.r_[power[k - 8 : k - 2], power[k + 3 : k + 9]].mean()
        ratios.append(power[k] / floor)
    return np.array(ratios)


#: The mean of 48 such ratios of noise, F(2, 24) each, exceeds 1.73 with probability 0.001.
NOISE_BOUND = 1.75


def other(trial):
    """Frequency of the target six further on."""
    return FREQUENCY[LABELS[(LABELS.index(trial.label) + 6) % 12]]


def test_spectrum_peaks_at_the_attended_frequency_and_its_harmonics_only():
    _, parts, trials, onsets = spelling(seed=4)
    oz = sum(parts.values())[:, 0]
    attended = amplitude_ratios(oz, trials, onsets, lambda t: FREQUENCY[t.label])
    second = amplitude_ratios(oz, trials, onsets, lambda t: 2 * FREQUENCY[t.label])
    third = amplitude_ratios(oz, trials, onsets, lambda t: 3 * FREQUENCY[t.label])
    elsewhere = amplitude_ratios(oz, trials, onsets, other)
    assert np.mean(attended) > 5
    assert np.mean(second) > NOISE_BOUND
    assert np.mean(third) > NOISE_BOUND
    assert np.mean(elsewhere) < NOISE_BOUND


def test_without_snr_the_attended_frequency_is_noise():
    _, parts, trials, onsets = spelling(seed=4, snr=0.0)
    oz = sum(parts.values())[:, 0]
    attended = amplitude_ratios(oz, trials, onsets, lambda t: FREQUENCY[t.label])
    assert np.mean(attended) < NOISE_BOUND
    assert np.mean(attended > f_distribution(2, 24).ppf(0.95)) < 0.2


@pytest.mark.parametrize("snr", [0.25, 1.0, 4.0])
def test_snr_is_what_it_says(snr):
    person, parts, _, onsets = spelling(n_blocks=8, seed=9, snr=snr)
    sos = butter(4, [3, 100], "bandpass", fs=SFREQ, output="sos")
    ongoing = sosfiltfilt(sos, parts["background"][:, 0] + parts["alpha"][:, 0])
    steady = [np.mean(parts["ssvep"][on + 150 : on + 1000, 0] ** 2) for on in onsets]
    steady_db = decibel(float(np.mean(steady)) / float(np.mean(ongoing**2)))
    assert steady_db == pytest.approx(person.ssvep_snr_db, abs=0.7)
    assert person.ssvep_snr_db == pytest.approx(-10.63 + decibel(snr))


def test_response_is_strongest_at_oz():
    person, parts, _, _ = spelling(n_blocks=1, seed=1, ch_names=OCCIPITAL)
    rms = dict(zip(person.ch_names, parts["ssvep"].std(axis=0), strict=True))
    assert max(rms, key=rms.get) == "Oz"
    assert rms["Oz"] > rms["POz"] > rms["Pz"] > 0
    assert rms["O1"] == pytest.approx(rms["O2"], rel=0.1)


def response_phases(signal, trials, onsets, frequency):
    """Phase of the response at Oz of every trial of one target, radians against flicker onset."""
    t = np.arange(500) / SFREQ
    phases = []
    for trial, onset in zip(trials, onsets, strict=True):
        if FREQUENCY[trial.label] == frequency:
            part = signal[onset + 250 : onset + 750]
            phases.append(np.angle(part @ np.exp(-2j * np.pi * frequency * (t + 1.0))))
    return np.array(phases)


def test_phase_is_the_same_in_every_trial():
    _, parts, trials, onsets = spelling(n_blocks=10, seed=5)
    oz = sum(parts.values())[:, 0]
    coherence = []
    for frequency in FREQUENCY.values():
        locked = response_phases(oz, trials, onsets, frequency)
        unlocked = response_phases(oz - parts["ssvep"][:, 0], trials, onsets, frequency)
        coherence.append([np.abs(np.mean(np.exp(1j * p))) for p in (locked, unlocked)])
    assert np.min(coherence, axis=0)[0] > 0.5
    assert np.mean(coherence, axis=0)[0] > 0.85
    assert np.mean(coherence, axis=0)[1] < 0.45  # 0.28 expected of 10 random phases


def test_phase_slope_over_frequency_is_the_visual_latency():
    # Di Russo & Spinelli (1999), as in the papers of the benchmark sets
    person, parts, trials, onsets = spelling(n_blocks=6, seed=6)
    frequencies = sorted(FREQUENCY.values())
    residual = []
    for frequency in frequencies:
        flicker = PHASE[f"{frequency:g} Hz"]
        phases = response_phases(parts["ssvep"][:, 0], trials, onsets, frequency) - flicker
        residual.append(np.angle(np.mean(np.exp(1j * phases))))
    # steps of 0.5 Hz at 0.14 s are under half a turn, so the phase can be followed
    slope = np.polyfit(frequencies, np.unwrap(residual), 1)[0]
    assert -slope / (2 * np.pi) == pytest.approx(person.person.latency, abs=0.003)
    assert 0.1 < person.person.latency < 0.18


# --- motor imagery -------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def imagining():
    person = SimulatedSubject(ch_names=CENTRAL, seed=8)
    trials = list(ImageryTimetable(n_blocks=6).trials())
    for trial in trials:
        for marker in trial.markers:
            person.see(marker.value, round(marker.t * SFREQ))
    return person.generate_parts(round(trials[-1].stop_s * SFREQ)), trials


def band_power(signal, low, high, trials, hand, from_s, to_s):
    """Mean band power in a span after the cue, over trials of one hand, (n_channels,)."""
    sos = butter(4, [low, high], "bandpass", fs=SFREQ, output="sos")
    power = sosfiltfilt(sos, signal, axis=0) ** 2
    starts = [t.markers[1].t for t in trials if t.label == hand]
    spans = [slice(round((s + from_s) * SFREQ), round((s + to_s) * SFREQ)) for s in starts]
    return np.mean([power[span].mean(axis=0) for span in spans], axis=0)


@pytest.mark.parametrize(
    ("hand", "opposite", "same"), [("left", "C4", "C3"), ("right", "C3", "C4")]
)
def test_imagery_desynchronises_the_other_hemisphere(imagining, hand, opposite, same):
    parts, trials = imagining
    opposite, same = CENTRAL.index(opposite), CENTRAL.index(same)
    rest = band_power(parts["rolandic"], 9, 13, trials, hand, -1.5, 0)
    during = band_power(parts["rolandic"], 9, 13, trials, hand, 1.0, 4.0)
    change = during / rest - 1
    assert change[opposite] == pytest.approx(-TYPICAL.erd_contralateral, abs=0.15)
    assert change[opposite] < change[same] - 0.1

    signal = sum(parts.values())  # and still visible under everything else
    rest = band_power(signal, 9, 13, trials, hand, -1.5, 0)
    during = band_power(signal, 9, 13, trials, hand, 1.0, 4.0)
    assert during[opposite] / rest[opposite] < 0.9
    assert during[opposite] / rest[opposite] < during[same] / rest[same]


def test_nothing_happens_before_the_cue_could_act(imagining):
    parts, trials = imagining
    early = band_power(parts["rolandic"], 9, 13, trials, "left", 0.0, 0.25)
    rest = band_power(parts["rolandic"], 9, 13, trials, "left", -1.5, 0)
    assert early / rest == pytest.approx(1.0, abs=0.5)


def test_beta_rebounds_after_imagery(imagining):
    parts, trials = imagining
    c4 = CENTRAL.index("C4")
    after, during, rest = (
        band_power(parts["rolandic"], 16, 25, trials, "left", *span)[c4]
        for span in ((4.5, 5.5), (1.0, 4.0), (-1.5, 0))
    )
    assert during < rest < after


def test_decibels_go_both_ways():
    assert from_decibel(decibel(0.37)) == pytest.approx(0.37)
    assert decibel(0.0) == -np.inf
