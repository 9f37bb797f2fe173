"""The algebra of operators against the algebra of their matrices."""

import pytest
import torch

from tests.support.tensors import assert_same, random_image, random_measurement, random_tensor
from wellposed.core.errors import ArgumentError, ShapeError
from wellposed.operators import (
    BayerMosaic,
    Blur,
    CartesianMRI,
    Compose,
    Crop,
    Downsample,
    FiniteDifferences,
    FromFunctions,
    Identity,
    Mask,
    Scaled,
    Stack,
    Sum,
)

KERNEL = 0.2 * random_tensor(1, 1, 3, 2) + torch.tensor([[0, 0], [0, 1], [0, 0]])
BLUR = Blur(KERNEL, (1, 4, 5), padding="zero")
MASK = Mask(random_tensor(1, 1, 4, 5, seed=1))
CROP = Crop((1, 4, 5), corner=(1, 0), size=(2, 3)).double()
MRI = CartesianMRI(random_tensor(1, 1, 4, 5, seed=2), (1, 4, 5))
PER_IMAGE = Mask(random_tensor(3, 1, 4, 5, seed=3))


def assert_matrix(operator, expected):
    torch.testing.assert_close(operator.to_matrix(), expected, rtol=1e-10, atol=1e-10)
    torch.testing.assert_close(operator.H.to_matrix(), expected.mH, rtol=1e-10, atol=1e-10)
    torch.testing.assert_close(operator.gram.to_matrix(), expected.mH @ expected, rtol=1e-10, atol=1e-10)
    norm = torch.linalg.matrix_norm(expected, ord=2)
    torch.testing.assert_close(operator.norm(), norm, rtol=1e-3, atol=0)


def test_composition_is_the_product():
    assert_matrix(CROP @ BLUR, CROP.to_matrix() @ BLUR.to_matrix())
    assert_matrix(CROP @ MASK @ BLUR, CROP.to_matrix() @ MASK.to_matrix() @ BLUR.to_matrix())
    assert_matrix(BLUR @ PER_IMAGE, BLUR.to_matrix() @ PER_IMAGE.to_matrix())
    assert_matrix(MRI @ BLUR, MRI.to_matrix() @ BLUR.to_matrix().to(torch.complex128))


def test_sum_and_difference():
    assert_matrix(BLUR + MASK, BLUR.to_matrix() + MASK.to_matrix())
    assert_matrix(BLUR - MASK, BLUR.to_matrix() - MASK.to_matrix())
    assert_matrix(BLUR + PER_IMAGE - MASK, BLUR.to_matrix() + PER_IMAGE.to_matrix() - MASK.to_matrix())


def test_multiples():
    scales = torch.tensor([2.0, -0.5, 3.0], dtype=torch.float64)
    matrix = BLUR.to_matrix()
    assert_matrix(-BLUR, -matrix)
    assert_matrix(3 * BLUR, 3 * matrix)
    assert_matrix(BLUR * -0.5, -0.5 * matrix)
    assert_matrix(BLUR / 4, matrix / 4)
    assert_matrix(BLUR / scales, matrix / scales.view(3, 1, 1))
    assert_matrix(scales * MASK, scales.view(3, 1, 1) * MASK.to_matrix())
    assert_matrix((1 - 2j) * MRI, (1 - 2j) * MRI.to_matrix())
    assert_matrix(2j * (scales * MRI), 2j * scales.view(3, 1, 1) * MRI.to_matrix())


def test_adjoint_and_gram_are_operators_in_expressions():
    matrix = CROP.to_matrix()
    assert_matrix(CROP.H @ CROP + 0.5 * Identity((1, 4, 5)).double(), matrix.mH @ matrix + 0.5 * torch.eye(20))
    assert_matrix(2 * BLUR.gram, 2 * BLUR.to_matrix().mH @ BLUR.to_matrix())
    assert (2 * BLUR.gram).tags == {"self_adjoint"}


