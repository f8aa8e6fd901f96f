"""An S3 service on the loopback, and a proxy before it (`Front`) that can fail."""

import logging
import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
import pytest
from moto.server import ThreadedMotoServer
from s3fs import S3FileSystem

from transforms.storage import storage
from transforms.storage.object_store import call

KEY_ID, SECRET = "PLANTED-KEY-ID", "planted-secret-key"


@contextmanager
def s3_service(host: str = "127.0.0.1") -> Iterator[str]:
    """A new, empty service on an address of this machine; its URL."""
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer(ip_address=host, port=0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        yield f"http://{host}:{port}"
    finally:
        server.stop()


@contextmanager
def using(address: str) -> Iterator[None]:
    """Environment variables as the AWS tools read them."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {
            "AWS_ENDPOINT_URL": address,
            "AWS_ACCESS_KEY_ID": KEY_ID,
            "AWS_SECRET_ACCESS_KEY": SECRET,
            "AWS_DEFAULT_REGION": "us-east-1",
        }.items():
            patch.setenv(name, value)
        yield


def make_bucket(name: str) -> str:
    """A new bucket's URL; one that an earlier file of tests made goes."""
    url = f"s3://{name}"

    def make(system: S3FileSystem, path: str) -> None:
        if system.exists(path):  # the services of a process share their buckets
            system.rm(path, recursive=True)
        system.mkdir(path)

    call(url, make)
    return url


def put_folder(folder: Path, url: str) -> str:
    """Copy a local folder below a URL; returns the URL."""
    for path in folder.rglob("*"):
        if path.is_file():
            storage.write_whole(storage.join(url, str(path.relative_to(folder))), path.read_bytes())
    return url


def get_folder(url: str, folder: Path) -> Path:
    """Copy everything below a URL to a local folder; returns the folder."""
    for name in storage.objects_below(url):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(storage.read_bytes(storage.join(url, name), 1 << 30))
    return folder


class Front:
    """A proxy of a service: counts requests, and first gives the answers in `faults`.

    A fault is (method, status, headers, body); status 0 breaks the connection, STALL answers
    nothing for some seconds, SHORT promises more bytes than come. With `every` set, one of about so
    many requests of any method gets `fault`, by a fixed throw of dice.
    """

    STALL, SHORT = -1, -2

    def fits(self, method: str) -> bool:
        """Whether a fault is possible for a request: a HEAD has no body to cut."""
        return self.every > 0 and (self.fault[0] != Front.SHORT or method != "HEAD")

    def refusal(self, request: BaseHTTPRequestHandler) -> tuple[str, int, dict, str] | None:
        """The fault of this request; None passes it to the service."""

    def begins(self) -> None:
        """Called when a request arrives."""

    def ends(self) -> None:
        """Called before the answer is sent."""

    def __init__(self, service: str, host: str = "127.0.0.1") -> None:
        self.faults: deque[tuple[str, int, dict[str, str], str]] = deque()
        self.every, self.fault = 0, (0, {}, "")
        self.given = 0
        self.denied = ""
        """Requests with this text in their path get 403."""
        self.ignored: tuple[str, ...] = ()
        """Headers, in small letters, that are not passed to the service."""
        self.added: dict[str, str] = {}
        """Headers that are added to requests."""
        self.asked: list[str] = []
        self.served = 0
        self._lock, self._writes = threading.Lock(), threading.Lock()
        self._dice = np.random.default_rng(1)
        front, (server, port) = self, urlsplit(service).netloc.split(":")

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def answer(self) -> None:
                front.begins()
                length = int(self.headers.get("Content-Length") or 0)
                body = self.rfile.read(length)
                if len(body) < length:  # who asked is gone; the service would wait for the rest
                    front.ends()
                    self.close_connection = True
                    return
                with front._lock:
                    front.asked.append(f"{self.command} {self.path}")
                    fault = None
                    if front.faults and front.faults[0][0] == self.command:
                        fault = front.faults.popleft()
                    elif front.denied and front.denied in self.path:
                        fault = ("", 403, {}, "")
                    elif front.fits(self.command) and front._dice.integers(front.every) == 0:
                        fault = ("", *front.fault)
                        front.given += 1
                fault = fault or front.refusal(self)
                if fault is not None and fault[1] <= 0:
                    if fault[1] == front.STALL:
                        time.sleep(6)
                    if fault[1] == front.SHORT:
                        self.send_response_only(200)
                        self.send_header("Content-Length", "100000")
                        self.end_headers()
                        self.wfile.write(b"short")
                        self.wfile.flush()
                    self.close_connection = True
                    self.connection.close()
                    return
                if fault is not None:
                    self.reply(fault[1], fault[2], fault[3].encode())
                    return
                told = {k: v for k, v in self.headers.items() if k.lower() not in front.ignored}
                told |= front.added
                # moto compares and writes in two steps; a storage does so in one.
                with front._writes if self.command == "PUT" else nullcontext():
                    ask = HTTPConnection(server, int(port))
                    ask.request(self.command, self.path, body, told)
                    got = ask.getresponse()
                    status, headers, answer = got.status, dict(got.getheaders()), got.read()
                    ask.close()
                self.reply(status, headers, answer)

            def reply(self, status: int, headers: dict[str, str], body: bytes) -> None:
                front.ends()
                self.send_response_only(status)
                dropped = {"transfer-encoding", "connection", "content-length"}
                for name, value in headers.items():
                    if name.lower() not in dropped:
                        self.send_header(name, value)
                length = headers.get("Content-Length") if self.command == "HEAD" else None
                self.send_header("Content-Length", length or str(len(body)))
                self.end_headers()
                self.wfile.write(body if self.command != "HEAD" else b"")
                front.served += len(body)

            do_GET = do_PUT = do_HEAD = do_POST = do_DELETE = answer  # noqa: N815

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer((host, 0), Handler)
        self.address = f"http://{host}:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@contextmanager
def fronted(service: str) -> Iterator[Front]:
    """Inside the context, all requests go through a front of a service."""
    front = Front(service)
    try:
        with using(front.address):
            yield front
    finally:
        front.close()
