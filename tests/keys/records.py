"""An in-memory system bucket that can be killed, raced, and lie."""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable

from sseproxy.errors import RecordConflict
from sseproxy.keys.model import Record


class Killed(BaseException):
    """The process died here. Not an Exception: no handler may survive it."""


class MemoryRecords:
    """A RecordStore. `before` / `after` run around each operation: they may raise or race."""

    def __init__(self) -> None:
        self.records: dict[str, bytes] = {}
        self.before: Callable[[str, str], Awaitable[None]] | None = None
        self.after: Callable[[str, str], Awaitable[None]] | None = None
        self.operations: list[tuple[str, str]] = []

    async def get(self, name: str) -> Record | None:
        await self._run(self.before, "get", name)
        data = self.records.get(name)
        await self._run(self.after, "get", name)
        return None if data is None else Record(data, _etag(data))

    async def put(
        self, name: str, data: bytes, *, if_match: str | None = None, if_absent: bool = False
    ) -> str:
        self.operations.append(("put", name))
        await self._run(self.before, "put", name)
        held = self.records.get(name)
        if if_absent and held is not None:
            raise RecordConflict(name)
        if if_match is not None and (held is None or _etag(held) != if_match):
            raise RecordConflict(name)
        self.records[name] = data
        await self._run(self.after, "put", name)
        return _etag(data)

    async def delete(self, name: str) -> None:
        self.records.pop(name, None)

    async def list(self, prefix: str) -> list[str]:
        return sorted(name for name in self.records if name.startswith(prefix))

    async def _run(
        self, hook: Callable[[str, str], Awaitable[None]] | None, operation: str, name: str
    ) -> None:
        if hook is not None:
            await hook(operation, name)


def _etag(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
