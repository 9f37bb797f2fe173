"""What every transform promises: inverses, compositions, batches, seeds, and exactness on the grid where it is said."""

import pytest
import torch

from tests.contracts.transform_cases import CASES
from tests.support.tensors import seeded
from wellposed import transforms
from wellposed.core.errors import DTypeError, ShapeError
from wellposed.transforms.base import Sequence

every = pytest.mark.parametrize("case", CASES.values(), ids=CASES)
exact = pytest.mark.parametrize(
    "case", [c for c in CASES.values() if c.exact], ids=[n for n in CASES if CASES[n].exact]
)
warped = pytest.mark.parametrize(
    "case", [c for c in CASES.values() if not c.exact], ids=[n for n in CASES if not CASES[n].exact]
)


def noise(case, dtype=torch.float64):
    return torch.randn(case.shape, generator=seeded(), dtype=dtype)


def bump(case):
    """A smooth image that is zero away from the centre, so that borders play no part."""
    axes = [torch.linspace(-1, 1, size, dtype=torch.float64) for size in case.shape[-2:]]
    rows, columns = torch.meshgrid(*axes, indexing="ij")
    spot = (-20 * ((rows - 0.1).square() + (columns + 0.05).square())).exp()
    return (spot * (1 + columns)).expand(case.shape).contiguous()


def test_every_transform_has_a_case():
    known = {type(case.make()).__name__ for case in CASES.values()}
    assert known == set(transforms.__all__) - {"Motion", "Transform"}


@every
def test_it_says_whether_it_is_exact(case):
    transform = case.make()
    assert transform.exact is case.exact
    assert transform.draw(noise(case), generator=seeded()).exact is case.exact


@exact
@pytest.mark.parametrize("dtype", [torch.float32, torch.complex128])
def test_an_exact_motion_permutes_the_numbers_and_its_inverse_is_its_adjoint(case, dtype):
    x, other = noise(case, dtype), noise(case, dtype).flip(1)
    motion = case.make().draw(x, generator=seeded(1))
    moved = motion(x)
    assert torch.equal(motion.inverse()(moved), x)
    assert torch.equal(motion(motion.inverse()(x)), x)
    assert torch.equal(moved.real.flatten(1).sort().values, x.real.flatten(1).sort().values)
    torch.testing.assert_close((moved.conj() * other).sum(), (x.conj() * motion.inverse()(other)).sum())


@warped
def test_a_warp_and_its_inverse_are_the_identity_up_to_interpolation(case):
    x = bump(case)
    motion = case.make().draw(x, generator=seeded(1))
    assert (motion(x) - x).abs().max() > 0.05
    assert (motion.inverse()(motion(x)) - x).abs().max() < 0.08 * x.max()


@every
def test_a_motion_and_its_inverse_compose_to_the_identity(case):
    """Warps of one kind compose their points, so that nothing is interpolated any more."""
    x = bump(case) if not case.exact else noise(case)
    motion = case.make().draw(x, generator=seeded(1))
    for both in (motion @ motion.inverse(), motion.inverse() @ motion):
        torch.testing.assert_close(both(x), x, rtol=0, atol=0.08 if isinstance(motion, Sequence) else 1e-4)


@every
def test_a_composition_is_one_motion_after_the_other(case):
    x = bump(case) if not case.exact else noise(case)
    transform = case.make()
    one, two = transform.draw(x, generator=seeded(1)), transform.draw(x, generator=seeded(2))
    limit = 0 if case.exact else 0.12
    assert ((two @ one)(x) - two(one(x))).abs().max() <= limit
    undone = (two @ one).inverse()(two(one(x)))
    assert (undone - x).abs().max() <= (0 if case.exact else 0.2)


@every
def test_images_move_each_by_itself_or_all_alike(case):
    x = bump(case) if not case.exact else noise(case)
    alone = case.make().draw(x, generator=seeded(3))(x)
    same = x[:1].expand(x.shape)
    apart = [case.make().draw(x, generator=seeded(seed))(same) for seed in range(4)]
    assert any(not torch.equal(moved[0], moved[1]) for moved in apart)
    together = case.make(per_image=False).draw(same, generator=seeded(3))
    assert torch.equal(together(same)[0], together(same)[2])
    assert torch.equal(together(x)[1:2], together(x[1:2]))
    assert torch.equal(alone, case.make().draw(x, generator=seeded(3))(x))


@every
def test_the_seed_decides_and_the_images_stay(case):
    x = noise(case, torch.float32)
    before = x.clone()
    transform = case.make()
    moved = [transform(x, generator=seeded(seed)) for seed in (5, 5, 6, 7, 8)]
    assert torch.equal(moved[0], moved[1])
    assert any(not torch.equal(moved[0], other) for other in moved[2:])
    assert torch.equal(x, before)
    assert moved[0].shape == x.shape
    assert moved[0].dtype == x.dtype
    torch.manual_seed(3)
    first = transform(x)
    torch.manual_seed(3)
    assert torch.equal(first, transform(x))


@every
def test_motions_are_linear_and_differentiable(case):
    x = noise(case).requires_grad_()
    motion = case.make().draw(x, generator=seeded(1))
    torch.testing.assert_close(motion(2 * x + 1j * x), (2 + 1j) * motion(x))
    weights = torch.randn(case.shape, generator=seeded(9), dtype=torch.float64)
    (gradient,) = torch.autograd.grad((weights * motion(x)).sum(), x)
    torch.testing.assert_close((gradient * x).sum(), (weights * motion(x)).sum())
    if case.exact:
        torch.testing.assert_close(gradient, motion.inverse()(weights))


@every
def test_other_images_are_refused(case):
    x = noise(case)
    with pytest.raises(ShapeError, match=r"images|videos"):
        case.make().draw(x[0, 0])
    with pytest.raises(DTypeError, match=r"torch\.Tensor"):
        case.make().draw([1.0])
    if max(case.shape[-2:]) != 40 and len(case.shape) == 4:
        with pytest.raises(ShapeError, match="draw one for these"):
            case.make().draw(x, generator=seeded())(x[:2])
