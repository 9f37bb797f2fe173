"""Weights from files: tensors by name, which fit a model entirely or are refused."""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from wellposed.core.errors import FormatError
from wellposed.core.files import existing_file

__all__ = ["load_weights", "read_weights"]

_WRAPPERS = ("state_dict", "params_ema", "params", "model", "model_state_dict")
_NAMED_AT_MOST = 3


def read_weights(path: str | Path) -> dict[str, Tensor]:
    """Read the tensors of a checkpoint, in safetensors or as PyTorch saves them; nothing in it is executed.

    A checkpoint that holds the weights under `state_dict`, `params`, `params_ema`, `model` or `model_state_dict`, or
    with the prefix `module.` of data-parallel training, is unwrapped.

    Parameters
    ----------
    path : str or Path
        `.safetensors`, or anything that `torch.save` made.

    Returns
    -------
    dict of str to Tensor, on the CPU

    Raises
    ------
    MissingFileError
        If there is no such file.
    FormatError
        If it is damaged, truncated, or holds something other than tensors by name.
    """
    path = existing_file(path)
    try:
        if path.suffix.lower() == ".safetensors":
            return load_file(path)
        content = torch.load(path, map_location="cpu", weights_only=True)
    except (SafetensorError, RuntimeError, OSError, EOFError, ValueError, KeyError, pickle.UnpicklingError) as error:
        raise FormatError(
            f"{path} is no checkpoint of tensors alone, or it is truncated: fetch it again, and check its source."
        ) from error
    return _unwrapped(path, content)


def _unwrapped(path: Path, content: Any) -> dict[str, Tensor]:
    for wrapper in _WRAPPERS:
        if isinstance(content, Mapping) and isinstance(content.get(wrapper), Mapping):
            content = content[wrapper]
            break
    if not isinstance(content, Mapping) or not content or not all(isinstance(v, Tensor) for v in content.values()):
        raise FormatError(f"{path} holds no tensors by name: save model.state_dict() and nothing else.")
    if all(name.startswith("module.") for name in content):
        return {name.removeprefix("module."): tensor for name, tensor in content.items()}
    return dict(content)


def load_weights(model: nn.Module, path: str | Path) -> None:
    """Replace the weights of a model by those of a checkpoint, all of them or none.

    Published DRUNet and DnCNN files fit `DRUNet` and `DnCNN` as they are. The weights take the precision and the device
    of the model.

    Parameters
    ----------
    model : nn.Module
    path : str or Path
        As in `read_weights`.

    Raises
    ------
    FormatError
        If a tensor is missing, too many, or of another shape: the first ones are named, and the model stays as it was.

    Examples
    --------
    >>> import tempfile
    >>> from wellposed.models import DnCNN
    >>> path = Path(tempfile.mkdtemp()) / "dncnn.pth"
    >>> torch.save(DnCNN(channels=1).state_dict(), path)
    >>> load_weights(DnCNN(channels=1), path)
    >>> load_weights(DnCNN(channels=3), path)  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    wellposed.core.errors.FormatError: ... does not fit DnCNN: in_conv.weight is (64, 1, 3, 3) where ...
    """
    weights = read_weights(path)
    check_fit(model, weights, path)
    model.load_state_dict(weights)


def check_fit(model: nn.Module, weights: Mapping[str, Tensor], path: str | Path) -> None:
    """Raise `FormatError`, naming the first differences, unless the weights are those of a model of this layout."""
    wanted = model.state_dict()
    differences = [
        f"{name} is {tuple(weights[name].shape)} where {tuple(tensor.shape)} is expected"
        for name, tensor in wanted.items()
        if name in weights and weights[name].shape != tensor.shape
    ]
    differences += [f"{name} is missing" for name in wanted if name not in weights]
    differences += [f"{name} is not a tensor of this model" for name in weights if name not in wanted]
    if differences:
        more = len(differences) - _NAMED_AT_MOST
        raise FormatError(
            f"{path} does not fit {type(model).__name__}: {'; '.join(differences[:_NAMED_AT_MOST])}"
            f"{f'; and {more} more' if more > 0 else ''}. Build the model with the sizes of the checkpoint."
        )
