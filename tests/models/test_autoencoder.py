"""What passes an autoencoder has as many degrees of freedom as its code, which is how it removes noise."""

import torch
from torch import nn

import wellposed as wp
from tests.support.tensors import random_tensor, seeded
from wellposed.losses import MeasurementConsistency
from wellposed.models import ArtifactRemoval, Autoencoder


def test_the_jacobian_has_the_rank_of_the_code():
    torch.manual_seed(0)
    for code in (1, 3):
        network = Autoencoder(channels=1, width=8, levels=2, code=code).double()
        x = random_tensor(1, 1, 8, 8)
        jacobian = torch.autograd.functional.jacobian(network, x).reshape(64, 64)
        assert torch.linalg.matrix_rank(jacobian) == code * 4
        assert network.encode(x).shape == (1, code, 2, 2)


def test_repeating_noisy_images_through_a_linear_bottleneck_is_principal_components():
    """The minimiser of the consistency is the projection onto the leading eigenvectors, signal and not noise."""
    basis = torch.linalg.qr(random_tensor(16, 2))[0]
    x = random_tensor(2000, 2, seed=1) @ basis.T
    y = (x + 0.3 * random_tensor(2000, 16, seed=2)).view(2000, 1, 4, 4)
    torch.manual_seed(0)
    network = nn.Sequential(nn.Flatten(), nn.Linear(16, 2, bias=False), nn.Linear(2, 16, bias=False)).double()
    model = ArtifactRemoval(nn.Sequential(network, nn.Unflatten(1, (1, 4, 4))))
    physics = wp.Physics(wp.operators.Identity())
    optimiser = torch.optim.LBFGS(
        network.parameters(),
        max_iter=500,
        tolerance_grad=1e-12,
        tolerance_change=1e-16,
        line_search_fn="strong_wolfe",
    )

    def closure():
        optimiser.zero_grad()
        loss = MeasurementConsistency()(x_hat=model(y, physics), y=y, physics=physics, model=model).mean()
        loss.backward()
        return loss

    optimiser.step(closure)
    leading = torch.linalg.svd(y.flatten(1))[2][:2]
    matrix = network[2].weight @ network[1].weight
    torch.testing.assert_close(matrix.detach(), leading.T @ leading, atol=1e-4, rtol=0)
    error = (model(y, physics).flatten(1) - x).square().mean()
    assert error < 0.2 * 0.3**2


def test_an_autoencoder_denoises_what_it_was_only_told_to_repeat():
    coarse = torch.rand(16, 1, 2, 2, generator=seeded())
    x = nn.functional.interpolate(coarse, size=16, mode="bilinear")
    y = x + 0.2 * torch.randn(x.shape, generator=seeded(1))
    torch.manual_seed(0)
    network = Autoencoder(channels=1, width=4, levels=2, code=1)
    physics = wp.Physics(wp.operators.Identity())
    model = ArtifactRemoval(network)
    optimiser = torch.optim.Adam(network.parameters(), lr=1e-2)
    for _ in range(60):
        optimiser.zero_grad()
        MeasurementConsistency()(x_hat=model(y, physics), y=y, physics=physics, model=model).mean().backward()
        optimiser.step()
    assert (network(y) - x).square().mean() < 0.5 * (y - x).square().mean()
