"""A real HTTP server on the loopback that gives files; a script makes it fail."""

import contextlib
import hashlib
import http.server
import re
import threading
import time
from collections import defaultdict
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Status:
    """Answers with a status and no file."""

    code: int
    headers: dict = field(default_factory=dict)


@dataclass(frozen=True)
class BreakOff:
    """States the whole length, sends a number of bytes, and closes the connection."""

    after: int


@dataclass(frozen=True)
class Stall:
    """States the whole length, sends a number of bytes, and then nothing until the server ends."""

    after: int


@dataclass(frozen=True)
class Drip:
    """Sends the file in pieces of a number of bytes, twenty pieces a second."""

    size: int


@dataclass(frozen=True)
class Length:
    """Sends the whole file, or as much as fits, with another Content-Length, or with none."""

    stated: int | None


@dataclass(frozen=True)
class Endless:
    """States no length and never stops sending."""


@dataclass
class Request:
    """A request to the server: its time, and the number of bytes sent so far."""

    path: str
    range: str | None
    authorization: str | None
    at: float
    sent: int = 0


class FileServer:
    """Gives `files` by path. `script` has the behaviour of the next requests of a path.

    `marks` says how content is named: "etag", "weak", "date" or "none".
    """

    def __init__(self):
        self.files = {}
        self.script = defaultdict(list)
        self.marks = "etag"
        self.ranges = True
        self.requests = []
        self.together = 0
        self.most_together = 0
        self.gate = None
        self._lock = threading.Lock()
        self._end = threading.Event()

    @contextlib.contextmanager
    def running(self):
        owner = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                owner.answer(self)

            def log_message(self, *args):
                pass

        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        server.daemon_threads = True
        self.port = server.server_port
        self.url = f"http://127.0.0.1:{self.port}"
        thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        try:
            yield self
        finally:
            self._end.set()
            server.shutdown()
            server.server_close()
            thread.join()

    def seen(self, path):
        return [request for request in self.requests if request.path == path]

    def answer(self, handler):
        path = handler.path
        headers = handler.headers
        request = Request(path, headers["Range"], headers["Authorization"], time.monotonic())
        with self._lock:
            self.requests.append(request)
            self.together += 1
            self.most_together = max(self.most_together, self.together)
            behaviour = self.script[path].pop(0) if self.script[path] else None
        try:
            if self.gate is not None:
                self.gate.wait(timeout=20)
            self._send(handler, request, behaviour)
        finally:
            with self._lock:
                self.together -= 1

    def _mark(self, content):
        digest = hashlib.md5(content, usedforsecurity=False).hexdigest()
        if self.marks == "date":
            return "Last-Modified", "Mon, 02 Nov 2020 10:00:00 GMT"
        return "ETag", f'"{digest}"' if self.marks == "etag" else f'W/"{digest}"'

    def _send(self, handler, request, behaviour):
        content = self.files.get(request.path)
        if isinstance(behaviour, Status) or content is None:
            status = behaviour or Status(404)
            handler.send_response(status.code)
            for key, value in status.headers.items():
                handler.send_header(key, value)
            handler.send_header("Content-Length", "0")
            handler.end_headers()
            return
        kind, mark = self._mark(content)
        wanted = re.fullmatch(r"bytes=(\d+)-", handler.headers.get("Range", ""))
        condition = handler.headers.get("If-Range")
        start = int(wanted[1]) if wanted and self.ranges and condition in (None, mark) else 0
        if start >= len(content) > 0:
            handler.send_response(416)
            handler.send_header("Content-Length", "0")
            handler.end_headers()
            return
        handler.send_response(206 if start else 200)
        if start:
            handler.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        if self.marks != "none":
            handler.send_header(kind, mark)
        body = content[start:]
        stated = behaviour.stated if isinstance(behaviour, Length) else len(body)
        if isinstance(behaviour, Endless):
            stated = None
        if stated is not None:
            handler.send_header("Content-Length", str(stated))
        handler.close_connection = True
        handler.send_header("Connection", "close")
        handler.end_headers()
        if isinstance(behaviour, BreakOff | Stall):
            body = body[: behaviour.after]
        elif isinstance(behaviour, Length) and stated is not None:
            body = body[:stated]
        drips = isinstance(behaviour, Drip)
        piece = behaviour.size if isinstance(behaviour, Drip) else 1 << 16
        with contextlib.suppress(ConnectionError):
            for at in range(0, len(body), piece):
                request.sent += handler.wfile.write(body[at : at + piece])
                if drips and self._end.wait(0.05):
                    return
            if isinstance(behaviour, Stall):
                self._end.wait(timeout=30)
            while isinstance(behaviour, Endless) and not self._end.is_set():
                request.sent += handler.wfile.write(bytes(1 << 16))
