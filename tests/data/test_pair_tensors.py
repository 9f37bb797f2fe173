"""Pairs in memory: rows in the order asked for, shared parameters shared, wrong numbers refused."""

import pytest
import torch

from tests.support.tensors import seeded
from wellposed.core.errors import ShapeError
from wellposed.data import PairTensors
from wellposed.noise import Gaussian
from wellposed.operators import Blur, Identity, Mask, Stack
from wellposed.physics import Physics


def test_rows_come_in_the_order_asked_for():
    mask, x = torch.rand(4, 1, 3, 3, generator=seeded()), torch.rand(4, 1, 3, 3, generator=seeded(1))
    physics = Physics(Mask(mask), Gaussian(0.1))
    y, some, truth = PairTensors(mask * x, physics, x).take(torch.tensor([2, 0, 2]))
    assert torch.equal(some.operator.mask, mask[[2, 0, 2]])
    assert torch.equal(y, (mask * x)[[2, 0, 2]])
    assert torch.equal(truth, x[[2, 0, 2]])
    assert some.noise.sigma == physics.noise.sigma
    assert physics.operator.mask.shape[0] == 4


def test_shared_parameters_are_not_copied_for_each_image():
    physics = Physics(Blur(torch.rand(1, 1, 2, 2), (1, 3, 3)))
    y, some, truth = PairTensors(torch.rand(4, 1, 2, 2), physics).take(torch.tensor([1, 3]))
    assert some.operator.kernel is physics.operator.kernel
    assert (len(y), truth) == (2, None)


def test_measurements_may_be_tuples_and_there_may_be_one():
    physics = Physics(Stack((Identity((1, 2, 2)), Mask(torch.ones(1, 1, 2, 2)))))
    y = (torch.ones(1, 1, 2, 2), torch.zeros(1, 1, 2, 2))
    pairs = PairTensors(y, physics).to("cpu")
    assert len(pairs) == 1
    again = pairs.take(torch.tensor([0, 0])).y
    assert (again[0].sum(), again[1].sum(), len(again[0])) == (8, 0, 2)


@pytest.mark.parametrize(
    ("y", "mask", "x", "sentence"),
    [
        (3, 1, 2, r"measurements and truth of \[3, 2\]"),
        (3, 2, None, r"of \[3\] and parameters for \[2\]"),
        (1, 2, None, r"of \[1\] and parameters for \[2\]"),
    ],
)
def test_numbers_of_images_that_differ_are_refused(y, mask, x, sentence):
    physics = Physics(Mask(torch.ones(mask, 1, 2, 2)))
    with pytest.raises(ShapeError, match=sentence):
        PairTensors(torch.ones(y, 1, 2, 2), physics, None if x is None else torch.ones(x, 1, 2, 2))