@pytest.mark.parametrize(
    "scale", [2.5, torch.tensor([-1.0, 0.0, 2.0], dtype=torch.float64)], ids=["number", "per image"]
)
@pytest.mark.parametrize("operator", [BLUR, CROP], ids=["iterated", "closed form"])
def test_multiples_solve_as_their_matrix_does_even_with_zero(operator, scale):
    A = scale * operator
    z, y = random_image(A, 3), random_measurement(A, 3)
    gamma = torch.tensor([0.5, 1.0, 4.0], dtype=torch.float64)
    matrix = A.to_matrix()
    system = gamma.view(3, 1, 1) * matrix.mH @ matrix + torch.eye(20)
    right = gamma.view(3, 1, 1) * matrix.mH @ y.flatten(1)[..., None] + z.flatten(1)[..., None]
    expected = torch.linalg.solve(system, right)[..., 0]
    torch.testing.assert_close(A.prox(z, y, gamma).flatten(1), expected, rtol=1e-4, atol=1e-5)
    inverse = (torch.linalg.pinv(matrix) @ y.flatten(1)[..., None])[..., 0]
    assert ((A.pinv(y).flatten(1) - inverse).norm(dim=1) <= 1e-3 * inverse.norm(dim=1)).all()
    assert A.has_closed_form("prox") == operator.has_closed_form("prox")


def test_stack_measures_a_tuple_whose_matrix_is_stacked():
    A = Stack((CROP, 2 * BLUR, MASK))
    parts = [CROP.to_matrix(), 2 * BLUR.to_matrix(), MASK.to_matrix()]
    assert_matrix(A, torch.cat(parts, dim=1))
    assert A.measurement_shape == ((1, 2, 3), (1, 4, 5), (1, 4, 5))
    image = random_image(A, 2)
    assert_same(A(image), (CROP(image), 2 * BLUR(image), MASK(image)))


def test_norm_of_a_stack_is_euclidean():
    """L5: root of the sum of squares, 5 for 3 and 4."""
    A = Stack((3 * Identity((1, 2, 2)).double(), 4 * Identity((1, 2, 2)).double()))
    assert A.norm().item() == pytest.approx(5)


def test_a_stack_may_be_composed_and_nested():
    outer = Stack((Stack((BLUR, MASK)), CROP))
    assert_matrix(outer, torch.cat([BLUR.to_matrix(), MASK.to_matrix(), CROP.to_matrix()], dim=1))
    assert_matrix(Stack((BLUR, CROP)) @ MASK, torch.cat([BLUR.to_matrix(), CROP.to_matrix()], 1) @ MASK.to_matrix())
    back = Stack((BLUR, CROP)).H
    assert_matrix(MASK @ back, MASK.to_matrix() @ back.to_matrix())


def test_the_parts_of_a_stack_follow_it():
    """L14: state, precision and parameters reach every part."""
    A = Stack((Downsample(2, (1, 4, 6)), Mask(torch.ones(1, 1, 4, 6))))
    assert set(A.state_dict()) == {"operators.0.filter", "operators.1.mask"}
    assert {value.dtype for value in A.double().params.values()} == {torch.float64}
    changed = A.with_params(mask=torch.zeros(1, 1, 4, 6).double())
    assert changed(torch.ones(1, 1, 4, 6).double())[1].abs().max() == 0
    assert A(torch.ones(1, 1, 4, 6).double())[1].min() == 1


def test_measurements_of_a_stack_that_are_no_tuple_of_its_length_are_refused():
    A, y = Stack((BLUR, MASK)), random_tensor(1, 1, 4, 5)
    with pytest.raises(ShapeError, match="Stack expects measurements that are a tuple of 2 tensors, got a tuple of 3"):
        A.adjoint((y, y, y))
    with pytest.raises(ShapeError, match="tuple of 2 tensors, got a list"):
        A.adjoint([y, y])
    with pytest.raises(ShapeError, match=r"Stack expects measurements of one batch, got \[1, 2\] images"):
        A.adjoint((y, torch.cat([y, y])))


def test_sizes_that_may_vary_are_settled_by_the_other_operators():
    free, colour = Mask(random_tensor(1, 1, 4, 5)), Blur(KERNEL, (3, 4, 5), padding="zero")
    for A in (free @ colour, colour @ free, Stack((free, colour)), Sum((free, colour)), Identity().double() @ colour):
        assert A.image_shape == (3, 4, 5)
        assert A.adjoint_error() < 1e-12
    assert (free @ colour).measurement_shape == (3, 4, 5)


