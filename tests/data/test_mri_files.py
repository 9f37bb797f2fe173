"""Files of MRI made by the libraries of the field, and read back."""

import re

import numpy as np
import pytest
import torch

from tests.support.tensors import random_tensor
from wellposed.core.errors import DTypeError, FormatError, ShapeError, UnsupportedError
from wellposed.core.files import MissingFileError
from wellposed.data import (
    MRIScan,
    birdcage_maps,
    is_scan,
    kspace_noise,
    read_fastmri,
    read_ismrmrd,
    read_nifti,
    read_scan,
    scan_measurements,
    shepp_logan,
    write_fastmri,
    write_nifti,
)
from wellposed.operators import CartesianMRI

h5py = pytest.importorskip("h5py")
ismrmrd = pytest.importorskip("ismrmrd")
nibabel = pytest.importorskip("nibabel")


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


def write_ismrmrd(path, y, *, skip=(), centre=8, trajectory="cartesian", repeats=1):
    """Write lines of k-space (slices, coils, H, W) as a scanner would, after a measurement of the noise."""
    slices, coils, rows, samples = y.shape
    xsd = ismrmrd.xsd
    space = xsd.encodingSpaceType(
        matrixSize=xsd.matrixSizeType(x=samples, y=rows, z=1),
        fieldOfView_mm=xsd.fieldOfViewMm(x=200.0, y=200.0, z=5.0),
    )
    limits = xsd.encodingLimitsType(kspace_encoding_step_1=xsd.limitType(minimum=0, maximum=rows - 1, center=centre))
    header = xsd.ismrmrdHeader(
        experimentalConditions=xsd.experimentalConditionsType(H1resonanceFrequency_Hz=63500000),
        encoding=[
            xsd.encodingType(
                encodedSpace=space,
                reconSpace=space,
                encodingLimits=limits,
                trajectory=xsd.trajectoryType(trajectory),
            )
        ],
    )
    dataset = ismrmrd.Dataset(str(path), "dataset", create_if_needed=True)
    dataset.write_xml_header(xsd.ToXML(header))
    noise = ismrmrd.Acquisition.from_array(np.ones((coils, samples), dtype=np.complex64))
    noise.set_flag(ismrmrd.ACQ_IS_NOISE_MEASUREMENT)
    dataset.append_acquisition(noise)
    for index in range(slices):
        for row in (row for row in range(rows) if row not in skip):
            for repeat in range(repeats):
                line = ismrmrd.Acquisition.from_array((y[index, :, row] * (1 + repeat)).numpy())
                line.idx.slice, line.idx.kspace_encode_step_1 = index, row
                dataset.append_acquisition(line)
    dataset.close()


class TestISMRMRD:
    def test_lines_are_put_in_their_places(self, tmp_path):
        y = kspace()
        write_ismrmrd(tmp_path / "scan.h5", y, skip=(3, 9))
        scan = read_scan(tmp_path / "scan.h5")
        expected = y.clone()
        expected[:, :, [3, 9]] = 0
        assert torch.equal(scan.kspace, expected)
        assert scan.mask[0, 0, :, 0].nonzero().flatten().tolist() == [r for r in range(16) if r not in (3, 9)]

    def test_the_centre_of_the_header_is_put_in_the_middle(self, tmp_path):
        y = kspace()
        write_ismrmrd(tmp_path / "scan.h5", y, centre=6, skip=(14, 15))
        expected = torch.zeros_like(y)
        expected[:, :, 2:] = y[:, :, :14]
        assert torch.equal(read_ismrmrd(tmp_path / "scan.h5").kspace, expected)

    def test_repetitions_are_averaged(self, tmp_path):
        y = kspace()
        write_ismrmrd(tmp_path / "scan.h5", y, repeats=3)
        torch.testing.assert_close(read_ismrmrd(tmp_path / "scan.h5").kspace, 2 * y)

    def test_other_trajectories_are_refused(self, tmp_path):
        write_ismrmrd(tmp_path / "scan.h5", kspace(), trajectory="spiral")
        with pytest.raises(UnsupportedError, match="spiral"):
            read_ismrmrd(tmp_path / "scan.h5")


