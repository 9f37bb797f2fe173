"""DPIR: its schedule, and its steps as dense algebra with a linear denoiser."""

import pytest
import torch

from tests.support.tensors import flat, random_measurement, random_tensor
from wellposed.core.errors import ArgumentError
from wellposed.operators import Blur, Mask
from wellposed.optim import DPIR, LeastSquares, PlugAndPlay
from wellposed.solvers import run


def shrink(x, sigma):
    return x / (1 + sigma.view(-1, 1, 1, 1))


def levels(*values):
    return torch.tensor(values, dtype=torch.float64)


def solve(A, y, method, *, x0=None, **options):
    problem = PlugAndPlay(LeastSquares(A, y), shrink)
    x0 = torch.zeros(len(y), *A.image_shape, dtype=y.dtype) if x0 is None else x0
    return run(method, problem, method.init(problem, x0, **options))


def by_hand(H, y, x, sigmas, noise, trade_off):
    """The updates of the paper for one image, by dense algebra: rho = lambda s^2 / sigma^2."""
    for sigma in sigmas:
        rho = trade_off * noise**2 / sigma**2
        x = torch.linalg.solve(H.T @ H + rho * torch.eye(len(x), dtype=x.dtype), H.T @ y + rho * x) / (1 + sigma)
    return x


PUBLISHED = [49 / 255 * (0.05 / (49 / 255)) ** (k / 7) for k in range(8)]


@pytest.mark.parametrize(
    ("method", "options", "sigmas", "noise", "trade_off"),
    [
        (DPIR(), {}, PUBLISHED, 0.05, 0.23),
        (DPIR(trade_off=0.5), {}, PUBLISHED, 0.05, 0.5),
        (DPIR(max_steps=3, first=0.5), {}, [0.5, (0.5 * 0.05) ** 0.5, 0.05], 0.05, 0.23),
        (DPIR(max_steps=2), {"last": levels(0.1)}, [49 / 255, 0.1], 0.05, 0.23),
        (DPIR(max_steps=2), {"peak": 10.0}, [490 / 255, 0.05], 0.05, 0.23),
        (DPIR(max_steps=2), {"noise": levels(0.4)}, [0.4, 0.4], 0.4, 0.23),
        (DPIR(max_steps=1), {}, [0.05], 0.05, 0.23),
    ],
)
def test_steps_are_those_of_the_paper(method, options, sigmas, noise, trade_off):
    A = Blur(random_tensor(1, 1, 3, 2), (1, 5, 4))
    y, x0 = random_measurement(A, 1), random_tensor(1, 1, 5, 4, seed=5)
    value = solve(A, y, method, x0=x0, **{"noise": levels(0.05), **options}).value
    expected = by_hand(A.to_matrix()[0], flat(y)[0], flat(x0)[0], sigmas, noise, trade_off)
    torch.testing.assert_close(flat(value)[0], expected, atol=1e-4, rtol=1e-4)


def test_a_batch_equals_its_items():
    A = Mask(random_tensor(3, 1, 4, 5), (1, 4, 5))
    y = random_measurement(A, 3)
    noise, last, peak = levels(0.01, 0.05, 0.3), levels(0.02, 0.05, 0.1), levels(0.5, 1.0, 2.0)
    together = solve(A, y, DPIR(), noise=noise, last=last, peak=peak).value
    for i in range(3):
        one = slice(i, i + 1)
        alone = solve(
            A.with_params(mask=A.mask[one]), y[one], DPIR(), noise=noise[one], last=last[one], peak=peak[one]
        ).value
        torch.testing.assert_close(together[one], alone, rtol=0, atol=1e-14)


@pytest.mark.parametrize("scale", [1e-6, 1e6])
def test_the_scale_of_the_data_is_free(scale):
    """With a homogeneous denoiser: data, noise, levels and white scaled, and so is the image."""

    def homogeneous(x, sigma):
        size = x.abs().amax(dim=(1, 2, 3), keepdim=True)
        return x * size / (size + sigma.view(-1, 1, 1, 1))

    A = Mask(random_tensor(2, 1, 4, 5), (1, 4, 5))
    y = random_measurement(A, 2)

    def value(factor):
        problem = PlugAndPlay(LeastSquares(A, factor * y), homogeneous)
        state = DPIR().init(problem, factor * y, noise=levels(0.05 * factor), peak=factor)
        return run(DPIR(), problem, state).value

    torch.testing.assert_close(value(scale) / scale, value(1.0), rtol=1e-9, atol=0)


def test_the_factor_of_the_operator_is_free():
    """A, measurements and noise scaled together say the same of the image, if the last level does not move."""
    A = Mask(random_tensor(1, 1, 4, 5), (1, 4, 5))
    y = random_measurement(A, 1)
    one = solve(A, y, DPIR(), noise=levels(0.05)).value
    other = solve(A.with_params(mask=20 * A.mask), 20 * y, DPIR(), noise=levels(1.0), last=levels(0.05)).value
    torch.testing.assert_close(other, one, rtol=1e-9, atol=1e-12)


def test_resuming_equals_going_on():
    A = Mask(random_tensor(1, 1, 4, 5), (1, 4, 5))
    problem = PlugAndPlay(LeastSquares(A, random_measurement(A, 1)), shrink)
    method = DPIR(max_steps=6)
    start = method.init(problem, torch.zeros(1, 1, 4, 5, dtype=torch.float64), noise=levels(0.05))
    half = run(method, problem, start, callback=lambda step, _: step == 3)
    rest = run(method, problem, half.state, callback=lambda step, _: step == 3)
    torch.testing.assert_close(rest.value, run(method, problem, start).value, rtol=0, atol=0)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"max_steps": 0}, "max_steps to be a whole number of at least 1"),
        ({"first": 0.0}, "a positive first"),
        ({"trade_off": -1.0}, "a positive trade_off"),
    ],
)
def test_what_makes_no_sense_is_refused(options, sentence):
    with pytest.raises(ArgumentError, match=sentence):
        DPIR(**options)


@pytest.mark.parametrize("options", [{"noise": levels(0.0)}, {"noise": levels(0.1), "last": levels(0.0)}])
def test_levels_of_zero_are_refused(options):
    A = Mask(torch.ones(1, 1, 2, 2, dtype=torch.float64), (1, 2, 2))
    with pytest.raises(ArgumentError, match="noise levels above zero"):
        solve(A, torch.ones(1, 1, 2, 2, dtype=torch.float64), DPIR(), **options)
