"""Measure a reconstruction again, by another operator or after a motion, and reconstruct it once more."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias

import torch
from torch import Tensor

from wellposed.core.errors import UnsupportedError
from wellposed.core.tree import Tree, tree_map
from wellposed.losses.base import Reconstructor
from wellposed.metrics import mse
from wellposed.noise import Poisson, PoissonGaussian
from wellposed.operators import Operator
from wellposed.physics import Physics

Operators: TypeAlias = Sequence[Operator] | Callable[[int, torch.Generator | None], Operator] | None
"""Other operators: some, or a function of the number of images and a generator; None: those of the batch."""


def return_error(
    image: Tensor, physics: Physics, model: Reconstructor, *, noisy: bool, generator: torch.Generator | None
) -> Tensor:
    """Return how far the reconstruction of an image's measurements is from the image, shape (B,)."""
    clean = physics.operator(image)
    y = _with_noise(clean, physics, generator) if noisy else clean
    return mse(model(y, physics), image)


def exchanged(
    owner: str, physics: Physics, count: int, others: Operators, generator: torch.Generator | None
) -> Physics:
    """Return the physics with another operator, drawn at random."""
    if callable(others):
        return Physics(others(count, generator), physics.noise)
    if others is not None:
        return Physics(others[_whole(len(others), generator)], physics.noise)
    operator = physics.operator
    own = {name: value for name, value in operator.params.items() if value.ndim and len(value) == count > 1}
    if not own:
        raise UnsupportedError(
            f"{owner} exchanges the operators of a batch, and these {count} images have one in common: "
            "give it others with operators=, or use EquivariantImaging."
        )
    turn = 1 + _whole(count - 1, generator)
    return Physics(operator.with_params(**{name: value.roll(turn, 0) for name, value in own.items()}), physics.noise)


def _whole(below: int, generator: torch.Generator | None) -> int:
    device = "cpu" if generator is None else generator.device
    return int(torch.randint(below, (), generator=generator, device=device))


def _with_noise(clean: Tree, physics: Physics, generator: torch.Generator | None) -> Tree:
    """Add noise that is a constant to autograd; negative intensities count no photons."""
    counts = isinstance(physics.noise, (Poisson, PoissonGaussian))
    mean = tree_map(lambda leaf: leaf.detach().clamp_min(0) if counts else leaf.detach(), clean)
    noisy = physics.noise(mean, generator=generator)
    return tree_map(lambda leaf, draw, around: leaf + (draw - around), clean, noisy, mean)
