"""Networks compile to one graph, whatever the size and the kind of noise level."""

import pytest
import torch

from tests.models.denoiser_cases import CASES

COMPILED = ["DnCNN", "DRUNet", "UNet-noise-map", "DenoiserTiny", "Equivariant", "ComplexDenoiser-images"]


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("name", COMPILED)
def test_compiles_without_a_break(name):
    case = CASES[name]
    model, x = case.make(), case.image(2, 1, 9, 7)
    torch.compiler.reset()
    compiled = torch.compile(model, backend="eager", fullgraph=True)
    for sigma in (0.2, torch.tensor([0.1, 0.3], dtype=torch.float64)):
        torch.testing.assert_close(compiled(x, sigma), model(x, sigma))
