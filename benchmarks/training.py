"""How fast a training step is: crops per second of the trainer, and of its parts."""

from __future__ import annotations

from collections.abc import Callable

import torch

from wellposed.data import ImageStore, SimulatedProblem, get_task
from wellposed.models import RAM
from wellposed.training import Options, Outcome, Trainer

__all__ = ["crops_per_second", "training_step"]

_TASKS = ("random-denoise", "random-deblur", "random-inpaint", "random-sr2")


def training_step(
    *, size: int = 64, batch: int = 2, steps: int = 1, device: str = "auto", precision: str = "fp32"
) -> Callable[[], Outcome]:
    """Return a call that trains `ram-small` for some steps on four problems at once.

    Parameters
    ----------
    size, batch : int
        Of the crops of each problem.
    steps : int
    device, precision : str
        As in `Options`.
    """
    generator = torch.Generator().manual_seed(0)
    where = "cuda" if device == "auto" and torch.cuda.is_available() else "cpu" if device == "auto" else device
    pictures = [torch.rand(3, 256, 256, generator=generator) for _ in range(8)]
    store = ImageStore.from_tensors(pictures, device=where)
    problems = [SimulatedProblem(name, store, get_task(name), size=size) for name in _TASKS]
    options = Options(steps=steps, batch=batch, weighting="snr", device=where, precision=precision)  # type: ignore[arg-type]
    trainer = Trainer(RAM("small"), problems, options)
    return trainer.run


def crops_per_second(**settings: int | str) -> float:
    """Return the crops per second of five steps, after one that warms up; settings as in `training_step`."""
    training_step(**{**settings, "steps": 1})()  # type: ignore[arg-type]
    return training_step(**{"steps": 5, **settings})().crops_per_second  # type: ignore[arg-type]


if __name__ == "__main__":
    is_cuda = torch.cuda.is_available()
    speed = crops_per_second(size=128, batch=16, precision="bf16") if is_cuda else crops_per_second()
    print(f"ram-small, {len(_TASKS)} problems: {speed:.1f} crops per second")
