"""The examination of operators: healthy ones pass, and every kind of defect is found and told."""

import dataclasses
import sys
from itertools import count

import pytest
import torch

from wellposed.operators import Blur, FromFunctions, LinearOperator, Mask
from wellposed.operators.examples import EXAMPLES
from wellposed.verbs.doctor import examine


class Custom(LinearOperator):
    """Multiplies by a weight; each defect is a subclass."""

    def __init__(self, weight):
        super().__init__((1, 3, 4), (1, 3, 4))
        self.register_parameter_tensor("weight", weight)

    def _forward(self, x):
        return self.weight * x

    def _adjoint(self, y):
        return self.weight * y


def weight():
    return torch.linspace(0.5, 2, 12).view(1, 1, 3, 4)


@pytest.mark.parametrize("name", EXAMPLES)
def test_registered_operators_are_healthy(name):
    report = examine(EXAMPLES[name](), name=name)
    assert report.problems == ()
    assert report.healthy
    assert "x" in report.gradients
    assert report.adjoint_error_float32 <= 1e-5
    assert report.adjoint_error_float64 <= 1e-12


def test_report_of_a_known_operator():
    """The norm of a diagonal operator is its largest weight."""
    report = examine(Mask(weight(), (2, 3, 4)))
    assert (report.name, report.image_shape, report.measurement_shape) == ("Mask", (2, 3, 4), (2, 3, 4))
    assert report.norm == pytest.approx(2, rel=1e-3)
    assert report.gradients == ("x", "mask")


def test_norm_is_the_largest_over_the_batch_of_parameters():
    kernels = torch.tensor([0.5, 3.0, 1.0]).view(3, 1, 1, 1)
    assert examine(Blur(kernels, (1, 4, 4), padding="circular")).norm == pytest.approx(3, rel=1e-3)


def test_precision_that_is_lost_is_found():
    """An adjoint that rounds to single precision is exact enough there, and off in double."""

    class Rounds(Custom):
        def _adjoint(self, y):
            return (self.weight * y).float().to(y.dtype)

    report = examine(Rounds(weight()))
    assert report.adjoint_error_float32 <= 1e-5
    assert report.adjoint_error_float64 > 1e-12
    (problem,) = report.problems
    assert "in float64, above 1e-12: the adjoint is not the transpose" in problem


def test_wrong_adjoint_is_found_in_both_precisions():
    class Flipped(Custom):
        def _adjoint(self, y):
            return self.weight * y.flip(-1)

    report = examine(Flipped(weight()))
    assert not report.healthy
    assert ["float32" in problem or "float64" in problem for problem in report.problems] == [True, True]


@pytest.mark.parametrize("missing", ["complex parts", "conjugate"])
def test_wrong_complex_adjoint_is_found(missing):
    """L9: the adjoint of a complex operator is its conjugate transpose."""

    class Phase(Custom):
        image_field = measurement_field = "complex"

        def _adjoint(self, y):
            return self.weight * y if missing == "conjugate" else (self.weight.conj() * y).real.to(y.dtype)

    phases = torch.polar(weight(), weight())
    assert not examine(Phase(phases)).healthy
    assert examine(type("Right", (Phase,), {"_adjoint": lambda self, y: self.weight.conj() * y})(phases)).healthy


@pytest.mark.parametrize(("size", "healthy"), [(1e-13, True), (1e-8, False)], ids=["rounding", "more"])
def test_gradients_may_differ_from_call_to_call_by_the_rounding_of_sums_in_another_order(size, healthy):
    calls = count()

    class Restless(torch.autograd.Function):
        @staticmethod
        def forward(_ctx, x):
            return x.clone()

        @staticmethod
        def backward(_ctx, grad):
            return (1 + size * next(calls)) * grad

    class RestlessGradient(Custom):
        def _forward(self, x):
            return Restless.apply(self.weight * x)

        def _adjoint(self, y):
            return self.weight * y

    assert ("x" in examine(RestlessGradient(weight())).gradients) == healthy


def test_wrong_gradient_in_the_image_is_found():
    class Wrong(torch.autograd.Function):
        @staticmethod
        def forward(_ctx, x):
            return 2 * x

        @staticmethod
        def backward(_ctx, grad):
            return 3 * grad

    class WrongGradient(Custom):
        def _forward(self, x):
            return Wrong.apply(self.weight * x)

        def _adjoint(self, y):
            return 2 * self.weight * y

    report = examine(WrongGradient(weight()))
    assert report.gradients == ()
    assert report.problems == (
        "the gradient in x differs from finite differences.",
        "the gradient in weight differs from finite differences.",
    )


def test_parameter_without_gradient_is_no_problem_and_an_image_without_is():
    class Constant(Custom):
        def _forward(self, x):
            return self.weight.detach() * x

    class Detached(Custom):
        def _forward(self, x):
            return self.weight.detach() * x.detach()

    report = examine(Constant(weight()))
    assert (report.healthy, report.gradients) == (True, ("x",))
    (problem,) = examine(Detached(weight())).problems
    assert "the measurements carry no gradient in x" in problem


