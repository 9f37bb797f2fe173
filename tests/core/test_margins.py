"""Margins, by hand on images of a few pixels."""

import pytest
import torch

from wellposed.core.errors import ArgumentError
from wellposed.core.margins import fainter_margin, without_margin


def test_the_inner_image_is_left():
    image = torch.arange(20.0).reshape(1, 1, 4, 5)
    assert without_margin(image, 1).tolist() == [[[[6, 7, 8], [11, 12, 13]]]]
    assert torch.equal(without_margin(image, 0), image)


def test_errors_of_the_margin_are_fainter_and_those_inside_are_not():
    truth = torch.ones(2, 1, 3, 4)
    image = (truth + 2).requires_grad_()
    seen = fainter_margin(image, truth, 1, 0.25)
    expected = torch.full((3, 4), 1.5)
    expected[1, 1:3] = 3
    assert torch.equal(seen, expected.expand(2, 1, 3, 4))
    seen.sum().backward()
    assert torch.equal(image.grad[1, 0], (expected - 1) / 2)
    assert torch.equal(image, truth + 2)


@pytest.mark.parametrize("take", [without_margin, lambda image, margin: fainter_margin(image, image, margin, 0.1)])
def test_a_margin_that_leaves_nothing_is_refused(take):
    with pytest.raises(ArgumentError, match=r"a margin of 2 leaves nothing of an image of shape \(1, 1, 4, 9\)"):
        take(torch.ones(1, 1, 4, 9), 2)
