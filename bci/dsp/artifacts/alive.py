"""Whether there is signal to calibrate on at all."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from bci.dsp.bad_channels import BadChannels, Judge
from bci.errors import CalibrationFailed
from bci.types import FloatArray


def check_usable(kind: str, usable: NDArray[np.bool_], needed_s: float, sfreq: float) -> None:
    """Enough samples of the calibration are not rejected.

    Raises
    ------
    CalibrationFailed
        They are not.
    """
    if usable.sum() < needed_s * sfreq:
        raise CalibrationFailed(
            f"{kind}: {needed_s:g} s without rejected samples are needed, and of "
            f"{len(usable) / sfreq:.3g} s only {usable.sum() / sfreq:.3g} s are; mend what rejects "
            "them, or put this stage before it"
        )


def check_alive(kind: str, block: FloatArray, names: Sequence[str], sfreq: float) -> None:
    """No channel of a block, shape (n_samples, n_channels), is flat or railed.

    Raises
    ------
    CalibrationFailed
        One is; names it.
    """
    found = Judge(BadChannels(line_hz=None), len(block), sfreq).defects(block)
    for defect in ("flat", "railed"):
        bad = [name for name, is_bad in zip(names, found[defect], strict=True) if is_bad]
        if bad:
            raise CalibrationFailed(
                f"{kind}: {', '.join(bad)} {'is' if len(bad) == 1 else 'are'} {defect} throughout "
                "the calibration; fix the electrode, or name other channels under 'channels'"
            )
