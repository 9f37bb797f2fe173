"""The identity, in any size and in a given one."""

import pytest

from tests.support.tensors import random_tensor
from wellposed.core.errors import ShapeError
from wellposed.operators import Identity


def test_identity_takes_images_of_any_size_and_of_a_given_one():
    image = random_tensor(2, 3, 4, 5)
    assert Identity()(image) is image
    with pytest.raises(ShapeError, match=r"Identity expects images of shape \(B, C, H, W\), got \(3, 4, 5\): add"):
        Identity()(image[0])
    with pytest.raises(ShapeError, match=r"of shape \(B, 1, 4, 5\), got \(2, 3, 4, 5\)"):
        Identity((1, 4, 5))(image)


def test_shapes_may_be_lists():
    assert Identity([3, 4, 5]).image_shape == (3, 4, 5)
    assert Identity([3, 4, 5])(random_tensor(1, 3, 4, 5)).shape == (1, 3, 4, 5)
