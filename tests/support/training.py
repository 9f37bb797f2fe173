"""A network, problems and a command so small that a training run takes milliseconds."""

import sys
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

import wellposed as wp
from wellposed.data.problems import Batch
from wellposed.training import Exercise, Options, Trainer


@dataclass(frozen=True)
class Toy:
    """Flat images and a gradient across them, half of the pixels of which are seen, with random masks."""

    name: str = "toy"
    sigma: float = 0.1
    size: int = 12
    has_truth: bool = True

    def batch(self, count, *, generator):
        level = torch.rand(count, 1, 1, 1, generator=generator)
        slope = torch.rand(count, 1, 1, 1, generator=generator)
        x = 0.5 * level + 0.5 * slope * torch.linspace(0, 1, self.size).expand(count, 1, self.size, self.size)
        mask = (torch.rand(count, 1, self.size, self.size, generator=generator) > 0.5).float()
        operator = wp.operators.Mask(mask, (1, self.size, self.size))
        physics = wp.Physics(operator, wp.noise.Gaussian(self.sigma))
        return Batch(physics(x, generator=generator), physics, x if self.has_truth else None)


class Corrector(nn.Module):
    """Correct the backprojection by two small convolutions."""

    def __init__(self, width=4):
        super().__init__()
        self.first = nn.Conv2d(1, width, 3, padding=1)
        self.last = nn.Conv2d(width, 1, 3, padding=1)

    def forward(self, y, physics):
        back = physics.A_adjoint(y)
        return back + self.last(torch.relu(self.first(back)))


def corrector():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return Corrector()


def toys():
    return [Exercise(Toy("faint", 0.05), batch=4), Exercise(Toy("noisy", 0.2), batch=6, weight=2.0)]


def toy_trainer(folder=None, *, validation=None, **changes):
    settings = {
        "steps": 12,
        "accumulate": 2,
        "learning_rate": 1e-2,
        "ema": 0.9,
        "warmup": 3,
        "schedule": "cosine",
        "weighting": "snr",
        "log_every": 1,
        "validate_every": 4,
        "checkpoint_every": 3,
        "panels": False,
        "tensorboard": False,
        "device": "cpu",
    }
    validation = [Toy("held out")] if validation is None else validation
    return Trainer(corrector(), toys(), Options(**settings | changes), validation=validation, folder=folder)


def run_in(folder, steps):
    """Train in a folder, from its checkpoint if it has one, and note there how it ended."""
    torch.set_num_threads(1)
    outcome = toy_trainer(folder, steps=steps).run(resume=True)
    (folder / "reason").write_text(outcome.reason, encoding="utf-8")


if __name__ == "__main__":
    run_in(Path(sys.argv[1]), int(sys.argv[2]))
