"""What the deep decoders of steady-state responses share: input, lengths, deciding, artifact."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.utils.validation import check_is_fitted

from bci.decoders._checks import check_labels, check_windows
from bci.decoders.deep.folded_network import FoldedNetwork, Weights
from bci.decoders.deep.subbands import subband_edges, subband_matrices, subbands
from bci.decoders.deep.training import (
    DROPOUT,
    Dropout,
    Oversight,
    Recipe,
    Rows,
    Trials,
    one_hot,
)
from bci.decoders.ssvep.decoder import SSVEPDecoder
from bci.types import FloatArray


class DeepDecoder(SSVEPDecoder):
    """Base of the decoders that are made of networks.

    A network has one input length, so there are networks for each length of
    `window_s`; a window is cut to the longest of them that fits.

    Probabilities are ``softmax(β · score)``. β is fitted to scores of trials that
    were held out: networks that are trained for this alone, beside those that
    decide, have seen them in neither stage.

    Parameters
    ----------
    sfreq : float
        Sampling rate of the windows, Hz.
    frequencies : mapping of label to float, or None
        Stimulus frequency of each class, Hz; the labels of the training must be
        those. The networks do not use them. None: the labels are the training's.
    n_bands : int
        Sub-bands, from 8, 16, 24 ... Hz to 90 Hz.
    window_s : sequence of float
        Lengths of window, seconds.
    n_epochs : (int, int)
        Of the first stage and the second.
    dropout : two of three floats
        Probabilities in both stages, after the layers 2, 4 and 7.
    batch_size : int
        Trials in a step of the first stage; the second takes all of them.
    learning_rate, weight_decay : float
        Of Adam; the decay is coupled, on weights only.
    n_filters : int
        Combinations of channels in the network.
    calibration_folds : int
        Parts that the held-out trials come in, each with networks of its own; fewer
        where there is less to hold out; 0: no calibration, β = 1.
    channels : sequence of int or None
        Which channels of the windows to use; None: all.
    random_state : int
    device : str or None
        "cpu" or "cuda"; None: a GPU where there is one.
    n_parallel : int or None
        Networks in one pass of the training; None: all on a GPU, one on a CPU.
    checkpoint : str or None
        Folder where trainings are kept while they run; the same training, called
        again, goes on from there.

    Attributes
    ----------
    classes_ : array of labels, sorted
    n_channels_ : int
        Channels of the windows.
    lengths_, inverse_temperatures_ : array
        Window lengths in seconds, ascending, and β of each.
    """

    #: Windows must start where those of training did.
    locked: ClassVar[bool] = True

    def __init__(
        self,
        sfreq: float,
        frequencies: Mapping[Any, float] | None = None,
        n_bands: int = 3,
        window_s: Sequence[float] = (0.4,),
        *,
        n_epochs: tuple[int, int] = (1000, 1000),
        dropout: tuple[Dropout, Dropout] = DROPOUT,
        batch_size: int = 100,
        learning_rate: float = 1e-4,
        weight_decay: float = 1e-3,
        n_filters: int = 120,
        calibration_folds: int = 3,
        channels: Sequence[int] | None = None,
        random_state: int = 0,
        device: str | None = None,
        n_parallel: int | None = None,
        checkpoint: str | None = None,
    ) -> None:
        self.sfreq = sfreq
        self.frequencies = frequencies
        self.n_bands = n_bands
        self.window_s = window_s
        self.n_epochs = n_epochs
        self.dropout = dropout
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.weight_decay = weight_decay
        self.n_filters = n_filters
        self.calibration_folds = calibration_folds
        self.channels = channels
        self.random_state = random_state
        self.device = device
        self.n_parallel = n_parallel
        self.checkpoint = checkpoint

    # --- training --------------------------------------------------------------------------------

    def _training_data(
        self, X: ArrayLike, y: ArrayLike, subjects: ArrayLike | None
    ) -> tuple[FloatArray, Rows, NDArray[Any] | None]:
        """Windows of the chosen channels, class numbers, and whose they are; all checked."""
        checked = check_windows(X)
        found, codes = check_labels(y, len(checked))
        self.classes_ = found
        if self.frequencies is not None:
            self.classes_ = np.array(self._labels())
            if found.tolist() != self.classes_.tolist():
                raise ValueError(
                    f"y must hold each of {self.classes_.tolist()}, the labels of frequencies; "
                    f"found {found.tolist()}"
                )
        self.n_channels_ = checked.shape[1]
        windows = self._picked(checked)
        longest = max(self._n_times())
        if windows.shape[2] < longest:
            raise ValueError(
                f"windows of {windows.shape[2]} samples cannot train a network for "
                f"{longest} ({longest / self.sfreq:g} s)"
            )
        if subjects is None:
            return windows, codes, None
        owners = np.asarray(subjects)
        if owners.shape != codes.shape:
            raise ValueError(
                f"subjects must name one for each of {len(codes)} windows, found shape "
                f"{owners.shape}"
            )
        return windows, codes, owners

    def _n_times(self) -> list[int]:
        """Lengths of window in samples, ascending."""
        lengths = sorted({round(float(s) * self.sfreq) for s in self.window_s})
        if not lengths:
            raise ValueError("window_s must hold one length at least")
        subband_matrices(self.sfreq, self.n_bands, lengths[0])  # says what does not fit
        return lengths

    def _stimuli(self) -> Mapping[Any, float]:
        """Stimulus frequencies, for decoders that cannot do without."""
        if self.frequencies is None:
            raise ValueError(
                f"{type(self).__name__} needs frequencies: a mapping of label to Hz, for example "
                "{'13 Hz': 13.0, '17 Hz': 17.0}"
            )
        return self.frequencies

    def _trials(self, windows: FloatArray, codes: Rows) -> Trials:
        """Windows of one length as networks learn from them."""
        bands = subbands(windows, self.sfreq, self.n_bands).astype(np.float32)
        return Trials(bands, one_hot(codes, len(self.classes_)))

    def _recipe(self) -> Recipe:
        one, two = self.n_epochs
        return Recipe(
            (one, two), self.dropout, self.batch_size, self.learning_rate, self.weight_decay,
            self.n_filters, self.random_state, self.device, self.n_parallel,
        )  # fmt: skip

    def _oversight(
        self,
        progress: Callable[[str, int, int, float], None] | None,
        should_stop: Callable[[], bool] | None,
    ) -> Oversight:
        folder = None if self.checkpoint is None else Path(self.checkpoint)
        return Oversight(progress, should_stop, folder)

    @property
    def edges_(self) -> tuple[tuple[float, float], ...]:
        """(low, high) of each sub-band, Hz."""
        return subband_edges(self.sfreq, self.n_bands)

    # --- deciding --------------------------------------------------------------------------------

    def _folded(self, weights: Sequence[Weights], n_times: int) -> list[FoldedNetwork]:
        return [FoldedNetwork(w, self.sfreq, n_times) for w in weights]

    def _windows(self, X: ArrayLike) -> FloatArray:
        """The chosen channels of `X`, cut to the longest length that fits."""
        check_is_fitted(self, "inverse_temperatures_")
        windows = check_windows(X, self.n_channels_)
        lengths = self._n_times()
        fits = [n for n in lengths if n <= windows.shape[2]]
        if not fits:
            raise ValueError(
                f"a window of {windows.shape[2]} samples is shorter than the shortest that the "
                f"decoder was trained for, {lengths[0]} ({lengths[0] / self.sfreq:g} s)"
            )
        return self._picked(windows)[..., : fits[-1]]

    def inverse_temperature(self, length_s: float) -> float:
        """Factor from score to log-odds for windows of `length_s` seconds or a little more.

        Raises
        ------
        ValueError
            There is no network for a window that short.
        """
        fits = int(np.searchsorted(self.lengths_, length_s + 0.5 / self.sfreq))
        if not fits:
            raise ValueError(
                f"{length_s:g} s is shorter than the shortest window that the decoder was trained "
                f"for, {self.lengths_[0]:g} s"
            )
        return float(self.inverse_temperatures_[fits - 1])

    # --- an artifact -----------------------------------------------------------------------------

    def _set_calibration(self, betas: Sequence[float]) -> None:
        self.lengths_ = np.array(self._n_times()) / self.sfreq
        self.inverse_temperatures_ = np.array(betas, np.float64)

    def state(self) -> dict[str, FloatArray]:
        """Return what `fit` found, for an artifact."""
        check_is_fitted(self, "inverse_temperatures_")
        return {**super().state(), "n_channels": np.array([float(self.n_channels_)])}

    def restore(self, state: Mapping[str, FloatArray], classes: Sequence[Any]) -> None:
        """Take what `state` gave; `classes` gives labels their type back."""
        super().restore(state, classes)
        self.classes_ = np.array(classes)
        self.n_channels_ = int(state["n_channels"][0])


def prefixed(prefix: str, arrays: Mapping[str, Any]) -> dict[str, Any]:
    """Arrays under names that begin with `prefix`."""
    return {f"{prefix}{name}": value for name, value in arrays.items()}


def unprefixed(prefix: str, arrays: Mapping[str, Any]) -> dict[str, Any]:
    """Take the arrays whose names begin with `prefix`, without it."""
    return {k.removeprefix(prefix): v for k, v in arrays.items() if k.startswith(prefix)}
