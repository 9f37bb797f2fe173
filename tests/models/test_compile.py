"""Networks compile to one graph, whatever the size and the kind of noise level; RAM's trunk does for every physics."""

import shutil

import pytest
import torch

import wellposed as wp
from tests.models.denoiser_cases import CASES
from tests.support.tensors import random_tensor
from wellposed.models.ram import RAM
from wellposed.models.ram.pyramid import build_pyramid
from wellposed.models.ram.trunk import Trunk
from wellposed.operators import Blur, CartesianMRI, Identity, Mask

COMPILED = ["DnCNN", "DRUNet", "UNet-noise-map", "DenoiserTiny", "Equivariant", "ComplexDenoiser-images"]
ONE_EACH = {
    "identity": Identity((1, 16, 16)),
    "mask": Mask(random_tensor(1, 1, 16, 16).gt(0).double()),
    "circular blur": Blur(random_tensor(1, 1, 3, 3), (1, 16, 16), padding="circular"),
    "valid blur": Blur(random_tensor(1, 1, 3, 3), (1, 16, 16)),
    "k-space": CartesianMRI(random_tensor(1, 1, 16, 16).gt(0).double(), (1, 16, 16)),
}


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("name", COMPILED)
def test_compiles_without_a_break(name):
    case = CASES[name]
    model, x = case.make(), case.image(2, 1, 9, 7)
    torch.compiler.reset()
    compiled = torch.compile(model, backend="eager", fullgraph=True)
    for sigma in (0.2, torch.tensor([0.1, 0.3], dtype=torch.float64)):
        torch.testing.assert_close(compiled(x, sigma), model(x, sigma))


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("operator", ONE_EACH.values(), ids=ONE_EACH)
def test_the_trunk_compiles_without_a_break_whatever_the_physics(operator):
    torch.manual_seed(0)
    trunk = Trunk(widths=(3, 4), blocks=1).double()
    back = random_tensor(2, 1, 16, 16, dtype=torch.complex128 if operator.image_field == "complex" else torch.float64)
    pyramid = build_pyramid(operator.double(), back, (1, 2))
    guess, maps = random_tensor(2, 2 if back.is_complex() else 1, 16, 16), random_tensor(2, 2, 16, 16).abs()
    torch.compiler.reset()
    compiled = torch.compile(trunk.refine, backend="eager", fullgraph=True)
    torch.testing.assert_close(compiled(guess, maps, pyramid), trunk.refine(guess, maps, pyramid))


HAS_COMPILER = shutil.which("g++") is not None or shutil.which("c++") is not None


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning")
@pytest.mark.parametrize(
    "backend",
    ["eager", pytest.param("inductor", marks=pytest.mark.skipif(not HAS_COMPILER, reason="needs a C++ compiler"))],
)
def test_the_small_model_compiles(backend):
    torch.manual_seed(0)
    model = RAM("small").eval().requires_grad_(requires_grad=False)
    physics = wp.Physics(Mask((torch.rand(1, 1, 64, 64) > 0.5).float()), wp.noise.Gaussian(0.1))
    y = physics(torch.rand(1, 1, 64, 64))
    expected = model(y, physics)
    torch.compiler.reset()
    torch.testing.assert_close(torch.compile(model, backend=backend)(y, physics), expected, rtol=1e-4, atol=1e-5)
