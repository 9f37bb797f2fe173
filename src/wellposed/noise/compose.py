"""Noise upon noise."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import final

import torch
from torch import nn

from wellposed.core.errors import ArgumentError
from wellposed.core.tree import Tree, tree_map
from wellposed.noise.base import NoiseModel

__all__ = ["Compose"]


@final
class Compose(NoiseModel):
    r"""Apply noise models one after the other; `noise_b @ noise_a` is `Compose((noise_a, noise_b))`.

    .. math:: z \sim p_a(z \mid \bar y), \qquad y \sim p_b(y \mid z)

    The mean and the variance are exact, by the laws of total expectation and total variance, wherever each model after
    the first has a conditional mean :math:`m` that is affine and a conditional variance :math:`v` that is quadratic:

    .. math:: E[y] = m(E z), \qquad \mathrm{Var}[y] = v(E z) + (m'^2 + v''/2)\, \mathrm{Var}[z]

    Parameters
    ----------
    noises : tuple of NoiseModel
        In order of application. A parameter is known by its name where only one model has it, else by its place:
        `{"noises.1.sigma": 0.1}`.

    Raises
    ------
    ArgumentError
        If `noises` is empty or holds something else.
    UnsupportedError
        By `mean` and `variance`, if they have no closed form: `Rician`, `LogPoisson` or a clipping model comes later.

    Examples
    --------
    >>> import torch
    >>> from wellposed.noise import Gaussian, Poisson
    >>> noise = Gaussian(0.2) @ Poisson(0.5)
    >>> noise.variance(torch.full((1, 2), 3.0))
    tensor([[1.5400, 1.5400]])
    """

    noises: nn.ModuleList

    def __init__(self, noises: Iterable[NoiseModel]) -> None:
        super().__init__()
        flat = [part for noise in noises for part in (noise.noises if isinstance(noise, Compose) else (noise,))]
        check_models("Compose", flat)
        self.noises = nn.ModuleList(flat)

    def _sample_tree(self, clean: Tree, generator: torch.Generator | None) -> Tree:
        for noise in self.noises:
            clean = noise(clean, generator=generator)
        return clean

    def _mean_tree(self, clean: Tree) -> Tree:
        return self._moments(clean)[0]

    def _variance_tree(self, clean: Tree) -> Tree:
        return self._moments(clean)[1]

    def _moments(self, clean: Tree) -> tuple[Tree, Tree]:
        first, *rest = self._models()
        mean, variance = first.mean(clean), first.variance(clean)
        for noise in rest:
            inherited = noise._inherited_variance_tree(variance)
            variance = tree_map(torch.add, noise.variance(mean), inherited)
            mean = noise.mean(mean)
        return mean, variance

    def _inherited_variance_tree(self, variance: Tree) -> Tree:
        for noise in self._models():
            variance = noise._inherited_variance_tree(variance)
        return variance

    def _models(self) -> tuple[NoiseModel, ...]:
        return tuple(noise for noise in self.noises if isinstance(noise, NoiseModel))


def check_models(owner: str, noises: Sequence[object]) -> None:
    """Raise unless there is at least one model and each is a `NoiseModel`."""
    wrong = [type(noise).__name__ for noise in noises if not isinstance(noise, NoiseModel)]
    if not noises or wrong:
        raise ArgumentError(f"{owner} expects one or more noise models, got {', '.join(wrong) or 'none'}.")
