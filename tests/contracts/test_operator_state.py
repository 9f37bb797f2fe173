"""The contract of operators as objects: they never change, move and copy whole, and say what is wrong."""

import copy
import json
import pickle

import numpy as np
import pytest
import torch

from tests.contracts.operator_cases import DOUBLE, every_operator, every_parameter
from tests.support.tensors import assert_same, differ, random_image, random_measurement
from wellposed import operators
from wellposed.core.config import from_config, to_config
from wellposed.core.errors import ArgumentError, DTypeError, KeywordError, ShapeError, UnsupportedError
from wellposed.core.tree import tree_leaves, tree_map
from wellposed.operators import FromFunctions
from wellposed.operators.examples import EXAMPLES

CLASSES = {name: getattr(operators, name) for name in operators.__all__}
with_parameters = pytest.mark.parametrize("name", [name for name, A in DOUBLE.items() if A.params])
of_one_field = pytest.mark.parametrize("name", [name for name, A in DOUBLE.items() if A.image_field != "any"])
per_image = pytest.mark.parametrize("name", [name for name, A in DOUBLE.items() if A.parameter_batch > 1])


def answers(operator):
    """Return all that an operator computes from fixed inputs."""
    x, y = random_image(operator), random_measurement(operator)
    return operator(x), operator.adjoint(y), operator.norm(), operator.prox(x, y, 0.5)


@every_operator
def test_inputs_and_parameters_are_left_as_they_were(name):
    A = EXAMPLES[name]()
    inputs = random_image(A), random_measurement(A), torch.tensor(0.7)
    before = copy.deepcopy((inputs, dict(A.params), list(vars(A))))
    x, y, gamma = inputs
    A(x), A.adjoint(y), A.gram(x), A.norm(), A.prox(x, y, gamma), A.pinv(y), A.to_matrix(), A.adjoint_error()
    A.with_params(**{key: 2 * value for key, value in A.params.items()})(x)
    assert_same(inputs, before[0], rtol=0, atol=0)
    assert_same(tuple(A.params.values()), tuple(before[1].values()), rtol=0, atol=0)
    assert list(vars(A)) == before[2]
    assert not any(leaf.requires_grad for leaf in tree_leaves(inputs))


@every_operator
def test_no_ones_seed_is_touched(name):
    """L13."""
    A = EXAMPLES[name]()
    x, y = random_image(A), random_measurement(A)
    before = torch.get_rng_state()
    A.norm(), A.pinv(y), A.prox(x, y, 1.0), A.to_matrix(), A.adjoint_error()
    assert torch.equal(torch.get_rng_state(), before)


@every_operator
def test_precision_moves(name):
    """L14: with all the parameters of all the parts, complex ones in full."""
    single, double = EXAMPLES[name](), EXAMPLES[name]().to(torch.float64)
    assert (single.dtype, double.dtype) == (torch.float32, torch.float64)
    for key, value in double.params.items():
        assert value.dtype == (torch.complex128 if single.params[key].is_complex() else torch.float64)
        torch.testing.assert_close(value.to(single.params[key].dtype), single.params[key], rtol=0, atol=0)
    there_and_back = EXAMPLES[name]().double().float()
    assert_same(answers(there_and_back), answers(single), rtol=0, atol=0)


@every_operator
def test_device_moves(name):
    """Whatever is made on the way is made where the operator is: the meta device refuses to meet another."""
    A = EXAMPLES[name]().to("meta")
    assert A.device == torch.device("meta")
    x, y = A.zero_image(), A.zero_measurement()
    results = [A(x), A.gram(x)]
    if not isinstance(A, FromFunctions):
        results.append(A.adjoint(y))
    if A.has_closed_form("norm"):
        results.append(A.norm())
    results += [A.pinv(y)] if A.has_closed_form("pinv") else []
    results += [A.prox(x, y, 0.5)] if A.has_closed_form("prox") else []
    assert {leaf.device.type for result in results for leaf in tree_leaves(result)} == {"meta"}


