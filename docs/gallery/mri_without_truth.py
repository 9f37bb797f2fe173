"""Fourfold accelerated MRI of the heart without fully sampled scans: five ways of learning, and the zero-filled image.

`python -m docs.gallery.mri_without_truth --data ../shared/data` takes about half an hour on one core. Slices are halved
in size; they are magnitudes, measured with random masks of lines and a little noise. Equivariant imaging gets one mask
for all slices, as a scanner without choice would give it, and is compared with the zero-filled images of that mask.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn

import wellposed as wp
from docs.gallery import _example as example
from wellposed import losses
from wellposed.core.errors import WellposedError
from wellposed.data.problems import Batch
from wellposed.losses import Loss
from wellposed.metrics import psnr
from wellposed.training import Options
from wellposed.transforms import Rotate

SIGMA, LEVEL = 0.01, 0.05
EVALUATIONS = {"multi-operator": 2.0, "equivariant": 2.0, "robust equivariant": 3.0}
STEPS = {
    "supervised": 3000,
    "splitting": 3000,
    "multi-operator": 5000,
    "equivariant": 3500,
    "robust equivariant": 3500,
}


class Alternating(nn.Module):
    """Three times a small network and the closed-form proximal step of the measurements."""

    def __init__(self, widths: tuple[int, ...], weight: float = 100.0) -> None:
        super().__init__()
        self.networks = nn.ModuleList(
            wp.models.ComplexDenoiser(wp.models.DenoiserTiny(channels=2, widths=widths, blocks=1)) for _ in range(3)
        )
        self.weight = nn.Parameter(torch.tensor(weight).log())

    def forward(self, y: Tensor, physics: wp.Physics) -> Tensor:
        """Reconstruct."""
        x = physics.A_adjoint(y)
        for network in self.networks:
            x = physics.prox_l2(network(x, LEVEL), y, self.weight.exp().expand(len(y)))
        return x


@dataclass(frozen=True)
class Scans:
    """Slices measured in k-space: each by a mask of its own, or all by one."""

    slices: Tensor
    one_mask: bool = False
    name: str = "scans"

    def batch(self, count: int, *, generator: torch.Generator) -> Batch:
        """Draw slices and measure them; only a supervised loss looks at the third entry."""
        x = self.slices[torch.randint(len(self.slices), (count,), generator=generator)]
        physics = physics_of(
            lines(x, torch.Generator().manual_seed(0) if self.one_mask else generator, one=self.one_mask)
        )
        return Batch(measured(x, physics, generator), physics, x)


def lines(x: Tensor, generator: torch.Generator, *, one: bool = False) -> Tensor:
    """Draw masks of a quarter of the columns: the middle ones, and others at random; shape (B or 1, 1, 1, W)."""
    width, count = x.shape[-1], 1 if one else len(x)
    chance = torch.rand(count, width, generator=generator)
    middle = torch.arange(width).sub(width // 2).abs() <= middle_half(width)
    order = torch.where(middle, -1.0, chance).argsort(1).argsort(1)
    return (order < width // 4).float()[:, None, None]


def middle_half(width: int) -> int:
    """Return how many columns on either side of the middle one are always measured."""
    return max(width // 25, 1) - 1


def sampling(x: Tensor) -> Tensor:
    """Return the probability with which each column is measured, shape (1, 1, 1, W)."""
    width, half = x.shape[-1], middle_half(x.shape[-1])
    always = torch.arange(width).sub(width // 2).abs() <= half
    others = (width // 4 - 2 * half - 1) / (width - 2 * half - 1)
    return torch.where(always, 1.0, others)[None, None, None]


def physics_of(mask: Tensor) -> wp.Physics:
    """Return single-coil MRI with this mask."""
    width = mask.shape[-1]
    return wp.Physics(
        wp.operators.CartesianMRI(mask.expand(-1, 1, width, width), (1, width, width)), wp.noise.Gaussian(SIGMA)
    )


def measured(x: Tensor, physics: wp.Physics, generator: torch.Generator) -> Tensor:
    """Measure images; what was not sampled is zero, and has no noise."""
    return cast("Tensor", physics(x, generator=generator)) * physics.operator.mask


def other_masks(x: Tensor) -> Callable[[int, torch.Generator | None], wp.operators.Operator]:
    """Return a function that draws operators with masks of their own, for images as large as x."""

    def draw(count: int, generator: torch.Generator | None) -> wp.operators.Operator:
        return physics_of(lines(x[:1].expand(count, -1, -1, -1), generator or torch.default_generator)).operator

    return draw


def main(arguments: Sequence[str] | None = None) -> dict[str, tuple[float, float]]:
    """Train, score, write the table and the picture; return the PSNR before and after of each way."""
    chosen = example.settings(arguments, "MRI without fully sampled scans.", seconds=3600.0)
    training, test = _slices(chosen, "train"), _slices(chosen, "test")
    generator, half = torch.Generator().manual_seed(1), middle_half(test.shape[-1])
    ways: dict[str, tuple[Loss, bool]] = {
        "supervised": (losses.L2(), False),
        "splitting": (
            losses.Splitting(
                ratio=0.6, pattern="columns", centre=2 * half + 1, compare="kept back", sampling=sampling(test)
            ),
            False,
        ),
        "multi-operator": (losses.MeasurementConsistency() + losses.MultiOperatorImaging(other_masks(test)), False),
        "equivariant": (losses.MeasurementConsistency() + losses.EquivariantImaging(Rotate(order=None)), True),
        "robust equivariant": (losses.SURE() + losses.EquivariantImaging(Rotate(order=None)), True),
    }
    widths = (4, 8) if chosen.small else (32, 64)
    share = chosen.seconds / sum(EVALUATIONS.get(name, 1.0) for name in ways)
    scores: dict[str, tuple[float, float]] = {}
    pictures: list[tuple[str, Tensor]] = [("truth", test[:1])]
    for name, (loss, one_mask) in ways.items():
        physics = physics_of(lines(test, torch.Generator().manual_seed(0 if one_mask else 2), one=one_mask))
        y = measured(test, physics, generator)
        zero_filled = physics.A_adjoint(y)
        before = float(psnr(zero_filled, test, data_range=1.0).mean())
        if not scores:
            pictures.append((f"zero-filled, {before:.1f} dB", zero_filled[:1]))
        options = Options(
            steps=2 if chosen.small else STEPS[name],
            batch=1,
            optimiser="muon",
            learning_rate=1e-3,
            schedule="cosine",
            final_ratio=0.01,
            clip=1.0,
            ema=0.97,
        )
        limit = 3 * share * EVALUATIONS.get(name, 1.0)
        torch.manual_seed(0)
        model = example.trained(Alternating(widths), Scans(training, one_mask), loss, options, limit).eval()
        with torch.no_grad():
            x_hat = torch.cat([model(y[i : i + 1], _single(physics, i)) for i in range(len(test))])
        after = float(psnr(x_hat, test, data_range=1.0).mean())
        scores[name] = before, after
        sys.stdout.write(f"  {name}: {before:.2f} to {after:.2f} dB\n")
        sys.stdout.flush()
        pictures.append((f"{name}, {after:.1f} dB", x_hat[:1]))
    rows = [
        [name, "one" if ways[name][1] else "many", f"{before:.2f}", f"{after:.2f}", f"{after - before:+.2f}"]
        for name, (before, after) in scores.items()
    ]
    shown = [("", [(title, 2 * image.abs()) for title, image in pictures])]
    example.show(chosen, "mri-without-truth", shown, ["learnt by", "masks", "zero-filled", "PSNR", "gain"], rows)
    return scores


def _single(physics: wp.Physics, index: int) -> wp.Physics:
    mask = physics.operator.mask
    return physics.with_params(mask=mask[index : index + 1]) if len(mask) > 1 else physics


def _slices(chosen: example.Settings, part: str) -> Tensor:
    if chosen.data is None:
        images = example.smooth_images(4, size=24, seed=int(part == "test"))
    else:
        images = example.photographs(chosen.data / "medical" / "mri_cardiac" / part)
    halved = [image if chosen.small else nn.functional.avg_pool2d(image, 2) for image in images]
    return torch.cat(halved).to(torch.complex64)


if __name__ == "__main__":
    try:
        main()
    except WellposedError as error:
        sys.exit(f"mri_without_truth: {error}")
