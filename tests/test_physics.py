"""An operator and a noise model: measurements, parameters of both, and the names that other libraries use."""

import copy
import io
import pickle

import pytest
import torch

from tests.support.tensors import assert_same, random_tensor, seeded
from wellposed.core.errors import (
    ArgumentError,
    KeywordError,
    ShapeError,
    SolverError,
    UnknownNameError,
    UnsupportedError,
)
from wellposed.noise import Gaussian, NoNoise, PerPart, Poisson, PoissonGaussian
from wellposed.operators import Blur, CartesianMRI, Downsample, Identity, Mask, Operator, Stack
from wellposed.physics import Physics, as_physics
from wellposed.solvers import CG, LSMR
from wellposed.verbs import reconstruct

KERNEL = random_tensor(1, 1, 3, 3).abs().float()
IMAGE = random_tensor(3, 1, 6, 6, seed=1).float()


class Square(Operator):
    """An operator that is not linear."""

    def _forward(self, x):
        return x.square()


def blurred_valid():
    return Physics(Blur(KERNEL.double(), (1, 6, 6)))


def blurred(sigma=0.1):
    return Physics(Blur(KERNEL, (1, 6, 6), padding="circular"), Gaussian(sigma))


def test_measurements_are_the_noise_around_the_operator():
    physics = blurred()
    expected = physics.noise(physics.operator(IMAGE), generator=seeded(4))
    assert_same(physics(IMAGE, generator=seeded(4)), expected, rtol=0, atol=0)
    residual = physics(IMAGE.expand(3, 1, 6, 6).repeat(400, 1, 1, 1), generator=seeded(0))
    deviation = (residual - physics.A(IMAGE).repeat(400, 1, 1, 1)).std().item()
    assert deviation == pytest.approx(0.1, rel=0.02)


def test_without_noise_measurements_are_exact():
    physics = Physics(Mask(torch.full((1, 1, 6, 6), 0.5)))
    assert isinstance(physics.noise, NoNoise)
    assert_same(physics(IMAGE), 0.5 * IMAGE, rtol=0, atol=0)


def test_randomness_is_the_callers():
    """S8, S9."""
    physics, generator = blurred(), seeded(0)
    first, second = physics(IMAGE, generator=generator), physics(IMAGE, generator=generator)
    assert not torch.equal(first, second)
    with torch.random.fork_rng():
        torch.manual_seed(1)
        third = physics(IMAGE)
        torch.manual_seed(1)
        assert torch.equal(physics(IMAGE), third)


def test_the_names_of_deepinverse_mean_what_they_mean_there():
    physics = blurred()
    A, y = physics.operator, random_tensor(3, 1, 6, 6, seed=2).float()
    assert_same(physics.A(IMAGE), A(IMAGE), rtol=0, atol=0)
    assert_same(physics.A_adjoint(y), A.adjoint(y), rtol=0, atol=0)
    assert_same(physics.A_dagger(y), A.pinv(y), rtol=0, atol=0)
    assert_same(physics.A_adjoint_A(IMAGE), A.adjoint(A(IMAGE)), rtol=1e-4, atol=1e-5)
    assert physics.noise_model is physics.noise
    assert physics.noise_model.sigma.item() == pytest.approx(0.1)
    assert Physics(Identity(), Poisson(0.5)).noise_model.gain.item() == 0.5
    assert physics.img_size == physics.image_shape == (1, 6, 6)


def test_prox_l2_solves_its_normal_equations():
    """L1: (gamma A^H A + I) x = gamma A^H y + z."""
    physics, gamma = blurred(), torch.tensor([0.1, 1.0, 10.0])
    y = random_tensor(3, 1, 6, 6, seed=2).float()
    x = physics.prox_l2(IMAGE, y, gamma)
    weight = gamma.view(3, 1, 1, 1)
    left = weight * physics.A_adjoint_A(x) + x
    torch.testing.assert_close(left, weight * physics.A_adjoint(y) + IMAGE, rtol=1e-3, atol=1e-3)


