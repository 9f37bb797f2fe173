"""Operators on coarse grids against dense algebra, folded spectra, block sums, and the composition one by one."""

import copy

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.tensors import assert_same, flat, random_image, random_measurement, random_tensor, times
from wellposed.core.errors import ArgumentError, DTypeError, ShapeError, UnknownNameError
from wellposed.core.tree import norm
from wellposed.operators import (
    BayerMosaic,
    Blur,
    CartesianMRI,
    Coarse,
    Downsample,
    FiniteDifferences,
    FromFunctions,
    Identity,
    Mask,
    Stack,
)
from wellposed.operators.filters import FILTERS

SPECTRAL, STENCIL, WINDOWED, COMPOSED = {"gram", "norm", "prox"}, {"gram"}, {"gram"}, set()


def mask(*shape, seed=0):
    """Return weights of both signs, some of them zero."""
    return (random_tensor(*shape, seed=seed) * (random_tensor(*shape, seed=seed + 1) > -0.5)).float()


def kernel(*shape, seed=0):
    return random_tensor(*shape, seed=seed).float()


def reverse(x):
    return x.flip(-1)


CASES = {
    "mask x2": (Mask(mask(1, 1, 16, 8), (2, 16, 8)), 2, STENCIL),
    "mask x3": (Mask(mask(1, 1, 12, 9)), 3, STENCIL),
    "mask x4": (Mask(mask(1, 2, 16, 8)), 4, STENCIL),
    "mask x8": (Mask(mask(1, 1, 16, 8), (2, 16, 8)), 8, STENCIL),
    "mask per image": (Mask(mask(3, 1, 8, 16), (2, 8, 16)), 2, STENCIL),
    "mask per image and channel": (Mask(mask(3, 2, 8, 12)), 4, STENCIL),
    "multiple of a mask": (-3 * (0.5 * Mask(mask(1, 1, 8, 12))), 4, STENCIL),
    "mosaic x2": (BayerMosaic((3, 8, 4), "GRBG"), 2, SPECTRAL),
    "mosaic x3": (BayerMosaic((3, 9, 6), "BGGR"), 3, STENCIL),
    "identity x2": (Identity((2, 8, 12)), 2, SPECTRAL),
    "identity x8": (Identity((1, 16, 8)), 8, SPECTRAL),
    "circular blur x2": (Blur(kernel(1, 1, 3, 4), (2, 12, 10), padding="circular"), 2, SPECTRAL),
    "circular blur x4, kernel per image": (
        Blur(kernel(3, 1, 7, 5), (2, 8, 16), padding="circular", method="fft"),
        4,
        SPECTRAL,
    ),
    "multiple of a circular blur": (
        Blur(kernel(1, 2, 3, 3), (2, 6, 9), padding="circular") * torch.tensor([0.3, -2.0, 1.5]),
        3,
        SPECTRAL,
    ),
    "valid blur": (Blur(kernel(1, 1, 3, 2), (2, 12, 8)), 4, WINDOWED),
    "valid blur x3, odd sizes": (Blur(kernel(1, 2, 4, 7), (2, 9, 15), method="fft"), 3, WINDOWED),
    "multiple of a valid blur, kernel per image": (-0.2 * Blur(kernel(3, 1, 5, 5), (1, 8, 12)), 2, WINDOWED),
    "blur of a reflected image": (Blur(kernel(1, 1, 3, 2), (2, 12, 8), "reflect"), 4, COMPOSED),
    "super-resolution x4 on x2": (Downsample(4, (1, 16, 24)), 2, SPECTRAL),
    "super-resolution x6 on x2": (Downsample(6, (1, 12, 18), kernel(3, 1, 5, 4)), 2, SPECTRAL),
    "super-resolution x2 on x2": (Downsample(2, (2, 8, 10)), 2, SPECTRAL),
    "super-resolution x2 on x4": (Downsample(2, (1, 16, 12), "box"), 4, SPECTRAL),
    "super-resolution x3 on x2": (Downsample(3, (1, 12, 18)), 2, COMPOSED),
    "k-space x2": (CartesianMRI(mask(1, 1, 10, 8), (1, 10, 8)), 2, SPECTRAL),
    "k-space x3, odd sizes": (CartesianMRI(mask(1, 1, 9, 15), (1, 9, 15)), 3, SPECTRAL),
    "k-space x4, columns per image": (CartesianMRI(mask(3, 1, 1, 12), (2, 8, 12)), 4, SPECTRAL),
    "complex multiple of k-space": ((1 - 2j) * CartesianMRI(mask(1, 1, 6, 8), (1, 6, 8)), 2, SPECTRAL),
    "differences": (FiniteDifferences((1, 8, 6)), 2, COMPOSED),
    "stack": (Stack((Mask(mask(1, 1, 8, 4)), Identity((1, 8, 4)))), 2, COMPOSED),
    "your own": (FromFunctions(reverse, reverse, (1, 8, 6), (1, 8, 6)), 2, COMPOSED),
}
every_case = pytest.mark.parametrize(("operator", "factor", "closed"), CASES.values(), ids=CASES)
every_kind = pytest.mark.parametrize(
    ("name", "field"),
    [
        (name, field)
        for name, (operator, _, _) in CASES.items()
        for field in (("real", "complex") if operator.image_field == "any" else (operator.image_field,))
    ],
    ids=str,
)


