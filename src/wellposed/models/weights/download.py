"""Download a file, whole or not at all: what broke off is continued, and what came is compared with its checksum."""

from __future__ import annotations

import errno
import json
import re
import shutil
import time
from collections.abc import Callable
from email.message import Message
from http.client import HTTPException, HTTPResponse
from importlib.metadata import version
from pathlib import Path
from typing import IO, Any, NamedTuple, TypeAlias
from urllib.error import HTTPError, URLError
from urllib.request import HTTPRedirectHandler, Request, build_opener

from wellposed.core.errors import WellposedError
from wellposed.core.files import atomic_path
from wellposed.models.weights.cache import sha256_of

__all__ = ["DownloadError", "Progress", "download"]

Progress: TypeAlias = Callable[[int, int | None], object]
"""Called with the bytes that have come, and with how many there will be, if the server says so."""

_ATTEMPTS = 4
_PAUSE = 0.5
_TIMEOUT = 30.0
_CHUNK = 1 << 20
_BUSY = frozenset({408, 425, 429, 500, 502, 503, 504})
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})


class DownloadError(WellposedError, OSError):
    """A file cannot be fetched."""


class _BrokenOffError(Exception):
    """What another attempt may mend."""


class _Note(NamedTuple):
    """What is written beside an unfinished file: of which version of which file it is the beginning."""

    url: str
    etag: str


def download(url: str, target: Path, *, sha256: str | None = None, progress: Progress) -> str:
    """Download a file; a broken download is continued, now and in the next call.

    What has come lies in `target` with the suffix `.part`, beside a note of the version (the ETag) that it belongs to.
    It is continued only if the server still has that version, and moved to `target` once it is whole and has the right
    checksum: `sha256`, or else the one that the server states (`X-Linked-ETag`, as Hugging Face does).

    Parameters
    ----------
    url : str
        Of a web server.
    target : Path
        In a folder that exists.
    sha256 : str, optional
    progress : callable
        As `progress(done, total)`.

    Returns
    -------
    str
        The checksum of the file.

    Raises
    ------
    DownloadError
        If the server cannot be reached, does not have the file or gives another one, or if there is no room for it.
    """
    part, reason = target.with_name(f"{target.name}.part"), ""
    for attempt in range(_ATTEMPTS):
        time.sleep(_PAUSE * (2 ** (attempt - 1) if attempt else 0))
        try:
            continued, stated = _receive(url, part, is_checked=sha256 is not None, progress=progress)
        except (_BrokenOffError, HTTPException, OSError) as error:
            reason = _reason(error, target)
            continue
        found, expected = sha256_of(part), sha256 or stated
        if expected is None or found == expected:
            part.replace(target)
            _note_path(part).unlink(missing_ok=True)
            return found
        _discard(part)
        reason = f"what came has the sha256 {found[:12]}... where {expected[:12]}... is expected"
        if not continued:
            break
    raise DownloadError(reason)


def _receive(url: str, part: Path, *, is_checked: bool, progress: Progress) -> tuple[bool, str | None]:
    """Receive what is missing of a file; return whether it was continued, and the checksum that the server states."""
    note = _read_note(part, url)
    start = part.stat().st_size if note is not None and part.exists() else 0
    headers = {"User-Agent": f"wellposed/{version('wellposed')}", "Accept-Encoding": "identity"}
    if note is not None and start:
        headers |= {"Range": f"bytes={start}-", "If-Range": note.etag}
    redirects = _Redirects()
    with _opened(url, headers, redirects, part) as response:
        stated = redirects.stated or _stated(response.headers)
        if not (response.status == 206 and start and _continues(response.headers, start, note)):
            if response.status == 206:
                _discard(part)
                raise _BrokenOffError("the server continued another file")
            start = 0
        total = _total(response.headers, start)
        if total is None and not is_checked and stated is None:
            raise DownloadError(f"{url} says neither how long the file is nor its checksum")
        _check_room(part, (total or 0) - start)
        if not start:
            part.unlink(missing_ok=True)
            _write_note(part, _Note(url, response.headers.get("ETag", "")))
        with part.open("ab") as file:
            done = _copy(response, file, start, total, progress)
    if total is not None and done < total:
        raise _BrokenOffError(f"the connection broke off after {done} of {total} bytes")
    return start > 0, stated


