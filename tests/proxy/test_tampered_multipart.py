"""Multipart objects that are not what was written, or whose manifest is not theirs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from sseproxy.format.manifest import Manifest
from sseproxy.format.names import manifest_folder
from tests.proxies import SYSTEM_BUCKET
from tests.proxy.multipart_samples import (
    SEGMENT,
    Multipart,
    bodies_of,
    drop_manifest,
    forget,
    lay,
)
from tests.proxy.samples import KEY, RESERVED, body_of
from tests.proxy.wire import Answer, Dropped, Wire, customer
from tests.store.memory import MemoryStore

SIZES = [2 * SEGMENT + 5, 100_000, 2 * SEGMENT + 5, 10]
READS = [{}, {"range": "bytes=0-10"}, {"range": "bytes=-10"}, {"if-none-match": '"0"'}]


def flip(data: bytes, at: int) -> bytes:
    return data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]


Tamper = Callable[[list[bytes]], bytes]
# Each with how many plain bytes may be out before it is noticed.
ATTACKS: dict[str, tuple[Tamper, int]] = {
    "first header": (lambda p: flip(p[0], 63) + b"".join(p[1:]), 0),
    "second header": (lambda p: p[0] + flip(p[1], 20) + p[2] + p[3], SIZES[0]),
    "second header's salt": (lambda p: p[0] + flip(p[1], 63) + p[2] + p[3], SIZES[0]),
    "equal parts swapped": (lambda p: p[2] + p[1] + p[0] + p[3], 0),
    "parts swapped": (lambda p: p[1] + p[0] + p[2] + p[3], 0),
    "part twice": (lambda p: p[0] + p[1] + p[0] + p[3], SIZES[0] + SIZES[1]),
    "cut at a part": (lambda p: p[0] + p[1] + p[2], 0),
    "first part gone": (lambda p: p[1] + p[2] + p[3], 0),
    "middle part gone": (lambda p: p[0] + p[2] + p[3], 0),
    "part added": (lambda p: b"".join(p) + p[3], 0),
    "only the headers' bytes": (lambda p: p[0][:64], 0),
    "nothing": (lambda _p: b"", 0),
    "last tag": (lambda p: b"".join(p[:3]) + flip(p[3], len(p[3]) - 1), sum(SIZES[:3])),
    "middle segment": (
        lambda p: p[0] + flip(p[1], 64 + SEGMENT + 20) + p[2] + p[3],
        SIZES[0] + SEGMENT,
    ),
}


async def read(wire: Wire, made: Multipart, headers: dict[str, str]) -> Answer | Dropped:
    try:
        return await wire.get(made.path, headers)
    except Dropped as dropped:
        return dropped


@pytest.mark.parametrize("remembered", [True, False])
@pytest.mark.parametrize("key", [None, KEY], ids=["sse-s3", "sse-c"])
@pytest.mark.parametrize("attack", ATTACKS)
async def test_altered_data(
    wire: Wire, store: MemoryStore, attack: str, key: bytes | None, remembered: bool
) -> None:
    keys = customer(key) if key else {}
    made = await lay(wire, store, bodies_of(SIZES), customer_key=key)
    if remembered:
        await wire.inspect(made.path, keys)
    tamper, before = ATTACKS[attack]
    store.raw("data", "k").data = tamper(made.sealed)
    got = await read(wire, made, keys)
    if isinstance(got, Dropped):
        assert len(got.got) <= before
        assert made.body.startswith(got.got)
    else:
        assert before == 0
        assert (got.status, got.code) == (500, "InternalError")
        assert "etag" not in got.headers


@pytest.mark.parametrize("remembered", [True, False])
async def test_a_range_beside_the_damage_is_served(
    wire: Wire, store: MemoryStore, remembered: bool
) -> None:
    made = await lay(wire, store, bodies_of(SIZES))
    store.raw("data", "k").data = (
        made.sealed[0] + flip(made.sealed[1], 3) + b"".join(made.sealed[2:])
    )
    if remembered:
        await wire.inspect(made.path)
    start = made.starts()[1]
    before = await wire.get(made.path, {"range": f"bytes=0-{start - 1}"})
    assert before.body == made.bodies[0]
    across = await read(wire, made, {"range": f"bytes={start - 5}-{start + 5}"})
    assert isinstance(across, Dropped) or across.status == 500
    within = await wire.get(made.path, {"range": f"bytes={start}-{start + 5}"})
    assert within.body == made.bodies[1][:6]  # its own header is no part of what was fetched


class TestManifestGone:
    @pytest.mark.parametrize("headers", READS)
    async def test_it_is_an_error(self, wire: Wire, store: MemoryStore, headers, caplog) -> None:
        made = await lay(wire, store, bodies_of(SIZES))
        drop_manifest(wire, store, made)
        got = await wire.get(made.path, headers)
        assert (got.status, got.code) == (500, "InternalError")
        assert "manifest" in str(got.text("Message"))
        assert made.body[:10] not in got.body
        assert (await wire.inspect(made.path, headers)).status == 500
        assert "sseproxy repair" in caplog.text
        metric = wire.proxy.metric
        assert metric("sseproxy_integrity_failures_total", reason="manifest") == 2

    async def test_what_was_remembered_of_an_object_replaced_since(
        self, wire: Wire, store: MemoryStore
    ) -> None:
        """Its manifest was cleaned up long ago: the object that is there now must be found."""
        old = await lay(wire, store, bodies_of([100, 200]))
        ranged = {"range": "bytes=90-110"}
        await wire.get(old.path, ranged)
        drop_manifest(wire, store, old)
        wire.proxy.services.manifests._known.clear()
        made = await lay(wire, store, bodies_of([40, 50, 60]))
        assert (await wire.get(made.path, ranged)).body == made.body[90:111]

    async def test_a_store_that_fails_is_not_a_missing_one(
        self, wire: Wire, store: MemoryStore
    ) -> None:
        made = await lay(wire, store, bodies_of(SIZES))
        record = drop_manifest(wire, store, made)
        system = store.buckets.pop(SYSTEM_BUCKET)
        assert (await wire.get(made.path)).status == 503
        store.buckets[SYSTEM_BUCKET] = system
        system.versions[made.record(wire)] = [record]
        assert (await wire.get(made.path)).body == made.body


class TestForeignManifest:
    async def refused(self, wire: Wire, made: Multipart) -> None:
        forget(wire)
        for headers in READS:
            got = await wire.get(made.path, headers)
            assert (got.status, got.code) == (500, "InternalError")
        assert (await wire.inspect(made.path)).status == 500

    async def write(
        self, wire: Wire, store: MemoryStore, made: Multipart, manifest: Manifest
    ) -> None:
        drop_manifest(wire, store, made)
        await wire.proxy.services.manifests.write(manifest, made.manifest_id, made.composite, 1)

    async def test_another_uploads(self, wire: Wire, store: MemoryStore) -> None:
        """The store puts one record in the place of another."""
        one = await lay(wire, store, bodies_of(SIZES), key="one")
        two = await lay(wire, store, bodies_of(SIZES), key="two")
        records = store.buckets[SYSTEM_BUCKET].versions
        first, second = one.record(wire), two.record(wire)
        records[first], records[second] = records[second], records[first]
        await self.refused(wire, one)
        await self.refused(wire, two)

    async def test_of_another_name_or_data(self, wire: Wire, store: MemoryStore) -> None:
        """Sealed by the proxy, for something else."""
        made = await lay(wire, store, bodies_of(SIZES))
        name = made.manifest.name
        for other in (
            replace(made.manifest, data_id=bytes(16)),
            replace(made.manifest, name=replace(name, key="other")),
            replace(made.manifest, name=replace(name, bucket_identity="other")),
        ):
            await self.write(wire, store, made, other)
            await self.refused(wire, made)

    async def test_of_another_size(self, wire: Wire, store: MemoryStore) -> None:
        """A cut at a part's end that a manifest would bless."""
        made = await lay(wire, store, bodies_of(SIZES))
        await self.write(wire, store, made, replace(made.manifest, parts=made.manifest.parts[:-1]))
        await self.refused(wire, made)
        store.raw("data", "k").composite = "0" * 32  # and not by name
        await self.refused(wire, made)

    async def test_of_other_parts(self, wire: Wire, store: MemoryStore) -> None:
        made = await lay(wire, store, bodies_of([100, 200]))
        first, second = made.manifest.parts
        salted = replace(made.manifest, parts=(first, replace(second, salt=bytes(16))))
        await self.write(wire, store, made, salted)
        forget(wire)
        got = await read(wire, made, {})
        assert isinstance(got, Dropped) or got.status == 500

    async def test_altered(self, wire: Wire, store: MemoryStore) -> None:
        made = await lay(wire, store, bodies_of(SIZES))
        record = store.raw(SYSTEM_BUCKET, made.record(wire))
        whole = record.data
        for at in (0, 1, 5, 8, 30, len(whole) - 1):
            record.data = flip(whole, at)
            await self.refused(wire, made)
        record.data = whole[:-1]
        await self.refused(wire, made)

    async def test_under_another_attribute_key(self, wire: Wire, store: MemoryStore) -> None:
        made = await lay(wire, store, bodies_of(SIZES))
        record = store.raw(SYSTEM_BUCKET, made.record(wire))
        record.data = record.data[:2] + (2).to_bytes(4) + record.data[6:]
        await self.refused(wire, made)
        # Refused for what it is, before a key that may not exist is looked for.
        reason = wire.proxy.metric("sseproxy_integrity_failures_total", reason="record")
        assert reason == len(READS) + 1


