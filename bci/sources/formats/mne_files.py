"""FIF, EDF, BDF, GDF, BrainVision and EEGLAB by MNE: the border between volts and microvolts."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from bci.errors import SourceError
from bci.sources.files import Recording, Wanted, place_markers, regular_stamps, unique_labels
from bci.sources.formats import integrity
from bci.types import Break, FloatArray, SampleArray, StreamInfo

_VOLTAGES = ("eeg", "eog", "emg", "ecg")
#: Annotations that mark stretches or joints of the recording rather than events.
_SEGMENTS = ("boundary", "new segment/", "edge boundary")
_RAW_ENDINGS = ("_raw", "-raw", "_eeg", "_meg", "")


def read_fif(path: Path, wanted: Wanted) -> Recording:
    """Read a FIF file, and ``*-eve.fif`` of the same stem as markers."""
    import mne  # heavy, needed for these formats only

    integrity.check_fif(path)
    notes: list[str] = []
    with _noted(notes):
        raw = mne.io.read_raw_fif(path, preload=True, verbose="WARNING")
        events = [(int(s) - raw.first_samp, str(v)) for s, v in _sidecar(path, notes)]
    return _recording(path, raw, notes, events)


def read_edf(path: Path, wanted: Wanted) -> Recording:
    """Read an EDF or EDF+ file."""
    return _edf_like(path, "edf")


def read_bdf(path: Path, wanted: Wanted) -> Recording:
    """Read a BDF or BDF+ file; the lower 16 bits of its Status channel are triggers."""
    return _edf_like(path, "bdf", trigger_bits=0xFFFF)


def read_gdf(path: Path, wanted: Wanted) -> Recording:
    """Read a GDF file."""
    import mne

    integrity.check_gdf(path)
    return _by(path, mne.io.read_raw_gdf, [])


def read_brainvision(path: Path, wanted: Wanted) -> Recording:
    """Read a BrainVision recording by its .vhdr file."""
    import mne

    integrity.check_brainvision(path)
    return _by(path, mne.io.read_raw_brainvision, [])


def read_eeglab(path: Path, wanted: Wanted) -> Recording:
    """Read a continuous EEGLAB set (.set, with .fdt where it has one)."""
    import mne

    return _by(path, mne.io.read_raw_eeglab, [])


def _edf_like(path: Path, kind: str, trigger_bits: int | None = None) -> Recording:
    import mne

    notes = integrity.check_edf(path)

    def reader(path: Path, **options: Any) -> Any:
        return getattr(mne.io, f"read_raw_{kind}")(path, infer_types=True, **options)

    return _by(path, reader, notes, trigger_bits)


def _by(
    path: Path, reader: Callable[..., Any], notes: list[str], trigger_bits: int | None = None
) -> Recording:
    with _noted(notes):
        raw = reader(path, preload=True, verbose="WARNING")
    return _recording(path, raw, notes, [], trigger_bits)


@contextmanager
def _noted(notes: list[str]) -> Iterator[None]:
    """Collect warnings as notes, each once."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        yield
    for warning in caught:
        text = " ".join(str(warning.message).split())
        if "naming conventions" not in text and text not in notes:
            notes.append(text)


def _recording(
    path: Path,
    raw: Any,
    notes: list[str],
    events: list[tuple[int, str]],
    trigger_bits: int | None = None,
) -> Recording:
    kinds = raw.get_channel_types()
    types = tuple(t if t in (*_VOLTAGES, "stim") else "misc" for t in kinds)
    sfreq = float(raw.info["sfreq"])
    names = unique_labels(raw.ch_names, notes)
    stamps = regular_stamps(raw.n_times, sfreq)
    annotated, breaks = _annotations(raw, notes)
    with _noted(notes):
        events = events + annotated + _triggers(raw, kinds, trigger_bits)
    events = list(dict.fromkeys(events))  # a file may hold its events in two forms
    if raw.info["bads"]:
        notes.append(f"marked as bad in the file: {', '.join(raw.info['bads'])}")
    info = StreamInfo(path.stem, sfreq, names, types, _positions(raw, names, types))
    markers = place_markers(events, stamps, notes)
    return Recording(path, info, _microvolts(raw, types), stamps, markers, breaks, notes)


