"""MRI on real measurements: python -m benchmarks.mri DATA, for the picture and the tables of docs/guide/mri.md.

DATA holds `medical/mri_multicoil`, `medical/mri_complex` and `medical/mri_cardiac`. Tables are printed on the way.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import cast

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import torch
from torch import Tensor

import wellposed as wp
from wellposed.core.files import atomic_path
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
from wellposed.operators import CartesianMRI, NonCartesianMRI
from wellposed.physics import Physics
from wellposed.solvers import CG

_PICTURE = Path(__file__).resolve().parent.parent / "docs" / "assets" / "mri-multicoil.png"


def main() -> None:
    """Reconstruct all, print the tables and draw the picture."""
    parser = argparse.ArgumentParser()
    parser.add_argument("data", type=Path)
    medical = parser.parse_args().data / "medical"
    multicoil(medical / "mri_multicoil" / "brain8ch_sigpy_bart.npz")
    complex_scans(medical / "mri_complex")
    cardiac(medical / "mri_cardiac" / "test")


def multicoil(path: Path) -> None:
    """Reconstruct the 8-channel scan with the stored and with our coil maps, and draw it."""
    arrays = np.load(path)
    kspace, reference = torch.from_numpy(arrays["kspace"])[None], torch.from_numpy(arrays["ref_mag_bart"])
    mask = (kspace != 0).any(1, keepdim=True)
    start = time.perf_counter()
    ours = espirit_maps(kspace)
    print(f"ESPIRiT: {time.perf_counter() - start:.1f} s")
    pictures: dict[str, Tensor] = {"reference (BART)": reference}
    for title, maps in (("stored maps", torch.from_numpy(arrays["espirit_maps"])[None]), ("our maps", ours)):
        operator = CartesianMRI(mask, (1, *reference.shape), maps)
        physics = Physics(operator, Gaussian(kspace_noise(kspace)))
        zero_filled = cast("Tensor", operator.adjoint(kspace))
        sense = cast("Tensor", operator.prox(torch.zeros_like(zero_filled), kspace, 100.0, solver=CG(tolerance=1e-3)))
        images = {"zero-filled": zero_filled, "SENSE": sense, "SENSE with TV": wp.reconstruct(kspace, physics, "tv")}
        for method, image in images.items():
            pictures[f"{method}, {title}"] = image[0, 0].abs()
            print(f"| {method} | {title} | {correlation(image[0, 0].abs(), reference):.4f} |", flush=True)
    draw(pictures)


def complex_scans(folder: Path) -> None:
    """Reconstruct the brain through its own mask, and the angiogram through points and from radial spokes."""
    brain = np.load(folder / "sparsemri_brain512.npz")
    kspace = torch.from_numpy(brain["kspace"])[None, None]
    y, physics = scan_measurements(MRIScan(kspace, torch.from_numpy(brain["mask"]).float()[None, None]))
    for method in ("adjoint", "tv"):
        image = wp.reconstruct(y, physics, method)
        misfit = float((cast("Tensor", physics.A(image)) - y).norm() / y.norm())
        print(f"| brain, its own mask | {method} | misfit {misfit:.4f} |", flush=True)
    x = torch.from_numpy(np.load(folder / "sparsemri_angio128.npz")["image"])[None, None]
    angiogram(x.to(torch.complex64) / x.abs().max())


def angiogram(x: Tensor) -> None:
    """Print the scores of a complex image measured at a quarter of k-space, by points and by spokes."""
    generator = torch.Generator().manual_seed(0)
    mask = variable_density_mask(1, tuple(x.shape[1:]), acceleration=4, center_fraction=0.1, generator=generator)
    spokes = radial_trajectory(round(np.pi / 2 * x.shape[-1] / 4), x.shape[-1])
    density = ramp_density(spokes, tuple(x.shape[-2:]))
    shape = tuple(x.shape[1:])
    operators = {"points": CartesianMRI(mask, shape), "spokes": NonCartesianMRI(spokes, shape)}
    for title, operator in operators.items():
        physics = Physics(operator, Gaussian(5e-4))
        y = cast("Tensor", physics(x, generator=generator))
        naive = cast("Tensor", operator.adjoint(density * y if title == "spokes" else y))
        for method, image in (("naive", naive), ("tv", wp.reconstruct(y, physics, "tv"))):
            score = float(psnr(image.abs(), x.abs(), data_range=1.0))
            print(f"| angiogram, {title} | {method} | {score:.2f} dB |", flush=True)


def cardiac(folder: Path) -> None:
    """Print the scores of zero filling and of total variation on the cardiac slices."""
    for name in ("mri-x4", "mri-x8"):
        task = get_task(name)
        x = task.fit(torch.cat([read_image(path, mode="grey") for path in list_images(folder)]))
        y, physics = task.sample(x, generator=torch.Generator().manual_seed(0))
        for method in ("adjoint", "tv"):
            x_hat = wp.reconstruct(y, physics, method).abs()
            scores = psnr(x_hat, x.abs(), data_range=1.0).mean(), ssim(x_hat, x.abs(), data_range=1.0).mean()
            print(f"| `{name}` | {method} | {scores[0]:.2f} dB | {scores[1]:.3f} |", flush=True)


def correlation(image: Tensor, reference: Tensor) -> float:
    """Return Pearson's correlation of two images."""
    return float(torch.corrcoef(torch.stack([image.flatten(), reference.flatten()]).double())[0, 1])


def draw(pictures: dict[str, Tensor]) -> None:
    """Draw magnitudes side by side, each scaled to its own brightest percent."""
    mpl.use("Agg")
    figure, axes = plt.subplots(2, 4, figsize=(10, 6.6), layout="constrained")
    titles = list(pictures)
    places = [titles[0], *titles[1:4], None, *titles[4:]]
    for axis, title in zip(axes.flat, places, strict=True):
        axis.axis("off")
        if title is not None:
            image = pictures[title].flip(0)
            axis.imshow(image, cmap="gray", vmin=0, vmax=float(image.quantile(0.995)))
            axis.set_title(title, fontsize=9)
    with atomic_path(_PICTURE) as temporary:
        figure.savefig(temporary, dpi=80)
    plt.close(figure)


if __name__ == "__main__":
    main()
