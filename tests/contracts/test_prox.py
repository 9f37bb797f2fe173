"""The contract of data fidelities and priors, run on everything that is registered."""

import pytest
import torch

from tests.contracts.prox_cases import BATCH, CASES, SHAPE, images, measurements
from tests.support.tensors import random_tensor
from wellposed import optim
from wellposed.core.errors import ArgumentError, ShapeError, UnsupportedError
from wellposed.core.tree import inner, norm

every_case = pytest.mark.parametrize("case", CASES.values(), ids=CASES)
every_field = pytest.mark.parametrize(
    ("case", "is_complex"),
    [(case, kind) for case in CASES.values() for kind in (False, True) if case.takes_complex or not kind],
    ids=[
        f"{name}-{'complex' if kind else 'real'}"
        for name, case in CASES.items()
        for kind in (False, True)
        if case.takes_complex or not kind
    ],
)
GAMMA = torch.tensor([0.2, 1.0, 4.0], dtype=torch.float64)
WITHOUT_PROX = {"RED", "GradientStep", "Score"}
COMBINED = {"StackedDistance", "DenoiserProx", "Functional"}
NESTED = {"TotalGeneralisedVariation"}


def smooth_cases():
    return {name: case for name, case in CASES.items() if case.make(measurements(case), 1.0).has("gradient")}


def inside(case, x):
    """Images where the function is finite and differentiable."""
    return x.abs() + 0.1 if case.positive and not x.is_complex() else x


def test_every_function_has_a_case():
    """A new one without an entry would escape the contract."""
    public = {
        name
        for name in optim.__all__
        if isinstance(getattr(optim, name), type) and issubclass(getattr(optim, name), optim.Functional)
    }
    assert public - WITHOUT_PROX - COMBINED - NESTED == {name.split(",")[0] for name in CASES} - {"wavelet_prior"}


@every_field
def test_prox_is_the_minimiser(case, is_complex):
    """O3, O4: no point nearby, along many directions and many sizes of step, is better; nor is z, zero or y."""
    y, z = measurements(case, make_complex=is_complex), images(case, make_complex=is_complex)
    g = case.make(y, 1.0)
    best = g.prox(z, GAMMA)

    def objective(x):
        return GAMMA * g.value(x) + norm(x - z).square() / 2

    least = objective(best)
    assert torch.isfinite(least).all()
    slack = case.tolerance * (1 + least.abs())
    for other in (z, torch.zeros_like(z), y, -z):
        assert (objective(other) >= least - slack).all()
    for seed in range(12):
        direction = random_tensor(BATCH, *SHAPE, seed=seed, dtype=z.dtype)
        for size in (1e-4, 1e-2, 1.0, -1e-4, -1e-2):
            assert (objective(best + size * direction) >= least - slack).all()


@every_case
def test_prox_of_one_pixel_is_found_by_brute_force(case):
    """Each pixel in turn is moved over a grid with the others at their best: none is better."""
    y, z = measurements(case), images(case)
    g = case.make(y, 1.0)
    best = g.prox(z, GAMMA)
    least = GAMMA * g.value(best) + norm(best - z).square() / 2
    grid = torch.linspace(-4, 4, 33, dtype=torch.float64)
    for pixel in range(6):
        for value in grid:
            x = best.clone()
            x.view(BATCH, -1)[:, pixel] = value
            assert (GAMMA * g.value(x) + norm(x - z).square() / 2 >= least - case.tolerance * (1 + least.abs())).all()


@every_field
def test_moreau(case, is_complex):
    """z = prox_(gamma g)(z) + gamma prox_(g^* / gamma)(z / gamma), with the weight of g moved into gamma or not."""
    y, z = measurements(case, make_complex=is_complex), images(case, make_complex=is_complex)
    g, column = case.make(y, 1.0), GAMMA.view(-1, 1, 1, 1)
    conjugate = g.conjugate_prox(z / column, 1 / GAMMA)
    torch.testing.assert_close(g.prox(z, GAMMA) + column * conjugate, z, atol=10 * case.tolerance, rtol=0)
    weighted = g.conjugate_prox(z, 0.5, GAMMA)
    torch.testing.assert_close(0.5 * g.prox(z / 0.5, GAMMA / 0.5) + weighted, z, atol=10 * case.tolerance, rtol=0)


@every_field
def test_prox_is_firmly_non_expansive(case, is_complex):
    """||p - q||^2 <= <p - q, z - w> for convex functions."""
    g = case.make(measurements(case, make_complex=is_complex), 1.0)
    if not g.convex:
        return
    z, w = images(case, 5, make_complex=is_complex), images(case, 6, make_complex=is_complex)
    difference = g.prox(z, GAMMA) - g.prox(w, GAMMA)
    assert (norm(difference).square() <= inner(difference, z - w).real + 10 * case.tolerance).all()


@every_case
@pytest.mark.parametrize("scale", [1e-6, 1e6])
def test_the_scale_of_the_data_is_free(case, scale):
    """A function of degree d: prox of gamma at z, everything scaled by s, is s times that of gamma s^(2 - d)."""
    y, z = measurements(case), images(case)
    one = case.make(y, 1.0).prox(z, GAMMA)
    other = case.make(scale * y, scale).prox(scale * z, GAMMA * scale ** (2 - case.degree))
    torch.testing.assert_close(other / scale, one, rtol=10 * case.tolerance, atol=10 * case.tolerance)


