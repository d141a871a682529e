"""A TCP server that does exactly what a test's script says, well-formed or not."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Self

Script = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


class ScriptedServer:
    """Runs `script` for every connection; `connections` counts them, `heads` keeps requests."""

    def __init__(self, script: Script, *, ssl_context: ssl.SSLContext | None = None) -> None:
        self._script, self._ssl = script, ssl_context
        self._tasks: set[asyncio.Task[None]] = set()
        self.connections = 0
        self.endpoint = ""
        self.errors: list[BaseException] = []

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(
            self._serve, "127.0.0.1", 0, ssl=self._ssl, limit=2**16
        )
        port = self._server.sockets[0].getsockname()[1]
        scheme = "http" if self._ssl is None else "https"
        name = "127.0.0.1" if self._ssl is None else "localhost"
        self.endpoint = f"{scheme}://{name}:{port}"
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if kind is None and self.errors:
            raise self.errors[0]

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            await self._script(reader, writer)
        except (OSError, EOFError):
            pass  # the client went away, which some scripts want
        except asyncio.CancelledError:
            pass
        except BaseException as error:
            self.errors.append(error)
        finally:
            writer.transport.abort()
            self._tasks.discard(task)


async def read_head(reader: asyncio.StreamReader) -> bytes:
    """One request head; EOFError (IncompleteReadError) when the client closed."""
    return await reader.readuntil(b"\r\n\r\n")


def answer(body: bytes = b"", *, status: str = "200 OK", headers: str = "") -> bytes:
    """A well-formed answer with Content-Length."""
    head = f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n{headers}\r\n"
    return head.encode() + body


def repeating(*answers: bytes) -> Script:
    """A script that gives these answers one after the other, and stays open."""

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for data in answers:
            await read_head(reader)
            writer.write(data)
            await writer.drain()
        await reader.read()

    return script


def ending(data: bytes) -> Script:
    """A script that gives these bytes to the first request and closes."""

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_head(reader)
        writer.write(data)
        await writer.drain()
        writer.close()
        await writer.wait_closed()

    return script
