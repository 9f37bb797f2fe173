"""Phantoms: pictures and integrals of ellipses against areas, chords and published values."""

import math

import pytest
import torch
from skimage.data import shepp_logan_phantom
from skimage.transform import resize

from wellposed.core.errors import ArgumentError, ShapeError, UnsupportedError
from wellposed.data import (
    SHEPP_LOGAN,
    SHEPP_LOGAN_STANDARD,
    Ellipse,
    degrees,
    draw_ellipses,
    golden_angles,
    integrate_ellipses,
    limited_angles,
    shepp_logan,
    uniform_angles,
)
from wellposed.operators import Identity, ParallelBeam2D


def test_area_and_volume():
    body = Ellipse(3.0, (0.1, -0.2), (0.5, 0.3), 0.7)
    assert abs(draw_ellipses([body], (200, 200)).mean() / (3 * math.pi * 0.15 / 4) - 1) < 1e-3
    body = Ellipse(2.0, (0.1, -0.2, 0.3), (0.5, 0.3, 0.4), 0.7)
    assert abs(draw_ellipses([body], (40, 40, 40), oversampling=3).mean() / (2 * 4 / 3 * math.pi * 0.06 / 8) - 1) < 5e-3


def test_x_is_to_the_right_y_upwards_and_z_along_the_depth():
    picture = draw_ellipses([Ellipse(1.0, (0.5, 0.25), (0.1, 0.1))], (64, 64))[0, 0]
    row, column = divmod(int(picture.argmax()), 64)
    assert abs(column - 47.5) <= 4
    assert abs(row - 23.5) <= 4
    volume = draw_ellipses([Ellipse(1.0, (0.5, 0.25, -0.5), (0.2, 0.2, 0.2))], (16, 16, 16), oversampling=1)[0, 0]
    assert [round(float(axis.float().mean()), 1) for axis in volume.nonzero().T] == [3.5, 5.5, 11.5]


def test_a_chord_through_a_turned_ellipse():
    """Along its first axis, turned by 30 degrees, the chord is 2 a, across it 2 b, both times the half width."""
    body = [Ellipse(2.0, (0.3, -0.1), (0.5, 0.2), math.radians(30))]
    beam = ParallelBeam2D(
        degrees(torch.tensor([30.0 - 90, 30.0])).double(), (1, 40, 40), n_detectors=5001, detector_pitch=0.02
    )
    chords = integrate_ellipses(body, beam)[0, 0].amax(-1)
    torch.testing.assert_close(chords, torch.tensor([2 * 2 * 0.5, 2 * 2 * 0.2]).double() * 20, rtol=1e-3, atol=0)


def test_shepp_logan_is_that_of_others():
    """scikit-image ships the modified phantom of 400 x 400 pixels."""
    theirs = torch.from_numpy(resize(shepp_logan_phantom(), (100, 100), anti_aliasing=True)).float()
    assert (shepp_logan((100, 100))[0, 0] - theirs).abs().mean() < 0.01


def test_shepp_logan_has_the_published_values():
    assert shepp_logan((64, 64))[0, 0, 32, 32].item() == pytest.approx(0.2)
    assert shepp_logan((64, 64), modified=False)[0, 0, 32, 32].item() == pytest.approx(1.02)
    assert shepp_logan((16, 16, 16))[0, 0, 8, 8, 12].item() == pytest.approx(0.2)
    assert [len(bodies) for bodies in (*SHEPP_LOGAN.values(), *SHEPP_LOGAN_STANDARD.values())] == [10, 10, 10, 10]


def test_bad_bodies():
    with pytest.raises(ArgumentError, match="Ellipse expects a centre and axes"):
        Ellipse(1.0, (0.0, 0.0), (1.0, 0.0))
    with pytest.raises(ArgumentError, match="Ellipse expects"):
        Ellipse(1.0, (0.0, 0.0, 0.0), (1.0, 1.0))
    with pytest.raises(ShapeError, match="bodies of 3 dimensions"):
        draw_ellipses(SHEPP_LOGAN[2], (8, 8, 8))
    with pytest.raises(ShapeError, match="shepp_logan expects the shape"):
        shepp_logan((8,))
    with pytest.raises(UnsupportedError, match="Identity has none"):
        integrate_ellipses(SHEPP_LOGAN[2], Identity((1, 8, 8)))


class TestAngles:
    def test_uniform(self):
        torch.testing.assert_close(uniform_angles(4, span=2.0, start=1.0), torch.tensor([1.0, 1.5, 2.0, 2.5]))

    def test_golden_angles_fill_the_largest_gap(self):
        """Any number of them leaves gaps of at most three sizes, none more than 2.62 times another."""
        for n in (2, 5, 13, 100):
            ordered = golden_angles(n, start=0.3).double().sort().values
            gaps = torch.cat([ordered.diff(), ordered[:1] + math.pi - ordered[-1:]])
            assert gaps.max() / gaps.min() < 2.63
        assert golden_angles(3, start=0.3)[0] == pytest.approx(0.3)

    def test_limited_has_both_ends(self):
        torch.testing.assert_close(limited_angles(3, span=1.0, centre=2.0), torch.tensor([1.5, 2.0, 2.5]))

    def test_degrees_of_integers(self):
        torch.testing.assert_close(degrees(torch.tensor([0, 180])), torch.tensor([0.0, math.pi]))
        assert degrees(torch.zeros(1, dtype=torch.float64)).dtype == torch.float64

    def test_counts_that_make_no_sense(self):
        for make in (uniform_angles, golden_angles, lambda n: limited_angles(n, span=1.0)):
            with pytest.raises(ArgumentError, match="expects n to be a whole number"):
                make(0)
