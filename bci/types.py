"""What crosses a border: frozen, slotted records with shape and unit stated.

Conventions, once for all:

- a stream is ``(n_samples, n_channels)``; a window is ``(n_channels, n_times)``;
- microvolts; seconds of the one clock, `bci.clock.now`;
- every sample has an *index*, counted from the stream's first sample. The
  pipeline knows indices only; times belong to the session that fits them.

The records, in the order of the data's way::

    source  ── Samples, RawMarker, Break ──►  session
    session ── Chunk, Marker, Gap, Command, Feedback, Prior, DecoderSwap, Bypass ──►  Pipeline.push
    Pipeline ── Decision ──►  session ──►  outputs, recording, API
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from enum import Enum
from fractions import Fraction
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from bci.decoders import Decoder
    from bci.decoders.stopping import StoppingRule

FloatArray = NDArray[np.float64]
#: Samples as a source delivers them: float32 or float64, microvolts.
SampleArray = NDArray[np.floating[Any]]


@dataclass(frozen=True, slots=True)
class StreamInfo:
    """What is known of a stream of samples.

    Attributes
    ----------
    name : str
        Name of the stream, as the device or file gives it.
    sfreq : float
        Nominal sampling rate in Hz.
    ch_names : tuple of str
        Channel labels, unique, in the order of the columns.
    ch_types : tuple of str
        MNE's channel types ("eeg", "eog", "emg", "ecg", "stim", "misc").
    positions : mapping of str to (x, y, z)
        Electrode positions in metres, MNE head coordinates, for the channels
        where they are known.
    source_id : str
        What identifies the device across restarts; empty when unknown.
    rank : int or None
        Rank of the EEG channels where processing has lowered it (average
        reference, interpolation); None while it is full.
    """

    name: str
    sfreq: float
    ch_names: tuple[str, ...]
    ch_types: tuple[str, ...]
    positions: Mapping[str, tuple[float, float, float]] = field(default_factory=dict, repr=False)
    source_id: str = ""
    rank: int | None = None

    @property
    def n_channels(self) -> int:
        """Number of columns."""
        return len(self.ch_names)

    @property
    def impedances(self) -> dict[str, int]:
        """Channel: column in which its electrode's impedance comes, ohms; most devices have none.

        Such a column is called as `impedance_of` says, and is of type "misc".
        """
        columns = {name: i for i, name in enumerate(self.ch_names)}
        named = ((name, columns.get(impedance_of(name))) for name in self.ch_names)
        return {name: column for name, column in named if column is not None}


def impedance_of(ch_name: str) -> str:
    """Name of the column with the impedance of a channel's electrode."""
    return f"{ch_name} impedance"


class SourceState(Enum):
    """Where a source stands; shown in status, metrics and the GUI."""

    OPENING = "opening"
    LIVE = "live"
    STALE = "stale"  # open, but no sample for longer than the staleness limit
    LOST = "lost"  # the connection is gone
    RECOVERING = "recovering"  # it is back and its metadata is being checked
    ENDED = "ended"  # a recording has been played to its end


# --- what a source delivers -------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Samples:
    """Samples as they arrived.

    Attributes
    ----------
    data : array, shape (n_samples, n_channels), float32 or float64
        Microvolts (other units for channels of type "stim" and "misc").
    stamps : array, shape (n_samples,), float64
        Raw time of each sample in seconds of the local clock (clock offset to a
        remote sender already added), not smoothed.
    """

    data: SampleArray = field(repr=False)
    stamps: FloatArray = field(repr=False)


@dataclass(frozen=True, slots=True)
class RawMarker:
    """An event as it arrived: its value as text and its time in seconds.

    `index` is set by sources that know the sample exactly (files, trigger
    channels, the simulated subject); otherwise the session finds it from `t`.
    """

    value: str
    t: float
    index: int | None = None


@dataclass(frozen=True, slots=True)
class Break:
    """The samples that follow do not continue those before.

    `missing_s` is the silent time in seconds, as far as known. The stream's
    index goes on counting received samples.
    """

    reason: str
    missing_s: float = 0.0


Reading = Samples | RawMarker | Break


# --- events: all that a pipeline takes -----------------------------------------------------------
# `at` is the sample index before which the event takes effect. It is logged, so
# that a replay with any chunk sizes applies the event at the same place.


@dataclass(frozen=True, slots=True)
class Chunk:
    """Consecutive samples.

    Attributes
    ----------
    start : int
        Index of the first sample.
    data : array, shape (n_samples, n_channels)
        Microvolts. Never modified in place by a receiver.
    flags : tuple of Flag
        What is wrong with samples of this chunk, added by stages.
    """

    start: int
    data: SampleArray = field(repr=False)
    flags: tuple[Flag, ...] = ()

    @property
    def stop(self) -> int:
        """Index after the last sample."""
        return self.start + len(self.data)


