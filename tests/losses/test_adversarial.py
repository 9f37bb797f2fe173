"""Adversarial losses: their values, and that the best discriminator leaves nothing to gain once measurements agree."""

import math

import pytest
import torch
from torch import nn

import wellposed as wp
from tests.support.tensors import random_tensor, seeded
from wellposed.core.errors import ArgumentError, UnknownNameError, UnsupportedError
from wellposed.losses import UAIR, AmbientGAN, Discriminator
from wellposed.noise import Gaussian
from wellposed.operators import Mask

Y, X_HAT = random_tensor(2, 1, 4, 4), random_tensor(2, 1, 4, 4, seed=1)
ONE, OTHER = (Mask(random_tensor(1, 1, 4, 4, seed=seed)) for seed in (2, 3))


class Mean(nn.Module):
    """Judges by the mean of each row of pixels."""

    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(torch.ones((), dtype=torch.float64))

    def forward(self, y):
        return self.scale * y.mean(-1)


def rows(image):
    return image.mean(-1).flatten(1)


def log_one_plus_exp(value):
    return (1 + value.exp()).log().mean(1)


@pytest.mark.parametrize("game", ["cross entropy", "least squares"])
@pytest.mark.parametrize("operators", [None, (OTHER,)], ids=["its own", "another"])
def test_the_values_follow_from_the_formulas(game, operators):
    loss = AmbientGAN(Mean(), operators, game=game)
    physics = wp.Physics(ONE, Gaussian(0.3))
    measured = (OTHER if operators else ONE)(X_HAT)
    generator = seeded(4)
    if operators:
        torch.randint(1, (), generator=generator)
    fake = rows(measured + 0.3 * torch.randn(measured.shape, generator=generator, dtype=torch.float64))
    if game == "cross entropy":
        expected = log_one_plus_exp(-fake), log_one_plus_exp(-rows(Y)) + log_one_plus_exp(fake)
    else:
        expected = (fake - 1).square().mean(1), (rows(Y) - 1).square().mean(1) + fake.square().mean(1)
    got = loss(x_hat=X_HAT, y=Y, physics=physics, model=None, generator=seeded(4))
    torch.testing.assert_close(got, expected[0])
    got = loss.discriminator_loss(x_hat=X_HAT, y=Y, physics=physics, generator=seeded(4))
    torch.testing.assert_close(got, expected[1])


def test_uair_adds_the_error_of_the_way_back():
    physics = wp.Physics(ONE)

    def model(y, physics):
        return 0.5 * physics.A_adjoint(y)

    plain = AmbientGAN(Mean())(x_hat=X_HAT, y=Y, physics=physics, model=model)
    fake = ONE(X_HAT)
    back = (0.5 * ONE.mask.square() * fake - fake).square().flatten(1).mean(1)
    for weight in (0.0, 2.0):
        got = UAIR(Mean(), consistency=weight)(x_hat=X_HAT, y=Y, physics=physics, model=model)
        torch.testing.assert_close(got, plain + weight * back)


def test_the_reconstruction_is_a_constant_to_the_discriminator_and_only_to_it():
    physics, x_hat = wp.Physics(ONE), X_HAT.clone().requires_grad_()
    judge = nn.Sequential(nn.Flatten(), nn.Linear(16, 1).double())
    loss = AmbientGAN(judge)
    loss.discriminator_loss(x_hat=x_hat, y=Y, physics=physics).sum().backward()
    assert x_hat.grad is None
    assert judge[1].weight.grad.abs().max() > 0
    loss(x_hat=x_hat, y=Y, physics=physics, model=None).sum().backward()
    assert x_hat.grad.abs().max() > 0


@pytest.mark.parametrize("weight", [1.0, 0.1])
def test_one_backward_gives_the_network_and_the_discriminator_a_gradient_each(weight):
    """That of the network is of what it minimises, and that of the discriminator of what the latter minimises."""
    physics, x_hat = wp.Physics(ONE), X_HAT.clone().requires_grad_()
    judge = nn.Sequential(nn.Flatten(), nn.Linear(16, 1).double())
    loss = AmbientGAN(judge)
    (weight * loss)(x_hat=x_hat, y=Y, physics=physics, model=None).sum().backward()
    fooled = torch.nn.functional.softplus(-judge(ONE(x_hat))).sum()
    (expected,) = torch.autograd.grad(fooled, x_hat)
    torch.testing.assert_close(x_hat.grad, weight * expected)
    uncovered = loss.discriminator_loss(x_hat=X_HAT, y=Y, physics=physics).sum()
    (expected,) = torch.autograd.grad(uncovered, judge[1].weight)
    torch.testing.assert_close(judge[1].weight.grad, weight * expected)
    with torch.no_grad():
        value = loss(x_hat=x_hat, y=Y, physics=physics, model=None).sum()
    torch.testing.assert_close(value, fooled.detach())