def test_shapes():
    physics = Physics(Downsample(2, (3, 4, 8)))
    assert (physics.image_shape, physics.measurement_shape) == ((3, 4, 8), (3, 2, 4))


def test_parameters_of_operator_and_noise_in_one_call():
    """S2: for this call only."""
    physics, kernel = blurred(sigma=0.5), torch.ones(1, 1, 1, 1)
    before = dict(physics.params)
    y = physics(IMAGE, generator=seeded(0), kernel=kernel, sigma=0.01)
    assert (y - IMAGE).std().item() == pytest.approx(0.01, rel=0.3)
    assert set(before) == {"kernel", "sigma"}
    assert all(physics.params[name] is value for name, value in before.items())
    changed = physics.with_params(kernel=kernel, sigma=0.01)
    assert_same(changed(IMAGE, generator=seeded(0)), y, rtol=0, atol=0)


@pytest.mark.parametrize("method", ["A", "A_adjoint", "A_dagger", "A_adjoint_A"])
def test_parameters_in_the_named_calls(method):
    physics, kernel = blurred(), 2 * KERNEL
    changed = physics.with_params(kernel=kernel)
    got = getattr(physics, method)(IMAGE, kernel=kernel)
    assert_same(got, getattr(changed, method)(IMAGE), rtol=0, atol=0)
    assert not torch.equal(got, getattr(physics, method)(IMAGE))


def test_parameters_in_prox_l2():
    physics = blurred()
    got = physics.prox_l2(IMAGE, IMAGE, 2.0, kernel=2 * KERNEL)
    assert_same(got, physics.with_params(kernel=2 * KERNEL).prox_l2(IMAGE, IMAGE, 2.0), rtol=0, atol=0)


def test_unknown_parameters_are_refused():
    """S1."""
    physics = blurred()
    with pytest.raises(
        KeywordError, match=r"Physics has no parameter 'sigm'; did you mean 'sigma'\? It takes kernel, sigma"
    ):
        physics(IMAGE, sigm=0.1)
    with pytest.raises(KeywordError, match="Blur has no parameter 'mask'"):
        physics.A(IMAGE, mask=torch.ones(1))
    with pytest.raises(KeywordError):
        physics.A_dagger(IMAGE, sigma=0.1)


def test_a_noise_level_and_a_mask_per_image():
    mask = torch.stack([torch.ones(1, 6, 6), torch.zeros(1, 6, 6), 2 * torch.ones(1, 6, 6)])
    physics = Physics(Mask(mask), Gaussian(torch.tensor([0.0, 0.1, 0.0])))
    y = physics(IMAGE, generator=seeded(0))
    assert torch.equal(y[0], IMAGE[0])
    assert y[1].std().item() == pytest.approx(0.1, rel=0.4)
    assert torch.equal(y[2], 2 * IMAGE[2])
    with pytest.raises(ShapeError, match="has parameters for 3 images and got a batch of 2"):
        physics(IMAGE[:2])


def test_images_are_left_as_they_were():
    physics, image = blurred(), IMAGE.clone()
    physics(image, generator=seeded(0), sigma=0.2)
    physics.A_dagger(image)
    physics.prox_l2(image, image, 1.0)
    assert torch.equal(image, IMAGE)


def test_several_measurements_with_a_noise_each():
    """L14: neither the tuple nor its parts are written to."""
    operator = Stack((Downsample(2, (1, 6, 6)), Mask(torch.ones(1, 1, 6, 6))))
    physics = Physics(operator, PerPart((NoNoise(), Gaussian(0.1))))
    clean = physics.A(IMAGE)
    noisy = physics(IMAGE, generator=seeded(0))
    assert torch.equal(noisy[0], clean[0])
    assert (noisy[1] - clean[1]).std().item() == pytest.approx(0.1, rel=0.2)
    assert_same(physics.A(IMAGE), clean, rtol=0, atol=0)


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda p: pickle.loads(pickle.dumps(p))], ids=["deepcopy", "pickle"])
def test_copies(copied):
    """S11."""
    physics = blurred()
    assert_same(copied(physics)(IMAGE, generator=seeded(0)), physics(IMAGE, generator=seeded(0)), rtol=0, atol=0)


