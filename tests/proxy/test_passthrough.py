"""What is not an encryption matter goes through as it is; what could store plaintext does not."""

from __future__ import annotations

import pytest

from sseproxy.proxy.dispatch import handler_of
from sseproxy.proxy.passthrough import not_implemented
from sseproxy.s3.operations import Operation
from tests.proxies import SYSTEM_BUCKET
from tests.proxy.conftest import CREDENTIAL
from tests.proxy.samples import KEY, LARGE, SMALL, body_of, state_of
from tests.proxy.wire import Answer, Wire, content_md5, customer, md5
from tests.store.memory import MemoryStore

SSE_S3 = {"x-amz-server-side-encryption": "AES256"}


async def delete_many(wire: Wire, *keys: str, **extra) -> Answer:
    objects = "".join(f"<Object><Key>{key}</Key></Object>" for key in keys)
    body = f"<Delete>{objects}</Delete>".encode()
    headers = {"content-md5": content_md5(body)}
    return await wire.request("POST", "/data", body, headers, query={"delete": ""}, **extra)


class TestDelete:
    async def test_one(self, wire: Wire, store: MemoryStore) -> None:
        for path, headers in (("/data/k", {}), ("/data/k", customer(KEY)), ("/plain/k", {})):
            await wire.put(path, body_of(SMALL), headers)
            assert (await wire.request("DELETE", path)).status == 204
            assert (await wire.get(path, headers)).status == 404
        assert state_of(store) == {}

    async def test_many(self, wire: Wire, store: MemoryStore) -> None:
        for key in ("a", "b", "c"):
            await wire.put(f"/data/{key}", b"x")
        deleted = await delete_many(wire, "a", "c", "none")
        assert deleted.status == 200
        assert deleted.body.count(b"<Deleted>") == 3
        assert store.keys("data") == ["b"]

    async def test_many_with_a_wrong_digest(self, wire: Wire, store: MemoryStore) -> None:
        await wire.put("/data/a", b"x")
        body = b"<Delete><Object><Key>a</Key></Object></Delete>"
        headers = {"content-md5": content_md5(body + b" ")}
        deleted = await wire.request("POST", "/data", body, headers, query={"delete": ""})
        assert (deleted.status, deleted.code) == (400, "BadDigest")
        assert store.keys("data") == ["a"]


class TestBuckets:
    async def test_made_shown_and_gone(self, wire: Wire, store: MemoryStore) -> None:
        assert (await wire.put("/fresh", b"")).status == 200
        assert "fresh" in store.buckets
        assert (await wire.inspect("/fresh")).status == 200
        assert (await wire.request("DELETE", "/fresh")).status == 204
        missing = await wire.get("/fresh")
        assert (missing.status, missing.code) == (404, "NoSuchBucket")

    async def test_settings_with_their_body(self, wire: Wire, store: MemoryStore) -> None:
        body = b"<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>"
        put = await wire.put("/data", body, query={"versioning": ""})
        assert put.status == 200
        assert store.buckets["data"].versioned
        assert (await wire.get("/data", query={"versioning": ""})).text("Status") == "Enabled"
        assert store.requests[-1].credential == CREDENTIAL

    async def test_what_the_store_does_not_know_is_its_own_answer(self, wire: Wire) -> None:
        got = await wire.get("/data/k", query={"acl": ""})
        assert (got.status, got.code) == (501, "NotImplemented")


class TestMultipart:
    """Uploads of the proxy's own making: tests/proxy/test_multipart.py."""

    @pytest.mark.parametrize("bucket", ["data", "plain"])
    @pytest.mark.parametrize("headers", [{}, SSE_S3, customer(KEY)])
    async def test_nothing_goes_to_an_upload_that_was_not_made_here(
        self, wire: Wire, store: MemoryStore, bucket: str, headers: dict[str, str]
    ) -> None:
        part = {"uploadId": "u", "partNumber": "1"}
        for method, query, body in (
            ("PUT", part, body_of(SMALL)),
            ("PUT", part, body_of(LARGE)),
            ("POST", {"uploadId": "u"}, b"<CompleteMultipartUpload/>"),
        ):
            answer = await wire.request(method, f"/{bucket}/k", body, headers, query=query)
            assert (answer.status, answer.code) == (404, "NoSuchUpload"), (method, query)
        assert {asked.bucket for asked in store.requests} == {SYSTEM_BUCKET}


