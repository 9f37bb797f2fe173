"""NIfTI written and read back, by us and by nibabel."""

import nibabel
import numpy as np
import pytest
import torch

from tests.support.tensors import random_tensor
from wellposed.core.errors import FormatError, ShapeError
from wellposed.data import read_nifti, write_nifti

AFFINE = torch.tensor([[0.0, 2.0, 0.0, -7.0], [3.0, 0.0, 0.0, 5.0], [0.0, 0.0, -4.0, 1.5], [0.0, 0.0, 0.0, 1.0]])


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
@pytest.mark.parametrize("shape", [(1, 1, 4, 5), (1, 1, 4, 5, 6), (1, 3, 4, 5, 6)], ids=str)
@pytest.mark.parametrize("dtype", [torch.float32, torch.complex64], ids=str)
def test_what_is_written_is_read(tmp_path, suffix, shape, dtype):
    image = random_tensor(*shape, dtype=dtype)
    write_nifti(tmp_path / f"image{suffix}", image, affine=AFFINE)
    again, where = read_nifti(tmp_path / f"image{suffix}")
    assert torch.equal(again, image)
    assert torch.equal(where, AFFINE.double())
    assert [path.name for path in tmp_path.iterdir()] == [f"image{suffix}"]


def test_nibabel_reads_the_affine_and_the_voxels(tmp_path):
    image = random_tensor(1, 1, 4, 5, 6, dtype=torch.float32)
    write_nifti(tmp_path / "image.nii.gz", image, affine=AFFINE)
    file = nibabel.load(tmp_path / "image.nii.gz")
    assert np.array_equal(file.get_fdata(dtype=np.float32), image[0, 0].numpy())
    assert np.array_equal(file.affine, AFFINE.numpy())
    assert file.header.get_zooms() == (3.0, 2.0, 4.0)


def test_slices_become_a_volume_and_volumes_a_series(tmp_path):
    slices = random_tensor(3, 1, 4, 5, dtype=torch.float32)
    write_nifti(tmp_path / "image.nii", slices)
    assert nibabel.load(tmp_path / "image.nii").shape == (4, 5, 3)
    assert torch.equal(read_nifti(tmp_path / "image.nii")[0][0, 0].movedim(-1, 0), slices[:, 0])
    volumes = random_tensor(2, 1, 4, 5, 6, dtype=torch.float32)
    write_nifti(tmp_path / "series.nii", volumes)
    assert nibabel.load(tmp_path / "series.nii").shape == (4, 5, 6, 2)
    assert torch.equal(read_nifti(tmp_path / "series.nii")[0][0], volumes[:, 0])


def test_scaled_integers_are_read_as_they_are_meant(tmp_path):
    file = nibabel.Nifti1Image(np.arange(24, dtype=np.int16).reshape(2, 3, 4), np.eye(4))
    file.header.set_slope_inter(0.5, 3.0)
    nibabel.save(file, tmp_path / "image.nii")
    expected = np.asanyarray(nibabel.load(tmp_path / "image.nii").dataobj)
    torch.testing.assert_close(read_nifti(tmp_path / "image.nii")[0][0, 0], torch.from_numpy(expected).float())


def test_what_cannot_be_is_refused(tmp_path):
    with pytest.raises(FormatError, match=r"end its name in \.nii"):
        write_nifti(tmp_path / "image.gz", torch.ones(1, 1, 4, 4))
    with pytest.raises(ShapeError, match=r"got \(2, 3, 4, 4\)"):
        write_nifti(tmp_path / "image.nii", torch.ones(2, 3, 4, 4))
    with pytest.raises(ShapeError, match=r"affine of shape \(4, 4\), got \(3, 3\)"):
        write_nifti(tmp_path / "image.nii", torch.ones(1, 1, 4, 4), affine=torch.eye(3))
    (tmp_path / "image.nii").write_bytes(b"none")
    with pytest.raises(FormatError, match="truncated or damaged"):
        read_nifti(tmp_path / "image.nii")
