"""Shifts, mirrors, permutations and quarter turns are those of torch, and every element of a group is drawn."""

import pytest
import torch

from tests.support.tensors import seeded
from wellposed.core.errors import ArgumentError, ShapeError, UnknownNameError
from wellposed.transforms import Permute, Reflect, Rotate, Shift, TimeShift

X = torch.arange(48.0).view(1, 2, 4, 6)


def seen(transform, x, draws=200):
    """Return the different results of many draws."""
    batch = x.expand(draws, *x.shape[1:])
    return {tuple(image.flatten().tolist()) for image in transform(batch, generator=seeded())}


def as_set(images):
    return {tuple(image.flatten().tolist()) for image in images}


def test_shifts_are_rolls_and_all_of_them_are_drawn():
    rolls = [X.roll((i, j), dims=(-2, -1)) for i in range(4) for j in range(6)]
    assert seen(Shift(), X) == as_set(rolls)


def test_a_limit_keeps_shifts_short():
    rolls = [X.roll((i, j), dims=(-2, -1)) for i in (-1, 0, 1) for j in (-2, -1, 0, 1, 2)]
    assert seen(Shift(limit=0.34), X) == as_set(rolls)


def test_frames_are_shifted_in_time():
    video = torch.arange(20.0).view(1, 1, 5, 2, 2)
    assert seen(TimeShift(), video) == as_set([video.roll(i, dims=2) for i in range(5)])
    assert seen(TimeShift(limit=0.2), video) == as_set([video.roll(i, dims=2) for i in (-1, 0, 1)])
    with pytest.raises(ShapeError, match="B, C, T, H, W"):
        TimeShift()(X)


def test_mirrors_are_flips():
    assert seen(Reflect(), X) == as_set([X, X.flip(-1), X.flip(-2), X.flip((-1, -2))])
    assert seen(Reflect(vertical=False), X) == as_set([X, X.flip(-1)])
    assert seen(Reflect(horizontal=False), X) == as_set([X, X.flip(-2)])


def test_quarter_turns_are_those_of_torch():
    square = X[..., :4]
    assert seen(Rotate(), square) == as_set([square.rot90(k, dims=(-2, -1)) for k in range(4)])
    assert seen(Rotate(order=2), X) == as_set([X, X.rot90(2, dims=(-2, -1))])
    assert seen(Rotate(order=1), X) == as_set([X])
    with pytest.raises(ShapeError, match="4 x 6"):
        Rotate()(X)


def test_permutations_of_pixels_keep_channels_together_and_those_of_channels_keep_images():
    x = torch.arange(3.0).view(1, 1, 1, 3)
    assert len(seen(Permute(), x)) == 6
    both = Permute()(X, generator=seeded())
    assert torch.equal(both[:, 1] - both[:, 0], X[:, 1] - X[:, 0])
    assert seen(Permute(of="channels"), X) == as_set([X, X.flip(1)])


@pytest.mark.parametrize(
    "make",
    [
        lambda: Shift(limit=0),
        lambda: Shift(limit=1.5),
        lambda: TimeShift(limit=0),
        lambda: Reflect(horizontal=False, vertical=False),
        lambda: Rotate(order=0),
        lambda: Rotate(limit=4),
    ],
)
def test_numbers_out_of_range_are_refused(make):
    with pytest.raises(ArgumentError, match="expects"):
        make()


def test_unknown_kinds_are_refused():
    with pytest.raises(UnknownNameError, match="pixels"):
        Permute(of="rows")
    with pytest.raises(UnknownNameError, match="zeros"):
        Rotate(border="none")
