"""Multipart objects in listings; and listings with the metadata that MinIO tells in them."""

from __future__ import annotations

import pytest
from lxml import etree

from tests.proxy.conftest import Serve
from tests.proxy.multipart_samples import SIZES, bodies_of, drop_manifest, forget, lay
from tests.proxy.samples import KEY, LARGE, RESERVED, SMALL, body_of, sealed_size
from tests.proxy.test_listing import KINDS, entries
from tests.proxy.wire import Wire, customer, md5
from tests.store.memory import Failure, MemoryStore

V2 = KINDS["v2"]


@pytest.mark.parametrize("metadata", [True, False])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("remembered", [True, False])
async def test_what_head_says(
    wire: Wire, store: MemoryStore, kind: str, remembered: bool, metadata: bool
) -> None:
    store.metadata_listing = wire.proxy.services.metadata_listing = metadata
    keys = {"c": customer(KEY), "multi-c": customer(KEY)}
    await lay(wire, store, bodies_of(SIZES), key="multi")
    await lay(wire, store, bodies_of(SIZES), key="multi-c", customer_key=KEY)
    await lay(wire, store, [b""], key="multi-0")
    await lay(wire, store, bodies_of([5, 6]), key="piece", one_piece=True)
    odd = await lay(wire, store, bodies_of([65537, 1]), key="odd")  # of no single PUT's size
    store.raw("data", "odd").composite = "0" * 32
    await wire.put("/data/small", body_of(SMALL))
    await wire.put("/data/large", body_of(LARGE))
    await wire.put("/data/c", body_of(SMALL), keys["c"])
    await wire.put("/plain/p", body_of(SMALL))
    store.buckets["data"].versions["p"] = [store.raw("plain", "p")]
    expected = {}
    for key in store.keys("data"):
        head = await wire.inspect(f"/data/{key}", keys.get(key))
        assert head.status == 200
        expected[key] = (int(head.headers["content-length"]), head.etag)
    assert expected["odd"] == (65538, odd.etag)
    if not remembered:
        forget(wire)
    assert entries(await wire.get("/data", query=KINDS[kind])) == expected
    store.requests.clear()
    assert entries(await wire.get("/data", query=KINDS[kind])) == expected
    assert len(store.requests) == 1


async def test_a_lost_manifest_does_not_hide_the_others(wire: Wire, store: MemoryStore) -> None:
    lost = await lay(wire, store, bodies_of([10, 20]), key="lost")
    there = await lay(wire, store, bodies_of([10, 20]), key="there")
    drop_manifest(wire, store, lost)
    for metadata in (False, True):
        store.metadata_listing = wire.proxy.services.metadata_listing = metadata
        forget(wire)
        listed = entries(await wire.get("/data", query=V2))
        assert listed["there"] == (30, there.etag)
        stored = store.raw("data", "lost")
        assert listed["lost"] == (len(stored.data), stored.etag)
    assert wire.proxy.metric("sseproxy_integrity_failures_total", reason="manifest") == 2


async def test_the_same_bytes_at_another_time_are_looked_at(wire: Wire, store: MemoryStore) -> None:
    """Nothing but the time tells a store's replay of an old object from the one it was."""
    await wire.put("/data/k", body_of(SMALL))
    await wire.get("/data", query=V2)
    stored = store.raw("data", "k")
    stored.last_modified = stored.last_modified.replace(year=2001)
    for expected in (2, 1):
        store.requests.clear()
        await wire.get("/data", query=V2)
        assert len(store.requests) == expected


