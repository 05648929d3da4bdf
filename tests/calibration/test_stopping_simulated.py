"""The stated error on simulated participants who had no part in anything: minutes.

The table:  pytest -m slow tests/calibration/test_stopping_simulated.py -s

Twenty participants with 12 targets, FBCCA with all its defaults, the first five
blocks calibrate, the other ten are spelled. Simulated: it shows that the error
is the stated one, not how fast a person would be.
"""

import numpy as np
import pytest
from scipy.signal import butter, sosfilt

from bci.benchmark.datasets.simulated import SimulatedSetSettings
from bci.calibration.stopping import cross_validated, evaluate, fit_stopping, trajectories
from bci.decoders import FBCCA
from bci.metrics import accuracy_interval, expected_calibration_error
from bci.paradigms.speller import TARGETS_12

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]

TARGET, SFREQ, LATENCY_S = 0.05, 250.0, 0.14
LOOKS = tuple(range(125, 451, 25))  # 0.5 to 1.8 s
HZ = {t.label: t.frequency_hz for t in TARGETS_12}
N_SUBJECTS, N_BLOCKS, N_CALIBRATION = 20, 15, 5


def trials(data_set, subject):
    """Windows of 1.8 s from the visual latency on, as a causal band-pass leaves them; labels."""
    sos = butter(4, [6, 90], "bandpass", fs=SFREQ, output="sos")
    X, y = [], []
    for _, recording in data_set.recordings(subject):
        filtered = sosfilt(sos, recording.data, axis=0)
        for marker in recording.markers:
            if marker.value.startswith("cue/"):
                y.append(marker.value.removeprefix("cue/"))
            elif marker.value == "stim_on":
                start = marker.index + round(LATENCY_S * SFREQ)
                X.append(filtered[start : start + LOOKS[-1]].T)
    return np.array(X), np.array(y)


@pytest.mark.parametrize("snr", [1.0, 2.0])
def test_the_realised_error_on_simulated_participants_is_near_the_stated_one(snr):
    data_set = SimulatedSetSettings(
        paradigm="ssvep12", n_subjects=N_SUBJECTS, n_sessions=1, n_per_class=N_BLOCKS, snr=snr,
        seed=4,
    ).build()  # fmt: skip
    n_train = N_CALIBRATION * len(HZ)
    wrong = passed = n_fixed = 0
    dynamic, fixed, errors = [], [], []
    print(f"\nsimulated, SNR {snr:g}  dynamic: s  error  forced  bit/min   fixed: s  bit/min   ECE")
    for subject in data_set.parts():
        X, y = trials(data_set, subject)
        decoder = FBCCA(SFREQ, HZ)
        calibration = cross_validated(
            decoder, X[:n_train], y[:n_train], LOOKS, SFREQ, N_CALIBRATION
        )
        rule = fit_stopping(calibration, TARGET)
        decoder.fit(X[:n_train], y[:n_train])
        held_out = trajectories(decoder, X[n_train:], y[n_train:], LOOKS, SFREQ)
        report = evaluate(held_out, rule.threshold, rule.looks)
        length = round(rule.best_fixed.mean_s * SFREQ)
        other = evaluate(held_out, 0.5, (length,))
        ece = expected_calibration_error(held_out.posterior.ravel(), held_out.right.ravel())
        print(
            f"   {subject}                      {report.mean_s:.2f}  "
            f"{report.error_passed or 0:.3f}  {report.forced_share:.3f}   {report.itr:6.1f}"
            f"       {other.mean_s:.2f}   {other.itr:6.1f}   {ece:.3f}"
        )
        dynamic.append(report.itr)
        fixed.append(other.itr)
        errors.append(ece)
        if rule.fixed_because is not None:
            n_fixed += 1
        elif report.n_passed:
            passed += report.n_passed
            wrong += round(report.error_passed * report.n_passed)
    low, high = accuracy_interval(wrong, passed)
    print(
        f"   error among the passed {wrong}/{passed} = {wrong / passed:.4f} "
        f"[{low:.4f}, {high:.4f}]; {np.mean(dynamic):.1f} bit/min, fixed {np.mean(fixed):.1f}; "
        f"fell back {n_fixed} of {N_SUBJECTS}; mean ECE {np.mean(errors):.3f}"
    )
    assert passed > 500
    assert 0.01 <= wrong / passed <= 0.09
    assert np.mean(dynamic) >= np.mean(fixed)
