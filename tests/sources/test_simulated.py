"""The simulated subject as a source: exact indices, any chunking, any pace, an end."""

import subprocess
import sys

import numpy as np
import pytest

from bci import registry
from bci.config import GrazSettings, loads
from bci.errors import ConfigError, SourceError
from bci.paradigms.graz import GrazTimetable
from bci.paradigms.subject import CENTRAL, OCCIPITAL
from bci.paradigms.timetable import markers
from bci.sources import Source
from bci.sources.simulated import SimulatedSettings, SimulatedSource
from bci.types import RawMarker, Samples, SourceState


class VirtualClock:
    """A clock that only sleeping moves."""

    def __init__(self):
        self.t = 1000.0

    def now(self):
        return self.t

    def sleep(self, seconds):
        assert seconds > 0
        self.t += seconds


def made(clock=None, **settings):
    clock = clock or VirtualClock()
    return SimulatedSource(SimulatedSettings(**settings), clock=clock.now, sleep=clock.sleep)


def read_all(source, n=None):
    """Data, stamps and markers of the first `n` samples, or of all."""
    source.open()
    data, stamps, found = [], [], []
    while source.state is not SourceState.ENDED and (n is None or sum(map(len, data)) < n):
        for reading in source.read():
            if isinstance(reading, RawMarker):
                assert reading.index >= sum(map(len, data))  # before the samples that hold it
                found.append(reading)
            else:
                assert isinstance(reading, Samples)
                data.append(reading.data)
                stamps.append(reading.stamps)
    return np.concatenate(data)[:n], np.concatenate(stamps)[:n], found


@pytest.mark.parametrize("paradigm", ["ssvep12", "ssvep40", "imagery"])
def test_markers_are_those_of_the_timetable_at_their_exact_index(paradigm):
    settings = SimulatedSettings(paradigm=paradigm, n_trials=3, speed=None, ch_names=("Oz",))
    data, stamps, found = read_all(settings.build())
    trials = [trial for trial, _ in zip(settings.timetable().trials(), range(3), strict=False)]
    expected = [(m.value, round(m.t * 250)) for m in markers(trials)]
    assert [(m.value, m.index) for m in found] == expected
    assert len(data) == round(trials[-1].stop_s * 250)
    for marker in found:
        assert marker.t == stamps[marker.index]


@pytest.mark.parametrize("changed", [{"chunk": 1}, {"chunk": 333}, {"speed": 1.0}, {"speed": 7.3}])
def test_pace_and_chunking_change_no_sample(changed):
    usual = {"n_trials": 2, "speed": None, "seed": 4, "stim_s": 0.5}
    data, _, found = read_all(made(**usual))
    other, stamps, other_found = read_all(made(**{**usual, **changed}))
    assert data.dtype == np.float64
    assert np.array_equal(data, other)
    assert [(m.value, m.index) for m in found] == [(m.value, m.index) for m in other_found]
    assert np.diff(stamps) == pytest.approx(1 / 250)


def test_ecog_is_a_grid_of_its_own():
    source = made(paradigm="ecog", n_trials=1, speed=None, seed=2)
    info = source.open()
    assert info.ch_names == tuple(f"G{k}" for k in range(1, 49))
    assert not info.positions
    data, _, found = read_all(source)
    assert data.shape[1] == 48
    assert {m.value for m in found} & {"cue/hand", "cue/tongue"}
    for wrong in ({"ch_names": ("Oz",)}, {"sfreq": 200}):
        with pytest.raises(ConfigError, match="has a grid of its own and needs 250 Hz at least"):
            made(paradigm="ecog", **wrong).open()


def test_samples_come_when_they_are_due():
    clock = VirtualClock()
    source = made(clock, speed=2.0, chunk=50)
    source.open()
    assert source.read(timeout_s=0.01) == []
    assert clock.t == pytest.approx(1000.01)
    (samples,) = source.read(timeout_s=1.0)
    assert len(samples.data) == 50
    assert clock.t == pytest.approx(1000.0 + 49 / 500)
    clock.t = 1000.55  # the reader was away
    late = sum(len(r.data) for r in source.read(timeout_s=0.0) if isinstance(r, Samples))
    assert late == 200  # whole chunks of the 276 samples that are there


def test_real_time_is_kept_by_the_real_clock():
    source = SimulatedSettings(speed=10.0, ch_names=("Oz",), chunk=25, n_trials=1).build()
    started = source._clock()
    _, stamps, _ = read_all(source, n=500)
    assert 0.19 < source._clock() - started < 5.0
    assert stamps[-1] - stamps[0] == pytest.approx(499 / 250)


def test_it_ends_after_its_trials_or_minutes_and_stays_ended():
    source = made(minutes=0.05, speed=None)
    data, _, _ = read_all(source)
    assert len(data) == 750
    assert source.state is SourceState.ENDED
    assert source.read() == []
    source.close()
    source.close()
    assert source.state is SourceState.ENDED

    both = made(minutes=10, n_trials=1, speed=None, ch_names=("Oz",))
    assert len(read_all(both)[0]) == round((1.0 + 3.0) * 250)


def test_closed_is_closed_and_opened_again_is_the_same_person():
    source = made(speed=None)
    first, _, _ = read_all(source, n=300)
    source.close()
    source.close()
    assert source.state is SourceState.LOST
    assert source.read() == []
    again, _, _ = read_all(source, n=300)
    assert np.array_equal(first, again)


