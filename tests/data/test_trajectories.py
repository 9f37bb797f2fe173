"""Trajectories: where they start, end and turn; files in every unit."""

import math

import numpy as np
import pytest
import torch

from tests.support.tensors import seeded
from wellposed.core.errors import ArgumentError, FormatError, UnknownNameError
from wellposed.core.files import MissingFileError
from wellposed.data import (
    cones_trajectory,
    radial_trajectory,
    radians_per_pixel,
    random_trajectory,
    read_trajectory,
    rosette_trajectory,
    spiral_trajectory,
)

EVERY = {
    "radial": radial_trajectory(7, 16),
    "golden": radial_trajectory(7, 16, order="golden"),
    "kooshball": radial_trajectory(30, 16, dimensions=3),
    "spiral": spiral_trajectory(3, 50, turns=4),
    "cones": cones_trajectory(6, 40, turns=3),
    "rosette": rosette_trajectory(5, 64),
}


@pytest.mark.parametrize("name", EVERY)
def test_they_pass_the_middle_and_reach_pi_but_not_beyond(name):
    distance = EVERY[name].norm(dim=-1)
    assert EVERY[name].shape[0] == 1
    assert distance.max() == pytest.approx(math.pi, rel=5e-3)
    assert (distance.amin(-1) < 1e-6).all()


def test_spokes_divide_half_a_turn():
    k = radial_trajectory(6, 8)[0, :, -1]
    angle = torch.atan2(k[:, 0], k[:, 1])
    torch.testing.assert_close(angle, torch.arange(6) * (math.pi / 6))
    torch.testing.assert_close(radial_trajectory(6, 8)[0, 0, :, 1], (torch.arange(8) - 4) * (math.pi / 4))


def test_golden_spokes_are_a_golden_angle_apart():
    k = radial_trajectory(9, 8, order="golden")[0, :, -1]
    steps = torch.atan2(k[:, 0], k[:, 1]).diff() % math.pi
    torch.testing.assert_close(steps, torch.full((8,), math.pi * (math.sqrt(5) - 1) / 2), rtol=1e-4, atol=1e-4)


def test_spokes_of_a_volume_are_evenly_spread():
    """Over half a sphere the mean of u u^T is that of the whole: a third of the identity."""
    directions = radial_trajectory(500, 2, dimensions=3)[0, :, 0] / math.pi
    torch.testing.assert_close(directions.norm(dim=-1), torch.ones(500))
    torch.testing.assert_close(directions.mT @ directions / 500, torch.eye(3) / 3, rtol=0, atol=5e-3)


def test_spiral_arms_are_equally_far_apart_and_fill_turns():
    k = spiral_trajectory(2, 4001, turns=5)[0]
    angle = torch.from_numpy(np.unwrap(torch.atan2(k[0, 1:, 0], k[0, 1:, 1]).numpy()))
    assert float(angle[-1] - angle[0]) == pytest.approx(2 * math.pi * 5, rel=2e-2)
    torch.testing.assert_close(angle, 10 * k[0, 1:].norm(dim=-1).to(angle), rtol=1e-3, atol=1e-3)
    torch.testing.assert_close(k[1], -k[0], rtol=1e-5, atol=1e-5)


def test_random_points_are_uniform_and_seeded():
    k = random_trajectory(5000, dimensions=3, generator=seeded(0))
    assert torch.equal(k, random_trajectory(5000, dimensions=3, generator=seeded(0)))
    assert k.shape == (1, 5000, 3)
    assert k.abs().max() <= math.pi
    assert (k.mean((0, 1)).abs() < 4 * math.pi / math.sqrt(3 * 5000)).all()


@pytest.mark.parametrize(
    ("unit", "size", "factor"),
    [
        ("radians per pixel", None, 1),
        ("cycles per pixel", None, 2 * math.pi),
        ("cycles per field of view", 64, math.pi / 32),
    ],
)
def test_files_are_read_in_their_unit(tmp_path, unit, size, factor):
    points = np.random.default_rng(0).uniform(-0.5, 0.5, (3, 5, 2))
    np.save(tmp_path / "k.npy", points)
    np.savez(tmp_path / "k.npz", k=points)
    for name in ("k.npy", "k.npz"):
        got = read_trajectory(tmp_path / name, unit=unit, size=size)
        torch.testing.assert_close(got, torch.from_numpy(factor * points).float()[None])


def test_units_are_converted_along_each_axis():
    points = torch.tensor([[0.25, -0.5]])
    torch.testing.assert_close(radians_per_pixel(points, unit="cycles per pixel"), 2 * math.pi * points)
    along = radians_per_pixel(points * torch.tensor([32.0, 48.0]), unit="cycles per field of view", size=(32, 48))
    torch.testing.assert_close(along, 2 * math.pi * points)
    assert radians_per_pixel(points, unit="radians per pixel") is points
    with pytest.raises(ArgumentError, match="radians_per_pixel needs the size"):
        radians_per_pixel(points, unit="cycles per field of view")


def test_files_that_hold_none_are_refused(tmp_path):
    np.save(tmp_path / "image.npy", np.ones((4, 4)))
    (tmp_path / "text.npy").write_text("no array")
    with pytest.raises(FormatError, match=r"holds \(4, 4\)"):
        read_trajectory(tmp_path / "image.npy")
    with pytest.raises(FormatError, match="no npy or npz file"):
        read_trajectory(tmp_path / "text.npy")
    with pytest.raises(MissingFileError):
        read_trajectory(tmp_path / "none.npy")
    with pytest.raises(ArgumentError, match="needs the size"):
        read_trajectory(tmp_path / "image.npy", unit="cycles per field of view")
    with pytest.raises(UnknownNameError, match="unit of k-space"):
        read_trajectory(tmp_path / "image.npy", unit="furlongs")


@pytest.mark.parametrize(
    "call",
    [
        lambda: radial_trajectory(0, 4),
        lambda: spiral_trajectory(1, 4, turns=0),
        lambda: cones_trajectory(1, 4, turns=-1),
    ],
)
def test_nonsense_is_refused(call):
    with pytest.raises(ArgumentError):
        call()


def test_an_unknown_order_is_refused():
    with pytest.raises(UnknownNameError, match="did you mean 'golden'"):
        radial_trajectory(3, 4, order="goldn")
