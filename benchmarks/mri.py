"""MRI on real measurements: python -m benchmarks.mri DATA, for the picture and the tables of docs/guide/mri.md.

DATA holds `medical/mri_multicoil`, `medical/mri_complex` and `medical/mri_cardiac`. Tables are printed as they are made.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import torch
from torch import Tensor

import wellposed as wp
from wellposed.core.files import atomic_path
from wellposed.data import espirit_maps, get_task, list_images, radial_trajectory, ramp_density, read_image
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
        physics = Physics(operator, Gaussian(noise_level(kspace)))
        zero_filled = operator.adjoint(kspace)
        sense = operator.prox(torch.zeros_like(zero_filled), kspace, 100.0, solver=CG(tolerance=1e-3))
        images = {"zero-filled": zero_filled, "SENSE": sense, "SENSE with TV": wp.reconstruct(kspace, physics, "tv")}
        for method, image in images.items():
            pictures[f"{method}, {title}"] = image[0, 0].abs()
            print(f"| {method} | {title} | {correlation(image[0, 0].abs(), reference):.4f} |", flush=True)
    draw(pictures)


def noise_level(kspace: Tensor) -> float:
    """Estimate the standard deviation of either part of the noise from the samples farthest from the middle."""
    rows, columns = (torch.linspace(-1, 1, size) for size in kspace.shape[-2:])
    outer = (rows[:, None].abs() > 0.85) | (columns.abs() > 0.85)
    values = kspace[..., outer].abs()
    return float(values[values > 0].median()) / (2 * np.log(2)) ** 0.5


def complex_scans(folder: Path) -> None:
    """Reconstruct the scans of one coil through their own masks, and from radial spokes simulated of them."""
    brain = np.load(folder / "sparsemri_brain512.npz")
    angiogram = np.load(folder / "sparsemri_angio128.npz")
    print({name: brain[name].shape for name in brain.files}, {name: angiogram[name].shape for name in angiogram.files})


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
