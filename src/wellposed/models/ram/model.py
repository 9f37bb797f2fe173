"""RAM, the reconstruct anything model: one network, without iterations, for every linear problem."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, NamedTuple, cast, final

import torch
from torch import Tensor

from wellposed.core.arguments import check_finite
from wellposed.core.complex_view import channels_to_complex, complex_to_channels, real_view
from wellposed.core.errors import ShapeError
from wellposed.core.names import check_name
from wellposed.core.shapes import check_tensor
from wellposed.core.tree import Tree, per_image, tree_leaves, tree_map
from wellposed.models.base import Level
from wellposed.models.pretrained import start_from
from wellposed.models.ram.blocks import CHANNELS, Conditioning
from wellposed.models.ram.noise_maps import noise_map, padded_map, per_image_level
from wellposed.models.ram.normalise import divided, unit_factor
from wellposed.models.ram.pyramid import build_pyramid
from wellposed.models.ram.trunk import Trunk
from wellposed.models.ram.volumes import by_slices, is_volume
from wellposed.operators import Crop, Identity, LinearOperator, Scaled
from wellposed.physics import Physics, as_physics

__all__ = ["RAM", "Exposure"]

_WIDTHS = {"base": (64, 128, 256, 512), "small": (32, 64, 128, 256)}
_FACTORS = (1, 2, 4, 8)
_MULTIPLE = 16
_SMALLEST_SIDE = 64
_LEAST_SIGMA = 5e-3
_LEAST_GAIN = 1e-4
_DIM = 5 * _LEAST_SIGMA
_EPSILON = 1e-4


class Exposure(NamedTuple):
    """The units in which RAM works, which it takes from the measurements as a whole."""

    factor: Tensor
    """c of A = c A', where A' has the norm that the network knows; 0-dim or shape (B,)."""
    scale: Tensor
    """What y / c is divided by: its largest value where that is small, else one; shape (B,)."""
    ratio: Tensor
    """The mean size of what results over the largest level of its Gaussian noise, shape (B,)."""


class _Prepared(NamedTuple):
    """What the trunk works on, with a margin on the upper and on the left side."""

    scale: Tensor
    """What the image is multiplied by in the end, shape (B,)."""
    guess: Tensor
    maps: Tensor
    pyramid: list[Conditioning]
    padding: tuple[int, int]
    """Rows of the margin, and columns."""


@final
class RAM(Trunk):
    r"""Recover an image from the measurements of any linear physics, in one pass.

    A proximal step blends the backprojection :math:`A^H y` with the measurements,

    .. math:: x_0 = \arg\min_u \tfrac{\gamma}{2} \|A u - y\|^2 + \tfrac12 \|u - A^H y\|^2,

    with :math:`\gamma` from the signal-to-noise ratio. A U-shaped network refines it, whose blocks decode images at
    four scales, apply the normal operator :math:`A_s^H A_s` of that scale, and encode what comes out (Krylov subspace
    modules). Two maps tell it the noise: the standard deviation of the Gaussian part and the gain of the Poisson part.
    One trunk serves grey, complex and colour images.

    The network was made for operators of norm one. Any other is divided by its norm, and so are the measurements and
    the noise levels; the image comes back in its own unit. The norm is computed once per operator, and told to the
    logger "wellposed" at level INFO. An operator within 1 % of that norm is taken as it is; so are those that take
    means, `Downsample` and `SpectralResponse`, as in the published implementation, and stacks of all these. A tuple of
    measurements, such as a small colour image and a large grey one, has one brightness and one noise level, the largest
    of its parts.

    Parameters
    ----------
    size : {"base", "small"}
        "base" has the published layout, 35.6 million parameters; "small" has half its widths.
    proximal : bool
        Start from the proximal step; False: from the backprojection.
    embedding : bool
        Show the measurements to every block, as their coarse backprojection and its normal image.
    krylov : bool
        Apply the normal operator to images of each block's own as well, which takes the embedding.
    weights : str or Path, optional
        Start from weights by name or from a file, as `weights.fill` takes them; None: from random ones.

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

    multiple = _MULTIPLE
    """What the height and the width inside the network are multiples of."""
    grid_from_end = True
    """Whether padding comes first, so that the grid of coarse pixels ends with the image."""

    def __init__(
        self,
        size: Literal["base", "small"] = "base",
        *,
        proximal: bool = True,
        embedding: bool = True,
        krylov: bool = True,
        weights: str | Path | None = None,
    ) -> None:
        super().__init__(_WIDTHS[check_name("size of RAM", size, _WIDTHS)], embedding=embedding, krylov=krylov)
        self.size = size
        self.proximal = proximal
        self.embedding = embedding
        self.krylov = krylov
        start_from(self, weights)

    def forward(
        self,
        y: Tree,
        physics: Physics,
        *,
        sigma: Level | None = None,
        gain: Level | None = None,
        exposure: Exposure | None = None,
    ) -> Tensor:
        """Recover an image, or a volume slice by slice.

        Parameters
        ----------
        y : Tensor or tuple of Tensor, shape (B, *measurement_shape)
        physics : Physics
            With a linear operator on images of one, two or three real channels, or on complex images of one channel;
            also one of DeepInverse. On volumes, one that acts on each slice by itself: an identity, a mask, `PerSlice`,
            a blur within the slices, and what is composed of them.
        sigma, gain : float or Tensor, shape (B,) or (B, 1, H, W), optional
            The noise level in the unit of the measurements, by default that of the physics' noise model; of a noise
            model with several parts, see `noise_map`.
        exposure : Exposure, optional
            The units of the network, by default those that `expose` reads from these measurements.

        Returns
        -------
        Tensor, shape (B, C, H, W) or (B, C, D, H, W)
            Complex if the images of the physics are; in the precision of the measurements, also under autocast.

        Raises
        ------
        ArgumentError
            If the measurements hold NaN or infinity.
        ShapeError, DTypeError
            If the measurements do not fit the physics, or its images have another number of channels.
        UnsupportedError
            If the operator is not linear, or joins the slices of a volume.
        """
        physics = as_physics(physics, y)
        if is_volume(physics.linear_operator):
            return by_slices(self, y, physics, {"sigma": sigma, "gain": gain})
        known = self._prepare(y, physics, sigma, gain, exposure)
        guess = _real(known.guess)
        image = self.refine(guess, known.maps, known.pyramid).to(guess.dtype)
        if known.guess.is_complex():
            image = channels_to_complex(image)
        return per_image(known.scale, image) * image[..., known.padding[0] :, known.padding[1] :]

    def expose(
        self,
        y: Tree,
        physics: Physics,
        *,
        sigma: Level | None = None,
        gain: Level | None = None,  # noqa: ARG002
    ) -> Exposure:
        """Return the units in which the network works, for measurements as a whole.

        Parameters
        ----------
        y : Tensor or tuple of Tensor, shape (B, *measurement_shape)
        physics : Physics
            With a linear operator.
        sigma, gain : float or Tensor, optional
            As for the model; only the first counts.
        """
        physics = as_physics(physics, y)
        return self._units(y, physics, cast("Tensor", physics.linear_operator.adjoint(y)), sigma)

    def _units(self, y: Tree, physics: Physics, back: Tensor, sigma: Level | None) -> Exposure:
        """Return the units, of measurements whose backprojection is known."""
        factor = unit_factor(physics.linear_operator, y)
        y = tree_map(lambda leaf: leaf / per_image(factor, leaf), y)
        largest = _largest_size(y)
        check_finite("the measurements", largest)
        scale = torch.where(largest <= _DIM, torch.where(largest > 0, largest, 1e-12), 1)
        unit = per_image(factor.abs() * scale, back)
        level = per_image_level((noise_map(physics.noise, "sigma", sigma, back) / unit).clamp_min(_LEAST_SIGMA))
        return Exposure(factor, scale, _mean_size(y) / scale / (level + _EPSILON))

    def denoise(self, x: Tensor, *, sigma: Level = 0.0, gain: Level = 0.0) -> Tensor:
        """Remove Poisson and Gaussian noise from an image, shape (B, C, H, W), or a volume, shape (B, C, D, H, W)."""
        check_tensor("RAM", "images", x)
        return self(x, Physics(Identity((None,) * (x.ndim - 1))), sigma=sigma, gain=gain)

    def _guess(self, y: Tree, back: Tensor, operator: LinearOperator, ratio: Tensor) -> Tensor:
        """Return the proximal step from the backprojection, weighted by the signal-to-noise ratio."""
        if not self.proximal:
            return back
        gamma = self.fact_realign / (_EPSILON + 1 / ratio)
        return cast("Tensor", operator.prox(back, y, gamma.clamp_min(1e-8)))

    @torch.compiler.disable  # type: ignore[untyped-decorator]
    def _prepare(
        self, y: Tree, physics: Physics, sigma: Level | None, gain: Level | None, exposure: Exposure | None
    ) -> _Prepared:
        """Return what the trunk works on. The compiler, which cannot look into every physics, sees the trunk alone."""
        operator = physics.linear_operator
        with torch.autocast(operator.device.type, enabled=False):
            back = cast("Tensor", operator.adjoint(y))
            _check_channels(back)
            factor, scale, ratio = self._units(y, physics, back, sigma) if exposure is None else exposure
            operator = divided(operator, factor)
            y = tree_map(lambda leaf: leaf / per_image(factor, leaf) / per_image(scale, leaf), y)
            unit = per_image(factor.abs() * scale, back)
            back = back / per_image(factor.abs(), back) / unit
            sigma_map = (noise_map(physics.noise, "sigma", sigma, back) / unit).clamp_min(_LEAST_SIGMA)
            gain_map = (noise_map(physics.noise, "gain", gain, back) / unit).clamp_min(_LEAST_GAIN)
            guess = self._guess(y, back, operator, ratio)
        size = (guess.shape[-2], guess.shape[-1])
        padding = _padding(size)
        if any(padding):
            padded = (size[0] + padding[0], size[1] + padding[1])
            crop = Crop((guess.shape[1], *padded), corner=padding, size=size).to(back.device, operator.dtype)
            back, guess = (cast("Tensor", crop.adjoint(image)) for image in (back, guess))
            operator = _on_padded(operator, crop)
        maps = torch.cat([padded_map(level, size, padding) for level in (sigma_map, gain_map)], dim=1)
        return _Prepared(scale, guess, maps, build_pyramid(_sized(operator, back), back, _FACTORS), padding)


