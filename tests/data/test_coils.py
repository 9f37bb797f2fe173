"""Coils combined, whitened and compressed, against what these promise."""

import pytest
import torch

from tests.support.tensors import random_tensor
from wellposed.core.errors import ArgumentError, DTypeError, ShapeError
from wellposed.data import combine_coils, compress_coils, noise_covariance, root_sum_of_squares, whiten

MAPS = random_tensor(1, 4, 5, 6, seed=2, dtype=torch.complex128)
IMAGE = random_tensor(2, 1, 5, 6, dtype=torch.complex128)


def test_combination_undoes_the_coils():
    torch.testing.assert_close(combine_coils(MAPS * IMAGE, MAPS), IMAGE)
    assert combine_coils(MAPS * IMAGE, 0 * MAPS).abs().max() == 0


def test_root_sum_of_squares_is_the_image_times_the_energy_of_the_maps():
    expected = IMAGE.abs() * MAPS.abs().square().sum(1, keepdim=True).sqrt()
    torch.testing.assert_close(root_sum_of_squares(MAPS * IMAGE), expected)


def test_whitened_noise_is_white():
    """Noise L n of known covariance becomes n again up to a rotation: its covariance is the identity."""
    mixing = random_tensor(3, 3, dtype=torch.complex128) + 2 * torch.eye(3)
    noise = mixing @ random_tensor(3, 4000, seed=1, dtype=torch.complex128)
    covariance = noise_covariance(noise)
    assert (covariance - mixing @ mixing.mH).norm() < 0.05 * covariance.norm()
    white = whiten(noise[None], covariance)
    torch.testing.assert_close(noise_covariance(white[0]), torch.eye(3).to(noise))


def test_compression_keeps_a_signal_of_few_coils_whole():
    sources = random_tensor(2, 2, 30, dtype=torch.complex128)
    y = (random_tensor(2, 6, 2, seed=1, dtype=torch.complex128) @ sources).view(2, 6, 5, 6)
    compressed, mixing = compress_coils(y, 2)
    assert compressed.shape == (2, 2, 5, 6)
    torch.testing.assert_close(torch.einsum("bvc,bchw->bvhw", mixing, y), compressed)
    torch.testing.assert_close(torch.einsum("bvc,bvhw->bchw", mixing.conj(), compressed), y)
    first, _ = compress_coils(y, 1)
    torch.testing.assert_close(first, compressed[:, :1])


@pytest.mark.parametrize(
    ("call", "error", "sentence"),
    [
        (lambda: combine_coils(MAPS, MAPS[:, :3]), ShapeError, r"one map for each coil.*\(1, 3, 5, 6\)"),
        (lambda: whiten(MAPS, torch.eye(3) + 0j), ShapeError, r"covariance of shape \(4, 4\) for 4 coils"),
        (lambda: whiten(MAPS, torch.zeros(4, 4) + 0j), ArgumentError, "positive definite covariance"),
        (lambda: noise_covariance(torch.ones(3, 2) + 0j), ShapeError, "at least as many samples as coils"),
        (lambda: noise_covariance(torch.ones(3, 9)), DTypeError, "complex samples"),
        (lambda: compress_coils(MAPS, 5), ArgumentError, "at most the 4 coils"),
        (lambda: root_sum_of_squares(torch.ones(3, 3)), ShapeError, r"\(B, coils, ...\), got \(3, 3\)"),
    ],
)
def test_nonsense_is_refused(call, error, sentence):
    with pytest.raises(error, match=sentence):
        call()
