"""The largest eigenvalue against dense algebra."""

from __future__ import annotations

import pytest
import torch
from torch.testing import assert_close

from tests.contracts.solver_cases import matrix_map, spectrum_matrix
from wellposed.core.errors import SolverError
from wellposed.solvers import largest_eigenvalue

SIZE = 60
SPECTRA = {
    "uniform": torch.linspace(0, 1, SIZE),
    "clustered at the top": torch.cat([torch.linspace(0, 0.9, SIZE - 20), torch.linspace(0.999, 1, 20)]),
    "one outlier": torch.cat([torch.linspace(0, 1, SIZE - 1), torch.tensor([50.0])]),
    "low rank": torch.cat([torch.zeros(SIZE - 3), torch.tensor([1.0, 2.0, 3.0])]),
    "rank one": torch.cat([torch.zeros(SIZE - 1), torch.tensor([3.0])]),
    "identity": torch.ones(SIZE),
    "logarithmic": torch.logspace(-8, 0, SIZE),
    "twice the top": torch.cat([torch.linspace(0, 1, SIZE - 1), torch.tensor([1.0])]),
}


@pytest.mark.parametrize("spectrum", SPECTRA.values(), ids=SPECTRA)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.complex64, torch.complex128])
@pytest.mark.parametrize("tolerance", [1e-2, 1e-4])
def test_the_error_is_below_the_tolerance(spectrum, dtype, tolerance):
    matrices = torch.stack([spectrum_matrix(spectrum.to(dtype.to_real()), dtype, seed) for seed in range(3)])
    estimate = largest_eigenvalue(matrix_map(matrices), torch.zeros(3, SIZE, dtype=dtype), tolerance=tolerance)
    exact = torch.linalg.eigvalsh(matrices)[:, -1]
    rounding = 20 * torch.finfo(dtype).eps
    assert estimate.dtype == dtype.to_real()
    assert ((exact - estimate).abs() <= tolerance * exact).all()
    assert (estimate <= exact * (1 + rounding)).all()


@pytest.mark.parametrize("scale", [1e-12, 1e12])
def test_the_scale_of_the_operator_is_free(scale):
    matrix = spectrum_matrix(SPECTRA["uniform"].double(), torch.float64, 0)
    like = torch.zeros(1, SIZE, dtype=torch.float64)
    plain, scaled = (largest_eigenvalue(matrix_map(factor * matrix), like) for factor in (1.0, scale))
    assert_close(scaled, scale * plain, rtol=1e-9, atol=0)


def test_each_image_has_its_own_and_a_zero_map_has_zero():
    factors = torch.tensor([1.0, 0.0, 4.0])[:, None]
    weights = torch.linspace(0.1, 1, 8)
    assert_close(largest_eigenvalue(lambda x: factors * weights * x, torch.zeros(3, 8)), torch.tensor([1.0, 0.0, 4.0]))


def test_the_root_is_the_norm_of_a_rectangular_operator():
    matrix = torch.randn(2, 7, 30, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    square = largest_eigenvalue(matrix_map(matrix.mT @ matrix), torch.zeros(2, 30, dtype=torch.float64), tolerance=1e-6)
    assert_close(square.sqrt(), torch.linalg.svdvals(matrix)[:, 0], rtol=1e-6, atol=0)


def test_images_may_be_tuples():
    """The map mixes the parts, so that neither of them alone has the answer."""
    matrix = spectrum_matrix(SPECTRA["uniform"].double(), torch.float64, 0)

    def gram(pair):
        image = matrix_map(matrix)(torch.cat(pair, dim=1))
        return image[:, :25], image[:, 25:]

    like = torch.zeros(1, 25, dtype=torch.float64), torch.zeros(1, 35, dtype=torch.float64)
    assert_close(largest_eigenvalue(gram, like, tolerance=1e-4), torch.ones(1, dtype=torch.float64), rtol=1e-4, atol=0)


def test_it_is_reproducible_and_touches_no_seed():
    """Row L13."""
    matrix, like = spectrum_matrix(SPECTRA["uniform"].double(), torch.float64, 0), torch.zeros(2, SIZE).double()
    seed = torch.get_rng_state()
    first, second = (largest_eigenvalue(matrix_map(matrix), like, tolerance=0.1) for _ in range(2))
    assert torch.equal(torch.get_rng_state(), seed)
    assert torch.equal(first, second)


def test_few_applications_suffice_where_power_iteration_needs_thousands():
    calls = []

    def gram(x):
        calls.append(1)
        return SPECTRA["clustered at the top"].double() * x

    largest_eigenvalue(gram, torch.zeros(1, SIZE, dtype=torch.float64), tolerance=1e-4)
    assert len(calls) <= 50


def test_too_few_steps_and_nan_raise():
    like = torch.zeros(1, SIZE)
    with pytest.raises(SolverError, match="Stopped at max_steps"):
        largest_eigenvalue(lambda x: SPECTRA["uniform"] * x, like, max_steps=3)
    with pytest.raises(SolverError, match="NaN"):
        largest_eigenvalue(lambda x: x * torch.nan, like)