def coarse(operator, factor, name="sinc", dtype=torch.float64):
    return Coarse(copy.deepcopy(operator), factor, name).to(dtype)


def dense(A):
    """Return A U_s from the dense matrices of its factors."""
    channels = [1 if size is None else size for size in A.operator.image_shape[:1]]
    down = Downsample(A.factor, (*channels, *A.operator.image_shape[1:]), A.filter)
    return A.operator.to_matrix() @ down.to_matrix().mH.to(A.operator.zero_image().dtype)


@every_kind
@pytest.mark.parametrize(("dtype", "limit"), [(torch.float32, 1e-5), (torch.float64, 1e-10)], ids=["single", "double"])
def test_equals_the_dense_matrices(name, field, dtype, limit):
    operator, factor, _ = CASES[name]
    A = coarse(operator, factor, dtype=dtype)
    matrix = dense(A)
    x, y = random_image(A, 3, field=field), random_measurement(A, 3, field=field)
    for got, expected in (
        (A(x), times(matrix, flat(x))),
        (A.adjoint(y), times(matrix.mH, flat(y))),
        (A.gram(x), times(matrix.mH, times(matrix, flat(x)))),
    ):
        assert flat(got).dtype == expected.dtype
        assert (norm(flat(got) - expected) <= limit * norm(expected)).all()


@every_case
def test_closed_forms_are_those_that_are_declared(operator, factor, closed):
    A = coarse(operator, factor)
    assert {name for name in ("gram", "norm", "pinv", "prox") if A.has_closed_form(name)} == closed


@every_case
def test_norm_and_prox_equal_dense_algebra(operator, factor, closed):
    """L1, L13: every argument counts, gamma per image, also where the answer is iterated."""
    A = coarse(operator, factor)
    matrix = dense(A)
    expected = torch.linalg.matrix_norm(matrix, ord=2)
    torch.testing.assert_close(A.norm(), expected, rtol=1e-10 if "norm" in closed else 1e-3, atol=0)
    z, y = random_image(A, 3, seed=2), random_measurement(A, 3, seed=3)
    gamma = torch.tensor([0.3, 1.0, 7.0], dtype=torch.float64)
    system = gamma[:, None, None] * (matrix.mH @ matrix) + torch.eye(matrix.shape[-1])
    minimiser = torch.linalg.solve(system, gamma[:, None] * times(matrix.mH, flat(y)) + flat(z))
    limit = 1e-10 if "prox" in closed else 1e-5
    assert (norm(flat(A.prox(z, y, gamma)) - minimiser) <= limit * norm(minimiser)).all()


