"""ISMRMRD files made by its own library, readout after readout, and read back."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.support.tensors import random_tensor, seeded
from wellposed.core.errors import ArgumentError, FormatError, UnsupportedError
from wellposed.data import (
    birdcage_maps,
    radial_trajectory,
    random_trajectory,
    read_ismrmrd,
    read_scan,
    scan_measurements,
    shepp_logan,
)
from wellposed.operators import CartesianMRI, NonCartesianMRI

ismrmrd = pytest.importorskip("ismrmrd")


class Writer:
    """Write readouts as a scanner would, after a measurement of the noise and a navigator."""

    def __init__(self, path: Path, matrix, *, trajectory="cartesian", centre=None, pitch=(5.0, 3.0, 2.0)):
        xsd, (depth, rows, columns) = ismrmrd.xsd, matrix
        space = xsd.encodingSpaceType(
            matrixSize=xsd.matrixSizeType(x=columns, y=rows, z=depth),
            fieldOfView_mm=xsd.fieldOfViewMm(x=columns * pitch[2], y=rows * pitch[1], z=depth * pitch[0]),
        )
        middle, most = centre or (depth // 2, rows // 2), (depth - 1, rows - 1)
        second, first = (xsd.limitType(minimum=0, maximum=m, center=c) for m, c in zip(most, middle, strict=True))
        encoding = xsd.encodingType(
            encodedSpace=space,
            reconSpace=space,
            encodingLimits=xsd.encodingLimitsType(kspace_encoding_step_1=first, kspace_encoding_step_2=second),
            trajectory=xsd.trajectoryType(trajectory),
        )
        conditions = xsd.experimentalConditionsType(H1resonanceFrequency_Hz=63500000)
        self.dataset = ismrmrd.Dataset(str(path), "dataset", create_if_needed=True)
        self.dataset.write_xml_header(
            xsd.ToXML(xsd.ismrmrdHeader(experimentalConditions=conditions, encoding=[encoding]))
        )

    def __enter__(self):
        for flag in (ismrmrd.ACQ_IS_NOISE_MEASUREMENT, ismrmrd.ACQ_IS_NAVIGATION_DATA):
            self.add(torch.ones(3, 7) + 0j, flags=[flag])
        return self

    def __exit__(self, *_):
        self.dataset.close()

    def add(self, samples, *, points=None, flags=(), index=(), **header):
        """Append a readout (coils, samples), with its trajectory (samples, d), columns first as ISMRMRD has it."""
        trajectory = None if points is None else np.ascontiguousarray(points.flip(-1).numpy(), dtype=np.float32)
        line = ismrmrd.Acquisition.from_array(samples.contiguous().numpy().astype(np.complex64), trajectory)
        for name, value in dict(index).items():
            setattr(line.idx, name, value)
        for name, value in header.items():
            setattr(line, name, value)
        for flag in flags:
            line.set_flag(flag)
        self.dataset.append_acquisition(line)


def kspace(*shape, seed=0):
    """Return numbers, large in the middle, so that it does not look uncentred."""
    values = random_tensor(*shape, seed=seed, dtype=torch.complex64)
    values[(..., *[size // 2 for size in shape[2:]])] = 100
    return values


def write_slices(path, y, *, skip=(), centre=None, trajectory="cartesian", repeats=1):
    slices, _, rows, samples = y.shape
    with Writer(path, (1, rows, samples), trajectory=trajectory, centre=centre) as file:
        for index in range(slices):
            for row in (row for row in range(rows) if row not in skip):
                for repeat in range(repeats):
                    file.add(y[index, :, row] * (1 + repeat), index={"slice": index, "kspace_encode_step_1": row})


class TestOnTheGrid:
    def test_lines_are_put_in_their_places(self, tmp_path):
        y = kspace(2, 3, 16, 12)
        write_slices(tmp_path / "scan.h5", y, skip=(3, 9))
        scan = read_scan(tmp_path / "scan.h5")
        expected = y.clone()
        expected[:, :, [3, 9]] = 0
        assert torch.equal(scan.kspace, expected)
        assert scan.mask[0, 0, :, 0].nonzero().flatten().tolist() == [r for r in range(16) if r not in (3, 9)]

    def test_the_centre_of_the_header_is_put_in_the_middle(self, tmp_path):
        y = kspace(2, 3, 16, 12)
        write_slices(tmp_path / "scan.h5", y, centre=(0, 6), skip=(14, 15))
        expected = torch.zeros_like(y)
        expected[:, :, 2:] = y[:, :, :14]
        assert torch.equal(read_ismrmrd(tmp_path / "scan.h5").kspace, expected)

    def test_readouts_of_one_place_are_averaged(self, tmp_path):
        y = kspace(2, 3, 16, 12)
        write_slices(tmp_path / "scan.h5", y, repeats=3)
        torch.testing.assert_close(read_ismrmrd(tmp_path / "scan.h5").kspace, 2 * y)

    def test_volumes_have_a_second_phase_encoding(self, tmp_path):
        """Which is centred by itself: partition 2 of the header is the middle of four, partition 1 here."""
        y = kspace(1, 3, 4, 6, 8)[0]
        with Writer(tmp_path / "scan.h5", (4, 6, 8), centre=(1, 3)) as file:
            for partition in range(3):
                for row in (0, 2, 3, 5):
                    steps = {"kspace_encode_step_1": row, "kspace_encode_step_2": partition}
                    file.add(y[:, partition + 1, row], index=steps)
        scan = read_scan(tmp_path / "scan.h5")
        expected = y.clone()
        expected[:, 0], expected[:, :, [1, 4]] = 0, 0
        assert torch.equal(scan.kspace, expected[None])
        assert scan.mask.shape == (1, 1, 4, 6, 8)
        assert torch.equal(scan.mask[0, 0], (expected[0] != 0).float())

    def test_contrasts_and_repetitions_are_images_of_their_own_and_slices_lie_side_by_side(self, tmp_path):
        y = kspace(8, 1, 4, 5)
        with Writer(tmp_path / "scan.h5", (1, 4, 5)) as file:
            for image in reversed(range(8)):
                which = {"contrast": image // 4, "repetition": image // 2 % 2, "slice": image % 2}
                for row in range(4):
                    file.add(y[image, :, row], index={"kspace_encode_step_1": row, **which})
        assert torch.equal(read_scan(tmp_path / "scan.h5").kspace, y)

    def test_short_readouts_are_put_with_their_centre_in_the_middle_and_reversed_ones_turned(self, tmp_path):
        y = kspace(1, 2, 3, 10)
        with Writer(tmp_path / "scan.h5", (1, 3, 10)) as file:
            file.add(y[0, :, 0, 4:], index={"kspace_encode_step_1": 0}, center_sample=1)
            reverse = [ismrmrd.ACQ_IS_REVERSE]
            file.add(y[0, :, 1].flip(-1), index={"kspace_encode_step_1": 1}, flags=reverse, center_sample=4)
            padded = torch.cat([torch.full((2, 3), 9 + 0j), y[0, :, 2], torch.full((2, 1), 9 + 0j)], dim=1)
            step = {"kspace_encode_step_1": 2}
            file.add(padded, index=step, discard_pre=3, discard_post=1, center_sample=8)
        scan = read_scan(tmp_path / "scan.h5")
        y[0, :, 0, :4] = 0
        assert torch.equal(scan.kspace, y)
        assert scan.mask[0, 0].sum(1).tolist() == [6, 10, 10]

    def test_readouts_outside_the_header_are_refused(self, tmp_path):
        with Writer(tmp_path / "scan.h5", (1, 4, 5)) as file:
            file.add(torch.ones(1, 5) + 0j, index={"kspace_encode_step_1": 4})
        with pytest.raises(FormatError, match=r"shape \(1, 5\) at row 4 of partition 0, outside its own header"):
            read_scan(tmp_path / "scan.h5")

    def test_echo_planar_scans_and_empty_files_are_refused(self, tmp_path):
        write_slices(tmp_path / "epi.h5", kspace(1, 3, 4, 5), trajectory="epi")
        with pytest.raises(UnsupportedError, match="echo-planar"):
            read_ismrmrd(tmp_path / "epi.h5")
        with Writer(tmp_path / "noise.h5", (1, 4, 5)):
            pass
        with pytest.raises(FormatError, match="holds no readout of an image"):
            read_ismrmrd(tmp_path / "noise.h5")
        write_slices(tmp_path / "scan.h5", kspace(1, 3, 4, 5))
        with pytest.raises(ArgumentError, match="no trajectory whose unit could be 'cycles per pixel'"):
            read_scan(tmp_path / "scan.h5", unit="cycles per pixel")


class TestAffine:
    def test_without_directions_it_holds_the_pixel_sizes(self, tmp_path):
        write_slices(tmp_path / "scan.h5", kspace(2, 3, 16, 12))
        expected = torch.diag(torch.tensor([3.0, 2.0, 5.0, 1.0], dtype=torch.float64))
        expected[:3, 3] = -expected[:3, :3] @ torch.tensor([8.0, 6.0, 0.0], dtype=torch.float64)
        torch.testing.assert_close(read_scan(tmp_path / "scan.h5").affine, expected)

    @pytest.mark.parametrize("depth", [1, 4])
    def test_it_takes_voxels_where_the_scanner_says_they_are(self, tmp_path, depth):
        """The middle voxel lies at the position, one more along an axis its pitch farther: left is minus right."""
        directions = {"phase_dir": (0, 0, 1), "read_dir": (0, 1, 0), "slice_dir": (1, 0, 0)}
        with Writer(tmp_path / "scan.h5", (depth, 6, 8)) as file:
            for image in range(2 if depth == 1 else 1):
                position = (10 + 7.0 * image, -20, 30)
                file.add(kspace(1, 1, 8)[0], index={"slice": image}, position=position, **directions)
        affine = read_scan(tmp_path / "scan.h5").affine
        middle = torch.tensor([3.0, 4, 0, 1] if depth == 1 else [2.0, 3, 4, 1], dtype=torch.float64)
        apart = [[0.0, 0, 3], [0, -2, 0], [-7, 0, 0]] if depth == 1 else [[-5.0, 0, 0], [0, 0, 3], [0, -2, 0]]
        torch.testing.assert_close(affine @ middle, torch.tensor([-10.0, 20, 30, 1], dtype=torch.float64))
        torch.testing.assert_close(affine[:3, :3].mT, torch.tensor(apart, dtype=torch.float64))


class TestOffTheGrid:
    def radial(self, path, y, k, *, slices=1, factor=1 / (2 * math.pi), size=(24, 20)):
        with Writer(path, (1, *size), trajectory="radial") as file:
            for image in range(slices):
                for shot in range(k.shape[1]):
                    file.add(y[image, :, shot], points=k[0, shot] * factor, index={"slice": image})

    def test_spokes_are_taken_along_their_trajectory(self, tmp_path):
        k, y = radial_trajectory(5, 8), random_tensor(2, 3, 5, 8, dtype=torch.complex64)
        self.radial(tmp_path / "scan.h5", y, k, slices=2)
        scan = read_scan(tmp_path / "scan.h5")
        assert torch.equal(scan.kspace, y)
        torch.testing.assert_close(scan.trajectory, k)
        assert scan.image_size == (24, 20)

    @pytest.mark.parametrize(("unit", "factor"), [("radians per pixel", 1), ("cycles per field of view", None)])
    def test_other_units_are_said_and_converted(self, tmp_path, unit, factor):
        k, y = radial_trajectory(5, 8), random_tensor(1, 3, 5, 8, dtype=torch.complex64)
        size = torch.tensor([24.0, 20.0])
        self.radial(tmp_path / "scan.h5", y, k, factor=size / (2 * math.pi) if factor is None else factor)
        with pytest.raises(FormatError, match=r"in cycles per pixel it ends at 0\.5: read it with unit='radians"):
            read_scan(tmp_path / "scan.h5")
        torch.testing.assert_close(read_scan(tmp_path / "scan.h5", unit=unit).trajectory, k)

    def test_stacks_of_spokes_and_volumes_in_space(self, tmp_path):
        k, y = radial_trajectory(2, 8), random_tensor(1, 3, 4, 8, dtype=torch.complex64)
        with Writer(tmp_path / "stack.h5", (4, 8, 8), trajectory="radial", centre=(1, 4)) as file:
            for shot in range(4):
                step = {"kspace_encode_step_2": shot // 2}
                file.add(y[0, :, shot], points=k[0, shot % 2] / (2 * math.pi), index=step)
        scan = read_scan(tmp_path / "stack.h5")
        assert scan.image_size == (4, 8, 8)
        assert scan.trajectory[0, :, 0, 0].tolist() == pytest.approx([-math.pi / 2, -math.pi / 2, 0, 0])
        torch.testing.assert_close(scan.trajectory[0, :2, :, 1:], k[0])
        points = random_trajectory(32, dimensions=3, generator=seeded()).view(1, 4, 8, 3)
        with Writer(tmp_path / "space.h5", (4, 8, 8), trajectory="other") as file:
            for shot in range(4):
                file.add(y[0, :, shot], points=points[0, shot] / (2 * math.pi))
        torch.testing.assert_close(read_scan(tmp_path / "space.h5").trajectory, points)

    def test_scans_without_a_trajectory_or_of_unequal_images_are_refused(self, tmp_path):
        write_slices(tmp_path / "spiral.h5", kspace(1, 3, 4, 5), trajectory="spiral")
        with pytest.raises(UnsupportedError, match="spiral scan whose readouts carry no trajectory"):
            read_ismrmrd(tmp_path / "spiral.h5")
        with Writer(tmp_path / "unequal.h5", (1, 8, 8), trajectory="radial") as file:
            for shot in range(3):
                file.add(torch.ones(1, 8) + 0j, points=torch.zeros(8, 2), index={"slice": shot // 2})
        with pytest.raises(UnsupportedError, match="different numbers of readouts"):
            read_ismrmrd(tmp_path / "unequal.h5")

    def test_maps_are_estimated_and_the_image_is_found(self, tmp_path):
        size = (32, 32)
        maps, x, k = birdcage_maps(4, size), shepp_logan(size) + 0j, radial_trajectory(60, 64)
        y = NonCartesianMRI(k, (1, *size), maps)(x)
        self.radial(tmp_path / "scan.h5", y, k, size=size)
        scaled, physics = scan_measurements(read_scan(tmp_path / "scan.h5"))
        assert physics.operator.coil_maps.shape == (1, 4, 32, 32)
        image = physics.operator.prox(torch.zeros_like(x), scaled, 100.0).abs()
        assert torch.corrcoef(torch.stack([image.flatten(), x.abs().flatten()]))[0, 1] > 0.97


def test_a_volume_goes_from_file_to_measurements(tmp_path):
    depth = torch.linspace(1, 2, 4)[:, None, None]
    maps, x = birdcage_maps(3, (4, 8, 8)), depth * shepp_logan((8, 8))[:, :, None] + 0j
    y = CartesianMRI(torch.ones(1, 1, 1, 1, 1), (1, 4, 8, 8), maps)(x)
    with Writer(tmp_path / "scan.h5", (4, 8, 8)) as file:
        for partition in range(4):
            for row in range(8):
                steps = {"kspace_encode_step_1": row, "kspace_encode_step_2": partition}
                file.add(y[0, :, partition, row], index=steps)
    scaled, physics = scan_measurements(read_scan(tmp_path / "scan.h5")._replace(coil_maps=maps))
    torch.testing.assert_close(physics.A_adjoint(scaled), x / x.abs().max(), rtol=1e-4, atol=1e-5)
