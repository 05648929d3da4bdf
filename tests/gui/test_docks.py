"""The other panels: what they show of what is known."""

import numpy as np
import pytest

from gui.docks.decoder import DecoderDock, threshold
from gui.docks.latency import LatencyDock
from gui.docks.log import LogDock, readable
from gui.docks.quality import QualityDock
from gui.docks.spectrogram import SpectrogramDock
from gui.docks.spectrum import SpectrumDock
from gui.docks.topomap import TopomapDock
from gui.link import Answer
from gui.status import describe
from gui.theme import DARK, LIGHT


def eeg(seconds=8.0, n=8, sfreq=250.0, hz=10.0):
    t = np.arange(round(seconds * sfreq)) / sfreq
    rng = np.random.default_rng(1)
    return 20 * np.sin(2 * np.pi * hz * t)[:, None] + 5 * rng.standard_normal((len(t), n))


def telemetry(**changes):
    return {
        "latency_ms": {"p50": 4.0, "p99": 9.0, "max": 12.0},
        "load": {"p50": 0.1, "p99": 0.2, "max": 0.3},
        "drops": {}, "gaps": 0, "clock_jumps": 0, "backlog_samples": 0, "memory_bytes": 2e8,
        "effective_rate_hz": 250.01, "decisions": 3, "abstentions": 1,
        "abstention_reasons": {"gap": 1}, **changes,
    }  # fmt: skip


def status(**changes):
    return {
        "decision": {"kind": "each"}, "telemetry": telemetry(), "recording": None,
        "outputs": [], "decoder": {"labels": ["a", "b"]}, **changes,
    }  # fmt: skip


@pytest.fixture
def show(qtbot):
    def make(cls, link):
        dock = cls(link, LIGHT)
        qtbot.addWidget(dock)
        dock.resize(460, 320)
        dock.show()
        return dock

    return make


def test_the_spectrum_peaks_where_the_signal_does(fed, show):
    link = fed()
    dock = show(SpectrumDock, link)
    dock.refresh()  # before any sample
    link.feed(eeg())
    dock.refresh()
    freqs, psd = dock._front.getData()
    assert freqs[np.argmax(psd)] == pytest.approx(10.0)
    share = float(dock.bands.text().split("alpha ")[1].split(" %")[0])
    assert share > 80
    dock.channel.setCurrentText("Oz")
    dock.use(DARK)
    dock.refresh()


def test_the_spectrogram_keeps_time(fed, show):
    link = fed()
    dock = show(SpectrogramDock, link)
    link.feed(np.concatenate([eeg(4, hz=10.0), eeg(4, hz=20.0)]))
    dock.refresh()
    freqs = dock._spectrum.freqs
    shown = dock._image[np.isfinite(dock._image).all(axis=1)]
    peaks = freqs[np.argmax(shown, axis=1)]
    assert len(shown) == 15
    assert peaks[0] == 10.0
    assert peaks[-1] == 20.0
    dock.channel.setCurrentIndex(3)  # begins with what is still kept
    dock.refresh()
    assert np.isfinite(dock._image).all(axis=1).sum() == 15


def test_the_map_is_brightest_at_the_strongest_electrode(fed, show):
    link = fed()
    dock = show(TopomapDock, link)
    data = eeg()
    data[:, 6] *= 5
    link.feed(data)
    dock.refresh()
    image = dock.head._image
    side = image.width()
    light = np.array(
        [[image.pixelColor(x, y).lightness() for x in range(side)] for y in range(side)]
    )
    y, x = np.unravel_index(np.argmax(light), light.shape)
    head = dock.head._map
    at = head.xy[6]
    place = np.array([(x / (side - 1) * 2 - 1) * 1.08, (1 - y / (side - 1) * 2) * 1.08])
    assert np.hypot(*(place - at)) < 0.15
    assert not dock.head.grab().isNull()


def test_bad_channels_are_left_out_of_the_map(fed, show):
    link = fed()
    dock = show(TopomapDock, link)
    data = eeg()
    data[:, 0] = 0.0  # flat: 60 dB below the others
    link.feed(data)
    dock.refresh()
    assert dock.head._limits[0] == pytest.approx(-60)
    dock.set_bads(frozenset({"Fz"}))
    assert dock.head._limits[0] > 10
    assert "Fz" not in dock.head._names
    dock.set_bads(frozenset(link.names[2:]))
    assert "at least three electrodes" in dock.trouble.text()
    dock.set_bads(frozenset())
    assert dock.trouble.text() == ""


