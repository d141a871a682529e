"""Objects that are not what was written: altered, cut, swapped, moved or replaced."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.proxy.samples import (
    KEY,
    LARGE,
    RESERVED,
    SMALL,
    body_of,
)
from tests.proxy.wire import Dropped, Wire, customer
from tests.store.memory import MemoryStore

SEGMENT, SEALED = 65536, 65552
RANGE = {"range": "bytes=0-10"}


def flip(data: bytes, at: int) -> bytes:
    return data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]


Tamper = Callable[[bytes], bytes]
SMALL_ATTACKS: dict[str, Tamper] = {
    "magic": lambda data: flip(data, 0),
    "header salt": lambda data: flip(data, 63),
    "first byte": lambda data: flip(data, 64),
    "last tag": lambda data: flip(data, len(data) - 1),
    "one byte less": lambda data: data[:-1],
    "one byte more": lambda data: data + b"\0",
    "nothing": lambda _data: b"",
    "header alone": lambda data: data[:64],
    "twice": lambda data: data + data,
}
LARGE_ATTACKS: dict[str, Tamper] = {
    "magic": lambda data: flip(data, 0),
    "first segment": lambda data: flip(data, 64),
    "trailer": lambda data: flip(data, len(data) - 1),
    "trailer cut": lambda data: data[:-256],
    "segment left out": lambda data: data[: 64 + SEALED] + data[64 + 2 * SEALED :],
    "cut at a segment": lambda data: data[: 64 + 4 * SEALED],
    "a segment more": lambda data: data[: 64 + SEALED] + data[64:],
    "first two swapped": lambda data: (
        (data[:64] + data[64 + SEALED : 64 + 2 * SEALED] + data[64 : 64 + SEALED])
        + data[64 + 2 * SEALED :]
    ),
}


@pytest.mark.parametrize("remembered", [True, False])
@pytest.mark.parametrize("key", [None, KEY], ids=["sse-s3", "sse-c"])
class TestTampered:
    @pytest.mark.parametrize("attack", SMALL_ATTACKS)
    async def test_a_small_object(
        self, wire: Wire, store: MemoryStore, attack: str, key: bytes | None, remembered: bool
    ) -> None:
        await self.refused(wire, store, SMALL, SMALL_ATTACKS[attack], key, remembered)

    @pytest.mark.parametrize("attack", LARGE_ATTACKS)
    async def test_a_large_object(
        self, wire: Wire, store: MemoryStore, attack: str, key: bytes | None, remembered: bool
    ) -> None:
        await self.refused(wire, store, LARGE, LARGE_ATTACKS[attack], key, remembered)

    async def refused(
        self,
        wire: Wire,
        store: MemoryStore,
        size: int,
        attack: Tamper,
        key: bytes | None,
        remembered: bool,
    ) -> None:
        keys = customer(key) if key else {}
        await wire.put("/data/k", body_of(size), keys)
        if remembered:
            await wire.get("/data/k", keys | RANGE)
        else:
            wire.proxy.services.cache._entries.clear()
        raw = store.raw("data", "k")
        raw.data = attack(raw.data)
        got = await wire.get("/data/k", keys)
        assert (got.status, got.code) == (500, "InternalError")
        assert "etag" not in got.headers
        assert failures(wire) == 1

    async def test_a_segment_in_the_middle(
        self, wire: Wire, store: MemoryStore, key: bytes | None, remembered: bool
    ) -> None:
        """What was verified may be out; of what follows not one byte."""
        body, keys = body_of(LARGE), customer(key) if key else {}
        for index in (1, 5, 10):
            await wire.put("/data/k", body, keys)
            if not remembered:
                wire.proxy.services.cache._entries.clear()
            raw = store.raw("data", "k")
            raw.data = flip(raw.data, 64 + index * SEALED + 30)
            with pytest.raises(Dropped) as dropped:
                await wire.get("/data/k", keys)
            assert dropped.value.status == 200
            assert len(dropped.value.got) <= index * SEGMENT
            assert body.startswith(dropped.value.got)
            inside = {"range": f"bytes={index * SEGMENT + 5}-{index * SEGMENT + 9}", **keys}
            assert (await wire.get("/data/k", inside)).status == 500
            beside = {"range": f"bytes=0-{index * SEGMENT - 1}", **keys}
            assert (await wire.get("/data/k", beside)).body == body[: index * SEGMENT]
        assert wire.proxy.metric("sseproxy_integrity_failures_total", reason="segment") == 6


def failures(wire: Wire) -> float:
    reasons = ("segment", "trailer", "envelope", "header", "truncated", "size", "commitment")
    metric = wire.proxy.metric
    return sum(metric("sseproxy_integrity_failures_total", reason=reason) for reason in reasons)


class TestReplaced:
    @pytest.mark.parametrize("size", [0, SMALL, LARGE])
    @pytest.mark.parametrize("what", ["everything", "data", "envelope"])
    async def test_swapped_with_another_object(
        self, wire: Wire, store: MemoryStore, size: int, what: str
    ) -> None:
        await wire.put("/data/a", body_of(size, seed=1))
        await wire.put("/data/b", body_of(size, seed=2))
        first, second = store.raw("data", "a"), store.raw("data", "b")
        if what in ("everything", "data"):
            first.data, second.data = second.data, first.data
        if what in ("everything", "envelope"):
            first.headers, second.headers = second.headers, first.headers
        for key in ("a", "b"):
            for headers in ({}, RANGE, {"if-none-match": '"0"'}):
                if headers is RANGE and not size:
                    continue
                assert (await wire.get(f"/data/{key}", headers)).status == 500

    async def test_moved_to_another_bucket_or_name(self, wire: Wire, store: MemoryStore) -> None:
        await wire.put("/data/k", body_of(SMALL))
        stored = store.raw("data", "k")
        store.buckets["other"].versions["k"] = store.buckets["data"].versions["K"] = [stored]
        for path in ("/other/k", "/data/K"):
            assert (await wire.get(path)).code == "InternalError"
            assert (await wire.inspect(path)).status == 500

    async def test_an_envelope_that_is_none(self, wire: Wire, store: MemoryStore) -> None:
        await wire.put("/data/k", body_of(SMALL))
        for text in ("", "AQ", "nonsense!", "A" * 300, "\u00e4"):
            store.raw("data", "k").headers[RESERVED] = text
            for headers in ({}, RANGE):
                got = await wire.get("/data/k", headers)
                assert (got.status, got.code) == (500, "InternalError"), text
            assert (await wire.inspect("/data/k")).status == 500