def test_state_dict_through_a_file_that_is_never_unpickled():
    physics, other = blurred(), blurred(0.7).with_params(kernel=0 * KERNEL)
    file = io.BytesIO()
    torch.save(physics.state_dict(), file)
    file.seek(0)
    other.load_state_dict(torch.load(file, weights_only=True))
    assert set(physics.state_dict()) == {"operator.kernel", "noise.sigma"}
    assert_same(other(IMAGE, generator=seeded(0)), physics(IMAGE, generator=seeded(0)), rtol=0, atol=0)


def test_precision_moves_with_all_parts():
    physics = blurred().double()
    assert {value.dtype for value in physics.params.values()} == {torch.float64}
    assert physics(IMAGE.double(), generator=seeded(0)).dtype == torch.float64


def test_gradients_reach_the_parameters_of_the_operator_and_the_noise():
    sigma = torch.tensor(0.1, requires_grad=True)
    kernel = KERNEL.clone().requires_grad_()
    y = blurred()(IMAGE, generator=seeded(0), kernel=kernel, sigma=sigma)
    y.square().sum().backward()
    assert kernel.grad.abs().max() > 0
    draw = (y - blurred()(IMAGE, sigma=0.0)).detach() / 0.1
    torch.testing.assert_close(sigma.grad, (2 * y.detach() * draw).sum(), rtol=1e-3, atol=1e-3)


def test_complex_measurements():
    physics = Physics(CartesianMRI(torch.ones(1, 1, 6, 6), (1, 6, 6)), Gaussian(0.1))
    image = IMAGE.to(torch.complex64)
    noise = physics(image, generator=seeded(0)) - physics.A(image)
    assert (noise.real.std().item(), noise.imag.std().item()) == pytest.approx((0.1, 0.1), rel=0.25)


def test_an_operator_that_is_not_linear_measures_but_has_no_adjoint():
    physics = Physics(Square((1, 6, 6), (1, 6, 6)))
    assert_same(physics(IMAGE), IMAGE.square(), rtol=0, atol=0)
    for call in (physics.A_adjoint, physics.A_dagger, physics.A_adjoint_A):
        with pytest.raises(UnsupportedError, match="Square is not linear: it has no adjoint"):
            call(IMAGE)


def test_what_is_no_operator_or_no_noise_is_refused():
    with pytest.raises(ArgumentError, match="Physics expects an operator, got Gaussian"):
        Physics(Gaussian(0.1))
    with pytest.raises(ArgumentError, match="Physics expects a noise model, got float"):
        Physics(Identity(), 0.1)