def test_without_positions_the_map_says_what_is_missing(fed, show, qtbot):
    link = fed(names=("Lead 1", "Lead 2", "Lead 3"))
    object.__setattr__(link.samples.info, "positions", {})
    dock = show(TopomapDock, link)
    link.feed(eeg(n=3))
    qtbot.waitUntil(lambda: dock.refresh() or bool(dock.trouble.text()), timeout=20_000)
    assert "at least three electrodes" in dock.trouble.text()


def test_quality_names_reasons_and_tells_who_is_bad(fed, show, qtbot):
    link = fed()
    dock = show(QualityDock, link)
    told = []
    dock.bads_changed.connect(told.append)
    data = eeg()
    data[:, 2] = 7.0
    link.feed(data)
    link.decide("a", {"a": 1.0}, bads=("C4",))
    qtbot.waitUntil(lambda: dock.refresh() or bool(told), timeout=10_000)
    assert told == [frozenset({"Pz", "C4"})]
    assert dock.summary.text() == "6 of 8 channels are good"
    assert dock.table.item(2, 2).text() == "flat"
    assert dock.table.item(4, 2).text() == "excluded"
    assert "electrode" in dock.table.item(2, 2).toolTip()
    found = dock.found
    qtbot.waitUntil(lambda: dock.refresh() or dock.found is not found, timeout=10_000)
    assert len(told) == 1


def test_quality_shows_impedances_where_they_are_measured(fed, show, qtbot):
    link = fed(names=("O1", "Oz", "O1 impedance"))
    object.__setattr__(link.samples.info, "ch_types", ("eeg", "eeg", "misc"))
    dock = show(QualityDock, link)
    data = eeg(n=3)
    data[:, 2] = 55_000.0
    link.feed(data)
    qtbot.waitUntil(lambda: dock.refresh() or bool(dock.found), timeout=10_000)
    assert [q.name for q in dock.found] == ["O1", "Oz"]
    assert dock.table.item(0, 2).text() == "impedance"
    assert "40 kΩ" in dock.table.item(0, 2).toolTip()
    assert [dock.table.item(row, 5).text() for row in range(2)] == ["55", ""]
    assert not dock.table.isColumnHidden(5)


def test_the_decoder_view_says_what_why_and_how_sure(fed, show):
    link = fed()
    link.status = status(decision={"kind": "dynamic", "target_error": 0.1})
    link.feed(eeg(2))
    dock = show(DecoderDock, link)
    link.decide("b", {"a": 0.2, "b": 0.8})
    dock.refresh()
    assert dock.newest.text() == "b   80 %"
    assert dock._limit.value() == pytest.approx(0.9)
    link.decide(None, {}, reasons=("amplitude", "gap"))
    dock.refresh()
    assert dock.newest.text() == "abstains: amplitude, gap"
    assert "abstained 1 of 3 times (gap 1)" in dock.detail.text()
    assert not dock.bars.grab().isNull()
    dock.use(DARK)
    link.decisions.begin()  # another session
    link.decide("a", {"a": 1.0, "b": 0.0})
    dock.refresh()
    assert dock.newest.text() == "a   100 %"


def test_thresholds_are_those_of_the_rule():
    assert threshold(status(decision={"kind": "threshold", "threshold": 0.7})) == 0.7
    assert threshold(status()) is None
    assert threshold(None) is None


def test_every_loss_is_shown_and_marked(fed, show):
    link = fed()
    link.status = status(
        telemetry=telemetry(gaps=2, drops={"decoder": 40}),
        outputs=[{"name": "lsl", "dropped": 3}],
    )
    link.feed(eeg(1))
    link.samples.write(link.samples.position + 9, eeg(1).astype(np.float32))
    link.decide("a", {"a": 1.0})
    dock = show(LatencyDock, link)
    dock.frames = (60.0, 17.0)
    dock.refresh()
    text = {name: label.text() for name, label in dock.values.items()}
    assert text["Latency p99"] == "9.0 ms"
    assert text["Gaps"] == "▲ 2"
    assert text["Engine skipped"] == "▲ 40 samples"
    assert text["Outputs dropped"] == "▲ lsl 3"
    assert text["Display lost"] == "▲ 9 samples, 0 decisions"
    assert text["Clock jumps"] == "0"
    assert text["Not recorded"] == "no recording"


