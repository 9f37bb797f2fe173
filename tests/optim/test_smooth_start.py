"""The smooth first guess against the dense normal equations."""

import torch

from wellposed.operators import Blur, FiniteDifferences, Mask
from wellposed.optim import LeastSquares, smooth_start


def test_it_solves_the_smooth_problem():
    generator = torch.Generator().manual_seed(0)
    A = Blur(torch.rand(1, 1, 3, 3, generator=generator).double(), (1, 6, 7))
    y = torch.rand(2, *A.measurement_shape, generator=generator).double()
    dense, gradient = A.to_matrix()[0], FiniteDifferences((1, 6, 7)).to(torch.float64).to_matrix()[0]
    for smoothness in (0.1, 1.0):
        system = dense.T @ dense + smoothness * A.norm().item() ** 2 * gradient.T @ gradient
        expected = torch.linalg.solve(system, (y.flatten(1) @ dense).T).T.view(2, 1, 6, 7)
        torch.testing.assert_close(
            smooth_start(LeastSquares(A, y), smoothness=smoothness, steps=200), expected, rtol=5e-3, atol=5e-3
        )


def test_steps_are_honoured_and_the_constant_comes_first():
    """With no step at all it is the constant that explains the measurements best."""
    A = Blur(torch.ones(1, 1, 3, 3) / 9, (1, 6, 6))
    y = A(torch.full((1, 1, 6, 6), 0.7)) + torch.tensor([[[[0.1, -0.1], [0.1, -0.1]]]]).repeat(1, 1, 2, 2)
    torch.testing.assert_close(
        smooth_start(LeastSquares(A, y), steps=0), torch.full((1, 1, 6, 6), 0.7), atol=1e-6, rtol=0
    )


def test_holes_are_filled_smoothly():
    ramp = torch.linspace(0, 1, 9).expand(1, 1, 9, 9).clone()
    mask = torch.ones(1, 1, 9, 9)
    mask[..., 3:6, 3:6] = 0
    filled = smooth_start(LeastSquares(Mask(mask), mask * ramp), smoothness=0.05)
    torch.testing.assert_close(filled[..., 3:6, 3:6], ramp[..., 3:6, 3:6], atol=0.05, rtol=0)


def test_complex_images_and_blind_operators():
    A = Mask(torch.zeros(1, 1, 4, 4), (1, 4, 4))
    assert torch.equal(
        smooth_start(LeastSquares(A, torch.zeros(1, 1, 4, 4, dtype=torch.complex64))), torch.zeros(1, 1, 4, 4) + 0j
    )
