"""Tangent space with an SVM or an elastic net, their settings chosen inside the training data.

Barachant, Bonnet, Congedo & Jutten, "Classification of covariance matrices using a
Riemannian-based kernel for BCI applications", Neurocomputing 112, 172-178, 2013,
doi:10.1016/j.neucom.2012.12.039.

The grids are those of the benchmark of Chevallier et al., "The largest EEG-based BCI
reproducibility study for open science: the MOABB benchmark", arXiv 2404.15319, 2024.
For each of a few folds of the training windows the mean is that of the others, and the
scores of the windows left out choose the settings and calibrate the probabilities.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field
from scipy.linalg import polar
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression

from bci.decoders.covariance.acm_model import fit_model, scores_of, triangular_whitener
from bci.decoders.covariance.acm_selection import Classifiers, evaluate, mean_score
from bci.decoders.covariance.classifier import (
    Calibrated,
    CovarianceSettings,
    Fold,
    FromSums,
    Learned,
    Shrinkage,
)
from bci.decoders.covariance.estimation import symmetric, triangles
from bci.decoders.covariance.karcher import STRICT, logarithms, tangents
from bci.decoders.covariance.kernel_machine import Kernel, class_scores
from bci.types import FloatArray, StreamInfo

#: Chosen settings by name, and the scores of windows left out, shape (n_windows, n_classes).
Tried = tuple[dict[str, Any], FloatArray]


class _Chosen(Calibrated, FromSums):
    """One that takes of several settings the one that did best on windows left out."""

    pairwise: ClassVar[bool]

    chosen_: dict[str, Any]

    def _tried(
        self, covariances: FloatArray, codes: NDArray[np.intp], folds: Sequence[Fold]
    ) -> list[Tried]:
        """All settings."""
        raise NotImplementedError

    def _held_out(
        self, covariances: FloatArray, codes: NDArray[np.intp], folds: Sequence[Fold]
    ) -> FloatArray:
        # scores that differ by rounding are equal: then the first counts
        self.chosen_, held_out = max(
            self._tried(covariances, codes, folds),
            key=lambda tried: round(mean_score(tried[1], codes, folds), 12),
        )
        return held_out

    def _raw_logits(self, covariances: FloatArray, learned: Learned) -> FloatArray:
        return scores_of(dict(learned), covariances, len(self.classes_), pairwise=self.pairwise)


class TangentSpaceSVM(_Chosen):
    """Support vector machine on covariances mapped to the tangent space at their mean.

    Parameters
    ----------
    Cs : sequence of float
        Inverse strengths of the penalty to choose from.
    kernels : sequence of "linear" or "rbf"
        To choose from; "rbf" with scikit-learn's ``gamma="scale"``.
    rank : int or None
        Directions to keep, where processing has lowered the rank; None: found from
        the training data.
    shrinkage : "oas" or None
        How a window's covariance is regularised.

    Attributes
    ----------
    classes_, n_channels_, basis_, inverse_temperature_, learned_
        As in `bci.decoders.covariance.classifier.Calibrated`; learned are the arrays of
        `bci.decoders.covariance.acm_model`.
    chosen_ : dict
        ``C`` and ``kernel``; not part of a saved model.
    """

    kind: ClassVar[str] = "tangent_space_svm"
    pairwise = True

    def __init__(
        self,
        Cs: Sequence[float] = (0.5, 1.0, 1.5),
        kernels: Sequence[Kernel] = ("linear", "rbf"),
        *,
        rank: int | None = None,
        shrinkage: Shrinkage = "oas",
    ) -> None:
        self.Cs = Cs
        self.kernels = kernels
        self.rank = rank
        self.shrinkage = shrinkage

    def _tried(
        self, covariances: FloatArray, codes: NDArray[np.intp], folds: Sequence[Fold]
    ) -> list[Tried]:
        if not self.Cs or min(self.Cs) <= 0:
            raise ValueError(f"Cs must be positive numbers, found {list(self.Cs)}")
        if not self.kernels or set(self.kernels) - {"linear", "rbf"}:
            raise ValueError(f"kernels can be linear and rbf, found {list(self.kernels)}")
        svms = Classifiers("svm", tuple(self.Cs), tuple(self.kernels))
        return [
            ({"C": found.C, "kernel": found.kernel}, found.held_out)
            for found in evaluate(covariances, codes, folds, (1, 1), svms, STRICT)
        ]

    def _learn(self, covariances: FloatArray, codes: NDArray[np.intp]) -> dict[str, FloatArray]:
        return fit_model(covariances, codes, "svm", **self.chosen_)


class TangentSpaceEN(_Chosen):
    """Logistic regression with an elastic net on covariances in the tangent space at their mean.

    An L1 penalty depends on the axes: they are those that the symmetric square root of the
    mean gives, as in pyRiemann.

    Parameters
    ----------
    l1_ratios : sequence of float
        Shares of the L1 penalty to choose from; the rest is L2.
    C : float
        Inverse strength of the penalty.
    rank, shrinkage
        As in `TangentSpaceSVM`.
    max_iter : int
        Most iterations of the solver. Where features are many and windows few it stops
        there, near the optimum and not at it.
    random_state : int or None
        Of the solver, which takes windows in random order.

    Attributes
    ----------
    classes_, n_channels_, basis_, inverse_temperature_, learned_
        As in `TangentSpaceSVM`.
    chosen_ : dict
        ``l1_ratio``; not part of a saved model.
    """

    kind: ClassVar[str] = "tangent_space_en"
    pairwise = False

    def __init__(
        self,
        l1_ratios: Sequence[float] = (0.2, 0.3, 0.45, 0.65, 0.75),
        C: float = 1.0,
        *,
        rank: int | None = None,
        shrinkage: Shrinkage = "oas",
        max_iter: int = 1000,
        random_state: int | None = None,
    ) -> None:
        self.l1_ratios = l1_ratios
        self.C = C
        self.rank = rank
        self.shrinkage = shrinkage
        self.max_iter = max_iter
        self.random_state = random_state

    def _tried(
        self, covariances: FloatArray, codes: NDArray[np.intp], folds: Sequence[Fold]
    ) -> list[Tried]:
        if not self.l1_ratios or min(self.l1_ratios) < 0 or max(self.l1_ratios) > 1:
            raise ValueError(f"l1_ratios must be from 0 to 1, found {list(self.l1_ratios)}")
        n_classes = int(codes.max()) + 1
        held_out = np.empty((len(self.l1_ratios), len(codes), n_classes))
        views = tangents(covariances, [train for train, _ in folds])
        for (train, test), view in zip(folds, views, strict=True):
            turn, _ = polar(view.whitener)
            features = triangles(turn.T @ view.logs @ turn)
            for row, l1_ratio in zip(held_out, self.l1_ratios, strict=True):
                net = self._net(features[train], codes[train], l1_ratio)
                outputs = features[test] @ net.coef_.T + net.intercept_
                row[test] = class_scores(outputs, n_classes, pairwise=False)
        return [({"l1_ratio": r}, row) for r, row in zip(self.l1_ratios, held_out, strict=True)]

    def _net(
        self, features: FloatArray, codes: NDArray[np.intp], l1_ratio: float
    ) -> LogisticRegression:
        net = LogisticRegression(
            C=self.C, l1_ratio=l1_ratio, solver="saga", max_iter=self.max_iter,
            random_state=self.random_state,
        )  # fmt: skip
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            return net.fit(features, codes)

    def _learn(self, covariances: FloatArray, codes: NDArray[np.intp]) -> dict[str, FloatArray]:
        whitener = triangular_whitener(covariances)
        turn, _ = polar(whitener)
        logs = turn.T @ logarithms(covariances, whitener) @ turn
        net = self._net(triangles(logs), codes, **self.chosen_)
        return {
            "whiteners": whitener[None],
            "weights": turn @ symmetric(net.coef_, len(whitener)) @ turn.T,
            "intercept": net.intercept_,
        }


class TangentSpaceSVMSettings(CovarianceSettings):
    """Tangent space and SVM; to be trained on labelled windows."""

    decoder: ClassVar[type[TangentSpaceSVM]] = TangentSpaceSVM

    kind: Literal["tangent_space_svm"] = "tangent_space_svm"
    Cs: list[Annotated[float, Field(gt=0)]] = Field(
        [0.5, 1.0, 1.5], min_length=1, description="inverse strengths of the penalty to choose from"
    )
    kernels: list[Kernel] = Field(
        ["linear", "rbf"], min_length=1, description="kernels to choose from"
    )

    def build(self, info: StreamInfo) -> TangentSpaceSVM:
        """Make an untrained decoder for a processed stream."""
        return TangentSpaceSVM(self.Cs, self.kernels, rank=info.rank, shrinkage=self.shrinkage)


class TangentSpaceENSettings(CovarianceSettings):
    """Tangent space and elastic net; to be trained on labelled windows."""

    decoder: ClassVar[type[TangentSpaceEN]] = TangentSpaceEN

    kind: Literal["tangent_space_en"] = "tangent_space_en"
    l1_ratios: list[Annotated[float, Field(ge=0, le=1)]] = Field(
        [0.2, 0.3, 0.45, 0.65, 0.75], min_length=1, description="shares of L1 to choose from"
    )
    C: float = Field(1.0, gt=0, description="inverse strength of the penalty")
    seed: int = Field(0, ge=0, description="of the solver")

    def build(self, info: StreamInfo) -> TangentSpaceEN:
        """Make an untrained decoder for a processed stream."""
        return TangentSpaceEN(
            self.l1_ratios, self.C, rank=info.rank, shrinkage=self.shrinkage,
            random_state=self.seed,
        )  # fmt: skip
