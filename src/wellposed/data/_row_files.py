"""Arrays that grow by rows in a file, HDF5 or Zarr, behind one small interface."""

from __future__ import annotations

import math
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from wellposed.core.errors import FormatError
from wellposed.core.files import atomic_path, existing_file, existing_folder
from wellposed.core.names import optional_import

Array = NDArray[Any]

_HDF5 = (".h5", ".hdf5")
_ZARR = (".zarr",)
_ATTRIBUTE = "wellposed"
_BYTES_PER_CHUNK = 2**18


class RowWriter(Protocol):
    """Writes named arrays; `append` adds rows to one, `write` gives one as a whole."""

    def describe(self, text: str) -> None: ...
    def write(self, name: str, values: Array) -> None: ...
    def append(self, name: str, rows: Array) -> None: ...


class RowReader(Protocol):
    """Reads named arrays, whole or some rows, whose indices are given in order and once."""

    def description(self) -> str: ...
    def names(self) -> list[str]: ...
    def count(self, name: str) -> int: ...
    def whole(self, name: str) -> Array: ...
    def rows(self, name: str, indices: Array) -> Array: ...
    def close(self) -> None: ...


@contextmanager
def row_writer(path: Path) -> Iterator[RowWriter]:
    """Open a new file to write; it is there when all is written, and what was there before until then."""
    if path.suffix.lower() in _HDF5:
        h5py = optional_import("h5py", extra="train")
        with atomic_path(path) as temporary, h5py.File(temporary, "w") as file:
            yield _Hdf5(file)
    elif _is_zarr(path):
        zarr = optional_import("zarr", extra="train")
        with _atomic_folder(path) as temporary:
            yield _Zarr(zarr.open_group(temporary, mode="w"))


def row_reader(path: Path) -> RowReader:
    """Open a file to read.

    Raises
    ------
    MissingFileError
        If it is not there.
    FormatError
        If its extension is not known, or it is not what that says.
    """
    if path.suffix.lower() in _HDF5:
        h5py = optional_import("h5py", extra="train")
        existing_file(path)
        try:
            return _Hdf5(h5py.File(path, "r"))
        except OSError as error:
            raise FormatError(f"{path} is not an HDF5 file, or it is truncated ({error}).") from error
    _is_zarr(path)
    zarr = optional_import("zarr", extra="train")
    existing_folder(path)
    try:
        return _Zarr(zarr.open_group(path, mode="r"))
    except (OSError, ValueError, KeyError) as error:
        raise FormatError(f"{path} is not a Zarr group, or it is damaged ({error}).") from error


def _is_zarr(path: Path) -> bool:
    if path.suffix.lower() in _ZARR:
        return True
    raise FormatError(f"pairs lie in a file {', '.join(_HDF5)} or in a folder {_ZARR[0]}, got {path}: change the name.")


@contextmanager
def _atomic_folder(path: Path) -> Iterator[Path]:
    """Yield a folder to fill, which then takes the place of `path`; on failure, that stays as it was."""
    existing_folder(path.absolute().parent)
    if path.is_file():
        raise FormatError(f"expected a folder to write, and {path} is a file: change the name.")
    temporary, replaced = (path.with_name(f".{uuid.uuid4().hex}{path.suffix}") for _ in range(2))
    try:
        temporary.mkdir()
        yield temporary
        if path.exists():
            path.rename(replaced)
        temporary.rename(path)
    finally:
        for folder in (temporary, replaced):
            shutil.rmtree(folder, ignore_errors=True)


class _Hdf5:
    def __init__(self, file: Any) -> None:
        self.file = file

    def describe(self, text: str) -> None:
        self.file.attrs[_ATTRIBUTE] = text

    def write(self, name: str, values: Array) -> None:
        self.file.create_dataset(name, data=values)

    def append(self, name: str, rows: Array) -> None:
        if name not in self.file:
            tail = rows.shape[1:]
            sizes = {"shape": (0, *tail), "maxshape": (None, *tail), "chunks": (_rows_per_chunk(rows), *tail)}
            self.file.create_dataset(name, dtype=rows.dtype, **sizes)
        array = self.file[name]
        start = len(array)
        array.resize(start + len(rows), axis=0)
        array[start:] = rows

    def description(self) -> Any:
        return self.file.attrs.get(_ATTRIBUTE)

    def names(self) -> list[str]:
        return list(self.file)

    def count(self, name: str) -> int:
        return self.file[name].shape[0]

    def whole(self, name: str) -> Array:
        return np.asarray(self.file[name][()])

    def rows(self, name: str, indices: Array) -> Array:
        return self.file[name][indices]

    def close(self) -> None:
        self.file.close()


class _Zarr:
    def __init__(self, group: Any) -> None:
        self.group = group

    def describe(self, text: str) -> None:
        self.group.attrs[_ATTRIBUTE] = text

    def write(self, name: str, values: Array) -> None:
        self.group.create_array(name, data=np.ascontiguousarray(values))

    def append(self, name: str, rows: Array) -> None:
        tail = rows.shape[1:]
        if name not in self.group:
            chunks = (_rows_per_chunk(rows), *tail)
            self.group.create_array(name, shape=(0, *tail), chunks=chunks, dtype=rows.dtype)
        array = self.group[name]
        array.append(np.ascontiguousarray(rows), axis=0)

    def description(self) -> Any:
        return self.group.attrs.get(_ATTRIBUTE)

    def names(self) -> list[str]:
        return sorted(self.group.array_keys())

    def count(self, name: str) -> int:
        return self.group[name].shape[0]

    def whole(self, name: str) -> Array:
        return np.asarray(self.group[name][...])

    def rows(self, name: str, indices: Array) -> Array:
        return np.asarray(self.group[name].oindex[indices])

    def close(self) -> None:
        self.group.store.close()


def _rows_per_chunk(rows: Array) -> int:
    """Return how many rows are stored together: one, or as many small ones as make up a quarter of a mebibyte."""
    row_bytes = rows.dtype.itemsize * max(1, math.prod(rows.shape[1:]))
    return max(1, _BYTES_PER_CHUNK // row_bytes)
