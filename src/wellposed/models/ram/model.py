"""RAM, the reconstruct anything model: one network, without iterations, for every linear problem."""

from __future__ import annotations

from typing import Literal, cast, final

import torch
from torch import Tensor

from wellposed.core.complex_view import channels_to_complex, complex_to_channels, real_view
from wellposed.core.errors import ShapeError, UnsupportedError
from wellposed.core.names import check_name
from wellposed.core.tree import Tree, per_image, tree_leaves, tree_map
from wellposed.models.base import Level
from wellposed.models.ram.blocks import CHANNELS
from wellposed.models.ram.noise_maps import noise_map, padded_map, per_image_level
from wellposed.models.ram.pyramid import build_pyramid
from wellposed.models.ram.trunk import Trunk
from wellposed.operators import Crop, Identity, LinearOperator
from wellposed.physics import Physics, as_physics

__all__ = ["RAM"]

_WIDTHS = {"base": (64, 128, 256, 512), "small": (32, 64, 128, 256)}
_FACTORS = (1, 2, 4, 8)
_MULTIPLE = 16
_SMALLEST_SIDE = 64
_LEAST_SIGMA = 5e-3
_LEAST_GAIN = 1e-4
_DIM = 5 * _LEAST_SIGMA
_EPSILON = 1e-4


@final
class RAM(Trunk):
    r"""Recover an image from the measurements of any linear physics, in one pass.

    A proximal step blends the backprojection :math:`A^H y` with the measurements,

    .. math:: x_0 = \arg\min_u \tfrac{\gamma}{2} \|A u - y\|^2 + \tfrac12 \|u - A^H y\|^2,

    with :math:`\gamma` from the signal-to-noise ratio. A U-shaped network refines it, whose blocks decode images at
    four scales, apply the normal operator :math:`A_s^H A_s` of that scale, and encode what comes out (Krylov subspace
    modules). Two maps tell it the noise: the standard deviation of the Gaussian part and the gain of the Poisson part.
    One trunk serves grey, complex and colour images.

    Parameters
    ----------
    size : {"base", "small"}
        "base" has the published layout, 35.6 million parameters; "small" has half its widths.
    proximal : bool
        Start from the proximal step; False: from the backprojection.
    krylov : bool
        Ask the physics in every block; False: only at the start.

    References
    ----------
    Terris et al., *Reconstruct Anything Model: a lightweight foundation model for computational imaging*, 2025,
    arXiv:2503.08915.

    Examples
    --------
    >>> import wellposed as wp
    >>> model = RAM("small").eval()
    >>> physics = wp.Physics(wp.operators.Downsample(2, (1, 32, 32)), wp.noise.Gaussian(0.01))
    >>> with torch.no_grad():
    ...     model(physics(torch.rand(1, 1, 32, 32)), physics).shape
    torch.Size([1, 1, 32, 32])
    """

    def __init__(self, size: Literal["base", "small"] = "base", *, proximal: bool = True, krylov: bool = True) -> None:
        super().__init__(_WIDTHS[check_name("size of RAM", size, _WIDTHS)], krylov=krylov)
        self.size = size
        self.proximal = proximal
        self.krylov = krylov

    def forward(self, y: Tree, physics: Physics, *, sigma: Level | None = None, gain: Level | None = None) -> Tensor:
        """Recover an image.

        Parameters
        ----------
        y : Tensor or tuple of Tensor, shape (B, *measurement_shape)
        physics : Physics
            With a linear operator on images of one, two or three real channels, or on complex images of one channel;
            also one of DeepInverse.
        sigma, gain : float or Tensor, shape (B,) or (B, 1, H, W), optional
            The noise level, by default that of the physics' noise model.

        Returns
        -------
        Tensor, shape (B, C, H, W)
            Complex if the images of the physics are.

        Raises
        ------
        ShapeError, DTypeError
            If the measurements do not fit the physics, or its images have another number of channels.
        UnsupportedError
            If the operator is not linear.
        """
        physics = as_physics(physics, y)
        operator = _linear(physics)
        scale = _dim_scale(y)
        with torch.autocast(scale.device.type, enabled=False):
            y = tree_map(lambda leaf: leaf / per_image(scale, leaf), y)
            back = cast("Tensor", operator.adjoint(y))
            _check_channels(back)
            sigma_map = noise_map(physics.noise, "sigma", sigma, back) / per_image(scale, back)
            gain_map = noise_map(physics.noise, "gain", gain, back) / per_image(scale, back)
            sigma_map, gain_map = sigma_map.clamp_min(_LEAST_SIGMA), gain_map.clamp_min(_LEAST_GAIN)
            guess = self._guess(y, back, operator, per_image_level(sigma_map))
        return per_image(scale, guess) * self._padded_pass(guess, back, operator, sigma_map, gain_map)

    def denoise(self, x: Tensor, *, sigma: Level = 0.0, gain: Level = 0.0) -> Tensor:
        """Remove Poisson and Gaussian noise from an image, shape (B, C, H, W)."""
        return self(x, Physics(Identity()), sigma=sigma, gain=gain)

    def _guess(self, y: Tree, back: Tensor, operator: LinearOperator, sigma: Tensor) -> Tensor:
        """Return the proximal step from the backprojection, weighted by the signal-to-noise ratio."""
        if not self.proximal:
            return back
        ratio = _mean_size(y) / (sigma + _EPSILON)
        gamma = self.fact_realign / (_EPSILON + 1 / ratio)
        return cast("Tensor", operator.prox(back, y, gamma.clamp_min(1e-8)))

    def _padded_pass(
        self, guess: Tensor, back: Tensor, operator: LinearOperator, sigma_map: Tensor, gain_map: Tensor
    ) -> Tensor:
        """Pad to what the network needs, let it work, and crop."""
        size = (guess.shape[-2], guess.shape[-1])
        padding = _padding(size)
        if any(padding):
            padded = (size[0] + padding[0], size[1] + padding[1])
            crop = Crop((guess.shape[1], *padded), corner=padding, size=size).to(back.device, operator.dtype)
            back, guess = (cast("Tensor", crop.adjoint(image)) for image in (back, guess))
            operator = operator @ crop
        operator = _sized(operator, back)
        maps = torch.cat([padded_map(level, size, padding) for level in (sigma_map, gain_map)], dim=1)
        pyramid = build_pyramid(operator, back, _FACTORS)
        if guess.is_complex():
            image = channels_to_complex(self.refine(complex_to_channels(guess), maps, pyramid))
        else:
            image = self.refine(guess, maps, pyramid)
        return image[..., padding[0] :, padding[1] :]


