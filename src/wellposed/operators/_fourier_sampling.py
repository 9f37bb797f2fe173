"""What the operators of Cartesian MRI share: coils, the centred transform, and the closed forms of one coil."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from wellposed.core.autograd import is_recorded
from wellposed.core.errors import ArgumentError, ShapeError
from wellposed.core.shapes import Field, check_tensor, fixed_shape
from wellposed.core.values import has_values, values_hold
from wellposed.operators._coils import checked_maps, combine, spread, with_sets
from wellposed.operators._fourier import frequency_phase, image_phase
from wellposed.operators.base import LinearOperator

__all__ = ["FourierSampling"]

_NUMBERS_IN_CACHE = 2**18


class FourierSampling(LinearOperator):
    """Weigh the centred Fourier transform of what each coil sees.

    Subclasses say what becomes of k-space: `_sample` it, `_collect` its samples (the transpose), what both do together
    (`_energy`, a diagonal), and `_undo` the sampling. On a processor a few coils go through at a time, what stays in
    its cache: fresh memory for the images of all would cost more than the transforms.

    Parameters
    ----------
    mask : Tensor, shape (B or 1, 1 or M, ...) with M channels of measurements
    image_shape : tuple of int
    measured : tuple of int
        The axes of the measurements after the channels.
    coil_maps : Tensor, optional
    space : int
        The number of last axes that are transformed.
    """

    image_field: Field = "complex"
    measurement_field: Field = "complex"
    mask: Tensor
    coil_maps: Tensor | None

    def __init__(
        self,
        mask: Tensor,
        image_shape: tuple[int, ...],
        measured: tuple[int, ...],
        coil_maps: Tensor | None,
        space: int,
    ) -> None:
        name = type(self).__name__
        maps = checked_maps(name, coil_maps, image_shape[0], image_shape[-space:])
        channels = image_shape[0] if maps is None else with_sets(maps, space).shape[2]
        _check_mask(name, mask, (channels, *measured))
        super().__init__(image_shape, (channels, *measured))
        self.register_parameter_tensor("mask", mask)
        if maps is None:
            self.register_buffer("coil_maps", None)
        else:
            self.register_parameter_tensor("coil_maps", maps)
        self._space = space

    @abstractmethod
    def _sample(self, k_space: Tensor) -> Tensor:
        """Return the samples of k-space, without its centring, of shape (B, M, ...)."""

    @abstractmethod
    def _collect(self, y: Tensor) -> Tensor:
        """Return the transpose of `_sample`."""

    @abstractmethod
    def _undo(self, y: Tensor) -> Tensor:
        """Return the pseudo-inverse of `_sample`."""

    @abstractmethod
    def _energy(self) -> Tensor:
        """Return the diagonal of `_collect` after `_sample`, with the axes of k-space."""

    def has_closed_form(self, name: str) -> bool:
        """Tell whether "gram", "norm", "pinv" or "prox" is a formula here: with coils only the first."""
        return super().has_closed_form(name) and (name == "gram" or self.coil_maps is None)

    def _forward(self, x: Tensor) -> Tensor:
        if self.coil_maps is None:
            return self._sample(self._transform(self._seen(x)))
        maps = self._maps_in_parts()
        samples = (self._sample(self._transform(spread(x, part))) for part in maps)
        if len(maps) == 1:
            return next(samples)
        if any(is_recorded(value) for value in (x, maps[0], self.mask)):
            return torch.cat(tuple(samples), dim=1)
        return _laid_side_by_side(samples, [part.shape[2] for part in maps])

    def _adjoint(self, y: Tensor) -> Tensor:
        if self.coil_maps is None:
            return self._combined(self._transform_back(self._collect(y)))
        parts = self._maps_in_parts()
        coils = [maps.shape[2] for maps in parts]
        images = (self._transform_back(self._collect(part)) for part in y.split(coils, dim=1))
        return _sum(combine(*pair) for pair in zip(images, parts, strict=True))

    def _gram(self, x: Tensor) -> Tensor:
        """Transform along those axes only along which the mask varies: along the others it commutes with F."""
        energy, axes = self._energy(), self._axes()
        acting = self._acting_axes()
        for axis in axes:
            energy = energy if axis in acting else energy.narrow(axis, 0, 1)
        if self.coil_maps is None:
            return self._combined(self._transform_back(energy * self._transform(self._seen(x), acting), acting))
        return _sum(
            combine(self._transform_back(energy * self._transform(spread(x, maps), acting), acting), maps)
            for maps in self._maps_in_parts()
        )

    def _norm(self) -> Tensor:
        if self.coil_maps is None:
            return self._energy().flatten(1).amax(1).sqrt()
        if not has_values(self.mask) or self._acting_axes() or self.mask.shape[1] > 1:
            return super()._norm()
        maps = with_sets(self.coil_maps, self._space)
        if maps.shape[1] == 1:
            largest = torch.linalg.vector_norm(maps, dim=2).flatten(1).amax(1)
        else:
            largest = torch.linalg.matrix_norm(maps.movedim((1, 2), (-1, -2)), ord=2).flatten(1).amax(1)
        return largest * self._energy().flatten(1).amax(1).sqrt()

    def _pinv(self, y: Tensor) -> Tensor:
        if self.coil_maps is not None:
            return super()._pinv(y)
        return self._combined(self._transform_back(self._undo(y)))

    def _prox(self, z: Tensor, y: Tensor, gamma: Tensor) -> Tensor:
        if self.coil_maps is not None:
            return super()._prox(z, y, gamma)
        k_space = self._transform(self._seen(z)) + gamma * self._collect(y)
        return self._combined(self._transform_back(k_space / (1 + gamma * self._energy())))

    def _axes(self) -> tuple[int, ...]:
        return tuple(range(-self._space, 0))

    def _acting_axes(self) -> tuple[int, ...]:
        """Return the axes along which the mask varies, as far as its values can be looked at."""
        wide = tuple(axis for axis in self._axes() if self.mask.shape[axis] > 1)
        if is_recorded(self.mask) or not has_values(self.mask):
            return wide
        varies = self.derived("varies", ("mask",), lambda: _varies(self.mask, wide))
        return tuple(axis for axis, is_acting in zip(wide, varies.tolist(), strict=True) if is_acting)

    def _transform(self, x: Tensor, axes: tuple[int, ...] | None = None) -> Tensor:
        axes = self._axes() if axes is None else axes
        return torch.fft.fftn(x, dim=axes, norm="ortho") if axes else x

    def _transform_back(self, k_space: Tensor, axes: tuple[int, ...] | None = None) -> Tensor:
        axes = self._axes() if axes is None else axes
        return torch.fft.ifftn(k_space, dim=axes, norm="ortho") if axes else k_space

    def _seen(self, x: Tensor) -> Tensor:
        """Return images as the one coil sees them, times the factor that centres the transform."""
        return self._image_phase() * x

    def _combined(self, images: Tensor) -> Tensor:
        """Return the transpose of `_seen`."""
        return self._image_phase().conj() * images

    def _image_phase(self) -> Tensor:
        sizes = self._sizes()
        return self.derived("image phase", ("mask",), lambda: image_phase(sizes, self.mask))

    def _weights(self) -> Tensor:
        """Return the mask times the factor that centres k-space."""
        sizes = self._sizes()
        return self.derived("weights", ("mask",), lambda: self.mask * frequency_phase(sizes, self.mask))

    def _centred_maps(self) -> Tensor:
        """Return the maps (B or 1, sets, coils, ..., *space) times the phase that centres the transform."""
        maps, sizes = self.coil_maps, self._sizes()
        assert maps is not None  # noqa: S101
        return self.derived("centred maps", ("coil_maps",), lambda: self._with_frames(maps) * image_phase(sizes, maps))

    def _with_frames(self, maps: Tensor) -> Tensor:
        """Return maps (B or 1, sets, coils, *space) with an axis of one for what comes before the space in an image."""
        return with_sets(maps, self._space).unflatten(2, (-1, *[1] * (len(self.image_shape) - 1 - self._space)))

    def _maps_in_parts(self) -> tuple[Tensor, ...]:
        """Return the centred maps, a few coils at a time; all at once where the mask differs from coil to coil."""
        maps = self._centred_maps()
        if maps.device.type != "cpu" or self.mask.shape[1] > 1:
            return (maps,)
        return maps.split(max(1, _NUMBERS_IN_CACHE // maps[0, :, 0].numel()), dim=2)

    def _sizes(self) -> tuple[int, ...]:
        return fixed_shape(type(self).__name__, self.image_shape)[-self._space :]


def _laid_side_by_side(parts: Iterator[Tensor], sizes: Sequence[int]) -> Tensor:
    """Join tensors along the channels as they come, each of which has so many."""
    first = next(parts)
    whole = first.new_empty((len(first), sum(sizes), *first.shape[2:]))
    rooms = whole.split(list(sizes), dim=1)
    rooms[0].copy_(first)
    for room, part in zip(rooms[1:], parts, strict=True):
        room.copy_(part)
    return whole


def _sum(images: Iterator[Tensor]) -> Tensor:
    """Add images as they come, so that few are there at a time."""
    total = next(images)
    for image in images:
        total = total + image
    return total


def _varies(mask: Tensor, axes: tuple[int, ...]) -> Tensor:
    flags = [(mask != mask.narrow(axis, 0, 1)).any() for axis in axes]
    return torch.stack(flags).cpu() if flags else torch.zeros(0, dtype=torch.bool)


def _check_mask(owner: str, mask: Tensor, measured: tuple[int | None, ...]) -> None:
    check_tensor(owner, "mask", mask)
    fits = mask.ndim == len(measured) + 1 and all(
        size in (1, full) for size, full in zip(mask.shape[1:], measured, strict=True)
    )
    if not fits or mask.is_complex():
        raise ShapeError(
            f"{owner} expects a real mask with a batch axis, B or 1, that fits k-space {measured} with the sizes there "
            f"or 1; got {mask.dtype} of shape {tuple(mask.shape)}."
        )
    if has_values(mask) and not is_recorded(mask) and not values_hold((mask != 0).flatten(1).any(1)):
        raise ArgumentError(f"{owner} has a mask that samples nothing: every image needs an entry that is not zero.")
