"""Files that are there or not, and files that are written whole or not at all."""

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from wellposed.core.errors import FormatError, WellposedError

__all__ = ["MissingFileError", "atomic_path", "existing_file", "existing_folder"]


class MissingFileError(WellposedError, FileNotFoundError):
    """A file or a folder is not there."""


def existing_file(path: str | Path) -> Path:
    """Return `path` if a file is there that can be opened.

    Raises
    ------
    MissingFileError
        If nothing is there.
    FormatError
        If a folder, a device or a pipe is there.
    PermissionError
        If the file may not be read.
    """
    path = Path(path)
    if path.is_dir():
        raise FormatError(f"expected a file, and {path} is a folder: name a file inside it.")
    if not path.exists():
        raise MissingFileError(f"no such file: {path}; check its name and the folder {path.absolute().parent}.")
    if not path.is_file():
        raise FormatError(f"expected a file, and {path} is a device or a pipe: copy what it gives into a file first.")
    with path.open("rb"):
        return path


def existing_folder(path: str | Path) -> Path:
    """Return `path` if a folder is there.

    Raises
    ------
    MissingFileError
        If nothing is there.
    FormatError
        If a file is there.
    """
    path = Path(path)
    if not path.exists():
        raise MissingFileError(f"no such folder: {path.absolute()}; create it, or check its name.")
    if not path.is_dir():
        raise FormatError(f"expected a folder, and {path} is a file: name the folder that holds it.")
    return path


@contextmanager
def atomic_path(path: str | Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`, with its suffix, and move what was written there onto `path` at the end.

    Readers see the old file or the new one, never a part of it; where the block raises, the old one stays and nothing
    is left behind.

    Parameters
    ----------
    path : str or Path
        Where the file shall be; its folder exists.

    Yields
    ------
    Path
        Where to write it.

    Raises
    ------
    MissingFileError
        If the folder does not exist.
    FormatError
        If `path` is a folder.

    Examples
    --------
    >>> import tempfile
    >>> target = Path(tempfile.mkdtemp()) / "note.txt"
    >>> with atomic_path(target) as temporary:
    ...     _ = temporary.write_text("whole")
    >>> target.read_text()
    'whole'
    """
    target = Path(path)
    existing_folder(target.parent)
    if target.is_dir():
        raise FormatError(f"expected a file to write, and {target} is a folder: add a file name.")
    temporary = target.with_name(f".{uuid.uuid4().hex}{target.suffix}")
    try:
        yield temporary
        temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)
