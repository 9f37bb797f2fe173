"""The contract of operators as differentiable maps: any order, both modes, `vmap`, and every parameter."""

import pytest
import torch
from torch.autograd import gradcheck, gradgradcheck

from tests.contracts.operator_cases import DOUBLE, every_field, every_operator, every_parameter
from tests.support.forward_mode import uses_forward_mode
from tests.support.tensors import assert_same, flat, of_leaves, random_image, random_like, random_measurement
from wellposed.core.tree import inner, tree_leaves, tree_map
from wellposed.operators import FromFunctions

pytestmark = uses_forward_mode
every_map = pytest.mark.parametrize("direction", ["forward", "adjoint", "gram"])


def linear_map(operator, direction, field="any"):
    """Return one of the maps of an operator, and a point of its domain."""
    if direction == "adjoint":
        return operator.adjoint, random_measurement(operator, field=field)
    return (operator if direction == "forward" else operator.gram), random_image(operator, field=field)


def leaves_with_grad(tree):
    return tuple(leaf.clone().requires_grad_() for leaf in tree_leaves(tree))


@every_field
@every_map
def test_gradients_to_second_order_in_both_modes(name, field, direction):
    """The quadratic form makes the second derivative a number that could be wrong: for a linear map it is zero."""
    function, point = linear_map(DOUBLE[name], direction, field)
    leaves = leaves_with_grad(point)
    assert gradcheck(of_leaves(function, point), leaves, check_forward_ad=True, fast_mode=True)

    def energy(tree):
        image = function(tree)
        return inner(image, image).real.square()

    assert gradgradcheck(of_leaves(energy, point), leaves, fast_mode=True, atol=1e-3, rtol=1e-3)


@every_operator
@every_map
def test_jvp_is_the_map_itself(name, direction):
    function, point = linear_map(DOUBLE[name], direction)
    tangent = random_like(point, seed=5)
    value, derivative = torch.func.jvp(function, (point,), (tangent,))
    assert_same(value, function(point))
    assert_same(derivative, function(tangent))


@every_operator
def test_vjp_is_the_adjoint(name):
    A = DOUBLE[name]
    y = random_measurement(A)
    _, pull_back = torch.func.vjp(A, random_image(A))
    assert_same(pull_back(y)[0], A.adjoint(y))


@every_operator
@every_map
def test_vmap_is_a_loop(name, direction):
    A = DOUBLE[name]
    function, point = linear_map(A, direction)
    points = [random_like(point, seed) for seed in range(2)]
    stacked = tree_map(lambda *parts: torch.stack(parts), *points)
    mapped = torch.func.vmap(function)(stacked)
    for i, single in enumerate(points):
        assert_same(tree_map(lambda leaf, i=i: leaf[i], mapped), function(single))


@every_operator
def test_vmap_over_the_last_axis_and_of_gradients(name):
    A = DOUBLE[name]
    points = [random_image(A, seed=seed) for seed in range(2)]

    def energy(x):
        image = A(x)
        return inner(image, image).real.sum() / 2

    stacked = tree_map(lambda *parts: torch.stack(parts, dim=-1), *points)
    mapped = torch.func.vmap(torch.func.grad(energy), in_dims=-1)(stacked)
    for i, single in enumerate(points):
        assert_same(tree_map(lambda leaf, i=i: leaf[i], mapped), A.gram(single))


@every_parameter
@pytest.mark.parametrize("direction", ["forward", "adjoint", "gram"])
def test_parameter_gradients_to_second_order(name, parameter, direction):
    """L7: by `with_params`, in reverse and in forward mode."""
    A = DOUBLE[name]
    _, point = linear_map(A, direction)

    def of_parameter(value):
        function, _ = linear_map(A.with_params(**{parameter: value}), direction)
        return flat(function(point))

    value = A.params[parameter].clone().requires_grad_()
    assert gradcheck(of_parameter, (value,), check_forward_ad=True)
    assert gradgradcheck(of_parameter, (value,), fast_mode=True)


