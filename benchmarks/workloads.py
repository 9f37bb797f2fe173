"""What is timed: each workload builds its inputs and returns the calls to time, by direction.

Names and sizes are those of the peer's script, so that both sides do the same work.
"""

import math
from collections.abc import Callable, Collection
from typing import Any, cast

import finufft
import torch
from torch import Tensor

from wellposed.data import birdcage_maps, espirit_maps, shepp_logan, uniform_angles
from wellposed.models import RAM, DRUNet, Tiled
from wellposed.noise import Gaussian
from wellposed.operators import (
    NUFFT,
    Blur,
    CartesianMRI,
    Downsample,
    FanBeam2D,
    Identity,
    LinearOperator,
    Mask,
    NonCartesianMRI,
    ParallelBeam2D,
)
from wellposed.optim import DualDescent, TotalVariation
from wellposed.physics import Physics

__all__ = ["LONG", "WORKLOADS", "reason_to_skip"]

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


def _ct_parallel(size: int, views: int, batch: int) -> Calls:
    return _both_directions(ParallelBeam2D(uniform_angles(views), (1, size, size)), torch.rand(batch, 1, size, size))


def _ct_fan() -> Calls:
    angles, distance = uniform_angles(180, span=2 * math.pi), 512.0
    beam = FanBeam2D(angles, (1, 256, 256), distance, distance, n_detectors=258, detector_pitch=3.1)
    return _both_directions(beam, torch.rand(1, 1, 256, 256))


def _mri() -> Calls:
    maps, mask = torch.randn(15, 320, 320, dtype=torch.complex64), (torch.arange(320) % 4 == 0).expand(1, 1, 320, 320)
    operator = CartesianMRI(mask, (1, 320, 320), maps)
    x = torch.randn(1, 1, 320, 320, dtype=torch.complex64)
    return {**_both_directions(operator, x), "gram": lambda: operator._gram(x)}


def _trajectory() -> Tensor:
    return 2 * math.pi * torch.rand(100_000, 2) - math.pi


def _nufft() -> Calls:
    return _both_directions(NUFFT(_trajectory(), (1, 256, 256)), torch.randn(1, 1, 256, 256, dtype=torch.complex64))


def _nufft_alone(dtype: torch.dtype) -> Calls:
    """Return what finufft does by itself, with the tolerance of `NUFFT`: points given anew at each call.

    In double precision that is the work of `NUFFT`; in single its error is past 1e-5.
    """
    points = [axis.to(dtype.to_real()).contiguous().numpy() for axis in _trajectory().unbind(-1)]
    x = torch.randn(256, 256, dtype=dtype).numpy()
    y = torch.randn(100_000, dtype=dtype).numpy()
    options: dict[str, Any] = {"eps": 1e-6, "nthreads": torch.get_num_threads(), "upsampfac": 2.0}
    return {
        "forward": lambda: finufft.nufft2d2(*points, x, isign=-1, **options),
        "adjoint": lambda: finufft.nufft2d1(*points, y, (256, 256), isign=1, **options),
    }


def _nufft_coils() -> Calls:
    operator = NonCartesianMRI(_trajectory(), (1, 256, 256), torch.randn(15, 256, 256, dtype=torch.complex64))
    x = torch.randn(1, 1, 256, 256, dtype=torch.complex64)
    return {"gram": lambda: operator.gram(x), "forward, then adjoint": lambda: operator.adjoint(operator(x))}


def _espirit() -> Calls:
    maps, image = birdcage_maps(8, (230, 180)), shepp_logan((230, 180)) + 0j
    kspace = CartesianMRI(torch.ones(1, 1, 1, 1), (1, 230, 180), maps)(image)
    return {"maps": lambda: espirit_maps(cast("Tensor", kspace))}


def _drunet() -> Calls:
    model, x = DRUNet(3).eval(), torch.rand(1, 3, 256, 256)
    return {"forward": lambda: model(x, 0.1)}


def _ram(operator: LinearOperator) -> Calls:
    model, physics = RAM().eval(), Physics(operator, Gaussian(0.05))
    y = physics(torch.rand(1, 3, 256, 256))
    return {"forward": lambda: model(y, physics)}


def _ram_in_tiles() -> Calls:
    shape = (3, 2048, 2048)
    model, mask = Tiled(RAM("small").eval()), torch.rand(1, 1, 2048, 2048) > 0.5
    physics = Physics(Mask(mask, shape), Gaussian(0.05))
    y = physics(torch.rand(1, *shape))
    return {"forward": lambda: model(y, physics)}


def _in_half_precision(calls: Calls) -> Calls:
    """Return the calls under autocast to bfloat16."""

    def under_autocast(call: Callable[[], object]) -> Callable[[], object]:
        def cast() -> object:
            with torch.autocast("cpu", dtype=torch.bfloat16):
                return call()

        return cast

    return {direction: under_autocast(call) for direction, call in calls.items()}


def _tv_prox() -> Calls:
    prior = TotalVariation(_COLOUR, descent=DualDescent(tolerance=None, max_steps=100))
    x = torch.rand(1, *_COLOUR)
    return {"prox": lambda: prior.prox(x, 0.1)}


_COLOUR = (3, 256, 256)

WORKLOADS: dict[str, Callable[[], Calls]] = {
    "blur_circular_31_256_b8": _blur_circular,
    "blur_valid_31_256_b8": _blur_valid,
    "ct_fan_256_180_b1": _ct_fan,
    "ct_parallel_256_180_b1": lambda: _ct_parallel(256, 180, 1),
    "ct_parallel_256_180_b8": lambda: _ct_parallel(256, 180, 8),
    "ct_parallel_512_360_b1": lambda: _ct_parallel(512, 360, 1),
    "downsample_bicubic_x4_512_b4": _downsample_bicubic,
    "drunet_256": _drunet,
    "drunet_256_bfloat16": lambda: _in_half_precision(_drunet()),
    "mri_15coils_320_b1": _mri,
    "mri_espirit_8coils_230x180": _espirit,
    "nufft_15coils_256_100k": _nufft_coils,
    "nufft_256_100k": _nufft,
    "nufft_256_100k_finufft_alone": lambda: _nufft_alone(torch.complex128),
    "nufft_256_100k_finufft_alone_complex64": lambda: _nufft_alone(torch.complex64),
    "ram_blur_circular_256": lambda: _ram(Blur(_random_kernel(31), _COLOUR, padding="circular")),
    "ram_blur_valid_256": lambda: _ram(Blur(_random_kernel(31), _COLOUR)),
    "ram_denoise_256": lambda: _ram(Identity(_COLOUR)),
    "ram_denoise_256_bfloat16": lambda: _in_half_precision(_ram(Identity(_COLOUR))),
    "ram_inpaint_256": lambda: _ram(Mask(torch.rand(1, 1, 256, 256) > 0.5, _COLOUR)),
    "ram_small_inpaint_2048_tiled": _ram_in_tiles,
    "ram_sr4_256": lambda: _ram(Downsample(4, _COLOUR)),
    "tv_prox_256_100it": _tv_prox,
}

LONG = frozenset({"ram_small_inpaint_2048_tiled"})
"""Workloads of minutes: one round of one call, after a warm-up."""


def reason_to_skip(name: str, processor_flags: Collection[str]) -> str | None:
    """Return why a workload would say nothing on this processor, or None.

    Parameters
    ----------
    name : str
    processor_flags : collection of str
        What Linux calls its abilities.
    """
    if name.endswith("_bfloat16") and not {"avx512_bf16", "amx_bf16"} & set(processor_flags):
        return "the processor has no bfloat16 instructions"
    return None
