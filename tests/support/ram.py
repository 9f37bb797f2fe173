"""RAM with so few features that tests of what is around its convolutions are quick."""

import pytest
import torch

from wellposed.models.ram import RAM
from wellposed.models.ram import model as module


def tiny_ram() -> RAM:
    """Return a RAM of 1/64 of the width of the base, its weights fixed."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(module._WIDTHS, "small", (4, 8, 8, 16))
        with torch.random.fork_rng():
            torch.manual_seed(0)
            return RAM("small").eval().requires_grad_(requires_grad=False)
