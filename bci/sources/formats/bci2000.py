"""Reader of BCI2000's ``.dat`` files.

A header of text lines tells parameters and where each *state* lies in the state
vector; then come the samples, each its channels (little-endian int16, int32 or
float32) and its state vector. The signal in microvolts is
``(value - SourceChOffset) * SourceChGain``.

Format: https://www.bci2000.org/mediawiki/index.php/Technical_Reference:BCI2000_File_Format
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import unquote

import numpy as np
from numpy.typing import NDArray

from bci.electrodes import canonical
from bci.errors import SourceError
from bci.sources.files import Recording, Wanted, regular_stamps
from bci.types import FloatArray, StreamInfo

_FORMATS = {"int16": "<i2", "int32": "<i4", "float32": "<f4"}
_MICROVOLTS = {"": 1.0, "muv": 1.0, "uv": 1.0, "µv": 1.0, "nv": 1e-3, "mv": 1e3, "v": 1e6}
_NUMBER = re.compile(r"([-+]?[0-9.]+(?:[eE][-+]?[0-9]+)?)\s*([a-zA-Zµ]*)")
#: What a header line may be at most, far beyond what is found.
_MAX_FIRST_LINE = 4096


@dataclass(frozen=True, slots=True)
class StateField:
    """Where a state lies in the state vector: little-endian bits from `byte` and `bit` on."""

    n_bits: int
    byte: int
    bit: int


@dataclass(frozen=True, slots=True)
class Header:
    """What the header of a file says.

    Attributes
    ----------
    n_bytes, n_channels, state_bytes : int
        Length of the header, channels, and length of a state vector.
    dtype : str
        Of the samples, as numpy names it.
    states : mapping
        Name: where it lies.
    parameters : mapping of str to list of str
        Name: its words up to the comment; values of lists begin with their number.
    """

    n_bytes: int
    n_channels: int
    state_bytes: int
    dtype: str
    states: Mapping[str, StateField]
    parameters: Mapping[str, list[str]] = field(repr=False)

    def values(self, name: str) -> list[str]:
        """Values of a list parameter; empty where there is none."""
        words = self.parameters.get(name, [])
        try:
            return [unquote(word) for word in words[1 : 1 + int(words[0])]]
        except (IndexError, ValueError):
            return []


@dataclass(frozen=True, slots=True)
class DatFile:
    """A file as it was read.

    Attributes
    ----------
    header : Header
    sfreq : float
        Hz.
    ch_names : tuple of str
    data : array, shape (n_samples, n_channels)
        Microvolts.
    """

    header: Header
    sfreq: float
    ch_names: tuple[str, ...]
    data: FloatArray = field(repr=False)
    vectors: NDArray[np.uint8] = field(repr=False)

    def state(self, name: str) -> NDArray[np.int64]:
        """Values of a state, shape (n_samples,).

        Raises
        ------
        KeyError
            The file has no such state.
        """
        place = self.header.states[name]
        stop = place.byte + -(-(place.bit + place.n_bits) // 8)
        bits = np.unpackbits(self.vectors[:, place.byte : stop], axis=1, bitorder="little")
        bits = bits[:, place.bit : place.bit + place.n_bits]
        values: NDArray[np.int64] = bits @ (1 << np.arange(place.n_bits, dtype=np.int64))
        return values


def read_bci2000(path: Path, wanted: Wanted) -> Recording:
    """Read the signal of a file as EEG; what its states mean depends on the experiment."""
    file = read_dat(path)
    info = StreamInfo(path.stem, file.sfreq, file.ch_names, ("eeg",) * len(file.ch_names))
    notes = ["the file's states are left out: which of them are markers it does not tell"]
    return Recording(path, info, file.data, regular_stamps(len(file.data), file.sfreq), notes=notes)


def read_dat(path: Path) -> DatFile:
    """Read a file.

    Raises
    ------
    SourceError
        It is no BCI2000 file, or is damaged.
    """
    header = read_header(path)
    raw = np.fromfile(path, np.uint8, offset=header.n_bytes)
    width = header.n_channels * np.dtype(header.dtype).itemsize
    n_samples, rest = divmod(len(raw), width + header.state_bytes)
    if rest or not n_samples:
        raise SourceError(
            f"{path}: is cut off or damaged: {len(raw)} bytes follow its header, which is not a "
            f"whole number of samples of {width + header.state_bytes} bytes"
        )
    rows = raw.reshape(n_samples, -1)
    stored = np.ascontiguousarray(rows[:, :width]).view(header.dtype)
    offset, gain = _numbers(path, header, "SourceChOffset"), _numbers(path, header, "SourceChGain")
    data = (stored.astype(np.float64) - offset) * gain
    names = [canonical(name) for name in header.values("ChannelNames")]
    if len(names) != header.n_channels or len(set(names)) < len(names):
        names = [f"Ch{k + 1}" for k in range(header.n_channels)]
    return DatFile(header, _rate(path, header), tuple(names), data, rows[:, width:])


def read_header(path: Path) -> Header:
    """Read the header of a file; raises as `read_dat`."""
    try:
        with path.open("rb") as file:
            first = file.readline(_MAX_FIRST_LINE).decode("latin-1")
            meta = {key.casefold(): value for key, value in re.findall(r"(\w+)=\s*(\S+)", first)}
            n_bytes = int(meta["headerlen"])
            file.seek(0)
            text = file.read(n_bytes).decode("latin-1")
        n_channels, state_bytes = int(meta["sourcech"]), int(meta["statevectorlen"])
        dtype = _FORMATS[meta.get("dataformat", "int16").casefold()]
        if len(text) < n_bytes or n_channels < 1 or state_bytes < 0:
            raise ValueError("its header is cut off")
        states = _states(text)
        if any(8 * s.byte + s.bit + s.n_bits > 8 * state_bytes for s in states.values()):
            raise ValueError("a state lies outside the state vector")
    except OSError as error:
        raise SourceError(f"{path}: cannot be read: {error.strerror}") from error
    except KeyError as error:
        raise SourceError(
            f"{path}: is no BCI2000 file: {error.args[0]!r} in its first line is missing or unknown"
        ) from error
    except ValueError as error:
        raise SourceError(f"{path}: is a damaged BCI2000 file: {error}") from error
    return Header(n_bytes, n_channels, state_bytes, dtype, states, _parameters(text))


def _states(text: str) -> dict[str, StateField]:
    """Lines ``Name length value byte bit`` of the state section."""
    _, _, section = text.partition("[ State Vector Definition ]")
    section, _, _ = section.partition("[ Parameter Definition ]")
    states = {}
    for line in section.splitlines():
        words = line.split()
        if len(words) == 5:
            n_bits, _, byte, bit = (int(word) for word in words[1:])
            states[words[0]] = StateField(n_bits, byte, bit)
    return states


def _parameters(text: str) -> dict[str, list[str]]:
    """Lines ``Section type Name= words // comment`` of the parameter section."""
    _, _, section = text.partition("[ Parameter Definition ]")
    parameters = {}
    for line in section.splitlines():
        head, equals, rest = line.partition("=")
        words = head.split()
        if equals and len(words) == 3:
            parameters[words[2]] = rest.partition("//")[0].split()
    return parameters


def _numbers(path: Path, header: Header, name: str) -> FloatArray:
    """One number for each channel, in microvolts where it bears a unit."""
    values = header.values(name)
    if len(values) != header.n_channels:
        raise SourceError(
            f"{path}: is a damaged BCI2000 file: {name} has {len(values)} values for "
            f"{header.n_channels} channels"
        )
    return np.array([_number(path, name, value) for value in values])


def _number(path: Path, name: str, text: str) -> float:
    match = _NUMBER.fullmatch(text.strip())
    scale = _MICROVOLTS.get(match[2].casefold()) if match else None
    if match is None or scale is None:
        raise SourceError(f"{path}: is a damaged BCI2000 file: {name} holds '{text}'")
    return float(match[1]) * scale


def _rate(path: Path, header: Header) -> float:
    words = header.parameters.get("SamplingRate", [""])
    match = re.match(r"[0-9.]+", words[0] if words else "")
    if match is None or float(match[0]) <= 0:
        raise SourceError(f"{path}: is a damaged BCI2000 file: it does not tell its SamplingRate")
    return float(match[0])
