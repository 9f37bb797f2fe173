"""What is recorded of a run, against numbers by hand."""

import pytest
import torch

from wellposed import optim
from wellposed.core.errors import ArgumentError
from wellposed.operators import Identity
from wellposed.optim import LeastSquares, RegularisedProblem, Term
from wellposed.solvers import run


def test_objective_residual_and_psnr_of_each_step():
    """ISTA with half steps from zero towards 3 and 4, with the weight 1: 1, 1.5, ... and 1.5, 2.25, ..."""
    y = torch.tensor([3.0, 4.0]).view(2, 1, 1, 1)
    problem = RegularisedProblem(LeastSquares(Identity(), y), Term(optim.L1Norm(), 1.0))
    method = optim.ProximalGradient(tolerance=None, max_steps=2, accelerated=False, step_ratio=0.5)
    record = optim.history(problem, torch.full_like(y, 2.0), data_range=10.0)
    stats = run(method, problem, method.init(problem, torch.zeros_like(y)), record=record).stats["history"]
    torch.testing.assert_close(stats["objective"], torch.tensor([[3.0, 4.625], [2.625, 3.78125]]))
    torch.testing.assert_close(stats["residual"], torch.tensor([[2 / 3, 2.5 / 4], [1.5 / 3, 1.75 / 4]]))
    torch.testing.assert_close(stats["psnr"], 20 * torch.log10(10 / torch.tensor([[1.0, 0.5], [0.5, 0.25]])))


def test_without_a_truth_or_measurements_there_is_less():
    assert list(optim.history(RegularisedProblem(None, Term(optim.L1Norm())))) == ["objective"]
    with pytest.raises(ArgumentError, match="truth and its data_range together"):
        optim.history(RegularisedProblem(None), torch.zeros(1, 1, 1, 1))
