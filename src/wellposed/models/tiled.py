"""Large images, tile by tile."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from typing import Any, cast, final

import torch
from torch import Tensor, nn

from wellposed.core.arguments import check_callable, check_whole
from wellposed.core.errors import ArgumentError, ShapeError, UnsupportedError
from wellposed.core.tree import Tree, tree_map
from wellposed.models._tiles import Tile, tiles_along
from wellposed.models.base import Level, level_map
from wellposed.noise import NoiseModel, PerPart
from wellposed.operators._slices import of_images
from wellposed.operators._windows import Region, RegionTree, cut, cut_tree, grid_step, window
from wellposed.physics import Physics, as_physics

__all__ = ["Tiled"]

_STEP = 16
_IMAGE_AXES = 4

Progress = Callable[[int, int], Any]


@final
class Tiled(nn.Module):
    r"""Let a model work on overlapping tiles of large images, in bounded memory.

    Each tile is a window of the image with `overlap` pixels more on every side than are kept of it. What a model takes
    from the measurements as a whole, such as their brightness, it is told for the whole image. So the result differs
    from that of the untiled model by what a pixel feels of others more than `overlap` away.

    It takes a denoiser, called as `tiled(x, sigma)`, or a reconstructor, called as `tiled(y, physics)` with a physics
    that is local: `Identity`, `Mask`, `BayerMosaic`, `SpectralResponse`, `Blur` by small kernels with any borders,
    `Downsample`, and their multiples, compositions, sums and stacks. Others are refused. Tiles at one end of the image
    hold pixels of the other too, where periodic filters reach.

    Parameters
    ----------
    model : callable
        `model(x, sigma)` or `model(y, physics)`.
    size : int
        Height and width of the tiles, at most; images no larger go to the model as they are.
    overlap : int
        How many pixels a tile holds beyond those that are kept; rounded up to the grid of the model, of 16 pixels.

    Raises
    ------
    ArgumentError
        If something is no whole number, or the size less than four overlaps and one step of the grid.

    Examples
    --------
    >>> from wellposed.models import DenoiserTiny
    >>> denoiser = DenoiserTiny(channels=1).eval()
    >>> x = torch.rand(1, 1, 150, 100)
    >>> with torch.no_grad():
    ...     tiled = Tiled(denoiser, size=96, overlap=16)(x, sigma=0.1)
    >>> tiled.shape
    torch.Size([1, 1, 150, 100])
    """

    def __init__(self, model: Callable[..., Tensor], size: int = 512, overlap: int = 64) -> None:
        super().__init__()
        check_callable("Tiled", "the model", model)
        check_whole("Tiled", "overlap", overlap, least=0)
        check_whole("Tiled", "size", size, least=1)
        self.model, self.size, self.overlap = model, size, overlap
        self._check_size(self._step(1))

    def forward(
        self,
        y: Tree,
        physics: Physics | Level | None = None,
        *,
        sigma: Level | None = None,
        gain: Level | None = None,
        callback: Progress | None = None,
    ) -> Tensor:
        """Recover large images, or denoise them.

        Parameters
        ----------
        y : Tensor or tuple of Tensor, shape (B, *measurement_shape)
            For a denoiser, the images (B, C, H, W).
        physics : Physics; for a denoiser, float or Tensor
            What the model wants beside them: the physics, or the noise level sigma; nothing for a blind denoiser.
        sigma, gain : float or Tensor, shape (B,) or (B, 1, H, W), optional
            Handed to a reconstructor that takes noise levels, if given. Without a physics, sigma is that of a denoiser.
        callback : callable, optional
            Called as `callback(done, total)` after each tile, for progress bars.

        Returns
        -------
        Tensor, shape (B, C, H, W)

        Raises
        ------
        UnsupportedError
            If the operator is not known to be local.
        ShapeError
            If the images are not (B, C, H, W), or the measurements do not fit.
        """
        if physics is None:
            return self._denoise(y, sigma, callback)
        if isinstance(physics, (int, float, Tensor)):
            return self._denoise(y, physics, callback)
        levels = {name: level for name, level in (("sigma", sigma), ("gain", gain)) if level is not None}
        return self._reconstruct(y, as_physics(physics, y), levels, callback)

    def _denoise(self, x: Any, sigma: Level | None, callback: Progress | None) -> Tensor:
        _check_images(x)
        levels = () if sigma is None else (level_map("Tiled", "sigma", sigma, x),)

        def recover(index: int, region: Region) -> Tensor:
            known = (cut(_of_image(level, index), region) for level in levels)
            return self.model(cut(x[index : index + 1], region), *known)

        return self._assemble(x, recover, self._step(1), around=False, callback=callback)

    def _reconstruct(self, y: Tree, physics: Physics, levels: dict[str, Level], callback: Progress | None) -> Tensor:
        operator = physics.linear_operator
        image: Any = operator.adjoint(y)
        _check_images(image)
        maps = {name: level_map("Tiled", name, level, image) for name, level in levels.items()}
        expose = getattr(self.model, "expose", None)
        exposure = None if expose is None else expose(y, physics, **levels)

        def recover(index: int, region: Region) -> Tensor:
            own, seen = window(of_images(operator, index, index + 1), region)
            noise = _cut_noise(of_images(physics.noise, index, index + 1), seen)
            known: dict[str, Any] = {name: cut(_of_image(level, index), region) for name, level in maps.items()}
            if expose is not None:
                known["exposure"] = _of_image(exposure, index)
            mine = tree_map(lambda leaf: leaf[index : index + 1], y)
            return self.model(cut_tree(mine, seen), Physics(own, noise), **known)

        return self._assemble(image, recover, self._step(grid_step(operator)), around=True, callback=callback)

    def _assemble(
        self,
        like: Tensor,
        recover: Callable[[int, Region], Tensor],
        step: int,
        *,
        around: bool,
        callback: Progress | None,
    ) -> Tensor:
        """Put the kept parts of all tiles together."""
        self._check_size(step)
        overlap = -(-self.overlap // step) * step
        from_end = getattr(self.model, "grid_from_end", False)
        rows, columns = (
            tiles_along(length, self.size, overlap, step, from_end=from_end, around=around)
            for length in like.shape[-2:]
        )
        places = list(itertools.product(range(len(like)), rows, columns))
        whole = torch.empty_like(like)
        for done, (index, row, column) in enumerate(places, start=1):
            tile = recover(index, Region(row.pixels, column.pixels))
            whole[index, :, row.first : row.last, column.first : column.last] = tile[0, :, _kept(row), _kept(column)]
            if callback is not None:
                callback(done, len(places))
        return whole

    def _step(self, step: int) -> int:
        """Return the step of a grid on which tiles look to the model and to the operator as the whole image does."""
        parts = self.model.modules() if isinstance(self.model, nn.Module) else ()
        return math.lcm(_STEP, step, *(getattr(part, "multiple", 1) for part in parts))

    def _check_size(self, step: int) -> None:
        least = 4 * -(-self.overlap // step) * step + step
        if self.size < least:
            raise ArgumentError(
                f"Tiled expects a size of at least {least} for an overlap of {self.overlap} on a grid of {step}, "
                f"got {self.size}: take larger tiles, or a smaller overlap."
            )


def _kept(tile: Tile) -> slice:
    return slice(tile.offset, tile.offset + tile.last - tile.first)


def _check_images(x: Any) -> None:
    if not isinstance(x, Tensor) or x.ndim != _IMAGE_AXES:
        got = f"shape {tuple(x.shape)}" if isinstance(x, Tensor) else f"a {type(x).__name__}"
        raise ShapeError(f"Tiled expects images (B, C, H, W), got {got}.")


def _of_image(value: Any, index: int) -> Any:
    """Return one image's part of tensors with one value for each, or for all."""
    if isinstance(value, tuple):
        return type(value)(*(_of_image(part, index) for part in value))
    return value[index : index + 1] if isinstance(value, Tensor) and value.ndim and len(value) > 1 else value


def _cut_noise(noise: NoiseModel, seen: RegionTree) -> NoiseModel:
    """Return the noise of some of the measurements: its maps are cut as they are."""
    if isinstance(noise, PerPart) and not isinstance(seen, Region):
        parts = cast("list[NoiseModel]", list(noise.noises))
        return PerPart(_cut_noise(part, region) for part, region in zip(parts, seen, strict=True))
    maps = {name: value for name, value in noise.params.items() if value.ndim == _IMAGE_AXES}
    if not maps:
        return noise
    if not isinstance(seen, Region):
        raise UnsupportedError(
            "Tiled cannot cut a noise map for a tuple of measurements: give each part its own by PerPart."
        )
    return noise.with_params(**{name: cut(value, seen) for name, value in maps.items()})
