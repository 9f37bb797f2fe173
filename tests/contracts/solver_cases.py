"""The systems that every registered solver must solve: dense, seeded, small, one matrix for each image of the batch."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from wellposed.solvers import SOLVERS, LinearSolver, LinearSystem, Solution, run, solve

SIZE = 12


def spectrum_matrix(eigenvalues: Tensor, dtype: torch.dtype, seed: int) -> Tensor:
    """Return a Hermitian matrix of the given eigenvalues in a random orthonormal basis."""
    generator = torch.Generator().manual_seed(seed)
    gaussian = torch.randn(len(eigenvalues), len(eigenvalues), dtype=dtype, generator=generator)
    basis = torch.linalg.qr(gaussian).Q
    return basis @ torch.diag(eigenvalues).to(dtype) @ basis.mH


def positive(dtype: torch.dtype, batch: int, size: int = SIZE) -> Tensor:
    """Condition numbers 5, 10, 15, ...: the images of a batch are not equally hard."""
    spectra = [torch.linspace(1, 5 * (image + 1), size, dtype=torch.float64) for image in range(batch)]
    return torch.stack([spectrum_matrix(spectrum.to(dtype.to_real()), dtype, i) for i, spectrum in enumerate(spectra)])


def indefinite(dtype: torch.dtype, batch: int, size: int = SIZE) -> Tensor:
    signs = torch.tensor([1.0, -1.0]).repeat(size // 2).to(dtype.to_real())
    spectra = [signs * torch.linspace(1, 2 * (image + 1), size).to(dtype.to_real()) for image in range(batch)]
    return torch.stack([spectrum_matrix(spectrum, dtype, 10 + i) for i, spectrum in enumerate(spectra)])


def general(dtype: torch.dtype, batch: int, size: int = SIZE) -> Tensor:
    generator = torch.Generator().manual_seed(20)
    gaussian = torch.randn(batch, size, size, dtype=dtype, generator=generator)
    return 2 * torch.eye(size, dtype=dtype) + gaussian / size**0.5


MATRICES = {"positive": positive, "indefinite": indefinite, "general": general}

CASES: dict[str, tuple[str, ...]] = {
    "CG": ("positive",),
    "MINRES": ("positive", "indefinite"),
    "BiCGStab": ("positive", "general"),
    "GMRES": ("positive", "indefinite", "general"),
    "LSQR": ("positive", "indefinite", "general"),
    "LSMR": ("positive", "indefinite", "general"),
}


def matrix_map(matrix: Tensor) -> Callable[[Tensor], Tensor]:
    """Return the map of a batch of matrices, shape (B, m, n) or (m, n), on vectors of shape (B, n)."""
    return lambda x: (matrix @ x[..., None])[..., 0]


@dataclass(frozen=True)
class Case:
    """A solver and the dense matrices that it is asked to invert."""

    solver: type[LinearSolver]
    matrix: Tensor

    @property
    def adjoint(self) -> Callable[[Tensor], Tensor] | None:
        return matrix_map(self.matrix.mH) if self.solver.needs_adjoint else None

    def solve(self, b: Tensor, *, tolerance: float, max_steps: int = 200, **settings) -> Solution:
        method = self.solver(tolerance=tolerance, max_steps=max_steps)
        return solve(matrix_map(self.matrix), b, method, adjoint=self.adjoint, **settings)

    def run(self, b: Tensor, *, tolerance: float, max_steps: int, state=None, **settings) -> Solution:
        method = self.solver(tolerance=tolerance, max_steps=max_steps)
        system = LinearSystem(matrix_map(self.matrix), b, self.adjoint)
        return run(method, system, method.init(system) if state is None else state, **settings)

    def exact(self, b: Tensor) -> Tensor:
        return torch.linalg.solve(self.matrix, b)

    def image(self, index: int) -> Case:
        return Case(self.solver, self.matrix[index : index + 1])


def make_case(name: str, kind: str, dtype: torch.dtype, batch: int = 3) -> Case:
    return Case(SOLVERS[name], MATRICES[kind](dtype, batch))


def right_hand_side(dtype: torch.dtype, batch: int = 3, seed: int = 30) -> Tensor:
    return torch.randn(batch, SIZE, dtype=dtype, generator=torch.Generator().manual_seed(seed))