def _linear(physics: Physics) -> LinearOperator:
    if not isinstance(physics.operator, LinearOperator):
        raise UnsupportedError(f"RAM needs a linear operator, and {type(physics.operator).__name__} is not.")
    return physics.operator


def _sized(operator: LinearOperator, image: Tensor) -> LinearOperator:
    """Return the operator for images of the size of `image`, where it takes any."""
    if None not in operator.image_shape or "image_shape" not in operator.constructor_names():
        return operator
    arguments = {**operator.constructor_arguments(), "image_shape": tuple(image.shape[1:])}
    return type(operator)(**arguments).to(image.device, image.dtype.to_real())


def _check_channels(image: Tensor) -> None:
    channels = image.shape[1] * (2 if image.is_complex() else 1)
    if image.ndim != 4 or channels not in CHANNELS:
        raise ShapeError(
            f"RAM expects images (B, C, H, W) with one to three real channels or one complex one, "
            f"got {image.dtype} of shape {tuple(image.shape)}."
        )


def _dim_scale(y: Tree) -> Tensor:
    """Return what to divide each image by: its largest value where that is small, else one."""
    leaves = [real_view(leaf) if leaf.is_complex() else leaf for leaf in tree_leaves(y)]
    largest = torch.stack([leaf.abs().flatten(1).amax(1) for leaf in leaves]).amax(0)
    return torch.where(largest <= _DIM, torch.where(largest > 0, largest, 1e-12), 1)


def _mean_size(y: Tree) -> Tensor:
    """Return the mean absolute value of each image's measurements, shape (B,)."""
    leaves = [(real_view(leaf) if leaf.is_complex() else leaf).abs().flatten(1) for leaf in tree_leaves(y)]
    return torch.cat(leaves, dim=1).mean(1)


def _padding(size: tuple[int, int]) -> tuple[int, int]:
    """Return the rows to add on top and the columns to add on the left."""
    height, width = (max(_SMALLEST_SIDE, -(-side // _MULTIPLE) * _MULTIPLE) for side in size)
    return height - size[0], width - size[1]
