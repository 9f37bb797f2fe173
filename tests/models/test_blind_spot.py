"""The blind-spot network does not see the pixel it foretells, and sees all around it."""

import pytest
import torch

import wellposed as wp
from tests.support.tensors import random_tensor, seeded
from wellposed.losses import MeasurementConsistency
from wellposed.models import ArtifactRemoval, BlindSpot


def network(channels=1, levels=3, **options):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return BlindSpot(channels, width=4, levels=levels, **options).double()


@pytest.mark.parametrize("shape", [(1, 1, 8, 8), (1, 2, 7, 10), (1, 1, 5, 3)], ids=str)
@pytest.mark.parametrize("levels", [1, 2, 3])
def test_the_jacobian_is_zero_where_a_pixel_meets_itself_and_not_beside_it(shape, levels):
    denoise, x = network(shape[1], levels), random_tensor(*shape)
    jacobian = torch.autograd.functional.jacobian(denoise, x)[0, :, :, :, 0].permute(0, 3, 1, 2, 4, 5)
    pixels = shape[2] * shape[3]
    response = jacobian.abs().sum((0, 1)).reshape(pixels, pixels)
    assert response.diagonal().max() == 0
    rows, columns = torch.arange(pixels) // shape[3], torch.arange(pixels) % shape[3]
    distance = (rows[:, None] - rows).abs().maximum((columns[:, None] - columns).abs())
    assert response[distance == 1].min() > 0


def test_more_levels_see_farther():
    x = random_tensor(1, 1, 32, 32)
    reach = []
    for levels in (1, 3):
        inputs = x.clone().requires_grad_()
        (gradient,) = torch.autograd.grad(network(levels=levels)(inputs)[0, 0, 16, 16], inputs)
        reach.append(int((gradient != 0).sum()))
    assert reach[1] > 4 * reach[0]


def test_trained_on_noise_alone_it_beats_the_noisy_image():
    """Minimising the distance to the measurements, which teaches any other network to repeat them."""
    physics = wp.Physics(wp.operators.Identity(), wp.noise.Gaussian(0.3))
    level = torch.rand(16, 1, 1, 1, generator=seeded(), dtype=torch.float64)
    x = level + torch.linspace(0, 1, 12, dtype=torch.float64).expand(16, 1, 12, 12)
    model, loss = ArtifactRemoval(network(levels=2)), MeasurementConsistency()
    optimiser = torch.optim.Adam(model.parameters(), lr=1e-2)
    for step in range(40):
        y = physics(x, generator=seeded(step))
        optimiser.zero_grad()
        loss(x_hat=model(y, physics), y=y, physics=physics, model=model).mean().backward()
        optimiser.step()
    assert (model(y, physics) - x).square().mean() < 0.5 * (y - x).square().mean()
