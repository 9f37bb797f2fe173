"""Files are fetched whole or not at all, once, and continued where they broke off; on a real web server."""

import errno
import hashlib
import json
import shutil
import sys
import threading
from pathlib import Path
from urllib.request import Request

import pytest

from tests.models.weights.conftest import CONTENT
from wellposed.core.errors import FormatError, UnknownNameError
from wellposed.core.files import MissingFileError
from wellposed.models.weights import DownloadError, cache_folder, download, fetch, find, present

SHA256 = hashlib.sha256(CONTENT).hexdigest()
OTHER = CONTENT[::-1]


def silent(_done, _total):
    """Draw nothing."""


def quiet_fetch(name="mine"):
    return fetch(name, progress=silent)


def left_in(folder):
    """Return the names of what is there, without the lock."""
    return {path.name for path in folder.iterdir() if path.suffix != ".lock"}


@pytest.fixture
def mine(site, register):
    return register(urls=(f"{site.url}/file",))


def broken_off(site, kept=1000):
    """Fetch in vain, so that so many bytes have come."""
    site.breaks = [kept, 0, 0, 0] if site.etag == '"one"' else [kept] * 4
    with pytest.raises(DownloadError, match=f"broke off after {kept} of {len(CONTENT)} bytes"):
        quiet_fetch()
    site.requests.clear()


def test_a_file_is_fetched_once(mine, site, cache):
    seen = []
    path = fetch("mine", progress=lambda done, total: seen.append((done, total)))
    assert (path, path.read_bytes()) == (cache / "mine.pth", CONTENT)
    assert (seen[0], seen[-1]) == ((0, len(CONTENT)), (len(CONTENT), len(CONTENT)))
    assert json.loads((cache / "mine.pth.json").read_text()) == {"sha256": SHA256, "url": f"{site.url}/file"}
    assert quiet_fetch() == path == find("mine")
    assert len(site.requests) == 1
    assert left_in(cache) == {"mine.pth", "mine.pth.json"}


def test_a_broken_connection_is_continued(mine, site):
    """Each request asks for what is missing of the version that came, and nothing comes twice."""
    site.breaks = [1000, 2000]
    assert quiet_fetch().read_bytes() == CONTENT
    assert site.ranges == [None, "bytes=1000-", "bytes=3000-"]
    assert [headers.get("If-Range") for headers in site.requests] == [None, '"one"', '"one"']


def test_what_came_is_kept_for_the_next_call(mine, site, cache):
    broken_off(site)
    assert left_in(cache) == {"mine.pth.part", "mine.pth.part.json"}
    assert (cache / "mine.pth.part").read_bytes() == CONTENT[:1000]
    assert quiet_fetch().read_bytes() == CONTENT
    assert site.ranges == ["bytes=1000-"]
    assert left_in(cache) == {"mine.pth", "mine.pth.json"}


def test_a_server_may_ignore_the_range(mine, site):
    broken_off(site)
    site.ignores_range = True
    assert quiet_fetch().read_bytes() == CONTENT


def test_a_file_that_changed_is_fetched_anew(mine, site):
    """The beginning of the old file and the end of the new one would be neither."""
    broken_off(site)
    site.content, site.etag = OTHER, '"two"'
    assert quiet_fetch().read_bytes() == OTHER


def test_a_server_that_continues_another_file_is_found_out(mine, site):
    broken_off(site)
    site.content, site.etag, site.ignores_if_range = OTHER, '"two"', True
    assert quiet_fetch().read_bytes() == OTHER
    assert site.ranges == ["bytes=1000-", None]


def test_a_mixed_file_is_found_out_by_its_checksum(site, register):
    """The server swears that the version is the same, and continues another one."""
    register(urls=(f"{site.url}/file",), sha256=hashlib.sha256(OTHER).hexdigest())
    broken_off(site)
    site.content, site.ignores_if_range = OTHER, True
    assert quiet_fetch().read_bytes() == OTHER
    assert site.ranges == ["bytes=1000-", None]


@pytest.mark.parametrize("etag", [None, 'W/"one"'], ids=["none", "weak"])
def test_what_no_version_is_known_of_is_not_continued(mine, site, etag):
    """Two files of one weak ETag may differ."""
    site.etag = etag
    broken_off(site)
    assert quiet_fetch().read_bytes() == CONTENT
    assert site.ranges == [None]