class TestSeveralManifests:
    """Complete twice with other lists: the object's own parts tell which it was."""

    async def lay(self, wire: Wire, store: MemoryStore, others: list[Manifest]) -> None:
        for index, manifest in enumerate(others):
            await wire.proxy.services.manifests.write(
                manifest, self.made.manifest_id, f"other-{index}", 1
            )
        forget(wire)

    async def make(self, wire: Wire, store: MemoryStore) -> None:
        self.made = await lay(wire, store, bodies_of([100, 200, 300]))
        store.raw("data", "k").composite = "0" * 32
        first, second, third = self.made.manifest.parts
        salt = bytes(16)
        self.others = [
            replace(self.made.manifest, parts=(first, third)),
            replace(self.made.manifest, parts=(first, replace(second, salt=salt), third)),
            replace(self.made.manifest, parts=(first, second, replace(third, salt=salt))),
            replace(
                self.made.manifest,
                parts=(first, replace(second, plain_size=300), replace(third, plain_size=200)),
            ),
        ]

    async def test_size_and_salts_decide(self, wire: Wire, store: MemoryStore) -> None:
        await self.make(wire, store)
        await self.lay(wire, store, self.others)
        for headers in READS:
            forget(wire)
            got = await wire.get(self.made.path, headers)
            assert got.etag == self.made.etag
            assert got.body in (self.made.body, self.made.body[:11], self.made.body[-10:])

    async def test_none_that_fits(self, wire: Wire, store: MemoryStore) -> None:
        await self.make(wire, store)
        drop_manifest(wire, store, self.made)
        await self.lay(wire, store, self.others[:1])
        assert (await wire.get(self.made.path)).status == 500
        await self.lay(wire, store, self.others[1:])
        got = await read(wire, self.made, {})  # one is left, and then its next header is not there
        assert isinstance(got, Dropped) or got.status == 500
        # What did not fit is not remembered.
        manifest, made = self.made.manifest, self.made
        await wire.proxy.services.manifests.write(manifest, made.manifest_id, made.composite, 1)
        assert (await wire.get(self.made.path)).body == self.made.body

    async def test_what_repair_made_comes_second(self, wire: Wire, store: MemoryStore) -> None:
        await self.make(wire, store)
        rebuilt = replace(self.made.manifest, rebuilt=True, etag=bytes(20), checksums={})
        await self.lay(wire, store, [rebuilt])
        assert (await wire.get(self.made.path)).etag == self.made.etag
        drop_manifest(wire, store, self.made)
        forget(wire)
        assert (await wire.get(self.made.path)).etag == rebuilt.etag_text

    async def test_an_object_replaced_while_they_are_told_apart(
        self, wire: Wire, store: MemoryStore
    ) -> None:
        await self.make(wire, store)
        await self.lay(wire, store, self.others)
        stored, other = store.raw("data", "k"), body_of(5)
        send = store.send

        async def replaced(*args, headers=None, **more):
            if "range" in (headers or {}) and "if-match" in (headers or {}):
                stored.headers.pop(RESERVED)
                stored.data = other
            return await send(*args, headers=headers or {}, **more)

        store.send = replaced
        got = await wire.get(self.made.path, {"if-none-match": '"0"'})
        assert (got.status, got.code) == (503, "ServiceUnavailable")