def _microvolts(raw: Any, types: tuple[str, ...]) -> SampleArray:
    """Get the samples in microvolts, shape (n_samples, n_channels).

    Where float32 holds every value to the rounding of the way through volts
    (files of float32 microvolts), float32 is what the file holds.
    """
    volts = raw.get_data()  # (n_channels, n_samples)
    scale = np.array([1e6 if t in _VOLTAGES else 1.0 for t in types])
    data: FloatArray = np.empty((volts.shape[1], volts.shape[0]))
    np.multiply(volts.T, scale, out=data)
    with np.errstate(over="ignore"):
        single = data.astype(np.float32)
    if np.allclose(single, data, rtol=1e-13, atol=0.0, equal_nan=True):
        return single
    return data


def _positions(
    raw: Any, names: tuple[str, ...], types: tuple[str, ...]
) -> dict[str, tuple[float, float, float]]:
    """Electrode positions in metres, head coordinates, where the file has them."""
    found = {}
    for name, kind, channel in zip(names, types, raw.info["chs"], strict=True):
        x, y, z = (float(v) for v in channel["loc"][:3])
        if kind == "eeg" and np.isfinite([x, y, z]).all() and any((x, y, z)):
            found[name] = (x, y, z)
    return found


# --- markers -------------------------------------------------------------------------------------


def _annotations(
    raw: Any, notes: list[str]
) -> tuple[list[tuple[int, str]], list[tuple[int, Break]]]:
    """Annotations as (index, text), and the joints between recorded segments."""
    annotations = raw.annotations
    if not len(annotations):
        return [], []
    # onsets count from sample 0 of the recording, of which the file begins at `first_samp`
    indices = np.rint(annotations.onset * raw.info["sfreq"]).astype(int) - raw.first_samp
    events: list[tuple[int, str]] = []
    joints: set[int] = set()
    n_bad = 0
    for index, text in zip(indices.tolist(), annotations.description, strict=True):
        if text.lower().startswith(_SEGMENTS):
            joints.add(index)
        elif text.lower().startswith("bad"):
            n_bad += 1
        else:
            events.append((index, str(text)))
    if n_bad:
        notes.append(f"{n_bad} stretches annotated as bad are not used as markers")
    inside = sorted(i for i in joints if 0 < i < raw.n_times)
    return events, [(i, Break("a new recorded segment begins")) for i in inside]


def _triggers(raw: Any, kinds: list[str], bits: int | None) -> list[tuple[int, str]]:
    """Rising values of the stim channels as (index, code)."""
    import mne

    stim = [name for name, kind in zip(raw.ch_names, kinds, strict=True) if kind == "stim"]
    if not stim:
        return []
    events = mne.find_events(
        raw, stim_channel=stim, shortest_event=1, mask=bits, mask_type="and", verbose="WARNING"
    )
    return [(int(sample) - raw.first_samp, str(code)) for sample, _, code in events]


def _sidecar(path: Path, notes: list[str]) -> list[tuple[int, int]]:
    """(sample, code) of the ``-eve.fif`` file that belongs to `path`, where there is one."""
    import mne

    stem = path.name.removesuffix(".gz").removesuffix(".fif")
    for ending in _RAW_ENDINGS:
        for separator in "-_":
            beside = path.with_name(f"{stem.removesuffix(ending)}{separator}eve.fif")
            if not (stem.endswith(ending) and beside.exists()):
                continue
            try:
                events = mne.read_events(beside, verbose="WARNING")
            except Exception as error:
                raise SourceError(f"{beside}: cannot be read as events: {error}") from error
            notes.append(f"markers from {beside.name}")
            return [(int(sample), int(code)) for sample, _, code in events]
    return []
