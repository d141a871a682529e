"""DELETE and DeleteObjects: conditions mean the object as the client sees it."""

from __future__ import annotations

import pytest
from lxml import etree

from tests.proxy.samples import KEY, LARGE, SMALL, body_of, state_of
from tests.proxy.wire import Answer, Wire, content_md5, customer
from tests.store.memory import Failure, MemoryStore

OBJECTS = [("data", {}), ("data", customer(KEY)), ("plain", {})]
IDS = ["sse-s3", "sse-c", "plain"]
NONE = "00000000000000000000000000000000"
PAST = "Thu, 01 Jan 2015 00:00:00 GMT"
SIZE, TIME = "x-amz-if-match-size", "x-amz-if-match-last-modified-time"

every_kind = pytest.mark.parametrize(("bucket", "key"), OBJECTS, ids=IDS)


def item(key: str, **conditions: str) -> str:
    inner = "".join(f"<{name}>{value}</{name}>" for name, value in conditions.items())
    return f"<Object><Key>{key}</Key>{inner}</Object>"


async def delete_many(wire: Wire, bucket: str, *items: str, quiet: bool = False) -> Answer:
    namespace = ' xmlns="http://s3.amazonaws.com/doc/2006-03-01/"'
    said = "<Quiet>true</Quiet>" if quiet else ""
    body = f"<Delete{namespace}>{''.join(items)}{said}</Delete>".encode()
    headers = {"content-md5": content_md5(body)}
    return await wire.request("POST", f"/{bucket}", body, headers, query={"delete": ""})


def verdicts(answer: Answer) -> dict[str, str]:
    """Per key: "deleted", or the code of its error."""
    assert answer.status == 200
    root = etree.fromstring(answer.body)
    assert etree.QName(root).localname == "DeleteResult"
    done = {str(each.findtext("{*}Key")): "deleted" for each in root.iterfind("{*}Deleted")}
    errors = root.iterfind("{*}Error")
    return done | {str(e.findtext("{*}Key")): str(e.findtext("{*}Code")) for e in errors}


class TestOne:
    @every_kind
    @pytest.mark.parametrize("size", [0, SMALL, LARGE])
    async def test_what_does_not_hold(
        self, wire: Wire, store: MemoryStore, bucket: str, key: dict[str, str], size: int
    ) -> None:
        etag = (await wire.put(f"/{bucket}/k", body_of(size), key)).etag
        stored, before = store.raw(bucket, "k"), state_of(store)
        sealed = bucket == "data"
        for condition in (
            {"if-match": f'"{NONE}"'},
            {SIZE: str(size + 1)},
            {TIME: PAST},
            {"if-match": f'"{etag}"', SIZE: str(size + 1)},
            *([{"if-match": f'"{stored.etag}"'}, {SIZE: str(len(stored.data))}] if sealed else []),
        ):
            refused = await wire.request("DELETE", f"/{bucket}/k", b"", condition)
            assert (refused.status, refused.code) == (412, "PreconditionFailed"), condition
            assert state_of(store) == before

    @every_kind
    @pytest.mark.parametrize("size", [0, SMALL, LARGE])
    async def test_what_holds(
        self, wire: Wire, store: MemoryStore, bucket: str, key: dict[str, str], size: int
    ) -> None:
        for names in (("if-match",), (SIZE,), (TIME,), ("if-match", SIZE, TIME), ("any",)):
            await wire.put(f"/{bucket}/k", body_of(size), key)
            seen = await wire.inspect(f"/{bucket}/k", key)
            holds = {
                "if-match": seen.headers["etag"],
                SIZE: str(size),
                TIME: seen.headers["last-modified"],
            }
            sent = {n: holds[n] for n in names if n in holds} or {"if-match": "*"}
            gone = await wire.request("DELETE", f"/{bucket}/k", b"", sent)
            assert gone.status == 204, names
            assert store.keys(bucket) == []

    async def test_the_condition_reaches_the_store(self, wire: Wire, store: MemoryStore) -> None:
        """In its own terms, so that it is as atomic as the store makes it."""
        etag = (await wire.put("/data/k", b"x")).etag
        stored = store.raw("data", "k")
        store.requests.clear()
        sent = {"if-match": f'"{etag}"', SIZE: "1"}
        assert (await wire.request("DELETE", "/data/k", b"", sent)).status == 204
        asked = store.requests[-1]
        assert asked.headers["if-match"] == f'"{stored.etag}"'
        assert asked.headers[SIZE] == str(len(stored.data))

    async def test_of_nothing(self, wire: Wire, store: MemoryStore) -> None:
        for etag in ("*", f'"{NONE}"'):
            gone = await wire.request("DELETE", "/data/none", b"", {"if-match": etag})
            assert (gone.status, gone.code) == (404, "NoSuchKey")
        for condition in ({SIZE: "1"}, {TIME: PAST}):
            assert (await wire.request("DELETE", "/data/none", b"", condition)).status == 204

    async def test_of_a_version(self, wire: Wire, store: MemoryStore) -> None:
        store.buckets["data"].versioned = True
        version = (await wire.put("/data/k", b"x")).headers["x-amz-version-id"]
        query = {"versionId": version}
        refused = await wire.request("DELETE", "/data/k", b"", {"if-match": "*"}, query=query)
        assert (refused.status, refused.code) == (501, "NotImplemented")
        assert store.keys("data") == ["k"]
        assert (await wire.request("DELETE", "/data/k", query=query)).status == 204

    async def test_malformed(self, wire: Wire, store: MemoryStore) -> None:
        await wire.put("/data/k", b"x")
        for condition in ({SIZE: "one"}, {SIZE: "-1"}, {TIME: "yesterday"}):
            refused = await wire.request("DELETE", "/data/k", b"", condition)
            assert (refused.status, refused.code) == (400, "InvalidArgument"), condition
        assert store.keys("data") == ["k"]

    async def test_the_store_refuses_the_look(self, wire: Wire, store: MemoryStore) -> None:
        await wire.put("/data/k", b"x")
        store.fail(Failure(method="GET", key="k", status=403))
        refused = await wire.request("DELETE", "/data/k", b"", {"if-match": "*"})
        assert refused.status >= 400
        assert store.keys("data") == ["k"]


