"""Cryo-electron microscopy: single frames denoised by what they know of each other's pixels, the noise unknown.

`python -m docs.gallery.cryo_em --data ../shared/data` takes about ten minutes on one core. Frames are binned by 2. They
count electrons, so that their noise is skewed, and UNSURE, which is made for Gaussian noise, keeps its bright outliers;
as there is hardly anything but noise in a frame, each grey value is replaced by what a Gaussian has at its rank. The
averages are looked at only at the end. Each holds its single frame too, noise and all; that is taken out, so that what
the other frames say remains. Grey scales may differ: what is given is a correlation, of means over 4 x 4 of the
binned pixels. The blur beside it knows more than the networks do: its width is the best for the averaged frames.
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

_BINNING, _SQUARE = 2, 4
_WIDTHS = (1.0, 1.5, 2.0, 3.0, 4.0, 6.0)
PHYSICS = wp.Physics(wp.operators.Identity())


class Direct(nn.Module):
    """What a U-Net adds to its input, as the image itself: there is far more noise in the input than image."""

    def __init__(self, network: wp.models.UNet) -> None:
        super().__init__()
        self.network = network

    def forward(self, y: Tensor, _physics: wp.Physics) -> Tensor:
        """Return the image; the network is not told a noise level."""
        return self.network(y, 0.0) - y


class Crops:
    """Crops of frames, of mean zero and unit standard deviation, turned and mirrored, and nothing else."""

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
        y = torch.stack([self.frames[f, :, r : r + self.size, c : c + self.size] for f, r, c in places])
        turns, mirrored = divmod(int(torch.randint(8, (), generator=generator)), 2)
        y = y.rot90(turns, (-2, -1))
        return Batch(y.flip(-1) if mirrored else y, PHYSICS, None)


def main(arguments: Sequence[str] | None = None) -> dict[str, float]:
    """Train on the single frames, compare with the averaged ones; return the mean correlations."""
    chosen = example.settings(arguments, "Cryo-electron microscopy without clean images, the noise unknown.", 900.0)
    single, average = _frames(chosen)
    size, steps = (16, 4) if chosen.small else (128, 1500)
    ways: dict[str, Loss] = {
        "splitting, Noise2Self": losses.Noise2Self(spacing=2),
        "UNSURE": losses.UNSURE(unknown="covariance", start=1.0),
    }
    others = [_without(frame, mean) for frame, mean in zip(single, average, strict=True)]
    blurs = {width: [_gaussian(frame, width) for frame in single] for width in _WIDTHS}
    best = max(blurs, key=lambda width: _score(blurs[width], others))
    results = {"single frame": single, f"best blur, {best:g} pixels": blurs[best]}
    for name, loss in ways.items():
        options = Options(
            steps=steps, batch=4, learning_rate=3e-3, schedule="cosine", final_ratio=0.01, clip=1.0, ema=0.99
        )
        model = example.trained(small_network(), Crops(single, size), loss, options, chosen.seconds / 2)
        with torch.no_grad():
            results[name] = [adapted_for_test(loss, model)(frame, PHYSICS) for frame in single]
    scores = {name: _score(images, others) for name, images in results.items()}
    middle = (..., slice(0, 192), slice(0, 192))
    shown = [(f"{name}, {scores[name]:.2f}", _scaled(images[0][middle])) for name, images in results.items()]
    pictures = [("", [*shown, ("averaged", _scaled(average[0][middle]))])]
    rows = [[name, f"{value:.3f}"] for name, value in scores.items()]
    example.show(chosen, "cryo-em", pictures, ["", "correlation with the other frames"], rows)
    return scores


def small_network() -> nn.Module:
    """Return the same random start each time."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return Direct(wp.models.UNet(channels=1, width=8, levels=4))


def _frames(chosen: example.Settings) -> tuple[list[Tensor], list[Tensor]]:
    """Return single frames, their grey values those of a Gaussian, and averages of mean zero and unit deviation."""
    if chosen.data is None:
        clean = [_standard(x) for x in example.smooth_images(2, size=64)]
        noise = torch.Generator().manual_seed(0)
        single = [x + 3 * torch.randn(x.shape, generator=noise) for x in clean]
        return [_gaussian_ranks(x) for x in single], [
            _standard(x + 0.2 * y) for x, y in zip(clean, single, strict=True)
        ]
    folder = chosen.data / "science" / "cryoem_apoferritin"
    paths = wp.data.list_images(folder)
    single, average = (
        [nn.functional.avg_pool2d(wp.data.read_image(path), _BINNING) for path in paths if path.stem.endswith(kind)]
        for kind in ("single", "avg")
    )
    return [_gaussian_ranks(x) for x in single], [_standard(x) for x in average]


def _gaussian_ranks(image: Tensor) -> Tensor:
    """Return the values that as many draws of a standard Gaussian would have, in the order of those of the image."""
    ranks = image.flatten().argsort().argsort().reshape(image.shape)
    return torch.special.ndtri((ranks + 0.5) / image.numel())


def _standard(image: Tensor) -> Tensor:
    return (image - image.mean()) / image.std()


def _scaled(image: Tensor) -> Tensor:
    """Return an image between its first and its 99th percentile."""
    low, high = torch.quantile(image.flatten(), torch.tensor([0.01, 0.99]))
    return ((image - low) / (high - low)).clamp(0, 1)


def _blurred(image: Tensor) -> Tensor:
    return nn.functional.avg_pool2d(nn.functional.pad(image, (4, 4, 4, 4), mode="reflect"), 9, stride=1)


def _gaussian(image: Tensor, width: float) -> Tensor:
    kernel = wp.data.gaussian_kernel(width, 2 * round(3 * width) + 1)
    margin = kernel.shape[-1] // 2
    return nn.functional.conv2d(nn.functional.pad(image, (margin,) * 4, mode="reflect"), kernel)


def _without(single: Tensor, average: Tensor) -> Tensor:
    """Return an average of frames without one of them, whose share is that of its finest details."""
    fine, whole = single - _blurred(single), average - _blurred(average)
    return average - (fine * whole).sum() / fine.square().sum() * single


def _score(images: Sequence[Tensor], others: Sequence[Tensor]) -> float:
    return sum(_correlation(a, b) for a, b in zip(images, others, strict=True)) / len(others)


def _correlation(one: Tensor, other: Tensor) -> float:
    """Return the correlation of the means over squares."""
    one, other = (_standard(nn.functional.avg_pool2d(image, _SQUARE)) for image in (one, other))
    return float((one * other).mean())


if __name__ == "__main__":
    try:
        main()
    except WellposedError as error:
        sys.exit(f"cryo_em: {error}")
