"""The trained networks that come with the package: which there are, and each loaded once."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import torch
from torch import Tensor, nn

from wellposed.core.files import MissingFileError

__all__ = ["bundled_file", "network"]

FOLDER = Path(__file__).resolve().parents[1] / "models" / "weights" / "bundled"


def bundled_file(name: str) -> Path | None:
    """Return the file of the weights that the package brings under this name, or None."""
    path = FOLDER / f"{name}.safetensors"
    return path if path.is_file() else None


def network(name: str, like: Tensor) -> nn.Module:
    """Return a bundled network, where `like` lies and in its precision.

    Raises
    ------
    MissingFileError
        If the package does not bring it; the sentence says how to do without.
    """
    path = bundled_file(name)
    if path is None:
        raise MissingFileError(
            f"the weights {name!r} are not part of this installation: upgrade wellposed, or pass a model of yours as "
            "the method (of a denoiser, wellposed.verbs.reconstruct.dpir makes one)."
        )
    return _loaded(path, path.stat().st_mtime_ns, str(like.device), like.real.dtype)


@lru_cache(maxsize=4)
def _loaded(path: Path, _changed: int, device: str, dtype: torch.dtype) -> nn.Module:
    from wellposed.models.weights import load

    return load(path, device=device).to(dtype).requires_grad_(False)  # noqa: FBT003
