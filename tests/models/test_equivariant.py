"""Equivariant denoisers: exact for averages, on average for random motions, with noise maps that move along."""

import pytest
import torch

from tests.models.denoiser_cases import CASES
from tests.support.tensors import random_tensor, seeded
from wellposed.core.errors import ShapeError, UnknownNameError
from wellposed.models import Equivariant
from wellposed.models._groups import GROUPS

SIZES = {"dihedral": 8, "rotations": 4, "flips": 4, "shifts": 30}


def elements(name, height=5, width=6):
    group = GROUPS[name](height, width)
    return [group.element(index) for index in range(group.size)]


def base():
    return CASES["DRUNet"].make()


@pytest.mark.parametrize("name", GROUPS)
def test_groups_are_groups(name):
    """All elements differ, each undoes itself, and the product of any two is in the group."""
    x = random_tensor(1, 1, 5, 6)
    images = [motion.act(x) for motion in elements(name)]
    assert len(images) == SIZES[name]
    for index, image in enumerate(images):
        assert sum(other.shape == image.shape and torch.equal(other, image) for other in images) == 1
        assert torch.equal(elements(name)[index].undo(image), x)
        for motion in elements(name, *image.shape[-2:]):
            product = motion.act(image)
            assert any(other.shape == product.shape and torch.equal(other, product) for other in images)


@pytest.mark.parametrize("transforms", ["dihedral", "rotations", "flips", "shifts"])
def test_the_average_is_equivariant(transforms):
    """On an oblong image, with a noise level that varies over it."""
    model = Equivariant(base(), transforms, mode="average")
    x, sigma = random_tensor(1, 1, 5, 6), random_tensor(1, 1, 5, 6, seed=1).abs()
    denoised = model(x, sigma)
    for motion in elements(transforms):
        torch.testing.assert_close(model(motion.act(x), motion.act(sigma)), motion.act(denoised))
    assert not torch.allclose(base()(x, sigma), denoised)


def test_the_average_is_the_mean_over_the_group():
    x = random_tensor(2, 1, 4, 6)
    level = torch.linspace(0.1, 0.6, 6, dtype=torch.float64).view(1, 1, 1, 6)
    mirrored = base()(x.flip(3), level.flip(3)).flip(3)
    upended = base()(x.flip(2), level).flip(2)
    both = base()(x.flip(2, 3), level.flip(3)).flip(2, 3)
    expected = (base()(x, level) + mirrored + upended + both) / 4
    torch.testing.assert_close(Equivariant(base(), "flips", mode="average")(x, level), expected)


@pytest.mark.parametrize("transforms", ["dihedral", "shifts"])
def test_random_motions_are_drawn_evenly_and_from_the_generator(transforms):
    """Every element of the group appears, and the mean over the draws is the average, within four standard errors."""
    model, x = Equivariant(base(), transforms), random_tensor(1, 1, 2, 3)
    generator = seeded(3)
    draws = torch.stack([model(x, 0.3, generator=generator) for _ in range(300)])
    average = Equivariant(base(), transforms, mode="average")(x, 0.3)
    assert len(draws.flatten(1).round(decimals=9).unique(dim=0)) == GROUPS[transforms](2, 3).size
    assert ((draws.mean(0) - average).abs() <= 4 * draws.std(0) / 300**0.5).all()
    assert torch.equal(model(x, 0.3, generator=seeded(5)), model(x, 0.3, generator=seeded(5)))


def test_without_a_generator_torch_seeds_the_motion():
    model, x = Equivariant(base()), random_tensor(1, 1, 6, 6)
    with torch.random.fork_rng():
        torch.manual_seed(1)
        first = [model(x, 0.3) for _ in range(6)]
        torch.manual_seed(1)
        again = [model(x, 0.3) for _ in range(6)]
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))
    assert any(not torch.equal(first[0], other) for other in first)


def test_any_callable_is_a_denoiser():
    """A soft threshold that removes more where the noise is stronger."""
    model = Equivariant(lambda x, sigma: torch.nn.functional.softshrink(x, 0.0) - sigma * x.sign(), mode="average")
    torch.testing.assert_close(model(torch.full((1, 5, 4, 3), 2.0), 0.5), torch.full((1, 5, 4, 3), 1.5))


def test_unknown_groups_and_modes_raise():
    with pytest.raises(UnknownNameError, match="did you mean 'dihedral'"):
        Equivariant(base(), "dihedrals")
    with pytest.raises(UnknownNameError, match="unknown mode 'mean'"):
        Equivariant(base(), mode="mean")
    with pytest.raises(ShapeError, match="Equivariant expects images"):
        Equivariant(base())(torch.ones(1, 2, 4, 4), 0.1)
