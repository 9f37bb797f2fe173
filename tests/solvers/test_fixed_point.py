"""Anderson and Broyden: fixed points that dense algebra knows, image by image."""

import math

import pytest
import torch

from tests.support.tensors import random_tensor
from wellposed.core.errors import ArgumentError, SolverError
from wellposed.solvers import GMRES, Anderson, Broyden, FixedPoint, Status, run, solve

METHODS = {"Anderson": Anderson, "Broyden": Broyden}
each_method = pytest.mark.parametrize("kind", METHODS.values(), ids=METHODS)


def affine(batch=3, size=6, dtype=torch.float64, spread=0.9):
    """The maps x -> M x + b, each image with its own of spectral norm 0.5, 0.6, ..., and their fixed points."""
    matrix = random_tensor(batch, size, size, dtype=dtype)
    matrix = matrix / torch.linalg.matrix_norm(matrix, 2)[:, None, None]
    matrix = matrix * torch.linspace(0.5, spread, batch, dtype=dtype.to_real())[:, None, None]
    b = random_tensor(batch, size, seed=1, dtype=dtype)
    exact = torch.linalg.solve(torch.eye(size, dtype=dtype) - matrix, b[..., None])[..., 0]
    return (lambda x: (matrix @ x[..., None])[..., 0] + b), b, exact, matrix


def fixed_point(method, function, x0, **options):
    problem = FixedPoint(function)
    return run(method, problem, method.init(problem, x0), **options)


@each_method
@pytest.mark.parametrize(
    ("dtype", "tolerance"), [(torch.float32, 1e-5), (torch.float64, 1e-11), (torch.complex128, 1e-11)], ids=str
)
def test_the_answer_is_that_of_dense_algebra(kind, dtype, tolerance):
    function, b, exact, _ = affine(dtype=dtype)
    solution = fixed_point(kind(tolerance=tolerance), function, torch.zeros_like(b))
    assert solution.status is Status.converged
    assert solution.value.dtype == dtype
    assert ((solution.value - exact).norm(dim=1) <= 100 * tolerance * exact.norm(dim=1)).all()
    residual = (function(solution.value) - solution.value).norm(dim=1) / function(solution.value).norm(dim=1)
    assert (residual <= tolerance).all()
    torch.testing.assert_close(solution.stats["residual"], residual.real, rtol=1e-2, atol=tolerance * 1e-2)


@each_method
def test_maps_that_expand_have_fixed_points_too(kind):
    """The plain iteration blows up where the norm of the map is two; the residual is made small all the same."""
    b = random_tensor(1, 4, seed=1)
    matrix = 2 * torch.linalg.qr(random_tensor(4, 4)).Q

    def stretched(x):
        return x @ matrix.T + b

    exact = torch.linalg.solve(torch.eye(4, dtype=torch.float64) - matrix, b[0])
    solution = fixed_point(kind(tolerance=1e-10), stretched, torch.zeros_like(b))
    torch.testing.assert_close(solution.value[0], exact, rtol=1e-8, atol=1e-8)


def test_anderson_on_a_linear_map_is_gmres():
    """Walker and Ni (2011): x_k+1 = T(x of GMRES after k steps), with the whole past."""
    function, b, _, matrix = affine(batch=1)
    for steps in (1, 2, 4):
        mine = fixed_point(Anderson(tolerance=0.0, max_steps=steps + 1, memory=20), function, 0 * b, throw=False).value
        method = GMRES(tolerance=1e-15, max_steps=steps)
        theirs = solve(lambda x: x - (matrix @ x[..., None])[..., 0], b, method, throw=False).value
        torch.testing.assert_close(mine, function(theirs), rtol=1e-6, atol=1e-8)


def test_without_memory_it_is_the_plain_iteration_damped():
    method = Anderson(tolerance=0.0, max_steps=2, memory=0, damping=0.5)
    solution = fixed_point(method, torch.cos, torch.zeros(1, 1), throw=False)
    first = 0.5 * math.cos(0.0)
    assert solution.value.item() == pytest.approx(first + 0.5 * (math.cos(first) - first))


