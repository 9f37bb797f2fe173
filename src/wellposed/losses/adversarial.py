"""Adversarial losses from measurements: what is reconstructed, measured again, shall look like measurements."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Literal, cast, final

import torch
from torch import Tensor, nn
from torch.nn.functional import softplus

from wellposed.core.errors import ArgumentError
from wellposed.core.names import check_name
from wellposed.core.tree import Tree
from wellposed.losses._residuals import difference, mean_square, one_tensor
from wellposed.losses._virtual import Operators, exchanged, with_noise
from wellposed.losses.base import Loss, Reconstructor
from wellposed.losses.discriminator import Discriminator
from wellposed.physics import Physics

__all__ = ["UAIR", "AmbientGAN", "Game"]

Game = Literal["cross entropy", "least squares"]
"""What discriminator and network play for."""


@dataclass(frozen=True)
class AdversarialLoss(Loss):
    r"""What the losses share whose judge is a discriminator D of measurements.

    ==================== =============================================== ================================
    game                 the discriminator minimises                     the network minimises
    ==================== =============================================== ================================
    ``"cross entropy"``  :math:`\log(1 + e^{-D(y)})                      :math:`\log(1 + e^{-D(\hat y)})`
                         + \log(1 + e^{D(\hat y)})`
    ``"least squares"``  :math:`(D(y) - 1)^2 + D(\hat y)^2`              :math:`(D(\hat y) - 1)^2`
    ==================== =============================================== ================================

    each the mean over all that D returns of an image. A loss has the value of the right column. Its gradient in the
    network is that of the right column too, with D as it is; its gradient in D is that of the left one, with the
    reconstruction as it is. So one `backward` serves both.
    """

    discriminator: Discriminator | nn.Module = field(repr=False, compare=False)
    operators: Operators = field(default=None, repr=False)
    game: Game = field(default="cross entropy", kw_only=True)

    def __post_init__(self) -> None:
        check_name("game", self.game, ("cross entropy", "least squares"))
        if not isinstance(self.discriminator, Discriminator):
            object.__setattr__(self, "discriminator", Discriminator(self.discriminator))

    def companions(self) -> tuple[Discriminator, ...]:
        """Return the discriminator."""
        return (self._judge,)

    def discriminator_loss(
        self, *, x_hat: Tensor, y: Tree, physics: Physics, generator: torch.Generator | None = None
    ) -> Tensor:
        """Return what the discriminator has to minimise, for each image; the reconstruction is a constant to it.

        Parameters
        ----------
        x_hat : Tensor, shape (B, *image_shape)
        y : Tensor, shape (B, *measurement_shape)
        physics : Physics
        generator : torch.Generator, optional

        Returns
        -------
        Tensor, shape (B,)
        """
        fake, _ = self._measured_again(x_hat.detach(), physics, generator)
        return self._uncovering(fake, y)

    def _measured_again(
        self, x_hat: Tensor, physics: Physics, generator: torch.Generator | None
    ) -> tuple[Tree, Physics]:
        if self.operators is not None:
            physics = exchanged(type(self).__name__, physics, len(x_hat), self.operators, generator)
        return with_noise(physics.operator(x_hat), physics, generator), physics

    @property
    def _judge(self) -> Discriminator:
        return cast("Discriminator", self.discriminator)

    def _played(self, fake: Tree, y: Tree) -> Tensor:
        """Return what the network minimises, and let the discriminator have the gradient of what it minimises."""
        fake = one_tensor(type(self).__name__, fake)
        value = self._real(self._judge.fixed(fake), is_real=True)
        if not torch.is_grad_enabled():
            return value
        other = self._uncovering(fake.detach(), y)
        return value + (other - other.detach())

    def _uncovering(self, fake: Tree, y: Tree) -> Tensor:
        real, fake = (one_tensor(type(self).__name__, measured) for measured in (y, fake))
        return self._real(self._judge(real), is_real=True) + self._real(self._judge(fake), is_real=False)

    def _real(self, verdict: Tensor, *, is_real: bool) -> Tensor:
        """Return how far verdicts are from the right one."""
        if self.game == "least squares":
            return (verdict - float(is_real)).square().mean(1)
        return softplus(-verdict if is_real else verdict).mean(1)


@final
@dataclass(frozen=True)
class AmbientGAN(AdversarialLoss):
    r"""Measure the reconstruction again, and let a discriminator judge whether it looks like measurements.

    .. math:: \ell = g\big( D(\hat y) \big), \qquad \hat y = N(A' \hat x)

    The measurements of all images have one distribution, and where that determines the distribution of images the
    network that fools every discriminator gives such images. It does not tell which image belongs to which
    measurements: add `MeasurementConsistency` or `SURE`. The noise of the physics is drawn anew, a constant to
    autograd. The discriminator learns beside the network, by one `backward`: the trainer sees to it, and in a loop of
    your own `for companion in loss.companions(): companion.step()`. One evaluation in training, one at test.

    Parameters
    ----------
    discriminator : Discriminator or nn.Module
        The network that judges, of which a `Discriminator` with its defaults is made; or one with others.
    operators : sequence of Operator, or callable, optional
        By which the reconstruction is measured again, as in `MultiOperatorImaging`; None: by its own.
    game : {"cross entropy", "least squares"}
        g is :math:`\log(1 + e^{-D})` or :math:`(D - 1)^2`.

    Raises
    ------
    UnknownNameError
        If there is no such game.

    References
    ----------
    Bora, Price, Dimakis, *AmbientGAN: generative models from lossy measurements*, ICLR 2018.
    Mao, Li, Xie, Lau, Wang, Smolley, *Least squares generative adversarial networks*, ICCV 2017, arXiv:1611.04076.

    Examples
    --------
    >>> import wellposed as wp
    >>> network = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(16, 1))
    >>> loss = AmbientGAN(Discriminator(network, learning_rate=1e-3))
    >>> y, physics = torch.rand(8, 1, 4, 4), wp.Physics(wp.operators.Identity(), wp.noise.Gaussian(0.1))
    >>> value = loss(x_hat=0.5 * y, y=y, physics=physics, model=None)
    >>> value.shape
    torch.Size([8])
    >>> value.mean().backward()
    >>> loss.companions()[0].step()
    """

    def __call__(
        self,
        *,
        x_hat: Tensor,
        y: Tree,
        physics: Physics,
        model: Reconstructor,  # noqa: ARG002
        x: Tensor | None = None,  # noqa: ARG002
        generator: torch.Generator | None = None,
    ) -> Tensor:
        """Return the loss of each image, shape (B,)."""
        fake, _ = self._measured_again(x_hat, physics, generator)
        return self._played(fake, y)


@final
@dataclass(frozen=True)
class UAIR(AdversarialLoss):
    r"""As `AmbientGAN`, and what was measured again shall come back from its own reconstruction.

    .. math:: \ell = g\big( D(\hat y) \big) + \frac{\lambda}{m} \| A' f(\hat y, A') - \hat y \|^2,
        \qquad \hat y = N(A' \hat x)

    Unsupervised adversarial image reconstruction: the second term keeps the network from forgetting its measurements.
    Two evaluations in training, one at test.

    Parameters
    ----------
    discriminator, operators, game
        As in `AmbientGAN`.
    consistency : float
        :math:`\lambda`, at least 0.

    Raises
    ------
    ArgumentError
        If the consistency is negative or not finite.
    UnknownNameError
        If there is no such game.

    References
    ----------
    Pajot, de Bezenac, Gallinari, *Unsupervised adversarial image reconstruction*, ICLR 2019.

    Examples
    --------
    >>> import wellposed as wp
    >>> discriminator = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(16, 1))
    >>> y, physics = torch.rand(8, 1, 4, 4), wp.Physics(wp.operators.Identity(), wp.noise.Gaussian(0.1))
    >>> UAIR(discriminator)(x_hat=y, y=y, physics=physics, model=lambda y, physics: 0.5 * y).shape
    torch.Size([8])
    """

    consistency: float = field(default=1.0, kw_only=True)

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 <= self.consistency < math.inf:
            raise ArgumentError(f"UAIR expects a finite consistency of at least 0, got {self.consistency!r}.")

    def __call__(
        self,
        *,
        x_hat: Tensor,
        y: Tree,
        physics: Physics,
        model: Reconstructor,
        x: Tensor | None = None,  # noqa: ARG002
        generator: torch.Generator | None = None,
    ) -> Tensor:
        """Return the loss of each image, shape (B,)."""
        fake, other = self._measured_again(x_hat, physics, generator)
        back = difference(other.operator(model(fake, other)), fake)
        return self._played(fake, y) + self.consistency * mean_square(back)
