"""Isotropic total variation by hand, by symmetry and by duality."""

import math

import pytest
import torch

from tests.support.tensors import random_tensor
from wellposed.core.tree import inner
from wellposed.optim import TotalVariation

SHAPES = [(1, 4, 5), (3, 4, 3), (2, 3, 2, 4)]
every_shape = pytest.mark.parametrize("shape", SHAPES, ids=str)


def test_value_of_a_corner_by_hand():
    """One bright pixel at (1, 1): its two neighbours above and to the left see one step, itself two at once."""
    image = torch.zeros(2, 1, 3, 3)
    image[0, 0, 1, 1] = 2
    image[1, 0, 2, 2] = 2
    values = TotalVariation((1, 3, 3)).value(image)
    torch.testing.assert_close(values, torch.tensor([2 + 2 + 2 * math.sqrt(2), 4]))


def test_an_edge_is_shared_by_the_channels():
    """Equal edges in three channels cost the root of three of one, not three."""
    image = torch.zeros(1, 3, 4, 4)
    image[..., 2:] = 1
    assert TotalVariation((3, 4, 4)).value(image).item() == pytest.approx(4 * math.sqrt(3))


@every_shape
def test_value_is_a_seminorm_of_each_image(shape):
    tv, x, z = TotalVariation(shape), random_tensor(2, *shape), random_tensor(2, *shape, seed=1)
    torch.testing.assert_close(tv.value(-3 * x), 3 * tv.value(x))
    torch.testing.assert_close(tv.value(x + 7), tv.value(x))
    assert (tv.value(x + z) <= tv.value(x) + tv.value(z)).all()
    torch.testing.assert_close(tv.value(x)[1:], tv.value(x[1:]))
    assert tv.value(torch.ones(2, *shape)).tolist() == [0, 0]


def test_mixing_colours_by_a_rotation_leaves_the_value():
    image = random_tensor(1, 3, 4, 5)
    rotation = torch.linalg.qr(random_tensor(3, 3, seed=1)).Q
    mixed = torch.einsum("dc,bchw->bdhw", rotation, image)
    tv = TotalVariation((3, 4, 5))
    torch.testing.assert_close(tv.value(mixed), tv.value(image))


def test_complex_images_count_by_magnitude():
    image, tv = random_tensor(1, 1, 4, 5), TotalVariation((1, 4, 5))
    torch.testing.assert_close(tv.value((0.6 + 0.8j) * image), tv.value(image))


def test_gradient_is_that_of_the_lengths_and_zero_where_the_image_is_flat():
    image = torch.zeros(1, 1, 1, 4, dtype=torch.float64)
    image[..., 2:] = 3
    image.requires_grad_()
    TotalVariation((1, 1, 4)).value(image).sum().backward()
    assert image.grad.flatten().tolist() == [0, -1, 1, 0]


def project(tv, u, radius):
    return tv.functional.conjugate_prox(u, 1.0, radius)


def dual(shape, seed, dtype=torch.float64):
    return 2 * random_tensor(2, len(shape) - 1, *shape, seed=seed, dtype=dtype)


def lengths(u):
    return u.abs().square().sum((1, 2)).sqrt()


@every_shape
@pytest.mark.parametrize("dtype", [torch.float64, torch.complex128], ids=["real", "complex"])
def test_projection_satisfies_its_optimality_conditions(shape, dtype):
    """p is the nearest point of the ball: it lies inside, and <u - p, v - p> <= 0 for every other point v inside."""
    tv, u = TotalVariation(shape), dual(shape, 0, dtype)
    radius = torch.stack([lengths(u)[0].quantile(0.3), lengths(u)[1].quantile(0.7)])
    p = project(tv, u, radius)
    limit = radius.view(2, *[1] * (len(shape) - 1))
    assert (lengths(p) <= limit * (1 + 1e-12)).all()
    inside = lengths(u) <= limit
    assert inside.any()
    assert not inside.all()
    torch.testing.assert_close(lengths(p), torch.minimum(lengths(u), limit))
    for seed in range(1, 20):
        other = project(tv, dual(shape, seed, dtype), radius)
        assert (inner(u - p, other - p).real <= 1e-9).all()
    torch.testing.assert_close(project(tv, p, radius), p)


def test_projection_by_hand():
    u = torch.zeros(1, 2, 1, 1, 2)
    u[0, :, 0, 0, 0] = torch.tensor([3.0, 4.0])
    u[0, :, 0, 0, 1] = torch.tensor([0.3, 0.4])
    p = project(TotalVariation((1, 1, 2)), u, torch.tensor([1.0]))
    torch.testing.assert_close(p[0, :, 0, 0], torch.tensor([[0.6, 0.3], [0.8, 0.4]]))


def test_projection_on_a_ball_of_radius_zero_is_zero():
    tv = TotalVariation((1, 4, 5))
    projected = project(tv, dual((1, 4, 5), 0), torch.zeros(2, dtype=torch.float64))
    assert projected.abs().max() < 1e-100
    assert torch.isfinite(projected).all()


@every_shape
def test_value_is_the_support_function_of_the_dual_ball(shape):
    """g(x) = max <D x, u> over |u_i| <= 1: no u gives more, and D x over its lengths attains it."""
    tv, x = TotalVariation(shape), random_tensor(2, *shape)
    gradient, one = tv.operator(x), torch.ones(1, dtype=torch.float64)
    for seed in range(10):
        assert (inner(gradient, project(tv, dual(shape, seed), one)) <= tv.value(x)).all()
    best = project(tv, 1e9 * gradient, one)
    torch.testing.assert_close(inner(gradient, best), tv.value(x))
    torch.testing.assert_close(inner(x, tv.operator.adjoint(best)), tv.value(x))
