"""Files of k-space made by h5py and NumPy, and read back; ISMRMRD and NIfTI have files of their own."""

import re
import sys

import numpy as np
import pytest
import torch

from tests.support.tensors import random_tensor
from wellposed.core.errors import DTypeError, FormatError, MissingDependencyError, ShapeError
from wellposed.core.files import MissingFileError
from wellposed.data import (
    MRIScan,
    birdcage_maps,
    is_scan,
    radial_trajectory,
    read_fastmri,
    read_ismrmrd,
    read_nifti,
    read_scan,
    write_fastmri,
    write_nifti,
)
from wellposed.operators import CartesianMRI

h5py = pytest.importorskip("h5py")


def kspace(slices=2, coils=3, height=16, width=12, seed=0):
    """Return k-space with most of its energy in the middle."""
    image = torch.ones(slices, 1, height, width) + 0.1 * random_tensor(slices, 1, height, width, dtype=torch.complex64)
    maps = birdcage_maps(coils, (height, width)) if coils > 1 else None
    return CartesianMRI(torch.ones(1, 1, height, width), (1, height, width), maps)(image.to(torch.complex64))


class TestFastMRI:
    def test_multi_coil_files_with_targets(self, tmp_path):
        y, target = kspace(), random_tensor(2, 16, 16).float().abs()
        with h5py.File(tmp_path / "scan.h5", "w") as file:
            file["kspace"], file["reconstruction_rss"] = y.numpy(), target.numpy()
            file["ismrmrd_header"] = "<xml/>"
        scan = read_scan(tmp_path / "scan.h5")
        assert torch.equal(scan.kspace, y)
        assert torch.equal(scan.target, target[:, None])
        assert scan.mask.shape == (2, 1, 16, 12)
        assert scan.mask.all()
        assert scan.coil_maps is None

    def test_single_coil_files_with_a_mask_and_no_target(self, tmp_path):
        y = kspace(coils=1)[:, 0]
        mask = np.arange(12) % 2 == 0
        with h5py.File(tmp_path / "scan.h5", "w") as file:
            file["kspace"], file["mask"] = (y * torch.from_numpy(mask)).numpy(), mask
        scan = read_fastmri(tmp_path / "scan.h5")
        assert scan.kspace.shape == (2, 1, 16, 12)
        assert scan.mask.flatten().tolist() == mask.astype(float).tolist()
        assert scan.mask.shape == (1, 1, 1, 12)
        assert scan.target is None

    @pytest.mark.parametrize("coils", [1, 3])
    def test_what_is_written_is_read(self, tmp_path, coils):
        maps = birdcage_maps(3, (16, 12)) if coils == 3 else None
        scan = MRIScan(kspace(coils=coils), torch.ones(1, 1, 1, 12), torch.rand(2, 1, 8, 8), maps)
        write_fastmri(tmp_path / "scan.h5", scan)
        again = read_fastmri(tmp_path / "scan.h5")
        for one, other in zip(scan, again, strict=True):
            assert (one is None and other is None) or torch.equal(one, other)

    def test_real_or_flat_kspace_is_not_written(self, tmp_path):
        with pytest.raises(DTypeError, match="complex k-space"):
            write_fastmri(tmp_path / "a.h5", MRIScan(torch.ones(1, 1, 4, 4), torch.ones(1, 1, 1, 4)))
        with pytest.raises(ShapeError, match="slices, coils"):
            write_fastmri(tmp_path / "a.h5", MRIScan(torch.ones(1, 4, 4) + 0j, torch.ones(1, 1, 1, 4)))
        off_grid = MRIScan(torch.ones(1, 1, 4, 4) + 0j, torch.ones(1, 1, 1, 1), trajectory=torch.zeros(1, 4, 4, 2))
        with pytest.raises(ShapeError, match=r"got \(1, 1, 4, 4\) off the grid"):
            write_fastmri(tmp_path / "a.h5", off_grid)
        assert not list(tmp_path.iterdir())

    @pytest.mark.parametrize(
        ("arrays", "sentence"),
        [
            ({"image": np.ones(4)}, "holds no k-space, an array called 'kspace', but image"),
            ({"kspace": np.ones((1, 2, 8, 8))}, "kspace of type float64"),
            ({"kspace": np.full((1, 2, 8, 8), np.nan + 0j)}, "NaN"),
            ({"kspace": np.ones((2, 2, 2, 8, 8)) + 0j}, r"shape \(2, 2, 2, 8, 8\)"),
            ({"kspace": np.ones((1, 2, 8, 8)) + 0j, "mask": np.ones(7)}, r"mask of shape \(7,\)"),
            ({"kspace": np.ones((1, 2, 8, 8)) + 0j, "coil_maps": np.ones((3, 8, 8)) + 0j}, r"coil maps \(1, 3, 8, 8\)"),
        ],
    )
    def test_files_that_do_not_fit_are_refused(self, tmp_path, arrays, sentence):
        with h5py.File(tmp_path / "scan.h5", "w") as file:
            for name, array in arrays.items():
                file[name] = array
        with pytest.raises(FormatError, match=sentence):
            read_scan(tmp_path / "scan.h5")

    def test_damaged_and_missing_files(self, tmp_path):
        (tmp_path / "scan.h5").write_bytes(b"no HDF5")
        (tmp_path / "scan.npz").write_bytes(b"no zip")
        for name in ("scan.h5", "scan.npz"):
            with pytest.raises(FormatError, match="truncated or damaged"):
                read_scan(tmp_path / name)
        with pytest.raises(MissingFileError):
            read_scan(tmp_path / "none.h5")
        (tmp_path / "scan.dat").touch()
        with pytest.raises(FormatError, match=re.escape("read from .h5, .hdf5 and .npz")):
            read_scan(tmp_path / "scan.dat")
        assert [is_scan(name) for name in ("a.h5", "a.HDF5", "a.npz", "a.safetensors")] == [True, True, True, False]