def test_the_discriminator_moves_as_by_adam_and_not_where_it_shall_not():
    mine, theirs = (nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 1, bias=False)) for _ in range(2))
    theirs.load_state_dict(mine.state_dict())
    judge = Discriminator(mine, learning_rate=0.03, betas=(0.6, 0.9))
    optimiser = torch.optim.Adam(theirs.parameters(), lr=0.03, betas=(0.6, 0.9))
    for seed in range(5):
        y = random_tensor(8, 3, seed=seed).float()
        theirs(y).square().mean().backward()
        optimiser.step()
        optimiser.zero_grad()
        judge(y).square().mean().backward()
        judge.step(unless=torch.tensor(False))
        for one, other in zip(mine.parameters(), theirs.parameters(), strict=True):
            torch.testing.assert_close(one, other)
    before = {name: value.clone() for name, value in judge.state_dict().items()}
    judge.step()
    judge(y).mean().backward()
    judge.step(unless=torch.tensor(True))
    assert all(torch.equal(value, before[name]) for name, value in judge.state_dict().items())
    assert all(weight.grad is None for weight in mine.parameters())


class Energy(nn.Module):
    """Judges by the energy of what was measured."""

    def __init__(self):
        super().__init__()
        self.last = nn.Linear(1, 1).double()

    def forward(self, y):
        return self.last(y.square().flatten(1).mean(1, keepdim=True))


@pytest.mark.parametrize("spread", [1.0, 2.0, 3.0])
def test_the_best_judge_leads_to_the_spread_of_images_that_are_only_seen_through_holes(spread):
    """Images are flat, of level N(0, 2^2), and half of their pixels are seen; the network makes some of another spread.

    Where the two agree the best judge can only guess, which costs 2 log 2, and the network has nothing to gain.
    """
    mask = (torch.rand(4000, 1, 1, 8, generator=seeded()) > 0.5).double()
    physics = wp.Physics(Mask(mask))
    real, fake = (
        torch.randn(4000, 1, 1, 1, generator=seeded(seed), dtype=torch.float64).expand(-1, 1, 1, 8) for seed in (1, 2)
    )
    y = physics.operator(2 * real)
    judge, scale = Energy(), torch.tensor(spread, dtype=torch.float64, requires_grad=True)
    loss = AmbientGAN(judge)
    optimiser = torch.optim.LBFGS(judge.parameters(), max_iter=50, line_search_fn="strong_wolfe")

    def verdict():
        optimiser.zero_grad()
        value = loss.discriminator_loss(x_hat=scale * fake, y=y, physics=physics).mean()
        value.backward()
        return value

    optimiser.step(verdict)
    guessing = float(verdict().detach()) / (2 * math.log(2))
    loss(x_hat=scale * fake, y=y, physics=physics, model=None).mean().backward()
    if spread == 2:
        assert guessing == pytest.approx(1, abs=1e-3)
        assert abs(scale.grad) < 0.02
    else:
        assert guessing < 0.97
        assert scale.grad * (spread - 2) > 0.05


def test_bad_arguments_are_refused():
    with pytest.raises(UnknownNameError, match="did you mean 'least squares'"):
        AmbientGAN(Mean(), game="least square")
    with pytest.raises(ArgumentError, match="Flatten has no parameters"):
        AmbientGAN(nn.Flatten())
    with pytest.raises(ArgumentError, match="learning rate above 0"):
        Discriminator(Mean(), learning_rate=0)
    with pytest.raises(ArgumentError, match="betas"):
        Discriminator(Mean(), betas=(1.0, 0.9))
    with pytest.raises(UnsupportedError, match="a tuple of 2"):
        AmbientGAN(Mean()).discriminator_loss(x_hat=X_HAT, y=(Y, Y), physics=wp.Physics(ONE))
    with pytest.raises(ArgumentError, match="consistency"):
        UAIR(Mean(), consistency=-1)
