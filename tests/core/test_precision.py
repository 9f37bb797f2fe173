"""What keeps its precision under autocast, beside what does not."""

import pytest
import torch

from wellposed.core.precision import in_own_precision
from wellposed.core.tree import inner
from wellposed.solvers import GMRES, Anderson, FixedPoint, run, solve

MATRIX = torch.randn(3, 8, 8, generator=torch.Generator().manual_seed(0)) / 8 + torch.eye(8)
RIGHT = torch.randn(3, 8, generator=torch.Generator().manual_seed(1))


@in_own_precision
def product(x):
    return (MATRIX @ x[..., None])[..., 0]


def accelerated(problem):
    method = Anderson()
    return run(method, problem, method.init(problem, torch.zeros_like(RIGHT))).state.x


COMPUTED = {
    "product": lambda: product(RIGHT),
    "inner": lambda: inner(RIGHT, RIGHT),
    "GMRES": lambda: solve(product, RIGHT, GMRES()).value,
    "Anderson": lambda: accelerated(FixedPoint(lambda x: RIGHT - 0.3 * product(x))),
}


@pytest.mark.parametrize("compute", COMPUTED.values(), ids=COMPUTED)
def test_autocast_changes_nothing(compute):
    with torch.autocast("cpu", dtype=torch.bfloat16):
        lowered = compute()
        assert torch.is_autocast_enabled("cpu")
    assert torch.equal(lowered, compute())


def test_without_it_autocast_does():
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert (MATRIX @ RIGHT[..., None]).dtype == torch.bfloat16
