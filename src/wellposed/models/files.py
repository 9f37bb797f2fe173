"""Model files: the weights of a model and how to build it, together, in one safetensors file."""

from __future__ import annotations

import inspect
import json
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from wellposed.core.errors import FormatError, UnknownNameError, UnsupportedError
from wellposed.core.files import atomic_path, existing_file
from wellposed.core.names import check_name
from wellposed.models.checkpoints import check_fit
from wellposed.models.registry import MODELS

__all__ = ["load_model", "save_model"]

_SUFFIX = ".safetensors"
_FORMAT = "wellposed model"
_VERSION = 1
_NOT_KEPT = ("weights",)  # where a model's weights came from: the file itself holds them


def save_model(path: str | Path, model: nn.Module, *, facts: Mapping[str, Any] | None = None) -> None:
    """Write a model to one file, whole or not at all.

    The file is safetensors: the weights, and in its header a description in JSON of how to build the model. It holds no
    code, and reading it runs none.

    Parameters
    ----------
    path : str or Path
        Ends in `.safetensors`.
    model : nn.Module
        One of `MODELS`, or such a model around others.
    facts : mapping, optional
        What else the description shall say, as plain JSON, such as how the weights came about.

    Raises
    ------
    FormatError
        If the path does not end in `.safetensors`, or is a folder.
    MissingFileError
        If its folder does not exist.
    UnsupportedError
        If the model is not in `MODELS`, or is built from something that JSON cannot hold, such as a function.

    Examples
    --------
    >>> import tempfile
    >>> from wellposed.models import DenoiserTiny, Equivariant
    >>> path = Path(tempfile.mkdtemp()) / "denoiser.safetensors"
    >>> save_model(path, Equivariant(DenoiserTiny(channels=1), mode="average"))
    >>> load_model(path).denoiser.channels
    1
    """
    path = Path(path)
    if path.suffix.lower() != _SUFFIX:
        raise FormatError(f"models are written to a {_SUFFIX} file, got {path}: change the name.")
    description = {
        "format": _FORMAT,
        "version": _VERSION,
        "library": version("wellposed"),
        "model": _described(model, type(model).__name__),
        **({} if facts is None else {"facts": dict(facts)}),
    }
    weights = {name: _storable(tensor) for name, tensor in model.state_dict().items()}
    with atomic_path(path) as temporary:
        temporary.write_bytes(save(weights, metadata={"wellposed": json.dumps(description)}))


def load_model(path: str | Path, *, device: torch.device | str = "cpu") -> nn.Module:
    """Read what `save_model` wrote.

    Parameters
    ----------
    path : str or Path
    device : torch.device or str
        Where the weights shall lie.

    Returns
    -------
    nn.Module
        In evaluation mode, its weights in the precision in which they were saved.

    Raises
    ------
    MissingFileError
        If there is no such file.
    FormatError
        If it is no model file, damaged, made by a newer wellposed, or names a model that is not known.
    """
    path = existing_file(path)
    try:
        with safe_open(path, framework="pt", device=str(device)) as file:
            header = file.metadata() or {}
            weights: dict[str, Tensor] = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except SafetensorError as error:
        raise FormatError(f"{path} is not a model file, or it is truncated ({error}).") from error
    description = _description(path, header)
    try:
        with torch.random.fork_rng(devices=[]):
            model = _built(description["model"])
    except (UnknownNameError, LookupError, TypeError, ValueError, AttributeError) as error:
        raise FormatError(f"{path} has a damaged description: {error}") from error
    if not isinstance(model, nn.Module):
        raise FormatError(f"{path} has a damaged description: it describes no model.")
    check_fit(model, weights, path)
    layout = model.state_dict()
    model.load_state_dict({name: _laid_out(weights[name], layout[name]) for name in layout}, assign=True)
    return model.eval()


def _described(value: Any, where: str) -> Any:
    """Return a JSON description of a model, or of an argument of one."""
    if isinstance(value, nn.Module):
        kind = type(value)
        if MODELS.get(kind.__name__) is not kind:
            raise UnsupportedError(
                f"{where} is a {kind.__name__}, which cannot be written to a file; known: {', '.join(MODELS)}. "
                "Save its state dict instead."
            )
        names = [name for name in inspect.signature(kind).parameters if name not in _NOT_KEPT]
        arguments = {name: _described(getattr(value, name), f"{kind.__name__}.{name}") for name in names}
        return {"type": kind.__name__, "arguments": arguments}
    if isinstance(value, (tuple, list)):
        return [_described(entry, f"{where}[{index}]") for index, entry in enumerate(value)]
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    raise UnsupportedError(f"{where} is a {type(value).__name__}, which cannot be written to a file.")


def _built(description: Any) -> Any:
    if isinstance(description, list):
        return tuple(_built(entry) for entry in description)
    if not isinstance(description, dict):
        return description
    kind = MODELS[check_name("model", description["type"], MODELS)]
    return kind(**{name: _built(value) for name, value in description["arguments"].items()})


def _storable(tensor: Tensor) -> Tensor:
    """Return a contiguous copy of its own on the CPU."""
    return tensor.detach().cpu().clone(memory_format=torch.contiguous_format)


def _description(path: Path, header: dict[str, str]) -> dict[str, Any]:
    if "wellposed" not in header:
        raise FormatError(f"{path} is safetensors, but no model file: load_weights reads weights into a model.")
    try:
        description = json.loads(header["wellposed"])
    except json.JSONDecodeError as error:
        raise FormatError(f"{path} has a damaged description ({error}).") from error
    if not isinstance(description, dict) or description.get("format") != _FORMAT:
        raise FormatError(f"{path} is safetensors, but no model file: its description does not say {_FORMAT!r}.")
    file_version = description.get("version")
    if not isinstance(file_version, int) or file_version < 1 or "model" not in description:
        raise FormatError(f"{path} has a damaged description: it lacks its version or its model.")
    if file_version > _VERSION:
        raise FormatError(
            f"{path} was made by a newer wellposed ({description.get('library')}, format {file_version}, "
            f"where this one reads up to {_VERSION}): pip install --upgrade wellposed."
        )
    return description


def _laid_out(tensor: Tensor, like: Tensor) -> Tensor:
    """Return a copy with the memory layout of another tensor, such as channels last."""
    return torch.empty_like(like, dtype=tensor.dtype, device=tensor.device).copy_(tensor)
