"""From weights to a model that has them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import nn

from wellposed.core.errors import ArgumentError
from wellposed.core.names import check_name
from wellposed.models.checkpoints import read_weights
from wellposed.models.files import load_model
from wellposed.models.registry import MODELS
from wellposed.models.weights.download import Progress
from wellposed.models.weights.entry import Weights
from wellposed.models.weights.fetching import entry_of, find
from wellposed.models.weights.layouts import check_finite, in_our_layout, sizes, weights_for

__all__ = ["fill", "load"]

_HALVES = (torch.float16, torch.bfloat16)


def load(
    name_or_path: str | Path,
    *,
    model: str | None = None,
    device: torch.device | str = "cpu",
    progress: Progress | None = None,
) -> nn.Module:
    """Build a model with its weights.

    Parameters
    ----------
    name_or_path : str or Path
        One of `WEIGHTS`, which is fetched if need be; or a file of yours: a model file, as `save_model` writes it, or a
        published checkpoint.
    model : str, optional
        The class of the model, such as "DRUNet", for a file that does not name it. The sizes of `RAM`, `DRUNet`,
        `DenoiserTiny` and `DnCNN` are read off the tensors; other models have their default sizes.
    device : torch.device or str
        Where the weights shall lie.
    progress : callable, optional
        As in `fetch`.

    Returns
    -------
    nn.Module
        In evaluation mode; its weights in single precision, or in double precision if a model file has them so.

    Raises
    ------
    UnknownNameError
        If there are no such weights, or is no such model.
    ArgumentError
        If the file holds tensors alone and `model` is missing, or the name belongs to another model.
    MissingFileError, DownloadError
        If the file is not there, or cannot be fetched.
    FormatError
        If it is damaged, belongs to another model, which names the first tensors that differ, or holds NaN.

    Examples
    --------
    >>> import tempfile
    >>> from wellposed.models import DnCNN
    >>> path = Path(tempfile.mkdtemp()) / "published.pth"
    >>> torch.save(DnCNN(channels=1, depth=5).state_dict(), path)
    >>> load(path, model="DnCNN").depth
    5
    """
    kind = None if model is None else check_name("model", model, MODELS)
    entry = entry_of(name_or_path)
    if entry is not None and kind not in {None, entry.model}:
        raise ArgumentError(f"the weights {entry.name!r} are those of {entry.built_as()}, got model={model!r}.")
    path = find(name_or_path, progress=progress)
    if entry is not None and not entry.is_bundled:
        return _filled(entry.model, dict(entry.arguments), path).to(device)
    if entry is None and kind is not None:
        return _filled(kind, sizes(kind, in_our_layout(kind, read_weights(path))), path).to(device)
    if path.suffix.lower() != ".safetensors":
        raise ArgumentError(
            f"{path} holds tensors alone: say of which model, as in model='DRUNet'; known: {', '.join(MODELS)}."
        )
    loaded = load_model(path, device=device)
    check_finite(loaded.state_dict(), path)
    return loaded.float() if any(weight.dtype in _HALVES for weight in loaded.state_dict().values()) else loaded


def fill(model: nn.Module, weights: str | Path, *, progress: Progress | None = None) -> None:
    """Give a model the weights of a name or a file, all of them or none.

    Parameters
    ----------
    model : nn.Module
        Its precision and device stay.
    weights : str or Path
        As in `load`.
    progress : callable, optional
        As in `fetch`.

    Raises
    ------
    FormatError
        If the file is damaged, belongs to another model, which names the first tensors that differ, or holds NaN.
    ArgumentError
        If the name belongs to a model of another class or other sizes; nothing is fetched then.
    UnknownNameError, MissingFileError, DownloadError
        As in `load`.

    Examples
    --------
    >>> from wellposed.models import DnCNN
    >>> fill(DnCNN(channels=3), "dncnn-grey")  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    wellposed.core.errors.ArgumentError: the weights 'dncnn-grey' are those of DnCNN(channels=1, ...
    """
    entry = entry_of(weights)
    if entry is not None:
        _check_kind(model, entry)
    model.load_state_dict(weights_for(model, find(weights, progress=progress)))


def _filled(kind: str, arguments: dict[str, Any], path: Path) -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        model = MODELS[kind](**arguments)
    model.load_state_dict(weights_for(model, path))
    return model.eval()


def _check_kind(model: nn.Module, entry: Weights) -> None:
    different = [name for name, value in entry.arguments.items() if getattr(model, name, value) != value]
    if type(model).__name__ != entry.model or different:
        got = ", ".join(f"{name}={getattr(model, name)!r}" for name in different)
        raise ArgumentError(
            f"the weights {entry.name!r} are those of {entry.built_as()}, got {type(model).__name__}({got}): "
            "choose others, or build that model."
        )