@pytest.mark.parametrize("name", FILTERS)
@pytest.mark.parametrize("factor", [2, 4, 8])
def test_the_filter_counts(name, factor):
    operator = Mask(mask(1, 1, 16, 24))
    A, x = coarse(operator, factor, name), random_tensor(2, 3, 16 // factor, 24 // factor)
    down = Downsample(factor, (3, 16, 24), name).double()
    weights = operator.mask.double()
    torch.testing.assert_close(A.gram(x), down(weights.square() * down.adjoint(x)), rtol=1e-10, atol=1e-10)
    assert name == "bilinear" or not torch.allclose(A.gram(x), coarse(operator, factor, "bilinear").gram(x), rtol=1e-2)


@settings(max_examples=60, deadline=None, derandomize=True, database=None)
@given(
    factor=st.integers(2, 5),
    size=st.tuples(st.integers(1, 4), st.integers(1, 4)),
    taps=st.tuples(st.integers(1, 9), st.integers(1, 9)),
    batches=st.sampled_from([(1, 1), (1, 3), (3, 1), (3, 3)]),
    channels=st.sampled_from([(1, 1), (1, 2), (2, 1), (2, 2)]),
)
def test_any_mask_under_any_filter(factor, size, taps, batches, channels):
    """Also filters that are wider than the image, and weights and filters per image and channel."""
    space = [factor * length for length in size]
    weights = random_tensor(batches[0], channels[0], *space)
    filters = random_tensor(batches[1], channels[1], *taps, seed=1)
    x = random_tensor(3, 2, *size, seed=2)
    down = Downsample(factor, (2, *space), filters)
    A = Coarse(Mask(weights, (2, *space)), factor, filters)
    torch.testing.assert_close(A.gram(x), down(weights.square() * down.adjoint(x)), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("factor", [2, 3, 4])
def test_box_filter_sums_the_mask_over_blocks(factor):
    """Blocks do not overlap, so that the stencil is one number per coarse pixel, known by hand."""
    weights = mask(1, 1, 2 * factor, 3 * factor).double()
    x = random_tensor(1, 1, 2, 3)
    blocks = weights.square().reshape(2, factor, 3, factor).sum((1, 3)) / factor**4
    A = coarse(Mask(weights.float()), factor, "box")
    torch.testing.assert_close(A.gram(x), blocks * x, rtol=1e-6, atol=1e-9)


def dft(size, taps):
    """Return exp(-2 pi i k n / size) for all frequencies k and the taps n."""
    return torch.exp(-2j * torch.pi * torch.outer(torch.arange(size), torch.arange(taps)).double() / size)


@pytest.mark.parametrize("factor", [2, 4])
def test_blur_folds_its_power_spectrum(factor):
    """The eigenvalue of a coarse frequency is the mean of |K|^2 |H|^2 over the fine ones that alias to it."""
    point_spread = kernel(1, 1, 5, 3)
    A = coarse(Blur(point_spread, (1, 8, 16), padding="circular"), factor)
    sizes = (8 // factor, 16 // factor)
    power = torch.ones(8, 16, dtype=torch.float64)
    for taps in (point_spread[0, 0].double(), A.filter[0, 0]):
        rows, columns = (dft(size, length) for size, length in zip((8, 16), taps.shape, strict=True))
        power *= (rows @ taps.to(torch.complex128) @ columns.mT).abs().square()
    folded = power.reshape(factor, sizes[0], factor, sizes[1]).mean((0, 2))
    x = random_tensor(1, 1, *sizes)
    expected = torch.fft.ifft2(torch.fft.fft2(x) * folded).real
    torch.testing.assert_close(A.gram(x), expected, rtol=1e-10, atol=1e-10)
    assert A.norm().item() == pytest.approx(folded.max().sqrt().item(), rel=1e-10)


def test_a_coarse_grid_is_better_posed():
    """Figure 3 of the paper: what the blur destroys, the coarse grid does not hold."""
    width = torch.arange(9.0) - 4
    profile = torch.exp(-(width**2) / (2 * 1.5**2))
    blur = Blur(torch.outer(profile, profile)[None, None] / profile.sum() ** 2, (1, 16, 16), padding="circular")
    fine, half, quarter = (torch.linalg.cond(A.to_matrix()) for A in (blur.double(), coarse(blur, 2), coarse(blur, 4)))
    assert fine > 50 * half
    assert half > 2 * quarter


@pytest.mark.parametrize("name", [name for name, (_, _, closed) in CASES.items() if closed])
def test_no_fine_image_is_made_again(name, monkeypatch):
    """The peer rebuilds its filters and goes through the fine grid at each call (row `models/ram.py`)."""
    operator, factor, _ = CASES[name]
    A = coarse(operator, factor)
    one, other = random_image(A, 3, seed=0), random_image(A, 3, seed=1)
    expected = A.adjoint(A(other))
    A.gram(one)
    monkeypatch.setattr(Downsample, "_adjoint", None)
    assert_same(A.gram(other), expected)
    with pytest.raises(TypeError, match="not callable"):
        A(other)


@pytest.mark.parametrize("parameter", ["mask", "filter"])
@pytest.mark.parametrize("factor", [2, 3])
def test_gradients_in_the_parameters_equal_those_of_the_composition(parameter, factor):
    """L7: through the stencil, with neighbours on all sides."""
    down = Downsample(factor, (1, 18, 12), "sinc").double()
    weights, x, direction = (
        mask(1, 1, 18, 12).double(),
        *(random_tensor(2, 1, 18 // factor, 12 // factor) for _ in "ab"),
    )
    A = Coarse(Mask(weights), factor, down.filter)
    leaf = A.params[parameter].clone().requires_grad_()
    composed = (Mask(weights) @ down.H).with_params(**{parameter: leaf})
    gradients = [
        torch.autograd.grad((direction * gram(x)).sum(), leaf)[0]
        for gram in (A.with_params(**{parameter: leaf}).gram, composed.gram)
    ]
    torch.testing.assert_close(*gradients, rtol=1e-10, atol=1e-10)
    assert gradients[0].abs().max() > 1e-3


def test_a_subclass_is_not_taken_for_its_parent():
    """Only the classes whose formulas are known have the closed forms."""

    class Doubled(Mask):
        def _gram(self, x):
            return 4 * super()._gram(x)

    weights, x = mask(1, 1, 8, 8), random_tensor(1, 1, 4, 4).float()
    A = Coarse(Doubled(weights), 2)
    assert not A.has_closed_form("gram")
    torch.testing.assert_close(A.gram(x), 4 * Coarse(Mask(weights), 2).gram(x), rtol=1e-4, atol=1e-5)


def test_a_new_mask_makes_a_new_table():
    """O9: also where the mask is below a multiple, and changed in place."""
    weights, x = mask(1, 1, 8, 8), random_tensor(1, 1, 4, 4).float()
    A = Coarse(2 * Mask(weights), 2)
    before = A.gram(x)
    weights.mul_(3)
    torch.testing.assert_close(A.gram(x), 9 * before, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(
        A.gram(x, mask=weights / 3) if False else A.with_params(mask=weights / 3).gram(x), before
    )


@pytest.mark.parametrize("made_inside", [True, False])
def test_inference_mode_changes_nothing(made_inside):
    weights, x = mask(1, 1, 8, 8), random_tensor(1, 1, 4, 4).float()
    expected = Coarse(Mask(weights), 2).gram(x)
    with torch.inference_mode():
        A = Coarse(Mask(weights.clone() if made_inside else weights), 2)
        torch.testing.assert_close(A.gram(x), expected)
        torch.testing.assert_close(A.gram(x), expected)


def test_the_inner_filter_is_named_by_its_place():
    A = Coarse(Downsample(2, (1, 8, 8)), 4)
    assert set(A.params) == {"filter", "operator.filter"}
    wider = A.with_params(**{"operator.filter": torch.ones(1, 1, 2, 2)})
    assert torch.equal(wider.operator.filter, torch.ones(1, 1, 2, 2))
    assert torch.equal(wider.filter, A.filter)


def test_a_named_filter_has_the_precision_of_the_operator():
    assert Coarse(Mask(mask(1, 1, 8, 8).double()), 2).filter.dtype == torch.float64


@pytest.mark.parametrize(
    ("operator", "factor", "taps", "error", "match"),
    [
        (
            Identity((1, 8, 8)),
            1,
            "sinc",
            ArgumentError,
            "^Coarse expects factor to be a whole number of at least 2, got 1",
        ),
        (Identity((1, 8, 9)), 2, "sinc", ShapeError, "^Coarse by 2 .* multiples of 2, got Identity on .*: set its"),
        (Identity(), 2, "sinc", ShapeError, r"^Coarse by 2 .* \(None, None, None\)"),
        (Mask(torch.ones(1, 1, 4, 4, 4)), 2, "sinc", ShapeError, r"^Coarse by 2 expects .* images \(C, H, W\)"),
        (Identity((1, 8, 8)), 2, "sink", UnknownNameError, "did you mean 'sinc'"),
        (Identity((1, 8, 8)), 2, 3.0, DTypeError, "^Coarse expects filter to be a torch.Tensor, got float"),
        (Identity((3, 8, 8)), 2, torch.ones(1, 2, 3, 3), ShapeError, "expects a real filter of shape"),
    ],
)
def test_bad_arguments_are_refused(operator, factor, taps, error, match):
    with pytest.raises(error, match=match):
        Coarse(operator, factor, taps)
