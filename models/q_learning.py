"""Deep Q-learning on trials that are decided once: replay, target network, ε-greedy.

Mnih et al., "Human-level control through deep reinforcement learning", Nature 518,
529-533, 2015, doi:10.1038/nature14236.

A trial is an episode of one step: it is shown, an action names its class, the reward is
+1 if that is right and -1 if not, and the next trial has nothing to do with it. So the
discount γ is 0, and the target ``r + γ max Q'`` is the reward itself: the network learns
by *regression* what reward an action brings, as a contextual bandit does, from the
actions that were tried. The target network then plays no part. With γ above 0 it would
add the value of an unrelated trial, the same for all actions in the mean: noise alone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from copy import deepcopy
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from models.classifier_training import scores
from models.devices import find_device, seeded

Array = NDArray[np.float32]
Rows = NDArray[np.intp]


@dataclass(frozen=True, slots=True)
class QRecipe:
    """How a Q-network is trained.

    Attributes
    ----------
    n_epochs : int
        Passes through the trials, at most.
    n_shown : int
        Trials that are shown, decided and rewarded between two steps of the optimiser.
    batch_size : int
        Transitions in a step, drawn from those remembered.
    n_remembered : int
        The oldest transitions are forgotten beyond.
    learning_starts : int
        Transitions before the first step.
    learning_rate : float
        Of Adam; constant.
    epsilon : (float, float)
        Share of actions drawn at random, at first and at last; it falls evenly over
        the first half of the epochs.
    discount : float
        γ; see above why it is 0.
    target_every : int
        Steps after which the target network takes over the weights.
    patience : int or None
        Epochs without a better validation loss after which training ends; None: it
        goes to the last epoch.
    """

    n_epochs: int = 200
    n_shown: int = 32
    batch_size: int = 64
    n_remembered: int = 10_000
    learning_starts: int = 100
    learning_rate: float = 1e-3
    epsilon: tuple[float, float] = (1.0, 0.05)
    discount: float = 0.0
    target_every: int = 200
    patience: int | None = None

    def __post_init__(self) -> None:
        counts = (self.n_epochs, self.n_shown, self.batch_size, self.n_remembered,
                  self.target_every, self.patience or 1)  # fmt: skip
        if min(counts) < 1:
            raise ValueError(f"a training needs one of everything, found {self}")
        if not 0 <= self.discount < 1 or not all(0 <= e <= 1 for e in self.epsilon):
            raise ValueError(
                "discount must be at least 0 and below 1, epsilon between 0 and 1; found "
                f"{self.discount} and {self.epsilon}"
            )


class Replay:
    """The newest transitions: trial, action, reward, and the trial shown next.

    Parameters
    ----------
    n_remembered : int
        At most.
    """

    def __init__(self, n_remembered: int) -> None:
        self._trial, self._action, self._next = np.zeros((3, n_remembered), np.intp)
        self._reward = np.zeros(n_remembered, np.float32)
        self._n_seen = 0

    def __len__(self) -> int:
        return min(self._n_seen, len(self._reward))

    def add(self, trial: Rows, action: Rows, reward: Array, following: Rows) -> None:
        """Remember transitions, in their order."""
        for values in zip(trial, action, reward, following, strict=True):
            at = self._n_seen % len(self._reward)
            self._trial[at], self._action[at], self._reward[at], self._next[at] = values
            self._n_seen += 1

    def draw(self, n: int, rng: np.random.Generator) -> tuple[Rows, Rows, Array, Rows]:
        """Transitions drawn with replacement."""
        at = rng.integers(len(self), size=n)
        return self._trial[at], self._action[at], self._reward[at], self._next[at]


class QTraining:
    """A Q-network's training.

    Parameters
    ----------
    network : Module
        From (B, …) to the value of each action, (B, n_actions).
    X : array, shape (n_trials, …), float32
    y : array of int, shape (n_trials,)
        The action that is right for each trial.
    X_val, y_val : arrays or None
        Trials to judge an epoch by: on these the reward of every action is known. None:
        nothing is judged, and the last epoch is kept.
    recipe : QRecipe
    seed : sequence of int
        Of all that is drawn here; the initial weights are the caller's.
    device : str or None
        None: "cuda" where there is one, else "cpu".

    Attributes
    ----------
    epoch, n_steps : int
        Done; steps are those of the optimiser.
    rewards : list of float
        Mean reward of each epoch, on the trials that are learnt from and with what was
        tried out: no measure of how well others are decided.
    validation_losses : list of float
    replay : Replay
    """

    def __init__(
        self,
        network: nn.Module,
        X: Array,
        y: Rows,
        X_val: Array | None,
        y_val: Rows | None,
        recipe: QRecipe,
        *,
        seed: Sequence[int] = (0,),
        device: str | None = None,
    ) -> None:
        if len(X) == 0 or len(X) != len(y):
            raise ValueError(
                f"one trial or more and one label for each are needed; found {len(X)} and {len(y)}"
            )
        self.device = find_device(device)
        self.network = network.to(self.device)
        self.recipe, self.seed = recipe, tuple(seed)
        self.epoch = self.n_steps = 0
        self.rewards: list[float] = []
        self.validation_losses: list[float] = []
        self.replay = Replay(recipe.n_remembered)
        self._X, self._y = torch.as_tensor(X).to(self.device), np.asarray(y, np.intp)
        self._judged = None if X_val is None or y_val is None else (X_val, y_val)
        self._target = deepcopy(self.network).eval()
        self._best = deepcopy(self.network.state_dict())
        self._optimiser = torch.optim.Adam(network.parameters(), lr=recipe.learning_rate)

    @property
    def best_epoch(self) -> int:
        """Epochs done when the weights were those that are kept."""
        if not self.validation_losses:
            return self.epoch
        return int(np.argmin(self.validation_losses)) + 1

    @property
    def finished(self) -> bool:
        """Whether there is nothing left to do."""
        patience = self.recipe.patience
        tired = patience is not None and self.epoch - self.best_epoch >= patience
        return self.epoch >= self.recipe.n_epochs or tired

    @property
    def epsilon(self) -> float:
        """Share of actions that are drawn at random in the present epoch."""
        first, last = self.recipe.epsilon
        return first + (last - first) * min(1.0, 2.0 * self.epoch / self.recipe.n_epochs)

    def run(
        self,
        progress: Callable[[int, float], None] | None = None,
        should_stop: Callable[[], bool] | None = None,
    ) -> bool:
        """Train until it is finished; False if it was asked to stop before.

        Once it is finished the network holds the weights of the best epoch, in its
        mode for deciding.

        Parameters
        ----------
        progress : callable
            Takes epochs done and the mean reward of the last, after each epoch.
        should_stop : callable
            Asked before each epoch.
        """
        while not self.finished:
            if should_stop is not None and should_stop():
                return False
            self._one_epoch()
            if progress is not None:
                progress(self.epoch, self.rewards[-1])
        if self._judged is not None:
            self.network.load_state_dict(self._best)
        self.network.eval()
        return True

    def _one_epoch(self) -> None:
        rng = np.random.default_rng([*self.seed, self.epoch])
        order = rng.permutation(len(self._y))
        following = np.roll(order, -1)
        total = 0.0
        with seeded([*self.seed, self.epoch, 1], self.device):
            for start in range(0, len(order), self.recipe.n_shown):
                part = slice(start, start + self.recipe.n_shown)
                action = self._act(order[part], rng)
                reward = np.where(action == self._y[order[part]], 1.0, -1.0).astype(np.float32)
                self.replay.add(order[part], action, reward, following[part])
                total += float(reward.sum())
                if len(self.replay) >= self.recipe.learning_starts:
                    self._step(*self.replay.draw(self.recipe.batch_size, rng))
        self.epoch += 1
        self.rewards.append(total / len(order))
        if self._judged is not None:
            self.validation_losses.append(self._validation_loss(*self._judged))
            if self.best_epoch == self.epoch:
                self._best = deepcopy(self.network.state_dict())

    def _act(self, trials: Rows, rng: np.random.Generator) -> Rows:
        """The action of the largest value, or one drawn at random."""
        values = scores(self.network, self._X[trials])
        tried = rng.random(len(trials)) < self.epsilon
        drawn = rng.integers(values.shape[1], size=len(trials))
        return np.where(tried, drawn, values.argmax(axis=1))

    def _step(self, trial: Rows, action: Rows, reward: Array, following: Rows) -> None:
        """Regress the target on the value of the action that was taken."""
        target = torch.as_tensor(reward).to(self.device)
        if self.recipe.discount:
            ahead = scores(self._target, self._X[following]).max(axis=1)
            target = target + self.recipe.discount * torch.as_tensor(ahead).to(self.device)
        self.network.train()
        value = self.network(self._X[trial])
        taken = value.gather(1, torch.as_tensor(action).to(self.device)[:, None])[:, 0]
        loss: Tensor = F.huber_loss(taken, target)
        self._optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        self._optimiser.step()
        self.n_steps += 1
        if self.n_steps % self.recipe.target_every == 0:
            self._target.load_state_dict(self.network.state_dict())

    def _validation_loss(self, X: Array, y: Rows) -> float:
        """Mean over all actions: each one's reward is known here."""
        values = torch.as_tensor(scores(self.network, X))
        rewards = torch.full_like(values, -1.0)
        rewards[torch.arange(len(values)), torch.as_tensor(y)] = 1.0
        return float(F.huber_loss(values, rewards))