def test_operators_that_do_not_fit_are_refused_by_name():
    with pytest.raises(
        ShapeError, match=r"Blur @ Crop does not fit: Crop gives \(B, 1, 2, 3\), Blur expects \(B, 1, 4, 5\)"
    ):
        BLUR @ CROP
    with pytest.raises(
        ShapeError, match=r"Sum needs operators with the same measurements, got \(B, 1, 4, 5\) and \(B, 1, 2, 3"
    ):
        BLUR + CROP
    with pytest.raises(ShapeError, match="Stack needs operators with the same images"):
        Stack((BLUR, Identity((1, 4, 6))))
    with pytest.raises(ShapeError, match=r"Crop @ Stack does not fit: Stack gives \(\(B, 1, 4, 5\), \(B, 1, 4, 5\)\)"):
        CROP @ Stack((BLUR, MASK))
    for empty in (Stack, Sum):
        with pytest.raises(ArgumentError, match=f"{empty.__name__} needs at least one operator"):
            empty(())


def test_parameters_for_different_numbers_of_images_are_refused():
    A = PER_IMAGE @ Blur(random_tensor(2, 1, 3, 3), (1, 4, 5), padding="zero")
    for use in (A.norm, lambda: A(random_tensor(3, 1, 4, 5)), lambda: A.adjoint(random_tensor(2, 1, 4, 5))):
        with pytest.raises(ShapeError, match="Compose has parameters for 2 and for 3 images: give each of them"):
            use()


def test_real_and_complex_operators_do_not_mix_silently():
    real = FromFunctions(_same, _same, (1, 4, 5), (1, 4, 5), image_field="real", measurement_field="real")
    with pytest.raises(ArgumentError, match="a complex multiple of FromFunctions, which is real"):
        1j * real
    for join in (lambda: MRI @ real, lambda: MRI + real, lambda: Stack((real, MRI))):
        with pytest.raises(ArgumentError, match="cannot join an operator of real tensors with one of complex"):
            join()
    assert (MRI @ BLUR).image_field == "complex"
    assert (BLUR @ MRI).measurement_field == "complex"
    assert (1j * BLUR).image_field == "complex"


def _same(x):
    return x


def test_what_is_no_operator_and_no_number_is_refused():
    for wrong in (lambda: BLUR @ 2, lambda: BLUR + 1, lambda: BLUR * "2", lambda: BLUR - KERNEL):
        with pytest.raises(TypeError):
            wrong()
    with pytest.raises(ShapeError, match=r"a scale is a number or of shape \(B,\), got \(1, 2\)"):
        Scaled(BLUR, torch.ones(1, 2))


def test_gradients_flow_to_the_parameters_of_every_part():
    scale = torch.tensor(2.0, dtype=torch.float64, requires_grad=True)
    kernel = KERNEL.clone().requires_grad_()
    A = scale * (CROP @ Blur(kernel, (1, 4, 5), padding="zero"))
    image = random_image(A)
    A(image).sum().backward()
    base = CROP @ BLUR
    assert scale.grad.item() == pytest.approx(base(image).sum().item())
    assert kernel.grad.shape == kernel.shape
    bump = torch.zeros_like(KERNEL)
    bump[0, 0, 2, 1] = 1
    assert kernel.grad[0, 0, 2, 1].item() == pytest.approx(2 * base(image, kernel=bump).sum().item())


def test_super_resolved_mosaic_of_a_gradient():
    """A longer chain, over colours, strides and a change of rank of the tensors."""
    mosaic = BayerMosaic((3, 4, 6)).double()
    chain = FiniteDifferences((1, 2, 3)).double() @ Downsample(2, (1, 4, 6)).double() @ mosaic
    assert isinstance(chain, Compose)
    assert (chain.image_shape, chain.measurement_shape) == ((3, 4, 6), (2, 1, 2, 3))
    assert chain.adjoint_error() < 1e-12
