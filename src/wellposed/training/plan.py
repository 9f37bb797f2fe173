"""What a step consists of: a fixed list of micro-batches, whoever computes them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, final

import torch

from wellposed.core.arguments import check_whole
from wellposed.core.errors import ArgumentError
from wellposed.core.rng import seeded
from wellposed.data.problems import Problem
from wellposed.training.options import Options

__all__ = ["Exercise", "MicroBatch", "derived_seed", "plan"]


@final
@dataclass(frozen=True)
class Exercise:
    """A problem to train on, how many of its images a step has, and how much it counts.

    Parameters
    ----------
    problem : Problem
    batch : int, optional
        Images a step; by default what the options say.
    weight : float
        Of its mean loss in that of a step; weights count relative to their mean.
    margin : int
        Pixels along each border whose errors count a tenth, such as those that a blur measures in part; it takes true
        images.

    Raises
    ------
    ArgumentError
        If a number is not above zero.
    """

    problem: Problem
    batch: int | None = None
    weight: float = 1.0
    margin: int = 0

    def __post_init__(self) -> None:
        if self.batch is not None:
            check_whole("Exercise", "batch", self.batch, least=1)
        check_whole("Exercise", "margin", self.margin, least=0)
        if not 0 < self.weight < float("inf"):
            raise ArgumentError(f"Exercise expects a weight above 0, got {self.weight!r}.")


class MicroBatch(NamedTuple):
    """One part of one problem's batch."""

    exercise: int
    """Which problem."""
    part: int
    images: int
    share: float
    """Of the problem's images in this step."""
    weight: float
    """Of the mean loss of the part in the loss of the step."""

    def stream(self, step: int) -> str:
        """Return the name of its randomness."""
        return f"step {step}, problem {self.exercise}, part {self.part}"


def plan(step: int, exercises: Sequence[Exercise], options: Options) -> list[MicroBatch]:
    """Return the micro-batches of a step; they depend on nothing but the step and the options.

    Parameters
    ----------
    step : int
    exercises : sequence of Exercise
    options : Options
    """
    chosen = _chosen(step, len(exercises), options)
    mean_weight = sum(exercise.weight for exercise in exercises) / len(exercises)
    parts: list[MicroBatch] = []
    for index in chosen:
        exercise = exercises[index]
        batch = exercise.batch or options.batch
        weight = exercise.weight / (mean_weight * len(chosen))
        pieces = min(options.accumulate, batch)
        for part in range(pieces):
            images = batch * (part + 1) // pieces - batch * part // pieces
            parts.append(MicroBatch(index, part, images, images / batch, weight * images / batch))
    return parts


def derived_seed(seed: int, name: str) -> int:
    """Return the seed of a stream of random numbers that depends on `seed` and its name alone."""
    return seeded(seed, name).initial_seed()


def _chosen(step: int, count: int, options: Options) -> list[int]:
    drawn = options.problems_per_step
    if drawn is None or drawn >= count:
        return list(range(count))
    generator = seeded(options.seed, f"step {step}, problems")
    return sorted(torch.randperm(count, generator=generator)[:drawn].tolist())
