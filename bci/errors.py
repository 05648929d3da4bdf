"""Errors that a caller may catch.

Each message is for the person at the keyboard: what was asked, what was found,
what to do. The command line prints it as one line and exits with `exit_code`.

    BciError                  1   anything below
    ├── ConfigError           2   a wrong configuration, argument or combination
    │   └── UntrainedDecoder  2   the decoder must be trained before it can decide
    ├── SourceError           1   a stream, device or file cannot be opened or read on
    │   └── StreamMismatch    1   a stream is there, but is not the one expected
    ├── RecordingError        1   a recording cannot be written, or is damaged
    ├── ModelError            1   a model artifact cannot be loaded or does not fit
    ├── CalibrationFailed     1   a stage cannot be calibrated on the signal given
    ├── TrainingStopped       1   a training was asked to stop, and can go on later
    └── MissingDependency     1   an optional package is not installed or cannot load
"""

from __future__ import annotations


class BciError(Exception):
    """Base of all errors meant for the user; `str(error)` is one clear line."""

    exit_code = 1


class ConfigError(BciError):
    """Wrong configuration, argument or combination of settings."""

    exit_code = 2


class UntrainedDecoder(ConfigError):
    """The decoder must be trained before it can decide."""


class SourceError(BciError):
    """A stream, device or file cannot be opened, or was lost for good."""


class StreamMismatch(SourceError):
    """The stream found differs from the one asked for (channels, rate, unit)."""


class RecordingError(BciError):
    """A recording cannot be written, or what was read is damaged."""


class ModelError(BciError):
    """A model artifact cannot be loaded, or does not fit the live stream."""


class CalibrationFailed(BciError):
    """A processing stage cannot be calibrated on the signal given; the message says why."""


class TrainingStopped(BciError):
    """A training was asked to stop before its end; the message says how it goes on."""


class MissingDependency(BciError):
    """An optional package is missing or fails to load; the message says how to mend it."""


class Overrun(BciError):
    """A reader of a ring fell behind and samples were overwritten.

    Attributes
    ----------
    n_lost : int
        Number of samples lost to this reader.
    """

    def __init__(self, n_lost: int, message: str) -> None:
        super().__init__(message)
        self.n_lost = n_lost
