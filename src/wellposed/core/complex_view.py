"""The one place where complex numbers become real ones: two channels for networks with real weights, or a last axis."""

import torch
from torch import Tensor

from wellposed.core.errors import DTypeError, ShapeError

__all__ = ["channels_to_complex", "complex_to_channels", "real_dtype", "real_view", "storable"]


def complex_to_channels(x: Tensor) -> Tensor:
    """Turn a complex image (B, C, ...) into a real one (B, 2C, ...): all real parts, then all imaginary parts.

    Raises
    ------
    DTypeError
        If `x` is real already.
    """
    if not x.is_complex():
        raise DTypeError(f"complex_to_channels expects a complex image, got {x.dtype}.")
    return torch.cat([x.real, x.imag], dim=1)


def channels_to_complex(x: Tensor) -> Tensor:
    """Turn a real image (B, 2C, ...) into a complex one (B, C, ...); the inverse of `complex_to_channels`.

    bfloat16, of which there are no complex numbers, becomes float32 first.

    Raises
    ------
    DTypeError
        If `x` is complex already.
    ShapeError
        If the number of channels is odd.
    """
    if x.is_complex():
        raise DTypeError(f"channels_to_complex expects a real image, got {x.dtype}.")
    if x.ndim < 2 or x.shape[1] % 2:
        raise ShapeError(f"channels_to_complex expects an even number of channels, got shape {tuple(x.shape)}.")
    return torch.complex(*x.to(_COMPUTABLE.get(x.dtype, x.dtype)).chunk(2, dim=1))


_COMPUTABLE = {torch.bfloat16: torch.float32}
_REAL = {torch.complex32: torch.float16, torch.complex64: torch.float32, torch.complex128: torch.float64}


def real_dtype(dtype: torch.dtype) -> torch.dtype:
    """Return the real dtype of the same precision: float32 for complex64, float32 for float32."""
    return _REAL.get(dtype, dtype)


def real_view(x: Tensor) -> Tensor:
    """Return the real and imaginary parts of a complex tensor along a new last axis."""
    return torch.view_as_real(x.resolve_conj())


def storable(tensor: Tensor) -> Tensor:
    """Return a contiguous copy of its own on the CPU; complex128, which safetensors lacks, as pairs of numbers."""
    plain = tensor.detach().resolve_conj().resolve_neg().cpu()
    copy = plain.clone(memory_format=torch.contiguous_format)
    return real_view(copy) if copy.dtype == torch.complex128 else copy