def test_broyden_on_one_number_is_the_secant_method():
    value = fixed_point(Broyden(tolerance=0.0, max_steps=2), torch.cos, torch.zeros(1, 1).double(), throw=False).value
    f0, f1 = 1.0, math.cos(1.0) - 1.0
    assert value.item() == pytest.approx(1.0 - f1 / (f1 - f0))


@each_method
def test_memory_decides_the_number_of_steps(kind):
    function, b, *_ = affine(spread=0.99)
    steps = [
        fixed_point(kind(tolerance=1e-10, max_steps=2000, memory=m), function, 0 * b).stats["steps"] for m in (1, 8)
    ]
    assert steps[1] < 0.7 * steps[0]


@each_method
def test_a_batch_equals_its_items(kind):
    """An easy image, a hard one, one at its fixed point already."""
    function, b, exact, matrix = affine()
    x0 = torch.stack([torch.zeros_like(b[0]), torch.zeros_like(b[0]), exact[2]])
    together = fixed_point(kind(tolerance=1e-9), function, x0)
    for i in range(3):
        alone = fixed_point(kind(tolerance=1e-9), lambda x, i=i: x @ matrix[i].T + b[i], x0[i : i + 1])
        torch.testing.assert_close(together.value[i : i + 1], alone.value, rtol=1e-10, atol=1e-12)
    assert torch.equal(together.value[2], exact[2])


@each_method
def test_trees_are_one_vector(kind):
    """Two tensors of two precisions and shapes that depend on each other."""

    def function(z):
        x, u = z
        return 0.3 * u.real.reshape(2, 1, 2, 3).float() + 1, (0.5 * x.reshape(2, 6).double() + 2) * (1 + 0.5j)

    x, u = torch.zeros(2, 1, 2, 3), torch.zeros(2, 6, dtype=torch.complex128)
    a, b = fixed_point(kind(tolerance=1e-6), function, (x, u)).value
    assert (a.dtype, b.dtype, a.shape, b.shape) == (x.dtype, u.dtype, x.shape, u.shape)
    torch.testing.assert_close(a, torch.full_like(x, 1.6 / 0.85), rtol=1e-5, atol=0)
    torch.testing.assert_close(b, torch.full_like(u, (2 + 0.8 / 0.85) * (1 + 0.5j)), rtol=1e-5, atol=0)


@each_method
def test_an_interrupted_run_goes_on_as_if_it_had_not_been(kind):
    function, b, *_ = affine()
    problem, method = FixedPoint(function), kind(tolerance=1e-10)
    whole = run(method, problem, method.init(problem, 0 * b))
    first = run(method, problem, method.init(problem, 0 * b), callback=lambda step, _: step == 3)
    second = run(method, problem, first.state)
    assert torch.equal(second.value, whole.value)
    assert 3 + second.stats["steps"] == whole.stats["steps"]


@each_method
def test_what_does_not_converge_raises_and_leaves_the_others_alone(kind):
    def function(x):
        return torch.stack([torch.cos(x[0]), x[1] + 1])

    with pytest.raises(SolverError, match=rf"{kind.__name__}: Stopped at max_steps.*image 1 of a batch of 2"):
        fixed_point(kind(max_steps=30), function, torch.zeros(2, 1))
    solution = fixed_point(kind(max_steps=30), function, torch.zeros(2, 1), throw=False)
    assert solution.stats["converged"].tolist() == [True, False]
    assert solution.value[0].item() == pytest.approx(0.73909, abs=1e-4)


@pytest.mark.parametrize(
    ("build", "words"),
    [
        (lambda: Anderson(memory=-1), "memory to be a whole number of at least 0"),
        (lambda: Anderson(damping=0.0), "damping above 0 and at most 1"),
        (lambda: Anderson(damping=1.5), "damping above 0 and at most 1"),
        (lambda: Anderson(tolerance=-1.0), "tolerance of at least 0"),
        (lambda: Broyden(memory=0), "memory to be a whole number of at least 1"),
        (lambda: Broyden(max_steps=-1), "max_steps of at least 0"),
    ],
)
def test_senseless_hyperparameters_are_refused(build, words):
    with pytest.raises(ArgumentError, match=words):
        build()
