"""Listings show the sizes and ETags of HEAD, at the cost of few requests."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest
from lxml import etree

from sseproxy.metrics import Metrics
from sseproxy.proxy.cache import ListedEntries
from sseproxy.proxy.exchange import Limits
from tests.proxies import SYSTEM_BUCKET
from tests.proxy.conftest import CREDENTIAL, Serve
from tests.proxy.samples import BOUNDARIES, KEY, LARGE, RESERVED, SMALL, asked, body_of, sealed_size
from tests.proxy.wire import Answer, Wire, customer, md5
from tests.store.memory import Failure, MemoryStore

KINDS = {"v1": {}, "v2": {"list-type": "2"}, "versions": {"versions": ""}}


def entries(answer: Answer) -> dict[str, tuple[int, str]]:
    """(size, ETag) by key; of versions by key and version id."""
    assert answer.status == 200, answer.body
    found = {}
    for item in etree.fromstring(answer.body):
        if etree.QName(item).localname in ("Contents", "Version"):
            key = str(item.findtext("{*}Key"))
            if (version := item.findtext("{*}VersionId")) not in (None, "null"):
                key += f"@{version}"
            size = int(str(item.findtext("{*}Size")))
            found[key] = (size, str(item.findtext("{*}ETag")).strip('"'))
    return found


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("remembered", [True, False])
async def test_what_head_says(wire: Wire, store: MemoryStore, kind: str, remembered: bool) -> None:
    keys = {"c": customer(KEY)}
    for size in BOUNDARIES:
        await wire.put(f"/data/s3-{size}", body_of(size))
    await wire.put("/data/c", body_of(LARGE), keys["c"])
    await wire.put("/plain/p", body_of(SMALL))
    store.buckets["data"].versions["p"] = [store.raw("plain", "p")]
    expected = {}
    for key in store.keys("data"):
        head = await wire.inspect(f"/data/{key}", keys.get(key))
        expected[key] = (int(head.headers["content-length"]), head.etag)
    assert expected["s3-0"] == (0, md5(b""))
    if not remembered:
        wire.proxy.services.cache._entries.clear()
    assert entries(await wire.get("/data", query=KINDS[kind])) == expected


async def test_every_version(wire: Wire, store: MemoryStore) -> None:
    store.buckets["data"].versioned = True
    expected = {}
    for size in (SMALL, LARGE, 0):
        put = await wire.put("/data/k", body_of(size))
        expected[f"k@{put.headers['x-amz-version-id']}"] = (size, put.etag)
    await wire.request("DELETE", "/data/k")
    listed = await wire.get("/data", query=KINDS["versions"])
    assert entries(listed) == expected
    assert listed.text("DeleteMarker") is not None
    assert entries(await wire.get("/data")) == {}


async def test_pages_prefixes_and_encoded_names(wire: Wire) -> None:
    keys = ["a b", "dir/one", "dir/ü+%2F", "z&<"]
    for key in keys:
        await wire.put(f"/data/{key}", key.encode())
    encoded = await wire.get("/data", query={"list-type": "2", "encoding-type": "url"})
    assert [size for size, _ in entries(encoded).values()] == [
        len(k.encode()) for k in sorted(keys)
    ]
    assert "dir/%C3%BC%2B%252F" in entries(encoded)
    page = await wire.get("/data", query={"list-type": "2", "max-keys": "1"})
    assert entries(page) == {"a b": (3, md5(b"a b"))}
    token = str(page.text("NextContinuationToken"))
    query = {"list-type": "2", "max-keys": "1", "continuation-token": token}
    assert list(entries(await wire.get("/data", query=query))) == ["dir/one"]
    grouped = await wire.get("/data", query={"delimiter": "/"})
    assert list(entries(grouped)) == ["a b", "z&<"]
    assert grouped.text("CommonPrefixes/{*}Prefix") == "dir/"
    under = await wire.get("/data", query={"prefix": "dir/"})
    assert sorted(entries(under)) == ["dir/one", "dir/ü+%2F"]


class TestCost:
    async def test_what_is_remembered_costs_nothing(self, wire: Wire, store: MemoryStore) -> None:
        for index in range(5):
            await wire.put(f"/data/{index}", body_of(SMALL))
        await wire.get("/data")
        store.requests.clear()
        await wire.get("/data")
        assert len(store.requests) == 1

    async def test_plaintext_of_a_sealed_size_is_looked_at_once(
        self, wire: Wire, store: MemoryStore
    ) -> None:
        await wire.put("/plain/k", body_of(sealed_size(SMALL)))
        for expected in (2, 1):
            store.requests.clear()
            assert entries(await wire.get("/plain"))["k"][0] == sealed_size(SMALL)
            assert len(store.requests) == expected

    async def test_no_sealed_object_is_that_small(self, wire: Wire, store: MemoryStore) -> None:
        await wire.put("/plain/k", b"tiny")
        store.requests.clear()
        await wire.get("/plain")
        assert len(store.requests) == 1

    async def test_looks_run_side_by_side_within_a_limit(
        self, serve: Serve, store: MemoryStore
    ) -> None:
        wire = await serve(limits=Limits(listing_looks=3))
        for index in range(10):
            await wire.put(f"/data/{index}", body_of(SMALL))
        gate = asyncio.Event()
        for index in range(10):
            store.fail(Failure(method="GET", key=str(index), gate=gate))
        store.requests.clear()
        listing = asyncio.create_task(wire.get("/data"))
        async with asyncio.timeout(10):
            while asked(store, "GET") < 4:
                await asyncio.sleep(0.001)
        for _ in range(20):
            await asyncio.sleep(0)
        assert asked(store, "GET") == 1 + 3
        gate.set()
        assert len(entries(await listing)) == 10

    async def test_the_service_account_looks_once_the_client_may_list(
        self, serve: Serve, store: MemoryStore
    ) -> None:
        wire = await serve()
        service = replace(CREDENTIAL, access_key="SERVICE")
        wire.proxy.services.service_credential = service
        await wire.put("/data/k", body_of(SMALL))
        store.requests.clear()
        await wire.get("/data")
        listing, look = store.requests
        assert (listing.credential, look.credential) == (CREDENTIAL, service)
        store.fail(Failure(method="GET", status=403))
        store.requests.clear()
        assert (await wire.get("/other")).status == 403
        assert len(store.requests) == 1


class TestRemembered:
    """Entries that were answered before are not parsed again."""

    def hits(self, wire: Wire) -> float:
        lookups = wire.proxy.services.metrics.cache_lookups
        return lookups.labels("listings", "hit")._value.get()

    async def test_the_same_answer_again(self, wire: Wire) -> None:
        for index in range(5):
            await wire.put(f"/data/{index}", body_of(SMALL, seed=index))
        first = await wire.get("/data", query=KINDS["v2"])
        again = await wire.get("/data", query=KINDS["v2"])
        assert again.body == first.body
        assert self.hits(wire) == 5

    async def test_new_entries_come_in_their_place(self, wire: Wire) -> None:
        for key in "bd":
            await wire.put(f"/data/{key}", body_of(SMALL))
        await wire.get("/data")
        for key in "ace":
            await wire.put(f"/data/{key}", body_of(LARGE))
        listed = entries(await wire.get("/data"))
        assert list(listed) == list("abcde")
        assert {key: size for key, (size, _) in listed.items()} == {
            **dict.fromkeys("bd", SMALL),
            **dict.fromkeys("ace", LARGE),
        }
        assert self.hits(wire) == 2

    async def test_what_could_not_be_opened_is_tried_again(
        self, wire: Wire, store: MemoryStore
    ) -> None:
        await wire.put("/data/k", body_of(SMALL))
        raw = store.raw("data", "k")
        right = raw.headers[RESERVED]
        wire.proxy.services.cache._entries.clear()
        raw.headers[RESERVED] = "AQ" + right[2:][::-1]
        assert entries(await wire.get("/data"))["k"][0] == sealed_size(SMALL)
        raw.headers[RESERVED] = right
        assert entries(await wire.get("/data"))["k"] == (SMALL, md5(body_of(SMALL)))

    async def test_the_same_entry_of_another_bucket_is_another(
        self, wire: Wire, store: MemoryStore
    ) -> None:
        await wire.put("/data/k", body_of(SMALL))
        await wire.get("/data")
        store.buckets["other"].versions["k"] = [store.raw("data", "k")]
        # A swapped object can't be opened there, and is listed as it is stored.
        assert entries(await wire.get("/other"))["k"][0] == sealed_size(SMALL)

    async def test_encoded_and_plain_keys_of_the_same_bytes(
        self, wire: Wire, store: MemoryStore
    ) -> None:
        await wire.put("/data/a%20b", body_of(SMALL))
        assert entries(await wire.get("/data")) == {"a%20b": (SMALL, md5(body_of(SMALL)))}
        versions = store.buckets["data"].versions
        versions["a b"] = versions.pop("a%20b")
        encoded = {"list-type": "2", "encoding-type": "url"}
        # The object of another key, which can't be opened here.
        assert entries(await wire.get("/data", query=encoded))["a%20b"][0] == sealed_size(SMALL)

    def test_no_more_than_its_limit(self) -> None:
        listed = ListedEntries(Metrics(), entries=2)
        for name in (b"a", b"b"):
            listed.put("bucket", False, name, name.upper())
        assert listed.find("bucket", False, [b"a"]) == [b"A"]
        listed.put("bucket", False, b"c", b"C")
        assert listed.find("bucket", False, [b"a", b"b", b"c"]) == [b"A", None, b"C"]


class TestFresh:
    async def test_an_object_replaced_behind_the_proxy(
        self, wire: Wire, store: MemoryStore
    ) -> None:
        """Another proxy of the same keys wrote: what this one remembers is not the answer."""
        await wire.put("/data/k", body_of(SMALL, seed=1))
        await wire.get("/data")
        old = store.raw("data", "k")
        await wire.put("/data/k", body_of(SMALL, seed=2))
        assert entries(await wire.get("/data"))["k"][1] == md5(body_of(SMALL, seed=2))
        store.buckets["data"].versions["k"] = [old]
        assert entries(await wire.get("/data"))["k"][1] == md5(body_of(SMALL, seed=1))

    async def test_an_object_deleted_in_between_does_not_hurt(
        self, wire: Wire, store: MemoryStore
    ) -> None:
        for key in ("gone", "stays"):
            await wire.put(f"/data/{key}", body_of(SMALL))
        store.fail(Failure(method="GET", key="gone", status=404))
        assert entries(await wire.get("/data"))["stays"] == (SMALL, md5(body_of(SMALL)))

    async def test_a_damaged_object_does_not_hide_the_others(
        self, wire: Wire, store: MemoryStore
    ) -> None:
        for key in ("bad", "good"):
            await wire.put(f"/data/{key}", body_of(SMALL))
        text = store.raw("data", "bad").headers[RESERVED]
        store.raw("data", "bad").headers[RESERVED] = text[:-1] + ("A" if text[-1] != "A" else "Q")
        listed = entries(await wire.get("/data"))
        assert listed["good"] == (SMALL, md5(body_of(SMALL)))
        assert listed["bad"] == (sealed_size(SMALL), store.raw("data", "bad").etag)

    async def test_a_store_that_fails_the_looks(self, wire: Wire, store: MemoryStore) -> None:
        """Sizes that can't be known are no answer: a sync tool would act on them."""
        await wire.put("/data/k", body_of(SMALL))
        for failure in (Failure(unreachable=True), Failure(status=500), Failure(status=403)):
            wire.proxy.services.cache._entries.clear()
            failure.method, failure.key = "GET", "k"
            store.fail(failure)
            listed = await wire.get("/data")
            assert (listed.status, listed.code) == (503, "ServiceUnavailable"), failure
            assert "retry-after" in listed.headers
        assert entries(await wire.get("/data"))["k"][0] == SMALL