class TestMany:
    @every_kind
    @pytest.mark.parametrize("size", [SMALL, LARGE])
    async def test_each_by_its_own(
        self, wire: Wire, store: MemoryStore, bucket: str, key: dict[str, str], size: int
    ) -> None:
        for name in "abcdefg":
            await wire.put(f"/{bucket}/{name}", body_of(size), key)
        seen = await wire.inspect(f"/{bucket}/a", key)
        etag, modified = seen.headers["etag"], seen.headers["last-modified"]
        answer = await delete_many(
            wire,
            bucket,
            item("a", ETag=etag),
            item("b", ETag=NONE),
            item("c", Size=str(size)),
            item("d", Size="1"),
            item("e", LastModifiedTime=modified),
            item("f", LastModifiedTime="2015-01-01T00:00:00Z"),
            item("g"),
            item("none", ETag="*"),
            item("nothing", Size="1"),
        )
        expected = dict.fromkeys("acefg", "deleted") | dict.fromkeys("bdf", "PreconditionFailed")
        expected |= {"none": "NoSuchKey", "nothing": "deleted"}
        if key:  # every SSE-C object has an ETag of its own; that of "a" was asked for
            assert expected["a"] == "deleted"
        expected["e"] = "deleted"
        assert verdicts(answer) == expected
        assert store.keys(bucket) == ["b", "d", "f"]

    async def test_any_etag(self, wire: Wire, store: MemoryStore) -> None:
        await wire.put("/data/a", b"x")
        assert verdicts(await delete_many(wire, "data", item("a", ETag="*"))) == {"a": "deleted"}

    async def test_all_refused(self, wire: Wire, store: MemoryStore) -> None:
        await wire.put("/data/a", b"x")
        store.requests.clear()
        answer = await delete_many(wire, "data", item("a", ETag=NONE))
        assert verdicts(answer) == {"a": "PreconditionFailed"}
        assert {asked.method for asked in store.requests} == {"GET"}

    async def test_quiet(self, wire: Wire, store: MemoryStore) -> None:
        await wire.put("/data/a", b"x")
        await wire.put("/data/b", b"x")
        answer = await delete_many(
            wire, "data", item("a", ETag="*"), item("b", ETag=NONE), quiet=True
        )
        assert verdicts(answer) | {"a": "deleted"} == {"a": "deleted", "b": "PreconditionFailed"}
        assert store.keys("data") == ["b"]

    async def test_of_a_version(self, wire: Wire, store: MemoryStore) -> None:
        await wire.put("/data/a", b"x")
        answer = await delete_many(wire, "data", item("a", ETag="*", VersionId="v"))
        assert verdicts(answer) == {"a": "NotImplemented"}
        assert store.keys("data") == ["a"]

    async def test_the_stores_refusal_is_the_answer(self, wire: Wire, store: MemoryStore) -> None:
        await wire.put("/data/a", b"x")
        store.fail(Failure(method="POST", status=503))
        answer = await delete_many(wire, "data", item("a", ETag="*"), item("b", ETag="*"))
        assert answer.status == 503
        assert store.keys("data") == ["a"]

    async def test_without_conditions_the_store_is_asked_once(
        self, wire: Wire, store: MemoryStore
    ) -> None:
        await wire.put("/data/a", b"x")
        store.requests.clear()
        assert verdicts(await delete_many(wire, "data", item("a"))) == {"a": "deleted"}
        assert [asked.method for asked in store.requests] == ["POST"]


@pytest.mark.parametrize(
    "inner",
    [
        "<Key>a</Key><Key>../sseproxy-system/x</Key>",
        "<Key>a/<!--c-->../../sseproxy-system/x</Key>",
        "<Key>a<b/>/../../sseproxy-system/x</Key>",
        "<Key>a<?p x?>/../../sseproxy-system/x</Key>",
        "<Key>a</Key><!-- c -->",
    ],
)
async def test_a_key_that_can_be_read_in_two_ways(
    wire: Wire, store: MemoryStore, inner: str
) -> None:
    body = f"<Delete><Object>{inner}</Object></Delete>".encode()
    answer = await wire.request("POST", "/data", body, query={"delete": ""})
    assert (answer.status, answer.code) == (400, "MalformedXML")
    assert not [asked for asked in store.requests if asked.method == "POST"]
