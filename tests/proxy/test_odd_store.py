"""A store whose answers are not what was asked for, and one that knows tags."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import pytest

from tests.proxy.samples import KEY, LARGE, SMALL, body_of
from tests.proxy.wire import Wire, customer
from tests.store.memory import MemoryResponse, MemoryStore

Answer = Callable[[MemoryResponse], MemoryResponse]
TAGS = (
    b'<Tagging xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><TagSet>'
    b"<Tag><Key>a b</Key><Value>1&amp;2</Value></Tag><Tag><Key>c</Key><Value/></Tag>"
    b"</TagSet></Tagging>"
)


class OddStore(MemoryStore):
    """`answers` replaces the answers to requests that it names: (method, a header or query)."""

    def __init__(self, *buckets: str) -> None:
        super().__init__(*buckets)
        self.answers: dict[tuple[str, str], Answer] = {}

    async def send(self, credential, method, bucket, key, **more) -> MemoryResponse:
        headers: Mapping[str, str] = more.get("headers", {})
        named = {*headers, *(name for name, _ in more.get("query", ()))}
        for (wanted, name), answer in self.answers.items():
            if method == wanted and name in named:
                if name == "range":
                    more = {**more, "headers": {n: v for n, v in headers.items() if n != "range"}}
                return answer(await super().send(credential, method, bucket, key, **more))
        return await super().send(credential, method, bucket, key, **more)


@pytest.fixture
def store() -> OddStore:
    return OddStore("data", "other", "plain")


class TestRanges:
    async def test_ignored(self, wire: Wire, store: OddStore) -> None:
        await wire.put("/data/k", body_of(LARGE))
        store.answers["GET", "range"] = lambda response: response
        assert (await wire.inspect("/data/k")).status == 503
        assert (await wire.get("/data/k", {"range": "bytes=0-1"})).status == 503

    @pytest.mark.parametrize(("start", "stop"), [(65617, 131169), (65616, 131167), (0, 65552)])
    async def test_another_one(self, wire: Wire, store: OddStore, start: int, stop: int) -> None:
        """Asked for segment 1, 65616 to 131168."""
        await wire.put("/data/k", body_of(LARGE))
        await wire.get("/data/k")  # remembers it
        data, headers = store.raw("data", "k").data, {"range": "bytes=70000-70001"}
        assert (await wire.get("/data/k", headers)).body == body_of(LARGE)[70000:70002]

        def shifted(response: MemoryResponse) -> MemoryResponse:
            span = {"content-range": f"bytes {start}-{stop - 1}/{len(data)}"}
            return MemoryResponse(206, response.headers | span, data[start:stop])

        store.answers["GET", "range"] = shifted
        got = await wire.get("/data/k", headers)
        assert (got.status, got.code) == (500, "InternalError")

    async def test_without_saying_which(self, wire: Wire, store: OddStore) -> None:
        await wire.put("/data/k", body_of(SMALL))
        store.answers["GET", "range"] = lambda response: MemoryResponse(
            206, response.headers, b"x" * 256
        )
        got = await wire.get("/data/k", {"range": "bytes=0-1"})
        assert (got.status, got.code) == (503, "ServiceUnavailable")


async def test_a_copy_that_fails_after_its_200(wire: Wire, store: OddStore) -> None:
    await wire.put("/data/from", body_of(SMALL))
    body = b"<Error><Code>SlowDown</Code><Message>later</Message></Error>"
    store.answers["PUT", "x-amz-copy-source"] = lambda _: MemoryResponse(200, {}, body)
    copied = await wire.copy("data/from", "/data/to")
    assert (copied.status, copied.code) == (503, "SlowDown")
    assert copied.text("ETag") is None
    store.answers["PUT", "x-amz-copy-source"] = lambda _: MemoryResponse(200, {}, b"<Odd/>")
    assert (await wire.copy("data/from", "/data/to")).status == 503


@pytest.mark.parametrize("bucket", ["data", "plain"])
class TestTagsOfAStreamedCopy:
    """Store-side copies carry tags; a streamed one must not lose them."""

    async def copied(self, wire: Wire, store: OddStore, bucket: str, **headers: str):
        source = "plain" if bucket == "data" else "data"
        await wire.put(f"/{source}/from", body_of(SMALL))
        asked = {name.replace("_", "-"): value for name, value in headers.items()}
        answer = await wire.copy(f"{source}/from", f"/{bucket}/to", asked)
        puts = [asked for asked in store.requests if (asked.method, asked.key) == ("PUT", "to")]
        return answer, puts[-1].headers if puts else {}

    async def test_kept(self, wire: Wire, store: OddStore, bucket: str) -> None:
        store.answers["GET", "tagging"] = lambda _: MemoryResponse(200, {}, TAGS)
        answer, sent = await self.copied(wire, store, bucket)
        assert answer.code is None
        assert sent["x-amz-tagging"] == "a%20b=1%262&c="

    async def test_replaced(self, wire: Wire, store: OddStore, bucket: str) -> None:
        store.answers["GET", "tagging"] = lambda _: MemoryResponse(200, {}, TAGS)
        answer, sent = await self.copied(
            wire, store, bucket, x_amz_tagging_directive="REPLACE", x_amz_tagging="d=e"
        )
        assert answer.code is None
        assert sent["x-amz-tagging"] == "d=e"

    async def test_not_dropped_silently(self, wire: Wire, store: OddStore, bucket: str) -> None:
        store.answers["GET", "tagging"] = lambda _: MemoryResponse(403, {}, b"")
        answer, sent = await self.copied(wire, store, bucket)
        assert (answer.status, answer.code) == (403, "AccessDenied")
        assert sent == {}


async def test_large_bodies_of_other_operations_are_verified(wire: Wire, store: OddStore) -> None:
    """A part of an upload that stays plaintext: streamed, and held back until it is verified."""
    created = await wire.request("POST", "/plain/k", b"", query={"uploads": ""})
    query = {"uploadId": created.text("UploadId"), "partNumber": "1"}
    for size in (SMALL, LARGE):
        wrong = {"content-md5": "AAAAAAAAAAAAAAAAAAAAAA=="}
        part = await wire.request("PUT", "/plain/k", body_of(size), wrong, query=query)
        assert (part.status, part.code) == (400, "BadDigest")
        asked = await wire.request("PUT", "/plain/k", body_of(size), customer(KEY), query=query)
        assert (asked.status, asked.code) == (400, "InvalidRequest")
    listed = await wire.request("GET", "/plain/k", query={"uploadId": query["uploadId"]})
    assert listed.text("PartNumber") is None


async def test_an_error_that_only_the_store_knows(wire: Wire, store: OddStore) -> None:
    """Its code and status are the store's also where its answer can't be relayed."""
    body = b"<Error><Code>InvalidStorageClass</Code><Message>Not here.</Message></Error>"
    store.answers["POST", "x-amz-meta-sseproxy"] = lambda _: MemoryResponse(400, {}, body)
    created = await wire.request("POST", "/data/k", b"", query={"uploads": ""})
    assert (created.status, created.code) == (400, "InvalidStorageClass")
    assert created.text("Message") == "Not here."