@every_case
def test_a_batch_equals_its_items(case):
    """O3, O15: value, gradient, prox and conjugate."""
    y, z = measurements(case), inside(case, images(case))
    g = case.make(y, 1.0)
    for i in range(BATCH):
        one = slice(i, i + 1)
        alone = case.make(y[one], 1.0)
        torch.testing.assert_close(g.value(z)[one], alone.value(z[one]))
        torch.testing.assert_close(g.prox(z, GAMMA)[one], alone.prox(z[one], GAMMA[one]))
        torch.testing.assert_close(g.conjugate_prox(z, GAMMA, 2.0)[one], alone.conjugate_prox(z[one], GAMMA[one], 2.0))
        if g.has("gradient"):
            torch.testing.assert_close(g.gradient(z)[one], alone.gradient(z[one]))


@every_case
def test_the_same_question_has_the_same_answer_and_nothing_is_written(case):
    """O15, O5: no warm start hides in the object, and the caller's tensors stay as they were."""
    y, z = measurements(case), images(case)
    kept = y.clone(), z.clone()
    g = case.make(y, 1.0)
    first = g.prox(z, GAMMA)
    g.prox(2 * z, GAMMA), g.value(z)
    assert torch.equal(g.prox(z, GAMMA), first)
    assert torch.equal(y, kept[0])
    assert torch.equal(z, kept[1])
    assert not z.requires_grad


@every_case
def test_single_precision_and_numbers(case):
    """A number and one per image are the same thing; float32 stays float32."""
    y, z = measurements(case), images(case)
    g = case.make(y, 1.0)
    torch.testing.assert_close(g.prox(z, 0.7), g.prox(z, torch.full((BATCH,), 0.7, dtype=torch.float64)))
    with pytest.raises(ShapeError, match="number or of shape"):
        g.conjugate_prox(z, torch.ones(2), torch.ones(2))


@pytest.mark.parametrize("name", smooth_cases())
@pytest.mark.parametrize("is_complex", [False, True], ids=["real", "complex"])
def test_gradient_is_that_of_autograd(name, is_complex):
    """O3: the gradient once was gain^2 times autograd's."""
    case = CASES[name]
    if is_complex and not case.takes_complex:
        return
    g = case.make(measurements(case, make_complex=is_complex), 1.0)
    x = inside(case, images(case, make_complex=is_complex)).requires_grad_()
    objective = g.value(x).sum() + 0 * x.abs().sum()
    (expected,) = torch.autograd.grad(objective, x)
    torch.testing.assert_close(g.gradient(x.detach()), expected)


@pytest.mark.parametrize("name", smooth_cases())
def test_lipschitz_constant_bounds_the_function_from_above(name):
    """And is reached, or nearly: no half of it would do, where it is not a bound over a range."""
    case = CASES[name]
    g = case.make(measurements(case), 1.0)
    x, h = inside(case, images(case)), random_tensor(BATCH, *SHAPE, seed=9)
    h = h.abs() if case.positive else h
    bound = g.value(x) + inner(g.gradient(x), h) + g.lipschitz() / 2 * norm(h).square()
    assert (g.value(x + h) <= bound * (1 + 1e-12) + 1e-12).all()


@pytest.mark.parametrize("name", sorted(set(CASES) - set(smooth_cases())))
def test_without_a_gradient_one_is_told(name):
    case = CASES[name]
    g = case.make(measurements(case), 1.0)
    with pytest.raises(UnsupportedError, match="has no gradient"):
        (g.functional if isinstance(g, optim.Composite) else g).gradient(images(case))


def test_a_composite_without_a_closed_form_says_what_to_use():
    f = optim.Composite(optim.L1Norm(), CASES["LeastSquares, iterated"].make(torch.zeros(1, *SHAPE), 1.0).operator)
    assert not f.has("prox")
    with pytest.raises(UnsupportedError, match="PrimalDual"):
        f.prox(torch.zeros(1, *SHAPE, dtype=torch.float64), 1.0)


def test_negative_sizes_are_refused():
    with pytest.raises(ArgumentError, match="must not be negative"):
        optim.L1Norm().prox(torch.zeros(1, *SHAPE), -1.0)


def test_parts_of_a_stack_add_up():
    parts = (optim.SquaredDistance(torch.ones(2, 3)), optim.AbsoluteDistance(torch.zeros(2, 4)))
    stacked, u = optim.StackedDistance(parts), (random_tensor(2, 3).float(), random_tensor(2, 4).float())
    torch.testing.assert_close(stacked.value(u), parts[0].value(u[0]) + parts[1].value(u[1]))
    for part, v, got, dual in zip(parts, u, stacked.prox(u, 0.3), stacked.conjugate_prox(u, 0.3, 2.0), strict=True):
        assert torch.equal(got, part.prox(v, 0.3))
        assert torch.equal(dual, part.conjugate_prox(v, 0.3, 2.0))
    assert not stacked.has("gradient")
