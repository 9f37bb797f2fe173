"""What the base class computes for an operator that brings its formula alone, and what it keeps."""

import pytest
import torch

from tests.support.tensors import assert_same, flat, random_image, random_measurement, random_tensor, times
from wellposed.core.errors import SolverError
from wellposed.operators import Blur, CartesianMRI, Downsample, LinearOperator, Operator, Stack
from wellposed.solvers import CG, GMRES, LSMR, LSQR, MINRES, BiCGStab


class Matrix(LinearOperator):
    """A dense matrix, one for all images or one for each, whose adjoint autograd derives."""

    def __init__(self, matrix):
        super().__init__((matrix.shape[-1],), (matrix.shape[-2],))
        self.register_parameter_tensor("matrix", matrix)
        self.image_field = self.measurement_field = "complex" if matrix.is_complex() else "any"

    def _forward(self, x):
        return times(self.matrix, x)


class Spectrum(LinearOperator):
    """Complex measurements of a real image: the adjoint takes the real part."""

    image_field = "real"
    measurement_field = "complex"

    def __init__(self, matrix):
        super().__init__((matrix.shape[-1],), (matrix.shape[-2],))
        self.register_parameter_tensor("matrix", matrix)

    def _forward(self, x):
        return times(self.matrix, x.to(self.matrix.dtype))


SHAPES = {"wide": (3, 5), "tall": (6, 4), "square": (4, 4)}
every_shape = pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)


@every_shape
@pytest.mark.parametrize("dtype", [torch.float64, torch.complex128], ids=["real", "complex"])
def test_the_adjoint_is_derived_from_the_forward(shape, dtype):
    """L9: conjugate, for complex matrices, and exact."""
    matrix = random_tensor(1, *shape, dtype=dtype)
    A = Matrix(matrix)
    y = random_tensor(2, shape[0], seed=1, dtype=dtype)
    torch.testing.assert_close(A.adjoint(y), times(matrix.mH, y))
    assert A.adjoint_error() < 1e-12


def test_the_adjoint_of_a_real_matrix_takes_complex_measurements():
    matrix, y = random_tensor(1, 3, 4), random_tensor(2, 3, dtype=torch.complex128)
    torch.testing.assert_close(Matrix(matrix).adjoint(y), times(matrix.mT, y))


def test_the_adjoint_between_real_images_and_complex_measurements_is_the_real_part():
    matrix = random_tensor(1, 3, 4, dtype=torch.complex128)
    A, y = Spectrum(matrix), random_tensor(2, 3, seed=1, dtype=torch.complex128)
    adjoint = A.adjoint(y)
    assert adjoint.dtype == torch.float64
    torch.testing.assert_close(adjoint, times(matrix.mH, y).real)
    assert A.adjoint_error() < 1e-12


@every_shape
@pytest.mark.parametrize(
    "solver", [CG(), LSMR(), LSQR(), MINRES(), GMRES(), BiCGStab()], ids=lambda s: type(s).__name__
)
def test_every_solver_answers_pinv_and_prox(shape, solver):
    """L1, L2, L3: for whichever solver is named, and for that call only."""
    A = Matrix(random_tensor(1, *shape))
    z, y = random_image(A, 2), random_measurement(A, 2)
    matrix, gamma = A.matrix, torch.tensor([0.5, 2.0], dtype=torch.float64)
    system = gamma.view(2, 1, 1) * (matrix.mH @ matrix) + torch.eye(shape[1])
    right = gamma.view(2, 1) * times(matrix.mH, y) + z
    expected = torch.linalg.solve(system, right)
    torch.testing.assert_close(A.prox(z, y, gamma, solver=solver), expected, rtol=1e-4, atol=1e-4)
    inverse = times(torch.linalg.pinv(matrix), y)
    torch.testing.assert_close(A.pinv(y, solver=solver), inverse, rtol=1e-3, atol=1e-3)


def test_settings_of_a_solver_are_honoured_and_do_not_stay():
    """L3: one step is not enough, says so, and is forgotten at the next call."""
    A = Matrix(random_tensor(1, 4, 4))
    z, y = random_image(A, 2), random_measurement(A, 2)
    before = A.prox(z, y, 3.0)
    with pytest.raises(SolverError):
        A.prox(z, y, 3.0, solver=CG(max_steps=1))
    assert_same(A.prox(z, y, 3.0), before, rtol=0, atol=0)


def test_pinv_that_does_not_converge_says_so():
    hilbert = 1 / (torch.arange(12)[:, None] + torch.arange(12) + 1.0)
    with pytest.raises(SolverError):
        Matrix(hilbert[None]).pinv(torch.ones(1, 12), solver=LSMR(tolerance=1e-12, max_steps=5))


