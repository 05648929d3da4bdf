"""The ladder on the nine people of Kalunga et al., whose flicker is not locked to the markers.

The table:  pytest -m "slow or not slow" tests/real/test_ladder_ssvep_exo.py -s

Each person's trials, in order of time, make blocks of one trial a class. Three quarters of
them are calibration: on these the ladder decides, as it would live at its first look. The
rung that it chose is trained on them, and scored beside FBCCA on the last quarter; so in
turn with each quarter held out. Windows are seconds 2 to 4 after the marker, and nothing
is chosen per person.
"""

from pathlib import Path

import numpy as np
import pytest

from bci import config, registry
from bci.calibration.ladder import assess
from bci.calibration.outcomes import Evidence, Outcomes, gain_interval, judge
from bci.calibration.phase_locking import measure
from bci.calibration.selections import cued_selections
from bci.calibration.training import collect
from bci.sources.files import load_recording

ROOT = Path(__file__).parents[2]
DATA = ROOT.parent / "shared" / "data" / "ssvep-exo"
HZ = {"13 Hz": 13.0, "17 Hz": 17.0, "21 Hz": 21.0}
RUNGS = ("fbcca", "offset_fbcca", "band_power", "extended_covariance", "trca", "tdca")
N_PARTS = 4

pytestmark = pytest.mark.skipif(not DATA.is_dir(), reason=f"no recordings at {DATA}")


def rungs(*kinds):
    return {
        kind: registry.find("decoder", kind).model_validate({"kind": kind, "frequencies_hz": HZ})
        for kind in kinds
    }


def person(number):
    """All cued selections of a person, windows of 2 s, in order of time."""
    session = config.load(ROOT / "configs" / "ssvep_exo.yaml", ["window.length_s=2.0"])
    paths = sorted((DATA / f"subject{number:02d}").glob("*_raw.fif"))
    parts = [collect(session, load_recording(path)) for path in paths]
    X, y = np.concatenate([p.X for p in parts]), np.concatenate([p.y for p in parts])
    return cued_selections(X, y, np.arange(len(y)) * 8.0, parts[0].info), Evidence.of(
        session, parts[0].info.sfreq
    )


def without(selections, test):
    keep = ~test
    return cued_selections(
        selections.X[keep], selections.y[keep], selections.onsets_s[keep], selections.info
    )


def joined(parts):
    return Outcomes(
        np.concatenate([p.right for p in parts]), np.concatenate([p.seconds for p in parts]), 3
    )


def climb(selections, evidence):
    """Chosen rungs, and held-out outcomes of them and of FBCCA."""
    known, chosen, climbed, stayed = rungs(*RUNGS), [], [], []
    for blocks in np.array_split(selections.cued_blocks(), N_PARTS):
        test = np.isin(selections.blocks, blocks)
        found = assess(known, "fbcca", without(selections, test), evidence, HZ, foresee=False)
        chosen.append(found.chosen)
        split = [(~test, test)]
        climbed.append(judge(known[found.chosen], selections, evidence, split))
        stayed.append(judge(known["fbcca"], selections, evidence, split))
    return chosen, joined(climbed), joined(stayed)


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_the_ladder_leaves_no_one_worse():
    print(
        "\nsubject  chosen on calibration                       chosen rung, held out"
        "          FBCCA, held out              gain [95 %]"
    )
    gains = []
    for number in range(1, 10):
        selections, evidence = person(number)
        chosen, climbed, stayed = climb(selections, evidence)
        low, high = gain_interval(climbed, stayed, 0.95, 0)
        told = ", ".join(f"{chosen.count(k)}x {k}" for k in RUNGS if k in chosen)
        rates = [
            f"{o.accuracy:.3f} {o.itr:5.1f} [{o.interval()[0]:4.1f}, {o.interval()[1]:4.1f}]"
            for o in (climbed, stayed)
        ]
        gain = climbed.itr - stayed.itr
        print(
            f"S{number:02d}      {told:<42}  {rates[0]:<28}  {rates[1]:<28}"
            f" {gain:+5.1f} [{low:+.1f}, {high:+.1f}]"
        )
        gains.append(gain)
        assert high >= 0.0, f"subject {number} is left worse"
        assert climbed.itr >= stayed.interval()[0], f"subject {number} is left worse"
    print(f"mean gain {np.mean(gains):+.2f} bit/min")
    assert np.mean(gains) > 0.0


def test_the_flicker_is_not_locked_to_the_markers():
    print()
    for number in range(1, 10):
        selections, _ = person(number)
        found = measure(selections.X, selections.y, selections.info.sfreq, HZ)
        print(f"S{number:02d}  {found}")
        assert found.locked is False