def test_stream_info():
    source = made(seed=2)
    assert isinstance(source, Source)
    info = source.open()
    assert source.state is SourceState.LIVE
    assert info.ch_names == OCCIPITAL
    assert info.ch_types == ("eeg",) * 9
    assert info.sfreq == 250.0
    assert info.positions["Oz"][1] < -0.07  # metres, at the back
    assert made(paradigm="imagery").open().ch_names == CENTRAL
    assert info.source_id != made(seed=3).open().source_id


def test_snr_reaches_the_subject_of_each_paradigm():
    for paradigm in ("ssvep12", "ssvep40", "imagery"):
        usual = {"paradigm": paradigm, "speed": None, "n_trials": 1}
        strong, weak, none = (read_all(made(**usual, snr=snr))[0] for snr in (4.0, 1.0, 0.0))
        assert np.std(strong - none) == pytest.approx(2 * np.std(weak - none), rel=1e-6)
        assert np.std(weak - none) > 0.1


def test_from_yaml():
    config = loads(
        "source: {kind: simulated, paradigm: imagery, snr: 0.5, speed: null, minutes: 1}"
    )
    assert config.source == SimulatedSettings(paradigm="imagery", snr=0.5, speed=None, minutes=1)
    assert registry.find("source", "simulated") is SimulatedSettings
    for wrong, message in (
        ("snr: -1", "greater than or equal to 0"),
        ("paradigm: p300", "ssvep12"),
        ("sped: 2", "did you mean 'speed'"),
        ("ch_names: []", "at least 1"),
    ):
        with pytest.raises(ConfigError, match=message):
            loads(f"source: {{kind: simulated, {wrong}}}")


def test_told_what_to_do_it_answers_as_to_its_own_timetable():
    """The markers of its own timetable, told by somebody else, give the same signal."""
    own, told = made(speed=None, n_trials=3), made(cues="told")
    data, _, shown = read_all(own)
    told.open()
    start = told._start
    parts, back = [], []
    for marker in shown:
        assert told.tell(marker.value, start + marker.index / 250.0)
    while sum(map(len, parts)) < len(data):
        for reading in told.read():
            (back if isinstance(reading, RawMarker) else parts).append(
                reading if isinstance(reading, RawMarker) else reading.data
            )
    assert [(m.value, m.index) for m in back] == [(m.value, m.index) for m in shown]
    assert np.array_equal(np.concatenate(parts)[: len(data)], data)


def test_what_is_told_now_or_too_late_is_shown_with_the_next_sample():
    source = made(cues="told", speed=None)
    source.open()
    source.read()
    n = 16
    assert source.tell("cue/9.25 Hz")
    assert source.tell("stim_on", source._start - 5.0)
    first, second, samples = source.read()
    assert (first.value, first.index, second.index) == ("cue/9.25 Hz", n, n)
    assert isinstance(samples, Samples)
    for _ in range(1000):
        source.tell("x")
    with pytest.raises(SourceError, match="1000 markers wait"):
        source.tell("x")


def test_who_follows_a_timetable_is_not_told():
    source = made(speed=None)
    source.open()
    assert not source.tell("stim_on")
    with pytest.raises(ConfigError, match="has no trials of its own"):
        loads("source: {kind: simulated, cues: told, n_trials: 4}")


GRAZ = GrazTimetable(
    GrazSettings(calibration_runs=1, feedback_runs=1, trials_per_label=1, rest_s=2.0, idle=None)
)


@pytest.mark.parametrize("speed", [None, 1.0])
def test_it_does_the_trials_of_a_paradigm_to_the_end(speed):
    source = made(paradigm="imagery", speed=speed, chunk=20)
    source.follow(GRAZ, lambda: True)
    data, _, found = read_all(source)
    trials = list(GRAZ.trials())
    assert [(m.value, m.index) for m in found] == [
        (m.value, round(m.t * 250)) for m in markers(trials)
    ]
    assert len(data) == round((trials[-1].stop_s + 1.0) * 250)


@pytest.mark.parametrize(("speed", "n_asked"), [(None, 3), (1.0, 40)])
def test_feedback_waits_until_it_may_begin_and_at_a_pace_time_goes_on(speed, n_asked):
    asked = []
    source = made(paradigm="imagery", speed=speed, chunk=20)
    source.follow(GRAZ, lambda: asked.append(0) or len(asked) > n_asked)
    data, stamps, found = read_all(source)
    expected = [(m.value, round(m.t * 250)) for m in markers(GRAZ.trials())]
    begins = next(k for k, (value, _) in enumerate(expected) if value == "run/feedback")
    late = found[begins].index - expected[begins][1]
    assert late == 0 if speed is None else 39 * 20 <= late <= 41 * 20
    assert [(m.value, m.index) for m in found] == [
        (value, index + late * (k >= begins)) for k, (value, index) in enumerate(expected)
    ]
    np.testing.assert_allclose([m.t for m in found], [stamps[0] + m.index / 250 for m in found])
    assert len(data) == expected[-1][1] + 250 + late


def test_who_is_told_by_a_client_follows_no_paradigm():
    source = made(paradigm="imagery", cues="told", speed=None)
    source.follow(GRAZ, lambda: True)
    source.open()
    assert not any(isinstance(r, RawMarker) for _ in range(200) for r in source.read())


def test_an_electrode_that_does_not_exist_is_named_on_opening():
    with pytest.raises(ConfigError, match="'Qz' is no electrode"):
        made(ch_names=("Oz", "Qz")).open()


def test_checking_a_configuration_loads_no_scientific_package():
    code = "import sys, bci.sources.simulated; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"scipy", "mne", "pylsl"} & set(done.stdout.split())
