"""The whole way: the flicker's process leads the simulated subject before a real engine."""

import threading

import pytest

from bci import config
from bci.paradigms.layouts import load_layout
from gui.engine import EngineProcess
from gui.stimulus.child import StimulusProcess
from gui.stimulus.settings import StimulusSettings

SESSION = """
source: {{kind: simulated, paradigm: ssvep12, snr: 4.0, seed: 3, cues: told}}
events: {{}}
processing:
  - {{kind: notch, freq_hz: 50}}
  - {{kind: bandpass, low_hz: 6, high_hz: 90, order: 4}}
window:
  {{kind: growing, markers: [stim_on], offset_s: 0.14, min_s: 0.5, hop_s: 0.1, length_s: 3.0}}
decoder: {{kind: fbcca, frequencies_hz: [{hz}]}}
decision: {{kind: dynamic, target_error: 0.05, at_longest: force}}
"""
TIMES = {"cue_s": 0.4, "stim_s": 3.2, "feedback_s": 0.2, "rest_s": 0.1}


@pytest.fixture
def subject(qapp, spellers, tmp_path):
    """An engine with a simulated subject whom markers lead."""
    hz = ", ".join(str(target.frequency_hz) for target in spellers["12"][0])
    process = EngineProcess(config.loads(SESSION.format(hz=hz)), tmp_path)
    process.start()
    yield process
    process.stop()
    process.wait()


@pytest.fixture
def child(qapp):
    """The flicker's process; `lines`: what it said."""
    process = StimulusProcess()
    process.lines = []
    process.said.connect(process.lines.append)
    yield process
    process.stop()


def settings(subject, speller, **others):
    return StimulusSettings.describe(
        *speller, url=subject.url, token=subject.token, window=(640, 480), measure_s=1, times=TIMES,
        **others,
    )  # fmt: skip


def of(child, what):
    return [line for line in child.lines if line["say"] == what]


def test_a_word_is_copied_while_the_application_hangs(subject, child, spellers, qtbot):
    child.start(settings(subject, spellers["12"], mode="copy", phrase="tea"))
    child.send("start")
    qtbot.waitUntil(
        lambda: any(s["phase"] == "flicker" for s in of(child, "state")), timeout=40_000
    )
    n_before = len(of(child, "selection"))
    threading.Event().wait(5.0)  # the application is blocked, and so reads nothing
    qtbot.waitUntil(lambda: bool(of(child, "over")), timeout=20_000)
    assert of(child, "over")[0] == {"say": "over", "why": "the phrase is written", "text": "TEA"}
    selections = of(child, "selection")
    assert len(selections) - n_before >= 3
    assert all(s["label"] is not None for s in selections)  # none was waited for in vain
    assert max(s["seconds"] for s in selections) < sum(TIMES.values()) + 1.0
    score, frames = of(child, "score")[-1], of(child, "frames")[-1]
    assert score["n_trials"] == len(selections)
    assert score["correct_per_min"] == pytest.approx(60 * 3 / score["seconds"])
    assert (frames["n_markers_lost"], frames["n_lines_lost"]) == (0, 0)
    with qtbot.waitSignal(child.ended, timeout=10_000) as ended:
        child._process.closeWriteChannel()  # an application that dies takes the flicker with it
    assert ended.args == [0]
    assert child.trouble == ""


# --- minutes long --------------------------------------------------------------------------------

WORDS = """
source: {{kind: simulated, paradigm: ssvep40, snr: {snr}, seed: 3, cues: told}}
processing:
  - {{kind: notch, freq_hz: 50}}
  - {{kind: bandpass, low_hz: 6, high_hz: 90, order: 4}}
window:
  {{kind: growing, markers: [stim_on], offset_s: 0.14, min_s: 0.5, hop_s: 0.1, length_s: 3.0}}
decoder: {{kind: fbcca, frequencies_hz: [{hz}]}}
decision: {{kind: dynamic, target_error: 0.05, at_longest: {at_longest}}}
"""


@pytest.fixture
def words_speller(spellers):
    pytest.importorskip("wordfreq", reason="wordfreq is not installed")
    return spellers["40"][0], load_layout("en_40")


def spell(words_speller, child, tmp_path, qtbot, snr, at_longest, phrase):
    """Score and text of a run of the 40-key speller with words and prior."""
    hz = ", ".join(str(target.frequency_hz) for target in words_speller[0])
    made = config.loads(WORDS.format(snr=snr, hz=hz, at_longest=at_longest))
    engine = EngineProcess(made, tmp_path)
    engine.start()
    try:
        child.start(settings(engine, words_speller, mode="copy", phrase=phrase))
        child.send("start")
        qtbot.waitUntil(lambda: bool(of(child, "over")), timeout=280_000)
    finally:
        engine.stop()
        engine.wait()
    return of(child, "score")[-1], of(child, "over")[0]["text"]


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_a_sentence_is_copied_with_words_and_prior(words_speller, child, tmp_path, qtbot):
    phrase = "HELLO MY FRIENDS"
    score, text = spell(words_speller, child, tmp_path, qtbot, 4.0, "force", phrase)
    print(score)
    assert text == phrase
    assert score["n_trials"] < 2 * len(phrase)
    assert "complete" in [s["action"] for s in of(child, "selection")]


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_where_the_brain_does_not_answer_the_prior_writes_nothing(
    words_speller, child, tmp_path, qtbot
):
    score, text = spell(words_speller, child, tmp_path, qtbot, 0.0, "abstain", "HELLO")
    print(score, text)
    assert score["n_trials"] == 15  # until patience ended
    assert score["n_unanswered"] >= 12
    assert score["n_right"] <= 1
    assert not text.startswith("HE")
