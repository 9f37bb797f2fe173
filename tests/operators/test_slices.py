"""What operators on volumes are on their slices."""

import pytest
import torch

from tests.support.tensors import assert_same, random_tensor
from wellposed.core.errors import UnsupportedError
from wellposed.core.tree import tree_map
from wellposed.noise import Gaussian
from wellposed.operators import Blur, Downsample, FromFunctions, Identity, Mask, PerSlice, SpectralResponse, Stack
from wellposed.operators._slices import of_images, on_slices

SIZE = (2, 3, 4, 6)
X = random_tensor(1, *SIZE)
MASK = random_tensor(1, 1, 3, 4, 6, seed=1)
KERNEL = random_tensor(1, 1, 2, 3, seed=2)
RESPONSE = random_tensor(1, 3, 2, seed=3)
BLUR = PerSlice(Blur(KERNEL, (2, 4, 6), "circular"), 3)

SEPARABLE = {
    "Identity": Identity(SIZE).double(),
    "Mask": Mask(MASK, SIZE),
    "flat Blur": Blur(KERNEL[:, :, None], SIZE, "reflect", method="fft"),
    "SpectralResponse": SpectralResponse(RESPONSE, SIZE),
    "PerSlice": PerSlice(Downsample(2, (2, 4, 6), random_tensor(1, 1, 3, 3)), 3),
    "Scaled": 3 * Mask(MASK, SIZE),
    "Compose": Mask(MASK, SIZE) @ BLUR,
    "Sum": Mask(MASK, SIZE) + BLUR,
    "Adjoint": SpectralResponse(RESPONSE.mT, (3, *SIZE[1:])).H,
    "Stack": Stack((Mask(MASK, SIZE), BLUR)),
}


def slices(volumes):
    return tree_map(lambda leaf: leaf[0].movedim(1, 0), volumes)


@pytest.mark.parametrize("name", SEPARABLE)
def test_the_slices_of_what_is_measured_are_what_the_slices_measure(name):
    A = SEPARABLE[name]
    on_each = on_slices(A)
    assert len(on_each.image_shape) == 3
    assert_same(on_each(slices(X)), slices(A(X)))
    y = A(X)
    assert_same(on_each.adjoint(slices(y)), slices(A.adjoint(y)))


def test_an_operator_that_nobody_knows_is_refused():
    with pytest.raises(UnsupportedError, match=r"FromFunctions on .*PerSlice\(operator, depth\)"):
        on_slices(FromFunctions(abs, abs, SIZE, SIZE))


def test_the_images_of_a_batch():
    """Shared parameters stay the same tensors; those of each image are cut."""
    A = Mask(random_tensor(3, 1, 4, 6)) @ Blur(KERNEL, (2, 4, 6), "zero")
    part = of_images(A, 1, 3)
    assert torch.equal(part.params["mask"], A.params["mask"][1:])
    assert part.params["kernel"] is A.params["kernel"]
    assert of_images(Gaussian(torch.tensor([0.1, 0.2, 0.3])), 1, 2).sigma.tolist() == pytest.approx([0.2])
