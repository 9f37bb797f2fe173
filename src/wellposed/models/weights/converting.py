"""From any file of weights to a model file of ours, and from a trained model to weights that come with the package."""

from __future__ import annotations

import json
from collections.abc import Mapping
from copy import deepcopy
from pathlib import Path
from typing import Any

from safetensors import safe_open
from torch import nn

from wellposed.core.errors import ArgumentError
from wellposed.core.files import atomic_path, existing_folder
from wellposed.models.files import save_model
from wellposed.models.weights.cache import sha256_of
from wellposed.models.weights.entry import Weights
from wellposed.models.weights.layouts import check_finite
from wellposed.models.weights.loading import load
from wellposed.models.weights.registry import bundled_entries

__all__ = ["bundle", "convert"]


def convert(source: str | Path, target: str | Path, *, model: str | None = None) -> Path:
    """Write weights of any known layout as a model file, which `load` reads without being told the model.

    Parameters
    ----------
    source : str or Path
        As in `load`: a name, or a published `.pth` or `.pth.tar` file, also of a DnCNN of KAIR.
    target : str or Path
        Ends in `.safetensors`.
    model : str, optional
        As in `load`.

    Returns
    -------
    Path
        The target.

    Raises
    ------
    FormatError
        If the source is damaged or belongs to another model, or the target has another suffix.
    UnknownNameError, ArgumentError, MissingFileError, DownloadError
        As in `load`.

    Examples
    --------
    >>> import tempfile
    >>> import torch
    >>> from wellposed.models import DRUNet
    >>> folder = Path(tempfile.mkdtemp())
    >>> torch.save(DRUNet(channels=1, widths=(4, 8), blocks=1).state_dict(), folder / "drunet.pth")
    >>> path = convert(folder / "drunet.pth", folder / "drunet.safetensors", model="DRUNet")
    >>> load(path).widths
    (4, 8)
    """
    save_model(target, load(source, model=model))
    return Path(target)


def bundle(
    model: nn.Module,
    name: str,
    folder: str | Path,
    *,
    licence: str,
    data: str,
    recipe: str,
    use: str,
    limits: str,
    reference: str = "",
    results: Mapping[str, float] | None = None,
) -> Weights:
    """Write a trained model as the two files by which the package carries weights: `NAME.safetensors`, `NAME.json`.

    In `src/wellposed/models/weights/bundled` they are an entry of the registry. The weights are stored in half
    precision; `load` returns them in single precision.

    Parameters
    ----------
    model : nn.Module
        One of `MODELS`; it stays as it is.
    name : str
        Of the entry.
    folder : str or Path
    licence, data, recipe, use, limits, reference : str
        As in `Weights`.
    results : mapping of str to float, optional
        As in `Weights`.

    Returns
    -------
    Weights

    Raises
    ------
    ArgumentError
        If the name could be mistaken for a path.
    FormatError
        If a weight is NaN, infinite, or too large for half precision.
    MissingFileError, UnsupportedError
        If the folder does not exist, or the model cannot be written to a file.
    """
    if not name or name != Path(name).name or "." in name:
        raise ArgumentError(f"expected a name of letters, digits and hyphens for weights, got {name!r}.")
    path = existing_folder(folder) / f"{name}.safetensors"
    half = deepcopy(model).half()
    check_finite(half.state_dict(), path)
    save_model(path, half)
    texts = {"licence": licence, "data": data, "recipe": recipe, "use": use, "limits": limits, "reference": reference}
    entry = {
        "model": type(model).__name__,
        "arguments": _arguments(path),
        **texts,
        "sha256": sha256_of(path),
        "size": path.stat().st_size,
        "results": dict(results or {}),
    }
    with atomic_path(path.with_suffix(".json")) as temporary:
        temporary.write_text(json.dumps(entry, indent=2) + "\n", encoding="utf-8")
    return next(entry for entry in bundled_entries(path.parent) if entry.name == name)


def _arguments(path: Path) -> dict[str, Any]:
    with safe_open(path, framework="pt") as file:
        return dict(json.loads(file.metadata()["wellposed"])["model"]["arguments"])
