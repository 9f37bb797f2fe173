"""Priors that are known by a denoiser."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from wellposed.core.errors import ArgumentError
from wellposed.core.tree import inner, norm, per_image
from wellposed.optim.functional import Functional
from wellposed.optim.half_quadratic import DenoiserFunction

__all__ = ["RED", "DenoiserProx", "GradientStep", "Score"]


@dataclass(frozen=True)
class _DenoiserPrior(Functional):
    """A denoiser and the level that it is told."""

    denoiser: DenoiserFunction
    sigma: Tensor | float
    convex = False

    def __post_init__(self) -> None:
        if not callable(self.denoiser):
            raise ArgumentError(f"{type(self).__name__} expects a denoiser, got {type(self.denoiser).__name__}.")
        if not isinstance(self.sigma, Tensor) and not self.sigma > 0:
            raise ArgumentError(f"{type(self).__name__} expects sigma above zero, got {self.sigma}.")

    def denoise(self, x: Tensor) -> Tensor:
        """Return D(x, sigma)."""
        return self.denoiser(x, self._levels(x))

    def _levels(self, x: Tensor) -> Tensor:
        return torch.as_tensor(self.sigma, dtype=x.real.dtype, device=x.device).expand(len(x))


@dataclass(frozen=True)
class DenoiserProx(_DenoiserPrior):
    r"""Plug-and-play: a denoiser in place of the proximal step, whatever its size.

    .. math:: \mathrm{prox}_{\gamma g}(z) := D(z, \sigma)

    There need not be a function g of which it is the proximal step, so that it has no value.

    Parameters
    ----------
    denoiser : callable
        ``x_hat = denoiser(x, sigma)`` with sigma of shape (B,).
    sigma : Tensor or float, shape (B,) or (1,)
        What the denoiser is told, in the unit of the image, above zero.

    References
    ----------
    Venkatakrishnan, Bouman, Wohlberg, *Plug-and-play priors for model based reconstruction*, GlobalSIP 2013.

    Examples
    --------
    >>> DenoiserProx(lambda x, sigma: x / 2, 0.1).prox(torch.ones(1, 1, 2, 2), gamma=7.0).mean().item()
    0.5
    """

    def value(self, x: Tensor) -> Tensor:
        """Return NaN for each image, shape (B,): it is not known."""
        return x.real.new_full((len(x),), torch.nan)

    def prox(self, z: Tensor, gamma: float | Tensor) -> Tensor:  # noqa: ARG002
        """Return D(z, sigma)."""
        return self.denoise(z)


@dataclass(frozen=True)
class RED(_DenoiserPrior):
    r"""Regularisation by denoising: what a denoiser takes for noise is small, and unlike the image.

    .. math:: g(x) = \tfrac12 \langle x, x - D(x, \sigma) \rangle, \qquad \nabla g(x) := x - D(x, \sigma)

    The gradient is that of the value for denoisers that are locally homogeneous with a symmetric Jacobian; the field is
    used whether they are or not.

    Parameters
    ----------
    denoiser : callable
        ``x_hat = denoiser(x, sigma)`` with sigma of shape (B,).
    sigma : Tensor or float, shape (B,) or (1,)
        What the denoiser is told, in the unit of the image, above zero.

    References
    ----------
    Romano, Elad, Milanfar, *The little engine that could: regularization by denoising (RED)*, SIAM J. Imaging Sci. 10
    (2017). Reehorst and Schniter, *Regularization by denoising: clarifications and new interpretations*, IEEE Trans.
    Comput. Imaging 5 (2019).

    Examples
    --------
    >>> RED(lambda x, sigma: x / 2, 0.1).gradient(torch.ones(1, 1, 2, 2)).mean().item()
    0.5
    """

    def value(self, x: Tensor) -> Tensor:
        """Return the value for each image, shape (B,)."""
        return inner(x, x - self.denoise(x)).real / 2

    def gradient(self, x: Tensor) -> Tensor:
        """Return x - D(x)."""
        return x - self.denoise(x)

    def lipschitz(self) -> Tensor:
        """Return two, which holds if the denoiser is non-expansive."""
        return torch.full((1,), 2.0)


@dataclass(frozen=True)
class GradientStep(_DenoiserPrior):
    r"""The potential of a gradient-step denoiser, whose gradient is exact whatever the network.

    .. math:: g(x) = \tfrac12 \|x - N(x, \sigma)\|^2, \qquad D = \mathrm{Id} - \nabla g

    Parameters
    ----------
    denoiser : callable
        The network N, ``denoiser(x, sigma)`` with sigma of shape (B,), differentiable.
    sigma : Tensor or float, shape (B,) or (1,)
        What the network is told, in the unit of the image, above zero.

    References
    ----------
    Hurault, Leclaire, Papadakis, *Gradient step denoiser for convergent plug-and-play*, ICLR 2022, arXiv:2110.03220.
    """

    def value(self, x: Tensor) -> Tensor:
        """Return the value for each image, shape (B,)."""
        return norm(x - self.denoise(x)).square() / 2

    def gradient(self, x: Tensor) -> Tensor:
        """Return x - N(x) - J^T (x - N(x)), by differentiation of the value."""
        with torch.enable_grad():
            leaf = x if x.requires_grad else x.detach().requires_grad_()
            (slope,) = torch.autograd.grad(self.value(leaf).sum(), leaf, create_graph=x.requires_grad)
        return slope

    def lipschitz(self) -> Tensor:
        """Return infinity: it is not known, and found by backtracking."""
        return torch.full((1,), torch.inf)

    def gradient_step(self, x: Tensor) -> Tensor:
        """Return the denoised image, x less the gradient."""
        return x - self.gradient(x)


@dataclass(frozen=True)
class Score(_DenoiserPrior):
    r"""Minus the logarithm of the density of noisy images, whose gradient Tweedie's formula gives.

    .. math:: \nabla g(x) = -\nabla \log p_\sigma(x) = \frac{x - D(x, \sigma)}{\sigma^2}

    for a denoiser that is the conditional mean.

    Parameters
    ----------
    denoiser : callable
        ``x_hat = denoiser(x, sigma)`` with sigma of shape (B,).
    sigma : Tensor or float, shape (B,) or (1,)
        The level of noise, in the unit of the image, above zero.

    References
    ----------
    Robbins, *An empirical Bayes approach to statistics*, Berkeley Symposium 1956. Laumont et al., *Bayesian imaging
    using plug & play priors: when Langevin meets Tweedie*, SIAM J. Imaging Sci. 15 (2022).
    """

    def value(self, x: Tensor) -> Tensor:
        """Return NaN for each image, shape (B,): it is not known."""
        return x.real.new_full((len(x),), torch.nan)

    def gradient(self, x: Tensor) -> Tensor:
        """Return (x - D(x)) / sigma^2."""
        return (x - self.denoise(x)) / per_image(self._levels(x).square(), x)

    def lipschitz(self) -> Tensor:
        """Return 1 / sigma^2, which holds where the density of the images before the noise is log-concave."""
        return torch.as_tensor(self.sigma, dtype=torch.get_default_dtype()).reshape(-1).square().reciprocal()