def test_matrices_of_real_and_per_image_operators():
    matrices = random_tensor(3, 2, 4)
    A = Matrix(matrices)
    torch.testing.assert_close(A.to_matrix(), matrices)
    torch.testing.assert_close(A.norm(), torch.linalg.matrix_norm(matrices, ord=2), rtol=1e-3, atol=0)
    assert A.parameter_batch == 3


def test_operators_without_a_formula_cannot_be_made():
    with pytest.raises(TypeError, match="abstract"):
        Operator((1,), (1,))
    with pytest.raises(TypeError, match="abstract"):
        LinearOperator((1,), (1,))


def test_zero_images_and_measurements():
    A = Stack((Downsample(2, (1, 4, 6), torch.ones(3, 1, 2, 2)), CartesianMRI(torch.ones(1, 1, 4, 6), (1, 4, 6))))
    assert A.zero_image().shape == (3, 1, 4, 6)
    assert A.zero_image().dtype == torch.complex64
    coarse, k_space = A.double().zero_measurement(batch=2)
    assert (coarse.shape, k_space.shape) == ((2, 1, 2, 3), (2, 1, 4, 6))
    assert k_space.dtype == torch.complex128
    assert not flat(A.zero_measurement()).any()


class TestWhatIsDerivedFromParameters:
    """O9: it is computed once, and never stale."""

    @staticmethod
    def counted(monkeypatch):
        calls = []

        def transfer_function(kernel, space, origin):
            calls.append(kernel)
            return original(kernel, space, origin)

        import wellposed.operators.blur as module

        original = module.transfer_function
        monkeypatch.setattr(module, "transfer_function", transfer_function)
        return calls

    def test_computed_once_while_nothing_changes(self, monkeypatch):
        calls = self.counted(monkeypatch)
        A = Blur(random_tensor(1, 1, 3, 3), (1, 4, 5), padding="circular", method="fft")
        for seed in range(3):
            A.pinv(A(random_image(A, seed=seed)))
        assert len(calls) == 1

    @pytest.mark.parametrize("name", ["in place", "to", "with_params", "load_state_dict", "replaced memory"])
    def test_computed_again_when_the_kernel_changes(self, name):
        old, new = random_tensor(1, 1, 3, 3), random_tensor(1, 1, 3, 3, seed=1)
        A = Blur(old.clone(), (1, 4, 5), padding="circular", method="fft")
        x = random_image(A)
        before = A(x)
        if name == "in place":
            A.kernel.copy_(new)
        elif name == "to":
            A = A.to(torch.float32)
            new, x, before = old.float(), x.float(), before.float() + 1
        elif name == "with_params":
            A = A.with_params(kernel=new)
        elif name == "load_state_dict":
            A.load_state_dict({"kernel": new})
        else:
            A.kernel = None
            A.kernel = new.clone()
        fresh = Blur(new, (1, 4, 5), padding="circular", method="fft")
        torch.testing.assert_close(A(x), fresh(x), rtol=0, atol=0)
        torch.testing.assert_close(A.norm(), fresh.norm(), rtol=0, atol=0)
        assert not torch.allclose(before, A(x))

    @pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
    def test_computed_without_gradients_does_not_stop_those_that_follow(self, mode):
        A = Blur(torch.nn.Parameter(random_tensor(1, 1, 3, 3)), (1, 4, 5), padding="circular", method="fft")
        x = random_image(A)
        with mode():
            A(x)
        for _ in range(2):
            A.zero_grad()
            A(x).square().sum().backward()
            assert A.kernel.grad.abs().max() > 0
        with mode():
            assert not A(x).requires_grad

    def test_computed_under_inference_mode_serves_training_afterwards(self):
        A = Blur(random_tensor(1, 1, 3, 3), (1, 4, 5), padding="circular", method="fft")
        with torch.inference_mode():
            A(random_image(A))
        image = random_image(A).requires_grad_()
        A(image).square().sum().backward()
        torch.testing.assert_close(image.grad, 2 * A.gram(image.detach()))

    def test_mapped_parameters_leave_nothing_behind(self):
        kernels = random_tensor(2, 1, 1, 3, 3)
        A = Blur(kernels[0], (1, 4, 5), padding="circular", method="fft")
        x = random_image(A)
        torch.func.vmap(lambda kernel: A.with_params(kernel=kernel)(x))(kernels)
        before = A(x)
        gradient = torch.func.grad(lambda kernel: torch.func.functional_call(A, {"kernel": kernel}, (x,)).sum())
        assert gradient(kernels[1]).abs().max() > 0
        torch.testing.assert_close(A(x), before, rtol=0, atol=0)