def test_nonlinear_gradient_in_a_parameter_is_right():
    class Squared(Custom):
        def _forward(self, x):
            return self.weight**2 * x

        def _adjoint(self, y):
            return self.weight**2 * y

    assert examine(Squared(weight())).gradients == ("x", "weight")


def test_code_outside_torch_is_examined():
    def reverse(x):
        return torch.from_numpy(x.numpy()[..., ::-1].copy())

    report = examine(FromFunctions(reverse, reverse, (1, 4, 3), (1, 4, 3)))
    assert (report.healthy, report.gradients) == (True, ("x",))


def test_nan_is_found():
    report = examine(Custom(weight() * torch.nan))
    assert any("adjoint error nan in float64" in problem for problem in report.problems)
    assert report.norm is None


@pytest.mark.parametrize("value", ["inf", "nan", "-1.0"])
def test_impossible_norm_is_found(value):
    operator = type("Boundless", (Custom,), {"_norm": lambda _: torch.tensor(float(value))})(weight())
    assert examine(operator).problems == (f"norm() is {value}, and a norm is finite and not negative.",)


def test_norm_that_raises_is_found():
    def fail(self):
        raise ValueError

    report = examine(type("Failing", (Custom,), {"_norm": fail})(weight()))
    assert report.problems == ("norm() raised ValueError: without a message",)
    assert report.norm is None


DEFECTS = {
    "error": (lambda _, value: [][value.ndim], "raised IndexError: list index out of range"),
    "error of two lines": (lambda _, value: torch.ones(2, 3) @ value[0, 0, 0], "raised RuntimeError: size mismatch"),
    "exit": (lambda _, value: sys.exit(value.ndim), "raised SystemExit: 4"),
    "shape": (lambda _, value: value[..., 1:], "returned the shape (1, 1, 3, 3) instead of (1, 1, 3, 4)."),
    "list": (lambda _, value: value.tolist(), "returned an object of type list instead of a tensor."),
    "tuple": (lambda _, value: (value, value), "returned a tuple of 2 instead of a tensor."),
    "integers": (lambda _, value: value.int(), "returned torch.int32 for an argument in torch.float32."),
    "precision": (lambda _, value: value.double(), "returned torch.float64 for an argument in torch.float32."),
    "in place": (lambda _, value: value.mul_(2), "changed its argument"),
    "modulus": (lambda _, value: value.abs(), "is not linear"),
    "offset": (lambda _, value: value + 1, "is not linear"),
    "small offset": (lambda _, value: value + 0.02, "is not linear"),
}


@pytest.mark.parametrize("method", ["_forward", "_adjoint"])
@pytest.mark.parametrize("defect", DEFECTS)
def test_a_map_that_does_not_work_is_the_only_problem(method, defect):
    body, sentence = DEFECTS[defect]
    report = examine(type("Failing", (Custom,), {method: body})(weight()))
    (problem,) = report.problems
    title = "the forward map" if method == "_forward" else "the adjoint"
    assert problem.startswith(f"in float32 {title} {sentence}")
    assert (report.adjoint_error_float32, report.adjoint_error_float64, report.norm) == (None, None, None)
    assert report.gradients == ()


def test_a_map_that_works_in_single_precision_alone():
    single = type("Single", (Custom,), {"_forward": lambda _, x: torch.ones(3, 3) @ x})
    (problem,) = examine(single(weight())).problems
    assert problem.startswith("in float64 the forward map raised RuntimeError: expected")


def test_parts_of_a_measurement_are_looked_at():
    class Halves(LinearOperator):
        def __init__(self, parts):
            super().__init__((1, 4, 4), ((1, 2, 4), (1, 2, 4)))
            self.parts = parts

        def _forward(self, x):
            return x.split(self.parts, dim=-2)

        def _adjoint(self, y):
            return torch.cat(y, dim=-2)

    assert examine(Halves(2)).healthy
    assert examine(Halves([1, 3])).problems == (
        "in float32 the forward map returned the shape (1, 1, 1, 4) instead of (1, 1, 2, 4).",
    )
    assert "a tuple of 4 instead of a tuple of 2 tensors" in examine(Halves(1)).problems[0]


def test_the_operator_stays_as_it_was():
    operator = Custom(weight().to(torch.float64))
    examine(operator)
    assert operator.dtype == torch.float64
    assert torch.equal(operator.weight, weight().to(torch.float64))
    assert not operator.weight.requires_grad


def test_the_seed_chooses_the_random_images_and_torch_is_left_alone():
    operator = EXAMPLES["Blur, valid"]()
    before = torch.get_rng_state()
    one, again, other = examine(operator, seed=0), examine(operator, seed=0), examine(operator, seed=1)
    assert torch.equal(torch.get_rng_state(), before)
    assert one.adjoint_error_float64 == again.adjoint_error_float64
    assert one.adjoint_error_float64 != other.adjoint_error_float64


def test_report_is_frozen():
    with pytest.raises(dataclasses.FrozenInstanceError):
        examine(Custom(weight())).name = "other"
