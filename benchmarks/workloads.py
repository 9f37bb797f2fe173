"""What is timed: each workload builds its inputs and returns the calls to time, by direction.

Names and sizes are those of the peer's script, so that both sides do the same work.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from wellposed.models import DRUNet
from wellposed.models.ram import RAM
from wellposed.noise import Gaussian
from wellposed.operators import Blur, Downsample, Identity, LinearOperator, Mask
from wellposed.physics import Physics

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


def _drunet() -> Calls:
    model, x = DRUNet(3).eval(), torch.rand(1, 3, 256, 256)
    return {"forward": lambda: model(x, 0.1)}


def _ram(operator: LinearOperator) -> Calls:
    model, physics = RAM().eval(), Physics(operator, Gaussian(0.05))
    y = physics(torch.rand(1, 3, 256, 256))
    return {"forward": lambda: model(y, physics)}


_COLOUR = (3, 256, 256)

WORKLOADS: dict[str, Callable[[], Calls]] = {
    "blur_circular_31_256_b8": _blur_circular,
    "blur_valid_31_256_b8": _blur_valid,
    "downsample_bicubic_x4_512_b4": _downsample_bicubic,
    "drunet_256": _drunet,
    "ram_blur_circular_256": lambda: _ram(Blur(_random_kernel(31), _COLOUR, padding="circular")),
    "ram_blur_valid_256": lambda: _ram(Blur(_random_kernel(31), _COLOUR)),
    "ram_denoise_256": lambda: _ram(Identity(_COLOUR)),
    "ram_inpaint_256": lambda: _ram(Mask(torch.rand(1, 1, 256, 256) > 0.5, _COLOUR)),
    "ram_sr4_256": lambda: _ram(Downsample(4, _COLOUR)),
}