@dataclass(frozen=True, slots=True)
class Flag:
    """Samples ``[start, stop)`` (indices of the chunk's own stream) have a defect.

    `reason` is a short stable word ("gap", "non-finite", "amplitude",
    "bad-channel", "baseline", or the kind of the stage), `channel` names the channel
    where it is one channel's. `rejects` says that a window touching it must not be
    decided on; a flag that does not reject is noted in the decision's quality record
    only. `repairs` says that a stage altered these samples to mend them.
    """

    start: int
    stop: int
    reason: str
    channel: str | None = None
    rejects: bool = True
    repairs: bool = False


@dataclass(frozen=True, slots=True)
class Marker:
    """An event at sample `onset`, known to the engine from sample `at` on."""

    at: int
    onset: int
    value: str


@dataclass(frozen=True, slots=True)
class Gap:
    """The stream is broken before sample `at`; samples before `resume` are not used.

    `resume` equals `at` when the device lost samples that were never received;
    it is larger when the engine skipped received (and recorded) samples.
    """

    at: int
    resume: int
    reason: str


@dataclass(frozen=True, slots=True)
class Command:
    """The operator's wish: no decisions between "pause" and "resume"."""

    at: int
    action: Literal["pause", "resume"]


@dataclass(frozen=True, slots=True)
class Feedback:
    """What an adaptive decoder may learn from: of decision `seq`, a reward or the label.

    Attributes
    ----------
    at : int
    seq : int
    correct : bool or None
        The reward: the decision was right, or wrong. May be mistaken.
    label : str or None
        In its place, the confirmed label: what the decision should have been.

    Raises
    ------
    ValueError
        It carries both, or neither.
    """

    at: int
    seq: int
    correct: bool | None = None
    label: str | None = None

    def __post_init__(self) -> None:
        if (self.correct is None) == (self.label is None):
            found = "neither" if self.label is None else "both"
            raise ValueError(
                f"feedback to decision {self.seq} says either 'correct' (true or false) or the "
                f"'label' that is right; found {found}"
            )

    def confirms(self, label: str) -> bool:
        """Whether it says that `label` was the right decision."""
        return bool(self.correct) if self.label is None else self.label == label


@dataclass(frozen=True, slots=True)
class Prior:
    """How probable the labels of the next selection are, before any sample of it is seen.

    `proba` sums to 1 (labels left out: 0). The next marker that opens a window takes it
    and uses it up, whatever comes of that window. None: take back what still waits.
    """

    at: int
    proba: Mapping[str, float] | None