class TestMetadataListing:
    @pytest.fixture
    async def wire(self, serve: Serve, store: MemoryStore) -> Wire:
        wire = await serve()
        store.metadata_listing = wire.proxy.services.metadata_listing = True
        store.requests.clear()
        return wire

    async def test_what_it_costs(self, wire: Wire, store: MemoryStore) -> None:
        """Small objects nothing, large ones a look for their trailer, multipart their manifest."""
        for index in range(5):
            await wire.put(f"/data/small-{index}", body_of(SMALL))
            await wire.put(f"/plain/{index}", body_of(SMALL))
        store.buckets["data"].versions |= store.buckets["plain"].versions
        await wire.put("/data/large", body_of(LARGE))
        await lay(wire, store, bodies_of([10, 20]), key="multi")
        forget(wire)
        store.requests.clear()
        listed = entries(await wire.get("/data", query=V2))
        assert listed["small-0"] == (SMALL, md5(body_of(SMALL)))
        assert listed["large"] == (LARGE, md5(body_of(LARGE)))
        assert store.requests[0].query["metadata"] == "true"
        asked = sorted((str(each.bucket), str(each.key)[:2]) for each in store.requests[1:])
        assert asked == [("data", "la"), ("sseproxy-system", "m/")]

    async def test_a_page_that_is_known_is_listed_without(
        self, wire: Wire, store: MemoryStore
    ) -> None:
        for index in range(5):
            await wire.put(f"/data/{index}", body_of(SMALL))
        for told in ("true", None, None):
            store.requests.clear()
            assert len(entries(await wire.get("/data", query=V2))) == 5
            (one,) = store.requests
            assert one.query.get("metadata") == told
        store.requests.clear()
        await wire.get("/data", query={**V2, "prefix": "1"})
        assert store.requests[0].query["metadata"] == "true"

    async def test_a_few_new_objects_are_looked_at_and_many_are_not(
        self, wire: Wire, store: MemoryStore
    ) -> None:
        for index in range(10):
            await wire.put(f"/data/{index}", body_of(SMALL))
        await wire.get("/data", query=V2)
        for index in range(5):
            await wire.put(f"/data/{index}", body_of(SMALL, seed=8))
        store.requests.clear()
        assert len(entries(await wire.get("/data", query=V2))) == 10
        assert [each.query.get("metadata") for each in store.requests] == [None] * 6
        for index in range(40):
            await wire.put(f"/data/{index}", body_of(SMALL, seed=9))
        store.requests.clear()
        listed = entries(await wire.get("/data", query=V2))
        assert set(listed.values()) == {(SMALL, md5(body_of(SMALL, seed=9)))}
        assert [each.query.get("metadata") for each in store.requests] == [None, "true"]

    async def test_a_client_sees_it_only_if_it_asked(self, wire: Wire, store: MemoryStore) -> None:
        await wire.put("/data/k", body_of(SMALL), {"x-amz-meta-a": "b"})
        for query, shown in ((V2, False), ({**V2, "metadata": "true"}, True)):
            for _ in range(2):
                listed = await wire.get("/data", query=query)
                names = {
                    etree.QName(item).localname for item in etree.fromstring(listed.body).iter()
                }
                assert ("UserMetadata" in names) == shown
                assert ("X-Amz-Meta-A" in names) == shown
                assert not [name for name in names if "sseproxy" in name.lower()]
                assert entries(listed) == {"k": (SMALL, md5(body_of(SMALL)))}

    async def test_it_is_for_v2_and_signed_listings_only(
        self, wire: Wire, store: MemoryStore
    ) -> None:
        await wire.put("/public/k", body_of(SMALL))
        for query in (KINDS["v1"], KINDS["versions"]):
            await wire.get("/public", query=query)
        await wire.get("/public", query=V2, anonymous=True)
        wire.proxy.services.exact_listing = False
        await wire.get("/public", query=V2)
        assert not [each for each in store.requests if "metadata" in each.query]

    async def test_an_entry_without_metadata_is_looked_at(
        self, wire: Wire, store: MemoryStore
    ) -> None:
        """MinIO leaves it out where the client may list, and may not read."""
        await wire.put("/data/k", body_of(SMALL))
        store.metadata_listing = False
        assert entries(await wire.get("/data", query=V2)) == {"k": (SMALL, md5(body_of(SMALL)))}
        assert store.requests[-1].key == "k"

    async def test_a_name_that_is_no_xml(self, wire: Wire, store: MemoryStore) -> None:
        await wire.put("/data/k", body_of(SMALL))
        send = store.send

        async def malformed(*args, **more):
            response = await send(*args, **more)
            if ("metadata", "true") in more.get("query", ()):
                response._body = response._body.replace(b"<UserMetadata>", b"<UserMetadata><a!/>")
                response.content_length = len(response._body)
            return response

        store.send = malformed
        for _ in range(2):
            listed = await wire.get("/data", query=V2)
            assert entries(listed) == {"k": (SMALL, md5(body_of(SMALL)))}
        wire.proxy.services.metadata_listing = False
        asked = await wire.get("/data", query={**V2, "metadata": "true"})
        assert asked.status == 503

    async def test_a_damaged_envelope(self, wire: Wire, store: MemoryStore) -> None:
        for key in ("bad", "cut", "good"):
            await wire.put(f"/data/{key}", body_of(SMALL))
        store.raw("data", "bad").headers[RESERVED] = "AQ"
        store.raw("data", "cut").data = store.raw("data", "cut").data[:-1]
        listed = entries(await wire.get("/data", query=V2))
        assert listed["good"] == (SMALL, md5(body_of(SMALL)))
        assert listed["bad"][0] == sealed_size(SMALL)
        assert listed["cut"][0] == sealed_size(SMALL) - 1

    async def test_errors_are_the_stores_own(self, wire: Wire, store: MemoryStore) -> None:
        store.fail(Failure(method="GET", status=403))
        assert (await wire.get("/data", query=V2)).status == 403
        assert (await wire.get("/nowhere", query=V2)).code == "NoSuchBucket"
