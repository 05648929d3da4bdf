"""Spelling with and without language, closed loop: simulated participants copy sentences.

Marker by marker through the real pipeline, with the rule that calibration found. What is
printed is simulated: it says what the parts do together, not how well a person would do.
"""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
import yaml

from bci import config
from bci.calibration.training import collect, fit
from bci.metrics import itr, n_correct
from bci.paradigms.expectation import expect
from bci.paradigms.keyboard import Keyboard
from bci.paradigms.language import load_language
from bci.paradigms.layouts import load_layout
from bci.paradigms.speller import TARGETS_12, TARGETS_40, SpellerTimetable
from bci.paradigms.subject import SimulatedSubject
from bci.paradigms.timetable import STIM_OFF
from bci.pipeline import Pipeline
from bci.sources.files import Recording
from bci.types import Chunk, DecoderSwap, Marker, Prior, RawMarker, StreamInfo

pytest.importorskip("wordfreq", reason="the extra 'language' is not installed")
pytestmark = [pytest.mark.slow, pytest.mark.timeout(3600)]

SFREQ, LONGEST_S = 250.0, 4.0
#: Everyday sentences, each copied by one participant.
SENTENCES = (
    "THE TRAIN LEAVES AT NINE", "CAN YOU OPEN THE WINDOW", "I WILL CALL MY SISTER LATER",
    "WE NEED MORE BREAD AND MILK", "MY FRIEND LIVES NEAR THE LAKE", "IT IS TOO COLD TO SWIM",
    "PLEASE TURN DOWN THE MUSIC", "HE WROTE A LETTER TO HIS SON",
)  # fmt: skip
#: Participants. Those below 20 were looked at when the rule was chosen.
SEEDS = range(20, 20 + len(SENTENCES))
#: Of calibration.
N_BLOCKS = 3
#: A participant gives up after so many selections for each that is needed without words.
PATIENCE = 1.5


@dataclass
class Tally:
    """What came of an arm, over participants."""

    n_correct: int = 0
    seconds: float = 0.0
    selections: int = 0
    right: int = 0
    unaided: int = 0  # right by the decoder's own best label

    @property
    def per_minute(self):
        return 60.0 * self.n_correct / self.seconds

    def row(self, name, n_targets):
        each = self.seconds / self.selections
        alone = self.unaided / self.selections
        return (
            f"  {name:<16} {self.per_minute:5.1f} correct characters/min  {each:.2f} s a selection"
            f"  accuracy {self.right / self.selections:.3f}  without prior {alone:.3f}, "
            f"{itr(alone, n_targets, each):.1f} bit/min"
        )


def settings(targets):
    return config.loads(
        yaml.safe_dump(
            {
                "source": {"kind": "simulated", "paradigm": f"ssvep{len(targets)}"},
                "channels": {"montage": None},
                "events": {t.label: f"cue/{t.label}" for t in targets},
                "processing": [
                    {"kind": "notch", "freq_hz": 50},
                    {"kind": "bandpass", "low_hz": 6, "high_hz": 90, "order": 4},
                ],
                "window": {
                    "kind": "growing", "markers": ["stim_on"], "offset_s": 0.14, "min_s": 0.5,
                    "hop_s": 0.2, "length_s": LONGEST_S,
                },
                "decoder": {
                    "kind": "fbcca", "frequencies_hz": {t.label: t.frequency_hz for t in targets},
                },
                "decision": {"kind": "dynamic", "target_error": 0.05, "at_longest": "force"},
            }
        )
    )  # fmt: skip


