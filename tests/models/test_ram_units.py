"""RAM and the units of the measurements: operators of any norm, tuples, several noises; and input that is refused."""

import logging
from types import SimpleNamespace

import pytest
import torch

import wellposed as wp
from tests.support.ram import tiny_ram
from tests.support.tensors import seeded
from wellposed.core.errors import ArgumentError, DTypeError, ShapeError, UnsupportedError
from wellposed.core.tree import tree_map
from wellposed.models.ram.noise_maps import noise_map
from wellposed.models.ram.normalise import divided, unit_factor
from wellposed.operators import (
    Blur,
    CartesianMRI,
    Downsample,
    FromFunctions,
    Identity,
    Mask,
    Operator,
    SpectralResponse,
    Stack,
)

SIZE = (1, 64, 64)
KERNEL = torch.tensor([[[[0.0, 1.0, 0.0], [2.0, 4.0, 1.0], [0.0, 2.0, 0.0]]]]) / 10
X = torch.rand(1, *SIZE, generator=seeded(0))

UNIT = {
    "identity": Identity(SIZE),
    "mask": Mask((X > 0.4).float(), SIZE),
    "circular": Blur(KERNEL, SIZE, padding="circular"),
    "valid": Blur(KERNEL, SIZE),
    "downsample": Downsample(4, SIZE),
    "stack": Stack((Downsample(4, SIZE), Mask((X > 0.4).float(), SIZE))),
}


@pytest.fixture(scope="module")
def model():
    return tiny_ram()


@pytest.mark.parametrize("scale", [1.0, 5.0])
def test_means_of_colours_are_known(scale):
    """Whatever the weights of the colours, and beside a downsampling."""
    flat, luminance = torch.full((1, 1, 3), 1 / 3), torch.tensor([[[0.299, 0.587, 0.114]]])
    for response in (flat, luminance, torch.cat([flat, luminance], dim=1)):
        A = SpectralResponse(scale * response, (3, 64, 64))
        for operator in (A, Stack((Downsample(4, (3, 64, 64)), A))):
            factor = unit_factor(operator, torch.zeros(1))
            assert factor.item() == pytest.approx(scale, rel=1e-3)
            assert (divided(operator, factor) is operator) == (scale == 1)


def noisy(operator, noise, seed=1):
    return wp.Physics(operator, noise)(X, generator=seeded(seed))


@pytest.mark.parametrize("name", UNIT)
def test_operators_that_the_network_knows_stay_as_they_are(name):
    """Bit for bit: those of norm one, those that take means, and stacks of them."""
    A = UNIT[name]
    factor = unit_factor(A, A(X))
    assert factor == 1
    assert divided(A, factor) is A


@pytest.mark.parametrize("name", UNIT)
@pytest.mark.parametrize("scale", [3.0, torch.tensor([0.02])], ids=["3", "0.02"])
def test_a_multiple_of_the_physics_gives_the_same_image(model, name, scale):
    """Operator, measurements, sigma and gain in another unit; only rounding is left."""
    A, factor = UNIT[name], float(scale)
    y = noisy(A, wp.noise.PoissonGaussian(gain=0.02, sigma=0.05, clip=True))
    expected = model(y, wp.Physics(A, wp.noise.PoissonGaussian(gain=0.02, sigma=0.05)))
    other = wp.Physics(scale * A, wp.noise.PoissonGaussian(gain=0.02 * factor, sigma=0.05 * factor))
    multiple = tree_map(lambda part: factor * part, y)
    torch.testing.assert_close(model(multiple, other), expected, rtol=1e-4, atol=1e-5)
    wrong_sigma = wp.Physics(scale * A, wp.noise.PoissonGaussian(gain=0.02 * factor, sigma=0.05))
    wrong_gain = wp.Physics(scale * A, wp.noise.PoissonGaussian(gain=0.02, sigma=0.05 * factor))
    for wrong in (wrong_sigma, wrong_gain):
        assert (model(multiple, wrong) - expected).abs().max() > 1e-4


def test_levels_that_are_given_are_in_the_unit_of_the_measurements(model):
    A = UNIT["circular"]
    y = noisy(A, wp.noise.Gaussian(0.05))
    expected = model(y, wp.Physics(A), sigma=0.05, gain=0.01)
    torch.testing.assert_close(
        model(7 * y, wp.Physics(7 * A), sigma=torch.tensor([0.35]), gain=0.07), expected, rtol=1e-4, atol=1e-5
    )


def test_a_kernel_that_does_not_sum_to_one(model):
    y = noisy(UNIT["circular"], wp.noise.Gaussian(0.05))
    loud = Blur(5 * KERNEL, SIZE, padding="circular")
    expected = model(y, wp.Physics(UNIT["circular"], wp.noise.Gaussian(0.05)))
    got = model(5 * y, wp.Physics(loud, wp.noise.Gaussian(0.25)))
    torch.testing.assert_close(got, expected, rtol=1e-4, atol=1e-5)


