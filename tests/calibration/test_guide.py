"""The steps of a calibration: what stands against each of the next."""

from pathlib import Path

import pytest

from bci.calibration.guide import CalibrationGuide, Step
from bci.calibration.looks import FEWEST_BLOCKS, own_looks
from bci.calibration.preparation import prepared, with_cues
from bci.config import dump, load, loads
from bci.dsp.signal_quality import ChannelQuality
from bci.errors import ConfigError

SESSION = """
source: {{kind: simulated, paradigm: ssvep12, cues: told}}
window: {{kind: {window}, markers: [stim_on], length_s: 1.0}}
decoder: {{kind: fbcca, frequencies_hz: [9.25, 11.25, 13.25]}}
decision: {{kind: {decision}}}
"""


def channels(*reasons):
    return [
        ChannelQuality(f"C{i}", (why,) if why else (), 10.0, 0.0, 0.0)
        for i, why in enumerate(reasons)
    ]


def through(guide):
    """Go to the blocks."""
    guide.see_quality(channels("", ""))
    guide.agreed = True
    guide.see_screen([])
    while guide.step is not Step.BLOCKS:
        assert guide.go_on()


def test_flicker_is_asked_for_and_imagery_is_not():
    assert CalibrationGuide([9.25, 14.75]).steps == tuple(Step)
    assert CalibrationGuide([]).steps == (Step.QUALITY, Step.BLOCKS, Step.CHOICE)
    assert CalibrationGuide([70.0, 80.0]).steps == tuple(s for s in Step if s is not Step.CONSENT)


def test_no_step_is_taken_against_an_objection():
    guide = CalibrationGuide([9.25])
    assert guide.objections == ["no samples have come yet"]
    assert not guide.go_on()
    guide.see_quality(channels("", "flat", "", ""))
    assert guide.go_on()  # one bad of four is tolerated
    assert (guide.step, guide.go_on()) == (Step.CONSENT, False)
    guide.agreed = True
    assert guide.go_on()
    assert guide.objections == ["the screen is not measured yet"]
    guide.see_screen(["9.25 Hz cannot be shown"])
    assert not guide.go_on()
    guide.see_screen([])
    assert guide.go_on()
    guide.see_block(FEWEST_BLOCKS - 1)
    assert not guide.go_on()
    guide.see_block(FEWEST_BLOCKS)
    assert guide.go_on()
    assert (guide.step, guide.is_last, guide.go_on()) == (Step.CHOICE, True, False)


def test_bad_channels_can_be_overruled_but_not_all_of_them():
    guide = CalibrationGuide([])
    guide.see_quality(channels("flat", "railed", ""))
    assert (guide.can_overrule, guide.go_on()) == (True, False)
    guide.overruled = True
    assert guide.go_on()
    nothing = CalibrationGuide([])
    nothing.see_quality(channels("flat", "flat"))
    nothing.overruled = True
    assert (nothing.can_overrule, nothing.go_on()) == (False, False)


def test_one_can_go_back_and_never_before_the_first_step():
    guide = CalibrationGuide([9.25])
    through(guide)
    for step in (Step.PLAN, Step.CONSENT, Step.QUALITY, Step.QUALITY):
        guide.go_back()
        assert guide.step is step


def test_looks_wait_longer_and_longer():
    looks = own_looks()
    assert [next(looks) for _ in range(6)] == [3, 4, 6, 8, 11, 15]


def test_a_session_gets_what_it_lacks_once():
    session = loads(SESSION.format(window="growing", decision="dynamic"))
    asked = prepared(session)
    assert asked.labels == {f"cue/{hz} Hz": f"{hz} Hz" for hz in (9.25, 11.25, 13.25)}
    assert [rung.kind for rung in asked.ladder.rungs] == ["offset_fbcca", "ecca", "trca", "tdca"]
    assert all(list(r.frequencies_hz) == [9.25, 11.25, 13.25] for r in asked.ladder.rungs)
    assert asked.recording is not None
    assert prepared(asked) == asked
    assert asked.window == session.window


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"window": "sliding", "decision": "each"}, "windows of this session slide"),
        ({"decoder": "decoder: {kind: tangent_space}"}, "neither frequencies nor labels"),
        ({"decoder": "decoder: {kind: model, path: x}"}, "needs no training"),
    ],
)
def test_what_cannot_be_calibrated_says_why(change, why):
    text = SESSION.format(**{"window": "growing", "decision": "dynamic"} | change)
    if "decoder" in change:
        lines = [line for line in text.splitlines() if not line.startswith("decoder")]
        text = "\n".join([*lines, change["decoder"]])
    with pytest.raises(ConfigError, match=why):
        prepared(loads(text))


def test_imagery_takes_a_recording_and_its_own_cues():
    text = """
    source: {kind: simulated, paradigm: imagery}
    events: {left: cue/left, right: cue/right}
    window: {kind: sliding, length_s: 2.0, markers: [imagery_on]}
    decoder: {kind: tangent_space}
    """
    session = loads(text)
    asked = prepared(session)
    assert asked.recording is not None
    assert asked.model_copy(update={"recording": None}) == session


def test_a_session_with_a_timetable_is_led_by_whoever_shows_it():
    asked = load(Path(__file__).parents[2] / "configs" / "graz_simulated.yaml")
    session = prepared(asked)
    assert (session.source.cues, session.source.speed) == ("told", 1.0)  # at the pace of life
    assert session.paradigm == asked.paradigm
    assert prepared(session) == session


def test_imagery_can_be_cued_here():
    asked = load(Path(__file__).parents[2] / "configs" / "imagery.yaml")
    session = loads(dump(with_cues(asked)))
    assert session.paradigm.labels == ("left", "right")
    assert session.paradigm.idle is None
    assert dict(session.events) == {"left": "cue/left", "right": "cue/right"}
    assert prepared(session) == session


def test_another_plan_keeps_signal_and_consent():
    guide = CalibrationGuide([9.0, 10.0])
    guide.agreed, guide.step = True, Step.BLOCKS
    guide.see_screen([])
    guide.see_block(3)
    guide.replan([11.0, 12.0])
    assert (guide.step, guide.frequencies_hz, guide.n_blocks) == (Step.PLAN, (11.0, 12.0), 0)
    assert guide.objections == ["the screen is not measured yet"]
    guide.see_screen([])
    assert guide.go_on()
