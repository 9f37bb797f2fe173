"""Convolutions as matrix products equal those of torch, and step aside where a gradient is wanted."""

import pytest
import torch
from torch.nn import functional

from tests.support.tensors import random_tensor
from wellposed.models import convolve as module
from wellposed.models.convolve import add_pointwise_, add_rectified_, convolve

LAYOUTS = [torch.contiguous_format, torch.channels_last]


@pytest.fixture(params=[True, False], ids=["matrix products", "torch"], autouse=True)
def _processor(request, monkeypatch):
    """Both ways are tested, whoever made the processor."""
    monkeypatch.setattr(module, "_is_by_intel", lambda: request.param)


@pytest.mark.parametrize("layout", LAYOUTS, ids=["planes", "channels last"])
@pytest.mark.parametrize("outputs", [1, 3, 8, 9])
@pytest.mark.parametrize("size", [(7, 12), (1, 5), (4, 1), (2, 2)], ids=str)
def test_convolve_is_the_convolution(size, outputs, layout):
    features = random_tensor(2, 5, *size, seed=0).contiguous(memory_format=layout)
    weight = random_tensor(outputs, 5, 3, 3, seed=1).contiguous(memory_format=layout)
    before = features.clone()
    expected = functional.conv2d(features, weight, padding=1)
    torch.testing.assert_close(convolve(features, weight), expected, rtol=1e-12, atol=1e-12)
    assert torch.equal(features, before)


def test_convolve_keeps_no_more_than_the_result():
    """The nine terms of each pixel are given back, not held by a view of one of them."""
    result = convolve(random_tensor(1, 16, 8, 8), random_tensor(2, 16, 3, 3))
    assert result.untyped_storage().nbytes() == result.numel() * result.element_size()


@pytest.mark.parametrize("layout", LAYOUTS, ids=["planes", "channels last"])
def test_add_pointwise_adds_in_place(layout):
    features = random_tensor(2, 4, 6, 5, seed=0).contiguous(memory_format=layout)
    images = random_tensor(2, 3, 6, 5, seed=1).contiguous(memory_format=layout)
    weight = random_tensor(4, 3, 1, 1, seed=2)
    expected = features + functional.conv2d(images, weight)
    result = add_pointwise_(features, images, weight)
    assert result is features
    torch.testing.assert_close(result, expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("layout", LAYOUTS, ids=["planes", "channels last"])
@pytest.mark.parametrize("rows", [1, 2, 5, 7])
def test_what_is_added_in_bands_is_what_is_added_at_once(rows, layout, monkeypatch):
    total, features, images = (
        random_tensor(2, channels, 7, 5, seed=channels).contiguous(memory_format=layout) for channels in (4, 3, 2)
    )
    weight, pointwise, gain = random_tensor(4, 3, 3, 3), random_tensor(4, 2, 1, 1), random_tensor(1, seed=9)
    monkeypatch.setattr(module, "_BYTES_IN_CACHE", rows * total.nbytes // 7)
    sums = functional.conv2d(features, weight, padding=1) + functional.conv2d(images, pointwise)
    expected = total + gain * sums.clamp(min=0)
    result = add_rectified_(total, gain, features, weight, images, pointwise)
    assert result is total
    torch.testing.assert_close(result, expected, rtol=1e-12, atol=1e-12)


def test_gradients_flow_through_both():
    features, images = random_tensor(1, 3, 4, 5, seed=0), random_tensor(1, 2, 4, 5, seed=1)
    weight, pointwise = random_tensor(2, 3, 3, 3, seed=2), random_tensor(2, 2, 1, 1, seed=3)
    inputs = [value.requires_grad_() for value in (features, images, weight, pointwise)]
    assert torch.autograd.gradcheck(lambda f, i, w, p: add_pointwise_(convolve(f, w), i, p), inputs)


def test_both_work_for_a_batch_of_weights():
    """`vmap` over an ensemble: one prediction for each of its members."""
    features, images = random_tensor(1, 3, 4, 5, seed=0), random_tensor(1, 2, 4, 5, seed=1)
    weights, pointwise = random_tensor(6, 2, 3, 3, 3, seed=2), random_tensor(6, 2, 2, 1, 1, seed=3)

    def predict(weight, mix):
        return add_pointwise_(convolve(features, weight), images, mix)

    together = torch.vmap(predict)(weights, pointwise)
    for result, weight, mix in zip(together, weights, pointwise, strict=True):
        torch.testing.assert_close(result, predict(weight, mix), rtol=1e-12, atol=1e-12)
