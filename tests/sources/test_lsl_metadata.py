"""Reading what senders in the field write into their metadata."""

import numpy as np
import pytest

from bci.errors import SourceError
from bci.lsl import read, stream_info
from bci.types import StreamInfo


def xml(channels: str, n: int, stream_type: str = "EEG") -> str:
    return (
        f"<info><name>amp</name><type>{stream_type}</type><channel_count>{n}</channel_count>"
        "<nominal_srate>250.000</nominal_srate><channel_format>float32</channel_format>"
        f"<source_id>sn1</source_id><desc>{channels}</desc></info>"
    )


def described(*channels: str) -> str:
    return xml(
        f"<channels>{''.join(f'<channel>{c}</channel>' for c in channels)}</channels>",
        len(channels),
    )


def test_a_description_by_the_book():
    text = described(
        "<label>T3</label><type>EEG</type><unit>microvolts</unit>"
        "<location><X>-84.1</X><Y>-16</Y><Z>-9.3</Z></location>",
        "<label>HEOG</label><type>EOG</type><unit>microvolts</unit>",
        "<label>TRIG</label><type>Trigger</type>",
    )
    found = read(text)
    assert found.info.ch_names == ("T3", "HEOG", "TRIG")  # old names are renamed elsewhere
    assert found.info.ch_types == ("eeg", "eog", "stim")
    assert found.info.sfreq == 250.0
    assert found.info.source_id == "sn1"
    assert found.info.positions == {"T3": pytest.approx((-0.0841, -0.016, -0.0093))}
    assert found.scale.tolist() == [1, 1, 1]


@pytest.mark.parametrize(
    ("unit", "factor"),
    [
        ("<unit>microvolts</unit>", 1),
        ("<unit>uV</unit>", 1),
        ("<unit>\u00b5V</unit>", 1),
        ("<unit>\u03bcV</unit>", 1),
        ("<units>UV</units>", 1),
        ("<unit>mV</unit>", 1e3),
        ("<unit>millivolts</unit>", 1e3),
        ("<unit> V </unit>", 1e6),
        ("<units>volts</units>", 1e6),
        ("<unit>nanovolts</unit>", 1e-3),
        ("<unit>-6</unit>", 1),
        ("<unit>0</unit>", 1e6),
    ],
)
def test_units_become_microvolts(unit, factor):
    found = read(described(f"<label>Cz</label><type>EEG</type>{unit}"))
    assert found.scale[0] == factor
    assert found.warnings == ()


@pytest.mark.parametrize("unit", ["", "<unit>counts</unit>", "<unit/>"])
def test_an_unknown_unit_is_said(unit):
    found = read(
        described(f"<label>Cz</label><type>EEG</type>{unit}", "<label>A</label><type>ACC</type>")
    )
    assert found.scale.tolist() == [1, 1]
    (warning,) = found.warnings
    assert "of Cz; taken as microvolts" in warning
    assert found.info.ch_types == ("eeg", "misc")


def test_missing_and_odd_labels():
    found = read(described("<name>O1</name>", "<label/>", "<label> O2 </label>"))
    assert found.info.ch_names == ("O1", "Ch2", "O2")
    bare = read(xml("", 2))
    assert bare.info.ch_names == ("Ch1", "Ch2")
    assert bare.info.ch_types == ("eeg", "eeg")
    assert read(xml("", 1, "Accelerometer")).info.ch_types == ("misc",)


def test_a_description_of_other_channels_is_ignored():
    text = xml("<channels><channel><label>O1</label></channel></channels>", 3)
    found = read(text)
    assert found.info.ch_names == ("Ch1", "Ch2", "Ch3")
    assert "1 channels are described and 3 sent" in found.warnings[0]


def test_duplicate_labels_are_refused():
    with pytest.raises(SourceError, match="more than one channel labelled O1"):
        read(described("<label>O1</label>", "<label>O2</label>", "<label>O1</label>"))
    with pytest.raises(SourceError, match="labelled Ch2"):
        read(described("<label>Ch2</label>", ""))


def test_broken_xml_is_one_clear_line():
    with pytest.raises(SourceError, match="not XML"):
        read("<info><name>amp</info>")


def location(x, y, z):
    return f"<type>EEG</type><unit>uV</unit><location><X>{x}</X><Y>{y}</Y><Z>{z}</Z></location>"


def test_positions_on_no_head_are_ignored():
    metres = read(described(location(0.0, 0.08, 0.04)))
    assert metres.info.positions == {"Ch1": (0.0, 0.08, 0.04)}
    placeholders = read(described(location(0, 0, 0), location("n/a", 1, 1)))
    assert placeholders.info.positions == {}
    assert placeholders.warnings == ()
    unit_sphere = read(described(location(0, 1, 0), location(0, 0, 1)))
    assert unit_sphere.info.positions == {}
    assert "on no head" in unit_sphere.warnings[0]


def test_what_is_written_is_read_back():
    info = StreamInfo(
        name="amp",
        sfreq=512.0,
        ch_names=("O1", "EOGh", "ECG", "trigger", "temperature"),
        ch_types=("eeg", "eog", "ecg", "stim", "misc"),
        positions={"O1": (-0.0294, -0.1124, 0.0088)},
        source_id="sn7",
    )
    found = read(stream_info(info).as_xml())
    assert found.info.positions == {"O1": pytest.approx(info.positions["O1"])}
    assert (found.info.name, found.info.sfreq, found.info.source_id) == ("amp", 512.0, "sn7")
    assert (found.info.ch_names, found.info.ch_types) == (info.ch_names, info.ch_types)
    assert np.all(found.scale == 1)
    assert found.channel_format == "float32"


def test_differences_name_both_sides():
    one = read(described("<label>O1</label><unit>uV</unit>", "<label>O2</label><unit>uV</unit>"))
    assert one.differences(one) == []
    swapped = read(
        described("<label>O1</label><unit>uV</unit>", "<label>Oz</label><unit>uV</unit>")
    )
    assert one.differences(swapped) == ["channel 2 was 'O2' before and is 'Oz' now"]
    volts = read(described("<label>O1</label><unit>uV</unit>", "<label>O2</label><unit>V</unit>"))
    assert one.differences(volts) == ["unit of channel 'O2' was 1 µV before and is 1e+06 µV now"]
    fewer = read(described("<label>O1</label><unit>uV</unit>"))
    assert one.differences(fewer) == ["2 channels before, 1 now"]
