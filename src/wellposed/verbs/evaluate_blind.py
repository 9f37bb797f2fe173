"""How well a method does on measurements whose true images nobody knows."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable
from copy import deepcopy
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import fmean
from typing import TypeAlias

import torch
from torch import nn

from wellposed.core.errors import ArgumentError
from wellposed.core.rng import seeded
from wellposed.core.tree import Tree, tree_map
from wellposed.data import load_measurements
from wellposed.losses import Loss, Scheme, adapted_for_test, hold_out
from wellposed.physics import Physics
from wellposed.verbs._json import finite
from wellposed.verbs.measured import named
from wellposed.verbs.reconstruct import Reconstructor, check_method, choose_method, reconstruct

__all__ = ["BlindEvaluation", "BlindScore", "Measurements", "as_trained", "evaluate_measurements"]

Measurements: TypeAlias = tuple[Tree, Physics] | str | Path
"""Measurements with their physics, or a file of them."""


@dataclass(frozen=True)
class BlindScore:
    """How well a reconstruction of a part of the measurements foretells the rest.

    Parameters
    ----------
    name : str
        That of the file, or its place in the sequence.
    error : float
        The mean squared error in what was kept back, in the square of the unit of the measurements.
    scheme : {"recorruption", "splitting", "hidden pixels"}
        What was kept back.
    noise_is_removed : bool
        Whether the error is that of the reconstruction alone; else the variance of the noise is part of it.
    seconds : float
        What the method took.
    """

    name: str
    error: float
    scheme: Scheme
    noise_is_removed: bool
    seconds: float


@dataclass(frozen=True)
class BlindEvaluation:
    """The scores of a method without the truth, one row per set of measurements.

    Parameters
    ----------
    method : str
        Where the method was to be chosen for each, all those chosen, with commas.
    seed : int
    rows : tuple of BlindScore
    """

    method: str
    seed: int
    rows: tuple[BlindScore, ...]

    def mean(self) -> dict[str, float]:
        """Return the means of error and seconds."""
        return {name: fmean(getattr(row, name) for row in self.rows) for name in ("error", "seconds")}

    def to_json(self) -> str:
        """Return everything as JSON."""
        return json.dumps(finite({**asdict(self), "mean": self.mean()}), indent=2, allow_nan=False) + "\n"


def evaluate_measurements(
    measurements: Iterable[tuple[str, Measurements]],
    method: str | Reconstructor,
    *,
    noise_is_known: bool = True,
    seed: int = 0,
    device: torch.device | str = "cpu",
    loss: Loss | None = None,
    callback: Callable[[int], None] | None = None,
) -> BlindEvaluation:
    """Score a method on measurements alone; what `evaluate` does with `without_ground_truth=True`.

    Parameters
    ----------
    measurements : iterable of (str, (y, physics) or path)
        With a name each; what is kept back depends on it and on the seed alone.
    method : str or callable
    noise_is_known : bool
        As in `hold_out`.
    seed : int
    device : torch.device or str
    loss : Loss, optional
    callback : callable, optional
        Called with the number of sets done.

    Raises
    ------
    ArgumentError
        If there are no measurements, or there is a loss and the method is no network.
    WellposedError
        If nothing can be kept back, or the method cannot handle what is left; the sentence names the measurements.
    """
    if isinstance(method, str):
        check_method(method)
    if loss is not None:
        method = as_trained(method, loss)
    rows: list[BlindScore] = []
    used: dict[str, None] = {}
    for name, entry in measurements:
        with named(name):
            y, physics = load_measurements(entry) if isinstance(entry, (str, Path)) else entry
            score, label = _scored(name, y, physics, method, noise_is_known, seed, torch.device(device))
        rows.append(score)
        used[label] = None
        if callback is not None:
            callback(len(rows))
    if not rows:
        raise ArgumentError("evaluate expects at least one set of measurements, got none.")
    return BlindEvaluation(", ".join(used), seed, tuple(rows))


def _scored(
    name: str,
    y: Tree,
    physics: Physics,
    method: str | Reconstructor,
    noise_is_known: bool,  # noqa: FBT001
    seed: int,
    device: torch.device,
) -> tuple[BlindScore, str]:
    generator = seeded(seed, name)
    y, physics = tree_map(lambda leaf: leaf.to(device), y), deepcopy(physics).to(device)
    held_out = hold_out(y, physics, noise_is_known=noise_is_known, generator=generator)
    by = choose_method(held_out.y, held_out.physics) if method == "auto" else method
    start = time.perf_counter()
    x_hat = reconstruct(held_out.y, held_out.physics, by)
    if x_hat.is_cuda:
        torch.cuda.synchronize(x_hat.device)
    seconds = time.perf_counter() - start
    error = float(held_out.score(x_hat).mean())
    label = by if isinstance(by, str) else getattr(by, "__name__", type(by).__name__)
    return BlindScore(name, error, held_out.scheme, held_out.noise_is_removed, seconds), label


def as_trained(method: str | Reconstructor, loss: Loss) -> Reconstructor:
    """Return a network as the loss that it was trained by uses it at test."""
    if not isinstance(method, nn.Module):
        raise ArgumentError(
            f"evaluate uses networks as their loss does, and the method {method!r} is none: leave out the loss."
        )
    return adapted_for_test(loss, method)