def _real(image: Tensor) -> Tensor:
    return complex_to_channels(image) if image.is_complex() else image


def _on_padded(operator: LinearOperator, crop: Crop) -> LinearOperator:
    """Return the operator on padded images, its factor outermost."""
    if isinstance(operator, Scaled):
        return Scaled(operator.operator @ crop, operator.scale)
    return operator @ crop


def _sized(operator: LinearOperator, image: Tensor) -> LinearOperator:
    """Return the operator for images of the size of `image`, where it takes any."""
    if None not in operator.image_shape or "image_shape" not in operator.constructor_names():
        return operator
    arguments = {**operator.constructor_arguments(), "image_shape": tuple(image.shape[1:])}
    return type(operator)(**arguments).to(image.device, image.dtype.to_real())


def _check_channels(image: Tensor) -> None:
    channels = image.shape[1] * (2 if image.is_complex() else 1)
    if image.ndim != 4 or 0 in image.shape or channels not in CHANNELS:
        raise ShapeError(
            f"RAM expects images (B, C, H, W) with one to three real channels or one complex one, "
            f"got {image.dtype} of shape {tuple(image.shape)}."
        )


def _largest_size(y: Tree) -> Tensor:
    """Return the largest absolute value of each image's measurements, shape (B,)."""
    leaves = [real_view(leaf) if leaf.is_complex() else leaf for leaf in tree_leaves(y)]
    return torch.stack([leaf.abs().flatten(1).amax(1) for leaf in leaves]).amax(0)


def _mean_size(y: Tree) -> Tensor:
    """Return the mean absolute value of each image's measurements, shape (B,)."""
    leaves = [(real_view(leaf) if leaf.is_complex() else leaf).abs().flatten(1) for leaf in tree_leaves(y)]
    return torch.cat(leaves, dim=1).mean(1)


def _padding(size: tuple[int, int]) -> tuple[int, int]:
    """Return the rows to add on top and the columns to add on the left."""
    height, width = (max(_SMALLEST_SIDE, -(-side // _MULTIPLE) * _MULTIPLE) for side in size)
    return height - size[0], width - size[1]
