"""Checkpoints: the whole state of a training run in one safetensors file, there or not; and light ones, in several."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, final

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from wellposed.core.errors import FormatError, TrainingError, UnsupportedError, WellposedError
from wellposed.core.files import MissingFileError, atomic_path, existing_file
from wellposed.models import save_model

__all__ = ["Checkpoint", "read_checkpoint", "write_checkpoint", "write_light", "write_network"]

_FORMAT = "wellposed training"
_VERSION = 1
_LIGHT_BYTES = 15_000_000
_LIGHT_NAME = re.compile(r"light-(\d+)-of-(\d+)\.safetensors")
_LEFT_OUT = ("optimiser.", "scale.")


@final
@dataclass(frozen=True)
class Checkpoint:
    """What a training run is at one moment.

    Parameters
    ----------
    tensors : mapping of str to Tensor
        `weights.*`, `ema.*`, `optimiser.*` (what it remembers), `scale.*` (of the loss in half precision).
    facts : mapping
        Plain JSON: the step, the minutes, the best score, the recipe.
    """

    tensors: Mapping[str, Tensor]
    facts: Mapping[str, Any] = field(default_factory=dict)

    def part(self, prefix: str) -> dict[str, Tensor]:
        """Return the tensors under `prefix.`, by their names without it."""
        start = f"{prefix}."
        return {name.removeprefix(start): value for name, value in self.tensors.items() if name.startswith(start)}


def write_checkpoint(path: Path, checkpoint: Checkpoint) -> None:
    """Write a checkpoint to one file, whole or not at all: until it is on the disk, the one before stays.

    Raises
    ------
    TrainingError
        If the disk is full or may not be written to.
    """
    with kept_whole(path):
        _write(path, {name: _storable(tensor) for name, tensor in checkpoint.tensors.items()}, checkpoint.facts)


def write_light(folder: Path, checkpoint: Checkpoint) -> None:
    """Write `light-1-of-N.safetensors`, ...: half precision, without the optimiser's state, 15 MB a file at most.

    Raises
    ------
    TrainingError
        If the disk is full or may not be written to.
    """
    files: list[dict[str, Tensor]] = [{}]
    room = _LIGHT_BYTES
    for name, tensor in checkpoint.tensors.items():
        if name.startswith(_LEFT_OUT):
            continue
        value = _storable(tensor.half() if tensor.is_floating_point() else tensor)
        if value.nbytes > room and files[-1]:
            files.append({})
            room = _LIGHT_BYTES
        files[-1][name] = value
        room -= value.nbytes
    for path in _light_files(folder):
        path.unlink()
    for number, tensors in enumerate(files, start=1):
        path = folder / f"light-{number}-of-{len(files)}.safetensors"
        with kept_whole(path):
            _write(path, tensors, checkpoint.facts)


def write_network(path: Path, network: nn.Module) -> None:
    """Write a network as a model file, or its weights alone where it is not one of `wellposed.models.MODELS`.

    Raises
    ------
    TrainingError
        If the disk is full or may not be written to.
    """
    with kept_whole(path):
        try:
            save_model(path, network)
        except UnsupportedError:
            with atomic_path(path) as temporary:
                save_file({name: _storable(tensor) for name, tensor in network.state_dict().items()}, temporary)


def read_checkpoint(path: str | Path) -> Checkpoint:
    """Read a checkpoint, or the files of a light one.

    Parameters
    ----------
    path : str or Path
        A file; or a folder with `checkpoint.safetensors` or, where that is missing, with `light-*.safetensors`.

    Raises
    ------
    MissingFileError
        If there is neither.
    FormatError
        If a file is damaged, missing among the light ones, or no checkpoint.
    """
    path = Path(path)
    if not path.is_dir():
        return _read(existing_file(path))
    if (path / "checkpoint.safetensors").exists():
        return _read(path / "checkpoint.safetensors")
    parts = _light_files(path)
    if not parts:
        raise MissingFileError(f"{path} holds no checkpoint: there is no checkpoint.safetensors in it.")
    total = int(_LIGHT_NAME.fullmatch(parts[0].name)[2])  # type: ignore[index]
    read = [_read(part) for part in parts]
    if len(parts) != total or len({entry.facts["step"] for entry in read}) != 1:
        raise FormatError(f"{path} holds {len(parts)} of {total} light files of one moment: copy all of them.")
    whole = {name: tensor for entry in read for name, tensor in entry.tensors.items()}
    tensors = {name: tensor.float() if tensor.dtype == torch.float16 else tensor for name, tensor in whole.items()}
    return Checkpoint(tensors, read[0].facts)


@contextmanager
def kept_whole(path: Path) -> Iterator[None]:
    """Say in one sentence that a file could not be written, and that the one before it is as it was."""
    try:
        yield
    except WellposedError:
        raise
    except (OSError, SafetensorError) as error:
        before = "the one before is as it was" if path.exists() else "nothing was kept"
        raise TrainingError(f"{path} could not be written ({error}); {before}: make room, then resume.") from error


def _write(path: Path, tensors: Mapping[str, Tensor], facts: Mapping[str, Any]) -> None:
    header = {"format": _FORMAT, "version": _VERSION, **facts}
    with atomic_path(path) as temporary:
        save_file(dict(tensors), temporary, metadata={"wellposed": json.dumps(header)})
        _flush(temporary)
    _flush(path.parent)


def _flush(path: Path) -> None:
    """Wait until a file, or the entries of a folder, are on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _read(path: Path) -> Checkpoint:
    try:
        with safe_open(path, framework="pt") as file:
            header = json.loads((file.metadata() or {}).get("wellposed", "{}"))
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, json.JSONDecodeError) as error:
        raise FormatError(f"{path} is not a checkpoint, or it is truncated ({error}).") from error
    if header.pop("format", None) != _FORMAT:
        raise FormatError(f"{path} is no checkpoint of a training run: load_model or load_weights may read it.")
    if header.pop("version") != _VERSION:
        raise FormatError(f"{path} was made by another version of wellposed: train on with that one.")
    return Checkpoint(tensors, header)


def _light_files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if _LIGHT_NAME.fullmatch(path.name))


def _storable(tensor: Tensor) -> Tensor:
    """Return a contiguous copy of its own on the CPU."""
    return tensor.detach().cpu().clone(memory_format=torch.contiguous_format)
