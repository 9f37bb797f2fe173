"""The one check of shape, kind and precision, and the sentences that it speaks."""

import numpy as np
import pytest
import torch

from wellposed.core.errors import DTypeError, ShapeError
from wellposed.core.shapes import check_tree, shape_text

IMAGE = torch.ones(2, 3, 4, 5)


@pytest.mark.parametrize(
    ("shape", "text"),
    [
        ((3, 256, 256), "(B, 3, 256, 256)"),
        ((None, None, None), "(B, C, H, W)"),
        ((1, None, 4, None), "(B, 1, D, 4, W)"),
        ((None, 7), "(B, any, 7)"),
        ((), "(B)"),
        (((1, 2), (3, 4, 5)), "((B, 1, 2), (B, 3, 4, 5))"),
        ((((1,),), (2,)), "(((B, 1)), (B, 2))"),
    ],
)
def test_shapes_are_written_with_their_batch(shape, text):
    assert shape_text(shape) == text


@pytest.mark.parametrize("shape", [(3, 4, 5), (None, 4, 5), (None, None, None)])
def test_what_fits_is_returned(shape):
    assert check_tree("A", "images", IMAGE, shape) is IMAGE


def test_tuples_that_fit_are_returned():
    pair = (IMAGE, (IMAGE[:, :1],))
    assert check_tree("A", "measurements", pair, ((3, 4, 5), ((1, 4, 5),))) == pair


@pytest.mark.parametrize(
    ("value", "shape", "sentence"),
    [
        (
            IMAGE[0],
            (3, 4, 5),
            "A expects images of shape (B, 3, 4, 5), got (3, 4, 5): add the batch axis with x[None].",
        ),
        (IMAGE, (1, 4, 5), "A expects images of shape (B, 1, 4, 5), got (2, 3, 4, 5)."),
        (IMAGE[:0], (3, 4, 5), "A expects images of shape (B, 3, 4, 5), got (0, 3, 4, 5): the batch is empty."),
        (IMAGE[0, 0], (None, None, None), "A expects images of shape (B, C, H, W), got (4, 5)."),
        ((IMAGE,), ((3, 4, 5), (1,)), "A expects images that are a tuple of 2 tensors, got a tuple of 1."),
        (IMAGE, ((3, 4, 5), (1,)), "A expects images that are a tuple of 2 tensors, got a Tensor."),
        ((IMAGE, IMAGE), ((3, 4, 5), (1,)), "A expects images of shape (B, 1), got (2, 3, 4, 5)."),
    ],
)
def test_shapes_that_do_not_fit(value, shape, sentence):
    with pytest.raises(ShapeError) as caught:
        check_tree("A", "images", value, shape)
    assert str(caught.value) == sentence


@pytest.mark.parametrize(
    ("value", "field", "start"),
    [
        (IMAGE.to(torch.uint8), "any", "A expects floating-point images, got torch.uint8: convert with x.float()"),
        (IMAGE.bool(), "any", "A expects floating-point images, got torch.bool"),
        (IMAGE, "complex", "A expects complex images, got torch.float32: convert with torch.complex(real, imaginary)"),
        (IMAGE + 0j, "real", "A expects real images, got torch.complex64: take x.real or x.abs()"),
        (
            IMAGE.numpy(),
            "any",
            "A expects images that are a torch.Tensor, got ndarray: convert it with torch.from_numpy.",
        ),
        ([1.0], "any", "A expects images that are a torch.Tensor, got list."),
        ((IMAGE,), "any", "A expects images that are a torch.Tensor, got tuple."),
        (
            np.float64(1),
            "any",
            "A expects images that are a torch.Tensor, got float64: convert it with torch.from_numpy.",
        ),
    ],
    ids=str,
)
def test_kinds_that_do_not_fit(value, field, start):
    with pytest.raises(DTypeError) as caught:
        check_tree("A", "images", value, (3, 4, 5), field)
    assert str(caught.value).startswith(start)


def test_half_precision_is_floating():
    half = IMAGE.to(torch.bfloat16)
    assert check_tree("A", "images", half, (3, 4, 5), "real") is half
