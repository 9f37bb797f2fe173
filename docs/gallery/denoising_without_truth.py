"""Denoising without clean images: one small network, the same steps, seven ways of learning; PSNR on Set12.

`python -m docs.gallery.denoising_without_truth --data ../shared/data` takes about nine minutes on two quiet cores, and
as long again with `--noise poisson`.
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
from wellposed.data import ImageStore
from wellposed.data.problems import Batch
from wellposed.losses import Loss, adapted_for_test
from wellposed.metrics import psnr
from wellposed.training import Denoising, Options

SIGMA, GAIN = 25 / 255, 0.02
EVALUATIONS = {"SURE": 2.2, "UNSURE": 2.2, "Neighbor2Neighbor": 1.2}


@dataclass(frozen=True)
class Noisy:
    """Noisy crops of photographs; a pair of each where two measurements are wanted."""

    images: ImageStore
    physics: wp.Physics
    size: int
    pair: bool = False
    name: str = "noisy crops"

    def batch(self, count: int, *, generator: torch.Generator) -> Batch:
        """Draw crops and measure them; only a supervised loss looks at the third entry."""
        x = self.images.crops(count, self.size, generator=generator, augment=True, grey=True)
        y: Tensor | tuple[Tensor, ...] = self.physics(x, generator=generator)
        if self.pair:
            y = (y, self.physics(x, generator=generator))
        return Batch(y, self.physics, x)


def ways(family: str) -> dict[str, Loss]:
    """Return the losses that are compared."""
    unknown = "level" if family == "gaussian" else "poisson_gaussian"
    return {
        "supervised": losses.L2(),
        "Noise2Noise": losses.Noise2Noise(),
        "SURE": losses.SURE(),
        "UNSURE": losses.UNSURE(unknown),  # type: ignore[arg-type]
        "R2R": losses.R2R(),
        "Neighbor2Neighbor": losses.Neighbor2Neighbor(),
        "Noise2Void": losses.Noise2Void(fraction=0.05),
    }


def main(arguments: Sequence[str] | None = None, family: str = "gaussian") -> dict[str, float]:
    """Train, score, write the table and the picture; return the PSNR of each way."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    if "--noise" in given:
        place = given.index("--noise")
        family = wp.core.names.check_name("noise", given[place + 1], ("gaussian", "poisson"))
        del given[place : place + 2]
    chosen = example.settings(given, "Denoising without clean images; --noise gaussian or poisson.")
    noise = wp.noise.Gaussian(SIGMA) if family == "gaussian" else wp.noise.Poisson(GAIN)
    physics = wp.Physics(wp.operators.Identity(), noise)
    if chosen.data is None:
        store, test = (
            ImageStore.from_tensors([x[0] for x in example.smooth_images(6)]),
            example.smooth_images(2, seed=1),
        )
    else:
        natural = chosen.data / "train" / "natural"
        store = ImageStore.from_folder([natural / "bsds500_train", natural / "bsds500_test"], channels=1)
        test = example.photographs(chosen.data / "test" / "set12_gray")
    size = 16 if chosen.small else 64
    steps = 2 if chosen.small else 1300
    share = chosen.seconds / sum(EVALUATIONS.get(name, 1.0) for name in ways(family))
    scores: dict[str, float] = {}
    pictures: dict[str, Tensor] = {}
    noisy = [physics(x, generator=torch.Generator().manual_seed(index)) for index, x in enumerate(test)]
    for name, loss in ways(family).items():
        options = Options(
            steps=steps, batch=8, learning_rate=2e-3, schedule="cosine", final_ratio=0.01, clip=1.0, ema=0.99
        )
        problem = Noisy(store, physics, size, pair=name == "Noise2Noise")
        limit = 3 * share * EVALUATIONS.get(name, 1.0)
        network = adapted_for_test(loss, example.trained(small_network(), problem, loss, options, limit).eval())
        with torch.no_grad():
            restored = [network(y, physics) for y in noisy]
        scores[name] = sum(float(psnr(a, b, data_range=1.0)) for a, b in zip(restored, test, strict=True)) / len(test)
        pictures[name] = restored[0]
    first = float(psnr(noisy[0], test[0], data_range=1.0))
    shown = [("truth", test[0]), (f"noisy, {first:.1f} dB", noisy[0])]
    shown += [
        (f"{name}, {float(psnr(pictures[name], test[0], data_range=1.0)):.1f} dB", pictures[name]) for name in scores
    ]
    rows = [[name, f"{value:.2f}", f"{value - scores['supervised']:+.2f}"] for name, value in scores.items()]
    header = ["learnt by", "PSNR on Set12", "to supervised"]
    example.show(chosen, f"denoising-without-truth-{family}", [("", shown[:5]), ("", shown[5:])], header, rows)
    return scores


def small_network() -> nn.Module:
    """Return the same random start each time."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return Denoising(wp.models.DenoiserTiny(channels=1, widths=(24, 48), blocks=1))


if __name__ == "__main__":
    try:
        main()
    except WellposedError as error:
        sys.exit(f"denoising_without_truth: {error}")
