"""A network in a model file as a method of reconstruction, beside those that have names."""

from __future__ import annotations

import torch

from wellposed.models.base import Denoiser
from wellposed.models.weights import load
from wellposed.training.denoising import Denoising
from wellposed.verbs.reconstruct import Reconstructor, check_method

__all__ = ["named_method"]

_SUFFIX = ".safetensors"


def named_method(name: str, *, device: torch.device | str = "cpu") -> str | Reconstructor:
    """Return a known name, "auto" included, or the network of a model file, which ends in .safetensors.

    Raises
    ------
    UnknownNameError
        If it is neither.
    MissingFileError, FormatError
        If there is no such file, or it is no model file.
    """
    if not name.lower().endswith(_SUFFIX):
        return check_method(name)
    model = load(name, device=device).requires_grad_(requires_grad=False)
    return Denoising(model) if isinstance(model, Denoiser) else model