@pytest.mark.parametrize("note", ["", "[]", "{", '{"url": 1}'])
def test_a_damaged_note_is_no_note(mine, site, cache, note):
    broken_off(site)
    (cache / "mine.pth.part.json").write_text(note)
    assert quiet_fetch().read_bytes() == CONTENT
    assert site.ranges == [None]


def test_more_than_there_is_starts_over(mine, site, cache):
    broken_off(site)
    (cache / "mine.pth.part").write_bytes(CONTENT + b"more")
    assert quiet_fetch().read_bytes() == CONTENT
    assert site.ranges == [f"bytes={len(CONTENT) + 4}-", None]


def test_wrong_bytes_are_refused_and_not_kept(site, register, cache):
    register(urls=(f"{site.url}/file",), sha256="0" * 64)
    with pytest.raises(
        DownloadError,
        match=rf"cannot fetch mine \({site.url}/file: what came has the sha256 {SHA256[:12]}\.\.\. where "
        r"000000000000\.\.\. is expected\): .* by hand as .*mine\.pth\.$",
    ):
        quiet_fetch()
    assert left_in(cache) == set()
    assert len(site.requests) == 1


@pytest.mark.parametrize(("stated", "fits"), [(SHA256, True), ("1" * 64, False), ("1" * 40, True)])
def test_the_checksum_that_the_server_states_counts(site, register, stated, fits):
    """On the way, in X-Linked-ETag; 40 digits are a checksum of another kind."""
    register(urls=(f"{site.url}/linked",))
    site.linked = stated
    if fits:
        assert quiet_fetch().read_bytes() == CONTENT
    else:
        with pytest.raises(DownloadError, match=r"where 111111111111\.\.\. is expected"):
            quiet_fetch()


def test_ours_counts_more_than_the_servers(site, register):
    register(urls=(f"{site.url}/linked",), sha256=SHA256)
    site.linked = "1" * 64
    assert quiet_fetch().read_bytes() == CONTENT


@pytest.mark.parametrize(("status", "attempts"), [(404, 1), (401, 1), (503, 4), (429, 4)])
def test_errors_of_the_server(mine, site, status, attempts):
    site.answers = [status] * 9
    with pytest.raises(DownloadError, match=f"the server answers {status} "):
        quiet_fetch()
    assert len(site.requests) == attempts


def test_a_busy_server_is_asked_again(mine, site):
    site.answers = [503, 500]
    assert quiet_fetch().read_bytes() == CONTENT


def test_a_server_that_falls_silent_is_asked_again(mine, site, monkeypatch):
    monkeypatch.setattr(download, "_TIMEOUT", 0.1)
    site.stalls = 1
    assert quiet_fetch().read_bytes() == CONTENT
    cache_folder().joinpath("mine.pth").unlink()
    site.stalls = 4
    with pytest.raises(DownloadError, match=r"/file: timed out\)"):
        quiet_fetch()


def test_the_next_address_is_tried(site, register, cache):
    register(urls=(f"{site.url[:-1]}x/file", f"{site.url}/file"))
    assert quiet_fetch().read_bytes() == CONTENT
    assert json.loads((cache / "mine.pth.json").read_text())["url"] == f"{site.url}/file"


def test_offline_says_where_to_put_the_file(register, cache):
    """Nothing listens there. Put there by hand, the file is found."""
    register(urls=("http://127.0.0.1:9/file",))
    with pytest.raises(DownloadError, match=rf"refused.*by hand as {cache / 'mine.pth'}\.$"):
        quiet_fetch()
    (cache / "mine.pth").write_bytes(CONTENT)
    assert quiet_fetch() == cache / "mine.pth"


def test_a_length_that_is_not_known_needs_a_checksum(mine, site, register):
    site.states_length = False
    with pytest.raises(DownloadError, match="neither how long the file is nor its checksum"):
        quiet_fetch()
    register(urls=(f"{site.url}/file",), sha256=SHA256)
    assert quiet_fetch().read_bytes() == CONTENT


def test_a_full_disk_is_told_before_anything_comes(mine, cache, monkeypatch):
    usage = shutil.disk_usage("/")._replace(free=5000)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    with pytest.raises(DownloadError, match=r"is full \(0 MB are to come and 0 MB are free\); set WELLPOSED_CACHE"):
        quiet_fetch()
    assert left_in(cache) == set()


