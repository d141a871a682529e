"""The proxy over a store in memory, with one bucket of each kind, and a client of it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from sseproxy.proxy.policy import BucketPolicy
from sseproxy.s3.sse import SseMode
from sseproxy.secret import Secret
from sseproxy.store.objects import StoreCredential
from tests.proxies import InProcess, in_process
from tests.proxy.wire import Wire
from tests.store.memory import MemoryResponse, MemoryStore

CREDENTIAL = StoreCredential("STOREKEY", Secret("store-secret"))
BUCKETS = {"plain": BucketPolicy(SseMode.NONE)}

Serve = Callable[..., Awaitable[Wire]]


class EagerStore(MemoryStore):
    """As real stores do: an object is there once its last byte has come, whatever follows.

    A body whose digests are verified only after its last byte was handed over is caught so.
    """

    async def send(self, *target, body=None, content_length=None, **more) -> MemoryResponse:
        if body is None or isinstance(body, bytes) or content_length is None:
            return await super().send(*target, body=body, content_length=content_length, **more)
        source = aiter(body)

        async def until_complete() -> AsyncIterator[bytes]:
            left = content_length
            while left > 0:
                try:
                    buffer = bytes(await anext(source))
                except StopAsyncIteration:
                    return
                left -= len(buffer)
                yield buffer

        response = await super().send(
            *target, body=until_complete(), content_length=content_length, **more
        )
        if response.status < 300:
            async for surplus in source:
                assert not bytes(surplus), "more than the declared length"
        return response


@pytest.fixture
def store() -> MemoryStore:
    """`data` is encrypted by default (SSE-S3); `plain` is not; anyone may read `public`."""
    return EagerStore("data", "other", "plain", public=["public"])


@pytest.fixture
async def serve(store: MemoryStore, tmp_path: Path) -> AsyncIterator[Serve]:
    """Start a proxy with options of one's own: `await serve(limits=..., buckets=...)`."""
    async with AsyncExitStack() as stack:

        async def start(**options) -> Wire:
            options.setdefault("buckets", BUCKETS)
            proxy = in_process(store, CREDENTIAL, tmp_path, **options)
            return Wire(await stack.enter_async_context(proxy))

        yield start


@pytest.fixture
async def wire(serve: Serve, store: MemoryStore) -> Wire:
    """A client of the proxy; `store.requests` is empty when the test begins."""
    started = await serve()
    store.requests.clear()
    return started


@pytest.fixture
def proxy(wire: Wire) -> InProcess:
    return wire.proxy


@pytest.fixture
def small_parts(monkeypatch: pytest.MonkeyPatch, store: MemoryStore) -> None:
    """Parts of any size complete: what a test is about is rarely their 5 MiB."""
    monkeypatch.setattr("sseproxy.proxy.completion.MIN_PART_BYTES", 1)
    store.minimum_part_bytes = 1
