"""Complex images as twice as many real channels, and back."""

import pytest
import torch

from tests.support.tensors import random_tensor
from wellposed.core.complex_view import channels_to_complex, complex_to_channels, real_dtype
from wellposed.core.errors import DTypeError, ShapeError


@pytest.mark.parametrize("shape", [(2, 1, 4, 5), (1, 3, 2, 2, 2), (2, 4)], ids=str)
def test_round_trip(shape):
    image = random_tensor(*shape, dtype=torch.complex128)
    channels = complex_to_channels(image)
    assert channels.shape == (shape[0], 2 * shape[1], *shape[2:])
    assert torch.equal(channels_to_complex(channels), image)


def test_real_parts_come_first():
    image = torch.tensor([[1 + 2j, 3 + 4j]])
    assert complex_to_channels(image).tolist() == [[1, 3, 2, 4]]


def test_bfloat16_has_no_complex_numbers_and_becomes_single_precision():
    channels = torch.tensor([[1.0, 2.0]], dtype=torch.bfloat16)
    x = channels_to_complex(channels)
    assert x.dtype == torch.complex64
    assert x.tolist() == [[1 + 2j]]


def test_gradients_pass():
    image = random_tensor(1, 2, 2, dtype=torch.complex128).requires_grad_()
    assert torch.autograd.gradcheck(lambda x: channels_to_complex(2 * complex_to_channels(x)), (image,))


def test_what_is_there_already_is_refused():
    with pytest.raises(DTypeError, match=r"expects a complex image, got torch.float32"):
        complex_to_channels(torch.ones(1, 2))
    with pytest.raises(DTypeError, match=r"expects a real image, got torch.complex64"):
        channels_to_complex(torch.ones(1, 2, dtype=torch.complex64))
    with pytest.raises(ShapeError, match=r"even number of channels, got shape \(1, 3, 4\)"):
        channels_to_complex(torch.ones(1, 3, 4))


def test_real_dtypes():
    kinds = {torch.complex64: torch.float32, torch.complex128: torch.float64, torch.float32: torch.float32}
    assert {kind: real_dtype(kind) for kind in kinds} == kinds
