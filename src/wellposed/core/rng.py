"""Randomness: every draw takes a generator or None, which is torch's own, so that `torch.manual_seed` is honoured.

A generator on another device than the data is used where it lies and the draw is moved: one CPU generator gives the
same numbers on every device.
"""

import hashlib
from typing import Any

import torch
from torch import Tensor

from wellposed.core.complex_view import real_view
from wellposed.core.errors import DTypeError

__all__ = ["check_generator", "exponential_like", "normal_like", "seeded", "streams", "uniform_like"]


def _draw_device(like: Tensor, generator: torch.Generator | None) -> torch.device:
    return like.device if generator is None else check_generator(generator).device


def check_generator(generator: Any) -> torch.Generator:
    """Return `generator` if it is torch's.

    Raises
    ------
    DTypeError
        Otherwise, with the way to make one.
    """
    if isinstance(generator, torch.Generator):
        return generator
    raise DTypeError(
        f"expected a torch.Generator, got {type(generator).__name__}: torch.Generator().manual_seed(0) makes one."
    )


def normal_like(like: Tensor, generator: torch.Generator | None = None) -> Tensor:
    """Return standard normal numbers with the shape, dtype and device of `like`.

    Complex ones have independent real and imaginary parts, each of variance one.
    """
    if like.is_complex():
        return torch.view_as_complex(normal_like(real_view(like), generator))
    device = _draw_device(like, generator)
    return torch.randn(like.shape, generator=generator, dtype=like.dtype, device=device).to(like.device)


def uniform_like(like: Tensor, generator: torch.Generator | None = None) -> Tensor:
    """Return numbers drawn uniformly from [0, 1) with the shape, dtype and device of a real tensor `like`."""
    device = _draw_device(like, generator)
    return torch.rand(like.shape, generator=generator, dtype=like.dtype, device=device).to(like.device)


def exponential_like(like: Tensor, generator: torch.Generator | None = None) -> Tensor:
    """Return unit exponential numbers, -log(1 - u) with u uniform on [0, 1), like a real tensor `like`."""
    return -torch.log1p(-uniform_like(like, generator))


def streams(generator: torch.Generator | None, *names: str) -> dict[str, torch.Generator]:
    """Return one independent generator per name, on the device of `generator`, all from a single draw of it.

    A stream depends on the state of `generator` and on its own name only: adding, dropping or reordering names leaves
    the others as they were, and the next call gives fresh ones. None draws from torch's own generator of the CPU, and
    the streams lie there.
    """
    device = torch.device("cpu") if generator is None else check_generator(generator).device
    root = int(torch.randint(2**62, (), generator=generator, device=device))
    return {name: torch.Generator(device).manual_seed(_mix(root, name)) for name in names}


def seeded(seed: int, name: str) -> torch.Generator:
    """Return a generator on the CPU whose numbers follow from a seed and a name.

    Whatever wellposed draws by a seed that nobody gave goes by a name too. The bare seed may have made the noise of the
    measurements already, and noise that is drawn twice is not independent.
    """
    return streams(torch.Generator().manual_seed(seed), name)[name]


def _mix(root: int, name: str) -> int:
    return int.from_bytes(hashlib.sha256(f"{root}/{name}".encode()).digest()[:8], "big") >> 1