class Participant:
    """A simulated participant before a speller, at any speed."""

    def __init__(self, targets, seed, snr):
        self.subject = SimulatedSubject(targets, snr=snr, seed=seed, sfreq=SFREQ)
        names = self.subject.ch_names
        self.info = StreamInfo("simulated", SFREQ, names, ("eeg",) * len(names))
        self.table = SpellerTimetable(tuple(t.label for t in targets), stim_s=LONGEST_S + 0.2)

    def calibrate(self, session, n_blocks):
        """Decoder and rule from cued trials."""
        data, markers = [], []
        table = replace(self.table, n_blocks=n_blocks, start_s=0.0)
        for trial in table.trials():
            for marker in trial.markers:
                data.append(self._until(marker.t))
                self.subject.see(marker.value)
                markers.append(RawMarker(marker.value, marker.t, self.subject.position))
        data.append(self._until(trial.stop_s))
        x = np.concatenate(data)
        recording = Recording(
            Path("simulated.npz"), self.info, x, np.arange(len(x)) / SFREQ, markers
        )
        return fit(session, collect(session, recording))

    def _until(self, t):
        return self.subject.generate(max(0, round(t * SFREQ) - self.subject.position))

    def copy(self, pipeline, keyboard, phrase, tally, language, patience):
        """Write the phrase; with `language` each selection is expected to be what it says."""
        began = self.subject.position
        for _ in range(patience):
            if keyboard.text == phrase:
                break
            if language is not None:
                pipeline.push(Prior(self.subject.position, expect(keyboard, language)))
            wanted = keyboard.targets_for(phrase)[0]
            decision = self._select(pipeline, wanted)
            tally.selections += 1
            tally.right += decision.label == wanted
            alone = decision.proba_decoder or decision.proba
            tally.unaided += max(alone, key=alone.__getitem__) == wanted
            keyboard = keyboard.select(decision.label)
        tally.seconds += (self.subject.position - began) / SFREQ
        tally.n_correct += n_correct(keyboard.text, phrase)

    def _select(self, pipeline, wanted):
        found = []
        trial = self.table.trial(wanted, self.subject.position / SFREQ)
        for marker in trial.markers:
            stop = round(marker.t * SFREQ)
            while self.subject.position < stop and not (marker.value == STIM_OFF and found):
                at = self.subject.position
                found += pipeline.push(Chunk(at, self.subject.generate(min(5, stop - at))))
            at = self.subject.position
            self.subject.see(marker.value)
            pipeline.push(Marker(at, at, marker.value))
        at = self.subject.position
        rest = round((trial.stop_s - trial.markers[-1].t) * SFREQ)
        pipeline.push(Chunk(at, self.subject.generate(rest)))
        return found[0]


@pytest.mark.parametrize(("name", "targets"), [("en_12", TARGETS_12), ("en_40", TARGETS_40)])
def test_language_speeds_up_who_answers_and_types_nothing_for_who_does_not(name, targets):
    session, layout = settings(targets), load_layout(name)
    language = load_language(layout.language, layout.symbols)
    arms = {
        "letters": (None, None), "and prior": (None, language),
        "words": (language, None), "words and prior": (language, language),
    }  # fmt: skip
    results = {}
    models = {seed: Participant(targets, seed, 1.0).calibrate(session, N_BLOCKS) for seed in SEEDS}
    for snr in (1.0, 0.0):
        print(f"\nsimulated, {name}, SNR {snr:g}, {len(SENTENCES)} participants")
        for arm, (words, prior) in arms.items():
            tally = results[snr, arm] = Tally()
            for seed, phrase in zip(SEEDS, SENTENCES, strict=True):
                person = Participant(targets, seed, snr)
                decoder, manifest = models[seed]
                pipeline = Pipeline(session, person.info)
                pipeline.push(DecoderSwap(0, decoder, "calibrated", manifest.stopping))
                pipeline.push(Chunk(0, person.subject.generate(500)))
                patience = round(PATIENCE * len(Keyboard(layout).targets_for(phrase)))
                keyboard = Keyboard(layout, words=words)
                person.copy(pipeline, keyboard, phrase, tally, prior, patience)
            print(tally.row(arm, len(targets)), flush=True)
    fast = {arm: results[1.0, arm].per_minute for arm in arms}
    assert fast["and prior"] > 0.97 * fast["letters"]
    assert fast["words and prior"] > 0.97 * fast["words"] > fast["letters"]
    for alone, helped in (("letters", "and prior"), ("words", "words and prior")):
        tally = results[0.0, helped]
        assert tally.n_correct <= results[0.0, alone].n_correct + len(SENTENCES)
        assert tally.unaided / tally.selections < 3.0 / len(targets)
