"""Spherical spline interpolation of EEG channels, with MNE's matrix.

References
----------
Perrin, Pernier, Bertrand & Echallier 1989, Electroencephalography and Clinical
Neurophysiology 72(2):184-187.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from bci.errors import ConfigError
from bci.types import FloatArray, StreamInfo

#: Radii in metres that a sphere fitted to electrodes on a head can have.
PLAUSIBLE_RADIUS_M = (0.06, 0.13)
#: Centre of the head where few electrodes leave the fit undetermined (MNE's usual origin).
DEFAULT_ORIGIN_M = (0.0, 0.0, 0.04)


class Splines:
    """Interpolation among the EEG channels of one stream.

    Parameters
    ----------
    info : StreamInfo
    names : sequence of str
        The EEG channels, in the order of the columns to be interpolated.
    asked_by : str
        Stands in the error message.

    Raises
    ------
    ConfigError
        The position of a channel is not known.
    """

    def __init__(self, info: StreamInfo, names: Sequence[str], asked_by: str) -> None:
        import mne  # takes a second, and only interpolation needs it

        unknown = [name for name in names if name not in info.positions]
        if unknown:
            raise ConfigError(
                f"{asked_by}: interpolation needs the position of every EEG channel, and that of "
                f"{', '.join(unknown)} is not known; set channels.montage to one that has them, or "
                "use action: exclude"
            )
        at = {name: np.array(info.positions[name]) for name in names}
        self._evoked = mne.EvokedArray
        self._info = mne.create_info(list(names), info.sfreq, "eeg", verbose="ERROR")
        self._info.set_montage(mne.channels.make_dig_montage(at, coord_frame="head"))
        self._origin = DEFAULT_ORIGIN_M
        if len(names) >= 4:  # a sphere has four unknowns
            radius, origin, _ = mne.bem.fit_sphere_to_headshape(
                self._info, units="m", verbose="ERROR"
            )
            if PLAUSIBLE_RADIUS_M[0] < radius < PLAUSIBLE_RADIUS_M[1]:
                self._origin = tuple(origin)

    def matrix(self, bads: Sequence[int]) -> FloatArray:
        """Weights that give channels `bads` from all others, in their order.

        Takes some 5 ms with 64 channels.

        Returns
        -------
        array, shape (n_bads, n_channels - n_bads)
        """
        info = self._info.copy()
        info["bads"] = [info["ch_names"][i] for i in bads]
        goods = np.setdiff1d(np.arange(len(info["ch_names"])), bads)
        # each good channel in turn is 1 and all others 0: what MNE makes of it are the weights
        unit = np.zeros((len(info["ch_names"]), len(goods)))
        unit[goods, np.arange(len(goods))] = 1.0
        evoked = self._evoked(unit, info, verbose="ERROR")
        evoked.interpolate_bads(
            reset_bads=False, origin=self._origin, method={"eeg": "spline"}, verbose="ERROR"
        )
        return np.ascontiguousarray(evoked.data[list(bads)])
