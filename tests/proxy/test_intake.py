"""Large bodies are read past the HTTP parser, which must never notice."""

from __future__ import annotations

import asyncio
import random

import pytest

from sseproxy.proxy.exchange import Limits
from tests.proxy.conftest import Serve
from tests.proxy.framing import STREAMING
from tests.proxy.samples import LARGE, MIB, SMALL, body_of
from tests.proxy.wire import Wire, content_md5
from tests.store.memory import MemoryStore

BUCKETS = ["data", "plain"]


@pytest.mark.parametrize("bucket", BUCKETS)
@pytest.mark.parametrize("size", [524_289, MIB, 2 * MIB, 2 * MIB + 1, 5 * MIB + 77_777])
async def test_however_it_arrives(wire: Wire, bucket: str, size: int) -> None:
    body = body_of(size)
    cuts = [[], [1], [100_000], [size - 1], sorted(random.Random(size).sample(range(size), 40))]
    for splits in cuts:
        put = await wire.put(
            f"/{bucket}/k", body, {"content-md5": content_md5(body)}, splits=splits
        )
        assert put.status == 200, put.body
        assert (await wire.get(f"/{bucket}/k")).body == body


@pytest.mark.parametrize("bucket", BUCKETS)
async def test_the_next_requests_came_in_the_same_breath(wire: Wire, bucket: str) -> None:
    """Pipelined: nothing of them may be taken for the body, nor be lost."""
    first, second = body_of(LARGE), body_of(3 * MIB, seed=1)
    sent = b"".join(
        (
            wire.head("PUT", f"/{bucket}/a", first) + first,
            wire.head("PUT", f"/{bucket}/b", second) + second,
            wire.head("PUT", f"/{bucket}/c", b"small") + b"small",
            wire.head("GET", f"/{bucket}/a"),
        )
    )
    async with wire.connect() as connection:
        sending = asyncio.create_task(connection.send(sent))
        for _ in range(3):
            assert (await connection.answer()).status == 200
        assert (await connection.answer()).body == first
        await sending
    assert (await wire.get(f"/{bucket}/b")).body == second
    assert (await wire.get(f"/{bucket}/c")).body == b"small"


async def test_a_connection_is_used_again_and_again(wire: Wire) -> None:
    async with wire.connect() as connection:
        for number in range(5):
            body = body_of(LARGE + number, seed=number)
            await connection.send(wire.head("PUT", "/data/k", body) + body)
            assert (await connection.answer()).status == 200
            await connection.send(wire.head("GET", "/data/k"))
            assert (await connection.answer()).body == body


async def test_who_is_refused_in_the_middle_hears_why(wire: Wire, store: MemoryStore) -> None:
    """A connection that is closed with bytes unread would take the answer with it."""
    chunks = [body_of(MIB, seed=number) for number in range(16)]
    put = await wire.put_chunked("/data/k", chunks, kind=STREAMING, spoil=2)
    assert (put.status, put.code) == (403, "SignatureDoesNotMatch")
    assert store.keys("data") == []


async def test_who_goes_away_in_the_middle_leaves_nothing(serve: Serve, store: MemoryStore) -> None:
    wire = await serve()
    body = body_of(3 * MIB)
    async with wire.connect() as connection:
        await connection.send(wire.head("PUT", "/data/k", body) + body[: 2 * MIB])
    async with asyncio.timeout(10):
        while wire.proxy.services.in_flight:
            await asyncio.sleep(0.001)
    assert store.keys("data") == []


async def test_slow_is_not_idle(serve: Serve) -> None:
    """The time-out is between two pieces, not for a buffer."""
    wire = await serve(limits=Limits(client_idle_s=0.4))
    body = body_of(LARGE)
    async with wire.connect() as connection:
        await connection.send(wire.head("PUT", "/data/k", body))
        for start in range(0, LARGE, LARGE // 10):
            await connection.send(body[start : start + LARGE // 10])
            await asyncio.sleep(0.1)
        assert (await connection.answer()).status == 200
    assert SMALL < len((await wire.get("/data/k")).body) == LARGE
