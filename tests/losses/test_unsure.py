"""UNSURE finds the noise: its multipliers are those of dense algebra, and near the true levels."""

import pytest
import torch

import wellposed as wp
from tests.support.tensors import seeded
from wellposed.core.errors import ArgumentError, ShapeError, UnknownNameError
from wellposed.losses import R2R, SURE, UNSURE, MeasurementConsistency, Multipliers

SIDE, COUNT = 5, 4000
PIXELS = SIDE * SIDE
PHYSICS = wp.Physics(wp.operators.Identity())
MEAN = torch.linspace(0.2, 2, PIXELS, dtype=torch.float64)
DIRECTION = torch.nn.functional.normalize(torch.randn(1, PIXELS, generator=seeded(1), dtype=torch.float64), dim=1)


def clean():
    return MEAN + torch.randn(COUNT, 1, generator=seeded(2), dtype=torch.float64) @ DIRECTION


def find(loss, y, precision, traces):
    """Alternate the exact minimiser over linear estimators, W = I - S C^-1, with a step of the multipliers."""
    multipliers = loss.companions()[0]
    multipliers.double()
    generator = seeded(3)
    for _ in range(60):
        covariance = torch.einsum("k,kij->ij", multipliers.value.detach().flatten(), traces)
        matrix = torch.eye(PIXELS, dtype=torch.float64) - covariance @ precision

        def model(y, _physics, matrix=matrix):
            return ((y.flatten(1) - MEAN) @ matrix.T + MEAN).view_as(y)

        value = loss(x_hat=model(y, PHYSICS), y=y, physics=PHYSICS, model=model, generator=generator)
        value.mean().backward()
        multipliers.step()
    return multipliers.value.detach()


def solved(precision, traces):
    """The multipliers for which tr(S_i W) = 0 for each i, by dense algebra."""
    system = torch.einsum("iab,jbc,ca->ij", traces, traces, precision)
    return torch.linalg.solve(system, torch.einsum("iaa->i", traces))


def measured(noise):
    x = clean()
    y = noise(x).view(COUNT, 1, SIDE, SIDE)
    centred = y.flatten(1) - MEAN
    return y, torch.linalg.inv(centred.T @ centred / COUNT)


def test_the_multiplier_of_white_noise_is_the_variance():
    sigma = 0.3
    y, precision = measured(lambda x: x + sigma * torch.randn(x.shape, generator=seeded(4), dtype=torch.float64))
    traces = torch.eye(PIXELS, dtype=torch.float64)[None]
    eta = find(UNSURE(rate=0.01, momentum=0.5), y, precision, traces)
    torch.testing.assert_close(eta, solved(precision, traces), rtol=0.02, atol=0)
    assert float(eta) == pytest.approx(sigma**2, rel=0.1)


def shifts():
    """The circular shifts of a symmetric 3 x 3 kernel as matrices, in the order of its numbers."""
    basis = torch.eye(PIXELS, dtype=torch.float64).view(PIXELS, SIDE, SIDE)
    moved = [
        (basis.roll((i, j), dims=(1, 2)) + basis.roll((-i, -j), dims=(1, 2))).flatten(1) / 2
        for i in (-1, 0, 1)
        for j in (-1, 0, 1)
    ]
    return torch.stack(moved)


def test_the_kernel_of_coloured_noise_is_its_covariance():
    filtering = torch.tensor([[0.0, 0.1, 0.0], [0.1, 0.3, 0.1], [0.0, 0.1, 0.0]], dtype=torch.float64)
    covariance = torch.einsum("k,kij->ij", filtering.flatten(), shifts())
    factor = torch.linalg.cholesky(covariance + 0.2 * torch.eye(PIXELS, dtype=torch.float64))
    y, precision = measured(lambda x: x + torch.randn(x.shape, generator=seeded(4), dtype=torch.float64) @ factor.T)
    eta = find(UNSURE("covariance", rate=0.15, momentum=0.5), y, precision, shifts())
    symmetric = (eta + eta.flip((0, 1))) / 2
    half = torch.cat([shifts()[4:5], shifts()[5:]])
    expected = solved(precision, half)
    torch.testing.assert_close(symmetric.flatten()[4], expected[0], rtol=0.03, atol=0)
    torch.testing.assert_close(2 * symmetric.flatten()[5:], expected[1:], rtol=0, atol=0.02)
    assert float(symmetric[1, 1]) == pytest.approx(0.5, rel=0.1)
    assert float(symmetric[0, 1]) == pytest.approx(0.1, abs=0.02)
    assert float(symmetric[0, 0]) == pytest.approx(0.0, abs=0.02)


