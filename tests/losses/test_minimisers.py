"""What linear estimators learn on small subspaces: the supervised minimiser where the theory says so, else not."""

import pytest
import torch
from torch import nn

import wellposed as wp
from tests.support.tensors import seeded
from wellposed.losses import (
    EquivariantImaging,
    EquivariantSplitting,
    MeasurementConsistency,
    MultiOperatorEquivariantImaging,
    MultiOperatorImaging,
    Splitting,
)
from wellposed.transforms import Permute, Shift


class PerMask(nn.Module):
    """One matrix for each pattern of measured pixels, of images (1, 1, n)."""

    def __init__(self, pixels, start):
        super().__init__()
        noise = torch.randn(2**pixels, pixels, pixels, generator=seeded(5), dtype=torch.float64)
        self.matrices = nn.Parameter(start * noise)
        self.bits = 2 ** torch.arange(pixels)

    def forward(self, y, physics):
        seen = (
            physics.operator.to_matrix().diagonal(dim1=1, dim2=2).abs()
            if len(y) < 2
            else physics.operator.mask[:, 0, 0]
        )
        pattern = ((seen > 0).long() @ self.bits).expand(len(y))
        return torch.einsum("bij,bj->bi", self.matrices[pattern], y[:, 0, 0])[:, None, None]


class OneMatrix(nn.Module):
    """The same matrix for every operator, from the back-projected image."""

    def __init__(self, numbers, start):
        super().__init__()
        noise = torch.randn(numbers, numbers, generator=seeded(5), dtype=torch.float64)
        self.matrix = nn.Parameter(start * noise)

    def forward(self, y, physics):
        return (physics.A_adjoint(y).flatten(1) @ self.matrix.T).view_as(physics.A_adjoint(y))


def learn(loss, network, y, physics, steps=40):
    """Minimise the mean loss, with the same draws at each evaluation."""
    optimiser = torch.optim.LBFGS(
        network.parameters(),
        max_iter=steps,
        tolerance_grad=1e-10,
        tolerance_change=1e-14,
        line_search_fn="strong_wolfe",
    )
    model = loss.adapt(network)

    def closure():
        optimiser.zero_grad()
        torch.manual_seed(0)
        value = loss(x_hat=model(y, physics), y=y, physics=physics, model=model).mean()
        value.backward()
        return value

    optimiser.step(closure)
    return float(closure().detach())


def images(basis, count, seed=0):
    """Gaussian images of a subspace, shape (count, 1, 1, n)."""
    return (torch.randn(count, basis.shape[1], generator=seeded(seed), dtype=torch.float64) @ basis.T)[:, None, None]


def random_masks(count, pixels, missing):
    """Masks that miss so many pixels each, shape (count, 1, 1, n)."""
    order = torch.rand(count, pixels, generator=seeded(3), dtype=torch.float64).argsort(1)
    return (order >= missing).double()[:, None, None]


def conditional_mean(y, mask, basis):
    """E[x | y] of noise-free measurements of a Gaussian image: C_s (C_ss)^+ y_s."""
    seen = mask[:, 0, 0, :, None] * basis
    weights = torch.linalg.pinv(seen) @ y[:, 0, 0, :, None]
    return (basis @ weights)[..., 0][:, None, None]


def relative_error(one, other):
    return float((one.detach() - other).norm() / other.norm())


BASIS = torch.linalg.qr(torch.randn(4, 2, generator=seeded(1), dtype=torch.float64))[0]
LINE = BASIS[:, :1]


@pytest.mark.parametrize("compare", ["all", "kept back"])
def test_splitting_with_many_masks_learns_the_conditional_mean(compare):
    x = images(BASIS, 5000)
    physics = wp.Physics(wp.operators.Mask(random_masks(len(x), 4, 1)))
    y = physics.operator(x)
    network, loss = PerMask(4, 0.0), Splitting(ratio=0.6, compare=compare)
    learn(loss, network, y, physics)
    draw = loss.draw(y, physics, generator=seeded(9))
    seen = draw.physics.operator.mask
    expected = conditional_mean(draw.y, seen, BASIS)
    x_hat = network(draw.y, draw.physics)
    judged = (something_kept_back(seen, 3) * (1 if compare == "all" else 1 - seen)).expand_as(x) > 0
    assert judged.double().mean() > 0.3
    assert relative_error(x_hat[judged], expected[judged]) < 0.06


def something_kept_back(seen, measured):
    """Where all that was measured is shown, no image tells what is missing: E[A^T A | S A] has not full rank."""
    return (seen.sum(-1, keepdim=True) < measured).double()


def test_splitting_with_one_mask_learns_what_it_sees_and_nothing_else():
    x = images(BASIS, 5000)
    mask = torch.tensor([1.0, 1, 1, 0], dtype=torch.float64).expand(len(x), 1, 1, 4)
    physics = wp.Physics(wp.operators.Mask(mask))
    y = physics.operator(x)
    network, loss = PerMask(4, 0.0), Splitting(ratio=0.6)
    learn(loss, network, y, physics)
    draw = loss.draw(y, physics, generator=seeded(9))
    expected = conditional_mean(draw.y, draw.physics.operator.mask, BASIS)
    x_hat = network(draw.y, draw.physics)
    assert relative_error(x_hat[..., :3], expected[..., :3]) < 0.05
    assert torch.equal(x_hat[..., 3], torch.zeros_like(x_hat[..., 3]))
    assert relative_error(x_hat, expected) > 0.2


