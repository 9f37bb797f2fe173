"""Imaging inverse problems in PyTorch: from measurements to images, and how sure they are.

>>> import torch
>>> import wellposed as wp
>>> physics = wp.Physics(wp.operators.Identity((1, 8, 8)), wp.noise.Gaussian(0.05))
>>> y = physics(torch.rand(1, 1, 8, 8))
>>> x_hat = wp.reconstruct(y, physics)
"""

from __future__ import annotations

import importlib
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

__version__ = version("wellposed")

if TYPE_CHECKING:
    from wellposed import (
        core,
        data,
        losses,
        metrics,
        models,
        noise,
        operators,
        optim,
        solvers,
        training,
        transforms,
        verbs,
    )
    from wellposed.core.errors import ShapeError, SolverError, WellposedError
    from wellposed.data.measurements import load_measurements, save_measurements
    from wellposed.physics import Physics
    from wellposed.verbs.evaluate import evaluate
    from wellposed.verbs.finetune import finetune
    from wellposed.verbs.reconstruct import reconstruct

__all__ = [
    "Physics",
    "ShapeError",
    "SolverError",
    "WellposedError",
    "core",
    "data",
    "evaluate",
    "finetune",
    "load_measurements",
    "losses",
    "metrics",
    "models",
    "noise",
    "operators",
    "optim",
    "reconstruct",
    "save_measurements",
    "solvers",
    "training",
    "transforms",
    "verbs",
]

_HOMES = {
    "Physics": "wellposed.physics",
    "ShapeError": "wellposed.core.errors",
    "SolverError": "wellposed.core.errors",
    "WellposedError": "wellposed.core.errors",
    "evaluate": "wellposed.verbs.evaluate",
    "finetune": "wellposed.verbs.finetune",
    "load_measurements": "wellposed.data.measurements",
    "reconstruct": "wellposed.verbs.reconstruct",
    "save_measurements": "wellposed.data.measurements",
}


def __getattr__(name: str) -> Any:
    """Load a part of the library when it is first named."""
    if name in _HOMES:
        return getattr(importlib.import_module(_HOMES[name]), name)
    if name in __all__:
        return importlib.import_module(f"wellposed.{name}")
    raise AttributeError(f"module 'wellposed' has no attribute {name!r}; it has {', '.join(__all__)}.")


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
