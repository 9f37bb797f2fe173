"""RAM on problems that it was not trained for: as it is, and after one measurement, without and with the truth.

`python -m docs.gallery.fine_tuning --data ../shared/data --model ram-small` takes about nine minutes on two quiet
cores. Demosaicing and compressed sensing (random signs, sine transform, a quarter of the numbers), both with noise of
0.05, on Sentinel-2 tiles and on crops of Kodak photographs, as in table 3 of arXiv:2503.08915. The network learns from
one image and is scored on others of the same kind.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence

import torch
from torch import Tensor, nn

import wellposed as wp
from docs.gallery import _example as example
from wellposed.core.errors import WellposedError
from wellposed.metrics import psnr

SIGMA = 0.05


def demosaicing(shape: tuple[int, int, int]) -> wp.Physics:
    """Return the Bayer mosaic."""
    return wp.Physics(wp.operators.BayerMosaic(shape), wp.noise.Gaussian(SIGMA))


def compressed_sensing(shape: tuple[int, int, int], factor: int = 4) -> wp.Physics:
    """Return random signs, an orthonormal sine transform, and a random part of its numbers."""
    generator = torch.Generator().manual_seed(0)
    signs = torch.randint(2, (1, *shape), generator=generator) * 2.0 - 1
    kept = (torch.rand(1, *shape, generator=generator) < 1 / factor).float()
    rows, columns = sine_matrix(shape[1]), sine_matrix(shape[2])
    transform = wp.operators.FromFunctions(
        lambda x: rows @ (signs * x) @ columns, lambda y: signs * (rows @ y @ columns), shape, shape, "real", "real"
    )
    return wp.Physics(wp.operators.Mask(kept, shape) @ transform, wp.noise.Gaussian(SIGMA))


def sine_matrix(size: int) -> Tensor:
    """Return the first discrete sine transform, which is symmetric and its own inverse."""
    number = torch.arange(1, size + 1, dtype=torch.float64)
    return (math.sqrt(2 / (size + 1)) * (math.pi / (size + 1) * number[:, None] * number).sin()).float()


def main(arguments: Sequence[str] | None = None) -> dict[tuple[str, str], list[float]]:
    """Fine-tune, score, write the table and the picture; return the PSNR of each row."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    model_name = "ram-small"
    if "--model" in given:
        place = given.index("--model")
        model_name = given[place + 1]
        del given[place : place + 2]
    chosen = example.settings(given, "RAM fine-tuned on one measurement; --model NAME or FILE.")
    model = wp.models.weights.load(model_name)
    steps = 2 if chosen.small else None
    table: dict[tuple[str, str], list[float]] = {}
    rows_drawn: list[tuple[str, list[tuple[str, Tensor]]]] = []
    for kind, (teaching, test) in _images(chosen).items():
        for name, make in (("demosaicing", demosaicing), ("compressed sensing", compressed_sensing)):
            physics = make((3, *teaching.shape[-2:]))
            seeds = (torch.Generator().manual_seed(seed) for seed in range(10))
            y = physics(teaching, generator=next(seeds))
            measured = [physics(x, generator=next(seeds)) for x in test]
            tuned = {
                "zero-shot": model,
                "self-supervised": wp.finetune(model, y, physics, steps=steps, max_minutes=2),
                "supervised": wp.finetune(model, y, physics, x=teaching, steps=steps, max_minutes=2),
            }
            images = {way: [_restored(network, one, physics) for one in measured] for way, network in tuned.items()}
            table[name, kind] = [_score(restored, test) for restored in images.values()]
            rows_drawn.append((f"{name}, {kind}", _pictures(images, measured[0], physics, test[0])))
            sys.stdout.write(f"  {name}, {kind}: {', '.join(f'{value:.2f}' for value in table[name, kind])}\n")
            sys.stdout.flush()
    rows = [[f"{name}, {kind}", *(f"{value:.2f}" for value in values)] for (name, kind), values in table.items()]
    header = ["PSNR", "zero-shot", "after one measurement", "after one measurement and its truth"]
    example.show(chosen, "fine-tuning", rows_drawn, header, rows)
    return table


def _restored(network: nn.Module, y: Tensor, physics: wp.Physics) -> Tensor:
    with torch.no_grad():
        return network(y, physics)


def _score(images: Sequence[Tensor], truths: Sequence[Tensor]) -> float:
    values = [float(psnr(one, other, data_range=1.0)) for one, other in zip(images, truths, strict=True)]
    return sum(values) / len(values)


def _pictures(
    images: dict[str, list[Tensor]], y: Tensor, physics: wp.Physics, truth: Tensor
) -> list[tuple[str, Tensor]]:
    shown = [("adjoint", physics.A_adjoint(y))]
    shown += [(f"{way}, {_score(own[:1], [truth]):.1f} dB", own[0]) for way, own in images.items()]
    return [*shown, ("truth", truth)]


def _images(chosen: example.Settings) -> dict[str, tuple[Tensor, list[Tensor]]]:
    """Return for each kind an image to learn from, and others for the score."""
    if chosen.data is None:
        first, *others = example.smooth_images(2, size=64, channels=3)
        return {"synthetic": (first, others)}
    previews = sorted((chosen.data / "science" / "sentinel2").glob("rgb_*.png"))
    tiles = [(tile / tile.max())[..., :96, :96] for tile in map(wp.data.read_image, previews)]
    photos = [x[..., 150:278, 150:278] for x in example.photographs(chosen.data / "test" / "kodak24_500", 24)[::8]]
    return {"Sentinel-2": (tiles[2], [tiles[0], tiles[1]]), "Kodak": (photos[0], photos[1:])}


if __name__ == "__main__":
    try:
        main()
    except WellposedError as error:
        sys.exit(f"fine_tuning: {error}")
