"""One noise model for each part of a tuple of measurements."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import final

import torch
from torch import nn

from wellposed.core.errors import ShapeError
from wellposed.core.tree import Tree
from wellposed.noise.base import NoiseModel
from wellposed.noise.compose import check_models

__all__ = ["PerPart"]


@final
class PerPart(NoiseModel):
    r"""Give each part of a tuple of measurements a noise model of its own; the draws are independent.

    .. math:: y_i \sim p_i(y_i \mid \bar y_i)

    Parameters
    ----------
    noises : tuple of NoiseModel
        One per part. A parameter is known by its name where only one model has it, else by its place:
        `{"noises.1.sigma": 0.1}`.

    Raises
    ------
    ArgumentError
        If `noises` is empty or holds something else.
    ShapeError
        On a call, if the measurements are not a tuple with as many parts.

    Examples
    --------
    >>> import torch
    >>> from wellposed.noise import Gaussian, Poisson
    >>> PerPart((Gaussian(0.5), Poisson(0.1))).variance((torch.ones(1, 1), torch.ones(1, 2)))
    (tensor([[0.2500]]), tensor([[0.1000, 0.1000]]))
    """

    def __init__(self, noises: Iterable[NoiseModel]) -> None:
        super().__init__()
        models = list(noises)
        check_models("PerPart", models)
        self.noises = nn.ModuleList(models)

    def _sample_tree(self, clean: Tree, generator: torch.Generator | None) -> Tree:
        return self._each(lambda noise, part: noise(part, generator=generator), clean)

    def _mean_tree(self, clean: Tree) -> Tree:
        return self._each(lambda noise, part: noise.mean(part), clean)

    def _variance_tree(self, clean: Tree) -> Tree:
        return self._each(lambda noise, part: noise.variance(part), clean)

    def _inherited_variance_tree(self, variance: Tree) -> Tree:
        return self._each(lambda noise, part: noise._inherited_variance_tree(part), variance)

    def _each(self, function: Callable[..., Tree], clean: Tree) -> Tree:
        if not isinstance(clean, tuple) or len(clean) != len(self.noises):
            got = f"a tuple of {len(clean)}" if isinstance(clean, tuple) else type(clean).__name__
            raise ShapeError(f"PerPart expects measurements that are a tuple of {len(self.noises)} parts, got {got}.")
        return tuple(function(noise, part) for noise, part in zip(self.noises, clean, strict=True))
