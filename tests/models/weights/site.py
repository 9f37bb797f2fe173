"""A web server on this machine that breaks connections, ignores ranges, changes files and lies, as it is told."""

import re
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class Site:
    """One file at `/file`, and what is wrong with how it is served."""

    content: bytes
    etag: str | None = '"one"'
    breaks: list[int] = field(default_factory=list)
    """After how many bytes the next connections break off."""
    answers: list[int] = field(default_factory=list)
    """What the next requests are answered with, instead of the file."""
    ignores_range: bool = False
    ignores_if_range: bool = False
    states_length: bool = True
    stalls: int = 0
    """How many connections fall silent before the file comes."""
    over: threading.Event = field(default_factory=threading.Event)
    linked: str | None = None
    """The X-Linked-ETag of `/linked`, which leads to `/file`."""
    requests: list[dict[str, str]] = field(default_factory=list)
    url: str = ""

    @property
    def ranges(self):
        return [headers.get("Range") for headers in self.requests]


class _Handler(BaseHTTPRequestHandler):
    site: Site

    def do_GET(self):
        if self.path == "/linked":
            self.send_response(302)
            self.send_header("Location", "/file")
            self.send_header("X-Linked-ETag", f'"{self.site.linked}"')
            self.end_headers()
            return
        self.site.requests.append(dict(self.headers))
        if self.site.answers:
            self.send_error(self.site.answers.pop(0))
            return
        start = self._start()
        if start and start >= len(self.site.content):
            self.send_error(416)
            return
        self._send(start)

    def _start(self):
        site, wanted = self.site, self.headers.get("Range")
        same = site.ignores_if_range or self.headers.get("If-Range") == site.etag
        return int(re.fullmatch(r"bytes=(\d+)-", wanted)[1]) if wanted and same and not site.ignores_range else 0

    def _send(self, start):
        site, body = self.site, self.site.content[start:]
        self.send_response(206 if start else 200)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(site.content) - 1}/{len(site.content)}")
        if site.etag:
            self.send_header("ETag", site.etag)
        if site.states_length:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if site.stalls:
            site.stalls -= 1
            site.over.wait()
        self.wfile.write(body[: site.breaks.pop(0)] if site.breaks else body)

    def log_message(self, *_):
        """Keep the requests off the screen."""


@contextmanager
def serving(content):
    site = Site(content)
    with ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"site": site})) as server:
        site.url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield site
        finally:
            site.over.set()
            server.shutdown()
            thread.join()
