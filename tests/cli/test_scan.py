"""`wellposed reconstruct scan.h5 -o image.nii.gz`: scans from the command line."""

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from wellposed.cli.application import application
from wellposed.data import (
    MRIScan,
    birdcage_maps,
    cartesian_mask,
    radial_trajectory,
    read_image,
    read_nifti,
    shepp_logan,
    write_fastmri,
)
from wellposed.operators import CartesianMRI, NonCartesianMRI

pytest.importorskip("h5py")
pytest.importorskip("nibabel")


def wellposed(*arguments):
    return CliRunner().invoke(application, [str(argument) for argument in arguments])


@pytest.fixture
def scan():
    mask = cartesian_mask(
        1, (1, 32, 32), acceleration=1.6, center_fraction=0.4, generator=torch.Generator().manual_seed(0)
    )
    x = torch.cat([shepp_logan((32, 32)), shepp_logan((32, 32)).flip(-2)]) + 0j
    return MRIScan(CartesianMRI(mask, (1, 32, 32), birdcage_maps(3, (32, 32)))(x), mask[:, :, :1])


def test_a_fastmri_file_without_maps_becomes_nifti(tmp_path, scan):
    write_fastmri(tmp_path / "scan.h5", scan)
    result = wellposed("reconstruct", tmp_path / "scan.h5", "--method", "adjoint", "-o", tmp_path / "image.nii.gz")
    assert result.exit_code == 0, result.output
    image, _ = read_nifti(tmp_path / "image.nii.gz")
    assert image.shape == (1, 1, 32, 32, 2)
    assert not image.is_complex()
    for index, truth in enumerate((shepp_logan((32, 32)), shepp_logan((32, 32)).flip(-2))):
        pair = torch.stack([image[0, 0, :, :, index].flatten(), truth.flatten()])
        assert torch.corrcoef(pair)[0, 1] > 0.95


def test_shifted_kspace_is_moved(tmp_path, scan):
    corner = torch.fft.ifftshift(scan.kspace[:1], (-2, -1))
    np.savez(tmp_path / "scan.npz", kspace=corner.numpy())
    np.savez(tmp_path / "centred.npz", kspace=scan.kspace[:1].numpy())
    for name, options in (("scan", ["--shifted"]), ("centred", [])):
        path = tmp_path / f"{name}.npz"
        assert (
            wellposed("reconstruct", path, *options, "--method", "adjoint", "-o", path.with_suffix(".npy")).exit_code
            == 0
        )
    assert torch.equal(read_image(tmp_path / "scan.npy"), read_image(tmp_path / "centred.npy"))


def test_uncentred_kspace_is_noticed_and_the_option_named(tmp_path, scan):
    np.savez(tmp_path / "scan.npz", kspace=torch.fft.ifftshift(scan.kspace[:1, :1], (-2, -1)).numpy())
    for options, shows in (([], True), (["--quiet"], False)):
        result = wellposed(
            "reconstruct", tmp_path / "scan.npz", *options, "--method", "adjoint", "-o", tmp_path / "x.npy"
        )
        assert result.exit_code == 0
        assert ("most of its energy in the corners" in result.stderr and "'--shifted'" in result.stderr) == shows


def test_spokes_are_read_in_their_unit(tmp_path):
    """The middle of a scan of one coil is its image gridded, whatever the unit."""
    k, x = radial_trajectory(50, 32), shepp_logan((32, 32)) + 0j
    y = NonCartesianMRI(k, (1, 32, 32))(x)[0]
    np.savez(tmp_path / "scan.npz", kspace=y.numpy(), trajectory=k[0].numpy() / (2 * np.pi), image_size=(32, 32))
    command = ("reconstruct", tmp_path / "scan.npz", "--method", "adjoint", "-o", tmp_path / "image.npy")
    result = wellposed(*command, "--unit", "cycles per pixel")
    assert result.exit_code == 0, result.output
    image = torch.from_numpy(np.load(tmp_path / "image.npy")).reshape(1, 1, 32, 32)
    torch.testing.assert_close(image / image.norm(), (z := NonCartesianMRI(k, (1, 32, 32)).adjoint(y[None])) / z.norm())
    assert wellposed(*command, "--unit", "furlongs").exit_code == 2


@pytest.mark.parametrize("option", [["--shifted"], ["--unit", "cycles per pixel"]])
def test_options_of_scans_are_for_scans_only(tmp_path, option):
    result = wellposed("reconstruct", tmp_path / "y.safetensors", *option, "-o", tmp_path / "x.png")
    assert result.exit_code == 2
    assert f"{option[0]} is for MRI scans" in result.output
