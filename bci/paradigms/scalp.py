"""Where electrodes are, and how far a source's field reaches over the scalp."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from functools import cache

import numpy as np

from bci.errors import ConfigError
from bci.types import FloatArray


@cache
def _montage() -> dict[str, tuple[float, float, float]]:
    """Positions of the 10-05 system, metres, MNE head coordinates, by lower-case label."""
    import mne  # here: 0.3 s that only a simulation pays

    # MNE 1.13 renamed "standard_1005", and warns of the old name
    known = set(mne.channels.get_builtin_montages())
    name = "colin27_1005" if "colin27_1005" in known else "standard_1005"
    montage = mne.channels.make_standard_montage(name)
    info = mne.create_info(montage.ch_names, 100.0, "eeg", verbose="error")
    info.set_montage(montage, on_missing="ignore", verbose="error")
    places = ((c["ch_name"].lower(), c["loc"]) for c in info["chs"])
    return {name: (float(loc[0]), float(loc[1]), float(loc[2])) for name, loc in places}


def positions(ch_names: Sequence[str]) -> FloatArray:
    """Positions of electrodes of the 10-05 system.

    Returns
    -------
    array, shape (n_channels, 3)
        Metres, MNE head coordinates.

    Raises
    ------
    ConfigError
        A label is not in the 10-05 system.
    """
    known = _montage()
    for name in ch_names:
        if name.lower() not in known:
            near = difflib.get_close_matches(name.lower(), known, n=1)
            hint = f"; did you mean '{near[0]}'?" if near else ""
            raise ConfigError(f"'{name}' is no electrode of the 10-05 system{hint}")
    return np.array([known[name.lower()] for name in ch_names]).reshape(-1, 3)


def distances(a: FloatArray, b: FloatArray) -> FloatArray:
    """Distance of each of `a`, shape (n, 3), to each of `b`, shape (m, 3); shape (n, m), metres."""
    result: FloatArray = np.linalg.norm(a[:, None, :] - b[None, :, :], axis=2)
    return result


def gaussian_field(electrodes: FloatArray, centre: str, radius: float) -> FloatArray:
    """Weights, shape (n_channels,), 1 at the electrode `centre`, falling as a Gaussian."""
    d = distances(electrodes, positions([centre]))[:, 0]
    result: FloatArray = np.exp(-0.5 * (d / radius) ** 2)
    return result


def exponential_field(electrodes: FloatArray, centre: str, length: float) -> FloatArray:
    """Weights, shape (n_channels,), 1 at the electrode `centre`, falling by e each `length`."""
    d = distances(electrodes, positions([centre]))[:, 0]
    result: FloatArray = np.exp(-d / length)
    return result


def blink_field(electrodes: FloatArray, at_vertex: float) -> FloatArray:
    """Weights of the eyes' field, shape (n_channels,): 1 at Fp1 and Fp2, `at_vertex` at Cz."""
    frontal, vertex = positions(["Fp1", "Fp2"]), positions(["Cz"])
    eyes = frontal.mean(axis=0, keepdims=True)
    near = distances(frontal, eyes).mean()
    length = (distances(vertex, eyes)[0, 0] - near) / -np.log(at_vertex)
    result: FloatArray = np.minimum(
        1.0, np.exp(-(distances(electrodes, eyes)[:, 0] - near) / length)
    )
    return result