@every_operator
@pytest.mark.parametrize(
    "copied",
    [copy.copy, copy.deepcopy, lambda A: pickle.loads(pickle.dumps(A)), lambda A: type(A)(**A.constructor_arguments())],
    ids=["copy", "deepcopy", "pickle", "constructor"],
)
def test_copies_answer_the_same(name, copied):
    """S11."""
    A = EXAMPLES[name]()
    expected = answers(A)
    twin = copied(A)
    assert type(twin) is type(A)
    assert_same(answers(twin), expected, rtol=0, atol=0)


@every_operator
def test_state_dict_round_trip(name):
    """L14: complete, and what had been computed from the old parameters is forgotten."""
    A = EXAMPLES[name]()
    other = A.with_params(**{key: -1.5 * value + 0.1 for key, value in A.params.items()})
    other_before = answers(other)
    other.load_state_dict(copy.deepcopy(A.state_dict()))
    assert len(A.state_dict()) == len(A.params)
    assert_same(answers(other), answers(A), rtol=0, atol=0)
    assert not A.params or differ(other_before[0], answers(A)[0])


@every_operator
def test_description_round_trip(name):
    A = EXAMPLES[name]()
    tensors = {}
    if isinstance(A, FromFunctions):
        with pytest.raises(UnsupportedError, match="forward_function is a function"):
            to_config(A, tensors, path="operator")
        return
    described = json.loads(json.dumps(to_config(A, tensors, path="operator")))
    assert_same(answers(from_config(described, tensors, CLASSES)), answers(A), rtol=0, atol=0)


@every_parameter
def test_with_params_is_the_call_with_that_keyword(name, parameter):
    """S1, S2: the original stays as it was, and its answers too."""
    A = DOUBLE[name]
    x, y, kept = random_image(A), random_measurement(A), A.params[parameter]
    before, version = answers(A), kept._version
    change = {parameter: 1.7 * kept + 0.2}
    changed = A.with_params(**change)
    assert changed is not A
    assert_same(changed(x), A(x, **change), rtol=0, atol=0)
    assert_same(changed.adjoint(y), A.adjoint(y, **change), rtol=0, atol=0)
    assert differ(changed(x), A(x))
    assert A.params[parameter] is kept
    assert kept._version == version
    assert_same(answers(A), before, rtol=0, atol=0)
    for other, value in A.params.items():
        assert other == parameter or changed.params[other] is value


@every_parameter
def test_a_misspelt_parameter_is_refused(name, parameter):
    """S1."""
    A, typo = DOUBLE[name], parameter + "s"
    for call in (lambda: A.with_params(**{typo: 1.0}), lambda: A(random_image(A), **{typo: 1.0})):
        with pytest.raises(KeywordError, match=f"{type(A).__name__} has no .*{typo}.*did you mean '{parameter}'"):
            call()


@every_parameter
@pytest.mark.parametrize("value", [0.5, np.ones((1, 1, 3, 3)), None], ids=["number", "NumPy array", "nothing"])
def test_a_parameter_that_is_no_tensor_is_refused(name, parameter, value):
    """S1: but for a scale, which may be a number, and coil maps, which there may be none of."""
    if parameter in ("scale", "detector_offset") or (parameter == "coil_maps" and value is None):
        return
    with pytest.raises(DTypeError, match=f"expects {parameter} to be a torch.Tensor, got {type(value).__name__}"):
        DOUBLE[name].with_params(**{parameter: value})


@every_operator
def test_an_unknown_parameter_is_refused(name):
    with pytest.raises(KeywordError, match=f"{type(DOUBLE[name]).__name__} has no parameter 'zzz'"):
        DOUBLE[name].adjoint(random_measurement(DOUBLE[name]), zzz=torch.ones(1))


@every_parameter
@pytest.mark.parametrize("change", ["in place", "load_state_dict", "nn.Parameter in place"])
def test_nothing_that_was_derived_goes_stale(name, parameter, change):
    """O9: norms and spectra follow the parameter however it changes."""
    A = DOUBLE[name]
    value, wanted = A.params[parameter], 1.7 * A.params[parameter] + 0.2
    start = torch.nn.Parameter(value.clone()) if "nn.Parameter" in change else value.clone()
    operator, expected = A.with_params(**{parameter: start}), answers(A.with_params(**{parameter: wanted}))
    before = answers(operator)
    if change == "load_state_dict":
        operator.load_state_dict(A.with_params(**{parameter: wanted}).state_dict())
    else:
        with torch.no_grad():
            start.copy_(wanted)
    after = answers(operator)
    rounding = 1e-11 if "nn.Parameter" in change else 0.0  # with a graph, sums may be formed in another order
    assert_same(tree_map(torch.Tensor.detach, after), expected, rtol=rounding, atol=rounding)
    assert differ(before[0], after[0])


