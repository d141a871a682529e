"""A client that costs next to nothing: blocking sockets, requests signed before."""

from __future__ import annotations

import re
import socket
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from typing import Self

from benchmarks.accounting import MIB

_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_ETAG = re.compile(rb"\r\netag: *([^\r]+)", re.IGNORECASE)


class UnexpectedAnswer(Exception):
    """Not a 2xx, or no Content-Length where there must be one."""


class Client:
    """One kept-alive connection."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port))
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._room = memoryview(bytearray(MIB))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self._socket.close()

    def fileno(self) -> int:
        """For selectors."""
        return self._socket.fileno()

    def send(self, head: bytes, body: bytes | memoryview = b"") -> None:
        """A whole request."""
        if len(body) <= 65536:
            self._socket.sendall(head + bytes(body))
            return
        self._socket.sendall(head)
        self._socket.sendall(body)

    def answer(self, *, keep: bool = False) -> tuple[bytes, bytes]:
        """(head, body if kept) of the next answer, read to its end. Raises UnexpectedAnswer."""
        head, body, length = self.head()
        kept = [body] if keep else []
        left = length - len(body)
        while left:
            got = self._socket.recv_into(self._room, min(left, len(self._room)))
            if not got:
                raise UnexpectedAnswer("the connection ended within a body")
            left -= got
            if keep:
                kept.append(bytes(self._room[:got]))
        return head, b"".join(kept)

    def head(self) -> tuple[bytes, bytes, int]:
        """(head, what came of the body with it, the body's length) of the next answer."""
        data = b""
        while b"\r\n\r\n" not in data:
            got = self._socket.recv(65536)
            if not got:
                raise UnexpectedAnswer(f"the connection ended: {data!r}")
            data += got
        head, _, body = data.partition(b"\r\n\r\n")
        status = int(head.split(None, 2)[1])
        length = _LENGTH.search(head)
        if status // 100 != 2:
            raise UnexpectedAnswer(f"{head.decode()}\n{body.decode(errors='replace')[:500]}")
        if length is None:
            raise UnexpectedAnswer(f"no Content-Length: {head.decode()}")
        return head, body, int(length[1])

    def request(self, head: bytes, body: bytes | memoryview = b"") -> bytes:
        """Send, read and drop the answer's body; its head."""
        self.send(head, body)
        return self.answer()[0]

    def read(self, size: int) -> bytes:
        """What has come, at most `size` bytes; b"" at the end."""
        return self._socket.recv(size)


def once(port: int, head: bytes, body: bytes | memoryview = b"") -> bytes:
    """One request on a connection of its own; the answer's head."""
    with Client(port) as client:
        return client.request(head, body)


def fetched(port: int, head: bytes) -> bytes:
    """One request on a connection of its own; the answer's body."""
    with Client(port) as client:
        client.send(head)
        return client.answer(keep=True)[1]


def in_parallel(
    port: int, requests: Sequence[tuple[bytes, bytes | memoryview]], connections: int
) -> list[bytes]:
    """All requests, each connection taking its share in order; the answers' heads in order."""

    def work(first: int) -> list[bytes]:
        with Client(port) as client:
            return [client.request(*request) for request in requests[first::connections]]

    heads: list[bytes] = [b""] * len(requests)
    with ThreadPoolExecutor(connections) as pool:
        for first, share in enumerate(pool.map(work, range(connections))):
            heads[first::connections] = share
    return heads


def etag_of(head: bytes) -> str:
    """The ETag of an answer."""
    found = _ETAG.search(head)
    if found is None:
        raise UnexpectedAnswer(f"no ETag: {head.decode()}")
    return found[1].decode()
