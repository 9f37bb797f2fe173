"""Subsets of views: together they are the whole, and OSEM over them is MLEM's fast relative."""

import pytest
import torch

from tests.support.tensors import random_tensor
from wellposed.core.errors import ArgumentError, UnsupportedError
from wellposed.operators import Mask, ParallelBeam2D
from wellposed.optim import MLEM, Composite, PoissonLikelihood, RegularisedProblem, StackedDistance, ordered_subsets
from wellposed.solvers import run

SHAPE = (1, 6, 6)
ANGLES = torch.arange(7) * torch.pi / 7
A = ParallelBeam2D(ANGLES, SHAPE, detector_offset=torch.linspace(-0.1, 0.1, 7)[None]).double()


def test_subsets_are_every_so_many_views_of_the_whole():
    x = random_tensor(2, *SHAPE)
    y = A(x)
    stack, parts = ordered_subsets(A, y, 3)
    assert [part.shape[2] for part in parts] == [3, 2, 2]
    for first, (measured, part) in enumerate(zip(stack(x), parts, strict=True)):
        torch.testing.assert_close(measured, y[:, :, first::3])
        assert torch.equal(part, y[:, :, first::3])
    torch.testing.assert_close(stack.adjoint(parts), A.adjoint(y))


def test_osem_is_ahead_of_mlem_after_as_many_passes():
    x = random_tensor(1, *SHAPE).abs() + 0.2
    y = A(x)
    stack, parts = ordered_subsets(A, y, 3)
    whole = RegularisedProblem(Composite(PoissonLikelihood(y), A))
    split = RegularisedProblem(Composite(StackedDistance([PoissonLikelihood(part) for part in parts]), stack))
    method, start = MLEM(max_steps=4), torch.ones_like(x)
    slow, fast = (run(method, problem, method.init(problem, start)).value for problem in (whole, split))
    assert whole.value(fast) < 0.6 * whole.value(slow)


def test_what_cannot_be_cut_is_refused():
    with pytest.raises(ArgumentError, match="as many subsets as angles, 7, got 8"):
        ordered_subsets(A, A(random_tensor(1, *SHAPE)), 8)
    with pytest.raises(UnsupportedError, match="Mask has none"):
        ordered_subsets(Mask(torch.ones(1, 1, 2, 2)), torch.ones(1, 1, 2, 2), 2)
