"""Fine-tuning: a few steps on given measurements, judged by what was kept back of them."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass, field
from typing import NamedTuple, final

import torch
from torch import Tensor, nn

from wellposed.core.errors import TrainingError
from wellposed.core.rng import seeded, streams
from wellposed.core.tree import Tree, tree_leaves
from wellposed.data.pair_tensors import PairTensors
from wellposed.data.problems import PairProblem
from wellposed.losses import HeldOut, Loss, Scheme, adapted_for_test, hold_out, virtual_losses
from wellposed.physics import Physics
from wellposed.training.options import Options
from wellposed.training.plan import Exercise
from wellposed.training.schedule import learning_rate_at
from wellposed.training.stepper import Stepper
from wellposed.training.stop import Reason, StopRequests

__all__ = ["FineTuned", "Lesson", "Progress", "fine_tune", "lesson"]

_logger = logging.getLogger("wellposed")

_MANY = 8
_HELD_OUT_SHARE = 10
_HELD_OUT_LEAST, _HELD_OUT_MOST = 2, 16


class Progress(NamedTuple):
    """How far fine-tuning has come."""

    step: int
    steps: int
    loss: float
    """The mean since the progress before; NaN before the first step."""
    score: float
    best_score: float
    best_step: int


@final
@dataclass(frozen=True, eq=False)
class FineTuned:
    """What became of fine-tuning.

    Parameters
    ----------
    model : nn.Module
        With the weights of the best step, in evaluation mode.
    loss : Loss
        As it was at the end, whose `companions` are learnt.
    why : str
        Why this loss.
    scheme : {"recorruption", "splitting", "hidden pixels"}
        What was kept back.
    scores : tuple of (int, float)
        By step, as `fine_tune` says; the first is that of the model as it was given.
    best_step : int
    reason : {"finished", "time", "interrupted", "early"}
        Why it ended.
    seconds : float
    """

    model: nn.Module = field(repr=False)
    loss: Loss
    why: str
    scheme: Scheme
    scores: tuple[tuple[int, float], ...]
    best_step: int
    reason: Reason
    seconds: float

    @property
    def before(self) -> float:
        """The score of the model as it was given."""
        return self.scores[0][1]

    @property
    def after(self) -> float:
        """The score of the best step."""
        return dict(self.scores)[self.best_step]


@final
@dataclass(frozen=True, eq=False)
class Lesson:
    """What there is to learn from, and what judges it.

    Parameters
    ----------
    pairs : PairTensors
        What the network is trained on.
    held_out : HeldOut
        What it is scored by, which it never sees.
    """

    pairs: PairTensors
    held_out: HeldOut


def lesson(y: Tree, physics: Physics, x: Tensor | None = None, *, noise_is_known: bool = True, seed: int = 0) -> Lesson:
    """Keep some of the measurements back: of few a part of each, of eight or more a tenth, two to sixteen.

    Parameters
    ----------
    y : Tensor or tuple, shape (B, *measurement_shape)
    physics : Physics
    x : Tensor, shape (B, *image_shape), optional
        The truth, where it is known.
    noise_is_known : bool
    seed : int

    Raises
    ------
    UnsupportedError
        If nothing can be kept back, as `hold_out` says.
    """
    stream = streams(torch.Generator().manual_seed(seed), "images", "parts")
    pairs, count = PairTensors(y, physics, x), len(tree_leaves(y)[0])
    if count < _MANY:
        held_out = hold_out(y, physics, noise_is_known=noise_is_known, generator=stream["parts"])
        return Lesson(PairTensors(held_out.y, held_out.physics, x), held_out)
    order = torch.randperm(count, generator=stream["images"])
    kept_back = min(max(count // _HELD_OUT_SHARE, _HELD_OUT_LEAST), _HELD_OUT_MOST)
    theirs, mine = pairs.take(order[:kept_back]), pairs.take(order[kept_back:])
    held_out = hold_out(theirs.y, theirs.physics, noise_is_known=noise_is_known, generator=stream["parts"])
    return Lesson(PairTensors(*mine), held_out)


def fine_tune(
    model: nn.Module,
    lesson: Lesson,
    loss: Loss,
    options: Options,
    *,
    why: str = "it was given",
    max_minutes: float | None = None,
    callback: Callable[[Progress], None] | None = None,
) -> FineTuned:
    r"""Take some steps from a trained network, and return it as it was when its score was best.

    The score is the mean squared error in what was kept back. It says nothing about what no measurement sees: if the
    loss has a part for that, equivariant or multi-operator imaging, that part is added as it is, without its weight,
    for it estimates the squared error of the image where the rest of the loss is small. The weights that are scored
    are their moving average. Ctrl-C ends it with the best step so far.

    Parameters
    ----------
    model : nn.Module
        ``x_hat = model(y, physics)``; it is copied.
    lesson : Lesson
    loss : Loss
    options : Options
        Scores are asked for every `validate_every` steps, and after `patience` of them that are not better it ends.
    why : str
        Goes into the record.
    max_minutes : float, optional
    callback : callable, optional
        Called with a `Progress` after each score.

    Raises
    ------
    TrainingError
        If the loss, the gradient or the score is not finite.

    References
    ----------
    Tachella, Pereyra, *Equivariant bootstrapping for uncertainty quantification in imaging inverse problems*, AISTATS
    2024, arXiv:2310.11838.
    """
    device = tree_leaves(lesson.pairs.y)[0].device
    exercise = Exercise(PairProblem("measurements", lesson.pairs))
    with torch.random.fork_rng([device.index or 0] if device.type == "cuda" else []), StopRequests(max_minutes) as stop:
        return _Course(Stepper(model, [exercise], loss, options, _Alone(), device), lesson, options).run(
            why, stop, callback
        )


class _Alone(NamedTuple):
    """What a stepper asks of Accelerate, for one process."""

    process_index: int = 0
    num_processes: int = 1


class _Course:
    """The state of one fine-tuning."""

    def __init__(self, stepper: Stepper, lesson: Lesson, options: Options) -> None:
        self._stepper, self._lesson, self._options = stepper, lesson, options
        self._scores: list[tuple[int, float]] = []
        self._best: dict[str, Tensor] = {}
        self._best_step, self._best_score, self._stale = 0, math.inf, 0

    def run(self, why: str, stop: StopRequests, callback: Callable[[Progress], None] | None) -> FineTuned:
        options, began = self._options, time.monotonic()
        self._look(0, math.nan, callback)
        reason: Reason | None = None
        pending: list[Tensor] = []
        for step in range(options.steps):
            pending.append(self._stepper.advance(step, learning_rate_at(step, options)))
            done = step + 1
            reason = stop.reason()
            if done % options.validate_every == 0 or done == options.steps or reason is not None:
                self._look(done, _mean_loss(pending, done), callback)
                pending = []
            if reason is None and options.patience is not None and self._stale >= options.patience:
                reason = "early"
            if reason is not None:
                break
        model = self._stepper.average.released()
        model.load_state_dict(self._best)
        return FineTuned(
            model,
            self._stepper.loss,
            why,
            self._lesson.held_out.scheme,
            tuple(self._scores),
            self._best_step,
            reason or "finished",
            time.monotonic() - began,
        )

    @torch.no_grad()
    def _look(self, step: int, loss: float, callback: Callable[[Progress], None] | None) -> None:
        """Score the averaged weights, and keep them if they are the best so far."""
        score = float(self._score(adapted_for_test(self._stepper.loss, self._stepper.average.network)).mean())
        if not math.isfinite(score):
            raise TrainingError(f"the score is not finite after {step} steps: {_REMEDY}")
        self._scores.append((step, score))
        self._stale += 1
        if score < self._best_score:
            self._best_step, self._best_score, self._stale = step, score, 0
            self._best = deepcopy(self._stepper.average.network.state_dict())
        _logger.debug("fine-tuning, step %d: score %.4g", step, score)
        if callback is not None:
            callback(Progress(step, self._options.steps, loss, score, self._best_score, self._best_step))

    def _score(self, model: nn.Module) -> Tensor:
        """Return the error in what was kept back, and the virtual losses, whose draws are always the same."""
        held_out = self._lesson.held_out
        y, physics = held_out.y, held_out.physics
        x_hat = model(y, physics)
        score = held_out.score(x_hat)
        for part in virtual_losses(self._stepper.loss):
            generator = seeded(self._options.seed, "score")
            score = score + part(x_hat=x_hat, y=y, physics=physics, model=model, generator=generator)
        return score


_REMEDY = "lower the learning rate, or look at the measurements."


def _mean_loss(rows: list[Tensor], done: int) -> float:
    """Return the mean loss of some steps, of which none may have gone wrong."""
    values = torch.stack(rows)
    if not bool(torch.isfinite(values).all()):
        raise TrainingError(f"the loss or its gradient is not finite within {done} steps: {_REMEDY}")
    return float(values[:, 0].mean())
