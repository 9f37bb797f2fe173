"""Recorrupted to recorrupted: one noisy measurement becomes two independent ones."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple, final

import torch
from torch import Tensor

from wellposed.core.arguments import check_whole
from wellposed.core.errors import ArgumentError, UnsupportedError
from wellposed.core.rng import normal_like
from wellposed.core.tree import Tree
from wellposed.core.values import values_hold
from wellposed.losses._residuals import one_tensor
from wellposed.losses.drawn_input import Draw, DrawingLoss
from wellposed.noise import Gamma, Gaussian, NoiseModel, Poisson
from wellposed.physics import Physics

__all__ = ["R2R"]


@final
@dataclass(frozen=True)
class R2R(DrawingLoss):
    r"""Split noise of known level into two independent parts, one for the network and one to compare with.

    .. math:: \ell = \tfrac1m \|A f(y_a) - y_b\|^2, \qquad y_b = \tfrac1\alpha \big( y - (1 - \alpha)\, y_a \big)

    - Gaussian: :math:`y_a = y + \sqrt{\alpha / (1 - \alpha)}\, \omega` with :math:`\omega \sim \mathcal N(0, \sigma^2
      I)`, of level :math:`\sigma / \sqrt{1 - \alpha}`;
    - Poisson: :math:`y_a = (y - \gamma \omega) / (1 - \alpha)` with :math:`\omega \sim \mathrm{Bin}(y / \gamma,
      \alpha)`, of gain :math:`\gamma / (1 - \alpha)`;
    - Gamma: :math:`y_a = y (1 - \omega) / (1 - \alpha)` with :math:`\omega \sim \mathrm{Beta}(L \alpha, L (1 -
      \alpha))`, of :math:`L (1 - \alpha)` looks.

    Given x, the two are independent and of mean A x, so that the mean of the loss is the supervised risk
    :math:`\tfrac1m E\|A f(y_a) - A x\|^2` plus a constant, the mean variance of :math:`y_b`: :math:`\sigma^2 / \alpha`,
    :math:`\gamma A x / \alpha` or :math:`(A x)^2 / (L \alpha)`. The network is told the level of :math:`y_a`. One
    evaluation in training; at test the mean of `draws` of them.

    Parameters
    ----------
    alpha : float
        How much of the information is kept back, between 0 and 1.
    draws : int
        Evaluations at test, at least one.

    Raises
    ------
    ArgumentError
        If `alpha` is not between 0 and 1; on a call, if Poisson measurements are no counts times the gain, or the
        network was not adapted.
    UnsupportedError
        On a call, if the noise is of another family.

    References
    ----------
    Pang, Zheng, Quan, Ji, *Recorrupted-to-recorrupted: unsupervised deep learning for image denoising*, CVPR 2021.
    Monroy, Bacca, Tachella, *Generalized recorrupted-to-recorrupted: self-supervised learning beyond Gaussian noise*,
    CVPR 2025, arXiv:2412.04648.

    Examples
    --------
    >>> import wellposed as wp
    >>> physics = wp.Physics(wp.operators.Identity(), wp.noise.Gaussian(0.1))
    >>> loss = R2R(alpha=0.2)
    >>> model = loss.adapt(wp.models.ArtifactRemoval(wp.models.DnCNN(channels=1, depth=3, width=4)))
    >>> y = torch.rand(2, 1, 8, 8)
    >>> loss(x_hat=model(y, physics), y=y, physics=physics, model=model).shape
    torch.Size([2])
    """

    alpha: float = 0.15
    draws: int = field(default=5, kw_only=True)

    def __post_init__(self) -> None:
        check_whole("R2R", "draws", self.draws, least=1)
        if not 0 < self.alpha < 1:
            raise ArgumentError(f"R2R expects alpha between 0 and 1, got {self.alpha!r}.")

    def draw(self, y: Tree, physics: Physics, *, generator: torch.Generator | None = None) -> Draw:
        """Draw two independent measurements of the same image."""
        y, noise = one_tensor("R2R", y), physics.noise
        recorrupt = _RECORRUPT.get(type(noise))
        if recorrupt is None:
            raise UnsupportedError(
                "R2R needs Gaussian, Poisson or Gamma noise of known level, and the physics has "
                f"{type(noise).__name__}: name the noise in wp.Physics, or use Splitting, which needs no level."
            )
        part = recorrupt(y, noise, self.alpha, generator)
        target = (y - (1 - self.alpha) * part.y) / self.alpha
        return Draw(part.y, Physics(physics.operator, part.noise), target, physics.operator)


class _Part(NamedTuple):
    y: Tensor
    noise: NoiseModel


def _gaussian(y: Tensor, noise: Any, alpha: float, generator: torch.Generator | None) -> _Part:
    sigma = noise.variance(y).sqrt()
    noisier = y + (alpha / (1 - alpha)) ** 0.5 * sigma * normal_like(y, generator)
    return _Part(noisier, noise.with_params(sigma=noise.sigma / (1 - alpha) ** 0.5))


def _poisson(y: Tensor, noise: Any, alpha: float, generator: torch.Generator | None) -> _Part:
    gain = noise.variance(torch.ones_like(y))
    counts = (y / gain).round()
    if not values_hold((counts >= 0) & ((y / gain - counts).abs() <= 1e-2 * (1 + counts.sqrt()))):
        raise ArgumentError(
            "R2R splits photons, and these measurements are no counts times the gain: "
            "check the gain, or give Gaussian noise of the same variance."
        )
    device = y.device if generator is None else generator.device
    taken = torch.binomial(counts.to(device), torch.full_like(counts, alpha, device=device), generator=generator)
    thinned = gain * (counts - taken.to(y.device)) / (1 - alpha)
    return _Part(thinned, noise.with_params(gain=noise.gain / (1 - alpha)))


def _gamma(y: Tensor, noise: Any, alpha: float, generator: torch.Generator | None) -> _Part:
    looks = 1 / noise.variance(torch.ones_like(y))
    device = y.device if generator is None else generator.device
    taken, left = (
        torch._standard_gamma((share * looks).to(device), generator=generator).to(y.device)
        for share in (alpha, 1 - alpha)
    )
    kept = left / (taken + left)
    return _Part(y * kept / (1 - alpha), noise.with_params(looks=noise.looks * (1 - alpha)))


_RECORRUPT: dict[type, Callable[[Tensor, Any, float, torch.Generator | None], _Part]] = {
    Gaussian: _gaussian,
    Poisson: _poisson,
    Gamma: _gamma,
}