async def test_anonymous_listings_show_the_stores_own(wire: Wire, store: MemoryStore) -> None:
    await wire.put("/public/k", body_of(SMALL))
    store.requests.clear()
    for query in KINDS.values():
        listed = entries(await wire.get("/public", query=query, anonymous=True))
        assert listed == {"k": (sealed_size(SMALL), store.raw("public", "k").etag)}
    assert len(store.requests) == 3


async def test_listings_as_stored_where_configured(serve: Serve, store: MemoryStore) -> None:
    wire = await serve()
    wire.proxy.services.exact_listing = False
    await wire.put("/data/k", body_of(SMALL))
    assert entries(await wire.get("/data"))["k"][0] == sealed_size(SMALL)


async def test_an_error_is_the_stores_own(wire: Wire) -> None:
    listed = await wire.get("/nowhere")
    assert (listed.status, listed.code) == (404, "NoSuchBucket")


async def test_buckets_without_the_system_bucket(wire: Wire, store: MemoryStore) -> None:
    assert SYSTEM_BUCKET in store.buckets
    listed = await wire.get("/")
    names = [item.text for item in etree.fromstring(listed.body).iterfind(".//{*}Name")]
    assert names == ["data", "other", "plain", "public"]
    assert SYSTEM_BUCKET.encode() not in listed.body
