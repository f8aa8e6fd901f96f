"""A server on the loopback that sends something for ever, but never the body of an answer."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

DRIPS = {
    "a header": (b"HTTP/1.1 200 OK\r\nX: ", b"a"),
    "answers before the answer": (b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
    "the size of a chunk": (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2;", b"a"),
}
"""What it sends at first, and then again and again."""


@contextmanager
def dripping(name: str) -> Iterator[str]:
    """A server that sends one of `DRIPS`; its address."""
    begin, drip = DRIPS[name]
    end = threading.Event()

    def talk(connection: socket.socket) -> None:
        with connection, suppress(OSError):
            connection.sendall(begin)
            while not end.wait(0.05):
                connection.sendall(drip)

    def listen() -> None:
        with suppress(OSError):
            while True:
                connection, _ = listening.accept()
                threading.Thread(target=talk, args=(connection,), daemon=True).start()

    with socket.create_server(("127.0.0.1", 0)) as listening:
        threading.Thread(target=listen, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        finally:
            end.set()
            listening.shutdown(socket.SHUT_RDWR)
