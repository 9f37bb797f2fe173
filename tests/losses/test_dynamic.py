"""Frames foretell frames: which are shown, and that the mean is the risk in the others plus their noise."""

import pytest
import torch

import wellposed as wp
from tests.support.tensors import random_tensor, seeded
from wellposed.core.errors import ArgumentError, ShapeError
from wellposed.losses import Artifact2Artifact, TotalVariation, phase2phase
from wellposed.noise import Laplace
from wellposed.operators import Mask

DRAWS = 5000
MASK = (random_tensor(1, 1, 5, 3, 3, seed=2) > -0.7).double()
FRAMES = (1, 5, 3, 3)
FILM = random_tensor(1, *FRAMES).abs()


class Shares(torch.nn.Module):
    """Each frame is told by all that is shown."""

    def forward(self, y, physics):
        shown = physics.A_adjoint(y)
        return 0.3 * shown.mean(2, keepdim=True).expand_as(shown) + 0.2 * shown.square()


def frames_of(mask):
    """Which frames something of is seen."""
    return (mask / MASK.clamp_min(1e-9)).amax((1, 3, 4)) > 0.5


def drawn(loss):
    physics = wp.Physics(Mask(MASK, FRAMES), Laplace(0.2))
    y = physics.noise(physics.operator(FILM.expand(DRAWS, -1, -1, -1, -1)), generator=seeded(1))
    model = loss.adapt(Shares())
    x_hat = model(y, physics, generator=seeded(2))
    value = loss(x_hat=x_hat, y=y, physics=physics, model=model)
    return physics, x_hat, value, loss.draw(y, physics, generator=seeded(2))


@pytest.mark.parametrize("size", [1, 2])
def test_another_group_is_compared(size):
    physics, x_hat, value, draw = drawn(Artifact2Artifact(size=size))
    shown, compared = frames_of(draw.physics.operator.mask), draw.weight.expand(DRAWS, *FRAMES).amax((1, 3, 4)) > 0
    assert (shown.sum(1) == size).all()
    assert (compared.sum(1) == size).all()
    assert not (shown & compared).any()
    assert (shown[:, size * (5 // size) :].sum(1) == 0).all()
    per_group = 1 / (5 // size)
    assert shown.double().mean(0)[: size * (5 // size)].sub(per_group).abs().max() < 0.03
    back = compared.double()[:, None, :, None, None]
    clean = physics.operator(FILM)
    numbers = size * 9
    truth = (back * (physics.operator(x_hat) - clean).square()).flatten(1).sum(1) / numbers
    constant = (back * physics.noise.variance(clean)).flatten(1).sum(1) / numbers
    gap = value - constant - truth
    assert gap.mean().abs() < 3 * gap.std() / DRAWS**0.5 < 0.1 * truth.mean()


def test_phases_that_are_not_shown_are_compared():
    _, _, _, draw = drawn(phase2phase(0.6))
    shown = frames_of(draw.physics.operator.mask)
    assert (shown.sum(1) == 3).all()
    assert torch.equal(draw.weight.expand(DRAWS, *FRAMES).amax((1, 3, 4)) > 0, ~shown)


def test_at_test_all_frames_are_seen():
    physics = wp.Physics(Mask(MASK, FRAMES))
    model = Artifact2Artifact().adapt(Shares().eval())
    torch.testing.assert_close(model(FILM, physics), Shares()(FILM, physics))


def test_a_group_has_frames():
    physics = wp.Physics(wp.operators.Identity())
    with pytest.raises(ShapeError, match="at least 6 frames"):
        Artifact2Artifact(size=3).draw(FILM, physics)
    with pytest.raises(ShapeError, match="frames"):
        Artifact2Artifact().draw(FILM[:, :, 0], physics)
    with pytest.raises(ArgumentError, match="size"):
        Artifact2Artifact(size=0)


def variation(image):
    return TotalVariation()(x_hat=image, y=image, physics=wp.Physics(wp.operators.Identity()), model=None)


def test_total_variation_of_ramps_and_steps():
    """A ramp has its slope in every pixel but the last of each row; axes add up by Pythagoras."""
    ramp = torch.arange(4.0).expand(1, 1, 5, 4)
    torch.testing.assert_close(variation(3 * ramp), torch.tensor([3 * 3 / 4]))
    plane = 3 * ramp + 4 * torch.arange(5.0)[:, None]
    torch.testing.assert_close(variation(plane), torch.tensor([(12 * 5 + 4 * 4 + 3 * 3) / 20]))
    volume = torch.arange(3.0).view(1, 1, 3, 1, 1).expand(1, 1, 3, 2, 2)
    torch.testing.assert_close(variation(volume), torch.tensor([2 / 3]))
    torch.testing.assert_close(variation(torch.complex(3 * ramp, 4 * ramp)), torch.tensor([5 * 3 / 4]))


def test_a_flat_image_has_a_gradient_that_is_a_number():
    image = torch.ones(1, 1, 3, 3, requires_grad=True)
    variation(image).sum().backward()
    assert torch.equal(image.grad, torch.zeros_like(image))