@pytest.mark.parametrize(
    "loss",
    [
        MultiOperatorImaging(),
        MultiOperatorImaging(operators=lambda count, _: wp.operators.Mask(random_masks(count, 4, 1).flip(0))),
        MultiOperatorEquivariantImaging(Shift(limit=1e-6)),
    ],
    ids=["exchanged", "drawn", "equivariant with the trivial group"],
)
def test_several_operators_learn_what_each_of_them_misses(loss):
    x = images(LINE, 200)
    physics = wp.Physics(wp.operators.Mask(random_masks(len(x), 4, 1)))
    y = physics.operator(x)
    network = PerMask(4, 0.1)
    assert learn(MeasurementConsistency() + loss, network, y, physics, steps=400) < 1e-8
    assert relative_error(network(y, physics), x) < 1e-3


def test_one_operator_learns_nothing_about_what_it_misses():
    x = images(LINE, 200)
    mask = torch.tensor([1.0, 1, 1, 0], dtype=torch.float64).view(1, 1, 1, 4)
    physics = wp.Physics(wp.operators.Mask(mask.expand(len(x), -1, -1, -1)))
    y = physics.operator(x)
    network = PerMask(4, 0.0)
    loss = MeasurementConsistency() + MultiOperatorImaging(operators=(wp.operators.Mask(mask.expand(200, -1, -1, -1)),))
    assert learn(loss, network, y, physics, steps=400) < 1e-8
    assert relative_error(network(y, physics)[..., :3], x[..., :3]) < 1e-3
    assert torch.equal(network(y, physics)[..., 3], torch.zeros_like(x[..., 3]))


def waves(pixels):
    """A plane of images that shifts turn within itself."""
    phase = 2 * torch.pi * torch.arange(pixels, dtype=torch.float64) / pixels
    return torch.stack([phase.cos(), phase.sin()], dim=1) * (2 / pixels) ** 0.5


def test_equivariant_imaging_learns_from_one_operator_what_shifts_bring_into_view():
    x = images(waves(6), 200)
    physics = wp.Physics(wp.operators.Mask(torch.tensor([1.0, 1, 1, 1, 0, 0], dtype=torch.float64).view(1, 1, 1, 6)))
    y = physics.operator(x)
    network = OneMatrix(6, 0.1)
    loss = MeasurementConsistency() + EquivariantImaging(Shift())
    assert learn(loss, network, y, physics, steps=400) < 1e-8
    assert relative_error(network(y, physics), x) < 1e-3


def test_equivariant_imaging_with_an_operator_that_commutes_learns_nothing_and_says_so():
    """Both channels are equal and one is seen: shifts never show the other, an exchange of channels does."""
    one = images(waves(6), 200)
    x = torch.cat([one, one], dim=1)
    mask = torch.tensor([1.0, 0.0], dtype=torch.float64).view(1, 2, 1, 1).expand(1, 2, 1, 6)
    physics = wp.Physics(wp.operators.Mask(mask))
    y = physics.operator(x)
    network = OneMatrix(12, 0.0)
    with pytest.warns(UserWarning, match="Mask commutes with Shift"):
        learn(MeasurementConsistency() + EquivariantImaging(Shift()), network, y, physics, steps=400)
    x_hat = network(y, physics)
    assert relative_error(x_hat[:, :1], one) < 1e-3
    assert torch.equal(x_hat[:, 1], torch.zeros_like(x_hat[:, 1]))
    network = OneMatrix(12, 0.0)
    network.matrix.data[6:, :6] = 0.2 * torch.eye(6, dtype=torch.float64)
    loss = MeasurementConsistency() + EquivariantImaging(Permute(of="channels"))
    assert learn(loss, network, y, physics, steps=400) < 1e-8
    assert relative_error(network(y, physics), x) < 1e-3


class PerShift(nn.Module):
    """One matrix for each set of pixels that a moved and thinned operator sees."""

    def __init__(self, pixels):
        super().__init__()
        self.matrices = nn.Parameter(torch.zeros(2**pixels, pixels, pixels, dtype=torch.float64))
        self.bits = 2 ** torch.arange(pixels)

    def forward(self, y, physics):
        back = physics.A_adjoint(y)
        seen = physics.A_adjoint(torch.ones_like(y)) > 0
        pattern = seen[:, 0, 0].long() @ self.bits
        return torch.einsum("bij,bj->bi", self.matrices[pattern], back[:, 0, 0])[:, None, None]


def test_equivariant_splitting_learns_the_conditional_mean_from_one_operator():
    """Plain splitting, beside it, never learns the pixels that are always missing."""
    basis, mask = waves(5), torch.tensor([1.0, 1, 1, 1, 0], dtype=torch.float64)
    x = images(basis, 5000)
    physics = wp.Physics(wp.operators.Mask(mask.expand(len(x), 1, 1, 5)))
    y = physics.operator(x)
    errors = {}
    for loss in (EquivariantSplitting(Shift(), ratio=0.7), Splitting(ratio=0.7)):
        network = PerShift(5)
        learn(loss, network, y, physics)
        draw = loss.draw(y, physics, generator=seeded(9))
        moved = draw.physics.A_adjoint(draw.y)
        seen = (draw.physics.A_adjoint(torch.ones_like(draw.y)) > 0).double()
        x_hat = network(draw.y, draw.physics)
        judged = something_kept_back(seen, 4).expand_as(x) > 0
        errors[type(loss).__name__] = relative_error(x_hat[judged], conditional_mean(moved, seen, basis)[judged])
    assert errors["EquivariantSplitting"] < 0.05
    assert errors["Splitting"] > 0.2
