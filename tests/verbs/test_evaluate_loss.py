"""A network is scored as its loss uses it at test."""

import pytest
import torch
from torch import nn

import wellposed as wp
from wellposed.core.errors import ArgumentError
from wellposed.losses import L1, R2R, Noise2Self

X = torch.rand(1, 1, 16, 16, generator=torch.Generator().manual_seed(0))


class Copy(nn.Module):
    def forward(self, y, _physics):
        return y


def score(**options):
    return wp.evaluate("denoise-medium", [X], Copy(), **options).mean()["psnr"]


def test_recorruption_adds_noise_that_the_mean_over_draws_takes_away():
    """The identity, shown y plus the mean of n draws of variance s^2 a / (1 - a), errs by s^2 (1 + a / (1 - a) / n)."""
    plain = score()
    assert score(loss=L1()) == plain
    for draws in (1, 8):
        expected = plain - 10 * torch.tensor(1 + 1 / draws).log10()
        assert score(loss=R2R(0.5, draws=draws)) == pytest.approx(float(expected), abs=0.5)
    assert score(loss=R2R(0.5)) == score(loss=R2R(0.5))


def test_a_network_in_training_is_used_as_at_test_and_stays_in_training():
    network = Copy().train()
    values = [wp.evaluate("denoise-medium", [X], network, loss=Noise2Self()).rows[0].psnr for _ in range(2)]
    assert values[0] == values[1] < score() - 3
    assert network.training
    assert wp.evaluate("denoise-medium", [X], network, loss=Noise2Self()).method == "Copy"


def test_a_method_that_is_no_network_has_no_loss():
    with pytest.raises(ArgumentError, match="leave out the loss"):
        wp.evaluate("denoise-medium", [X], "adjoint", loss=R2R())
