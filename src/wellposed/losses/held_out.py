"""A score without the truth: some of what was measured is kept back, and has to be foretold."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, TypeAlias, final

import torch
from torch import Tensor

from wellposed.core.errors import ArgumentError, UnsupportedError
from wellposed.core.names import check_name
from wellposed.core.rng import normal_like
from wellposed.core.tree import Tree, tree_map
from wellposed.losses._noise_levels import levels
from wellposed.losses._residuals import count
from wellposed.losses._stein import total_variance
from wellposed.losses.drawn_input import Draw, DrawingLoss, compared
from wellposed.losses.noise2void import Noise2Self
from wellposed.losses.recorrupted import R2R
from wellposed.losses.splitting import Splitting
from wellposed.noise import Gamma, Gaussian, NoNoise, Poisson, PoissonGaussian
from wellposed.operators import CartesianMRI, Identity, LinearOperator, SequentialMRI
from wellposed.physics import Physics

__all__ = ["HeldOut", "Scheme", "hold_out"]

Scheme: TypeAlias = Literal["recorruption", "splitting", "hidden pixels"]
"""How something is kept back: a part of the noise, some of the measurements, or some of the pixels."""

_SPACING = 4
_CENTRE = 4
_SPECTRA = (CartesianMRI, SequentialMRI)


@final
@dataclass(frozen=True, eq=False)
class HeldOut:
    """Measurements of which something was kept back, so that any reconstructor can be scored without the truth.

    Parameters
    ----------
    y : Tensor or tuple, shape (B, *measurement_shape)
        What a reconstructor is shown.
    physics : Physics
        The physics of that.
    scheme : {"recorruption", "splitting", "hidden pixels"}
    noise_is_removed : bool
        Whether scores are estimates of the error itself; else the variance of the noise is in them too.
    """

    y: Tree
    physics: Physics
    scheme: Scheme
    noise_is_removed: bool
    _draw: Draw = field(repr=False)
    _variance: Tensor | float = field(repr=False)

    def score(self, x_hat: Tensor) -> Tensor:
        """Return the mean squared error of what a reconstruction of `y` foretells, for each image.

        Parameters
        ----------
        x_hat : Tensor, shape (B, *image_shape)
            ``model(held_out.y, held_out.physics)``

        Returns
        -------
        Tensor, shape (B,)
            In the square of the unit of the measurements. Without the noise it can be a little below zero by chance.
        """
        return compared(x_hat, self._draw) - self._variance


def hold_out(
    y: Tree,
    physics: Physics,
    *,
    scheme: Scheme | Literal["auto"] = "auto",
    share: float = 0.1,
    noise_is_known: bool = True,
    generator: torch.Generator | None = None,
) -> HeldOut:
    r"""Keep something of the measurements back, so that a reconstruction of the rest can be scored.

    What is kept back, :math:`y_b`, has noise that is independent of what is shown, :math:`y_a`. So the mean over the
    noise of :math:`\|W^{1/2}(A f(y_a) - y_b)\|^2` is the squared error there plus a constant, the variance of
    :math:`y_b`, which is taken away where the level is known:

    - ``"recorruption"`` keeps back a share of the information in every number (`R2R`), for Gaussian, Poisson or Gamma
      noise of known level. It says nothing about what the operator does not see.
    - ``"splitting"`` keeps back a share of the numbers (`Splitting`), for noise of mean zero that is independent from
      number to number. It also tells how well unseen numbers are foretold.
    - ``"hidden pixels"`` puts the mean of its neighbours in the place of every sixteenth pixel (`Noise2Self`), for
      denoising with noise that is independent from pixel to pixel.

    Parameters
    ----------
    y : Tensor or tuple, shape (B, *measurement_shape)
    physics : Physics
    scheme : {"auto", "recorruption", "splitting", "hidden pixels"}
        By default splitting, or for denoising recorruption where the noise is known, else hidden pixels.
    share : float
        How much is kept back, between 0 and 1; of hidden pixels always a sixteenth.
    noise_is_known : bool
        Whether the noise of the physics is to be trusted.
    generator : torch.Generator, optional
        Of the draw; torch's own by default.

    Raises
    ------
    ArgumentError
        If the share is not between 0 and 1, or Poisson measurements are no counts times the gain.
    UnknownNameError
        If there is no such scheme.
    UnsupportedError
        If the scheme does not suit the noise or the operator.

    References
    ----------
    Oliveira, Lei, Tibshirani, *Unbiased risk estimation in the normal means problem via coupled bootstrap techniques*,
    Electronic J. Statistics 18 (2024), arXiv:2111.09447.
    Batson, Royer, *Noise2Self: blind denoising by self-supervision*, ICML 2019, arXiv:1901.11365.

    Examples
    --------
    >>> import wellposed as wp
    >>> physics = wp.Physics(wp.operators.Identity(), wp.noise.Gaussian(0.1))
    >>> y = physics(torch.zeros(100, 1, 32, 32), generator=torch.Generator().manual_seed(0))
    >>> held_out = hold_out(y, physics, generator=torch.Generator().manual_seed(1))
    >>> held_out.scheme, round(float(held_out.score(torch.full_like(y, 0.1)).mean()), 3)
    ('recorruption', 0.01)
    """
    check_name("scheme", scheme, ("auto", "recorruption", "splitting", "hidden pixels"))
    if not 0 < share < 1:
        raise ArgumentError(f"hold_out expects a share between 0 and 1, got {share!r}.")
    if scheme == "auto":
        scheme = _suited(y, physics, noise_is_known=noise_is_known)
    drawing = _drawing(scheme, share, physics)
    with torch.no_grad():
        draw = drawing.draw(y, physics, generator=generator)
        if scheme == "splitting":
            draw = draw._replace(weight=_over_what_was_measured(draw, y, physics))
        variance = _variance(y, physics, 1 / share if scheme == "recorruption" else 1.0) if noise_is_known else None
        constant = 0.0 if variance is None else total_variance(_times(draw.weight, variance), y) / count(y)
    return HeldOut(draw.y, draw.physics, scheme, variance is not None, draw, constant)


def _suited(y: Tree, physics: Physics, *, noise_is_known: bool) -> Scheme:
    if not isinstance(physics.operator, Identity):
        return "splitting" if isinstance(y, Tensor) and y.ndim in (4, 5) else "recorruption"
    if noise_is_known and _can_be_recorrupted(y, physics):
        return "recorruption"
    return "hidden pixels" if isinstance(y, Tensor) and y.ndim == 4 else "splitting"


def _can_be_recorrupted(y: Tree, physics: Physics) -> bool:
    """Tell whether the noise is of a known family, and photons are whole ones."""
    try:
        R2R().draw(y, physics, generator=torch.Generator().manual_seed(0))
    except (ArgumentError, UnsupportedError):
        return False
    return True


def _drawing(scheme: Scheme, share: float, physics: Physics) -> DrawingLoss:
    if scheme == "recorruption":
        return R2R(alpha=share)
    if scheme == "hidden pixels":
        return Noise2Self(spacing=_SPACING)
    centre = _CENTRE if isinstance(physics.operator, _SPECTRA) else 0
    return Splitting(ratio=1 - share, compare="kept back", centre=centre)


def _over_what_was_measured(draw: Draw, y: Tree, physics: Physics) -> Tensor | None:
    """Return weights that make the mean square one over those numbers kept back that depend on the image at all."""
    operator = physics.operator
    if draw.weight is None or not isinstance(operator, LinearOperator) or not isinstance(y, Tensor):
        return draw.weight
    image = operator.adjoint(y)
    random = normal_like(torch.as_tensor(image), torch.Generator().manual_seed(0))
    clean = torch.as_tensor(operator(random))
    weight = draw.weight * (clean != 0)
    share = weight.flatten(1).mean(1).clamp_min(1 / y[0].numel())
    return weight / share.view(-1, *[1] * (y.ndim - 1))


def _variance(y: Tree, physics: Physics, factor: float) -> Tree | None:
    """Return the variance of each number, times a factor, without bias, or None where it is not known."""
    noise = physics.noise
    if isinstance(noise, NoNoise):
        return None
    if isinstance(noise, (Gaussian, Poisson, PoissonGaussian)):
        return tree_map(lambda leaf: factor * leaf, levels("hold_out", y, physics).at(y))
    if isinstance(noise, Gamma):
        variance = noise.variance(y)
        looks = tree_map(torch.reciprocal, noise.variance(tree_map(torch.ones_like, y)))
        return tree_map(lambda leaf, count: factor * leaf * count / (1 + count), variance, looks)
    return None


def _times(weight: Tensor | None, variance: Tree) -> Tree:
    return variance if weight is None else tree_map(lambda leaf: weight * leaf, variance)
