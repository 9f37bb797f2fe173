"""What self-supervised losses read from the noise of a physics."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from wellposed.core.errors import UnsupportedError
from wellposed.core.tree import Tree, tree_map
from wellposed.noise import Gaussian, Poisson, PoissonGaussian
from wellposed.physics import Physics


class Levels(NamedTuple):
    """Noise whose variance is `gain * mean + variance`, number by number."""

    gain: Tree | None
    variance: Tree

    def at(self, y: Tree) -> Tree:
        """Return the unbiased estimate of the variance from the measurements themselves."""
        if self.gain is None:
            return self.variance
        return tree_map(lambda leaf, gain, variance: gain * leaf + variance, y, self.gain, self.variance)


def levels(owner: str, y: Tree, physics: Physics) -> Levels:
    """Return the level and the gain of Gaussian, Poisson or Poisson-Gaussian noise.

    Raises
    ------
    UnsupportedError
        If the noise is of another family, or there is none.
    """
    noise = physics.noise
    if not isinstance(noise, (Gaussian, Poisson, PoissonGaussian)):
        raise UnsupportedError(
            f"{owner} needs Gaussian, Poisson or Poisson-Gaussian noise of known level, and the physics has "
            f"{type(noise).__name__}: name the noise, wp.Physics(operator, wp.noise.Gaussian(sigma)), or use "
            "UNSURE or Splitting, which need no level."
        )
    if isinstance(noise, Gaussian):
        return Levels(None, noise.variance(y))
    at_zero = noise.variance(tree_map(torch.zeros_like, y))
    at_one = noise.variance(tree_map(torch.ones_like, y))
    return Levels(tree_map(torch.sub, at_one, at_zero), at_zero)


def real_parts(leaf: Tensor) -> int:
    """Return how many real numbers one number is."""
    return 2 if leaf.is_complex() else 1
