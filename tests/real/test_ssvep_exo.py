"""The exoskeleton SSVEP recordings through the full pipeline, decoded without training.

The table:  pytest tests/real/test_ssvep_exo.py -s
"""

from pathlib import Path

import pytest
from scipy.stats import binom

from bci import config
from bci.metrics import accuracy_interval
from bci.replay import decisions, score
from bci.sources.files import load_recording

ROOT = Path(__file__).parents[2]
DATA = ROOT.parent / "shared" / "data" / "ssvep-exo"
#: CCA on 3 s, 3 classes, subjects 1 to 9: a simple method on these very files.
REFERENCE = (0.88, 0.42, 0.98, 0.98, 0.79, 0.67, 0.99, 0.85, 0.88)

pytestmark = pytest.mark.skipif(not DATA.is_dir(), reason=f"no recordings at {DATA}")


def fewest_hits(reference, n):
    """The one-sided 95 % binomial bound below which `n` trials contradict the reference."""
    return int(binom.ppf(0.05, n, reference))


def test_fbcca_through_the_pipeline_reaches_the_reference():
    session = config.load(ROOT / "configs" / "ssvep_exo.yaml")
    print("\nsubject   right   accuracy  95 % interval   reference  at least")
    accuracies = []
    for number, reference in enumerate(REFERENCE, start=1):
        hits = n = 0
        for path in sorted((DATA / f"subject{number:02d}").glob("*_raw.fif")):
            found = score(decisions(path, load_recording(path), session), session, 3)
            hits, n = hits + found.n_right, n + found.n
        bound = fewest_hits(reference, n)
        low, high = accuracy_interval(hits, n)
        print(
            f"   {number:02d}    {hits:3d}/{n:3d}    {hits / n:.3f}   [{low:.2f}, {high:.2f}]"
            f"       {reference:.2f}     {bound}/{n}"
        )
        accuracies.append(hits / n)
        assert n in (48, 72)
        assert hits >= bound, f"subject {number}"
    mean = sum(accuracies) / 9
    print(f"   mean              {mean:.3f}                      {sum(REFERENCE) / 9:.3f}")
    assert mean >= sum(REFERENCE) / 9 - 0.02
