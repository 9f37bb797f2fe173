"""Cryo-electron microscopy: single frames denoised by what they know of each other's pixels, the noise unknown.

`python -m docs.gallery.cryo_em --data ../shared/data` takes about eight minutes on two quiet cores. Frames are binned
by 4. The averaged ones are looked at only at the end. Each holds its single frame too, noise and all; that is taken
out, so that what the other frames say remains. Grey scales may differ: what is given is a correlation, of means over
2 x 2 of the binned pixels.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

import torch
from torch import Tensor, nn

import wellposed as wp
from docs.gallery import _example as example
from wellposed import losses
from wellposed.core.errors import WellposedError
from wellposed.data.problems import Batch
from wellposed.losses import Loss, adapted_for_test
from wellposed.training import Options

_BINNING, _SQUARE = 4, 2
PHYSICS = wp.Physics(wp.operators.Identity())


class Crops:
    """Crops of frames, of mean zero and unit standard deviation, and nothing else."""

    name = "frames"

    def __init__(self, frames: Sequence[Tensor], size: int) -> None:
        self.frames, self.size = torch.cat(list(frames)), size

    def batch(self, count: int, *, generator: torch.Generator) -> Batch:
        """Draw crops."""
        frame, row, column = (
            torch.randint(most, (count,), generator=generator).tolist()
            for most in (len(self.frames), *(side - self.size + 1 for side in self.frames.shape[-2:]))
        )
        places = zip(frame, row, column, strict=True)
        return Batch(
            torch.stack([self.frames[f, :, r : r + self.size, c : c + self.size] for f, r, c in places]), PHYSICS, None
        )


def main(arguments: Sequence[str] | None = None) -> dict[str, float]:
    """Train on the single frames, compare with the averaged ones; return the mean correlations."""
    chosen = example.settings(arguments, "Cryo-electron microscopy without clean images, the noise unknown.")
    single, average = _frames(chosen)
    size, steps = (16, 4) if chosen.small else (96, 1500)
    ways: dict[str, Loss] = {
        "splitting, Noise2Self": losses.Noise2Self(spacing=3),
        "UNSURE": losses.UNSURE(start=0.8, rate=0.002),
    }
    results = {"single frame": single, "blurred, 9 x 9 pixels": [_blurred(frame) for frame in single]}
    for name, loss in ways.items():
        options = Options(
            steps=steps, batch=4, learning_rate=1e-3, schedule="cosine", final_ratio=0.01, clip=1.0, ema=0.99
        )
        model = example.trained(small_network(), Crops(single, size), loss, options, chosen.seconds / 2)
        with torch.no_grad():
            results[name] = [adapted_for_test(loss, model)(frame, PHYSICS) for frame in single]
    others = [_without(frame, mean) for frame, mean in zip(single, average, strict=True)]
    scores = {
        name: sum(_correlation(a, b) for a, b in zip(images, others, strict=True)) / len(others)
        for name, images in results.items()
    }
    middle = (..., slice(0, 128), slice(0, 128))
    shown = [(f"{name}, {scores[name]:.2f}", _scaled(images[0][middle])) for name, images in results.items()]
    pictures = [("", [*shown, ("averaged", _scaled(average[0][middle]))])]
    rows = [[name, f"{value:.3f}"] for name, value in scores.items()]
    example.show(chosen, "cryo-em", pictures, ["", "correlation with the other frames"], rows)
    return scores


def small_network() -> nn.Module:
    """Return the same random start each time; it is not told a noise level."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return wp.models.ArtifactRemoval(wp.models.UNet(channels=1, width=16, levels=3))


def _frames(chosen: example.Settings) -> tuple[list[Tensor], list[Tensor]]:
    """Return single frames and their averages, each of mean zero and unit standard deviation."""
    if chosen.data is None:
        clean = [_standard(x) for x in example.smooth_images(2, size=64)]
        noise = torch.Generator().manual_seed(0)
        single = [x + 3 * torch.randn(x.shape, generator=noise) for x in clean]
        return [_standard(x) for x in single], [_standard(x + 0.2 * y) for x, y in zip(clean, single, strict=True)]
    folder = chosen.data / "science" / "cryoem_apoferritin"
    paths = wp.data.list_images(folder)
    single, average = (
        [
            _standard(nn.functional.avg_pool2d(wp.data.read_image(path), _BINNING))
            for path in paths
            if path.stem.endswith(kind)
        ]
        for kind in ("single", "avg")
    )
    return single, average


def _standard(image: Tensor) -> Tensor:
    return (image - image.mean()) / image.std()


def _scaled(image: Tensor) -> Tensor:
    """Return an image between its first and its 99th percentile."""
    low, high = torch.quantile(image.flatten(), torch.tensor([0.01, 0.99]))
    return ((image - low) / (high - low)).clamp(0, 1)


def _blurred(image: Tensor) -> Tensor:
    return nn.functional.avg_pool2d(nn.functional.pad(image, (4, 4, 4, 4), mode="reflect"), 9, stride=1)


def _without(single: Tensor, average: Tensor) -> Tensor:
    """Return an average of frames without one of them, whose share is that of its finest details."""
    fine, whole = single - _blurred(single), average - _blurred(average)
    return average - (fine * whole).sum() / fine.square().sum() * single


def _correlation(one: Tensor, other: Tensor) -> float:
    """Return the correlation of the means over squares."""
    one, other = (_standard(nn.functional.avg_pool2d(image, _SQUARE)) for image in (one, other))
    return float((one * other).mean())


if __name__ == "__main__":
    try:
        main()
    except WellposedError as error:
        sys.exit(f"cryo_em: {error}")