class TestNIfTI:
    @pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
    @pytest.mark.parametrize("shape", [(1, 1, 4, 5), (1, 1, 4, 5, 6), (1, 3, 4, 5, 6)], ids=str)
    @pytest.mark.parametrize("dtype", [torch.float32, torch.complex64], ids=str)
    def test_what_is_written_is_read(self, tmp_path, suffix, shape, dtype):
        image, affine = random_tensor(*shape, dtype=dtype), torch.diag(torch.tensor([2.0, 3.0, 4.0, 1.0]))
        write_nifti(tmp_path / f"image{suffix}", image, affine=affine)
        again, where = read_nifti(tmp_path / f"image{suffix}")
        assert torch.equal(again, image)
        assert torch.equal(where, affine.double())
        assert [path.name for path in tmp_path.iterdir()] == [f"image{suffix}"]

    def test_slices_become_a_volume(self, tmp_path):
        slices = random_tensor(3, 1, 4, 5, dtype=torch.float32)
        write_nifti(tmp_path / "image.nii", slices)
        assert nibabel.load(tmp_path / "image.nii").shape == (4, 5, 3)
        assert torch.equal(read_nifti(tmp_path / "image.nii")[0][0, 0].movedim(-1, 0), slices[:, 0])

    def test_scaled_integers_are_read_as_they_are_meant(self, tmp_path):
        file = nibabel.Nifti1Image(np.arange(24, dtype=np.int16).reshape(2, 3, 4), np.eye(4))
        file.header.set_slope_inter(0.5, 3.0)
        nibabel.save(file, tmp_path / "image.nii")
        expected = np.asanyarray(nibabel.load(tmp_path / "image.nii").dataobj)
        torch.testing.assert_close(read_nifti(tmp_path / "image.nii")[0][0, 0], torch.from_numpy(expected).float())

    def test_what_cannot_be_is_refused(self, tmp_path):
        with pytest.raises(FormatError, match=r"end its name in \.nii"):
            write_nifti(tmp_path / "image.gz", torch.ones(1, 1, 4, 4))
        with pytest.raises(ShapeError, match=r"got \(2, 3, 4, 4\)"):
            write_nifti(tmp_path / "image.nii", torch.ones(2, 3, 4, 4))
        (tmp_path / "image.nii").write_bytes(b"none")
        with pytest.raises(FormatError, match="truncated or damaged"):
            read_nifti(tmp_path / "image.nii")


class TestScanMeasurements:
    def test_noise_is_found_at_the_edge(self):
        y = CartesianMRI(torch.ones(1, 1, 64, 64), (1, 64, 64), birdcage_maps(4, (64, 64)))(shepp_logan((64, 64)) + 0j)
        noisy = y + 0.3 * random_tensor(1, 4, 64, 64, dtype=torch.complex64)
        assert kspace_noise(noisy).item() == pytest.approx(0.3, rel=0.05)
        halved = noisy * (torch.arange(64) % 2 == 0)
        assert kspace_noise(halved).item() == pytest.approx(0.3, rel=0.08)

    def test_maps_are_estimated_where_they_are_missing(self):
        maps, x = birdcage_maps(4, (32, 32)), shepp_logan((32, 32)) + 0j
        y = CartesianMRI(torch.ones(1, 1, 32, 32), (1, 32, 32), maps)(x)
        scaled, physics = scan_measurements(MRIScan(y, torch.ones(1, 1, 1, 32)))
        assert physics.operator.coil_maps.shape == (1, 4, 32, 32)
        image = physics.operator.adjoint(scaled).abs()
        assert torch.corrcoef(torch.stack([image.flatten(), x.abs().flatten()]))[0, 1] > 0.95
        known, _ = scan_measurements(MRIScan(y, torch.ones(1, 1, 1, 32), coil_maps=maps))
        torch.testing.assert_close(known / y, torch.full_like(y, float(1 / x.abs().max())), rtol=1e-3, atol=1e-3)

    def test_too_little_calibration_is_said(self):
        y = kspace() * (torch.arange(12) % 2 == 0)
        with pytest.raises(FormatError, match="only the middle 16 x 1 of its k-space"):
            scan_measurements(MRIScan(y, torch.ones(1, 1, 1, 12)))