def test_npz_files_of_one_slice_with_maps(tmp_path):
    y, maps = kspace(slices=1)[0], birdcage_maps(3, (16, 12))[0]
    np.savez(tmp_path / "scan.npz", kspace=y.numpy(), espirit_maps=maps.numpy())
    scan = read_scan(tmp_path / "scan.npz")
    assert torch.equal(scan.kspace, y[None])
    assert torch.equal(scan.coil_maps, maps[None])


def test_uncentred_kspace_is_noticed_and_moved(tmp_path):
    y = kspace()
    np.savez(tmp_path / "corner.npz", kspace=torch.fft.ifftshift(y, (-2, -1)).numpy())
    np.savez(tmp_path / "middle.npz", kspace=y.numpy())
    with pytest.warns(UserWarning, match="shifted=True"):
        read_scan(tmp_path / "corner.npz")
    assert torch.equal(read_scan(tmp_path / "corner.npz", shifted=True).kspace, y)
    with pytest.warns(UserWarning, match="shifted=False"):
        read_scan(tmp_path / "middle.npz", shifted=True)


def test_npz_files_of_a_volume(tmp_path):
    y, mask = random_tensor(1, 2, 5, 4, 6, dtype=torch.complex64), torch.ones(5, 4, 6)
    y[..., 2, 2, 3], mask[0] = 100, 0
    corner = {"kspace": torch.fft.ifftshift(y, (-3, -2, -1)).numpy(), "mask": torch.fft.ifftshift(mask).numpy()}
    np.savez(tmp_path / "scan.npz", **corner)
    scan = read_scan(tmp_path / "scan.npz", shifted=True)
    assert torch.equal(scan.kspace, y)
    assert torch.equal(scan.mask, mask[None, None])
    with pytest.warns(UserWarning, match="shifted=True"):
        read_scan(tmp_path / "scan.npz")


class TestOffTheGrid:
    def test_npz_files_hold_a_trajectory_and_the_size_of_the_image(self, tmp_path):
        y, k = random_tensor(2, 3, 5, 8, dtype=torch.complex64), radial_trajectory(5, 8)
        maps = birdcage_maps(3, (6, 7))
        arrays = {"kspace": y.numpy(), "trajectory": k[0].numpy(), "image_size": (6, 7), "maps": maps.numpy()}
        np.savez(tmp_path / "scan.npz", **arrays)
        scan = read_scan(tmp_path / "scan.npz")
        assert torch.equal(scan.kspace, y)
        torch.testing.assert_close(scan.trajectory, k)
        assert torch.equal(scan.coil_maps, maps)
        assert scan.image_size == (6, 7)
        np.savez(tmp_path / "cycles.npz", **{**arrays, "trajectory": k.numpy() / (2 * np.pi)})
        torch.testing.assert_close(read_scan(tmp_path / "cycles.npz", unit="cycles per pixel").trajectory, k)

    @pytest.mark.parametrize(
        ("change", "sentence"),
        [
            ({"image_size": (6, 7, 8)}, "needs an array 'image_size' of 2 numbers"),
            ({"kspace": np.ones((3, 5, 9)) + 0j}, r"k-space \(1, 3, 5, 9\) and a trajectory \(1, 5, 8, 2\)"),
            ({"trajectory": 9 * np.ones((5, 8, 2))}, "up to 9, and in radians per pixel it ends at 3.14159: read it"),
            ({"coil_maps": np.ones((3, 5, 8)) + 0j}, r"coil maps \(1, 3, 5, 8\) for k-space \(1, 3, 6, 7\)"),
        ],
        ids=["size", "samples", "unit", "maps"],
    )
    def test_what_does_not_fit_is_refused(self, tmp_path, change, sentence):
        arrays = {"kspace": np.ones((3, 5, 8)) + 0j, "trajectory": np.zeros((5, 8, 2)), "image_size": (6, 7)}
        np.savez(tmp_path / "scan.npz", **{**arrays, **change})
        with pytest.raises(FormatError, match=sentence):
            read_scan(tmp_path / "scan.npz")


@pytest.mark.parametrize(
    ("package", "call"),
    [
        ("h5py", read_fastmri),
        ("ismrmrd", read_ismrmrd),
        ("nibabel", read_nifti),
        ("nibabel", lambda path: write_nifti(path.with_suffix(".nii"), torch.ones(1, 1, 4, 4))),
    ],
)
def test_without_a_package_its_extra_is_named(monkeypatch, tmp_path, package, call):
    (tmp_path / "scan.h5").touch()
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(MissingDependencyError, match=rf"{package} is not installed: pip install 'wellposed\[mri\]'"):
        call(tmp_path / "scan.h5")
