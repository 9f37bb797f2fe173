"""A whole training set, decoded once into the memory of a device, from which random crops are cut in batches."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Literal, NamedTuple, TypeAlias, final

import torch
from torch import Tensor

from wellposed.core.arguments import check_whole
from wellposed.core.errors import ArgumentError, DTypeError, FormatError, ShapeError, WellposedError
from wellposed.core.files import existing_folder
from wellposed.core.rng import uniform_like
from wellposed.data.images import is_image_file, read_image, to_grey

__all__ = ["ImageStore", "Progress", "Skipped"]

Progress: TypeAlias = Callable[[int, int], None]
"""Is told how much is done: `progress(done, total)`."""

_LARGEST = {8: 2**8 - 1, 16: 2**16 - 1}
_DTYPE = {8: torch.uint8, 16: torch.uint16}


class Skipped(NamedTuple):
    """A file that a store left out, and why."""

    path: Path
    reason: str


@final
class ImageStore:
    r"""Images of different sizes in one flat tensor of 8 or 16 bits, on one device.

    Everything that `crops` does, from the choice of images to their values in [0, 1], is a handful of operations on
    whole batches on that device, so that an accelerator is not kept waiting.

    Parameters
    ----------
    pixels : Tensor, shape (N, C), uint8 or uint16
        The pixels of all images, each row by row, one image after the other.
    sizes : sequence of (int, int)
        Height and width of each image; their products sum to N.
    window : tuple of float, optional
        The stored values that are black and white: crops hold (value - black) / (white - black), clipped to [0, 1]. By
        default 0 and the largest value of the type. For computed tomography stored as HU + 1024, the lung window of
        -1200 to 800 HU is ``(-176, 1824)``.
    skipped : sequence of Skipped
        What was left out on the way here.

    Raises
    ------
    ShapeError
        If pixels and sizes do not fit each other, or there is no image.
    DTypeError
        If the pixels are of another type.
    ArgumentError
        If white is not above black.

    Examples
    --------
    >>> store = ImageStore.from_tensors([torch.rand(3, 40, 50), torch.rand(3, 64, 32)])
    >>> len(store), store.crops(5, 32, generator=torch.Generator().manual_seed(0)).shape
    (2, torch.Size([5, 3, 32, 32]))
    """

    def __init__(
        self,
        pixels: Tensor,
        sizes: Sequence[tuple[int, int]],
        *,
        window: tuple[float, float] | None = None,
        skipped: Sequence[Skipped] = (),
    ) -> None:
        if pixels.dtype not in _DTYPE.values():
            raise DTypeError(f"ImageStore expects pixels of 8 or 16 bits without sign, got {pixels.dtype}.")
        areas = [height * width for height, width in sizes]
        if pixels.ndim != 2 or not areas or min(areas) < 1 or sum(areas) != len(pixels):
            raise ShapeError(
                f"ImageStore expects the pixels of its {len(areas)} images, shape ({sum(areas)}, C), "
                f"got {tuple(pixels.shape)}."
            )
        white = _LARGEST[8 * pixels.element_size()]
        self.window = (0.0, float(white)) if window is None else window
        if not self.window[0] < self.window[1]:
            raise ArgumentError(f"ImageStore expects a window (black, white) with black < white, got {self.window}.")
        self.pixels = pixels
        self.sizes = tuple((height, width) for height, width in sizes)
        self.skipped = tuple(skipped)
        self._offsets = [0, *torch.tensor(areas).cumsum(0).tolist()]
        self._tables: dict[int, _Table] = {}

    @classmethod
    def from_folder(
        cls,
        path: str | Path | Iterable[str | Path],
        *,
        channels: Literal[1, 3] = 3,
        bits: Literal[8, 16] = 8,
        window: tuple[float, float] | None = None,
        min_size: int = 1,
        device: torch.device | str = "cpu",
        progress: Progress | None = None,
    ) -> ImageStore:
        """Decode all images of a folder, or of several, and of the folders inside; hidden ones are left out.

        Parameters
        ----------
        path : str or Path, or several
        channels : {1, 3}
            Keep luminance, or colours; images of the other kind are converted.
        bits : {8, 16}
            Depth to keep: 16 for files of 16 bits, such as computed tomography.
        window : tuple of float, optional
            As above.
        min_size : int
            Images whose height or width is less are left out.
        device : torch.device or str
            Where the images shall lie.
        progress : callable, optional
            ``progress(done, total)``, after each file.

        Returns
        -------
        ImageStore
            Files that cannot be read and images that are too small are named in its `skipped`.

        Raises
        ------
        MissingFileError
            If there is no such folder.
        FormatError
            If it is a file, or no image is left.
        """
        folders = [Path(path)] if isinstance(path, (str, Path)) else [Path(folder) for folder in path]
        files = [file for folder in folders for file in _image_files(folder)]
        where = ", ".join(map(str, folders))
        if not files:
            raise FormatError(f"{where} holds no image: 'wellposed.data.read_image' lists the formats that are read.")
        kept: list[Tensor] = []
        sizes: list[tuple[int, int]] = []
        skipped: list[Skipped] = []
        decode = partial(_decoded, channels=channels, bits=bits, min_size=min_size)
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            for done, (file, image) in enumerate(zip(files, pool.map(decode, files), strict=True), start=1):
                if isinstance(image, str):
                    skipped.append(Skipped(file, image))
                else:
                    kept.append(image.flatten(0, 1))
                    sizes.append((image.shape[0], image.shape[1]))
                if progress is not None:
                    progress(done, len(files))
        if not kept:
            first = skipped[0]
            raise FormatError(
                f"none of the {len(files)} images of {where} can be used: {first.path.name} {first.reason}."
            )
        pixels = torch.cat(kept).view(_DTYPE[bits])
        return cls(pixels.to(device), sizes, window=window, skipped=skipped)

    @classmethod
    def from_tensors(
        cls,
        images: Iterable[Tensor],
        *,
        bits: Literal[8, 16] = 8,
        window: tuple[float, float] | None = None,
        device: torch.device | str = "cpu",
    ) -> ImageStore:
        """Keep images that are in memory already.

        Parameters
        ----------
        images : iterable of Tensor, shape (C, H, W) or (B, C, H, W)
            Floats in [0, 1], which are rounded to `bits`, or uint8 or uint16, which are kept as they are.
        bits : {8, 16}
            Depth of floats.
        window : tuple of float, optional
            As above.
        device : torch.device or str
            Where the images shall lie.

        Raises
        ------
        ShapeError
            If the images differ in their number of channels, or there is none.
        DTypeError
            If they differ in type, or are of another one.
        """
        single = [image for entry in images for image in (entry if entry.ndim == 4 else entry[None])]
        kept = [_quantised(image, bits).movedim(0, -1) for image in single]
        if len({(image.shape[-1], image.ndim) for image in kept}) != 1 or kept[0].ndim != 3:
            raise ShapeError("ImageStore.from_tensors expects images (C, H, W) that all have the same channels.")
        if len({image.dtype for image in kept}) != 1:
            raise DTypeError("ImageStore.from_tensors expects images of one dtype.")
        pixels = torch.cat([_bits(image).flatten(0, 1) for image in kept]).view(kept[0].dtype)
        return cls(pixels.to(device), [(image.shape[0], image.shape[1]) for image in kept], window=window)

    def __len__(self) -> int:
        return len(self.sizes)

    def __repr__(self) -> str:
        return (
            f"ImageStore({len(self)} images, {self.channels} channels, {self.pixels.dtype}, "
            f"{self.pixels.nbytes / 2**20:.1f} MiB on {self.device})"
        )

    @property
    def channels(self) -> int:
        """Number of channels of every image."""
        return self.pixels.shape[1]

    @property
    def device(self) -> torch.device:
        """Where the images lie."""
        return self.pixels.device

    def to(self, device: torch.device | str) -> ImageStore:
        """Return the same store on another device."""
        return ImageStore(self.pixels.to(device), self.sizes, window=self.window, skipped=self.skipped)

    def image(self, index: int) -> Tensor:
        """Return a whole image with values in [0, 1], shape (1, C, H, W)."""
        if not 0 <= index < len(self):
            raise ArgumentError(f"this ImageStore holds images 0 to {len(self) - 1}, there is no image {index}.")
        rows = _bits(self.pixels)[self._offsets[index] : self._offsets[index + 1]]
        return self._nominal(rows.unflatten(0, self.sizes[index])[None])

    def split(self, held_out: int, *, seed: int = 0) -> tuple[ImageStore, ImageStore]:
        """Return two stores: the images without `held_out` random ones, and those.

        Raises
        ------
        ArgumentError
            If `held_out` does not leave an image in each.
        """
        if not 0 < held_out < len(self):
            raise ArgumentError(f"of {len(self)} images 1 to {len(self) - 1} can be held out, got {held_out}.")
        order = torch.randperm(len(self), generator=torch.Generator().manual_seed(seed)).tolist()
        return self._subset(sorted(order[held_out:])), self._subset(sorted(order[:held_out]))

    def crops(
        self,
        count: int,
        size: int,
        *,
        generator: torch.Generator | None = None,
        augment: bool = True,
        grey: bool = False,
    ) -> Tensor:
        """Cut random squares out of random images.

        An image is chosen in proportion to its number of pixels, so that a large photograph is seen as often as the
        small ones that could be cut from it; images smaller than the crop take no part. Every position is as likely.

        Parameters
        ----------
        count : int
            Number of crops.
        size : int
            Height and width.
        generator : torch.Generator, optional
            Best on the device of the store: nothing then waits for anything.
        augment : bool
            Apply one of the eight symmetries of the square to each crop, all as likely.
        grey : bool
            Return the luminance of colours.

        Returns
        -------
        Tensor, shape (count, C or 1, size, size), float32 in [0, 1]

        Raises
        ------
        ArgumentError
            If no image is large enough, or `count` or `size` is no whole number above zero.
        """
        check_whole("crops", "count", count, least=1)
        check_whole("crops", "size", size, least=1)
        table = self._table(size)
        draws = uniform_like(torch.empty(6, count, device=self.device), generator)
        chosen = torch.searchsorted(table.ends, draws[0] * table.total, right=True).clamp(max=len(table.ends) - 1)
        height, width, offset = table.heights[chosen], table.widths[chosen], table.offsets[chosen]
        row = (draws[1] * (height - size + 1)).long()
        column = (draws[2] * (width - size + 1)).long()
        down, right = width, torch.ones_like(width)
        if augment:
            is_flipped_down, is_flipped_right, is_transposed = draws[3:] < 0.5
            row, down = row + is_flipped_down * (size - 1), torch.where(is_flipped_down, -down, down)
            column, right = column + is_flipped_right * (size - 1), torch.where(is_flipped_right, -right, right)
            down, right = torch.where(is_transposed, right, down), torch.where(is_transposed, down, right)
        step = torch.arange(size, device=self.device)
        first = offset + row * width + column
        index = first[:, None, None] + down[:, None, None] * step[:, None] + right[:, None, None] * step
        rows = _bits(self.pixels).index_select(0, index.flatten())
        image = self._nominal(rows.view(count, size, size, self.channels))
        return to_grey(image) if grey else image

    def _nominal(self, values: Tensor) -> Tensor:
        """Turn stored values (B, H, W, C) into images (B, C, H, W) in [0, 1]."""
        image = values.movedim(-1, 1).to(torch.float32, memory_format=torch.contiguous_format)
        if values.dtype == torch.int16:
            image = torch.where(image < 0, image + 2**16, image)
        black, white = self.window
        return image.sub_(black).div_(white - black).clamp_(0, 1)

    def _subset(self, indices: Sequence[int]) -> ImageStore:
        parts = [_bits(self.pixels)[self._offsets[i] : self._offsets[i + 1]] for i in indices]
        pixels = torch.cat(parts).view(self.pixels.dtype)
        return ImageStore(pixels, [self.sizes[i] for i in indices], window=self.window)

    def _table(self, size: int) -> _Table:
        if size not in self._tables:
            self._tables[size] = self._make_table(size)
        return self._tables[size]

    def _make_table(self, size: int) -> _Table:
        large = [i for i, sides in enumerate(self.sizes) if min(sides) >= size]
        if not large:
            widest = max(min(sides) for sides in self.sizes)
            raise ArgumentError(f"no image holds a square of {size} pixels, the largest is {widest}: cut smaller ones.")
        heights, widths = torch.tensor([self.sizes[i] for i in large]).unbind(1)
        ends = (heights * widths).cumsum(0)
        offsets = torch.tensor([self._offsets[i] for i in large])
        tensors = (tensor.to(self.device) for tensor in (ends.float(), offsets, heights, widths))
        return _Table(int(ends[-1]), *tensors)


class _Table(NamedTuple):
    """The images that are large enough: how many pixels they have, where those of each end, and begin in the store."""

    total: int
    ends: Tensor
    offsets: Tensor
    heights: Tensor
    widths: Tensor


def _image_files(folder: Path) -> list[Path]:
    inside = sorted(existing_folder(folder).rglob("*"))
    return [file for file in inside if is_image_file(file) and not _is_hidden(file.relative_to(folder))]


def _is_hidden(path: Path) -> bool:
    return any(part.startswith(".") for part in path.parts)


def _decoded(file: Path, *, channels: int, bits: int, min_size: int) -> Tensor | str:
    """Return the values of an image as `_bits` gives them, shape (H, W, C), or why it cannot be used."""
    try:
        image = read_image(file, mode="grey" if channels == 1 else "rgb")
    except (WellposedError, OSError) as error:
        return f"cannot be read ({error})"
    if image.ndim != 4 or len(image) != 1 or image.is_complex():
        return "is not a single real image"
    height, width = image.shape[-2:]
    if min(height, width) < min_size:
        return f"has {height} x {width} pixels, less than {min_size}"
    return _bits(_quantised(image[0], bits)).movedim(0, -1).contiguous()


def _quantised(image: Tensor, bits: int) -> Tensor:
    """Round floats in [0, 1] to integers without sign; those stay as they are."""
    if not image.is_floating_point():
        if image.dtype not in _DTYPE.values():
            raise DTypeError(f"ImageStore expects floats in [0, 1], uint8 or uint16, got {image.dtype}.")
        return image
    return (image.clamp(0, 1) * _LARGEST[bits]).round().to(torch.int32).to(_DTYPE[bits])


def _bits(values: Tensor) -> Tensor:
    """Return 16-bit integers under a type that torch can index: the same bits, with a sign."""
    return values.view(torch.int16) if values.dtype == torch.uint16 else values
