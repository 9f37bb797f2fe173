"""From a name or a path to a file that is there: bundled, cached, fetched, or the user's own."""

from __future__ import annotations

import logging
import os
from pathlib import Path

from filelock import FileLock

from wellposed.core.errors import FormatError
from wellposed.core.files import MissingFileError, existing_file
from wellposed.core.names import check_name
from wellposed.models.weights import registry
from wellposed.models.weights._bar import terminal_bar
from wellposed.models.weights.cache import cache_folder, check_cached, sha256_of, write_receipt
from wellposed.models.weights.download import DownloadError, Progress, download
from wellposed.models.weights.entry import Weights

__all__ = ["entry_of", "fetch", "find", "is_present", "present"]

logger = logging.getLogger("wellposed")


def fetch(name: str, *, progress: Progress | None = None) -> Path:
    """Return the file of weights by name, downloaded if it is not there yet.

    Two processes that ask for the same file fetch it once. A file that is there is compared with its checksum, each
    time: the one in the registry, or else the one that it had when it came.

    Parameters
    ----------
    name : str
        One of `WEIGHTS`.
    progress : callable, optional
        Called as `progress(done, total)` with numbers of bytes; by default a line on the standard error, if that is a
        terminal.

    Returns
    -------
    Path
        In the package, or in the cache folder: `$WELLPOSED_CACHE/weights`, or `wellposed/weights` in the user's cache.

    Raises
    ------
    UnknownNameError
        If there is no such name.
    DownloadError
        If the file cannot be fetched: offline, gone, altered, no room. It says where to put the file by hand.
    FormatError
        If a file is there whose checksum is wrong.
    """
    entry = _known(name)
    path = _place(entry)
    if entry.is_bundled or path.is_file():
        return present(name)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(path.with_name(f".{path.name}.lock")):
            if not path.is_file():
                _download(entry, path, progress or terminal_bar(entry.file))
    except DownloadError:
        raise
    except OSError as error:
        raise DownloadError(
            f"{path.parent} cannot be written to ({error.strerror}): set WELLPOSED_CACHE to a folder of yours."
        ) from error
    return present(name)


def present(name: str) -> Path:
    """Return the file of weights by name, without fetching it.

    Raises
    ------
    UnknownNameError
        If there is no such name.
    MissingFileError
        If it has not been fetched.
    FormatError
        If its checksum is wrong.
    """
    entry = _known(name)
    path = _place(entry)
    if not path.is_file():
        raise MissingFileError(f"{name} has not been fetched to {path}: 'wellposed weights fetch {name}' does it.")
    if not entry.is_bundled:
        check_cached(entry, path)
    elif (found := sha256_of(path)) != entry.sha256:
        raise FormatError(
            f"{path} was altered or is damaged: its sha256 is {found[:12]}... where {str(entry.sha256)[:12]}... is "
            "expected; install wellposed again."
        )
    return path


def is_present(name: str) -> bool:
    """Return whether the file of weights by name is there, whatever is in it.

    Raises
    ------
    UnknownNameError
        If there is no such name.
    """
    return _place(_known(name)).is_file()


def find(name_or_path: str | Path, *, progress: Progress | None = None) -> Path:
    """Return the file of weights, by name or by path.

    Parameters
    ----------
    name_or_path : str or Path
        One of `WEIGHTS`, which is fetched if need be, or a file of yours. A file that has the name of an entry is found
        as `./NAME`.
    progress : callable, optional
        As in `fetch`.

    Raises
    ------
    UnknownNameError
        If it is neither a name nor looks like a path; with the nearest name.
    MissingFileError
        If there is no such file.
    DownloadError, FormatError
        As in `fetch`.
    """
    entry = entry_of(name_or_path)
    return existing_file(name_or_path) if entry is None else fetch(entry.name, progress=progress)


def entry_of(name_or_path: str | Path) -> Weights | None:
    """Return the entry of a name, or None for a path.

    Raises
    ------
    UnknownNameError
        If it is neither a name nor looks like a path.
    """
    if isinstance(name_or_path, Path):
        return None
    if name_or_path in registry.WEIGHTS:
        return registry.WEIGHTS[name_or_path]
    looks_like_a_path = os.sep in name_or_path or "/" in name_or_path or Path(name_or_path).suffix
    if not looks_like_a_path and not Path(name_or_path).exists():
        _known(name_or_path)
    return None


def _known(name: str) -> Weights:
    return registry.WEIGHTS[check_name("weights", name, registry.WEIGHTS, hint="'wellposed weights list' lists them.")]


def _place(entry: Weights) -> Path:
    return (registry.BUNDLED if entry.is_bundled else cache_folder()) / entry.file


def _download(entry: Weights, path: Path, progress: Progress) -> None:
    reasons = []
    for url in entry.urls:
        logger.info("fetching %s from %s", entry.name, url)
        try:
            found = download(url, path, sha256=entry.sha256, progress=progress)
        except DownloadError as error:
            reasons.append(f"{url}: {error}")
            continue
        write_receipt(path, found, url)
        return
    raise DownloadError(
        f"cannot fetch {entry.name} ({'; '.join(reasons)}): connect this machine and try again, which continues what "
        f"broke off, or put the file there by hand as {path}."
    )
