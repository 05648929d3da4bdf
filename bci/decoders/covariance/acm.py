"""Classifier of augmented covariances: tangent space with an SVM, or nearest mean.

Carrara & Papadopoulo, "Classification of BCI-EEG based on augmented covariance matrix",
arXiv 2302.04508, 2023.

With order 1 it is the plain tangent-space classifier. Delayed copies of a band-passed signal
are nearly sums of one another: at high orders and short lags the covariance of such data is
ill-conditioned, and beyond a condition number of about 1e10 the last digits of scores are
rounding, which samples and sums round differently. The covariance is in `augmented`, the
means are in `karcher`, and the choice of hyper-parameters is in `acm_selection`, all beside
this file.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from pydantic import Field
from scipy.special import softmax
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils.validation import check_is_fitted

from bci.config import DecoderSettings
from bci.decoders._checks import check_labels, check_windows
from bci.decoders.covariance.acm_model import fit_model, scores_of
from bci.decoders.covariance.acm_selection import (
    Candidate,
    Classifiers,
    Method,
    Search,
    best,
    folds_of,
)
from bci.decoders.covariance.augmented import augmented_covariances, check_embedding
from bci.decoders.covariance.eigh import eigh_on
from bci.decoders.covariance.estimation import covariance_of, sample_covariances, signal_subspace
from bci.decoders.covariance.karcher import STRICT
from bci.decoders.covariance.kernel_machine import Kernel
from bci.decoders.covariance.mdop import embedding_of
from bci.decoders.temperature import fit_inverse_temperature
from bci.types import FloatArray, Moments, StreamInfo

Selection = Literal["fixed", "grid", "mdop", "budget"]


class ACMClassifier(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """Augmented covariance, Riemannian geometry, and probabilities calibrated on left-out windows.

    Parameters
    ----------
    order, lag : int
        Of the augmented covariance, lag in samples; used with selection "fixed".
    classifier : "svm", "lr" or "mdm"
        Support vector machine or logistic regression in the tangent space at the mean
        of the training windows, or minimum distance to the mean of each class.
    selection : "fixed", "grid", "mdop" or "budget"
        "fixed": `order`, `lag`, `C` and `kernel` as given. Else penalty and kernel are
        chosen from `Cs` and `kernels`, and order and lag: "grid" from all of `orders` and
        `lags`, "budget" from `n_points` of them (a coarse lattice, then neighbours of the
        best), "mdop" by an embedding of the training windows, without labels. All of it
        is cross-validated inside the training windows.
    orders, lags : sequence of int
        Those that can be chosen; with "mdop" their ranges are limits.
    C : float
        Inverse strength of the penalty.
    kernel : "linear" or "rbf"
        Of the SVM; "rbf" with scikit-learn's ``gamma="scale"``.
    Cs, kernels
        Those that can be chosen.
    n_points : int
        Of orders and lags that "budget" tries.
    n_folds : int
        Stratified folds of the training windows, for the choice and for calibration.
    tol : float
        Of the means within folds, see `bci.decoders.covariance.karcher.tangents`. The final mean is
        found strictly in any case.
    rank : int or None
        Directions to keep, as in `bci.decoders.TangentSpaceLR`.
    random_state : int or None
        Of the folds.
    device : str
        Where training decomposes its matrices: "cpu", or "cuda", which takes torch.

    Attributes
    ----------
    classes_ : array of labels, sorted
    order_, lag_ : int
        Chosen.
    C_, kernel_
        Chosen; None where there is nothing to choose.
    results_ : dict of arrays
        "order", "lag", "C", "kernel" and "score" (ROC-AUC or accuracy) of all that was
        tried; not part of a saved model.
    beta_ : float
        Scores are multiplied by it before they become probabilities.
    n_channels_ : int
    basis_ : array, shape (n_channels, r), or None
        Subspace of the training data; None where that is everything.
    model_ : dict of arrays
        See `bci.decoders.covariance.acm_model`.
    """

    kind: ClassVar[str] = "acm"
    any_length: ClassVar[bool] = False

    def __init__(
        self,
        order: int = 4,
        lag: int = 1,
        classifier: Method = "svm",
        selection: Selection = "fixed",
        orders: Sequence[int] = range(1, 11),
        lags: Sequence[int] = range(1, 11),
        C: float = 1.0,
        kernel: Kernel = "linear",
        Cs: Sequence[float] = (0.5, 1.0, 1.5),
        kernels: Sequence[Kernel] = ("linear", "rbf"),
        n_points: int = 20,
        n_folds: int = 3,
        tol: float = STRICT,
        rank: int | None = None,
        random_state: int | None = None,
        device: str = "cpu",
    ) -> None:
        self.order = order
        self.lag = lag
        self.classifier = classifier
        self.selection = selection
        self.orders = orders
        self.lags = lags
        self.C = C
        self.kernel = kernel
        self.Cs = Cs
        self.kernels = kernels
        self.n_points = n_points
        self.n_folds = n_folds
        self.tol = tol
        self.rank = rank
        self.random_state = random_state
        self.device = device

    # --- learning ----------------------------------------------------------------------------

    def fit(self, X: ArrayLike, y: ArrayLike) -> ACMClassifier:
        """Learn from windows, shape (n_windows, n_channels, n_times), and their labels.

        Raises
        ------
        ValueError
            Wrong shape, values not finite, fewer than two classes or two windows of a
            class, windows too short for order and lag, covariances that are singular.
        """
        windows = check_windows(X)
        self.classes_, codes = check_labels(y, len(windows))
        self._check_parameters(windows.shape[1])
        folds = folds_of(codes, self.n_folds, self.random_state)
        self.n_channels_ = windows.shape[1]
        self.basis_ = signal_subspace(sample_covariances(windows).mean(axis=0), self.rank)
        windows = self._in_subspace(windows)
        if windows.shape[1] == 0:
            raise ValueError("all channels of X are flat: there is no covariance to learn from")
        with eigh_on(self.device):
            self._learn(windows, codes, folds)
        return self

    def _learn(self, windows: FloatArray, codes: NDArray[np.intp], folds: list[Any]) -> None:
        candidates = self._candidates(windows, codes, folds)
        chosen = best(candidates)
        self.results_ = {
            name: np.array([getattr(candidate, name) for candidate in candidates])
            for name in ("order", "lag", "C", "kernel", "score")
        }
        self.order_, self.lag_ = chosen.order, chosen.lag
        self.C_, self.kernel_ = chosen.C, chosen.kernel
        self.beta_ = fit_inverse_temperature(chosen.held_out, codes)
        spd = augmented_covariances(windows, self.order_, self.lag_)
        self.model_ = fit_model(spd, codes, self.classifier, self.C_, self.kernel_)

    def _check_parameters(self, n_channels: int) -> None:
        for name, value, known in (
            ("classifier", self.classifier, ("svm", "lr", "mdm")),
            ("selection", self.selection, ("fixed", "grid", "mdop", "budget")),
        ):
            if value not in known:
                raise ValueError(f"{name} must be one of {', '.join(known)}, found {value!r}")
        unknown = {self.kernel, *self.kernels} - {"linear", "rbf"}
        if unknown:
            raise ValueError(
                f"kernels can be linear and rbf, found {', '.join(map(repr, unknown))}"
            )
        for name, values, least in (
            ("orders", self.orders, 1),
            ("lags", self.lags, 1),
            ("n_points", [self.n_points], 1),
            ("n_folds", [self.n_folds], 2),
        ):
            if len(values) == 0 or any(v != int(v) or v < least for v in values):
                raise ValueError(
                    f"{name} must be whole numbers of at least {least}, found {list(values)}"
                )
        if len(self.Cs) == 0 or len(self.kernels) == 0 or min(self.C, *self.Cs) <= 0:
            raise ValueError(
                f"penalties must be positive and Cs and kernels not empty, found C {self.C}, "
                f"Cs {list(self.Cs)} and kernels {list(self.kernels)}"
            )
        if self.rank is not None and not 1 <= self.rank <= n_channels:
            raise ValueError(f"rank is {self.rank}, the windows have {n_channels} channels")

    def _candidates(
        self, X: FloatArray, codes: NDArray[np.intp], folds: list[Any]
    ) -> list[Candidate]:
        if self.selection == "fixed":
            classifiers = Classifiers(self.classifier, (self.C,), (self.kernel,))
        else:
            classifiers = Classifiers(self.classifier, tuple(self.Cs), tuple(self.kernels))
        orders, lags = list(self.orders), list(self.lags)
        if self.selection == "fixed":
            check_embedding(X.shape[2], self.order, self.lag)
            orders, lags = [self.order], [self.lag]
        elif self.selection == "mdop":
            order, lag = embedding_of(X, max(lags))
            orders = [int(np.clip(order, min(orders), max(orders)))]
            lags = [int(np.clip(lag, min(lags), max(lags)))]
        search = Search(X, codes, folds, orders, lags, classifiers, self.tol)
        return search.budget(self.n_points) if self.selection == "budget" else search.grid()

    # --- deciding ----------------------------------------------------------------------------

    @property
    def embedding(self) -> tuple[int, int]:
        """Order and lag of the sums that `predict_proba_moments` takes."""
        check_is_fitted(self, "order_")
        return self.order_, self.lag_

    def _in_subspace(self, X: FloatArray) -> FloatArray:
        return X if self.basis_ is None else self.basis_.T @ X

    def _scores(self, spd: FloatArray) -> FloatArray:
        """One score for each class, shape (n_windows, n_classes)."""
        pairwise = self.classifier == "svm"
        return scores_of(self.model_, spd, len(self.classes_), pairwise=pairwise)

    def _window_scores(self, X: ArrayLike) -> FloatArray:
        check_is_fitted(self, "order_")
        windows = check_windows(X, self.n_channels_)
        check_embedding(windows.shape[2], self.order_, self.lag_)
        return self._scores(
            augmented_covariances(self._in_subspace(windows), self.order_, self.lag_)
        )

    def predict(self, X: ArrayLike) -> NDArray[Any]:
        """Most probable label of each window, shape (n_windows,)."""
        labels: NDArray[Any] = self.classes_[self._window_scores(X).argmax(axis=1)]
        return labels

    def decision_function(self, X: ArrayLike) -> FloatArray:
        """Scores before calibration; for two classes their difference, (n_windows,)."""
        scores = self._window_scores(X)
        return scores[:, 1] - scores[:, 0] if scores.shape[1] == 2 else scores

    def predict_proba(self, X: ArrayLike) -> FloatArray:
        """Probability of each class, shape (n_windows, n_classes)."""
        scores = self._window_scores(X)
        probabilities: FloatArray = softmax(self.beta_ * scores, axis=1)
        return probabilities

    def predict_proba_moments(self, moments: Moments) -> FloatArray:
        """As `predict_proba` for one window, shape (n_classes,), from sums of its embedding."""
        covariance = covariance_of(moments, ddof=1)
        expected = self.order_ * self.n_channels_
        if covariance.shape != (expected, expected):
            raise ValueError(
                f"sums of {len(covariance)} delayed channels, the decoder expects {expected}: "
                f"{self.n_channels_} channels at order {self.order_}"
            )
        if self.basis_ is not None:
            basis = np.kron(np.eye(self.order_), self.basis_)
            covariance = basis.T @ covariance @ basis
        probabilities: FloatArray = softmax(self.beta_ * self._scores(covariance[None])[0])
        return probabilities

    # --- as arrays ---------------------------------------------------------------------------

    def state(self) -> dict[str, FloatArray]:
        """Return what `fit` found, for an artifact."""
        check_is_fitted(self, "order_")
        state = self.model_ | {
            "embedding": np.array([self.order_, self.lag_], dtype=float),
            "beta": np.array([self.beta_]),
        }
        if self.C_ is not None:
            state["C"] = np.array([self.C_])
        return state if self.basis_ is None else state | {"basis": self.basis_}

    def restore(self, state: Mapping[str, FloatArray], classes: Sequence[Any]) -> None:
        """Take what `state` gave, in place of `fit`."""
        model = dict(state)
        self.order_, self.lag_ = (int(value) for value in model.pop("embedding"))
        self.beta_ = float(model.pop("beta")[0])
        self.C_ = float(model.pop("C")[0]) if "C" in model else None
        self.basis_ = model.pop("basis", None)
        self.model_ = model
        self.kernel_ = None
        if self.classifier == "svm":
            self.kernel_ = "rbf" if "support" in model else "linear"
        self.classes_ = np.array(classes)
        rank = model["whiteners"].shape[1] // self.order_
        self.n_channels_ = rank if self.basis_ is None else self.basis_.shape[0]


class ACMSettings(DecoderSettings):
    """Augmented covariance; to be trained on labelled windows."""

    decoder: ClassVar[type[ACMClassifier]] = ACMClassifier

    kind: Literal["acm"] = "acm"
    order: int = Field(4, ge=1, description="delayed copies of the channels; 1: no delays")
    lag: int = Field(1, ge=1, description="samples between copies")
    classifier: Method = Field("svm", description="in the tangent space, or mdm: nearest mean")
    selection: Selection = Field(
        "fixed", description="how order and lag are chosen; fixed: as given"
    )
    orders: list[int] = Field(
        list(range(1, 11)), min_length=1, description="orders that can be chosen"
    )
    lags: list[int] = Field(
        list(range(1, 11)), min_length=1, description="lags that can be chosen, samples"
    )
    C: float = Field(1.0, gt=0, description="inverse strength of the penalty, when fixed")
    kernel: Kernel = Field("linear", description="of the SVM, when fixed")
    n_points: int = Field(20, ge=1, description="orders and lags that selection 'budget' tries")
    seed: int = Field(0, ge=0, description="of the folds inside the training windows")
    device: Literal["cpu", "cuda"] = Field("cpu", description="where training decomposes matrices")

    def build(self, info: StreamInfo) -> ACMClassifier:
        """Make an untrained decoder for a processed stream."""
        given = self.model_dump(exclude={"kind", "seed"})
        return ACMClassifier(**given, rank=info.rank, random_state=self.seed)
