"""The four mosaics by hand."""

import pytest
import torch

from tests.support.tensors import random_tensor
from wellposed.core.errors import ShapeError, UnknownNameError
from wellposed.operators import BayerMosaic


@pytest.mark.parametrize(
    ("pattern", "square"),
    [
        ("RGGB", [[0, 1], [1, 2]]),
        ("BGGR", [[2, 1], [1, 0]]),
        ("GRBG", [[1, 0], [2, 1]]),
        ("GBRG", [[1, 2], [0, 1]]),
    ],
)
def test_mosaic_sees_the_colours_of_its_pattern(pattern, square):
    image = random_tensor(2, 3, 3, 5)
    raw = BayerMosaic((3, 3, 5), pattern)(image)
    assert raw.shape == (2, 1, 3, 5)
    for i in range(3):
        for j in range(5):
            assert torch.equal(raw[:, 0, i, j], image[:, square[i % 2][j % 2], i, j])


def test_mosaic_adjoint_puts_each_value_back_in_its_colour():
    y = torch.arange(1.0, 5.0).view(1, 1, 2, 2)
    expected = [[[1.0, 0.0], [0.0, 0.0]], [[0.0, 2.0], [3.0, 0.0]], [[0.0, 0.0], [0.0, 4.0]]]
    A = BayerMosaic((3, 2, 2))
    assert A.adjoint(y)[0].tolist() == expected
    assert A.pinv(y)[0].tolist() == expected


def test_mosaic_refuses_what_is_not_in_colour_and_unknown_patterns():
    with pytest.raises(ShapeError, match=r"image shape \(3, H, W\), got \(1, 4, 4\)"):
        BayerMosaic((1, 4, 4))
    with pytest.raises(UnknownNameError, match="unknown Bayer pattern 'RGBG'"):
        BayerMosaic((3, 4, 4), "RGBG")