UNKNOWN_WRITES: list[tuple[str, dict[str, str], dict[str, str]]] = [
    ("PUT", {"append": "", "position": "0"}, {}),
    ("POST", {"append": "", "position": "0"}, {}),
    ("PUT", {"something": "new"}, {}),
    ("POST", {"something": ""}, {}),
    ("POST", {}, {}),
    ("PATCH", {}, {}),
    ("PUT", {}, {"x-amz-write-offset-bytes": "10"}),
    ("PUT", {}, {"x-amz-rename-source": "/data/k"}),
    ("PUT", {"renameObject": ""}, {"x-amz-rename-source": "/data/k"}),
    ("PUT", {}, {"x-minio-extract": "true"}),
    ("PUT", {}, {"x-amz-meta-snowball-auto-extract": "true"}),
    ("PUT", {}, {"content-range": "bytes 0-9/20"}),
    ("PUT", {"uploadId": "u"}, {}),
    ("PUT", {"partNumber": "1"}, {}),
    ("PUT", {"uploads": ""}, {}),
    ("PUT", {"X-Amz-Write-Offset-Bytes": "3"}, {}),
]


@pytest.mark.parametrize("bucket", ["data", "plain"])
@pytest.mark.parametrize(("method", "query", "headers"), UNKNOWN_WRITES)
async def test_an_unknown_write_of_an_object_is_refused(
    wire: Wire,
    store: MemoryStore,
    bucket: str,
    method: str,
    query: dict[str, str],
    headers: dict[str, str],
) -> None:
    await wire.put(f"/{bucket}/k", b"there")
    before = state_of(store)
    store.requests.clear()
    answer = await wire.request(method, f"/{bucket}/k", b"plaintext", headers, query=query)
    assert (answer.status, answer.code) == (501, "NotImplemented")
    assert store.requests == []
    assert state_of(store) == before


@pytest.mark.parametrize("anonymous", [False, True])
@pytest.mark.parametrize(
    ("path", "query"), [("/data/k", {}), ("/data", {"uploads": ""}), ("/plain", {"acl": ""})]
)
async def test_a_form_for_anything_but_a_bucket_is_refused(
    wire: Wire, store: MemoryStore, path: str, query: dict[str, str], anonymous: bool
) -> None:
    form = (
        b'--b\r\nContent-Disposition: form-data; name="key"\r\n\r\nk\r\n'
        b'--b\r\nContent-Disposition: form-data; name="file"\r\n\r\nplaintext\r\n--b--\r\n'
    )
    headers = {"content-type": "multipart/form-data; boundary=b"}
    answer = await wire.request("POST", path, form, headers, anonymous=anonymous, query=query)
    assert (answer.status, answer.code) == (501, "NotImplemented")
    assert store.requests == []


def test_every_write_of_object_data_has_a_handler_or_is_refused() -> None:
    handled = {
        *("PutObject", "CopyObject", "CreateMultipartUpload", "UploadPart"),
        *("UploadPartCopy", "CompleteMultipartUpload", "PostObject", "UpdateObjectEncryption"),
    }
    for operation in Operation:
        if operation.writes_object_data and operation.value not in handled:
            assert handler_of(operation) is not_implemented, operation


class TestProcessing:
    """The store can't work on ciphertext; on plaintext it may."""

    @pytest.mark.parametrize(
        ("method", "query"),
        [
            ("POST", {"select": "", "select-type": "2"}),
            ("GET", {"torrent": ""}),
            ("GET", {"something": ""}),
            ("GET", {"ci-process": "sniff"}),
        ],
    )
    async def test_only_on_plaintext(
        self, wire: Wire, store: MemoryStore, method: str, query: dict[str, str]
    ) -> None:
        await wire.put("/data/k", body_of(SMALL))
        await wire.put("/plain/k", body_of(SMALL))
        store.requests.clear()
        refused = await wire.request(method, "/data/k", b"", query=query)
        assert (refused.status, refused.code) == (501, "NotImplemented")
        assert not any(asked.query for asked in store.requests)
        await wire.request(method, "/plain/k", b"", query=query)
        assert store.requests[-1].query == query


