"""The stored outputs of the published implementations, which live beside the repository."""

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest
from safetensors.torch import load_file
from torch import Tensor

FOLDER = Path(__file__).parents[3] / "shared" / "reference"
needs_reference = pytest.mark.skipif(not FOLDER.is_dir(), reason=f"the stored reference outputs are not at {FOLDER}")


def stored(name: str = "ram_and_physics.safetensors") -> dict[str, Tensor]:
    return load_file(FOLDER / name)


def reference_module(name: str) -> ModuleType:
    """Import one of the scripts that made the stored outputs."""
    spec = importlib.util.spec_from_file_location(name, FOLDER / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def field(channels: int, height: int, width: int) -> Tensor:
    """Return the test image on which the stored outputs were computed."""
    return reference_module("deterministic").field(channels, height, width)
