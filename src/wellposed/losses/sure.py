"""Stein's unbiased risk estimate: the supervised loss in the measurements, from measurements alone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import final

import torch
from torch import Tensor

from wellposed.core.tree import Tree, inner, tree_map
from wellposed.losses._noise_levels import levels
from wellposed.losses._stein import Noise, SteinLoss, total_variance
from wellposed.physics import Physics

__all__ = ["SURE"]


@final
@dataclass(frozen=True)
class SURE(SteinLoss):
    r"""Estimate :math:`\tfrac1m \|A \hat x - A x\|^2` without x, for noise of known level.

    .. math:: \ell = \tfrac1m \Big( \|A f(y) - y\|^2 + 2 \sum_i v_i \frac{\partial (A f)_i}{\partial y_i}(y)
        - \sum_i v_i \Big), \qquad v_i = \gamma y_i + \sigma^2

    :math:`v` is :math:`\sigma^2` for Gaussian noise, :math:`\gamma y` for Poisson noise, both for Poisson-Gaussian
    noise; level and gain come from the physics, for each image. The derivatives are estimated with one random probe
    :math:`\omega \sim \mathcal N(0, I)`, by a finite difference,

    .. math:: \sum_i v_i \partial_i (A f)_i \approx \tfrac1\tau\, (v \odot \omega)^T
        \big( A f(y + \tau \omega) - A f(y) \big),

    or by autograd. Of complex numbers both parts have noise and derivatives.

    The mean over the noise is the supervised risk: exactly for Gaussian noise (:math:`\tau \to 0`); with photons
    exactly for affine f, otherwise up to terms :math:`O(\gamma^2)` with second derivatives of f. Its minimiser is
    :math:`E[x | y]` where A is invertible; elsewhere it says nothing about the null space of A. Two evaluations in
    training, one at test.

    Parameters
    ----------
    step : float, optional
        :math:`\tau`, relative to the largest number of each image's measurements. None: by autograd, which is exact,
        and needs a network that is twice differentiable.
    covariance : callable, optional
        :math:`u \mapsto \Sigma u` on measurements, for Gaussian noise of that covariance; then the noise of the physics
        is not asked. The probe becomes :math:`\Sigma \omega`.

    Raises
    ------
    ArgumentError
        If the step is not between 0 and 1; on a call, if the network is one that draws its input.
    UnsupportedError
        On a call, if the noise is of another family, or there is none.

    References
    ----------
    Stein, *Estimation of the mean of a multivariate normal distribution*, Annals of Statistics 9 (1981),
    doi:10.1214/aos/1176345632.
    Ramani, Blu, Unser, *Monte-Carlo SURE*, IEEE Trans. Image Processing 17 (2008), doi:10.1109/TIP.2008.2001404.
    Le Montagner, Angelini, Olivo-Marin, *An unbiased risk estimator for image denoising in the presence of mixed
    Poisson-Gaussian noise*, IEEE Trans. Image Processing 23 (2014), doi:10.1109/TIP.2014.2300821.

    Examples
    --------
    The identity repeats the noise, and its risk is the variance.

    >>> import wellposed as wp
    >>> physics = wp.Physics(wp.operators.Identity(), wp.noise.Gaussian(0.1))
    >>> y = torch.rand(1, 1, 200, 200, dtype=torch.float64)
    >>> risk = SURE()(x_hat=y, y=y, physics=physics, model=lambda y, physics: y)
    >>> bool(abs(risk - 0.01) < 1e-3)
    True
    """

    covariance: Callable[[Tensor], Tensor] | None = field(default=None, repr=False, kw_only=True)

    def _noise(self, y: Tree, physics: Physics, probe: Tree) -> Noise:
        if self.covariance is None:
            variance = levels("SURE", y, physics).at(y)
            return Noise(tree_map(torch.mul, variance, probe), total_variance(variance, y))
        weighted = tree_map(self.covariance, probe)
        return Noise(weighted, inner(probe, weighted).real)
