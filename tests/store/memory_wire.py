"""Requests, arranged failures and answers of the store in memory."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from sseproxy.errors import StoreCut, StoreProtocolError
from sseproxy.store.objects import StoreCredential


@dataclass(frozen=True)
class Asked:
    """One request as it reached the store."""

    credential: StoreCredential | None
    method: str
    bucket: str | None
    key: str | None
    query: dict[str, str]
    headers: dict[str, str]


@dataclass
class Failure:
    """A failure to come. It applies to the first `count` requests that match."""

    method: str | None = None
    key: str | None = None
    count: int = 1
    status: int | None = None  # answer with this error, the body unread
    unreachable: bool = False  # no answer at all
    after_commit: bool = False  # ... but only once the request has been carried out
    cut_after_bytes: int | None = None  # the answer's body ends here, StoreCut
    gate: asyncio.Event | None = None  # wait for it before anything else
    query: str | None = None  # only requests with this parameter

    def matches(self, method: str, key: str | None, query: Mapping[str, str]) -> bool:
        return (
            self.count > 0
            and self.method in {None, method}
            and (self.key is None or self.key == key)
            and (self.query is None or self.query in query)
        )


class MemoryResponse:
    """A StoreResponse over bytes."""

    def __init__(
        self, status: int, headers: Mapping[str, str], body: bytes = b"", *, head: bool = False
    ) -> None:
        self.status = status
        self.headers = {"server": "memory", **headers, "content-length": str(len(body))}
        self.content_length: int | None = len(body)
        self._body = b"" if head else body
        self._position = 0
        self.cut_after_bytes: int | None = None
        self.released = False

    async def readinto(self, view: memoryview) -> int:
        rest = self._body[self._position :]
        cut = self.cut_after_bytes
        if cut is not None and self._position + len(view) > cut and cut < len(self._body):
            raise StoreCut("the store's answer was cut before its end")
        size = min(len(view), len(rest))
        view[:size] = rest[:size]
        self._position += size
        return size

    async def read(self, limit: int = 16 * 1024 * 1024) -> bytes:
        if len(self._body) - self._position > limit:
            raise StoreProtocolError(f"an answer of more than {limit} bytes")
        data = bytearray(len(self._body) - self._position)
        await self.readinto(memoryview(data))
        return bytes(data)

    def release(self) -> None:
        self.released = True

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.release()
