"""Single-photon captures with missing lines: the network learns from incomplete captures alone.

`python -m docs.gallery.single_photons --data ../shared/data` takes about five minutes on two quiet cores. A quarter of
the lines of each of the 23 captures (64 x 32 pixels) is taken away and never shown; the noise is what a detector gives,
and nothing is assumed of it but that it is independent from pixel to pixel. The lines that were taken away are noisy
too, so that scores tell the ranking rather than the error.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

import wellposed as wp
from docs.gallery import _example as example
from wellposed import losses
from wellposed.core.errors import WellposedError
from wellposed.data.problems import Batch
from wellposed.losses import Loss
from wellposed.metrics import psnr
from wellposed.operators import Mask
from wellposed.training import Options

MISSING = 0.25


@dataclass(frozen=True)
class Captures:
    """Captures, of each of which some lines are missing, always the same ones."""

    captures: Tensor
    masks: Tensor
    name: str = "captures"

    def batch(self, count: int, *, generator: torch.Generator) -> Batch:
        """Draw captures."""
        chosen = torch.randint(len(self.captures), (count,), generator=generator)
        masks = self.masks[chosen]
        return Batch(masks * self.captures[chosen], wp.Physics(Mask(masks)), None)


def some_lines(count: int, height: int, width: int, generator: torch.Generator | None) -> Tensor:
    """Draw masks without some of the lines, shape (count, 1, height, width)."""
    kept = torch.rand(count, 1, height, 1, generator=generator) >= MISSING
    return kept.float().expand(count, 1, height, width).contiguous()


def main(arguments: Sequence[str] | None = None) -> dict[str, float]:
    """Train, score, write the table and the picture; return the PSNR in the lines that were taken away."""
    chosen = example.settings(arguments, "Single-photon captures with missing lines.", seconds=300)
    captures = _captures(chosen)
    height, width = captures.shape[-2:]
    masks = some_lines(len(captures), height, width, torch.Generator().manual_seed(0))

    def others(count: int, generator: torch.Generator | None) -> Mask:
        return Mask(some_lines(count, height, width, generator))

    split = losses.Splitting(ratio=0.8, pattern="rows", compare="kept back")
    ways: dict[str, Loss] = {
        "splitting": split,
        "splitting + multi-operator": split + 0.1 * losses.MultiOperatorImaging(others),
    }
    y, physics = masks * captures, wp.Physics(Mask(masks))
    results = {
        "as measured": y,
        "total variation": wp.reconstruct(y, wp.Physics(Mask(masks), wp.noise.Gaussian(0.05)), "tv"),
    }
    for name, loss in ways.items():
        options = Options(
            steps=3 if chosen.small else 1500,
            batch=8,
            learning_rate=2e-3,
            schedule="cosine",
            final_ratio=0.01,
            clip=1.0,
        )
        model = example.trained(small_network(), Captures(captures, masks), loss, options, chosen.seconds / 2)
        with torch.no_grad():
            results[name] = model.eval()(y, physics)
    scores = {name: _score(image, captures, masks) for name, image in results.items()}
    brightness = 0.5 / float(torch.quantile(captures, 0.9).clamp_min(1e-3))
    rows = [
        (
            "",
            [
                *((name, brightness * image[i : i + 1]) for name, image in results.items()),
                ("all lines", brightness * captures[i : i + 1]),
            ],
        )
        for i in range(2)
    ]
    table = [[name, f"{value:.2f}"] for name, value in scores.items()]
    example.show(chosen, "single-photons", rows, ["", "PSNR in the lines taken away"], table)
    return scores


def small_network() -> nn.Module:
    """Return the same random start each time."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return wp.models.ArtifactRemoval(wp.models.UNet(channels=1, width=16, levels=3))


def _captures(chosen: example.Settings) -> Tensor:
    if chosen.data is None:
        return torch.cat(example.smooth_images(4, size=16))
    return torch.cat(example.photographs(chosen.data / "science" / "spad" / "bianlab_inputs_64x32"))


def _score(image: Tensor, captures: Tensor, masks: Tensor) -> float:
    away = 1 - masks
    error = (away * (image - captures).square()).sum() / away.sum()
    return float(psnr(error.sqrt().view(1, 1, 1, 1), torch.zeros(1, 1, 1, 1), data_range=1.0))


if __name__ == "__main__":
    try:
        main()
    except WellposedError as error:
        sys.exit(f"single_photons: {error}")