def test_each_image_has_a_norm_of_its_own(model):
    """Kernels of sum 1, 4 and 0: the first is left alone bit for bit, the last measures nothing."""
    kernel = torch.cat([KERNEL, 4 * KERNEL, 0 * KERNEL])
    A = Blur(kernel, SIZE, padding="circular")
    torch.testing.assert_close(unit_factor(A, X), torch.tensor([1.0, 4.0, 1.0]))
    y = A(X.expand(3, -1, -1, -1))
    both = model(y, wp.Physics(A, wp.noise.Gaussian(torch.tensor([0.1, 0.4, 0.1]))))
    torch.testing.assert_close(both[1], both[0], rtol=1e-4, atol=1e-5)
    assert torch.isfinite(both).all()
    alone = model(y[:1], wp.Physics(UNIT["circular"], wp.noise.Gaussian(0.1)))
    torch.testing.assert_close(both[:1], alone, rtol=1e-4, atol=1e-5)


def test_a_complex_multiple(model):
    """The phase goes as well."""
    A = CartesianMRI((X > 0.3).float(), SIZE)
    image = torch.complex(X, 1 - X)
    y, factor = A(image), 2 - 3j
    expected = model(y, wp.Physics(A, wp.noise.Gaussian(0.1)))
    got = model(factor * y, wp.Physics(factor * A, wp.noise.Gaussian(0.1 * abs(factor))))
    torch.testing.assert_close(got, expected, rtol=1e-4, atol=1e-5)


def test_padding_and_a_factor(model):
    """An image of 50 x 70 pixels, which are padded inside."""
    A = Blur(KERNEL, (1, 50, 70))
    y = A(torch.rand(1, 1, 50, 70, generator=seeded(2)))
    expected = model(y, wp.Physics(A, wp.noise.Gaussian(0.05)))
    got = model(3 * y, wp.Physics(3 * A, wp.noise.Gaussian(0.15)))
    torch.testing.assert_close(got, expected, rtol=1e-4, atol=1e-5)


def test_the_norm_is_estimated_once_and_told(model, caplog):
    calls = []

    def quadruple(x):
        calls.append(x)
        return 4 * x

    A = FromFunctions(quadruple, quadruple, SIZE, SIZE)
    physics = wp.Physics(A, wp.noise.Gaussian(0.2))
    with caplog.at_level(logging.INFO, logger="wellposed"):
        first = model(4 * X, physics)
    assert "RAM divides FromFunctions by tensor([4.0" in caplog.text
    expected = model(X, wp.Physics(Identity(SIZE), wp.noise.Gaussian(0.05)))
    torch.testing.assert_close(first, expected, rtol=1e-3, atol=1e-4)
    passes = len(calls)
    calls.clear()
    assert torch.equal(model(4 * X, physics), first)
    assert len(calls) < passes
    before = len(calls)
    A.norm()
    assert len(calls) == before


class Foreign(torch.nn.Module):
    """A physics as another library writes it, changed in place by its user."""

    def __init__(self, scale):
        super().__init__()
        self.register_buffer("scale", torch.tensor(scale))
        self.calls = 0

    def A(self, x):
        self.calls += 1
        return self.scale * x

    A_adjoint = A


def test_the_norm_of_a_foreign_physics_is_kept_until_it_changes():
    foreign = Foreign(5.0)
    assert unit_factor(wp.physics.as_physics(foreign, X).operator, X).item() == pytest.approx(5, rel=1e-3)
    foreign.calls = 0
    unit_factor(wp.physics.as_physics(foreign, X).operator, X)
    assert foreign.calls == 1
    foreign.scale.mul_(2)
    assert unit_factor(wp.physics.as_physics(foreign, X).operator, X).item() == pytest.approx(10, rel=1e-3)
    foreign.scale = torch.tensor(3.0)
    assert unit_factor(wp.physics.as_physics(foreign, X).operator, X).item() == pytest.approx(3, rel=1e-3)


def test_a_foreign_downsampling_is_left_as_it_is():
    """As ours is: its measurements are images on a coarser grid, and its norm is one over the factor."""
    y = Downsample(4, SIZE)(X)
    for scale, expected in ((1.0, 1.0), (10.0, 10.0)):
        foreign = SimpleNamespace(A=scale * Downsample(4, SIZE), A_adjoint=(scale * Downsample(4, SIZE)).adjoint)
        got = unit_factor(wp.physics.as_physics(foreign, y).operator, y)
        assert got.item() == pytest.approx(expected, rel=1e-3)


def pan_sharpening():
    """A small colour image and a large grey one."""
    shape = (3, 64, 64)
    return Stack((Downsample(4, shape), SpectralResponse(torch.full((1, 1, 3), 1 / 3), shape)))