def test_a_disk_that_runs_full(mine, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(download, "_copy", full)
    with pytest.raises(DownloadError, match=r"is full \(No space left on device\); set WELLPOSED_CACHE"):
        quiet_fetch()


def test_a_cache_that_cannot_be_made(mine, cache):
    cache.parent.write_text("a file where the folder would be")
    with pytest.raises(DownloadError, match=r"cannot be written to .*: set WELLPOSED_CACHE to a folder of yours"):
        quiet_fetch()


def test_two_who_want_the_same_fetch_it_once(mine, site):
    """The second waits for the first."""
    paths = []
    threads = [threading.Thread(target=lambda: paths.append(quiet_fetch())) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {path.read_bytes() for path in paths} == {CONTENT}
    assert (len(paths), len(site.requests)) == (4, 1)


def test_an_altered_file_is_refused_ever_after(mine, cache):
    """No checksum was known: it is the one that the file had when it came."""
    quiet_fetch().write_bytes(OTHER)
    for ask in (quiet_fetch, lambda: present("mine")):
        with pytest.raises(
            FormatError,
            match=rf"altered or is damaged: .* where {SHA256[:12]}\.\.\. is expected; "
            r"delete it and mine\.pth\.json beside it, and fetch it again\.$",
        ):
            ask()
    (cache / "mine.pth.json").write_text("{")
    with pytest.raises(FormatError, match=r"mine\.pth\.json is damaged: delete it and mine\.pth"):
        quiet_fetch()


def test_a_file_put_there_by_hand_is_compared(register, cache):
    cache.mkdir(parents=True)
    (cache / "mine.pth").write_bytes(CONTENT)
    register(urls=("http://127.0.0.1:9/file",), sha256="0" * 64)
    with pytest.raises(FormatError, match=r"where 000000000000\.\.\. is expected; delete it, and fetch"):
        quiet_fetch()
    register(urls=("http://127.0.0.1:9/file",))
    assert quiet_fetch().read_bytes() == CONTENT
    (cache / "mine.pth").write_bytes(OTHER)
    with pytest.raises(FormatError, match=rf"where {SHA256[:12]}\.\.\. is expected"):
        quiet_fetch()


def test_names_and_paths(tmp_path, mine):
    with pytest.raises(UnknownNameError, match="did you mean 'drunet-rgb'\\? 'wellposed weights list' lists them"):
        find("drunet-rbg")
    with pytest.raises(UnknownNameError, match="unknown weights 'fetch'"):
        fetch("fetch")
    for path in ("none.pth", "folder/none", tmp_path / "none"):
        with pytest.raises(MissingFileError, match="no such file"):
            find(path)
    with pytest.raises(
        MissingFileError, match=r"mine has not been fetched to .*: 'wellposed weights fetch mine' does it"
    ):
        present("mine")
    (tmp_path / "own.pth").write_bytes(b"")
    assert find(str(tmp_path / "own.pth")) == tmp_path / "own.pth"


def test_a_secure_address_leads_to_no_insecure_one():
    redirects, request = download._Redirects(), Request("https://huggingface.co/file")
    with pytest.raises(DownloadError, match=r"leads to http://elsewhere/file, which is not secure"):
        redirects.redirect_request(request, None, 302, "", {}, "http://elsewhere/file")


def test_the_cache_folder(monkeypatch):
    monkeypatch.setenv("WELLPOSED_CACHE", "~/mine")
    assert cache_folder() == Path.home() / "mine" / "weights"
    monkeypatch.delenv("WELLPOSED_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", "/caches")
    assert cache_folder() == Path("/caches/wellposed/weights")
    monkeypatch.delenv("XDG_CACHE_HOME")
    for platform, middle in {"linux": ".cache", "darwin": "Library/Caches", "win32": "AppData/Local"}.items():
        monkeypatch.setattr(sys, "platform", platform)
        monkeypatch.delenv("LOCALAPPDATA", raising=False)
        assert cache_folder() == Path.home() / middle / "wellposed" / "weights"


def test_progress_is_a_line_on_a_terminal(mine, monkeypatch, capsys):
    fetch("mine")
    assert capsys.readouterr().err == ""
    mine_again = cache_folder() / "mine.pth"
    mine_again.unlink()
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    fetch("mine")
    written = capsys.readouterr()
    assert written.err.endswith("\rmine.pth: 0.0 of 0.0 MB\n")
    assert written.out == ""
