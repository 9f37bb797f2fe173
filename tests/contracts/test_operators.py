"""The contract of operators as linear maps, run on everything that is registered, against dense algebra."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.contracts.operator_cases import DOUBLE, batches, every_field, every_operator, every_parameter
from tests.support.tensors import assert_same, differ, flat, random_image, random_measurement, times
from wellposed import operators
from wellposed.core.tree import inner, norm, tree_leaves, tree_map
from wellposed.operators import Adjoint
from wellposed.operators.examples import EXAMPLES

seeds = st.integers(0, 2**32 - 1)
few = settings(max_examples=4, deadline=None, derandomize=True, database=None)
precisions = pytest.mark.parametrize(
    ("dtype", "limit"), [(torch.float32, 1e-5), (torch.float64, 1e-12)], ids=["float32", "float64"]
)


def test_every_operator_has_examples():
    """A new operator without an entry in EXAMPLES would escape the contract."""
    registered = set(operators.__all__) - {"Operator", "LinearOperator"}
    assert {name.partition(",")[0] for name in EXAMPLES} == registered
    assert all(type(operator).__name__ == name.partition(",")[0] for name, operator in DOUBLE.items())


@every_field
@few
@given(seed=seeds, scale=st.floats(-1e3, 1e3))
def test_linear(name, field, seed, scale):
    """A(c x + z) = c A(x) + A(z), complex c where images are complex."""
    A = DOUBLE[name]
    factor = complex(scale, 2.0) if field == "complex" else scale
    x, z = random_image(A, seed=seed, field=field), random_image(A, seed=seed + 1, field=field)
    combined = A(tree_map(lambda a, b: factor * a + b, x, z))
    expected = tree_map(lambda a, b: factor * a + b, A(x), A(z))
    assert (norm(tree_map(torch.sub, combined, expected)) <= 1e-12 * (1 + abs(factor)) * (norm(x) + norm(z))).all()


@every_field
@precisions
@few
@given(seed=seeds)
def test_adjoint_is_the_transpose(name, field, dtype, limit, seed):
    """L9: <A x, y> = <x, A^H y> with its imaginary part, relative to sizes and not to a product that may be zero."""
    A = EXAMPLES[name]().to(dtype)
    for batch in batches(A):
        x, y = random_image(A, batch, seed, field), random_measurement(A, batch, seed + 1, field)
        forward, adjoint = A(x), A.adjoint(y)
        assert all(leaf.dtype == like.dtype for leaf, like in zip(tree_leaves(adjoint), tree_leaves(x), strict=True))
        scale = (norm(x) * norm(y)).clamp_min(norm(forward) * norm(y))
        assert ((inner(forward, y) - inner(x, adjoint)).abs() <= limit * scale).all()


@every_operator
def test_adjoint_error_is_rounding(name):
    assert EXAMPLES[name]().adjoint_error() < 1e-5
    assert DOUBLE[name].adjoint_error() < 1e-12


@every_field
def test_shapes_and_kinds_are_as_declared(name, field):
    A = DOUBLE[name]
    for batch in batches(A):
        x, y = random_image(A, batch, field=field), random_measurement(A, batch, field=field)
        for result, like in ((A(x), y), (A.adjoint(y), x)):
            for leaf, expected in zip(tree_leaves(result), tree_leaves(like), strict=True):
                assert (leaf.shape, leaf.dtype) == (expected.shape, expected.dtype)


@every_field
def test_matrix_says_what_the_operator_does(name, field):
    A = DOUBLE[name]
    x = random_image(A, field=field)
    torch.testing.assert_close(flat(A(x)), times(A.to_matrix(), flat(x)), rtol=1e-10, atol=1e-10)


@every_operator
def test_matrix_of_the_adjoint_is_the_conjugate_transpose(name):
    A = DOUBLE[name]
    torch.testing.assert_close(A.H.to_matrix(), A.to_matrix().mH, rtol=1e-10, atol=1e-10)


@every_operator
def test_adjoint_of_the_adjoint_is_the_operator(name):
    A = DOUBLE[name]
    assert type(A.H.H) is type(A)
    assert A.H.H is A or isinstance(A, Adjoint)
    assert_same(A.H.H(random_image(A)), A(random_image(A)), rtol=0, atol=0)


@every_field
def test_gram_is_the_adjoint_of_the_forward(name, field):
    A = DOUBLE[name]
    x = random_image(A, field=field)
    assert_same(A.gram(x), A.adjoint(A(x)))
    assert_same(A.gram.adjoint(x), A.gram(x), rtol=0, atol=0)


@every_operator
@precisions
def test_norm_is_the_largest_singular_value(name, dtype, limit):
    """One per image; L13: the norm itself, not its square."""
    A = EXAMPLES[name]().to(dtype)
    expected = torch.linalg.matrix_norm(A.to_matrix(), ord=2)
    rtol = limit if A.has_closed_form("norm") else 1e-3
    torch.testing.assert_close(A.norm(), expected, rtol=rtol, atol=0)


@every_field
def test_pinv_is_the_moore_penrose_inverse(name, field):
    """L2, L12: also of wide, tall and rank-deficient operators, with weights of any sign."""
    A = DOUBLE[name]
    y = random_measurement(A, field=field)
    matrix = A.to_matrix()
    inverse = torch.linalg.pinv(matrix)
    expected, got = times(inverse, flat(y)), flat(A.pinv(y))
    condition = torch.linalg.matrix_norm(matrix, ord=2) * torch.linalg.matrix_norm(inverse, ord=2)
    limit = 1e-9 if A.has_closed_form("pinv") else 1e-6 * condition
    assert ((got - expected).norm(dim=1) <= limit * expected.norm(dim=1)).all()


@every_field
@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e6])
def test_prox_is_the_solution_of_its_normal_equations(name, field, scale):
    """L1, L6: every argument counts, gamma per image, at any scale of the data."""
    A = DOUBLE[name]
    batch = max(batches(A))
    z, y = random_image(A, batch, 2, field), random_measurement(A, batch, 3, field)
    z, y = tree_map(lambda leaf: scale * leaf, z), tree_map(lambda leaf: scale * leaf, y)
    gamma = torch.tensor([0.3, 1.0, 7.0], dtype=torch.float64)
    matrix = A.to_matrix()
    system = gamma[:, None, None] * (matrix.mH @ matrix) + torch.eye(matrix.shape[-1], dtype=matrix.dtype)
    right = gamma[:, None] * times(matrix.mH, flat(y)) + flat(z)
    expected = torch.linalg.solve(system.to(right.dtype), right)
    got = flat(A.prox(z, y, gamma))
    limit = 1e-10 if A.has_closed_form("prox") else 1e-5
    assert ((got - expected).norm(dim=1) <= limit * expected.norm(dim=1)).all()


@every_operator
def test_prox_changes_with_each_argument(name):
    """L1."""
    A = DOUBLE[name]
    z, y = random_image(A, seed=2), random_measurement(A, seed=3)
    answer = A.prox(z, y, 0.7)
    assert differ(answer, A.prox(z, y, 1.4))
    assert differ(answer, A.prox(tree_map(torch.neg, z), y, 0.7))
    assert differ(answer, A.prox(z, tree_map(torch.neg, y), 0.7))


@every_operator
def test_non_contiguous_input_gives_the_same(name):
    A = DOUBLE[name]
    x, y = random_image(A), random_measurement(A)
    assert_same(A(tree_map(_strided, x)), A(x))
    assert_same(A.adjoint(tree_map(_strided, y)), A.adjoint(y))


def _strided(leaf):
    strided = torch.stack([leaf, torch.full_like(leaf, torch.nan)], dim=-1)[..., 0]
    assert not strided.is_contiguous()
    return strided


@every_field
def test_a_batch_equals_its_items(name, field):
    """L4: also of what is iterated."""
    A = DOUBLE[name]
    items = [A.with_params(**item_params(A, i)) for i in range(3)]
    x, y = random_image(A, 3, field=field), random_measurement(A, 3, field=field)
    gamma = torch.tensor([0.3, 1.0, 7.0], dtype=torch.float64)
    together = A(x), A.adjoint(y), A.gram(x), A.prox(x, y, gamma)
    for i, item in enumerate(items):
        xi, yi = (tree_map(lambda leaf, i=i: leaf[i : i + 1], tree) for tree in (x, y))
        alone = item(xi), item.adjoint(yi), item.gram(xi), item.prox(xi, yi, gamma[i : i + 1])
        for whole, part in zip(together, alone, strict=True):
            assert_same(tree_map(lambda leaf, i=i: leaf[i : i + 1], whole), part, rtol=1e-5, atol=1e-5)


@every_parameter
def test_every_parameter_may_have_one_value_per_image(name, parameter):
    A = DOUBLE[name]
    whole = A.with_params(**{parameter: three_values(A.params[parameter])})
    assert whole.parameter_batch == 3
    x, y = random_image(A, 3), random_measurement(A, 3)
    measured, back, sizes = whole(x), whole.adjoint(y), whole.norm()
    assert sizes.shape == (3,)
    for i in range(3):
        item = whole.with_params(**item_params(whole, i))
        xi, yi = (tree_map(lambda leaf, i=i: leaf[i : i + 1], tree) for tree in (x, y))
        assert_same(tree_map(lambda leaf, i=i: leaf[i : i + 1], measured), item(xi))
        assert_same(tree_map(lambda leaf, i=i: leaf[i : i + 1], back), item.adjoint(yi))
        torch.testing.assert_close(sizes[i : i + 1], item.norm(), rtol=1e-3, atol=0)


def three_values(value):
    factors = torch.tensor([1.0, -0.5, 2.0], dtype=torch.float64)
    single = value if value.ndim == 0 else value[:1]
    return factors.view(3, *[1] * max(0, value.ndim - 1)) * single


def item_params(operator, i):
    return {name: value[i : i + 1] for name, value in operator.params.items() if value.shape[:1] == (3,)}


@every_operator
def test_the_same_call_gives_the_same_bits(name):
    A, again = EXAMPLES[name](), EXAMPLES[name]()
    x, y = random_image(A), random_measurement(A)
    for _ in range(2):
        assert_same(A(x), again(x), rtol=0, atol=0)
        assert_same(A.adjoint(y), again.adjoint(y), rtol=0, atol=0)
        assert_same(A.norm(), again.norm(), rtol=0, atol=0)
        assert_same(A.prox(x, y, 2.0), again.prox(x, y, 2.0), rtol=0, atol=0)


@every_operator
def test_autocast_changes_nothing(name):
    """It lowers the precision of networks; that of the physics would be lost without a word."""
    A = EXAMPLES[name]()
    x, y = random_image(A), random_measurement(A)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        lowered = A(x), A.adjoint(y), A.prox(x, y, 2.0), A.to_matrix()
    for got, expected in zip(lowered, (A(x), A.adjoint(y), A.prox(x, y, 2.0), A.to_matrix()), strict=True):
        assert_same(got, expected, rtol=0, atol=0)
