"""MRI on real measurements: python -m benchmarks.mri DATA, for the pictures and the tables of docs/guide/mri.md.

DATA holds `medical/mri_multicoil`, `medical/mri_complex` and `medical/mri_cardiac`; `--only` chooses among the three.
Rows are printed on the way.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import cast

import numpy as np
import torch
from torch import Tensor

import wellposed as wp
from benchmarks.report import with_table, write_whole
from wellposed.core.files import atomic_path
from wellposed.core.names import optional_import
from wellposed.data import (
    MRIScan,
    espirit_maps,
    get_task,
    kspace_noise,
    list_images,
    radial_trajectory,
    ramp_density,
    read_image,
    scan_measurements,
    variable_density_mask,
)
from wellposed.metrics import psnr, ssim
from wellposed.noise import Gaussian
from wellposed.operators import CartesianMRI, LinearOperator, NonCartesianMRI
from wellposed.optim import LeastSquares, PrimalDual, RegularisedProblem, Term, wavelet_prior
from wellposed.physics import Physics
from wellposed.solvers import CG, run

_DOCS = Path(__file__).resolve().parent.parent / "docs"
_PAGE = _DOCS / "guide" / "mri.md"
_STORED_CROP = 0.9
_WAVELET_WEIGHT = 0.2
_BRIGHTEST = 0.995

Pictures = dict[str, Tensor | None]


def main() -> None:
    """Reconstruct all, and put the tables and pictures into the documentation."""
    parser = argparse.ArgumentParser()
    parser.add_argument("data", type=Path)
    parser.add_argument("--only", choices=("multicoil", "complex", "cardiac"))
    options = parser.parse_args()
    medical = options.data / "medical"
    parts: dict[str, Callable[[], None]] = {
        "multicoil": lambda: multicoil(medical / "mri_multicoil" / "brain8ch_sigpy_bart.npz"),
        "complex": lambda: complex_scans(medical / "mri_complex"),
        "cardiac": lambda: cardiac(medical / "mri_cardiac" / "test"),
    }
    for name, part in parts.items():
        if options.only in (None, name):
            part()


def multicoil(path: Path) -> None:
    """Compare our coil maps with the stored ones, and reconstruct the scan with both."""
    arrays = np.load(path)
    kspace, reference = torch.from_numpy(arrays["kspace"])[None], torch.from_numpy(arrays["ref_mag_bart"])
    stored, start = torch.from_numpy(arrays["espirit_maps"])[None], time.perf_counter()
    ours = espirit_maps(kspace, crop=_STORED_CROP)
    seconds = time.perf_counter() - start
    support, difference = map_differences(ours, stored)
    quantities = [
        ("time of ours", f"{seconds:.1f} s"),
        ("pixels where only one set has maps", f"{support} of {reference.numel()}"),
        ("norm of the difference", f"{float((difference.square().sum() / stored.abs().square().sum()).sqrt()):.4f}"),
        ("pixels within 0.01", f"{100 * float((difference < 0.01).float().mean()):.2f} %"),
        ("largest difference", f"{float(difference.max()):.3f}"),
    ]
    fill("mri-maps-table", ("the two sets of maps", "ours less the stored"), quantities)
    mask = (kspace != 0).any(1, keepdim=True)
    pictures: Pictures = {"reference (BART)": reference}
    scores: dict[str, list[str]] = {}
    for title, maps in (("stored maps", stored), ("our maps", ours)):
        for method, image in eight_coils(kspace, mask, maps).items():
            pictures[f"{method}, {title}"] = image[0, 0].abs()
            scores.setdefault(method, []).append(f"{correlation(image[0, 0].abs(), reference):.4f}")
        pictures.setdefault("", None)
    rows = [(method, *values) for method, values in scores.items()]
    fill("mri-multicoil-table", ("method", "stored maps", "our maps"), rows)
    draw(_DOCS / "assets" / "mri-multicoil.png", pictures, columns=5)


def eight_coils(kspace: Tensor, mask: Tensor, maps: Tensor) -> dict[str, Tensor]:
    """Return the images of a scan by method."""
    operator = CartesianMRI(mask, (1, *maps.shape[-2:]), maps)
    noise = kspace_noise(kspace)
    zero_filled = cast("Tensor", operator.adjoint(kspace))
    sense = cast("Tensor", operator.prox(torch.zeros_like(zero_filled), kspace, 100.0, solver=CG(tolerance=1e-3)))
    prior = wavelet_prior((1, *maps.shape[-2:]), translation_invariant=True)
    problem = RegularisedProblem(LeastSquares(operator, kspace), Term(prior, float(_WAVELET_WEIGHT * noise)))
    method = PrimalDual(max_steps=100, tolerance=None)
    wavelets = run(method, problem, method.init(problem, zero_filled), throw=False).state.x
    return {
        "zero-filled": zero_filled,
        "SENSE": sense,
        "SENSE, wavelets": wavelets,
        "SENSE, TV": wp.reconstruct(kspace, Physics(operator, Gaussian(noise)), "tv"),
    }


def map_differences(one: Tensor, other: Tensor) -> tuple[int, Tensor]:
    """Return at how many pixels only one set has maps, and how far the sets are apart at each, their phase aside."""
    product = (one.conj() * other).sum(1, keepdim=True)
    turned = other * torch.polar(torch.ones_like(product.real), -product.angle())
    support = (one != 0).any(1) != (other != 0).any(1)
    return int(support.sum()), torch.linalg.vector_norm(one - turned, dim=1)


def complex_scans(folder: Path) -> None:
    """Reconstruct the brain through its own mask, and radial scans simulated from it and from the angiogram."""
    stored = np.load(folder / "sparsemri_brain512.npz")
    kspace = torch.from_numpy(stored["kspace"])[None, None]
    y, physics = scan_measurements(MRIScan(kspace, torch.from_numpy(stored["mask"]).float()[None, None]))
    images = {method: wp.reconstruct(y, physics, method) for method in ("adjoint", "tv")}
    misfits = [f"{float((cast('Tensor', physics.A(image)) - y).norm() / y.norm()):.3f}" for image in images.values()]
    fill("mri-brain-table", ("the 512 x 512 brain, own mask", "zero-filled", "total variation"), [("misfit", *misfits)])
    angiogram = torch.from_numpy(np.load(folder / "sparsemri_angio128.npz")["image"])[None, None].to(torch.complex64)
    generator = torch.Generator().manual_seed(0)
    mask = variable_density_mask(1, (1, 128, 128), acceleration=4, center_fraction=0.1, generator=generator)
    rows, pictures = [], {"brain, own mask: zero-filled": images["adjoint"], "total variation": images["tv"]}
    for title, operator, x in (
        ("brain, 201 spokes", spokes(images["tv"]), images["tv"] / images["tv"].abs().max()),
        ("angiogram, 50 spokes", spokes(angiogram), angiogram / angiogram.abs().max()),
        ("angiogram, points", CartesianMRI(mask, (1, 128, 128)), angiogram / angiogram.abs().max()),
    ):
        naive, tv, scores = simulated(operator, x, generator)
        rows.append((title, *scores))
        pictures |= {f"{title}: naive": naive, f"{title}: TV": tv}
    fill("mri-complex-table", ("simulated from", "naive", "total variation"), rows)
    draw(_DOCS / "assets" / "mri-complex.png", {title: x[0, 0].abs() for title, x in pictures.items()}, columns=4)


def spokes(x: Tensor) -> NonCartesianMRI:
    """Return a quarter of the spokes that the edge of k-space would need."""
    width = x.shape[-1]
    return NonCartesianMRI(radial_trajectory(round(np.pi / 2 * width / 4), width), tuple(x.shape[1:]))


def simulated(operator: LinearOperator, x: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor, list[str]]:
    """Measure a complex image, and return it naively reconstructed (gridded if off the grid), by TV, and the scores."""
    physics = Physics(operator, Gaussian(5e-4))
    y = cast("Tensor", physics(x, generator=generator))
    weights = ramp_density(operator.trajectory, tuple(x.shape[2:])) if isinstance(operator, NonCartesianMRI) else 1.0
    images = cast("Tensor", operator.adjoint(weights * y)), wp.reconstruct(y, physics, "tv")
    return *images, [f"{float(psnr(image.abs(), x.abs(), data_range=1.0)):.2f} dB" for image in images]


def cardiac(folder: Path) -> None:
    """Reconstruct the cardiac slices by zero filling and by total variation."""
    rows = []
    for name in ("mri-x4", "mri-x8"):
        task = get_task(name)
        x = task.fit(torch.cat([read_image(path, mode="grey") for path in list_images(folder)]))
        y, physics = task.sample(x, generator=torch.Generator().manual_seed(0))
        images = [wp.reconstruct(y, physics, method).abs() for method in ("adjoint", "tv")]
        scores = [
            f"{float(psnr(image, x.abs(), data_range=1.0).mean()):.2f} dB, "
            f"{float(ssim(image, x.abs(), data_range=1.0).mean()):.3f}"
            for image in images
        ]
        rows.append((f"`{name}`", *scores))
    fill("mri-cardiac-table", ("task", "zero-filled", "total variation"), rows)


def correlation(image: Tensor, reference: Tensor) -> float:
    """Return Pearson's correlation of two images."""
    return float(torch.corrcoef(torch.stack([image.flatten(), reference.flatten()]).double())[0, 1])


