"""Problems: batches are what their parts would give, the same for the same seed, and fixed where they shall be."""

import pytest
import torch

from tests.support.tensors import seeded
from wellposed.core.errors import ArgumentError, ShapeError
from wellposed.data import (
    RANDOM_TASKS,
    FixedProblem,
    ImageStore,
    PairProblem,
    PairTensors,
    Problem,
    SimulatedProblem,
    crops_per_second,
    get_task,
)
from wellposed.noise import Gaussian
from wellposed.operators import Mask
from wellposed.physics import Physics

STORE = ImageStore.from_tensors(
    [torch.rand(3, 50, 60, generator=seeded(0)), torch.rand(3, 45, 40, generator=seeded(1))]
)


@pytest.mark.parametrize("name", RANDOM_TASKS)
def test_every_training_task_makes_a_problem(name):
    """The truth has as many images as asked for, and the measurements are those of the truth."""
    problem = SimulatedProblem(name, STORE, get_task(name), size=32)
    assert isinstance(problem, Problem)
    y, physics, x = problem.batch(3, generator=seeded(2))
    assert x.shape == (3, 1 if get_task(name).images in ("grey", "complex") else 3, 32, 32)
    assert x.is_complex() == (get_task(name).images == "complex")
    noise_free = physics.operator(x)
    parts = zip(y, noise_free, strict=True) if isinstance(y, tuple) else [(y, noise_free)]
    assert all(noisy.shape == clean.shape and not torch.equal(noisy, clean) for noisy, clean in parts)


def test_a_batch_is_crops_and_their_measurements():
    task = get_task("sr2")
    y, _, x = SimulatedProblem("low", STORE, task, size=16, augment=False).batch(4, generator=seeded(5))
    generator = seeded(5)
    expected = STORE.crops(4, 16, generator=generator, augment=False)
    assert torch.equal(x, expected)
    assert torch.equal(y, task.sample(expected, generator=generator)[0])
    turned = SimulatedProblem("low", STORE, task, size=16).batch(4, generator=seeded(5)).x
    assert not torch.equal(turned, expected)


def test_grey_problems_see_one_channel():
    _, _, x = SimulatedProblem("grey", STORE, get_task("denoise-easy"), size=16, grey=True).batch(2, generator=seeded())
    assert torch.equal(x, STORE.crops(2, 16, generator=seeded(), grey=True))


def test_complex_problems_get_a_phase_as_strong_as_asked_for():
    task = get_task("random-denoise-complex")
    flat, wavy = (
        SimulatedProblem("mri", STORE, task, size=16, phase=phase).batch(2, generator=seeded()).x for phase in (0, 2)
    )
    torch.testing.assert_close(flat.abs(), STORE.crops(2, 16, generator=seeded(), grey=True))
    direction = flat / flat.abs()
    torch.testing.assert_close(direction, direction[..., :1, :1].expand_as(direction))
    torch.testing.assert_close(wavy.abs(), flat.abs())
    assert (wavy - flat).abs().max() > 0.1


def test_crops_are_cut_to_what_the_task_takes():
    assert SimulatedProblem("sr4", STORE, get_task("sr4"), size=30).batch(1, generator=seeded()).x.shape[-2:] == (
        28,
        28,
    )
    with pytest.raises(ShapeError, match="at least 31 x 31"):
        SimulatedProblem("blur", STORE, get_task("random-deblur"), size=30).batch(1, generator=seeded())


def test_pairs_are_drawn_with_their_own_parameters():
    mask = torch.arange(1.0, 7.0).reshape(6, 1, 1, 1).expand(6, 1, 2, 2)
    pairs = PairTensors(mask * 10, Physics(Mask(mask), Gaussian(torch.arange(6.0))), mask * 100)
    problem = PairProblem("pairs", pairs)
    assert isinstance(problem, Problem)
    y, physics, x = problem.batch(200, generator=seeded())
    assert torch.equal(physics.operator.mask * 10, y)
    assert torch.equal(y * 10, x)
    assert torch.equal(physics.noise.sigma + 1, physics.operator.mask[:, 0, 0, 0])
    assert y.unique().tolist() == [10, 20, 30, 40, 50, 60]
    assert torch.equal(y, problem.batch(200, generator=seeded()).y)
    with pytest.raises(ArgumentError, match="count to be a whole number of at least 1, got 0"):
        problem.batch(0, generator=seeded())


def test_fixed_problems_give_the_same_each_time():
    problem = SimulatedProblem("fixed", STORE, get_task("random-inpaint"), size=16)
    fixed = FixedProblem(problem, count=5, batch_size=2, seed=3)
    first, second = list(fixed), list(fixed)
    assert [len(batch.y) for batch in first] == [2, 2, 1]
    assert all(torch.equal(a.y, b.y) and torch.equal(a.x, b.x) for a, b in zip(first, second, strict=True))
    assert not torch.equal(first[0].x, first[1].x)
    other = next(iter(FixedProblem(problem, count=5, batch_size=2, seed=4)))
    assert not torch.equal(first[0].x, other.x)
    assert fixed.name == "fixed"


def test_fixed_problems_need_images():
    problem = SimulatedProblem("fixed", STORE, get_task("sr2"), size=16)
    with pytest.raises(ArgumentError, match="got count 0, batch_size 16"):
        FixedProblem(problem, count=0)
    with pytest.raises(ArgumentError, match="batch_size 0"):
        FixedProblem(problem, batch_size=0)
    with pytest.raises(ArgumentError, match="margin of at least 0, got -1"):
        FixedProblem(problem, margin=-1)


def test_speed_counts_the_images_of_all_batches_but_the_first(monkeypatch):
    """With a clock that says two seconds, four batches of eight are 16 images a second."""
    drawn = []

    class Counting:
        name = "counting"

        def batch(self, count, *, generator):
            drawn.append(count)
            assert generator.device.type == "cpu"
            return PairTensors(torch.ones(1, 1, 2, 2), Physics(Mask(torch.ones(1, 1, 2, 2)))).take(torch.tensor([0]))

    clock = iter([10.0, 12.0])
    monkeypatch.setattr("wellposed.data.throughput.time.perf_counter", lambda: next(clock))
    assert crops_per_second(Counting(), 8, n_batches=4) == 16
    assert drawn == [8] * 5