class TestInputsThatDoNotFit:
    """Each error is one sentence that names the operator."""

    def roles(self, name):
        A = DOUBLE[name]
        return (("images", A, random_image(A)), ("measurements", A.adjoint, random_measurement(A)))

    def refused(self, name, error, spoil, match):
        for role, call, good in self.roles(name):
            with pytest.raises(error, match=f"^{type(DOUBLE[name]).__name__} .*{role}.*{match}"):
                call(tree_map(spoil, good))

    @every_operator
    def test_integers(self, name):
        self.refused(name, DTypeError, lambda leaf: torch.ones(leaf.shape, dtype=torch.int64), "convert with x.float")

    @every_operator
    def test_numpy_arrays(self, name):
        self.refused(name, DTypeError, lambda leaf: np.ones(leaf.shape), "torch.from_numpy")

    @every_operator
    def test_missing_batch_axis(self, name):
        self.refused(name, ShapeError, lambda leaf: leaf[0], "add the batch axis with")

    @every_operator
    def test_empty_batch(self, name):
        self.refused(name, ShapeError, lambda leaf: leaf[:0], "the batch is empty")

    @every_operator
    def test_wrong_size(self, name):
        self.refused(name, ShapeError, lambda leaf: torch.cat([leaf, leaf], dim=-1), "of shape .*, got ")

    @of_one_field
    def test_wrong_kind_of_numbers(self, name):
        if DOUBLE[name].image_field == "real":
            self.refused(name, DTypeError, lambda leaf: leaf * 1j, "got torch.complex128: take x.real")
        else:
            self.refused(name, DTypeError, lambda leaf: leaf.real, "expects|convert with torch.complex")

    @with_parameters
    def test_wrong_precision(self, name):
        """Each composition looks at the parameters of its parts."""
        for role, call, good in self.roles(name):
            with pytest.raises(DTypeError, match=rf"^{type(DOUBLE[name]).__name__} .*64.* {role}: convert"):
                call(tree_map(lambda leaf: leaf.to(torch.complex64 if leaf.is_complex() else torch.float32), good))

    @pytest.mark.parametrize("name", [name for name, A in DOUBLE.items() if not A.params])
    def test_without_parameters_any_precision_is_right(self, name):
        single = tree_map(lambda leaf: leaf.float(), random_image(DOUBLE[name]))
        assert {leaf.dtype for leaf in tree_leaves(DOUBLE[name](single))} == {torch.float32}

    @per_image
    def test_batch_of_another_size_than_that_of_the_parameters(self, name):
        A = DOUBLE[name]
        for call, good in ((A, random_image(A, 2)), (A.adjoint, random_measurement(A, 2))):
            with pytest.raises(
                ShapeError, match=f"^{type(A).__name__} has parameters for 3 images and got a batch of 2"
            ):
                call(good)

    @every_operator
    @pytest.mark.parametrize("gamma", [0.0, -1.0])
    def test_gamma_that_is_not_positive(self, name, gamma):
        A = DOUBLE[name]
        with pytest.raises(ArgumentError, match=f"^{type(A).__name__}.prox expects a positive gamma, got {gamma}"):
            A.prox(random_image(A), random_measurement(A), gamma)

    @every_operator
    def test_gamma_of_another_batch(self, name):
        A = DOUBLE[name]
        with pytest.raises(ShapeError, match=f"^{type(A).__name__}.prox expects gamma"):
            A.prox(random_image(A), random_measurement(A), torch.ones(2))

    @every_operator
    def test_images_and_measurements_of_different_batches(self, name):
        A = DOUBLE[name]
        if A.parameter_batch == 1:
            with pytest.raises(ShapeError, match=f"^{type(A).__name__}.prox expects"):
                A.prox(random_image(A, 3), random_measurement(A, 2), 1.0)