class TestSystemBucket:
    @pytest.mark.parametrize("key", ["", "/keyring", "/none"])
    @pytest.mark.parametrize("anonymous", [True, False])
    async def test_it_does_not_exist(
        self, wire: Wire, store: MemoryStore, key: str, anonymous: bool
    ) -> None:
        path = f"/{SYSTEM_BUCKET}{key}"
        before = dict(store.buckets[SYSTEM_BUCKET].versions)
        for method in ("GET", "HEAD", "DELETE", *(["PUT", "POST"] if key else [])):
            for query in ({}, {"acl": ""}, {"versions": ""}, {"policy": ""}):
                answer = await wire.request(method, path, b"", query=query, anonymous=anonymous)
                assert answer.status == 404, (method, query)
                assert answer.code in (None, "NoSuchBucket")
        assert store.requests == []
        assert store.buckets[SYSTEM_BUCKET].versions == before

    async def test_it_can_not_be_made(self, wire: Wire, store: MemoryStore) -> None:
        made = await wire.put(f"/{SYSTEM_BUCKET}", b"")
        assert (made.status, made.code) == (409, "BucketAlreadyExists")
        assert store.requests == []

    async def test_nor_copied_from_or_into(self, wire: Wire, store: MemoryStore) -> None:
        await wire.put("/plain/k", b"x")
        store.requests.clear()
        part = {"uploadId": "u", "partNumber": "1"}
        for source, target, query in (
            (f"{SYSTEM_BUCKET}/keyring", "/plain/to", {}),
            (f"{SYSTEM_BUCKET}/keyring", "/data/to", {}),
            (f"/{SYSTEM_BUCKET}/keyring", "/plain/to", part),
            ("plain/k", f"/{SYSTEM_BUCKET}/keyring", {}),
        ):
            copied = await wire.copy(source, target, query=query)
            assert (copied.status, copied.code) == (404, "NoSuchBucket")
        assert store.requests == []

    async def test_by_another_spelling(self, wire: Wire, store: MemoryStore) -> None:
        head = wire.head("GET", "/data/k").replace(b"/data/k", b"/%73seproxy-system/keyring")
        async with wire.connect() as connection:
            await connection.send(head)
            answer = await connection.answer()
        assert answer.status in (403, 404)
        upper = await wire.get(f"/{SYSTEM_BUCKET.upper()}/keyring")
        assert (upper.status, upper.code) == (404, "NoSuchBucket")
        assert store.requests == []

    async def test_as_a_virtual_host(self, serve, store: MemoryStore) -> None:
        wire = await serve(domains=["s3.test"])
        store.requests.clear()
        answer = await wire.get("/keyring", {"host": f"{SYSTEM_BUCKET}.s3.test"})
        assert (answer.status, answer.code) == (404, "NoSuchBucket")
        assert store.requests == []


async def test_virtual_hosts(serve, store: MemoryStore) -> None:
    wire = await serve(domains=["s3.test"])
    put = await wire.put("/a/b", b"x", {"host": "data.s3.test:8080"})
    assert put.etag == md5(b"x")
    assert store.keys("data") == ["a/b"]
    assert (await wire.get("/data/a/b")).body == b"x"
    listed = await wire.get("/", {"host": "data.s3.test"})
    assert listed.text("Key") == "a/b"


async def test_the_stores_tracks_are_not_the_clients(wire: Wire, store: MemoryStore) -> None:
    for path in ("/data/k", "/plain/k"):
        await wire.put(path, b"x")
        got = await wire.get(path)
        assert got.headers["server"] == "sseproxy"
        assert len(got.headers["x-amz-request-id"]) == 16
