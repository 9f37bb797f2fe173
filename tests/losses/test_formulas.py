"""Losses whose value follows from their formula with pencil and paper."""

import math

import pytest
import torch

import wellposed as wp
from tests.support.tensors import random_tensor, seeded
from wellposed.core.errors import ArgumentError, UnsupportedError
from wellposed.losses import (
    EquivariantImaging,
    JacobianNorm,
    MeasurementConsistency,
    MultiOperatorEquivariantImaging,
    MultiOperatorImaging,
)
from wellposed.noise import Gaussian, Poisson
from wellposed.operators import Mask
from wellposed.transforms import Reflect, Rotate, Shift

SHAPE = (1, 4, 4)
X_HAT, Y = random_tensor(2, *SHAPE), random_tensor(2, *SHAPE, seed=1)
ONE, OTHER = (Mask(random_tensor(1, *SHAPE, seed=seed)) for seed in (2, 3))


def model(y, physics):
    return 0.7 * physics.A_adjoint(y)


def value(loss, operator=ONE, noise=None, x_hat=X_HAT, seed=5):
    physics = wp.Physics(operator, noise)
    return loss(x_hat=x_hat, y=Y, physics=physics, model=model, generator=seeded(seed))


def mean_square(residual):
    return residual.square().flatten(1).mean(1)


def test_consistency_is_the_mean_over_all_measurements_of_a_tuple():
    y = Y, 2 * Y
    physics = wp.Physics(wp.operators.Stack([ONE, OTHER]))
    expected = (mean_square(ONE(X_HAT) - Y) + mean_square(OTHER(X_HAT) - 2 * Y)) / 2
    torch.testing.assert_close(MeasurementConsistency()(x_hat=X_HAT, y=y, physics=physics, model=None), expected)


def test_consistency_counts_the_modulus_of_complex_numbers():
    physics = wp.Physics(wp.operators.Identity())
    y = torch.complex(Y, X_HAT)
    got = MeasurementConsistency()(x_hat=0 * y, y=y, physics=physics, model=None)
    torch.testing.assert_close(got, mean_square(Y) + mean_square(X_HAT))


def test_equivariant_imaging_measures_the_moved_image_with_noise_or_without():
    for transform in (Shift(), Rotate(order=None)):
        moved = transform(X_HAT, generator=seeded(5))
        expected = mean_square(0.7 * ONE.mask.square() * moved - moved)
        torch.testing.assert_close(value(EquivariantImaging(transform)), expected)
        torch.testing.assert_close(value(EquivariantImaging(transform, noisy=False), noise=Gaussian(0.3)), expected)
        generator = seeded(5)
        moved = transform(X_HAT, generator=generator)
        noise = 0.3 * torch.randn(moved.shape, generator=generator, dtype=torch.float64)
        expected = mean_square(0.7 * ONE.mask * (ONE.mask * moved + noise) - moved)
        torch.testing.assert_close(value(EquivariantImaging(transform), noise=Gaussian(0.3)), expected)


def test_the_other_operators_are_drawn_exchanged_or_made():
    expected = [mean_square(0.7 * operator.mask.square() * X_HAT - X_HAT) for operator in (ONE, OTHER)]
    values = [value(MultiOperatorImaging(operators=(ONE, OTHER)), seed=seed) for seed in range(20)]
    for got in values:
        assert any(torch.allclose(got, one) for one in expected)
    assert any(torch.allclose(got, expected[0]) for got in values)
    assert any(torch.allclose(got, expected[1]) for got in values)

    def made(count, generator):
        assert count == 2
        assert generator is not None
        return OTHER

    torch.testing.assert_close(value(MultiOperatorImaging(operators=made)), expected[1])
    both = Mask(torch.cat([ONE.mask, OTHER.mask]))
    swapped = mean_square(0.7 * both.mask.flip(0).square() * X_HAT - X_HAT)
    torch.testing.assert_close(value(MultiOperatorImaging(), operator=both), swapped)
    moved = Shift()(X_HAT, generator=torch.Generator().manual_seed(5))
    shifted = mean_square(0.7 * OTHER.mask.square() * moved - moved)
    loss = MultiOperatorEquivariantImaging(Shift(), operators=lambda *_: OTHER)
    torch.testing.assert_close(value(loss), shifted)
    with pytest.raises(UnsupportedError, match="operators="):
        value(MultiOperatorImaging())


def test_negative_intensities_count_no_photons_and_the_gradient_passes_the_noise():
    """Poisson draws have no gradient; the loss has that of the clean measurements."""
    x_hat = X_HAT.clone().requires_grad_()
    loss = EquivariantImaging(Reflect())
    value(
        loss, operator=Mask(torch.ones(1, *SHAPE, dtype=torch.float64).tril()), noise=Poisson(0.1), x_hat=x_hat
    ).sum().backward()
    assert (x_hat.grad != 0).all()


def test_only_an_operator_that_commutes_warns_and_it_is_looked_at_once():
    blur = wp.operators.FromFunctions(lambda x: x + x.roll(1, -1), lambda y: y + y.roll(-1, -1), SHAPE, SHAPE).double()
    loss = EquivariantImaging(Shift())
    with pytest.warns(UserWarning, match="FromFunctions commutes with Shift"):
        value(loss, operator=blur)
    value(loss, operator=blur)
    value(EquivariantImaging(Rotate()), operator=blur)
    value(EquivariantImaging(Shift()), operator=ONE)


MATRIX = random_tensor(16, 16, seed=7) / 4


def linear(y, _physics):
    return (y.flatten(1) @ MATRIX.T).view_as(y)


@pytest.mark.parametrize("firm", [True, False])
def test_the_norm_of_the_jacobian_is_the_largest_singular_value(firm):
    matrix = 2 * MATRIX - torch.eye(16, dtype=torch.float64) if firm else MATRIX
    truth = float(torch.linalg.matrix_norm(matrix, 2)) ** 2

    def norm(**options):
        loss = JacobianNorm(firm=firm, **options)
        physics = wp.Physics(wp.operators.Identity())
        return loss(x_hat=Y, y=Y, physics=physics, model=linear, generator=seeded())

    torch.testing.assert_close(norm(iterations=300), torch.full((2,), truth, dtype=torch.float64))
    assert (norm(iterations=1) < 0.99 * truth).all()
    assert norm(iterations=1, margin=0.0).min() >= 1
    torch.testing.assert_close(norm(iterations=300, margin=0.0), norm(iterations=300).clamp_min(1))


def test_each_image_has_a_jacobian_of_its_own():
    """f(y) = y^2 / 2 has the largest modulus of y as its norm."""
    loss = JacobianNorm(firm=False, iterations=300)
    got = loss(
        x_hat=Y, y=Y, physics=wp.Physics(wp.operators.Identity()), model=lambda y, _: y**2 / 2, generator=seeded()
    )
    torch.testing.assert_close(got, Y.square().flatten(1).amax(1), rtol=1e-3, atol=0)


def test_a_margin_hides_small_norms_from_the_gradient():
    weight = torch.tensor(0.2, dtype=torch.float64, requires_grad=True)
    for margin, slope in ((0.1, 0.0), (math.inf, 0.4)):
        loss = JacobianNorm(firm=False, margin=margin)
        got = loss(x_hat=Y, y=Y, physics=wp.Physics(wp.operators.Identity()), model=lambda y, _: weight * y)
        assert float(torch.autograd.grad(got[0], weight)[0]) == pytest.approx(slope)
    for make in (lambda: JacobianNorm(iterations=0), lambda: JacobianNorm(margin=-1)):
        with pytest.raises(ArgumentError, match="JacobianNorm expects"):
            make()
