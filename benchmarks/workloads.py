"""What is timed: each workload builds its inputs and returns the calls to time, by direction.

Names and sizes are those of the peer's script, so that both sides do the same work.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from wellposed.operators import Blur, Downsample, LinearOperator

__all__ = ["WORKLOADS"]

Calls = dict[str, Callable[[], object]]
"""What is to be timed, by direction: {"forward": ..., "adjoint": ...}."""


def _both_directions(operator: LinearOperator, x: Tensor) -> Calls:
    y = operator(x)
    return {"forward": lambda: operator(x), "adjoint": lambda: operator.adjoint(y)}


def _random_kernel(size: int) -> Tensor:
    kernel = torch.rand(1, 1, size, size)
    return kernel / kernel.sum()


def _blur_circular() -> Calls:
    return _both_directions(Blur(_random_kernel(31), (3, 256, 256), padding="circular"), torch.rand(8, 3, 256, 256))


def _blur_valid() -> Calls:
    return _both_directions(Blur(_random_kernel(31), (3, 256, 256), padding="valid"), torch.rand(8, 3, 256, 256))


def _downsample_bicubic() -> Calls:
    return _both_directions(Downsample(4, (3, 512, 512), filter="bicubic"), torch.rand(4, 3, 512, 512))


WORKLOADS: dict[str, Callable[[], Calls]] = {
    "blur_circular_31_256_b8": _blur_circular,
    "blur_valid_31_256_b8": _blur_valid,
    "downsample_bicubic_x4_512_b4": _downsample_bicubic,
}
