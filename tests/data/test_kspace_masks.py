"""Masks of points: exact counts, a full centre, the density asked for, distances kept."""

import math

import pytest
import torch

from tests.support.tensors import seeded
from wellposed.core.errors import ArgumentError, ShapeError, UnknownNameError
from wellposed.data import cartesian_mask, poisson_disc_mask, radial_mask, variable_density_mask

KINDS = {
    "uniform": lambda *shape, **options: variable_density_mask(*shape, kind="uniform", **options),
    "gaussian": lambda *shape, **options: variable_density_mask(*shape, kind="gaussian", **options),
    "polynomial": lambda *shape, **options: variable_density_mask(*shape, kind="polynomial", **options),
    "poisson": poisson_disc_mask,
    "radial": radial_mask,
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("acceleration", "center_fraction"), [(4, 0.1), (7.5, 0.2), (2, 0.0)])
def test_counts_are_exact_and_the_centre_is_full(kind, acceleration, center_fraction):
    mask = KINDS[kind](2, (1, 33, 40), acceleration=acceleration, center_fraction=center_fraction, generator=seeded(0))
    assert mask.shape == (2, 1, 33, 40)
    assert set(mask.unique().tolist()) == {0.0, 1.0}
    assert (mask.flatten(1).sum(1) == round(33 * 40 / acceleration)).all()
    rows, columns = round(center_fraction * 33), round(center_fraction * 40)
    middle = mask[..., 16 - rows // 2 : 16 - rows // 2 + rows, 20 - columns // 2 : 20 - columns // 2 + columns]
    assert middle.all()


@pytest.mark.parametrize("kind", KINDS)
def test_masks_are_seeded_and_differ_in_a_batch(kind):
    def draw(seed):
        return KINDS[kind](2, (1, 24, 24), acceleration=4, center_fraction=0.1, generator=seeded(seed))

    assert torch.equal(draw(0), draw(0))
    assert not torch.equal(draw(0), draw(1))
    assert not torch.equal(draw(0)[0], draw(0)[1])


def test_volumes_are_sampled_too():
    mask = variable_density_mask(1, (1, 6, 8, 10), acceleration=4, center_fraction=0.2, generator=seeded(0))
    assert mask.shape == (1, 1, 6, 8, 10)
    assert mask.sum() == 120


def test_points_follow_the_density_asked_for():
    """Of few points among many, the mean over many masks is in proportion to the weight: 4.5 standard errors."""
    mask = variable_density_mask(
        4000, (1, 1, 41), acceleration=41 / 2, center_fraction=0, kind="gaussian", width=0.5, generator=seeded(0)
    )
    frequency = mask.mean(0).flatten()
    weight = torch.exp(-(((torch.arange(41) - 20) / 20.5) ** 2) / (2 * 0.5**2))
    share = weight / weight.sum()
    first = share
    second = (share[:, None] * share / (1 - share[:, None])).sum(0) - share**2 / (1 - share)
    expected = first + second
    assert ((frequency - expected).abs() < 4.5 * (expected / 4000).sqrt()).all()


@pytest.mark.parametrize("slope", [0.0, 2.0])
def test_poisson_discs_keep_their_distance_where_random_points_do_not(slope):
    mask = poisson_disc_mask(1, (1, 48, 48), acceleration=10, center_fraction=0, slope=slope, generator=seeded(0))
    random = variable_density_mask(1, (1, 48, 48), acceleration=10, center_fraction=0, kind="uniform")
    assert nearest(mask).min() >= 2 if slope == 0 else nearest(mask).min() >= 1
    assert nearest(mask).mean() > 1.3 * nearest(random).mean()


def nearest(mask):
    points = mask[0, 0].nonzero().double()
    return (torch.cdist(points, points) + 1e9 * torch.eye(len(points))).amin(1)


def test_poisson_discs_grow_towards_the_edge():
    mask = poisson_disc_mask(1, (1, 64, 64), acceleration=8, center_fraction=0, slope=3.0, generator=seeded(0))
    middle = mask[..., 20:44, 20:44].mean()
    assert middle > 2.5 * (mask.sum() - mask[..., 20:44, 20:44].sum()) / (64**2 - 24**2)


def test_radial_lines_pass_the_middle_at_even_angles():
    mask = radial_mask(3, (1, 65, 65), n_spokes=5, generator=seeded(0))
    assert mask[:, 0, 32, 32].all()
    assert not torch.equal(mask[0], mask[1])
    rows, columns = (torch.arange(65) - 32.0 for _ in range(2))
    ring = (rows[:, None].square() + columns.square()).sqrt().round() == 25
    for item in mask[:, 0]:
        down, across = (item.bool() & ring).nonzero().sub(32).unbind(1)
        angles = torch.atan2(down.double(), across.double()) % math.pi
        offset = (angles * 5) % math.pi
        spread = torch.polar(torch.ones_like(offset), 2 * offset).mean().abs()
        assert spread > 0.95


def test_radial_lines_at_an_acceleration_are_as_few_as_reach_it():
    """All points but those of the box in the middle lie on the lines, of which one fewer would not have been enough."""
    mask = radial_mask(1, (1, 64, 48), acceleration=5, center_fraction=0.1, generator=seeded(0)).bool()
    middle = torch.zeros_like(mask)
    middle[..., 29:35, 22:27] = True
    totals = []
    for n_spokes in range(1, 40):
        lines = radial_mask(1, (1, 64, 48), n_spokes=n_spokes, center_fraction=0.1, generator=seeded(0)).bool()
        assert (lines & middle).sum() == middle.sum() == 30
        totals.append(int(lines.sum()))
        if totals[-1] >= 614:
            break
    assert totals[-2] < 614 <= totals[-1]
    assert not (mask & ~lines).any()


def test_radial_masks_want_spokes_or_an_acceleration():
    for arguments in ({}, {"n_spokes": 3, "acceleration": 4}):
        with pytest.raises(ArgumentError, match="either n_spokes or an acceleration"):
            radial_mask(1, (1, 8, 8), **arguments)
    with pytest.raises(ArgumentError, match="n_spokes"):
        radial_mask(1, (1, 8, 8), n_spokes=0)


def test_gaussian_columns_are_denser_in_the_middle_and_exact():
    mask = cartesian_mask(400, (1, 1, 96), acceleration=6, center_fraction=0.0, kind="gaussian", generator=seeded(0))[
        :, 0, 0
    ]
    assert (mask.sum(1) == 16).all()
    frequency = mask.mean(0)
    assert frequency[40:57].mean() > 5 * frequency[:17].mean()


@pytest.mark.parametrize(
    ("arguments", "error", "sentence"),
    [
        ({"acceleration": 0.5}, ArgumentError, "acceleration of at least 1"),
        (
            {"center_fraction": 0.9},
            ArgumentError,
            r"samples 64 points at acceleration 4, and the middle alone takes 196",
        ),
        ({"acceleration": 1000}, ArgumentError, "samples 0 points"),
        ({"image_shape": (16, 16)}, ShapeError, r"image_shape \(C, H, W\)"),
        ({"batch": 0}, ArgumentError, "batch"),
    ],
)
@pytest.mark.parametrize("kind", KINDS)
def test_nonsense_is_refused(kind, arguments, error, sentence):
    given = {"batch": 1, "image_shape": (1, 16, 16), "acceleration": 4, "center_fraction": 0.1, **arguments}
    with pytest.raises(error, match=sentence):
        KINDS[kind](given.pop("batch"), given.pop("image_shape"), **given)


def test_other_nonsense_is_refused():
    with pytest.raises(UnknownNameError, match="did you mean 'gaussian'"):
        variable_density_mask(1, (1, 8, 8), acceleration=4, center_fraction=0, kind="gausian")
    with pytest.raises(ArgumentError, match="width above zero"):
        variable_density_mask(1, (1, 8, 8), acceleration=4, center_fraction=0, width=0)
    with pytest.raises(ArgumentError, match="slope of at least zero"):
        poisson_disc_mask(1, (1, 8, 8), acceleration=4, center_fraction=0, slope=-1)
    with pytest.raises(ShapeError, match="radial_mask"):
        radial_mask(1, (1, 8, 8, 8), n_spokes=3)