def stage(number, kind, **changes):
    return {
        "stage": number, "kind": kind, "active": True, "why_bypassed": None, "why_needed": None,
        "calibrated": None, "problem": None, "delay_s": 0.0, "budget": None, "load": 0.021,
        "hop_ms": {"p50": 1.0, "p99": 2.5, "max": 4.0}, **changes,
    }  # fmt: skip


STAGES = [
    stage(0, "resample", why_needed="stage 0 (Resampler) cannot be by-passed", delay_s=0.04),
    stage(1, "asr", calibrated=True, budget=0.1, load=0.08, delay_s=0.1),
    stage(2, "ica", calibrated=False, problem="ica: 30 s are needed"),
    stage(3, "denoiser", active=False, why_bypassed="it takes 31 % of real time", budget=0.2),
    stage(4, "bandpass", load=None, hop_ms=dict.fromkeys(("p50", "p99", "max"))),
]


def test_stages_are_shown_with_state_and_cost_and_can_be_bypassed(fed, show, monkeypatch):
    link = fed()
    dock = show(LatencyDock, link)
    link.status = status()  # of an engine from before it told its stages
    dock.refresh()
    assert dock.stages.isHidden()
    link.status = status(processing={"stages": STAGES})
    dock.refresh()
    table = [[dock.stages.item(r, c).text() for c in range(5)] for r in range(5)]
    assert table == [
        ["resample", "in use", "40 ms", "1.00 / 2.50", "2.1 %"],
        ["asr", "in use", "100 ms", "1.00 / 2.50", "8.0 % of 10 %"],
        ["ica", "▲ not calibrated: ica: 30 s are needed", "–", "1.00 / 2.50", "2.1 %"],
        ["denoiser", "▲ by-passed: it takes 31 % of real time", "–", "1.00 / 2.50",
         "2.1 % of 20 %"],
        ["bandpass", "in use", "–", "–", "–"],
    ]  # fmt: skip
    asked = []
    monkeypatch.setattr(link, "post", lambda path, body, done: asked.append((path, body)))
    buttons = [dock.stages.cellWidget(r, 5) for r in range(5)]
    assert [b.isEnabled() for b in buttons] == [False, True, True, True, True]
    buttons[1].click()
    buttons[3].click()
    assert asked == [
        ("/v1/bypass", {"stage": 1, "active": True}),
        ("/v1/bypass", {"stage": 3, "active": False}),
    ]
    dock._answered(Answer(False, 400, "there is no stage 9"))
    assert dock.problem.text() == "there is no stage 9"
    dock.use(DARK)
    dock.refresh()


def test_the_foot_of_the_window_names_what_is_bypassed(fed):
    link = fed()
    source = {"name": "cap", "state": "live"}
    link.status = status(source=source, paused=False, processing={"stages": STAGES})
    assert "▲ by-passed: denoiser" in describe(link)
    link.status = status(source=source, paused=False)  # of an engine from before
    assert "by-passed" not in describe(link)


def test_the_decoder_view_tells_what_was_repaired(fed, show):
    link = fed()
    told = telemetry(repaired=2, repaired_by={"asr": 2, "eog": 1})
    link.status = status(telemetry=told)
    link.feed(eeg(2))
    dock = show(DecoderDock, link)
    link.decide("a", {"a": 1.0}, repaired=("asr", "eog"))
    dock.refresh()
    assert "25 % repaired (asr, eog)" in dock.detail.text()
    assert "2 of 3 decisions on repaired data (asr 2, eog 1)" in dock.detail.text()


def test_the_log_is_readable(fed, show):
    line = '{"event": "API on x", "level": "warning", "timestamp": "2026-01-01T10:00:00Z"}'
    assert readable(line).endswith("warning: API on x")
    assert readable("Traceback") == "Traceback"
    dock = show(LogDock, fed())
    dock.refresh()
    dock.write("attached")
    assert dock.text.toPlainText().endswith("attached")