@dataclass(frozen=True, slots=True)
class DecoderSwap:
    """From sample `at` on, windows are decided by `decoder`, and growing ones when `stopping` says.

    Without a rule of its own a decoder's posterior decides when. `bypassed`: the stages that
    the decoder was trained without, and why.
    """

    at: int
    decoder: Decoder = field(repr=False)
    model: str
    stopping: StoppingRule | None = None
    bypassed: Mapping[int, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Bypass:
    """From sample `at` on, processing stage number `stage` is by-passed, or not any more.

    `reason` says why, in words.
    """

    at: int
    stage: int
    active: bool = True
    reason: str = ""


Event = Chunk | Marker | Gap | Command | Feedback | Prior | DecoderSwap | Bypass


# --- windows, scores, decisions ------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Quality:
    """What is known against the samples of a window.

    Attributes
    ----------
    ok : bool
        False: the decoder must abstain.
    reasons : tuple of str
        Sorted short words; empty for a clean window.
    bads : tuple of str
        Channels that were bad (interpolated or excluded) in the window.
    bad_fraction : float
        Share of the window's samples under a rejecting flag, 0 to 1.
    repaired : tuple of str
        Sorted short words: by what samples of the window were mended.
    repaired_fraction : float
        Share of the window's samples that were, 0 to 1.
    """

    ok: bool = True
    reasons: tuple[str, ...] = ()
    bads: tuple[str, ...] = ()
    bad_fraction: float = 0.0
    repaired: tuple[str, ...] = ()
    repaired_fraction: float = 0.0


@dataclass(frozen=True, slots=True)
class Moments:
    """Sums over a window's samples, from which covariances follow.

    Attributes
    ----------
    second : array, shape (n_channels, n_channels)
        Sum of x xᵀ.
    first : array, shape (n_channels,)
        Sum of x.
    n_times : int
    """

    second: FloatArray = field(repr=False)
    first: FloatArray = field(repr=False)
    n_times: int


@dataclass(frozen=True, slots=True)
class Window:
    """Processed samples to be decided on.

    Attributes
    ----------
    start, stop : int
        Half-open range of indices in the *processed* stream.
    first, last : int
        First and last (inclusive) sample of it in the *raw* stream.
    data : array, shape (n_channels, n_times), contiguous float64, or None
        None where the samples are not there (`quality.ok` is then False).
    quality : Quality
    moments : Moments or None
        Present where the cutter keeps block sums.
    marker : Marker or None
        The marker that opened the window, for marker-locked windows.
    final : bool
        True unless a longer window of the same trial may follow.
    prior : mapping of str to float, or None
        What a client expects of the trial (see `Prior`).
    """

    start: int
    stop: int
    first: int
    last: int
    data: FloatArray | None = field(repr=False)
    quality: Quality
    moments: Moments | None = field(default=None, repr=False)
    marker: Marker | None = None
    final: bool = True
    prior: Mapping[str, float] | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Scores:
    """A decoder's answer for one window: probability of each label, summing to 1."""

    proba: Mapping[str, float]


#: Why continuous control gives no command for a window that was decoded.
NO_COMMAND = frozenset({"idle", "below-threshold", "dwell", "refractory"})


@dataclass(frozen=True, slots=True)
class Bar:
    """A feedback bar: from -1 to 1 (`value`) towards the cued label; `held`: it stood still."""

    towards: str
    value: float
    held: bool = False


@dataclass(frozen=True, slots=True)
class Decision:
    """What the engine says, and on what it rests.

    Attributes
    ----------
    seq : int
        Counts decisions of this session from 0.
    first, last : int
        First and last raw sample that it rests on.
    label : str or None
        None: the decoder abstained, or gave no command (`NO_COMMAND`); `quality` says why.
    proba : mapping of str to float
        Empty where nothing was decoded.
    quality : Quality
    model : str
        Identifies the decoder (artifact id or kind).
    delay_s : float
        Group delay of the processing, in seconds, to be added to the evidence.
    marker : str or None
        Value of the marker that opened the window.
    forced : bool
        True: taken at the longest window without reaching the target error.
    bar : Bar or None
        Where the feedback bar stands now; None: none is shown.
    prior : bool
        True: a client's prior is in `proba`, and `proba_decoder` is without it.
    proba_decoder : mapping of str to float
        Empty where `proba` is the decoder's alone.
    t_first, t_last, t_decision, latency_ms : float or None
        Added by a live session: fitted times of the evidence, the time of
        publication, and milliseconds from the arrival of the last sample to it.
    """

    seq: int
    first: int
    last: int
    label: str | None
    proba: Mapping[str, float]
    quality: Quality
    model: str
    delay_s: float = 0.0
    marker: str | None = None
    forced: bool = False
    bar: Bar | None = None
    prior: bool = False
    proba_decoder: Mapping[str, float] = field(default_factory=dict)
    t_first: float | None = None
    t_last: float | None = None
    t_decision: float | None = None
    latency_ms: float | None = None

    @property
    def abstained(self) -> bool:
        """Whether the decoder refused to decide; a window without a command is no abstention."""
        return self.label is None and NO_COMMAND.isdisjoint(self.quality.reasons)

    def to_json(self) -> dict[str, Any]:
        """The decision on the wire; documented in the README, versioned by `schema`."""
        return {
            "schema": "bci.decision/1",
            "seq": self.seq,
            "first": self.first,
            "last": self.last,
            "t_first": self.t_first,
            "t_last": self.t_last,
            "t_decision": self.t_decision,
            "label": self.label,
            "proba": dict(self.proba),
            "quality": {
                "ok": self.quality.ok,
                "reasons": list(self.quality.reasons),
                "bads": list(self.quality.bads),
                "bad_fraction": self.quality.bad_fraction,
                "repaired": list(self.quality.repaired),
                "repaired_fraction": self.quality.repaired_fraction,
            },
            "latency_ms": self.latency_ms,
            "delay_s": self.delay_s,
            "marker": self.marker,
            "forced": self.forced,
            "bar": None if self.bar is None else asdict(self.bar),
            "prior": self.prior,
            "proba_decoder": dict(self.proba_decoder) if self.prior else None,
            "model": self.model,
        }


def rate_ratio(sfreq_out: float, sfreq_in: float) -> Fraction:
    """`sfreq_out / sfreq_in` as the small fraction that it is meant to be."""
    return Fraction(sfreq_out / sfreq_in).limit_denominator(10_000)
