"""Windows of images and volumes."""

import pytest
import torch

from tests.support.tensors import random_tensor
from wellposed.core.errors import ShapeError
from wellposed.operators import Crop


def test_crop_cuts_and_its_adjoint_pads():
    image = random_tensor(2, 3, 5, 6)
    A = Crop((3, 5, 6), corner=(1, 2), size=(3, 4))
    assert torch.equal(A(image), image[:, :, 1:4, 2:6])
    padded = A.adjoint(A(image))
    assert torch.equal(padded[:, :, 1:4, 2:6], image[:, :, 1:4, 2:6])
    assert padded.count_nonzero() == 2 * 3 * 3 * 4


def test_crop_in_three_dimensions():
    volume = random_tensor(1, 1, 4, 5, 6)
    A = Crop((1, 4, 5, 6), corner=(1, 0, 2), size=(2, 5, 3))
    assert torch.equal(A(volume), volume[:, :, 1:3, 0:5, 2:5])


@pytest.mark.parametrize(
    ("corner", "size"), [((3, 0), (3, 3)), ((-1, 0), (3, 3)), ((0, 0), (0, 3)), ((0, 0, 0), (2, 2)), ((0,), (2, 2))]
)
def test_windows_that_leave_the_image_are_refused(corner, size):
    with pytest.raises(ShapeError, match=r"^Crop of size .* leaves images of size"):
        Crop((1, 5, 5), corner=corner, size=size)