class TestSwapped:
    @pytest.mark.parametrize("what", ["everything", "data", "envelope"])
    async def test_two_objects(self, wire: Wire, store: MemoryStore, what: str) -> None:
        one = await lay(wire, store, bodies_of(SIZES), key="one")
        two = await lay(wire, store, bodies_of(SIZES), key="two")
        first, second = store.raw("data", "one"), store.raw("data", "two")
        if what in ("everything", "data"):
            first.data, second.data = second.data, first.data
            first.composite, second.composite = second.composite, first.composite
        if what in ("everything", "envelope"):
            first.headers, second.headers = second.headers, first.headers
        for made in (one, two):
            forget(wire)
            for headers in READS[:1] if what == "data" else READS:
                assert (await wire.get(made.path, headers)).status == 500
            got = await read(wire, made, {"range": "bytes=0-10"})
            assert isinstance(got, Dropped) or got.status == 500

    async def test_with_a_single_put(self, wire: Wire, store: MemoryStore) -> None:
        made = await lay(wire, store, [body_of(100)])
        await wire.put("/data/single", body_of(100))
        multi, single = store.raw("data", "k"), store.raw("data", "single")
        multi.data, single.data = single.data, multi.data
        for path in (made.path, "/data/single"):
            assert (await wire.get(path)).status == 500

    async def test_moved(self, wire: Wire, store: MemoryStore) -> None:
        made = await lay(wire, store, bodies_of(SIZES))
        store.buckets["other"].versions["k"] = store.buckets["data"].versions["k"]
        assert (await wire.get("/other/k")).status == 500
        assert manifest_folder(made.manifest_id) in made.record(wire)
