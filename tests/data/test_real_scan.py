"""The 8-channel brain scan that is handed out beside this checkout, where it is: ESPIRiT and SENSE on real k-space."""

from pathlib import Path

import numpy as np
import pytest
import torch

from wellposed.data import combine_coils, espirit_maps, kspace_noise
from wellposed.operators import CartesianMRI
from wellposed.solvers import CG

SCAN = Path(__file__).resolve().parents[3] / "shared/data/medical/mri_multicoil/brain8ch_sigpy_bart.npz"

pytestmark = pytest.mark.skipif(not SCAN.exists(), reason="the scan is not beside this checkout")


@pytest.fixture(scope="module")
def scan():
    with np.load(SCAN) as arrays:
        return {name: torch.from_numpy(arrays[name]) for name in ("kspace", "espirit_maps", "ref_mag_bart")}


@pytest.fixture(scope="module")
def maps(scan):
    """Cropped as the stored ones are."""
    return espirit_maps(scan["kspace"][None], crop=0.9)


def test_our_maps_are_the_stored_ones(scan, maps):
    """Up to phase; but at one pixel in a thousand, where power iterations had not converged when they were stored."""
    stored = scan["espirit_maps"][None]
    assert torch.equal((maps != 0).any(1), (stored != 0).any(1))
    turned = combine_coils(maps, stored)
    apart = (maps - stored * turned / turned.abs().clamp(min=1e-9)).norm(dim=1)
    assert (apart < 0.01).float().mean() > 0.999
    assert apart.square().sum().sqrt() < 0.01 * stored.norm()


@pytest.mark.parametrize("which", ["ours", "stored"])
def test_sense_agrees_with_the_reference(scan, maps, which):
    kspace = scan["kspace"][None]
    used = maps if which == "ours" else scan["espirit_maps"]
    A = CartesianMRI((kspace != 0).any(1, keepdim=True), (1, 230, 180), used)
    sense = A.prox(torch.zeros(1, 1, 230, 180) + 0j, kspace, 100.0, solver=CG(tolerance=1e-3))
    magnitudes = torch.stack([image.flatten().double() for image in (sense.abs(), scan["ref_mag_bart"])])
    assert torch.corrcoef(magnitudes)[0, 1] > 0.995
    misfit = A(sense) - kspace
    assert misfit.abs().square().sum() < 2 * (2 * 8 * A.mask.sum() * kspace_noise(kspace).square()).item()
