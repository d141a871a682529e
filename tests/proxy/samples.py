"""Bodies, keys and sizes that several tests share."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable

from tests.store.memory import MemoryStore

KIB, MIB = 1024, 1024 * 1024
BOUNDARIES = [0, 1, 65535, 65536, 65537, 524287, 524288, 524289, MIB + 1, 3 * MIB]
SMALL, LARGE = 1000, 700_000  # a body that is read whole, and one that is streamed
KEY, OTHER_KEY = bytes(range(32)), bytes(range(32, 64))
RESERVED = "x-amz-meta-sseproxy"

StoreState = dict[tuple[str, str], tuple[bytes, dict[str, str]]]


def body_of(size: int, seed: int = 7) -> bytes:
    return random.Random(seed).randbytes(size)


def sealed_size(size: int) -> int:
    """docs/format.md 3.4."""
    return 64 + size + 16 * max(1, -(-size // 65536)) + (256 if size > 524288 else 0)


def state_of(store: MemoryStore) -> StoreState:
    """The bytes and metadata of every object that a client can name."""
    return {
        (bucket, key): (store.raw(bucket, key).data, dict(store.raw(bucket, key).headers))
        for bucket in ("data", "other", "plain", "public")
        for key in store.keys(bucket)
    }


async def until(condition: Callable[[], bool]) -> None:
    """Let the loop run until the condition holds."""
    async with asyncio.timeout(10):
        while not condition():
            await asyncio.sleep(0.001)


def asked(store: MemoryStore, method: str) -> int:
    """How many requests of that method the store has got."""
    return sum(request.method == method for request in store.requests)
