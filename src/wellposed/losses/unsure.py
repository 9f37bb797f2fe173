"""Unknown noise: Stein's estimate with its noise level replaced by a multiplier that is learnt."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, final

import torch
from torch import Tensor
from torch.nn.functional import conv2d, pad

from wellposed.core.complex_view import complex_to_channels, real_dtype
from wellposed.core.errors import ArgumentError, ShapeError
from wellposed.core.names import check_name
from wellposed.core.precision import in_own_precision
from wellposed.core.tree import Tree
from wellposed.losses._residuals import one_tensor
from wellposed.losses._stein import Noise, SteinLoss
from wellposed.losses.multipliers import Multipliers
from wellposed.physics import Physics

__all__ = ["UNSURE"]

_GAIN_RATE = 4.0


@final
@dataclass(frozen=True)
class UNSURE(SteinLoss):
    r"""Stein's estimate without a noise level, of which only the kind is known.

    .. math:: \min_f \max_\eta\; \tfrac1m \Big( \|A f(y) - y\|^2
        + 2 \sum_{i, j} \Sigma_\eta(y)_{ij}\, \frac{\partial (A f)_i}{\partial y_j}(y) \Big)

    ========================= ==================================== ==========================================
    unknown                   :math:`\Sigma_\eta(y)`               multipliers
    ========================= ==================================== ==========================================
    ``"level"``               :math:`\eta I`                       one
    ``"covariance"``          convolution, circular, with an even  the kernel, `kernel_size` x `kernel_size`
                              kernel
    ``"poisson_gaussian"``    :math:`\mathrm{diag}(\gamma y        :math:`\eta, \gamma`
                              + \eta)`
    ========================= ==================================== ==========================================

    The multipliers enforce that the network does not move, on average, along with its input, whatever the noise of
    that kind. For white noise the multiplier becomes :math:`\sigma^2 / (1 - \mathrm{MMSE} / \sigma^2)`, and the error
    :math:`\mathrm{MMSE} / (1 - \mathrm{MMSE} / \sigma^2)`: a little more than the least possible one. The noise of the
    physics is not asked. Two evaluations in training, one at test.

    The multipliers are state of the loss; `companions()` gives them to the trainer, which moves and keeps them beside
    the weights, of a copy.

    Parameters
    ----------
    unknown : {"level", "covariance", "poisson_gaussian"}
    start : float
        First value of :math:`\eta` (the centre of a kernel), in the square of the unit of the measurements.
    rate, momentum : float
        Of the ascent; see `Multipliers`. The defaults are for images in [0, 1], where the multiplier settles within
        some hundred steps; where it swings instead of settling, lower the rate. :math:`\gamma` has four times the rate,
        so that :math:`\gamma y` climbs as fast as :math:`\eta` where y is a half.
    kernel_size : int
        Odd; for "covariance".
    step : float, optional
        Of the finite difference, as in `SURE`; None: by autograd.

    Raises
    ------
    UnknownNameError
        If nothing of that name can be unknown.
    ArgumentError
        If a number is out of its range; on a call, if the network is one that draws its input.
    ShapeError
        On a call, if the covariance is unknown and measurements are not images (B, C, H, W).

    References
    ----------
    Tachella, Davies, Jacques, *UNSURE: self-supervised learning with unknown noise level and Stein's unbiased risk
    estimate*, ICLR 2025, arXiv:2409.01985.

    Examples
    --------
    >>> import wellposed as wp
    >>> loss = UNSURE(start=0.01)
    >>> y, physics = torch.rand(1, 1, 8, 8), wp.Physics(wp.operators.Identity())
    >>> loss(x_hat=0.5 * y, y=y, physics=physics, model=lambda y, physics: 0.5 * y).sum().backward()
    >>> loss.companions()[0].step()
    >>> bool(loss.companions()[0].value > 0.01)
    True
    """

    unknown: Literal["level", "covariance", "poisson_gaussian"] = "level"
    start: float = 0.0025
    rate: float = 1e-5
    momentum: float = 0.9
    kernel_size: int = 3
    _learnt: Multipliers = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        super().__post_init__()
        check_name("unknown", self.unknown, ("level", "covariance", "poisson_gaussian"))
        if not 0 <= self.start < float("inf"):
            raise ArgumentError(f"UNSURE expects a finite start of at least 0, got {self.start!r}.")
        if self.kernel_size < 1 or self.kernel_size % 2 == 0:
            raise ArgumentError(f"UNSURE expects an odd kernel_size, got {self.kernel_size!r}.")
        least = None if self.unknown == "covariance" else 0.0
        rate = self.rate * torch.tensor([1.0, _GAIN_RATE]) if self.unknown == "poisson_gaussian" else self.rate
        learnt = Multipliers(self._first(), rate=rate, momentum=self.momentum, least=least)
        object.__setattr__(self, "_learnt", learnt)

    def _first(self) -> Tensor:
        if self.unknown == "level":
            return torch.tensor([self.start])
        if self.unknown == "poisson_gaussian":
            return torch.tensor([self.start, 0.0])
        kernel = torch.zeros(self.kernel_size, self.kernel_size)
        kernel[self.kernel_size // 2, self.kernel_size // 2] = self.start
        return kernel

    def companions(self) -> tuple[Multipliers, ...]:
        """Return the multipliers; the value of the only entry is what is learnt."""
        return (self._learnt,)

    def _noise(self, y: Tree, physics: Physics, probe: Tree) -> Noise:  # noqa: ARG002
        return Noise(self._weighted(one_tensor("UNSURE", probe), one_tensor("UNSURE", y)), 0.0)

    def _weighted(self, probe: Tensor, y: Tensor) -> Tensor:
        """Return the covariance, as far as it is learnt, times the probe."""
        eta = self._learnt.value.to(y.device, real_dtype(y.dtype))
        if self.unknown == "level":
            return eta * probe
        if self.unknown == "poisson_gaussian":
            return (eta[1] * y + eta[0]) * probe
        if probe.ndim != 4:
            raise ShapeError(
                f"UNSURE learns the covariance of images (B, C, H, W), and the measurements are {tuple(y.shape)}."
            )
        return _convolve(probe, (eta + eta.flip((0, 1))) / 2)


@in_own_precision
def _convolve(image: Tensor, kernel: Tensor) -> Tensor:
    """Convolve each channel circularly with one kernel."""
    channels = complex_to_channels(image) if image.is_complex() else image
    margin = kernel.shape[-1] // 2
    wrapped = pad(channels.flatten(0, 1)[:, None], [margin] * 4, mode="circular")
    result = conv2d(wrapped, kernel[None, None]).view(channels.shape)
    return torch.complex(*result.chunk(2, dim=1)) if image.is_complex() else result