def test_pan_sharpening(model):
    """Tuples go through, in any unit, and the network sees the largest level of the parts."""
    A, x = pan_sharpening(), torch.rand(1, 3, 64, 64, generator=seeded(3))
    physics = wp.Physics(A, wp.noise.PerPart((wp.noise.Gaussian(0.02), wp.noise.Gaussian(0.1))))
    y = physics(x, generator=seeded(4))
    before = tuple(part.clone() for part in y)
    got = model(y, physics)
    assert got.shape == x.shape
    assert all(torch.equal(a, b) for a, b in zip(before, y, strict=True))
    torch.testing.assert_close(got, model(y, wp.Physics(A), sigma=0.1))
    louder = wp.Physics(2 * A, wp.noise.PerPart((wp.noise.Gaussian(0.04), wp.noise.Gaussian(0.2))))
    torch.testing.assert_close(model(tuple(2 * part for part in y), louder), got, rtol=1e-4, atol=1e-5)


def test_the_proximal_step_of_a_tuple_is_the_dense_one():
    shape = (3, 8, 8)
    A = Stack((Downsample(4, shape), SpectralResponse(torch.full((1, 1, 3), 1 / 3), shape))).double()
    x = torch.rand(1, *shape, dtype=torch.float64, generator=seeded(5))
    y, matrix = A(x), A.to_matrix()[0]
    z = torch.rand(1, *shape, dtype=torch.float64, generator=seeded(6))
    right = z.flatten() + 7 * matrix.mT @ (matrix @ x.flatten())
    expected = torch.linalg.solve(torch.eye(192, dtype=torch.float64) + 7 * matrix.mT @ matrix, right)
    torch.testing.assert_close(A.prox(z, y, 7.0).flatten(), expected, rtol=1e-5, atol=1e-5)


def test_levels_of_noise_upon_noise_keep_the_variance():
    """gain x + sigma^2, as the composition itself says."""
    noise = wp.noise.Gaussian(torch.tensor([0.3])) @ wp.noise.Poisson(0.02) @ wp.noise.Gaussian(0.4)
    sigma, gain = (noise_map(noise, name, None, X) for name in ("sigma", "gain"))
    clean = torch.full((1, 1, 4, 4), 0.7)
    torch.testing.assert_close(gain * clean + sigma.square(), noise.variance(clean))


def test_levels_of_parts_are_the_largest():
    images = torch.zeros(2, 1, 4, 4)
    noise = wp.noise.PerPart((wp.noise.Gaussian(torch.tensor([0.1, 0.4])), wp.noise.PoissonGaussian(0.2, 0.3)))
    assert noise_map(noise, "sigma", None, images).flatten().tolist() == pytest.approx([0.3, 0.4])
    assert noise_map(noise, "gain", None, images).flatten().tolist() == pytest.approx([0.2])


class Square(Operator):
    def _forward(self, x):
        return x.square()


BAD = {
    "NaN": (lambda y: y.masked_fill(y > 0.9, torch.nan), Identity(SIZE), ArgumentError, "the measurements hold NaN"),
    "infinity": (lambda y: y / 0, Identity(SIZE), ArgumentError, "the measurements hold NaN or infinity"),
    "empty batch": (lambda y: y[:0], Identity(SIZE), ShapeError, "Identity expects .* the batch is empty"),
    "no batch axis": (lambda y: y[0], Identity(SIZE), ShapeError, r"add the batch axis with x\[None\]"),
    "other size": (lambda y: y[..., 1:], Mask(X), ShapeError, r"Mask expects measurements of shape \(B, C, 64, 64\)"),
    "four channels": (lambda y: y.expand(1, 4, 64, 64), Identity(), ShapeError, "RAM expects images"),
    "two complex channels": (lambda y: y.expand(1, 2, 64, 64) + 0j, Identity(), ShapeError, "one complex one"),
    "no pixels": (lambda y: y[..., :0], Identity(), ShapeError, "RAM expects images"),
    "integers": (lambda y: y.int(), Identity(SIZE), DTypeError, "expects floating-point measurements"),
    "an array": (lambda y: y.numpy(), Identity(SIZE), DTypeError, "convert it with torch.from_numpy"),
    "a tuple": (lambda y: (y, y), Identity(SIZE), DTypeError, "got tuple"),
    "half a tuple": (lambda y: (y,), Stack((Identity(SIZE), Identity(SIZE))), ShapeError, "got a tuple of 1"),
    "nonlinear": (lambda y: y, Square(SIZE, SIZE), UnsupportedError, "Square is not linear"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_input_is_one_sentence(model, name):
    change, operator, error, words = BAD[name]
    with pytest.raises(error, match=words) as caught:
        model(change(X), wp.Physics(operator))
    assert "\n" not in str(caught.value)
