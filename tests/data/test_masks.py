"""Masks: exact counts, the right centre, independent images, probabilities."""

import math

import pytest
import torch

from wellposed.core.errors import ArgumentError, ShapeError, UnknownNameError
from wellposed.data import bernoulli_mask, cartesian_mask


def seeded(seed):
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("keep", [0.1, 0.5, 0.9])
def test_bernoulli_masks_keep_the_fraction_asked_for(keep):
    mask = bernoulli_mask(4, (3, 50, 40), keep=keep, generator=seeded(0))
    assert mask.shape == (4, 1, 50, 40)
    assert set(mask.unique().tolist()) == {0.0, 1.0}
    assert abs(mask.mean() - keep) < 4 * math.sqrt(keep * (1 - keep) / mask.numel())


def test_bernoulli_masks_per_channel_are_independent_of_each_other():
    mask = bernoulli_mask(2, (3, 60, 60), keep=0.5, per_channel=True, generator=seeded(0))
    assert mask.shape == (2, 3, 60, 60)
    columns = torch.corrcoef(mask.flatten(2).flatten(0, 1))
    assert (columns - torch.eye(6)).abs().max() < 4 / 60


def test_bernoulli_masks_of_a_batch_have_their_own_probability():
    mask = bernoulli_mask(3, (1, 40, 40), keep=torch.tensor([0.0, 0.25, 1.0]), generator=seeded(0))
    fractions = mask.mean((1, 2, 3))
    assert fractions[0] == 0
    assert abs(fractions[1] - 0.25) < 4 * math.sqrt(0.25 * 0.75 / 1600)
    assert fractions[2] == 1


def test_bernoulli_masks_of_volumes():
    assert bernoulli_mask(2, (3, 4, 5, 6), keep=0.5).shape == (2, 1, 4, 5, 6)


@pytest.mark.parametrize(
    "draw",
    [
        lambda generator: bernoulli_mask(2, (1, 32, 32), keep=0.5, generator=generator),
        lambda generator: cartesian_mask(2, (1, 4, 128), acceleration=4, center_fraction=0.08, generator=generator),
    ],
    ids=["bernoulli", "cartesian"],
)
def test_masks_are_seeded_and_differ_in_a_batch(draw):
    """S9: equal seeds give equal masks, `torch.manual_seed` is honoured, a shared generator advances."""
    first = draw(seeded(0))
    assert torch.equal(first, draw(seeded(0)))
    assert not torch.equal(first, draw(seeded(1)))
    assert not torch.equal(first[0], first[1])
    shared = seeded(0)
    assert torch.equal(first, draw(shared))
    assert not torch.equal(first, draw(shared))
    with torch.random.fork_rng():
        torch.manual_seed(5)
        default = draw(None)
        torch.manual_seed(5)
        assert torch.equal(default, draw(None))


@pytest.mark.parametrize(
    ("keep", "error", "sentence"),
    [
        (1.5, ArgumentError, r"keep in \[0, 1\], got 1.5"),
        (-0.1, ArgumentError, r"keep in \[0, 1\]"),
        (math.nan, ArgumentError, r"keep in \[0, 1\]"),
        (torch.ones(3), ShapeError, r"shape \(2,\), got \(3,\)"),
    ],
)
def test_bernoulli_mask_refuses_what_is_no_probability(keep, error, sentence):
    with pytest.raises(error, match=sentence):
        bernoulli_mask(2, (1, 4, 4), keep=keep)


SETTINGS = [(320, 4, 0.08), (368, 8, 0.04), (101, 4, 0.08), (64, 2.5, 0.1), (100, 1, 0.08), (50, 10, 0.1), (33, 3, 0.0)]


@pytest.mark.parametrize("kind", ["random", "equispaced"])
@pytest.mark.parametrize(("width", "acceleration", "center_fraction"), SETTINGS)
def test_cartesian_masks_have_exact_counts_and_a_full_centre(width, acceleration, center_fraction, kind):
    mask = cartesian_mask(
        6, (2, 5, width), acceleration=acceleration, center_fraction=center_fraction, kind=kind, generator=seeded(0)
    )
    assert mask.shape == (6, 1, 5, width)
    assert set(mask.unique().tolist()) <= {0.0, 1.0}
    assert (mask == mask[:, :, :1]).all()
    line = mask[:, 0, 0]
    assert (line.sum(1) == round(width / acceleration)).all()
    n_center = round(center_fraction * width)
    center = range(width // 2 - n_center // 2, width // 2 - n_center // 2 + n_center)
    assert line[:, list(center)].all()
    assert n_center == 0 or width // 2 in center


def test_random_columns_outside_the_centre_are_equally_likely():
    """Over 4000 masks each outer column is acquired (25 - 8) / (100 - 8) of the time, within 4.5 standard errors."""
    mask = cartesian_mask(4000, (1, 1, 100), acceleration=4, center_fraction=0.08, generator=seeded(0))
    frequency = mask[:, 0, 0].mean(0)
    outer = torch.cat([frequency[:46], frequency[54:]])
    expected = 17 / 92
    assert (outer - expected).abs().max() < 4.5 * math.sqrt(expected * (1 - expected) / 4000)


def test_equispaced_columns_are_at_equal_distances_and_start_at_random():
    """92 outer columns for 23 lines: every fourth, from each of the four possible starts."""
    mask = cartesian_mask(
        200, (1, 1, 100), acceleration=100 / 31, center_fraction=0.08, kind="equispaced", generator=seeded(0)
    )[:, 0, 0]
    outer = torch.cat([mask[:, :46], mask[:, 54:]], dim=1).reshape(200, 23, 4)
    assert (outer == outer[:, :1]).all()
    assert (outer[:, 0].sum(0) > 200 / 4 - 4 * math.sqrt(200 * 3 / 16)).all()


def test_cartesian_masks_of_volumes_run_along_the_last_axis():
    mask = cartesian_mask(2, (1, 3, 4, 32), acceleration=4, center_fraction=0.08, generator=seeded(0))
    assert mask.shape == (2, 1, 3, 4, 32)
    assert (mask == mask[:, :, :1, :1]).all()


@pytest.mark.parametrize(
    ("arguments", "error", "sentence"),
    [
        ({"acceleration": 0.5}, ArgumentError, "acceleration of at least 1"),
        ({"acceleration": math.nan}, ArgumentError, "acceleration of at least 1"),
        ({"center_fraction": 1.5}, ArgumentError, r"center_fraction in \[0, 1\], got 4 and 1.5"),
        (
            {"center_fraction": 0.3},
            ArgumentError,
            "acquires 16 of 64 columns at acceleration 4, of which the centre takes 19",
        ),
        ({"acceleration": 200, "center_fraction": 0.0}, ArgumentError, "acquires 0 of 64 columns"),
        ({"kind": "randon"}, UnknownNameError, "did you mean 'random'"),
        ({"batch": 0}, ArgumentError, "one mask or more, a whole number, got 0"),
        ({"batch": 1.5}, ArgumentError, "a whole number, got 1.5"),
        ({"image_shape": 64}, ShapeError, r"image_shape \(C, H, W\) or \(C, D, H, W\), got 64"),
        ({"image_shape": (64, 64)}, ShapeError, r"image_shape \(C, H, W\)"),
        ({"image_shape": (1, 0, 64)}, ShapeError, r"got \(1, 0, 64\)"),
    ],
)
def test_cartesian_mask_refuses_nonsense(arguments, error, sentence):
    with pytest.raises(error, match=sentence):
        cartesian_mask(
            **{"batch": 1, "image_shape": (1, 8, 64), "acceleration": 4, "center_fraction": 0.08, **arguments}
        )