@every_parameter
def test_parameter_gradients_with_torch_func(name, parameter):
    A = DOUBLE[name]
    x, y = random_image(A), random_measurement(A)

    def of_parameter(value):
        return inner(A(x, **{parameter: value}), y).real.sum()

    value = A.params[parameter]
    leaf = value.clone().requires_grad_()
    of_parameter(leaf).backward()
    torch.testing.assert_close(torch.func.grad(of_parameter)(value), leaf.grad)
    values = torch.stack([value, 2 * value])
    expected = torch.stack([of_parameter(single) for single in values])
    torch.testing.assert_close(torch.func.vmap(of_parameter)(values), expected)


@every_operator
def test_prox_is_differentiable_in_all_of_its_arguments(name):
    """L7: also in the parameters, where the solution is iterated; z and y in one piece, gamma per image."""
    A = DOUBLE[name]
    z, y = random_image(A), random_measurement(A)
    gamma = torch.linspace(0.5, 1.5, A.parameter_batch, dtype=torch.float64)
    names, values = list(A.params), list(A.params.values())
    n_z, n_y = len(tree_leaves(z)), len(tree_leaves(y))

    def prox(weight, *rest):
        pieces = iter(rest)
        z_here = tree_map(lambda _: next(pieces), z)
        y_here = tree_map(lambda _: next(pieces), y)
        operator = A.with_params(**dict(zip(names, pieces, strict=True)))
        return tuple(tree_leaves(operator.prox(z_here, y_here, weight)))

    inputs = tuple(leaf.clone().requires_grad_() for leaf in [gamma, *tree_leaves(z), *tree_leaves(y), *values])
    assert len(inputs) == 1 + n_z + n_y + len(values)
    loose = {} if A.has_closed_form("prox") else {"atol": 2e-2, "rtol": 2e-2, "eps": 1e-2}
    assert gradcheck(prox, inputs, fast_mode=True, **loose)


@every_operator
def test_pinv_is_differentiable_in_the_measurements(name):
    """Its derivative is the pseudo-inverse again."""
    A = DOUBLE[name]
    y, direction = random_measurement(A), random_image(A, seed=6)
    leaves = leaves_with_grad(y)
    rest = iter(leaves)
    x = A.pinv(tree_map(lambda _: next(rest), y))
    gradients = torch.autograd.grad(inner(direction, x).real.sum(), leaves)
    step = random_like(y, seed=7)
    slope = sum(inner(g, s).real.sum() for g, s in zip(gradients, tree_leaves(step), strict=True))
    expected = inner(direction, A.pinv(step)).real.sum()
    limit = 1e-9 if A.has_closed_form("pinv") else 1e-3
    size = torch.stack([leaf.norm() for leaf in tree_leaves(A.pinv(step))]).norm()
    assert (slope - expected).abs() <= limit * size * torch.stack([d.norm() for d in tree_leaves(direction)]).norm()


@every_parameter
def test_gradients_of_a_parameter_can_be_taken_twice(name, parameter):
    """Nothing that one backward pass frees is kept for the next, nor handed to code that wants no gradient."""
    A = DOUBLE[name]
    leaf = A.params[parameter].clone().requires_grad_()
    operator, z, y = A.with_params(**{parameter: leaf}), random_image(A), random_measurement(A)
    gradients = []
    for _ in range(2):
        total = sum(part.abs().square().sum() for part in tree_leaves(operator.prox(z, y, 0.5)))
        gradients.append(torch.autograd.grad(total, leaf)[0])
    assert gradients[0].abs().max() > 0
    torch.testing.assert_close(*gradients)
    with torch.no_grad():
        assert_same(operator.prox(z, y, 0.5), A.prox(z, y, 0.5), rtol=1e-5, atol=1e-5)


def test_the_functions_of_from_functions_need_not_be_seen_by_autograd():
    """The bridge serves the contract above also where the code leaves torch."""

    def flip(x):
        return torch.from_numpy(x.numpy()[..., ::-1].copy())

    A = FromFunctions(flip, flip, (1, 2, 3), (1, 2, 3))
    x = random_image(A).double().requires_grad_()
    assert gradcheck(A, (x,), check_forward_ad=True)
    assert gradgradcheck(A, (x,))
