"""Warps move points as their formulas say: on images that are linear in the coordinates interpolation is exact."""

import math

import pytest
import torch

from tests.support.tensors import seeded
from wellposed.core.errors import ArgumentError, UnknownNameError
from wellposed.transforms import Diffeomorphism, Homography, Rotate, Scale
from wellposed.transforms._warp import centred_points, projective_warp
from wellposed.transforms.rotate import rotation

HEIGHT, WIDTH = 21, 31
COORDINATES = centred_points(torch.zeros(1, 1, HEIGHT, WIDTH, dtype=torch.float64)).movedim(-1, 1)
"""An image whose channels are its own coordinates, right and down."""


def inside(points):
    """Where points (B, 2, H, W) lie within the image, so that no border is interpolated."""
    right, down = ((size - 1) / WIDTH for size in (WIDTH, HEIGHT))
    return ((points[:, 0].abs() <= right) & (points[:, 1].abs() <= down))[:, None].expand(points.shape)


def assert_fetched_from(moved, points):
    """The coordinates that were fetched are the points that the formula says."""
    known = inside(points)
    assert known.double().mean() > 0.3
    torch.testing.assert_close(moved[known], points[known], rtol=0, atol=1e-10)


def test_a_free_rotation_by_a_quarter_turn_is_the_exact_one():
    x = torch.randn(1, 2, 9, 9, generator=seeded(), dtype=torch.float64)
    for turns in range(4):
        angle = torch.tensor([turns * math.pi / 2], dtype=torch.float64)
        turned = projective_warp(rotation(angle), "reflection", "bilinear")(x)
        torch.testing.assert_close(turned, x.rot90(turns, dims=(-2, -1)), rtol=0, atol=1e-10)