def _opened(url: str, headers: dict[str, str], redirects: _Redirects, part: Path) -> HTTPResponse:
    try:
        response: HTTPResponse = build_opener(redirects).open(
            Request(url, headers=headers),  # noqa: S310  (the registry has web addresses only)
            timeout=_TIMEOUT,
        )
    except HTTPError as error:
        error.close()
        if error.code == 416:
            _discard(part)
        if error.code == 416 or error.code in _BUSY:
            raise _BrokenOffError(f"the server answers {error.code} {error.reason}") from error
        raise DownloadError(f"the server answers {error.code} {error.reason}") from error
    return response


def _copy(source: HTTPResponse, target: IO[bytes], done: int, total: int | None, progress: Progress) -> int:
    progress(done, total)
    while chunk := source.read(_CHUNK):
        target.write(chunk)
        done += len(chunk)
        progress(done, total)
    return done


class _Redirects(HTTPRedirectHandler):
    """Follows redirects, never to an open connection from a secure one, and keeps the checksum stated on the way."""

    stated: str | None = None

    def redirect_request(self, req: Request, fp: IO[bytes], code: int, msg: str, headers: Any, newurl: str) -> Any:
        if req.type == "https" and not newurl.startswith("https:"):
            raise DownloadError(f"{req.full_url} leads to {newurl}, which is not secure")
        self.stated = self.stated or _stated(headers)
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _stated(headers: Message) -> str | None:
    """Return the checksum that headers of Hugging Face state; for small files it is one of another kind."""
    digits = headers.get("X-Linked-ETag", "").strip('"').lower()
    return digits if re.fullmatch(r"[0-9a-f]{64}", digits) else None


def _continues(headers: Message, start: int, note: _Note | None) -> bool:
    begins_there = headers.get("Content-Range", "").startswith(f"bytes {start}-")
    return begins_there and note is not None and headers.get("ETag", note.etag) == note.etag


def _total(headers: Message, start: int) -> int | None:
    length = headers.get("Content-Length", "")
    return start + int(length) if length.isdigit() else None


def _check_room(part: Path, needed: int) -> None:
    free = shutil.disk_usage(part.parent).free
    if needed > free:
        raise OSError(errno.ENOSPC, f"{needed / 1e6:.0f} MB are to come and {free / 1e6:.0f} MB are free")


def _reason(error: Exception, target: Path) -> str:
    """Return in words why an attempt failed, or raise what no other attempt will mend."""
    if isinstance(error, DownloadError):
        raise error
    if isinstance(error, OSError) and error.errno in _FULL:
        raise DownloadError(
            f"the disk of {target.parent} is full ({error.strerror}); set WELLPOSED_CACHE to a folder on another one"
        ) from error
    if isinstance(error, PermissionError):
        raise DownloadError(
            f"{target.parent} cannot be written to; set WELLPOSED_CACHE to a folder of yours"
        ) from error
    cause = error.reason if isinstance(error, URLError) else error
    return getattr(cause, "strerror", None) or str(cause) or type(cause).__name__


def _read_note(part: Path, url: str) -> _Note | None:
    """Return the note beside an unfinished file if it is of this address and names a version that can be asked for."""
    try:
        note = _Note(**json.loads(_note_path(part).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None
    return note if note.url == url and note.etag.startswith('"') else None


def _write_note(part: Path, note: _Note) -> None:
    with atomic_path(_note_path(part)) as temporary:
        temporary.write_text(json.dumps(note._asdict()), encoding="utf-8")


def _discard(part: Path) -> None:
    part.unlink(missing_ok=True)
    _note_path(part).unlink(missing_ok=True)


def _note_path(part: Path) -> Path:
    return part.with_name(f"{part.name}.json")
