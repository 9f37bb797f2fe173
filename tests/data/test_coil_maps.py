"""Birdcage coils: normalised, where they are said to be, and turned as asked."""

import math

import pytest
import torch

from wellposed.core.errors import ArgumentError, ShapeError
from wellposed.data import birdcage_maps


@pytest.mark.parametrize("size", [(16, 16), (12, 17), (6, 8, 10)], ids=str)
def test_the_energies_of_all_coils_add_up_to_one(size):
    maps = birdcage_maps(6, size)
    assert maps.shape == (1, 6, *size)
    torch.testing.assert_close(maps.abs().square().sum(1), torch.ones(1, *size))


def test_each_coil_is_brightest_where_it_stands():
    """Coil l stands at the angle 2 pi l / 8, which columns see as the cosine and rows as the sine."""
    maps = birdcage_maps(8, (33, 33)).abs()[0]
    for coil in range(8):
        row, column = divmod(int(maps[coil].argmax()), 33)
        angle = math.atan2(row - 16, column - 16)
        assert math.cos(angle - 2 * math.pi * coil / 8) > 0.99


def test_magnitudes_fall_off_with_the_distance():
    maps = birdcage_maps(2, (1, 5), radius=2.0)[0, :, 0]
    x = torch.tensor([-2, -1, 0, 1, 2]) / 2.5
    torch.testing.assert_close((maps[0] / maps[1]).abs(), (x + 2).abs() / (x - 2).abs())


def test_a_rotation_by_one_coil_renumbers_them():
    turned = birdcage_maps(4, (9, 9), rotation=torch.tensor([0.0, math.pi / 2]))
    assert turned.shape == (2, 4, 9, 9)
    torch.testing.assert_close(turned[1].abs(), turned[0].abs().roll(-1, 0), rtol=1e-5, atol=1e-5)


def test_rings_share_the_coils_along_the_depth():
    maps = birdcage_maps(8, (9, 8, 8), rings=2).abs()[0].mean((2, 3))
    assert (maps[:4].argmax(1) < 4).all()
    assert (maps[4:].argmax(1) > 4).all()


@pytest.mark.parametrize(
    ("arguments", "error", "sentence"),
    [
        ({"n_coils": 0}, ArgumentError, "n_coils"),
        ({"radius": 0.0}, ArgumentError, "radius above zero, got 0.0"),
        ({"size": (8,)}, ShapeError, r"size \(H, W\)"),
        ({"rings": 2}, ShapeError, "if there are several rings"),
        ({"size": (4, 4, 4), "rings": 3}, ArgumentError, "rings that divide the coils, got 3 for 4"),
    ],
)
def test_nonsense_is_refused(arguments, error, sentence):
    with pytest.raises(error, match=sentence):
        birdcage_maps(**{"n_coils": 4, "size": (8, 8), **arguments})
