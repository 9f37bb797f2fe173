"""Losses are weighted, added and scheduled; they may wrap the network."""

from dataclasses import dataclass

import pytest
import torch
from torch import nn

import wellposed as wp
from wellposed.core.errors import ArgumentError
from wellposed.losses import L1, L2, Loss, Ramp, Sum

PHYSICS = wp.Physics(wp.operators.Identity())
X = torch.zeros(2, 1, 2, 2)
X_HAT = torch.tensor([0.5, 2.0]).view(2, 1, 1, 1).expand_as(X)


def value(loss, x=X):
    return loss(x_hat=X_HAT, y=X, physics=PHYSICS, model=None, x=x)


def test_weights_and_sums_are_those_of_numbers():
    """L1 is (0.5, 2) and L2 (0.25, 4)."""
    torch.testing.assert_close(value(0.8 * L1() + L2() * 2), torch.tensor([0.9, 9.6]))


def test_sums_are_flat_and_equal_however_they_are_written():
    assert (L1() + L2()) + L1() == L1() + (L2() + L1()) == Sum((L1(), L2(), L1()))


@pytest.mark.parametrize(("progress", "weight"), [(0, 1), (0.2, 1), (0.45, 2), (0.7, 3), (1, 3)])
def test_a_ramp_is_linear_between_its_ends(progress, weight):
    assert Ramp(1, 3, begin=0.2, end=0.7)(progress) == pytest.approx(weight)


def test_a_scheduled_loss_changes_with_the_progress_in_every_part():
    loss = Ramp(1, 3) * (L1() + Ramp(0, 2) * L2())
    torch.testing.assert_close(value(loss), torch.tensor([0.5, 2.0]))
    torch.testing.assert_close(value(loss.at(0.5)), 2 * (torch.tensor([0.5, 2.0]) + torch.tensor([0.25, 4.0])))
    assert value(L1().at(0.5)).tolist() == value(L1()).tolist()


@dataclass(frozen=True)
class Around(Loss):
    """A loss that puts a named module around the network."""

    name: str

    def __call__(self, *, x_hat, y, physics, model, x=None, generator=None):  # noqa: ARG002
        return x_hat.flatten(1).mean(1)

    def adapt(self, model):
        return nn.Sequential(nn.ModuleDict({self.name: model}))


def test_every_part_of_a_sum_adapts_the_network_in_turn():
    network = nn.Identity()
    assert (L1() + 0.5 * L2()).adapt(network) is network
    adapted = (0.5 * Around("inner") + L1() + Around("outer")).adapt(network)
    assert adapted[0]["outer"][0]["inner"] is network


def test_the_measurements_are_enough_for_a_loss_that_needs_no_truth():
    torch.testing.assert_close(value(2 * Around("a"), x=None), torch.tensor([1.0, 4.0]))


@pytest.mark.parametrize("weight", [-1.0, float("nan"), float("inf")])
def test_a_weight_is_finite_and_not_negative(weight):
    with pytest.raises(ArgumentError, match="weight >= 0"):
        weight * L1()
    with pytest.raises(ArgumentError, match="weight >= 0"):
        Ramp(weight, 1)


@pytest.mark.parametrize(("begin", "end"), [(0.5, 0.5), (-0.1, 1), (0, 1.1)])
def test_a_ramp_has_an_order(begin, end):
    with pytest.raises(ArgumentError, match="begin < end"):
        Ramp(0, 1, begin=begin, end=end)


def test_an_empty_sum_is_refused():
    with pytest.raises(ArgumentError, match="got none"):
        Sum(())


def test_only_losses_and_numbers_combine():
    with pytest.raises(TypeError):
        L1() + 1
    with pytest.raises(TypeError):
        "a" * L1()
