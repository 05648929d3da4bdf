"""Names and places of electrodes in the 10-05 system.

"FP1", "Fp1." and "EEG Fp1" are Fp1; the old names T3, T4, T5, T6 are T7, T8, P7, P8.
"""

from __future__ import annotations

import difflib
import re
import warnings
from functools import lru_cache

from bci.errors import ConfigError

Position = tuple[float, float, float]

_OLD = {"T3": "T7", "T4": "T8", "T5": "P7", "T6": "P8"}
_ROWS = (
    *("Fp", "AFp", "AF", "AFF", "F", "FFT", "FFC", "FT", "FC", "FTT", "FCC", "T", "C", "TTP"),
    *("CCP", "TP", "CP", "TPP", "CPP", "P", "PPO", "PO", "POO", "O", "OI", "I", "A", "M"),
)
_SPELLING = {row.casefold(): row for row in _ROWS}
_LABEL = re.compile(
    rf"(?:eeg[ _-]+)?({'|'.join(_SPELLING)})(z|10|[1-9])(h?)(?:-ref)?", re.IGNORECASE
)


def canonical(label: str) -> str:
    """Name an electrode as the 10-05 system does; other labels come back as they are.

    >>> canonical("Fc5."), canonical("FP1"), canonical("T3"), canonical("Lead 1")
    ('FC5', 'Fp1', 'T7', 'Lead 1')
    """
    match = _LABEL.fullmatch(label.strip().rstrip(".").strip())
    if match is None:
        return label
    row, number, half = match.groups()
    name = _SPELLING[row.casefold()] + number.casefold() + half.casefold()
    return _OLD.get(name, name)


@lru_cache(maxsize=8)
def montage_positions(montage: str) -> dict[str, Position]:
    """Give the place of each electrode (label in lower case) of an MNE montage.

    In metres, head coordinates.

    Raises
    ------
    ConfigError
        MNE has no montage of this name.
    """
    import mne  # a second to import

    built_in = mne.channels.get_builtin_montages()
    # MNE 1.13 calls the montages "standard_…" by the head that they were made on
    newer = montage.replace("standard_", "colin27_")
    name = newer if newer in built_in else montage
    if name not in built_in:
        near = difflib.get_close_matches(montage, built_in, n=1)
        hint = f"did you mean '{near[0]}'?" if near else f"known are {', '.join(built_in)}"
        raise ConfigError(f"channels.montage: MNE has no montage '{montage}'; {hint}")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of names that will be removed
        layout = mne.channels.make_standard_montage(name)
        info = mne.create_info(layout.ch_names, 100.0, "eeg", verbose="ERROR")
        info.set_montage(layout, verbose="ERROR")
    return {
        channel["ch_name"].casefold(): (float(x), float(y), float(z))
        for channel in info["chs"]
        for x, y, z in [channel["loc"][:3]]
    }


def in_montage(label: str, montage: str) -> Position | None:
    """Look up an electrode in an MNE montage; None where it has none of this name."""
    known = montage_positions(montage)
    return known.get(label.casefold()) or known.get(canonical(label).casefold())
