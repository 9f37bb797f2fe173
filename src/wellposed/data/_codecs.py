"""Readers and writers of single formats: files to arrays of (batched) channels-first images, and back."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import safe_open
from safetensors.torch import save
from torch import Tensor

from wellposed.core.errors import FormatError, ShapeError, UnsupportedError, WellposedError
from wellposed.core.names import check_name, optional_import

Array = NDArray[Any]

_NARROW = {torch.bfloat16: torch.float32, torch.complex32: torch.complex64}


@contextmanager
def decoding(path: Path) -> Iterator[None]:
    """Run a decoder, which may raise anything whatever on a damaged file; none of it leaves as it came."""
    try:
        yield
    except WellposedError:
        raise
    except Exception as error:
        reason = textwrap.shorten(str(error) or type(error).__name__, 150, placeholder=" ...")
        raise FormatError(f"{path} cannot be read as {path.suffix}: it is truncated or damaged ({reason}).") from error


def read_picture(path: Path) -> Tensor:
    """Read PNG, JPEG or BMP, upright, without palette, as (1, C, H, W)."""
    pillow = optional_import("PIL.Image", extra="cli")
    upright = optional_import("PIL.ImageOps", extra="cli").exif_transpose
    _refuse_deep_colour(path)
    try:
        with pillow.open(path, formats=("PNG", "JPEG", "BMP")) as opened:
            _refuse_animation(path, opened)
            image = _plain_mode(upright(opened))
            pixels = np.array(image)
    except pillow.UnidentifiedImageError:
        raise FormatError(f"{path} is not a PNG, JPEG or BMP image, whatever its name says.") from None
    except pillow.DecompressionBombError as error:
        raise UnsupportedError(f"{path} is too large ({error}): convert it to TIFF.") from error
    colours = nominal(path, pixels)
    return _channels_first(_on_white(colours) if image.mode in ("LA", "RGBA") else colours)


def _refuse_deep_colour(path: Path) -> None:
    """Pillow cuts the 16 bits per colour of a PNG down to 8: say so rather than lose them."""
    with path.open("rb") as file:
        header = file.read(26)
    if header.startswith(b"\x89PNG") and len(header) == 26 and header[24] == 16 and header[25] != 0:
        raise FormatError(f"{path} is a PNG with 16 bits per colour, which cannot be read exactly: convert it to TIFF.")


def _refuse_animation(path: Path, opened: Any) -> None:
    """Say so rather than read the first picture of an animated PNG; a JPEG of a telephone has previews besides."""
    if opened.format == "PNG" and opened.n_frames > 1:
        raise FormatError(f"{path} is an animation of {opened.n_frames} pictures: save one of them.")


def _plain_mode(image: Any) -> Any:
    """Turn palettes, transparency keys and other colour models into L, LA, RGB, RGBA or 16-bit grey."""
    if image.mode in ("1", "L", "LA") or image.mode.startswith("I"):
        return image.convert("LA") if image.mode == "L" and image.has_transparency_data else image
    return image.convert("RGBA" if image.has_transparency_data else "RGB")


def _on_white(pixels: Tensor, *, premultiplied: bool = False) -> Tensor:
    """Lay an image (..., C + 1), whose last channel is its opacity, over white."""
    colour, alpha = pixels[..., :-1], pixels[..., -1:]
    return (colour if premultiplied else colour * alpha) + (1 - alpha)


def read_tiff(path: Path) -> Tensor:
    """Read a TIFF with one image, (1, C, H, W), or one stack of pages, (1, C, D, H, W)."""
    tifffile = optional_import("tifffile", extra="cli")
    try:
        with tifffile.TiffFile(path) as file:
            page, series = file.pages[0], file.series
            values = series[0].asarray() if len(series) == 1 else None
    except tifffile.TiffFileError as error:
        raise FormatError(f"{path} is not a TIFF image, whatever its name says ({error}).") from error
    except ValueError as error:
        if "imagecodecs" not in str(error):
            raise
        raise UnsupportedError(f"{path}: {error}: pip install imagecodecs, or save it without compression.") from error
    if values is None:
        raise FormatError(f"{path} holds {len(series)} images of different kinds: split it.")
    if page.photometric.name not in ("MINISBLACK", "MINISWHITE", "RGB"):
        raise FormatError(f"{path} is a TIFF in {page.photometric.name} colours: convert it to grey or RGB.")
    pixels = nominal(path, values)
    if page.photometric.name == "MINISWHITE":
        pixels = 1 - pixels
    return _tiff_layout(path, pixels, series[0].axes, [extra.name for extra in page.extrasamples])


def _tiff_layout(path: Path, pixels: Tensor, axes: str, extra: list[str]) -> Tensor:
    """Order the axes as (1, C, H, W) or (1, C, D, H, W): samples are channels, a stack of pages is the depth."""
    sizes = dict(zip(axes, pixels.shape, strict=True))
    kept = "".join(axis for axis in axes if axis in "YX" or sizes[axis] > 1)
    channel = next((axis for axis in "SC" if axis in kept), "")
    pages = kept.translate(str.maketrans("", "", f"YX{channel}"))
    if len(pages) > 1 or len(kept) - len(channel + pages) != 2:
        raise FormatError(f"{path} has the axes {axes}: one is read beside colours, height and width, no more.")
    ordered = pixels.reshape([sizes[axis] for axis in kept])
    ordered = ordered.permute([kept.index(axis) for axis in pages + "YX" + channel])
    if not channel:
        return ordered[None, None]
    if extra in (["ASSOCALPHA"], ["UNASSALPHA"]):
        ordered = _on_white(ordered, premultiplied=extra == ["ASSOCALPHA"])
    return _channels_first(ordered)


def read_array(path: Path, key: str | None) -> Tensor:
    """Read npy, npz or safetensors as (B, C, H, W) or (B, C, D, H, W)."""
    values = _read_safetensor(path, key) if path.suffix.lower() == ".safetensors" else _read_numpy(path, key)
    pixels = nominal(path, values)
    if pixels.ndim == 3 and pixels.shape[-1] == 3 and pixels.shape[0] > 4:
        pixels = _channels_first(pixels)
    if pixels.ndim == 2:
        return pixels[None, None]
    if pixels.ndim == 3:
        return pixels[None]
    if pixels.ndim in (4, 5):
        return pixels
    raise FormatError(
        f"{path} holds an array of shape {tuple(pixels.shape)}, and an image is (H, W), (C, H, W), (B, C, H, W) or "
        "(B, C, D, H, W)."
    )


def _read_numpy(path: Path, key: str | None) -> Array:
    with path.open("rb") as file:
        try:
            loaded = np.load(file, allow_pickle=False)
            return loaded if isinstance(loaded, np.ndarray) else loaded[_choose_key(path, list(loaded.files), key)]
        except ValueError as error:
            if "allow_pickle" not in str(error):
                raise
            raise FormatError(
                f"{path} is no {path.suffix} of numbers; Python objects are never unpickled: save a numeric array."
            ) from None


def _read_safetensor(path: Path, key: str | None) -> Tensor:
    with safe_open(path, framework="pt") as file:
        return file.get_tensor(_choose_key(path, list(file.keys()), key))


def _choose_key(path: Path, keys: list[str], key: str | None) -> str:
    if key is not None:
        return check_name(f"array of {path.name}", key, keys)
    if len(keys) == 1:
        return keys[0]
    if not keys:
        raise FormatError(f"{path} holds no array.")
    raise FormatError(
        f"{path} holds {len(keys)} arrays, {', '.join(sorted(keys))}: choose one with key={min(keys)!r}, "
        f"or write {path.name}:{min(keys)}."
    )


def nominal(path: Path, values: Array | Tensor) -> Tensor:
    """Return finite float32 or complex64 values; unsigned integers become fractions of their largest value."""
    if isinstance(values, np.ndarray) and values.dtype.kind not in "buifc":
        raise FormatError(f"{path} holds values of type {values.dtype}, and an image is made of numbers.")
    tensor = values if isinstance(values, Tensor) else torch.from_numpy(_native(values))
    if tensor.numel() == 0:
        raise FormatError(f"{path} holds an image of shape {tuple(tensor.shape)}, without a pixel.")
    if tensor.is_complex():
        tensor = tensor.to(torch.complex64)
    elif tensor.is_floating_point() or tensor.dtype == torch.bool:
        tensor = tensor.to(torch.float32)
    elif not tensor.dtype.is_signed:
        tensor = (tensor.to(torch.float64) / torch.iinfo(tensor.dtype).max).to(torch.float32)
    else:
        raise FormatError(f"{path} holds signed integers, whose range is unknown: save them as floats in [0, 1].")
    bad = int((~torch.isfinite(tensor)).sum())
    if bad:
        raise FormatError(f"{path} holds {bad} values that are NaN, infinite or beyond single precision: replace them.")
    return tensor


def _native(values: Array) -> Array:
    """Return a contiguous array in the byte order of this machine and in a type that torch has."""
    wide = {np.dtype(np.longdouble): np.float64, np.dtype(np.clongdouble): np.complex128}
    return np.array(values, dtype=wide.get(values.dtype, values.dtype.newbyteorder("=")), order="C")


def _channels_first(pixels: Tensor) -> Tensor:
    """Move (H, W, C) to (1, C, H, W), and (H, W) to (1, 1, H, W)."""
    return (pixels[None] if pixels.ndim == 2 else pixels.movedim(-1, 0).contiguous())[None]


def write_picture(path: Path, image: Tensor, bits: int) -> None:
    """Write PNG, JPEG or BMP, rounded to the nearest of the `bits`-bit values and clipped to [0, 1]."""
    pillow = optional_import("PIL.Image", extra="cli")
    pixels = _single_picture(path, image, "(1, C, H, W)")
    if bits == 16 and (path.suffix.lower() != ".png" or pixels.ndim == 3):
        raise UnsupportedError("16 bits can be written to a grey .png only: for colours use .tiff, which is exact.")
    levels = np.rint(np.clip(pixels.astype(np.float64), 0, 1) * (2**bits - 1))
    options = {"quality": 95, "subsampling": 0} if path.suffix.lower() in (".jpg", ".jpeg") else {}
    pillow.fromarray(levels.astype(np.uint16 if bits == 16 else np.uint8)).save(path, **options)


def write_tiff(path: Path, image: Tensor) -> None:
    """Write float32 TIFF, a volume as a stack of pages."""
    tifffile = optional_import("tifffile", extra="cli")
    pixels = _single_picture(path, image, "(1, C, H, W) or (1, C, D, H, W)")
    colour = image.shape[1] == 3
    axes = ("YX" if image.ndim == 4 else "ZYX") + ("S" if colour else "")
    photometric = "rgb" if colour else "minisblack"
    tifffile.imwrite(path, pixels.astype(np.float32), photometric=photometric, metadata={"axes": axes})


def _single_picture(path: Path, image: Tensor, layouts: str) -> Array:
    """Return the pixels of one real image, (H, W) if grey and (H, W, 3) if colour, a volume with its depth first."""
    if image.is_complex():
        raise UnsupportedError(
            f"a {path.suffix} file cannot hold a complex image: write image.abs(), or use .npy or .safetensors."
        )
    volume = image.ndim == 5
    if (volume and "D" not in layouts) or image.shape[0] != 1 or image.shape[1] not in (1, 3):
        raise ShapeError(
            f"a {path.suffix} file holds one image of shape {layouts} with C = 1 or 3, got {tuple(image.shape)}: "
            "write the images one by one, or use .npy or .safetensors."
        )
    return _numpy(image[0, 0] if image.shape[1] == 1 else image[0].movedim(0, -1))


def write_array(path: Path, image: Tensor) -> None:
    """Write npy, npz or safetensors, exactly; named arrays are called `image`."""
    if path.suffix.lower() == ".safetensors":
        path.write_bytes(save({"image": image.contiguous()}))
        return
    with path.open("wb") as file:
        if path.suffix.lower() == ".npz":
            np.savez(file, image=_numpy(image))
        else:
            np.save(file, _numpy(image), allow_pickle=False)


def _numpy(image: Tensor) -> Array:
    """Return an array of the same values, in single precision where NumPy lacks the type."""
    return image.to(_NARROW.get(image.dtype, image.dtype)).numpy()
