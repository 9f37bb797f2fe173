"""The drawing of a beam: a picture is written, of planes and of volumes, and other operators are refused."""

import math

import pytest

from wellposed.core.errors import UnsupportedError
from wellposed.data import draw_beam, read_image, uniform_angles
from wellposed.operators import ConeBeam3D, FanBeam2D, Identity, ParallelBeam2D


@pytest.mark.parametrize(
    "beam",
    [
        ParallelBeam2D(uniform_angles(3), (1, 8, 6)),
        FanBeam2D(uniform_angles(3, span=2 * math.pi), (1, 8, 6), 12.0, 5.0),
        ConeBeam3D(uniform_angles(3, span=2 * math.pi), (1, 2, 8, 6), 12.0, 5.0),
    ],
    ids=lambda beam: type(beam).__name__,
)
def test_the_image_is_a_grey_box_in_the_middle_of_its_axes(beam, tmp_path):
    """And twice as many views make a picture twice as wide."""
    draw_beam(tmp_path / "one.png", beam)
    draw_beam(tmp_path / "two.png", beam, views=(0, 2))
    one, two = read_image(tmp_path / "one.png"), read_image(tmp_path / "two.png")
    assert two.shape[-1] == 2 * one.shape[-1]
    grey = ((one - 0.88).abs().amax(1) < 0.01).float().mean()
    assert 0.01 < grey < 0.5


def test_other_operators_have_no_rays(tmp_path):
    with pytest.raises(UnsupportedError, match="Identity has none"):
        draw_beam(tmp_path / "x.png", Identity((1, 4, 4)))
    assert list(tmp_path.iterdir()) == []
