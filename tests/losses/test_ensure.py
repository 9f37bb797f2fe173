"""ENSURE counts what was measured for what was not."""

import pytest
import torch

import wellposed as wp
from tests.support.tensors import random_tensor, seeded
from wellposed.core.errors import UnsupportedError
from wellposed.losses import ENSURE, SURE
from wellposed.noise import Gaussian, PoissonGaussian

DRAWS = 20_000
X = random_tensor(1, 1, 4, 4).abs() + 0.5
SAMPLING = torch.linspace(0.3, 0.9, 16, dtype=torch.float64).view(1, 1, 4, 4)
MASKS = (torch.rand(DRAWS, 1, 4, 4, generator=seeded(2), dtype=torch.float64) < SAMPLING).double()


def model(y, physics):
    back = physics.A_adjoint(y)
    return 0.6 * back + 0.2 * back.roll(1, -1) + 0.1 * back.square()


def assert_same_mean(loss, truth):
    gap = loss - truth
    error = gap.std() / len(gap) ** 0.5
    assert error < 0.02 * truth.mean()
    assert gap.mean().abs() < 3 * error


def measured(noise, masks=MASKS):
    physics = wp.Physics(wp.operators.Mask(masks), noise)
    return masks * noise(physics.operator(X.expand(DRAWS, 1, 4, 4)), generator=seeded(3)), physics


@pytest.mark.parametrize("noise", [Gaussian(0.3), PoissonGaussian(0.02, 0.1)], ids=["Gaussian", "PoissonGaussian"])
@pytest.mark.parametrize("step", [1e-2, None])
def test_given_the_masks_the_mean_over_the_noise_is_the_weighted_risk(noise, step):
    y, physics = measured(noise)
    x_hat = model(y, physics)
    loss = ENSURE(SAMPLING, step=step)(x_hat=x_hat, y=y, physics=physics, model=model, generator=seeded(4))
    truth = (MASKS / SAMPLING * (x_hat - X).square()).flatten(1).mean(1)
    assert_same_mean(loss, truth)


def test_of_an_error_that_knows_no_mask_the_mean_over_the_masks_is_the_whole_one():
    """A constant image; plain SURE sees only what was measured."""
    y, physics = measured(Gaussian(0.3))
    guess = torch.linspace(0, 1, 16, dtype=torch.float64).view(1, 1, 4, 4).expand(DRAWS, 1, 4, 4)
    losses = [
        loss(x_hat=guess, y=y, physics=physics, model=lambda *_: guess, generator=seeded(4))
        for loss in (ENSURE(SAMPLING), SURE())
    ]
    truth = (guess - X).square().flatten(1).mean(1)
    assert_same_mean(losses[0], truth)
    assert losses[1].mean() < 0.7 * truth.mean()


def test_it_is_sure_where_all_is_measured():
    ones = torch.ones(2, 1, 4, 4, dtype=torch.float64)
    physics = wp.Physics(wp.operators.Mask(ones), Gaussian(0.3))
    y = random_tensor(2, 1, 4, 4)
    values = [
        loss(x_hat=model(y, physics), y=y, physics=physics, model=model, generator=seeded())
        for loss in (ENSURE(ones[:1]), SURE())
    ]
    torch.testing.assert_close(values[0], values[1])


def test_k_space_counts_both_parts_of_its_numbers():
    sampling = torch.tensor([1.0, 0.6, 0.6, 0.3], dtype=torch.float64).expand(1, 1, 4, 4)
    mask = (torch.rand(DRAWS, 1, 4, 4, generator=seeded(2), dtype=torch.float64) < sampling).double()
    noise = Gaussian(0.3)
    physics = wp.Physics(wp.operators.CartesianMRI(mask, (1, 4, 4)), noise)
    x = torch.complex(X, X.flip(-1))
    y = mask * noise(physics.operator(x.expand(DRAWS, 1, 4, 4)), generator=seeded(3))

    def linear(y, physics):
        return 0.7 * physics.A_adjoint(y)

    x_hat = linear(y, physics)
    loss = ENSURE(sampling)(x_hat=x_hat, y=y, physics=physics, model=linear, generator=seeded(4))
    error = wp.operators.CartesianMRI(torch.ones(1, 1, 4, 4, dtype=torch.float64), (1, 4, 4))(x_hat - x)
    assert_same_mean(loss, (mask / sampling * error.abs().square()).flatten(1).mean(1))


def test_an_operator_without_a_mask_is_refused():
    physics = wp.Physics(wp.operators.Identity(), Gaussian(0.1))
    with pytest.raises(UnsupportedError, match="use SURE"):
        ENSURE(SAMPLING)(x_hat=X, y=X, physics=physics, model=model)
