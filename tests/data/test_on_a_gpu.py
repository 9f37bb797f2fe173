"""Training data are made on the GPU without making the host wait for it."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import torch

from tests.support.tensors import seeded
from wellposed.core.tree import tree_leaves
from wellposed.core.values import trusted_values
from wellposed.data import RANDOM_TASKS, FixedProblem, ImageStore, PairTensors, SimulatedProblem, random_phase
from wellposed.noise import Gaussian
from wellposed.operators import Mask
from wellposed.physics import Physics

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")


@contextmanager
def no_waiting() -> Iterator[None]:
    """Raise where the host would wait for the device."""
    torch.cuda.set_sync_debug_mode("error")
    try:
        yield
    finally:
        torch.cuda.set_sync_debug_mode("default")


def on_gpu(seed=0):
    return torch.Generator("cuda").manual_seed(seed)


def store(device="cuda"):
    return ImageStore.from_tensors(
        [torch.rand(3, 70, 80, generator=seeded()), torch.rand(3, 64, 64, generator=seeded(1))], device=device
    )


def test_crops_and_phases_do_not_wait():
    images, generator = store(), on_gpu()
    images.crops(2, 32, generator=generator)
    with no_waiting():
        x = images.crops(4, 32, generator=generator, grey=True)
        turned = random_phase(x, generator=generator)
    torch.testing.assert_close(turned.abs(), x)


@pytest.mark.parametrize("name", RANDOM_TASKS)
def test_operators_and_noise_are_drawn_without_waiting(name):
    """What `Task.sample` does once its streams have been seeded, which waits once."""
    task, generator = RANDOM_TASKS[name], on_gpu()
    x = task.fit(store().crops(4, 64, generator=generator))
    task.sample(x, generator=generator)
    with no_waiting(), trusted_values():
        physics = Physics(task.operator(x, generator), task.noise(x, generator)).to(x.device, torch.float32)
        y = physics(x, generator=generator)
    assert all(leaf.device.type == "cuda" and torch.isfinite(leaf).all() for leaf in tree_leaves(y))
    assert {value.device.type for value in physics.params.values()} == {"cuda"}


@pytest.mark.parametrize("name", RANDOM_TASKS)
def test_validation_batches_are_those_of_the_cpu(name):
    """Crops, operators and clean measurements come from one generator of the CPU, wherever the images lie."""
    task = RANDOM_TASKS[name]
    ours, theirs = (
        next(iter(FixedProblem(SimulatedProblem(name, store(device), task, size=64), count=2)))
        for device in ("cuda", "cpu")
    )
    torch.testing.assert_close(ours.x.cpu(), theirs.x)
    for one, other in zip(
        tree_leaves(ours.physics.operator(ours.x)), tree_leaves(theirs.physics.operator(theirs.x)), strict=True
    ):
        torch.testing.assert_close(one.cpu(), other, atol=1e-4, rtol=1e-4)


def test_pairs_are_taken_without_waiting():
    physics = Physics(Mask(torch.rand(6, 1, 4, 4)), Gaussian(torch.rand(6)))
    pairs = PairTensors(torch.rand(6, 1, 4, 4), physics).to("cuda")
    indices = torch.tensor([3, 1], device="cuda")
    pairs.take(indices)
    with no_waiting():
        y, some, _ = pairs.take(indices)
    assert torch.equal(some.operator.mask.cpu(), physics.operator.mask[[3, 1]])
    assert torch.equal(y.cpu(), pairs.y[[3, 1]].cpu())
