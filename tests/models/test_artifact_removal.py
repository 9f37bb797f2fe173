"""Artefact removal: the network sees the adjoint or the pseudo-inverse, and the noise that comes with it."""

import pytest
import torch

import wellposed as wp
from tests.models.denoiser_cases import CASES
from tests.support.tensors import random_tensor
from wellposed.core.errors import UnknownNameError
from wellposed.models import ArtifactRemoval, ComplexDenoiser, Denoiser


class Spy(Denoiser):
    """Returns the image, and keeps the noise level that it was told."""

    def _denoise(self, x, sigma):
        self.sigma = sigma
        return x


def tripled(noise=None, size=64):
    return wp.Physics(3.0 * wp.operators.Identity((1, size, size)).double(), noise)


@pytest.mark.parametrize(("mode", "scale"), [("adjoint", 3.0), ("pinv", 1 / 3)])
def test_the_network_corrects_what_was_sent_back(mode, scale):
    y = random_tensor(2, 1, 8, 8)
    network = CASES["UNet"].make()
    torch.testing.assert_close(ArtifactRemoval(network, mode)(y, tripled(size=8)), network(scale * y))
    torch.testing.assert_close(ArtifactRemoval(torch.square, mode)(y, tripled(size=8)), (scale * y).square())


@pytest.mark.parametrize(("mode", "scale"), [("adjoint", 3.0), ("pinv", 1 / 3)])
def test_the_network_is_told_the_noise_in_its_image(mode, scale):
    spy, y = Spy(), random_tensor(2, 1, 64, 64)
    ArtifactRemoval(spy, mode)(y, tripled(wp.noise.Gaussian(torch.tensor([0.1, 0.5]))))
    expected = scale * torch.tensor([0.1, 0.5], dtype=torch.float64).view(2, 1, 1, 1)
    torch.testing.assert_close(spy.sigma, expected, rtol=0.05, atol=0)


@pytest.mark.parametrize("mode", ["adjoint", "pinv"])
def test_complex_images_go_through_the_complex_wrapper(mode):
    mask = (torch.arange(16) % 2 == 0).double().view(1, 1, 1, 16)
    physics = wp.Physics(wp.operators.CartesianMRI(mask, image_shape=(1, 8, 16)), wp.noise.Gaussian(0.1))
    network, spy = CASES["UNet-noise-map"].make(), ComplexDenoiser(Spy())
    y = random_tensor(2, 1, 8, 16, dtype=torch.complex128)
    assert ArtifactRemoval(ComplexDenoiser(network), mode)(y, physics).dtype == torch.complex128
    torch.testing.assert_close(ArtifactRemoval(spy, mode)(y, physics), physics.A_adjoint(y))
    assert spy.denoiser.sigma.mean().item() == pytest.approx(0.1 / 2**0.5, rel=0.15)


def test_measurements_may_be_a_tuple():
    stack = wp.operators.Stack((wp.operators.Identity((1, 8, 8)).double(), 2.0 * wp.operators.Identity((1, 8, 8))))
    y = (random_tensor(2, 1, 8, 8), random_tensor(2, 1, 8, 8, seed=1))
    restored = ArtifactRemoval(lambda x: x)(y, wp.Physics(stack))
    torch.testing.assert_close(restored, y[0] + 2 * y[1])


class Foreign:
    """The names that physics of DeepInverse have."""

    def A(self, x):
        return 3 * x

    def A_adjoint(self, y):
        return 3 * y

    noise_model = type("GaussianNoise", (), {"sigma": 0.5})()


def test_physics_of_deepinverse_will_do():
    spy, y = Spy(), random_tensor(1, 1, 64, 64)
    torch.testing.assert_close(ArtifactRemoval(spy)(y, Foreign()), 3 * y)
    assert spy.sigma.item() == pytest.approx(1.5, rel=0.05)


def test_gradients_reach_measurements_and_weights():
    model, y = ArtifactRemoval(CASES["UNet-noise-map"].make()), random_tensor(1, 1, 8, 8).requires_grad_()
    model(y, tripled(wp.noise.Gaussian(0.1), size=8)).square().sum().backward()
    assert y.grad.abs().min() > 0
    assert all(bool(weight.grad.any()) for weight in model.parameters())


def test_an_unknown_mode_raises():
    with pytest.raises(UnknownNameError, match="unknown mode 'dagger'"):
        ArtifactRemoval(Spy(), "dagger")
