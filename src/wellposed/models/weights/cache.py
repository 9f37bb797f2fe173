"""The cache folder, and the receipts in it: what each file was when it was fetched."""

from __future__ import annotations

import hashlib
import json
import os
import sys
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from wellposed.core.errors import FormatError
from wellposed.core.files import atomic_path
from wellposed.models.weights.entry import Weights

__all__ = ["cache_folder", "check_cached", "sha256_of", "write_receipt"]


@dataclass(frozen=True)
class _Receipt:
    sha256: str
    url: str | None


def cache_folder() -> Path:
    """Return the folder of fetched weights: `$WELLPOSED_CACHE`, or one in the user's cache folder.

    Examples
    --------
    >>> cache_folder().name
    'weights'
    """
    if chosen := os.environ.get("WELLPOSED_CACHE"):
        return Path(chosen).expanduser().absolute() / "weights"
    return _users_cache() / "wellposed" / "weights"


def _users_cache() -> Path:
    if chosen := os.environ.get("XDG_CACHE_HOME"):
        return Path(chosen)
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches"
    return Path.home() / ".cache"


def sha256_of(path: Path) -> str:
    """Return the checksum of a file, 64 hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write_receipt(path: Path, sha256: str, url: str | None) -> None:
    """Write down the checksum of a file, and where it came from."""
    with atomic_path(_receipt_path(path)) as temporary:
        temporary.write_text(json.dumps(asdict(_Receipt(sha256, url)), indent=2), encoding="utf-8")


def check_cached(entry: Weights, path: Path) -> str:
    """Return the checksum of a cached file, which is that of its entry, or else of its receipt.

    A file without either was put there by hand: its checksum is written down now, and checked from now on.

    Raises
    ------
    FormatError
        If it has another checksum.
    """
    found = sha256_of(path)
    expected = entry.sha256 or _recorded(path)
    if expected is None:
        with suppress(PermissionError):
            write_receipt(path, found, url=None)
    elif found != expected:
        receipt = "" if entry.sha256 else f" and {_receipt_path(path).name} beside it"
        raise FormatError(
            f"{path} was altered or is damaged: its sha256 is {found[:12]}... where {expected[:12]}... is expected; "
            f"delete it{receipt}, and fetch it again."
        )
    return found


def _recorded(path: Path) -> str | None:
    try:
        return str(json.loads(_receipt_path(path).read_text(encoding="utf-8"))["sha256"])
    except FileNotFoundError:
        return None
    except (ValueError, LookupError, TypeError) as error:
        raise FormatError(
            f"{_receipt_path(path)} is damaged: delete it and {path.name}, and fetch it again."
        ) from error


def _receipt_path(path: Path) -> Path:
    return path.with_name(f"{path.name}.json")
