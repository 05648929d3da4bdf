"""Decisions over LSL, received by a plain pylsl inlet."""

import uuid

import numpy as np
import pytest

from bci.lsl import read
from bci.outputs import Output
from bci.outputs.lsl import LSLOutput

pylsl = pytest.importorskip("pylsl", reason="liblsl does not load", exc_type=Exception)

LABELS = ("13 Hz", "17 Hz", "21 Hz")


@pytest.fixture
def output():
    made = LSLOutput(name=f"test-{uuid.uuid4().hex[:12]}").build()
    made.open(LABELS)
    yield made
    made.close()


def inlet(name):
    (info,) = pylsl.resolve_byprop("name", name, 1, 5.0)
    made = pylsl.StreamInlet(info, recover=False)
    made.open_stream(5.0)
    return made


def test_markers_and_probabilities(output, decide):
    assert isinstance(output, Output)
    name = output.name.removeprefix("lsl:")
    markers, probabilities = inlet(name), inlet(f"{name}-probabilities")
    output.send(decide(0, t_last=100.25, t_decision=100.5))
    output.send(decide(1, label=None, t_last=101.25, t_decision=101.5))
    output.send(decide(2, label="17 Hz", t_last=102.25, t_decision=102.5))
    assert markers.pull_sample(2.0) == (["13 Hz"], 100.5)
    assert markers.pull_sample(2.0) == (["17 Hz"], 102.5)  # an abstention is no marker
    assert markers.pull_sample(0.05) == (None, None)
    rows = [probabilities.pull_sample(2.0) for _ in range(3)]
    assert [stamp for _, stamp in rows] == [100.25, 101.25, 102.25]
    np.testing.assert_array_equal(rows[0][0], [0.75, 0.25, 0.0])  # the third was not scored
    assert np.isnan(rows[1][0]).all()
    output.close()
    output.close()


def test_what_the_streams_say_of_themselves(output):
    name = output.name.removeprefix("lsl:")
    info = inlet(name).info(2.0)
    assert (info.type(), info.nominal_srate(), info.channel_format()) == ("Markers", 0.0, 3)
    assert f"<label>{LABELS[2]}</label>" in info.as_xml()
    description = read(inlet(f"{name}-probabilities").info(2.0).as_xml())
    assert description.info.ch_names == LABELS
    assert description.info.sfreq == 0.0


def test_the_source_id_survives_a_restart(output):
    name = output.name.removeprefix("lsl:")
    before = inlet(name).info(2.0)
    output.open(LABELS)
    after = inlet(name).info(2.0)
    assert before.source_id() == after.source_id() != ""
    assert before.uid() != after.uid()


def test_a_live_decision_without_times_is_stamped_now(output, decide):
    markers = inlet(output.name.removeprefix("lsl:"))
    before = pylsl.local_clock()
    output.send(decide())
    _, stamp = markers.pull_sample(2.0)
    assert before <= stamp <= pylsl.local_clock()


def test_markers_alone(decide):
    name = f"test-{uuid.uuid4().hex[:12]}"
    output = LSLOutput(name=name, probabilities=False).build()
    output.open(LABELS)
    markers = inlet(name)
    output.send(decide())
    assert markers.pull_sample(2.0)[0] == ["13 Hz"]
    assert pylsl.resolve_byprop("name", f"{name}-probabilities", 1, 0.2) == []
    output.close()
