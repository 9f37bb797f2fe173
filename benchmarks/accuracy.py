"""How far the nonuniform transforms that are timed are from the sum that defines them, ours and the peer's.

The sum is taken in double precision, at every 200th sample of the forward transform, and at every 16th row and column
of the adjoint.
"""

from __future__ import annotations

import math
import subprocess
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import cast

import finufft
import numpy as np
import torch
from torch import Tensor

from wellposed.operators import NUFFT

__all__ = ["relative_errors"]

_SIZE, _SAMPLES = 256, 100_000
_EVERY_SAMPLE, _EVERY_LINE = 200, 16
_PEER_SCRIPT = Path(__file__).resolve().parent / "peer_nufft.py"
Pair = tuple[Tensor, Tensor]


def relative_errors(workload: str, peer_python: str | None) -> dict[str, dict[str, float]]:
    """Return the errors of a workload by direction, {"forward": {"error": ..., "peer_error": ...}}; {} of most.

    Parameters
    ----------
    workload : str
    peer_python : str, optional
        The interpreter of the environment where DeepInverse is installed.
    """
    base = "nufft_256_100k"
    if not workload.startswith(base):
        return {}
    generator = torch.Generator().manual_seed(0)
    points = 2 * math.pi * torch.rand(_SAMPLES, 2, generator=generator) - math.pi
    x = torch.randn(_SIZE, _SIZE, dtype=torch.complex64, generator=generator)
    y = torch.randn(_SAMPLES, dtype=torch.complex64, generator=generator)
    truth = _direct_sums(points, x, y)
    computed = {"error": _ours(points, x, y) if workload == base else _finufft(points, x, y, workload)}
    if workload == base and peer_python:
        computed["peer_error"] = _peers(peer_python, points, x, y)
    return {
        direction: {name: _distance(pair[index], truth[index]) for name, pair in computed.items()}
        for index, direction in enumerate(("forward", "adjoint"))
    }


def _ours(points: Tensor, x: Tensor, y: Tensor) -> Pair:
    operator = NUFFT(points, (1, _SIZE, _SIZE))
    return _few(cast("Tensor", operator(x[None, None])), cast("Tensor", operator.adjoint(y[None, None])))


def _finufft(points: Tensor, x: Tensor, y: Tensor, workload: str) -> Pair:
    kind = "complex64" if workload.endswith("complex64") else "complex128"
    axes = [axis.to(torch.float32 if kind == "complex64" else torch.float64).numpy() for axis in points.mT.contiguous()]
    image, samples = x.numpy().astype(kind), y.numpy().astype(kind)
    forward = finufft.nufft2d2(*axes, image, isign=-1, eps=1e-6, upsampfac=2.0)
    adjoint = finufft.nufft2d1(*axes, samples, (_SIZE, _SIZE), isign=1, eps=1e-6, upsampfac=2.0)
    return _few(torch.from_numpy(forward) / _SIZE, torch.from_numpy(adjoint) / _SIZE)


def _peers(python: str, points: Tensor, x: Tensor, y: Tensor) -> Pair:
    with TemporaryDirectory() as folder:
        given, made = Path(folder) / "given.npz", Path(folder) / "made.npz"
        np.savez(given, points=points, x=x, y=y)
        subprocess.run([python, "-W", "ignore", str(_PEER_SCRIPT), str(given), str(made)], check=True)
        with np.load(made) as arrays:
            return _few(*(torch.from_numpy(arrays[name]) / _SIZE for name in ("forward", "adjoint")))


def _few(forward: Tensor, adjoint: Tensor) -> Pair:
    image = adjoint.reshape(_SIZE, _SIZE)
    return forward.flatten()[::_EVERY_SAMPLE], image[::_EVERY_LINE, ::_EVERY_LINE]


def _direct_sums(points: Tensor, x: Tensor, y: Tensor) -> Pair:
    """Return both transforms, each divided by the square root of the number of pixels, where `_few` looks."""
    position = torch.arange(_SIZE, dtype=torch.float64) - _SIZE // 2
    rows, columns = (torch.polar(torch.ones(()).double(), -axis[:, None] * position) for axis in points.double().mT)
    few = slice(None, None, _EVERY_SAMPLE)
    forward = ((rows[few] @ x.to(torch.complex128)) * columns[few]).sum(1)
    lines = slice(None, None, _EVERY_LINE)
    adjoint = (rows[:, lines].conj() * y.to(torch.complex128)[:, None]).mT @ columns[:, lines].conj()
    return forward / _SIZE, adjoint / _SIZE


def _distance(computed: Tensor, truth: Tensor) -> float:
    return float(torch.linalg.vector_norm(computed - truth) / torch.linalg.vector_norm(truth))
