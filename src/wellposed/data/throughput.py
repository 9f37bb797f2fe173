"""How fast a problem gives images: what a trainer prints, and benchmarks compare."""

from __future__ import annotations

import time

import torch

from wellposed.core.arguments import check_whole
from wellposed.core.tree import tree_leaves
from wellposed.data.problems import Problem

__all__ = ["crops_per_second"]


def crops_per_second(
    problem: Problem, count: int = 16, *, n_batches: int = 10, generator: torch.Generator | None = None
) -> float:
    """Measure how many images a second a problem gives, physics and noise included.

    One batch is drawn before the clock starts, and an accelerator is waited for at both ends.

    Parameters
    ----------
    problem : Problem
    count : int
        Images of a batch.
    n_batches : int
        Batches to draw.
    generator : torch.Generator, optional
        Its device is where all is drawn; by default a fresh one on the CPU.

    Raises
    ------
    ArgumentError
        If `count` or `n_batches` is no whole number above zero.

    Examples
    --------
    >>> from wellposed.data import ImageStore, SimulatedProblem, get_task
    >>> store = ImageStore.from_tensors([torch.rand(3, 40, 50)])
    >>> problem = SimulatedProblem("sr2", store, get_task("random-sr2"), size=16)
    >>> crops_per_second(problem, 4, n_batches=2) > 0
    True
    """
    check_whole("crops_per_second", "count", count, least=1)
    check_whole("crops_per_second", "n_batches", n_batches, least=1)
    generator = torch.Generator().manual_seed(0) if generator is None else generator
    device = tree_leaves(problem.batch(count, generator=generator).y)[0].device
    _wait_for(device)
    start = time.perf_counter()
    for _ in range(n_batches):
        problem.batch(count, generator=generator)
    _wait_for(device)
    return count * n_batches / (time.perf_counter() - start)


def _wait_for(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
