"""Decoders of steady-state responses that learn templates: the mean response to each class.

A template is only as good as the response is locked to the start of the window,
so windows must begin at the same time after the flicker's onset, in training and
later on.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.utils.validation import check_is_fitted

from bci.decoders._checks import check_labels
from bci.decoders.ssvep.decoder import SSVEPDecoder
from bci.decoders.ssvep.filterbank import subbands
from bci.types import FloatArray

_MOST_FOLDS = 6
_MOST_LENGTHS = 32  # of windows, for which templates are kept ready


@dataclass(frozen=True, slots=True)
class Sums:
    """Sums over trials, from which filters and templates follow; of disjoint trials they add up.

    Attributes
    ----------
    n : array, shape (n_classes,)
        Trials of each class.
    signal : array, shape (n_classes, n_bands, n_channels, n_times)
        Sum of the filtered trials.
    second : array
        Whatever second moments the decoder learns from.
    """

    n: FloatArray
    signal: FloatArray
    second: FloatArray

    def without(self, other: Sums) -> Sums:
        """The sums of all trials but those of `other`."""
        return Sums(self.n - other.n, self.signal - other.signal, self.second - other.second)

    @property
    def means(self) -> FloatArray:
        """Mean of each class, shape as `signal`."""
        return self.signal / self.n[:, None, None, None]


class TemplateDecoder(SSVEPDecoder):
    """Base of the decoders with templates.

    Templates are the unfiltered means of each class. For a shorter window they
    are cut to its length before they are filtered, so that both pass the same
    filters with the same ends. Spatial filters are learned once, from windows of
    the full length, and serve all lengths.

    Probabilities are calibrated on scores of windows that filters and templates
    have not learned from: in turn the first, second, ... trial of every class is
    left out (contiguous sixths where there are more than six). Where that would
    leave too few trials of a class, the heuristic stays.
    """

    #: Windows must start where those of training did, and be no longer.
    locked: ClassVar[bool] = True
    #: Fewest trials of each class that there is something to learn from.
    _least_trials: ClassVar[int] = 2

    _n_lengths = 5

    templates_: FloatArray
    filters_: FloatArray

    # --- what each decoder says ------------------------------------------------------------------

    def _check_parameters(self) -> None:
        """Refuse parameters that cannot work."""

    def _second(self, bands: FloatArray, codes: NDArray[np.intp], n_classes: int) -> FloatArray:
        """Second moments of filtered trials, summed."""
        return np.zeros(0)

    def _learn(self, sums: Sums) -> FloatArray:
        """Spatial filters from the sums over the trials."""
        raise NotImplementedError

    def _prepare(self, filters: FloatArray, templates: FloatArray) -> tuple[FloatArray, ...]:
        """Everything of a score that does not depend on the window.

        `templates` have passed the filter bank, (n_bands, n_classes, n_channels, n_times).
        """
        raise NotImplementedError

    def _compare(self, bands: FloatArray, prepared: tuple[FloatArray, ...]) -> FloatArray:
        """Scores of filtered windows, shape (n_windows, n_classes)."""
        raise NotImplementedError

    # --- training --------------------------------------------------------------------------------

    def fit(self, X: ArrayLike, y: ArrayLike) -> Self:
        """Learn templates and spatial filters, and calibrate the probabilities.

        Parameters
        ----------
        X : array, shape (n_windows, n_channels, n_times)
            Microvolts; each window starts where windows will start later on, and is
            as long as the longest of them.
        y : array of labels, shape (n_windows,)
            With `frequencies`, its keys, all of them.

        Raises
        ------
        ValueError
            Wrong shape, values not finite, unknown labels, a class without trials or
            with too few, fewer than two classes.
        """
        windows = super()._windows(X)
        self._check_parameters()
        classes, codes = self._classes(y, len(windows))
        counts = np.bincount(codes, minlength=len(classes))
        few = classes[counts < self._least_trials].tolist()
        if few:
            raise ValueError(
                f"{type(self).__name__} needs at least {self._least_trials} trials of each class; "
                f"of {', '.join(map(str, few))} there are fewer: record more, or use FBCCA, which "
                "needs none"
            )
        self.classes_ = classes
        self._prepared: dict[int, tuple[FloatArray, ...]] = {}
        self.templates_ = _class_sums(windows, codes, len(classes)) / counts[:, None, None]
        bands = subbands(windows, self._design())
        folds = _folds(codes, counts, self._least_trials)
        parts = [self._sums(bands[fold], codes[fold]) for fold in folds]
        total = _added(parts)
        self.filters_ = np.ascontiguousarray(self._learn(total))
        if len(folds) == 1:
            self._forget_calibration()
            return self
        filters = [self._learn(total.without(part)) for part in parts]
        del parts, total

        def held_out(n_times: int) -> FloatArray:
            cut = bands
            if n_times < windows.shape[2]:
                cut = subbands(windows[..., :n_times], self._design())
            return self._held_out(cut, codes, folds, filters)

        shortest = self._shortest(windows.shape[1], self._design())
        self._calibrate(held_out, codes, shortest, windows.shape[2])
        return self

    def _held_out(
        self,
        bands: FloatArray,
        codes: NDArray[np.intp],
        folds: list[NDArray[np.intp]],
        filters: list[FloatArray],
    ) -> FloatArray:
        """Scores of filtered trials; those of a fold by its filters and the others' templates."""
        n_classes = len(self.classes_)
        signal, n = _class_sums(bands, codes, n_classes), np.bincount(codes)
        scores = np.empty((len(bands), n_classes))
        for fold, learned in zip(folds, filters, strict=True):
            templates = signal - _class_sums(bands[fold], codes[fold], n_classes)
            others = n - np.bincount(codes[fold], minlength=n_classes)
            templates /= others[:, None, None, None]
            prepared = self._prepare(learned, templates.swapaxes(0, 1))
            scores[fold] = self._compare(bands[fold], prepared)
        return scores

    def _classes(self, y: ArrayLike, n_windows: int) -> tuple[NDArray[Any], NDArray[np.intp]]:
        found, codes = check_labels(y, n_windows)
        if self.frequencies is None:
            return found, codes
        name, known = type(self).__name__, np.array(self._labels())
        if not np.isin(found, known).all():
            raise ValueError(f"y holds {found.tolist()}, {name} decides {known.tolist()}")
        missing = known[~np.isin(known, found)].tolist()
        if missing:
            raise ValueError(
                f"{name} learns a template of each class, but y holds no trial of "
                f"{', '.join(map(str, missing))}; record some, or leave them out of frequencies"
            )
        return known, codes

    def _sums(self, bands: FloatArray, codes: NDArray[np.intp]) -> Sums:
        n_classes = len(self.classes_)
        return Sums(
            np.bincount(codes, minlength=n_classes).astype(np.float64),
            _class_sums(bands, codes, n_classes),
            self._second(bands, codes, n_classes),
        )

    # --- scores ----------------------------------------------------------------------------------

    def _windows(self, X: ArrayLike) -> FloatArray:
        check_is_fitted(self, "templates_")
        windows = super()._windows(X)
        _, n_channels, longest = self.templates_.shape
        if windows.shape[1] != n_channels:
            raise ValueError(f"X has {windows.shape[1]} channels, the decoder expects {n_channels}")
        if windows.shape[2] > longest:
            raise ValueError(
                f"a window of {windows.shape[2]} samples is longer than the templates of "
                f"{type(self).__name__}, {longest} ({longest / self.sfreq:.3g} s): cut it, or "
                "train on longer windows"
            )
        return windows

    def _score_bands(self, bands: FloatArray) -> FloatArray:
        n_times = bands.shape[-1]
        if n_times not in self._prepared:
            if len(self._prepared) == _MOST_LENGTHS:
                self._prepared.pop(next(iter(self._prepared)))
            templates = subbands(self.templates_[..., :n_times], self._design())
            self._prepared[n_times] = self._prepare(self.filters_, templates.swapaxes(0, 1))
        return self._compare(bands, self._prepared[n_times])

    def __getstate__(self) -> dict[str, Any]:
        """Without what is worked out again when it is needed."""
        state: dict[str, Any] = super().__getstate__()
        return {k: {} if k == "_prepared" else v for k, v in state.items()}

    def state(self) -> dict[str, FloatArray]:
        """Return what `fit` found, for an artifact."""
        check_is_fitted(self, "templates_")
        return super().state() | {"templates": self.templates_, "filters": self.filters_}

    def restore(self, state: Mapping[str, FloatArray], classes: Sequence[Any]) -> None:
        """Take what `state` gave, in place of `fit`."""
        super().restore(state, classes)
        self.classes_ = np.array(classes)
        self.templates_, self.filters_ = state["templates"], state["filters"]
        self._prepared = {}


def _class_sums(trials: FloatArray, codes: NDArray[np.intp], n_classes: int) -> FloatArray:
    """Sum of the trials of each class, shape (n_classes, ...)."""
    sums = np.eye(n_classes)[:, codes] @ trials.reshape(len(trials), -1)
    return sums.reshape(n_classes, *trials.shape[1:])


def _added(parts: list[Sums]) -> Sums:
    first, *others = parts
    n, signal, second = first.n.copy(), first.signal.copy(), first.second.copy()
    for part in others:
        n += part.n
        signal += part.signal
        second += part.second
    return Sums(n, signal, second)


def _folds(codes: NDArray[np.intp], counts: NDArray[np.intp], least: int) -> list[NDArray[np.intp]]:
    """Trials to be left out together; all in one where less would leave too few of a class."""
    n_folds = min(int(counts.max()), _MOST_FOLDS)
    if np.any(counts - np.ceil(counts / n_folds) < least):
        return [np.arange(len(codes))]
    turns = np.empty(len(codes), np.intp)
    for code, count in enumerate(counts.tolist()):
        ranks = np.arange(count)
        turns[codes == code] = ranks if count <= n_folds else ranks * n_folds // count
    return [np.flatnonzero(turns == turn) for turn in range(n_folds)]