class TestOptionsOfDeepInverse:
    """`solver`, `max_iter` and `tol` are honoured, one by one."""

    Y = random_tensor(2, 1, 4, 4, seed=2)
    PHYSICS = blurred_valid()

    @pytest.mark.parametrize("solver", ["CG", "lsqr", "minres", "BiCGStab", LSMR()])
    def test_every_solver_gives_the_same_answer(self, solver):
        z = random_tensor(2, 1, 6, 6, seed=3)
        expected = self.PHYSICS.operator.prox(z, self.Y, 0.7, solver=CG(tolerance=1e-12))
        torch.testing.assert_close(self.PHYSICS.prox_l2(z, self.Y, 0.7, solver=solver, tol=1e-12), expected)

    def test_the_budget_counts(self):
        with pytest.raises(SolverError, match="max_steps"):
            self.PHYSICS.A_dagger(self.Y, max_iter=1)
        with pytest.raises(SolverError, match="max_steps"):
            self.PHYSICS.A_dagger(self.Y, solver="lsqr", max_iter=3, tol=1e-14)
        loose = self.PHYSICS.A_dagger(self.Y, solver="lsqr", tol=0.3)
        assert (loose - self.PHYSICS.A_dagger(self.Y)).norm() > 1e-3

    def test_an_unknown_solver_is_told(self):
        with pytest.raises(UnknownNameError, match="did you mean 'lsqr'"):
            self.PHYSICS.A_dagger(self.Y, solver="lsq")

    def test_gamma_may_have_the_axes_of_images(self):
        gamma = torch.tensor([0.5, 2.0], dtype=torch.float64)
        z = random_tensor(2, 1, 6, 6, seed=5)
        torch.testing.assert_close(
            self.PHYSICS.prox_l2(z, self.Y, gamma.view(2, 1, 1, 1)), self.PHYSICS.prox_l2(z, self.Y, gamma)
        )

    def test_vjp_and_outer_gram(self):
        x = random_tensor(2, 1, 6, 6, seed=4)
        _, pull_back = torch.func.vjp(self.PHYSICS.A, x)
        torch.testing.assert_close(self.PHYSICS.A_vjp(x, self.Y), pull_back(self.Y)[0])
        outer = self.PHYSICS.operator.to_matrix() @ self.PHYSICS.operator.to_matrix().mT
        torch.testing.assert_close(self.PHYSICS.A_A_adjoint(self.Y).flatten(1), self.Y.flatten(1) @ outer[0].mT)


class Foreign:
    """A physics as another library writes it."""

    def __init__(self, scale, noise_model=None):
        self.scale, self.noise_model = scale, noise_model

    def A(self, x, **_):
        return self.scale * x[..., ::2]

    def A_adjoint(self, y, **_):
        x = torch.zeros(*y.shape[:-1], 2 * y.shape[-1])
        x[..., ::2] = self.scale * y
        return x


class Level:
    def __init__(self, **levels):
        vars(self).update(levels)


LEVELS = [
    ({}, NoNoise),
    ({"sigma": 0.1}, Gaussian),
    ({"gain": 0.2}, Poisson),
    ({"sigma": 0.1, "gain": 0.2}, PoissonGaussian),
]


class TestPhysicsOfAnotherLibrary:
    def test_it_is_wrapped(self):
        y = torch.rand(2, 1, 3, 4)
        physics = as_physics(Foreign(3.0), y)
        assert physics.image_shape == (1, 3, 8)
        assert physics.operator.adjoint_error() < 1e-6
        assert physics.operator.norm().item() == pytest.approx(3, rel=1e-3)
        torch.testing.assert_close(physics.A_adjoint(y), Foreign(3.0).A_adjoint(y))

    def test_ours_is_itself(self):
        physics = Physics(Identity())
        assert as_physics(physics, torch.zeros(1, 1, 2, 2)) is physics

    @pytest.mark.parametrize(("levels", "kind"), LEVELS)
    def test_its_noise_is_read(self, levels, kind):
        noise = as_physics(Foreign(1.0, Level(**levels)), torch.zeros(1, 1, 2, 2)).noise
        assert type(noise) is kind
        assert {name: value.item() for name, value in noise.params.items()} == pytest.approx(levels)

    def test_reconstruct_takes_it(self):
        x = torch.ones(1, 1, 8, 8)
        foreign = Foreign(2.0, Level(sigma=0.01))
        torch.testing.assert_close(reconstruct(foreign.A(x), foreign, "tv"), x, atol=0.05, rtol=0)

    def test_something_else_is_refused(self):
        with pytest.raises(ArgumentError, match=r"expected a wellposed\.Physics"):
            as_physics(object(), torch.zeros(1, 1, 2, 2))
        with pytest.raises(ArgumentError, match="must be one tensor"):
            as_physics(Foreign(1.0), (torch.zeros(1, 1, 2, 2),))
