"""Learned primal-dual: the iteration of the paper, for real and complex measurements of any linear operator."""

import copy

import pytest
import torch

import wellposed as wp
from tests.support.tensors import flat, random_tensor, times
from wellposed.core.errors import ArgumentError, DTypeError, ShapeError, UnsupportedError
from wellposed.models import PDNet


def build(*args, **sizes):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return PDNet(*args, **{"n_iter": 2, "width": 4, **sizes}).double()


def blurred(size=(1, 8, 8), scale=1.0):
    kernel = torch.tensor([[0.1, 0.2], [0.3, 0.4]], dtype=torch.float64)[None, None]
    return wp.Physics(scale * wp.operators.Blur(kernel, image_shape=size, padding="valid"))


def scanned():
    mask = (torch.arange(8) % 3 > 0).double().view(1, 1, 1, 8)
    return wp.Physics(wp.operators.CartesianMRI(mask, image_shape=(1, 6, 8)))


@pytest.mark.parametrize("n_memory", [2, 3])
def test_it_is_the_iteration_of_the_paper(n_memory):
    """With the operator as a dense matrix, and the stacks as lists."""
    model, physics, y = build(n_iter=3, n_memory=n_memory), blurred(scale=5.0), random_tensor(2, 1, 7, 7)
    matrix = physics.operator.to_matrix() / torch.linalg.matrix_norm(physics.operator.to_matrix(), 2)
    measured = y / torch.linalg.matrix_norm(physics.operator.to_matrix(), 2)
    images = [torch.zeros(2, 1, 8, 8, dtype=torch.float64)] * n_memory
    duals = [torch.zeros(2, 1, 7, 7, dtype=torch.float64)] * n_memory
    for primal, dual in zip(model.primal, model.dual, strict=True):
        predicted = times(matrix, flat(images[1])).view(2, 1, 7, 7)
        steps = dual(torch.cat([*duals, predicted, measured], dim=1)).split(1, dim=1)
        duals = [a + b for a, b in zip(duals, steps, strict=True)]
        back = times(matrix.mT, flat(duals[0])).view(2, 1, 8, 8)
        steps = primal(torch.cat([*images, back], dim=1)).split(1, dim=1)
        images = [a + b for a, b in zip(images, steps, strict=True)]
    torch.testing.assert_close(model(y, physics), images[0], rtol=2e-3, atol=1e-5)


def test_the_unit_of_the_measurements_does_not_matter():
    model, y = build(), random_tensor(2, 1, 7, 7)
    torch.testing.assert_close(model(100 * y, blurred(scale=100.0)), model(y, blurred()))
    assert not torch.allclose(model(100 * y, blurred()), model(y, blurred()))


def test_complex_images_are_two_channels():
    model, y = build(2, 2), random_tensor(2, 1, 6, 8, dtype=torch.complex128)
    restored = model(y, scanned())
    assert (restored.shape, restored.dtype) == (y.shape, y.dtype)
    assert restored.imag.abs().max() > 0


def test_images_and_measurements_may_differ_in_size():
    physics = wp.Physics(wp.operators.Downsample(2, image_shape=(3, 8, 12)).double())
    assert build(3, 3)(random_tensor(2, 3, 4, 6), physics).shape == (2, 3, 8, 12)
    mosaic = wp.Physics(wp.operators.BayerMosaic(image_shape=(3, 8, 12)).double())
    assert build(3, 1)(random_tensor(2, 1, 8, 12), mosaic).shape == (2, 3, 8, 12)


def test_a_batch_equals_its_items():
    """Also where each image has an operator of its own, and so a norm of its own."""
    kernels = random_tensor(2, 1, 3, 3).abs()
    physics = wp.Physics(wp.operators.Blur(kernels, image_shape=(1, 8, 8)))
    model, y = build(), random_tensor(2, 1, 6, 6)
    together = model(y, physics)
    for i in range(2):
        alone = model(y[i : i + 1], physics.with_params(kernel=kernels[i : i + 1]))
        torch.testing.assert_close(together[i : i + 1], alone)


def test_every_weight_gets_a_gradient_and_inputs_are_left_alone():
    """All but those of entries that no later iteration reads."""
    model, y = build(n_iter=3), random_tensor(1, 1, 7, 7)
    kept, state = y.clone(), copy.deepcopy(model.state_dict())
    model(y, blurred()).square().sum().backward()
    assert [name for name, weight in model.named_parameters() if not bool(weight.grad.any())] == []
    assert torch.equal(y, kept)
    assert all(torch.equal(state[name], value) for name, value in model.state_dict().items())


def test_it_learns_to_invert():
    """Twenty steps of Adam on one image more than halve the error."""
    physics, x = blurred(), random_tensor(1, 1, 8, 8).abs()
    model, y = build(n_iter=3, width=8), physics(x)
    optimiser = torch.optim.Adam(model.parameters(), lr=1e-2)
    before = (model(y, physics) - x).square().mean().item()
    for _ in range(20):
        optimiser.zero_grad()
        (model(y, physics) - x).square().mean().backward()
        optimiser.step()
    assert (model(y, physics) - x).square().mean().item() < before / 2


def test_what_does_not_fit_raises():
    model, y = build(), random_tensor(2, 1, 7, 7)
    with pytest.raises(ShapeError, match=r"built for images of 1 real channels, got 3 .*image_channels=3"):
        model(random_tensor(2, 3, 7, 7), blurred((3, 8, 8)))
    with pytest.raises(ShapeError, match=r"images of 1 real channels, got 2"):
        model(random_tensor(2, 1, 6, 8, dtype=torch.complex128), scanned())
    with pytest.raises(DTypeError, match="float32 weights"):
        build().float()(y, blurred())
    with pytest.raises(ShapeError, match="Scaled expects measurements"):
        model(random_tensor(2, 1, 8, 8), blurred())
    stack = wp.operators.Stack((wp.operators.Identity((1, 8, 8)).double(), wp.operators.Identity((1, 8, 8)).double()))
    x = random_tensor(1, 1, 8, 8)
    with pytest.raises(UnsupportedError, match=r"measurements of shape .*, got a tuple"):
        model((x, x), wp.Physics(stack))


@pytest.mark.parametrize(
    ("sizes", "words"),
    [
        ({"n_memory": 1}, "n_memory >= 2"),
        ({"n_iter": 0}, "n_iter to be a whole number of at least 1, got 0"),
        ({"width": -1}, "width to be"),
        ({"image_channels": 0}, "image_channels to be"),
        ({"measurement_channels": 0}, "measurement_channels to be"),
    ],
)
def test_sizes_that_make_no_sense_raise(sizes, words):
    with pytest.raises(ArgumentError, match=words):
        PDNet(**sizes)
