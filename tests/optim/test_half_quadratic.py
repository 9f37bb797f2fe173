"""Half-quadratic splitting with linear denoisers, whose steps and limits are dense algebra."""

import pytest
import torch

from tests.support.tensors import flat, random_measurement, random_tensor, times
from wellposed.core.errors import ArgumentError, SolverError
from wellposed.operators import Blur, CartesianMRI, Downsample, Mask
from wellposed.optim import HQS, LeastSquares, PlugAndPlay
from wellposed.solvers import CG, Status, run

OPERATORS = {
    "closed form": Downsample(2, (1, 4, 4)).double(),
    "iterated": Blur(random_tensor(1, 1, 3, 3), (1, 5, 4)),
    "complex": CartesianMRI(random_tensor(1, 1, 4, 5).abs(), (1, 4, 5)),
    "per image": Mask(random_tensor(3, 1, 4, 5), (1, 4, 5)),
}
every_operator = pytest.mark.parametrize("A", OPERATORS.values(), ids=OPERATORS)


def smoothing(sigma):
    """The filter (1 - s) x + s (mean of x and its two neighbours in a row), with s = sigma / (1 + sigma), per image."""

    def matrix(columns):
        shift = torch.eye(columns, dtype=torch.float64).roll(1, 0)
        return (torch.eye(columns, dtype=torch.float64) + shift + shift.T) / 3

    def denoise(x, level):
        share = (level / (1 + level)).view(-1, 1, 1, 1)
        return (1 - share) * x + share * (x @ matrix(x.shape[-1]).to(x.dtype))

    return denoise if sigma is None else lambda x: denoise(x, torch.full((len(x),), sigma, dtype=torch.float64))


def dense(function, shape, dtype):
    """Return the matrix of a linear function of images."""
    count = int(torch.tensor(shape).prod())
    units = torch.eye(count, dtype=dtype).view(count, *shape)
    return flat(function(units)).mT


def problem_of(A, batch=3):
    y = random_measurement(A, batch)
    return PlugAndPlay(LeastSquares(A, y), smoothing(None))


@every_operator
@pytest.mark.parametrize(("gamma", "sigma", "steps"), [(0.7, 0.5, 1), (0.7, 0.5, 3), (2.5, 0.5, 3), (0.7, 2.0, 3)])
def test_steps_are_those_of_dense_algebra(A, gamma, sigma, steps):
    problem = problem_of(A)
    y = flat(problem.data.y)
    x0 = torch.ones(3, *A.image_shape, dtype=y.dtype)
    method = HQS(gamma=gamma, sigma=sigma, max_steps=steps)
    solution = run(method, problem, method.init(problem, x0))
    H = A.to_matrix()
    D = dense(smoothing(sigma), A.image_shape, H.dtype)
    x = flat(x0).to(H.dtype)
    for _ in range(steps):
        right = gamma * times(H.mH, y) + x
        x = times(
            D, torch.linalg.solve(gamma * H.mH @ H + torch.eye(x.shape[1], dtype=H.dtype), right[..., None])[..., 0]
        )
    assert solution.status is Status.completed
    torch.testing.assert_close(flat(solution.value).to(H.dtype), x, atol=1e-4, rtol=0)


def test_its_limit_is_the_fixed_point_of_the_two_maps():
    A = Mask(random_tensor(1, 1, 4, 5), (1, 4, 5))
    problem = problem_of(A, batch=1)
    method = HQS(gamma=0.5, sigma=1.0, tolerance=1e-12, max_steps=2000)
    solution = run(method, problem, method.init(problem, torch.zeros(1, 1, 4, 5, dtype=torch.float64)))
    H, D = A.to_matrix()[0], dense(smoothing(1.0), (1, 4, 5), torch.float64)
    eye = torch.eye(20, dtype=torch.float64)
    B = torch.linalg.inv(0.5 * H.T @ H + eye)
    limit = torch.linalg.solve(eye - D @ B, D @ B @ (0.5 * H.T @ flat(problem.data.y)[0]))
    assert solution.status is Status.converged
    torch.testing.assert_close(flat(solution.value)[0], limit, atol=1e-9, rtol=0)


def test_a_proximal_denoiser_minimises_the_objective():
    """With D the proximal step of w / 2 ||x||^2, the limit is D of the minimiser u of f plus its Moreau envelope."""
    A, weight, gamma = Mask(random_tensor(1, 1, 3, 3)), 0.4, 0.8
    y = random_measurement(A, 1)
    problem = PlugAndPlay(LeastSquares(A, y), lambda x, _: x / (1 + gamma * weight))
    method = HQS(gamma=gamma, sigma=0.0, tolerance=1e-13, max_steps=2000)
    x = run(method, problem, method.init(problem, torch.zeros_like(y))).value
    envelope = weight / (1 + gamma * weight)
    u = A.mask * y / (A.mask.square() + envelope)
    torch.testing.assert_close(x, u / (1 + gamma * weight), atol=1e-10, rtol=0)


def test_an_image_that_has_converged_rests():
    A = Mask(torch.ones(1, 1, 2, 2, dtype=torch.float64), (1, 2, 2))
    y = torch.stack([torch.zeros(1, 2, 2), torch.ones(1, 2, 2)]).double()
    problem = PlugAndPlay(LeastSquares(A, y), lambda x, _: 0.9 * x)
    method = HQS(gamma=0.1, sigma=0.0, tolerance=1e-3, max_steps=500)
    seen = []
    solution = run(method, problem, method.init(problem, y), callback=lambda _, s: seen.append(s.active.tolist()))
    assert seen[0] == [False, True]
    assert solution.stats["steps"] > 5
    assert solution.value[0].abs().max() == 0


def test_too_few_steps_are_told():
    problem = problem_of(OPERATORS["per image"])
    method = HQS(gamma=0.5, sigma=1.0, tolerance=1e-12, max_steps=3)
    with pytest.raises(SolverError, match="max_steps"):
        run(method, problem, method.init(problem, torch.zeros(3, 1, 4, 5, dtype=torch.float64)))


@pytest.mark.parametrize(("gamma", "sigma"), [(0.0, 0.1), (-1.0, 0.1), (1.0, -0.1), (float("nan"), 0.1)])
def test_what_makes_no_sense_is_refused(gamma, sigma):
    with pytest.raises(ArgumentError, match="HQS expects"):
        HQS(gamma=gamma, sigma=sigma)


def test_an_approximate_proximal_step_nears_the_exact_one():
    """The more steps its solver takes; with a closed form there is nothing to approximate."""
    A = OPERATORS["iterated"]
    y, z = random_measurement(A, 2), random_tensor(2, 1, 5, 4, seed=7)
    gamma = torch.tensor([0.5, 20.0], dtype=torch.float64)
    exact = A.prox(z, y, gamma)
    errors = [
        (LeastSquares(A, y, solver=CG(tolerance=0, max_steps=steps)).prox(z, gamma) - exact).norm()
        for steps in (1, 4, 20)
    ]
    assert errors[0] > 2 * errors[1] > 1e3 * errors[2]
    closed = OPERATORS["per image"]
    y, z = random_measurement(closed, 3), random_tensor(3, 1, 4, 5)
    one = LeastSquares(closed, y, solver=CG(max_steps=1)).prox(z, 2.0)
    torch.testing.assert_close(one, closed.prox(z, y, 2.0), rtol=0, atol=0)
