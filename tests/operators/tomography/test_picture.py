"""The drawing of a beam: a picture is written, of planes and of volumes, and views that are not there are refused."""

import math

import pytest
import torch

from wellposed.core.errors import ArgumentError
from wellposed.data import read_image, uniform_angles
from wellposed.operators import ConeBeam3D, FanBeam2D, ParallelBeam2D, ParallelBeam3D
from wellposed.operators.tomography._picture import _segments

ANGLES = uniform_angles(3, span=2 * math.pi)


@pytest.mark.parametrize(
    "beam",
    [
        ParallelBeam2D(ANGLES, (1, 8, 6)),
        FanBeam2D(ANGLES, (1, 8, 6), 12.0, 5.0),
        ConeBeam3D(ANGLES, (1, 2, 8, 6), 12.0, 5.0),
    ],
    ids=lambda beam: type(beam).__name__,
)
def test_the_image_is_a_grey_box_in_the_middle_of_its_axes(beam, tmp_path):
    """Twice as many views make a picture twice as wide, and a side view makes it higher."""
    beam.plot(tmp_path / "one.png")
    beam.plot(tmp_path / "two.png", views=(0, -1))
    one, two = read_image(tmp_path / "one.png"), read_image(tmp_path / "two.png")
    assert two.shape[-1] == 2 * one.shape[-1]
    assert (one.shape[-2] > 1.5 * one.shape[-1]) == (len(beam.image_shape) == 4)
    grey = ((one - 0.88).abs().amax(1) < 0.01).float().mean()
    assert 0.01 < grey < 0.5


def test_rays_end_on_the_detector():
    """A cone's at 5 behind the centre, as far apart as the detector's pitches; parallel ones keep their direction."""
    cone = ConeBeam3D(ANGLES, (1, 2, 8, 6), 12.0, 5.0, detector_pitch=1.5, row_pitch=2.0, detector_offset=0.7).double()
    begins, ends = _segments(cone, 0, *(part[0, 0] for part in cone.rays()))
    torch.testing.assert_close(begins, torch.tensor([0.0, -12.0, 0.0]).double().expand_as(begins))
    torch.testing.assert_close(ends[..., 1], torch.full_like(ends[..., 1], 5.0))
    torch.testing.assert_close(ends[..., 0].diff(dim=1), torch.full_like(ends[:, 1:, 0], 1.5))
    torch.testing.assert_close(ends[..., 2].diff(dim=0), torch.full_like(ends[1:, :, 2], 2.0))
    assert ends[0, :, 0].mean() == pytest.approx(0.7)
    flat = ParallelBeam3D(ANGLES, (1, 2, 8, 6)).double()
    begins, ends = _segments(flat, 0, *(part[0, 0] for part in flat.rays()))
    torch.testing.assert_close(begins[..., ::2], ends[..., ::2])


@pytest.mark.parametrize("views", [(3,), (), (0, -4)])
def test_views_that_are_not_there(views, tmp_path):
    with pytest.raises(ArgumentError, match=r"FanBeam2D.plot expects some of its 3 views"):
        FanBeam2D(ANGLES, (1, 8, 6), 12.0, 5.0).plot(tmp_path / "x.png", views=views)
    assert list(tmp_path.iterdir()) == []
