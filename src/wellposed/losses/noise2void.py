"""Blind to the pixel itself by training: Noise2Void and Noise2Self."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d, pad

from wellposed.core.arguments import check_whole
from wellposed.core.complex_view import real_dtype
from wellposed.core.errors import ArgumentError, UnsupportedError
from wellposed.core.rng import uniform_like
from wellposed.core.tree import Tree
from wellposed.losses._residuals import one_tensor
from wellposed.losses.drawn_input import Draw, DrawingLoss
from wellposed.operators import Identity
from wellposed.physics import Physics

__all__ = ["Noise2Self", "Noise2Void"]


@dataclass(frozen=True)
class _Blind(DrawingLoss):
    def _hidden(self, y: Tensor, physics: Physics, hidden: Tensor, replacement: Tensor) -> Draw:
        """Replace some pixels; the weights make the loss the mean over those."""
        shown = torch.where(hidden > 0, replacement, y)
        share = hidden.flatten(1).mean(1).clamp_min(1 / hidden[0].numel())
        weight = hidden / share.view(-1, *[1] * (y.ndim - 1))
        return Draw(shown, physics, y, physics.operator, weight, aside=hidden)

    def recombined(self, x_hats: list[Tensor], draws: list[Draw]) -> Tensor:
        """Return each pixel as it was foretold where it was hidden; where it never was, the mean."""
        hidden = torch.stack([draw.aside for draw in draws])
        images = torch.stack(x_hats)
        times = hidden.sum(0)
        return torch.where(times > 0, (hidden * images).sum(0) / times.clamp_min(1), images.mean(0))

    def _image(self, y: Tree, physics: Physics) -> Tensor:
        name = type(self).__name__
        y = one_tensor(name, y)
        if not isinstance(physics.operator, Identity) or y.ndim != 4:
            raise UnsupportedError(
                f"{name} denoises images (B, C, H, W), and the operator is {type(physics.operator).__name__} with "
                f"measurements of shape {tuple(y.shape)}: use Splitting."
            )
        return y


@final
@dataclass(frozen=True)
class Noise2Void(_Blind):
    r"""Put neighbours in the place of some pixels, and compare there.

    .. math:: \ell = \tfrac{1}{|M|} \sum_{i \in M} \big( f(y_{\setminus M})_i - y_i \big)^2

    For denoising. Assumes noise of mean zero that is independent from pixel to pixel (not from channel to channel), of
    any family and level. Given x, the mean is the risk in the hidden pixels plus the variance of the noise. The
    minimiser is :math:`E[x_i | y_{\setminus M}]`, which makes no use of the pixel itself. One evaluation in training;
    at test one, of the whole image, or with `draws` each pixel's mean over those in which it was hidden.

    Parameters
    ----------
    fraction : float
        The share of the pixels that are hidden, on average, between 0 and 1.
    radius : int
        How far away a replacement may be, along each axis; images wrap around.
    draws : int

    Raises
    ------
    ArgumentError
        If a number is out of its range; on a call, if the network was not adapted.
    UnsupportedError
        On a call, if the operator is not the identity.

    References
    ----------
    Krull, Buchholz, Jug, *Noise2Void: learning denoising from single noisy images*, CVPR 2019, arXiv:1811.10980.

    Examples
    --------
    >>> import wellposed as wp
    >>> physics = wp.Physics(wp.operators.Identity())
    >>> loss = Noise2Void(fraction=0.1)
    >>> model = loss.adapt(wp.models.ArtifactRemoval(wp.models.DnCNN(channels=1, depth=3, width=4)))
    >>> y = torch.rand(2, 1, 8, 8)
    >>> loss(x_hat=model(y, physics), y=y, physics=physics, model=model).shape
    torch.Size([2])
    """

    fraction: float = 0.02
    radius: int = 2

    def __post_init__(self) -> None:
        super().__post_init__()
        check_whole("Noise2Void", "radius", self.radius, least=1)
        if not 0 < self.fraction < 1:
            raise ArgumentError(f"Noise2Void expects a fraction between 0 and 1, got {self.fraction!r}.")

    def draw(self, y: Tree, physics: Physics, *, generator: torch.Generator | None = None) -> Draw:
        """Draw which pixels are hidden, and their replacements."""
        y = self._image(y, physics)
        like = torch.empty(len(y), 1, *y.shape[-2:], dtype=real_dtype(y.dtype), device=y.device)
        hidden = (uniform_like(like, generator) < self.fraction).to(like.dtype)
        return self._hidden(y, physics, hidden, self._neighbours(y, uniform_like(like, generator)))

    def _neighbours(self, y: Tensor, chance: Tensor) -> Tensor:
        """Return for each pixel one of those around it."""
        height, width = y.shape[-2:]
        side = 2 * self.radius + 1
        number = (chance * (side * side - 1)).long().clamp_max(side * side - 2)
        number = number + (number >= side * side // 2)
        rows = torch.arange(height, device=y.device)[:, None] + number // side - self.radius
        columns = torch.arange(width, device=y.device) + number % side - self.radius
        index = (rows % height) * width + columns % width
        return y.flatten(2).gather(2, index.flatten(2).expand(-1, y.shape[1], -1)).view_as(y)


@final
@dataclass(frozen=True)
class Noise2Self(_Blind):
    r"""Hide the pixels of a sparse grid behind the mean of their neighbours, and compare there.

    .. math:: \ell = \tfrac{1}{|J|} \sum_{i \in J} \big( f(y_{\setminus J})_i - y_i \big)^2

    The assumptions are those of `Noise2Void`. Grids of `spacing` x `spacing` pixels divide the image, so that at test
    `invariant=True` gives every pixel without having seen it, at the cost of as many evaluations. One evaluation in
    training.

    Parameters
    ----------
    spacing : int
        Pixels from one hidden pixel to the next, at least 2.
    invariant : bool
        Whether pixels are hidden at test too.

    Raises
    ------
    ArgumentError
        If the spacing is below 2; on a call, if the network was not adapted.
    UnsupportedError
        On a call, if the operator is not the identity.

    References
    ----------
    Batson, Royer, *Noise2Self: blind denoising by self-supervision*, ICML 2019, arXiv:1901.11365.

    Examples
    --------
    >>> import wellposed as wp
    >>> physics = wp.Physics(wp.operators.Identity())
    >>> loss = Noise2Self(spacing=3)
    >>> model = loss.adapt(wp.models.ArtifactRemoval(wp.models.DnCNN(channels=1, depth=3, width=4)))
    >>> y = torch.rand(2, 1, 9, 9)
    >>> loss(x_hat=model(y, physics), y=y, physics=physics, model=model).shape
    torch.Size([2])
    """

    spacing: int = 4
    invariant: bool = True

    def __post_init__(self) -> None:
        super().__post_init__()
        check_whole("Noise2Self", "spacing", self.spacing, least=2)

    def draw(self, y: Tree, physics: Physics, *, generator: torch.Generator | None = None) -> Draw:
        """Draw the place of the grid."""
        device = "cpu" if generator is None else generator.device
        place = torch.randint(self.spacing**2, (), generator=generator, device=device)
        return self._on_grid(self._image(y, physics), physics, int(place))

    def draws_at_test(
        self,
        y: Tree,
        physics: Physics,
        *,
        generator: torch.Generator | None,  # noqa: ARG002
    ) -> list[Draw]:
        """Return all grids, or none."""
        if not self.invariant:
            return []
        image = self._image(y, physics)
        return [self._on_grid(image, physics, place) for place in range(self.spacing**2)]

    def _on_grid(self, y: Tensor, physics: Physics, place: int) -> Draw:
        row, column = divmod(place, self.spacing)
        hidden = torch.zeros(len(y), 1, *y.shape[-2:], dtype=real_dtype(y.dtype), device=y.device)
        hidden[..., row :: self.spacing, column :: self.spacing] = 1
        return self._hidden(y, physics, hidden, _mean_of_neighbours(y))


def _mean_of_neighbours(y: Tensor) -> Tensor:
    """Return the mean of the eight pixels around each, of an image that is reflected at its borders."""
    if y.is_complex():
        return torch.complex(_mean_of_neighbours(y.real), _mean_of_neighbours(y.imag))
    return (9 * avg_pool2d(pad(y, (1, 1, 1, 1), mode="reflect"), 3, stride=1) - y) / 8
