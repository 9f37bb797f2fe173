"""Images in files: read any common format as a tensor, write one back, whole or not at all."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, TypeAlias

import torch
from torch import Tensor

from wellposed.core.errors import ArgumentError, DTypeError, FormatError, ShapeError, UnsupportedError
from wellposed.core.files import atomic_path, existing_file, existing_folder
from wellposed.core.names import check_name
from wellposed.core.shapes import check_tensor
from wellposed.data import _codecs

__all__ = ["ColourMode", "list_images", "read_image", "to_grey", "write_image"]

ColourMode: TypeAlias = Literal["grey", "rgb"]
"""What colours an image shall have, whatever its file holds."""

_PICTURES = (".png", ".jpg", ".jpeg", ".bmp")
_TIFF = (".tif", ".tiff")
_ARRAYS = (".npy", ".npz", ".safetensors")
_SUFFIXES = _PICTURES + _TIFF + _ARRAYS


def read_image(path: str | Path, *, mode: ColourMode | None = None, key: str | None = None) -> Tensor:
    """Read an image file as a tensor with nominal range [0, 1].

    - **PNG, JPEG, BMP**: upright as the EXIF orientation says; palettes are resolved; a transparent image is laid over
      white. A PNG with 16 bits per colour is refused (grey ones are read exactly), and so is an animated one.
    - **TIFF**: grey or RGB. A file of several pages is a volume, its pages the depth.
    - **npy, npz, safetensors**: arrays (H, W), (C, H, W), (B, C, H, W), (B, C, D, H, W), real or complex; a 3D array
      whose last axis alone has the size of colours, (H, W, 3), is read as such. Nothing is ever unpickled.

    Unsigned integers are divided by the largest value of their type (255, 65535); floats are taken as they are, in
    single precision.

    Parameters
    ----------
    path : str or Path
        The extension says the format. `file.npz:key` names one of several arrays.
    mode : {"grey", "rgb"}, optional
        Convert to one channel (see `to_grey`) or to three equal ones; by default the channels of the file.
    key : str, optional
        Which array of an npz or safetensors file that holds several.

    Returns
    -------
    Tensor, shape (1, C, H, W), volumes (1, C, D, H, W), float32 or complex64
        Arrays that have a batch axis keep it.

    Raises
    ------
    MissingFileError
        If there is no such file.
    FormatError
        If the file is a folder, not of a known format, damaged, or holds no image: no pixel, a NaN, an infinity,
        several arrays of which none was chosen.
    MissingDependencyError
        If the package that reads the format is not installed.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "ramp.png"
    >>> write_image(path, torch.tensor([[[[0.0, 0.2, 1.0]]]]))
    >>> read_image(path)
    tensor([[[[0.0000, 0.2000, 1.0000]]]])
    """
    if mode is not None:
        check_name("colour mode", mode, ("grey", "rgb"))
    path, key = _split_key(Path(path), key)
    existing_file(path)
    suffix = _known_suffix(path)
    if key is not None and suffix not in (".npz", ".safetensors"):
        raise ArgumentError(f"{path} holds a single image: leave out the key {key!r}.")
    with _codecs.decoding(path):
        if suffix in _ARRAYS:
            image = _codecs.read_array(path, key)
        else:
            image = _codecs.read_tiff(path) if suffix in _TIFF else _codecs.read_picture(path)
    return _convert(image, mode)


def write_image(path: str | Path, image: Tensor, *, bits: Literal[8, 16] = 8) -> None:
    """Write an image to a file, atomically: a failure leaves what was there before.

    PNG, JPEG and BMP hold one real image of one or three channels, clipped to [0, 1] and rounded to the nearest level;
    TIFF holds one real image or volume exactly, as float32; npy, npz and safetensors hold any tensor exactly.

    Parameters
    ----------
    path : str or Path
        The extension says the format.
    image : Tensor, shape (1, C, H, W) or (1, C, D, H, W); arrays may hold a batch
    bits : {8, 16}
        Depth of a PNG; 16 for grey ones only.

    Raises
    ------
    ShapeError
        If the format cannot hold an image of that shape.
    DTypeError
        If the image is no tensor, or made of integers.
    ArgumentError
        If it holds a NaN or an infinity, or `bits` is neither 8 nor 16.
    UnsupportedError
        If the format cannot hold complex numbers, or 16 bits.
    FormatError
        If the extension is unknown or the path is a folder.
    MissingFileError
        If the folder does not exist.
    """
    path = Path(path)
    suffix = _known_suffix(path)
    check_tensor("write_image", "image", image)
    if not (image.is_floating_point() or image.is_complex()):
        raise DTypeError(f"write_image expects a floating-point image, got {image.dtype}: divide 8-bit values by 255.")
    if image.ndim not in (4, 5) or image.numel() == 0:
        hint = ": add the batch axis with image[None]." if image.ndim == 3 else "."
        raise ShapeError(
            f"write_image expects shape (B, C, H, W) or (B, C, D, H, W), none empty, got {tuple(image.shape)}{hint}"
        )
    if not torch.isfinite(image).all():
        raise ArgumentError("write_image expects finite values, got NaN or infinity: image.nan_to_num() replaces them.")
    if bits not in (8, 16):
        raise ArgumentError(f"write_image writes 8 or 16 bits, got {bits}.")
    if bits == 16 and suffix not in _PICTURES:
        raise UnsupportedError(f"{path.suffix} files hold the exact values: leave out bits, which is for PNG.")
    image = image.detach().resolve_conj().resolve_neg().cpu()
    with atomic_path(path) as temporary:
        if suffix in _ARRAYS:
            _codecs.write_array(temporary, image)
        elif suffix in _TIFF:
            _codecs.write_tiff(temporary, image)
        else:
            _codecs.write_picture(temporary, image, bits)


def list_images(folder: str | Path) -> list[Path]:
    """Return the image files of a folder, sorted by name; hidden files and subfolders are left out.

    Raises
    ------
    MissingFileError
        If there is no such folder.
    FormatError
        If it is a file, or holds no image.
    """
    folder = existing_folder(folder)
    images = sorted(path for path in folder.iterdir() if is_image_file(path))
    if not images:
        raise FormatError(f"{folder} holds no image: known extensions are {', '.join(_SUFFIXES)}.")
    return images


def is_image_file(path: Path) -> bool:
    """Tell whether a path is a file, not a hidden one, whose extension is that of an image."""
    return path.suffix.lower() in _SUFFIXES and path.is_file() and not path.name.startswith(".")


def to_grey(image: Tensor) -> Tensor:
    r"""Return the luminance of a colour image, :math:`0.299 R + 0.587 G + 0.114 B`; grey ones are returned as they are.

    Parameters
    ----------
    image : Tensor, shape (B, 1 or 3, ...)

    Returns
    -------
    Tensor, shape (B, 1, ...)

    Raises
    ------
    ShapeError
        If there are neither one nor three channels.
    DTypeError
        If it is no tensor.

    References
    ----------
    Recommendation ITU-R BT.601.

    Examples
    --------
    >>> to_grey(torch.ones(1, 3, 2, 2)).shape
    torch.Size([1, 1, 2, 2])
    """
    _check_colours(image)
    if image.shape[1] == 1:
        return image
    red, green, blue = image.unbind(dim=1)
    return (0.299 * red + 0.587 * green + 0.114 * blue)[:, None]


def _convert(image: Tensor, mode: ColourMode | None) -> Tensor:
    if mode is None:
        return image
    if mode == "grey":
        return to_grey(image)
    _check_colours(image)
    return image if image.shape[1] == 3 else image.repeat_interleave(3, dim=1)


def _check_colours(image: Tensor) -> None:
    check_tensor("a colour conversion", "its image", image)
    if image.ndim < 3 or image.shape[1] not in (1, 3):
        raise ShapeError(f"a colour conversion expects an image (B, C, ...) with C = 1 or 3, got {tuple(image.shape)}.")


def _split_key(path: Path, key: str | None) -> tuple[Path, str | None]:
    """Take `file.npz:key` apart, unless a file of that very name exists."""
    file, colon, name = str(path).rpartition(":")
    if not colon or key is not None or path.exists() or Path(file).suffix.lower() not in (".npz", ".safetensors"):
        return path, key
    return Path(file), name


def _known_suffix(path: Path) -> str:
    suffix = path.suffix.lower()
    if suffix not in _SUFFIXES:
        what = f"the extension {path.suffix!r}" if suffix else "no extension"
        raise FormatError(f"{path} has {what}: known ones are {', '.join(_SUFFIXES)}.")
    return suffix