def test_the_multipliers_of_photons_and_electronics_are_the_level_and_the_gain():
    gain, sigma = 0.1, 0.25
    noise = wp.noise.PoissonGaussian(gain, sigma, clip=True)
    y, precision = measured(lambda x: noise(x, generator=seeded(4)))
    traces = torch.stack([torch.eye(PIXELS, dtype=torch.float64), y.flatten(1).mean(0).diag()])
    eta = find(UNSURE("poisson_gaussian", rate=0.02, momentum=0.5, start=0.05), y, precision, traces)
    torch.testing.assert_close(eta, solved(precision, traces), rtol=0.1, atol=0)
    assert eta.tolist() == pytest.approx([sigma**2, gain], rel=0.15)


def test_with_the_true_level_it_is_sure_but_for_the_constant():
    y, _ = measured(lambda x: x)
    physics = wp.Physics(wp.operators.Identity(), wp.noise.Gaussian(0.3))

    def model(y, _physics):
        return y.tanh()

    one, other = (
        loss(x_hat=y.tanh(), y=y, physics=physics, model=model, generator=seeded())
        for loss in (UNSURE(start=0.09), SURE())
    )
    torch.testing.assert_close(one - 0.09, other)


def test_multipliers_climb_with_momentum_and_stay_above_their_bound():
    multipliers = Multipliers(torch.tensor([1.0]), rate=0.5, momentum=0.5, least=0.0)
    values = []
    for slope in (1.0, 0.0, -10.0):
        (slope * multipliers.value).sum().backward()
        multipliers.step()
        values.append(multipliers.value.item())
    assert values == [1.5, 1.75, 0.0]
    multipliers.step()
    assert multipliers.value.item() == 0.0


def test_each_multiplier_may_have_a_rate_of_its_own():
    multipliers = Multipliers(torch.zeros(2), rate=torch.tensor([0.5, 2.0]), momentum=0.0)
    multipliers.value.sum().backward()
    multipliers.step()
    assert multipliers.value.tolist() == [0.5, 2.0]
    with pytest.raises(ArgumentError, match="finite rate above 0"):
        Multipliers(torch.zeros(2), rate=torch.tensor([0.5, 0.0]), momentum=0.0)


def test_gain_and_level_climb_alike_where_measurements_are_a_half():
    """A network that halves its input has the divergence 1/2, whatever it is multiplied by."""
    loss = UNSURE("poisson_gaussian", start=0.0, rate=0.1, step=None)
    y, physics = torch.full((1, 1, 64, 64), 0.5), wp.Physics(wp.operators.Identity())
    loss(x_hat=y / 2, y=y, physics=physics, model=lambda y, _: y / 2, generator=seeded()).sum().backward()
    loss.companions()[0].step()
    level, gain = loss.companions()[0].value.tolist()
    assert gain * 0.5 == pytest.approx(level, rel=1e-5)
    assert level == pytest.approx(0.1, rel=0.1)


def test_sums_and_weights_hand_the_multipliers_on():
    one, other = UNSURE(), UNSURE("poisson_gaussian")
    total = MeasurementConsistency() + 0.5 * one + other
    assert total.companions() == (*one.companions(), *other.companions())
    assert total.at(0.5).companions() == total.companions()
    assert MeasurementConsistency().companions() == ()


def test_what_makes_no_sense_is_refused():
    for make in (
        lambda: UNSURE(kernel_size=2),
        lambda: UNSURE(start=-1),
        lambda: UNSURE(rate=0),
        lambda: UNSURE(momentum=1),
        lambda: UNSURE(step=2),
        lambda: SURE(step=0),
    ):
        with pytest.raises(ArgumentError, match="expects"):
            make()
    with pytest.raises(UnknownNameError, match="covariance"):
        UNSURE("colour")
    rows = torch.ones(1, 2, 3)
    with pytest.raises(ShapeError, match="B, C, H, W"):
        UNSURE("covariance")(x_hat=rows, y=rows, physics=wp.Physics(wp.operators.Identity((2, 3))), model=None)
    model = R2R().adapt(torch.nn.Identity())
    y = torch.ones(1, 1, 2, 2)
    physics = wp.Physics(wp.operators.Identity(), wp.noise.Gaussian(0.1))
    for loss in (SURE(), UNSURE()):
        with pytest.raises(ArgumentError, match="R2R makes random"):
            loss(x_hat=y, y=y, physics=physics, model=model)