def test_angles_are_uniform_up_to_the_limit():
    x = COORDINATES.expand(400, -1, -1, -1)
    moved = Rotate(order=None, limit=0.5, border="zeros")(x, generator=seeded())
    middle = moved[:, :, HEIGHT // 2, WIDTH // 2 + 3] * WIDTH / 6
    angles = torch.atan2(middle[:, 1], middle[:, 0])
    assert angles.abs().max() <= 0.5
    assert angles.abs().max() > 0.48
    assert angles.std() == pytest.approx(1 / math.sqrt(12), rel=0.1)


def test_the_rotations_of_an_order_are_its_multiples():
    x = COORDINATES.expand(100, -1, -1, -1)
    moved = Rotate(order=6, border="zeros")(x, generator=seeded())
    middle = moved[:, :, HEIGHT // 2, WIDTH // 2 + 3]
    sixths = (torch.atan2(middle[:, 1], middle[:, 0]) / (math.pi / 3)).round(decimals=6) % 6
    assert set(sixths.tolist()) == {0, 1, 2, 3, 4, 5}


def test_a_magnification_fetches_from_nearer_to_the_centre():
    moved = Scale(limit=3.0)(COORDINATES.expand(300, -1, -1, -1), generator=seeded())
    x = COORDINATES.expand(300, -1, -1, -1)
    step = (HEIGHT // 2, WIDTH // 2 + 3)
    inverse = moved[:, 0, *step] / x[:, 0, *step]
    assert_fetched_from(moved[:8], inverse[:8, None, None, None] * x[:8])
    assert 1 / 3 <= inverse.min() < 0.36
    assert 2.8 < inverse.max() <= 3
    assert inverse.log().mean().abs() < 0.1


def test_a_panned_camera_sees_a_plane_in_perspective():
    """With a pan by a alone, the ray of p meets the image at 2 tan(atan(p/2) +- a) on the horizontal axis."""
    pans = Homography(tilt=0.3, roll=0, zoom=1)
    moved = pans(COORDINATES.expand(50, -1, -1, -1), generator=seeded())
    points = (
        Homography(tilt=0.3, roll=0, zoom=1)
        .draw(COORDINATES.expand(50, -1, -1, -1), generator=seeded())
        .source(COORDINATES.movedim(1, -1))
    )
    assert_fetched_from(moved, points.movedim(-1, 1))
    rays = torch.nn.functional.normalize(torch.cat([points, torch.full_like(points[..., :1], 2.0)], dim=-1), dim=-1)
    plain = torch.nn.functional.normalize(
        torch.cat([COORDINATES.movedim(1, -1), torch.full((1, HEIGHT, WIDTH, 1), 2.0, dtype=torch.float64)], dim=-1),
        dim=-1,
    )
    """A turned camera keeps the angles between rays."""
    angle = (rays[:, 3, 4] * rays[:, 17, 25]).sum(-1)
    torch.testing.assert_close(angle, (plain[:, 3, 4] * plain[:, 17, 25]).sum(-1).expand(50))
    centre = rays[:, HEIGHT // 2, WIDTH // 2, 2].acos()
    assert 0.25 < centre.max() <= 0.3 * math.sqrt(2)


def test_zooming_and_rolling_alone_are_a_scaling_and_a_rotation():
    zoomed = Homography(tilt=0, roll=0, zoom=1.5)(COORDINATES.expand(9, -1, -1, -1), generator=seeded())
    ratio = zoomed[:, 0, HEIGHT // 2, WIDTH // 2 + 3] / COORDINATES[0, 0, HEIGHT // 2, WIDTH // 2 + 3]
    assert_fetched_from(zoomed, ratio[:, None, None, None] * COORDINATES)
    assert 1 / 1.5 <= ratio.min() < ratio.max() <= 1.5
    rolled = Homography(tilt=0, roll=0.4, zoom=1, border="zeros")(COORDINATES.expand(9, -1, -1, -1), generator=seeded())
    lengths = rolled[:, :, HEIGHT // 2, WIDTH // 2 + 4].norm(dim=1)
    torch.testing.assert_close(lengths, COORDINATES[0, :, HEIGHT // 2, WIDTH // 2 + 4].norm().expand(9))


def test_a_flow_and_its_inverse_meet_and_the_border_stays():
    x = COORDINATES.expand(4, -1, -1, -1)
    motion = Diffeomorphism(strength=0.4, modes=4).draw(x, generator=seeded())
    grid = COORDINATES.movedim(1, -1)
    there = motion.source(grid)
    assert (there - grid).abs().max() > 0.1
    torch.testing.assert_close(motion.target(there), grid.expand(there.shape), rtol=0, atol=1e-3)
    edge = torch.tensor([[[[1.0, 0.2], [-0.3, HEIGHT / WIDTH]]]], dtype=torch.float64)
    torch.testing.assert_close(motion.source(edge)[:, 0, 0, 0], torch.ones(4, dtype=torch.float64))
    torch.testing.assert_close(motion.source(edge)[:, 0, 1, 1], torch.full((4,), HEIGHT / WIDTH, dtype=torch.float64))


def test_a_flow_does_not_fold():
    """Its Jacobian determinant is positive everywhere, however strong it is."""
    grid = COORDINATES.movedim(1, -1)
    source = Diffeomorphism(strength=1.5).draw(COORDINATES.expand(8, -1, -1, -1), generator=seeded(2)).source
    steps = 1e-6 * torch.eye(2, dtype=torch.float64)
    right, down = ((source(grid + step) - source(grid - step)) / 2e-6 for step in steps)
    assert (right[..., 0] * down[..., 1] - right[..., 1] * down[..., 0]).min() > 0


def test_modes_and_strength_count():
    x = COORDINATES.expand(20, -1, -1, -1)
    weak, strong = ((Diffeomorphism(strength=s)(x, generator=seeded()) - x).abs().mean() for s in (0.1, 0.2))
    assert float(strong / weak) == pytest.approx(2, rel=0.15)
    one = Diffeomorphism(modes=1).draw(x, generator=seeded()).source(COORDINATES.movedim(1, -1)) - COORDINATES.movedim(
        1, -1
    )
    many = Diffeomorphism(modes=6).draw(x, generator=seeded()).source(COORDINATES.movedim(1, -1)) - COORDINATES.movedim(
        1, -1
    )
    assert one.diff(n=2, dim=2).abs().mean() < 0.7 * many.diff(n=2, dim=2).abs().mean()


def test_borders_and_interpolation_are_used():
    x = torch.ones(1, 1, 8, 8)
    matrix = torch.diag(torch.tensor([0.5, 0.5, 1.0]))[None]
    assert projective_warp(matrix, "zeros", "bilinear")(x).mean() < 0.5
    assert projective_warp(matrix, "border", "bilinear")(x).mean() == 1
    steps = torch.arange(8.0).view(1, 1, 1, 8).expand(1, 1, 8, 8)
    near = projective_warp(matrix.inverse(), "border", "nearest")(steps)
    assert torch.equal(near, near.round())
    assert not torch.equal(projective_warp(matrix.inverse(), "border", "bilinear")(steps), near)
    ramp = steps.square()
    assert not torch.equal(
        projective_warp(matrix.inverse(), "border", "bicubic")(ramp),
        projective_warp(matrix.inverse(), "border", "bilinear")(ramp),
    )


@pytest.mark.parametrize(
    "make",
    [
        lambda: Scale(limit=1),
        lambda: Scale(limit=math.inf),
        lambda: Homography(tilt=0.7),
        lambda: Homography(roll=-1),
        lambda: Homography(zoom=0.9),
        lambda: Diffeomorphism(strength=0),
        lambda: Diffeomorphism(modes=0),
    ],
)
def test_numbers_out_of_range_are_refused(make):
    with pytest.raises(ArgumentError, match="expects"):
        make()


@pytest.mark.parametrize("transform", [Scale, Homography, Diffeomorphism])
def test_unknown_names_are_refused(transform):
    with pytest.raises(UnknownNameError, match="bicubic"):
        transform(interpolation="cubic")
