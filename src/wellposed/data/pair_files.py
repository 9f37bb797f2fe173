"""Files of pairs: measurements with their physics, and the truth where it is known, in HDF5 or Zarr."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, final

import numpy as np
import torch
from torch import Tensor

from wellposed.core.config import to_config
from wellposed.core.errors import ArgumentError, FormatError, ShapeError, UnsupportedError
from wellposed.core.parametrised import Parametrised
from wellposed.core.tree import tree_leaves, tree_map
from wellposed.data._descriptions import check_fit, described, parse, rebuilt
from wellposed.data._row_files import RowReader, row_reader, row_writer
from wellposed.data.pair_tensors import PairTensors
from wellposed.data.problems import Batch
from wellposed.physics import Physics

__all__ = ["PairFile", "write_pairs"]

_FORMAT = "wellposed pairs"
_VERSION = 1
_PARTS = ("y", "operator", "noise", "x")


def write_pairs(path: str | Path, batches: Iterable[Batch | tuple[Any, Physics, Tensor | None]]) -> int:
    """Write measurements, their physics and the truth, batch by batch, whole or not at all.

    Parameters that differ between the images of a batch are kept for each image, the others once. The file says in
    JSON how its arrays belong together; it holds no code, and reading it runs none.

    Parameters
    ----------
    path : str or Path
        Ends in `.h5` or `.hdf5`, or in `.zarr`, which is a folder. What was there is replaced.
    batches : iterable of (y, physics, x)
        They may come from a generator: one batch at a time is in memory. x is None, always or never.

    Returns
    -------
    int
        How many images were written.

    Raises
    ------
    FormatError
        If the path has another extension.
    ShapeError, DTypeError
        If measurements do not fit their physics, or those of the first batch.
    ArgumentError
        If there is no batch, the physics differ in more than parameters of single images, or only some have a truth.
    MissingFileError
        If the folder does not exist.
    MissingDependencyError
        If h5py or zarr is not installed.

    Examples
    --------
    >>> import tempfile
    >>> from wellposed.data import get_task
    >>> task, x = get_task("inpaint-50"), torch.rand(4, 1, 8, 8)
    >>> y, physics = task.sample(x)
    >>> path = Path(tempfile.mkdtemp()) / "pairs.h5"
    >>> write_pairs(path, [(y, physics, x)])
    4
    >>> batch = PairFile(path).take([2, 0])
    >>> torch.equal(batch.x, x[[2, 0]]), batch.physics.operator.mask.shape
    (True, torch.Size([2, 1, 8, 8]))
    """
    path = Path(path)
    count = 0
    first: _Described | None = None
    with row_writer(path) as file:
        for y, physics, x in batches:
            current = _Described(y, physics, x)
            if first is None:
                first = current
                file.describe(described(_FORMAT, _VERSION, first.parts))
                for name in first.shared:
                    file.write(name, _numpy(first.tensors[name]))
            first.check_same(current)
            for name in first.per_image:
                rows = current.tensors[name]
                file.append(name, _numpy(rows.expand(current.count, *rows.shape[1:])))
            count += current.count
        if first is None:
            raise ArgumentError(f"there is no batch to write to {path}.")
    return count


@final
class PairFile:
    """Pairs in a file, read as they are asked for.

    Parameters
    ----------
    path : str or Path
        What `write_pairs` wrote.
    types : iterable of classes
        Operators and noise models of your own that the file may name; those of wellposed are known.
    device : torch.device or str
        Where batches shall lie.

    Raises
    ------
    MissingFileError
        If there is no such file.
    FormatError
        If it is no file of pairs, damaged, or made by a newer wellposed.
    MissingDependencyError
        If h5py or zarr is not installed.
    """

    def __init__(
        self,
        path: str | Path,
        *,
        types: Iterable[type[Parametrised]] = (),
        device: torch.device | str = "cpu",
    ) -> None:
        self.path = Path(path)
        self.types = tuple(types)
        self.device = torch.device(device)
        self._open()

    def __len__(self) -> int:
        return self._count

    @property
    def has_truth(self) -> bool:
        """Whether the images that were measured are in the file."""
        return self._description["x"] is not None

    def take(self, indices: Tensor | Sequence[int]) -> Batch:
        """Return some of the pairs, in the order asked for; an index may come twice.

        Parameters
        ----------
        indices : sequence of int, or Tensor, shape (B,)

        Raises
        ------
        ArgumentError
            If an index is not in the file, or there is none.
        FormatError
            If the file is damaged.
        """
        chosen = np.asarray(indices.cpu() if isinstance(indices, Tensor) else indices, dtype=np.int64)
        if chosen.ndim != 1 or not len(chosen) or chosen.min() < 0 or chosen.max() >= len(self):
            raise ArgumentError(f"{self.path} holds pairs 0 to {len(self) - 1}, got the indices {chosen.tolist()}.")
        rows, back = np.unique(chosen, return_inverse=True)
        tensors = dict(self._shared)
        try:
            read = {name: self._file.rows(name, rows)[back] for name in self._per_image}
        except (OSError, RuntimeError, ValueError) as error:
            raise FormatError(f"{self.path} is damaged: pairs {rows.tolist()} cannot be read ({error}).") from error
        tensors |= {name: torch.from_numpy(values).to(self.device) for name, values in read.items()}
        y, physics = rebuilt(self.path, self._description, tensors, self.types)
        return Batch(tree_map(lambda leaf: leaf.to(self.device), y), physics.to(self.device), tensors.get("x"))

    def load(self) -> PairTensors:
        """Return all pairs in the memory of the device."""
        y, physics, x = self.take(range(len(self)))
        return PairTensors(y, physics, x)

    def close(self) -> None:
        """Close the file; the next batch cannot be read."""
        self._file.close()

    def _open(self) -> None:
        self._file: RowReader = row_reader(self.path)
        try:
            text = self._file.description()
            self._description = parse(self.path, text, kind=_FORMAT, newest=_VERSION, parts=(*_PARTS, "shared"))
            shared = self._description["shared"]
            self._per_image = [name for name in self._file.names() if name not in shared]
            self._shared = {name: torch.from_numpy(self._file.whole(name)).to(self.device) for name in shared}
            counts = {self._file.count(name) for name in self._per_image}
        except (KeyError, TypeError) as error:
            raise FormatError(f"{self.path} is damaged: it lacks what its description names ({error}).") from error
        if len(counts) != 1:
            raise FormatError(f"{self.path} is damaged: its arrays are for {sorted(counts)} images.")
        self._count = counts.pop()

    def __getstate__(self) -> dict[str, Any]:
        return {"path": self.path, "types": self.types, "device": self.device}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._open()


class _Described:
    """A batch as a description and named tensors, some of which have a row for each image."""

    def __init__(self, y: Any, physics: Physics, x: Tensor | None) -> None:
        if type(physics) is not Physics:
            raise ArgumentError(f"write_pairs expects a Physics, got {type(physics).__name__}.")
        check_fit(y, physics)
        self.tensors: dict[str, Tensor] = {}
        self.config = {
            "y": to_config(y, self.tensors, path="y"),
            "x": to_config(x, self.tensors, path="x"),
            "operator": to_config(physics.operator, self.tensors, path="operator"),
            "noise": to_config(physics.noise, self.tensors, path="noise"),
        }
        self.count = len(tree_leaves(y)[0])
        if x is not None and len(x) != self.count:
            raise ShapeError(f"write_pairs got {self.count} measurements of {len(x)} images: one each.")
        self.per_image = [name for name, tensor in self.tensors.items() if tensor.ndim and len(tensor) == self.count]
        self.shared = [name for name in self.tensors if name not in self.per_image]

    @property
    def parts(self) -> dict[str, Any]:
        return {**self.config, "shared": self.shared}

    def check_same(self, other: _Described) -> None:
        """Raise `ArgumentError` unless another batch differs from this one in its rows alone."""
        if other.config != self.config:
            raise ArgumentError(
                "write_pairs expects batches that differ in the parameters of single images only: write others to "
                "another file."
            )
        for name in self.shared:
            if not torch.equal(other.tensors[name], self.tensors[name]):
                raise ArgumentError(f"write_pairs got another {name} than before: give each image one of its own.")
        for name in self.per_image:
            mine, its = self.tensors[name], other.tensors[name]
            if its.dtype != mine.dtype or its.shape[1:] != mine.shape[1:] or len(its) not in (1, other.count):
                raise ShapeError(
                    f"write_pairs got {name} of {its.dtype} and shape {tuple(its.shape)} after {mine.dtype} and "
                    f"{tuple(mine.shape)}: all images of a file are of one size and dtype."
                )


def _numpy(tensor: Tensor) -> Any:
    if tensor.dtype in (torch.bfloat16, torch.complex32):
        raise UnsupportedError(f"files of pairs cannot hold {tensor.dtype}: convert to single precision with .float().")
    return tensor.detach().resolve_conj().resolve_neg().cpu().numpy()
