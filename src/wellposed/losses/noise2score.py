"""Learn the score of noisy images, and denoise with it by Tweedie's formula."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, final

import torch
from torch import Tensor

from wellposed.core.errors import ArgumentError, UnsupportedError
from wellposed.core.rng import normal_like, uniform_like
from wellposed.core.tree import Tree, per_image
from wellposed.losses._residuals import one_tensor
from wellposed.losses.drawn_input import Draw, DrawingLoss
from wellposed.noise import Gamma, Gaussian, Poisson
from wellposed.operators import Identity
from wellposed.physics import Physics

__all__ = ["Noise2Score"]

_DECADE = math.log(10.0)


@final
@dataclass(frozen=True)
class Noise2Score(DrawingLoss):
    r"""Teach the network the score :math:`s(y) = \nabla \log p(y)` of noisy images; denoise with it at test.

    .. math:: \ell = \tfrac1m \|a\, f(y + a u) + u\|^2, \qquad u \sim \mathcal N(0, I)

    where the logarithm of a is uniform between those of spread / 10 and spread, image by image. The minimiser is the
    score of :math:`y + a u`, near that of y where a is small beside the noise. At test the adapted network is
    :math:`E[x | y]` by Tweedie's formula for the noise of the physics:

    - Gaussian: :math:`\hat x = y + \sigma^2 s`, exactly;
    - Poisson: :math:`\hat x = (y + \gamma / 2) \exp(\gamma s)`, for all but the faintest images;
    - Gamma: :math:`\hat x = L y / (L - 1 - y s)`, which is :math:`1 / E[1 / x | y]`.

    For denoising. The level of the noise plays no part in training: one network serves for any. One evaluation in
    training, one at test.

    Parameters
    ----------
    spread : float
        In the unit of the measurements; a fraction of the noise.

    Raises
    ------
    ArgumentError
        If the spread is not above 0 and finite; on a call, if the network was not adapted.
    UnsupportedError
        On a call, if the operator is not the identity, or at test the noise is of another family.

    References
    ----------
    Kim, Ye, *Noise2Score: Tweedie's approach to self-supervised image denoising without clean images*, NeurIPS 2021,
    arXiv:2106.07009.

    Examples
    --------
    For images of mean 0 and variance 1 - 0.2 ** 2 the score of noisy ones is -y.

    >>> import wellposed as wp
    >>> physics = wp.Physics(wp.operators.Identity(), wp.noise.Gaussian(0.2))
    >>> class Score(torch.nn.Module):
    ...     def forward(self, y, physics):
    ...         return -y
    >>> wp.losses.adapted_for_test(Noise2Score(), Score())(torch.ones(1, 1, 1, 1), physics)
    tensor([[[[0.9600]]]])
    """

    spread: float = 0.05

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.draws:
            raise ArgumentError(f"Noise2Score draws nothing at test: leave out draws={self.draws}.")
        if not 0 < self.spread < math.inf:
            raise ArgumentError(f"Noise2Score expects a finite spread above 0, got {self.spread!r}.")

    def draw(self, y: Tree, physics: Physics, *, generator: torch.Generator | None = None) -> Draw:
        """Draw a little more noise, whose direction the score foretells."""
        y = self._image(y, physics)
        spread = self.spread * (-_DECADE * uniform_like(y.real.new_empty(len(y)), generator)).exp()
        noise, scale = normal_like(y, generator), per_image(spread, y)
        return Draw(y + scale * noise, physics, -noise / scale, physics.operator, scale.square())

    def finished(self, answer: Tensor, y: Tree, physics: Physics) -> Tensor:
        """Return the denoised images that a score tells."""
        y, noise = self._image(y, physics), physics.noise
        tweedie = _TWEEDIE.get(type(noise))
        if tweedie is None:
            raise UnsupportedError(
                f"Noise2Score denoises Gaussian, Poisson or Gamma noise of known level, and the physics has "
                f"{type(noise).__name__}: name the noise in wp.Physics."
            )
        return tweedie(answer, y, noise)

    def _image(self, y: Tree, physics: Physics) -> Tensor:
        if not isinstance(physics.operator, Identity):
            raise UnsupportedError(
                f"Noise2Score is for denoising, and the operator is {type(physics.operator).__name__}: use Splitting."
            )
        return one_tensor("Noise2Score", y)


def _gaussian(score: Tensor, y: Tensor, noise: Any) -> Tensor:
    return y + noise.variance(y) * score


def _poisson(score: Tensor, y: Tensor, noise: Any) -> Tensor:
    gain = noise.variance(torch.ones_like(y))
    return (y + gain / 2) * (gain * score).exp()


def _gamma(score: Tensor, y: Tensor, noise: Any) -> Tensor:
    looks = 1 / noise.variance(torch.ones_like(y))
    return looks * y / (looks - 1 - y * score)


_TWEEDIE: dict[type, Callable[[Tensor, Tensor, Any], Tensor]] = {Gaussian: _gaussian, Poisson: _poisson, Gamma: _gamma}