def fill(marker: str, titles: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> None:
    """Print a table, and put it between the markers of the page."""
    head = ["| " + " | ".join(titles) + " |", "| --- |" + " ---: |" * (len(titles) - 1)]
    table = "\n".join([*head, *("| " + " | ".join(row) + " |" for row in rows)])
    print(table, flush=True)
    write_whole(_PAGE, with_table(_PAGE.read_text(encoding="utf-8"), marker, table))


def draw(path: Path, pictures: Pictures, *, columns: int) -> None:
    """Draw magnitudes side by side, row after row, each scaled to its own brightest half percent; None is left out."""
    height = -(-len(pictures) // columns)
    tallest = max(image.shape[0] / image.shape[1] for image in pictures.values() if image is not None)
    size = (2.4 * columns, (2.4 * tallest + 0.3) * height)
    figure = optional_import("matplotlib.figure", extra="cli").Figure(size, layout="constrained")
    axes = figure.subplots(height, columns)
    for axis in axes.flat:
        axis.axis("off")
    for axis, (title, image) in zip(axes.flat, pictures.items(), strict=False):
        if image is not None:
            axis.imshow(image.flip(0), cmap="gray", vmin=0, vmax=float(image.quantile(_BRIGHTEST)))
            axis.set_title(title, fontsize=9)
    with atomic_path(path) as temporary:
        figure.savefig(temporary, dpi=80)


if __name__ == "__main__":
    main()
