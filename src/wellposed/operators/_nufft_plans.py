"""The libraries that compute Fourier transforms at points off the grid: finufft, and cufinufft on a GPU."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
import torch
from torch import Tensor

from wellposed.core.names import optional_import

__all__ = ["Plans", "default_tolerance"]

_TO_IMAGE, _TO_SAMPLES = 1, 2
_TOLERANCE = {torch.float32: 1e-6, torch.float64: 1e-12}
_SINGLE_PER_PIXEL = 2e-7
_OVERSAMPLING = 2.0


def default_tolerance(dtype: torch.dtype) -> float:
    """Return the relative accuracy to ask for in a real precision."""
    return _TOLERANCE[dtype]


class Plans:
    """Transforms between images of some sizes and fixed points, each planned when it is first wanted.

    Single precision rounds the points so that its error grows with the size of the image, past 1e-5 at 256 pixels: it
    is used where that is within the tolerance, and double precision elsewhere. Both directions oversample alike, or
    they would not be transposes of each other.

    Parameters
    ----------
    trajectory : Tensor, shape (B or 1, K, d)
        Plain numbers, without a graph, in radians per pixel.
    sizes : tuple of int
        Of the image, d of them.
    tolerance : float
    """

    def __init__(self, trajectory: Tensor, sizes: tuple[int, ...], tolerance: float) -> None:
        is_single = trajectory.dtype == torch.float32 and tolerance >= _SINGLE_PER_PIXEL * max(sizes)
        self._points = trajectory if is_single else trajectory.double()
        self._sizes, self._tolerance = sizes, tolerance
        self._plans: dict[tuple[int, ...], Any] = {}
        self._lock = threading.Lock()

    def to_samples(self, x: Tensor) -> Tensor:
        """Return the samples (B, C, K) of images (B, C, *sizes)."""
        return self._all(_TO_SAMPLES, x, (self._points.shape[1],))

    def to_image(self, y: Tensor) -> Tensor:
        """Return the transpose of `to_samples`: images (B, C, *sizes) of samples (B, C, K)."""
        return self._all(_TO_IMAGE, y, self._sizes)

    def _all(self, kind: int, values: Tensor, shape: tuple[int, ...]) -> Tensor:
        """Transform everything in one call if the points are shared, else the images of each set of points."""
        if values.device.type == "meta":
            return values.new_empty(*values.shape[:2], *shape)
        precise = values.to(self._points.dtype.to_complex()).resolve_conj().contiguous()
        with self._lock:
            if len(self._points) == 1:
                result = self._one(kind, 0, precise.flatten(0, 1)).unflatten(0, values.shape[:2])
            else:
                result = torch.stack([self._one(kind, index, item) for index, item in enumerate(precise)])
        return result.to(values.dtype)

    def _one(self, kind: int, index: int, values: Tensor) -> Tensor:
        plan = self._plan(kind, index, len(values), values.dtype)
        if values.is_cuda:
            shape = self._sizes if kind == _TO_IMAGE else self._points.shape[1:2]
            result = plan.execute(values, out=values.new_empty(len(values), *shape))
        else:
            array = values.detach().numpy()
            result = torch.from_numpy(np.asarray(plan.execute(array if len(array) > 1 else array[0])))
        result = result.reshape(len(values), *(self._sizes if kind == _TO_IMAGE else (-1,)))
        return result.mul_(float(np.prod(self._sizes)) ** -0.5)

    def _plan(self, kind: int, index: int, count: int, dtype: torch.dtype) -> Any:
        threads = torch.get_num_threads()
        key = (kind, index, count, threads)
        if key not in self._plans:
            name, sign = str(dtype).removeprefix("torch."), -1 if kind == _TO_SAMPLES else 1
            points = self._points[index].unbind(-1)
            if self._points.is_cuda:
                library = optional_import("cufinufft", extra="mri-cuda")
                where = {"gpu_device_id": self._points.device.index}
                plan = library.Plan(kind, self._sizes, count, self._tolerance, sign, name, **where)
                plan.setpts(*(axis.contiguous() for axis in points))
            else:
                library = optional_import("finufft", extra="mri")
                options = {"nthreads": threads, "upsampfac": _OVERSAMPLING}
                plan = library.Plan(kind, self._sizes, count, self._tolerance, sign, name, **options)
                plan.setpts(*(axis.contiguous().numpy() for axis in points))
            self._plans[key] = plan
        return self._plans[key]
