"""Bayesian logistic regression on rewards, one after the other: an extended Kalman filter.

Penny & Roberts, "Dynamic logistic regression", IJCNN 1999, doi:10.1109/IJCNN.1999.832603,
with the likelihood of a reward in place of a label's::

    P(told right | window, decided a) = ε + (1 - 2ε) p_a(window)

ε is how often the reward itself is wrong. "Right" speaks for the class decided, "wrong"
for all others as their odds stand; with two classes and ε = 0 both are labels.
"""

from __future__ import annotations

import numpy as np
from scipy.special import softmax

from bci.types import FloatArray


class RewardFilter:
    """What is known of the weights of a correction to log-odds.

    Parameters
    ----------
    n_classes, n_features : int
        Of the features one may be the 1 of an intercept.
    scale : float
        Standard deviation, before the first reward, of what is added to a class's
        log-odds where the features' squares add up to their number.
    forgetting : float
        Part of the deviation from the prior that each reward leaves of what was known:
        below 1, uncertainty comes back, but never beyond the prior's.

    Attributes
    ----------
    mean : array, shape (n_classes, n_features)
    covariance : array, shape (n, n)
        Of all weights, class by class.
    prior : array, shape (n, n)
        The same before the first reward.
    """

    def __init__(self, n_classes: int, n_features: int, scale: float, forgetting: float) -> None:
        self.forgetting = forgetting
        self.mean = np.zeros((n_classes, n_features))
        self.prior = np.eye(self.mean.size) * scale**2 / n_features
        self.covariance = self.prior

    def corrected(self, own: FloatArray, features: FloatArray) -> FloatArray:
        """Log-odds of one window, shape (n_classes,), from those before the correction."""
        return own + self.mean @ features

    def learn(
        self, own: FloatArray, features: FloatArray, code: int, correct: bool, error: float
    ) -> None:
        """Forget a little, then take the reward for deciding class `code` in."""
        kept = self.forgetting
        mean = kept * self.mean
        covariance = kept**2 * self.covariance + (1.0 - kept**2) * self.prior
        p = softmax(own + mean @ features)
        foretold = told_right(p[code], error)
        by_logit = (1.0 - 2.0 * error) * p[code] * (np.eye(len(p))[code] - p)
        slope = np.outer(by_logit, features).ravel()
        reach = covariance @ slope
        spread = float(foretold * (1.0 - foretold) + slope @ reach)
        gain = reach / max(spread, float(np.finfo(float).tiny))
        self.mean = mean + (gain * (correct - foretold)).reshape(mean.shape)
        self.covariance = covariance - np.outer(gain, reach)

    def drawn(self, rng: np.random.Generator) -> FloatArray:
        """Weights drawn from what is known, less their mean; shape as `mean`."""
        draw = rng.multivariate_normal(np.zeros(self.mean.size), self.covariance, method="eigh")
        deviation: FloatArray = draw.reshape(self.mean.shape)
        return deviation


def told_right(p: float, error: float) -> float:
    """Probability of the reward "right" for a decision that is right with probability `p`."""
    return error + (1.0 - 2.0 * error) * p
