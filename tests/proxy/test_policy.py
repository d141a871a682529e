"""Bucket rules: which mode a write gets, and what is refused."""

from __future__ import annotations

import pytest

from sseproxy.proxy.policy import BucketPolicy, Policies
from sseproxy.s3.sse import SseMode
from tests.proxy.conftest import Serve
from tests.proxy.samples import KEY, RESERVED, SMALL, body_of
from tests.proxy.wire import Wire, customer
from tests.store.memory import MemoryStore

SSE_S3 = {"x-amz-server-side-encryption": "AES256"}
KMS = {"x-amz-server-side-encryption": "aws:kms"}
RULES = {
    "data": BucketPolicy(SseMode.SSE_COS),
    "plain": BucketPolicy(SseMode.NONE),
    "required": BucketPolicy(SseMode.NONE, require_encryption_writes=True),
    "strict": BucketPolicy(SseMode.SSE_COS, True, True),
    "blocked": BucketPolicy(SseMode.SSE_COS, block_sse_c=True),
    "only-c": BucketPolicy(SseMode.SSE_COS, allowed_modes=frozenset({SseMode.SSE_C})),
    "kms": BucketPolicy(SseMode.SSE_KMS),
    "through": BucketPolicy(SseMode.SSE_COS, passthrough=True),
    "renamed": BucketPolicy(SseMode.SSE_COS, identity="its-old-name"),
}


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore(*RULES)


@pytest.fixture
async def wire(serve: Serve) -> Wire:
    return await serve(buckets=RULES)


@pytest.mark.parametrize(
    ("bucket", "headers", "outcome"),
    [
        ("data", {}, "sse-cos"),
        ("data", SSE_S3, "sse-cos"),
        ("data", customer(KEY), "sse-c"),
        ("data", KMS, 501),
        ("data", {"x-amz-server-side-encryption": "aws:kms:dsse"}, 501),
        ("data", {"x-amz-server-side-encryption": "rot13"}, 400),
        ("data", {**SSE_S3, **customer(KEY)}, 400),
        ("plain", {}, "none"),
        ("plain", SSE_S3, "sse-cos"),
        ("plain", customer(KEY), "sse-c"),
        ("plain", KMS, 501),
        ("required", {}, 403),
        ("required", SSE_S3, "sse-cos"),
        ("required", customer(KEY), "sse-c"),
        ("strict", {}, "sse-cos"),
        ("blocked", {}, "sse-cos"),
        ("blocked", customer(KEY), 403),
        ("only-c", {}, 403),
        ("only-c", SSE_S3, 403),
        ("only-c", customer(KEY), "sse-c"),
        ("kms", {}, 501),
        ("kms", SSE_S3, "sse-cos"),
    ],
)
@pytest.mark.parametrize("by", ["put", "copy"])
async def test_the_mode_of_a_write(
    wire: Wire,
    store: MemoryStore,
    bucket: str,
    headers: dict[str, str],
    outcome: str | int,
    by: str,
) -> None:
    body = body_of(SMALL)
    await wire.put("/plain/from", body)
    before = state_of_all(store)
    path = f"/{bucket}/to"
    if by == "put":
        answer = await wire.put(path, body, headers)
    else:
        answer = await wire.copy("plain/from", path, headers)
    if isinstance(outcome, int):
        assert answer.status == outcome
        assert (
            answer.code
            == {403: "AccessDenied", 501: "NotImplemented", 400: "InvalidArgument"}[outcome]
        )
        assert state_of_all(store) == before
        return
    assert answer.status == 200
    raw = store.raw(bucket, "to")
    assert (raw.data == body) == (outcome == "none")
    assert (RESERVED in raw.headers) == (outcome != "none")
    labels = {"status": "200", "dialect": "s3", "mode": outcome}
    operation = "PutObject" if by == "put" else "CopyObject"
    count = wire.proxy.metric("sseproxy_requests_total", operation=operation, **labels)
    assert count == (2 if by == "put" and outcome == "none" else 1)
    mode = {
        "sse-cos": "x-amz-server-side-encryption",
        "sse-c": "x-amz-server-side-encryption-customer-algorithm",
    }
    for name, header in mode.items():
        assert (header in answer.headers) == (name == outcome)


def state_of_all(store: MemoryStore) -> object:
    return {
        (bucket, key): store.raw(bucket, key).data for bucket in RULES for key in store.keys(bucket)
    }


class TestPlaintextWhereNoneMayBe:
    """`require_encryption: read-write`: what the store swapped for plaintext is not served."""

    @pytest.fixture
    async def planted(self, wire: Wire, store: MemoryStore) -> Wire:
        await wire.put("/plain/k", body_of(SMALL))
        store.buckets["strict"].versions["k"] = [store.raw("plain", "k")]
        return wire

    @pytest.mark.parametrize(
        "headers",
        [{}, {"range": "bytes=0-1"}, {"if-none-match": '"0"'}, {"if-match": "*"}],
        ids=["whole", "range", "if-none-match", "if-match"],
    )
    async def test_get_and_head(self, planted: Wire, headers: dict[str, str]) -> None:
        got = await planted.get("/strict/k", headers)
        assert (got.status, got.code) == (500, "InternalError")
        assert (await planted.inspect("/strict/k", headers)).status == 500
        reason = {"reason": "plaintext"}
        assert planted.proxy.metric("sseproxy_integrity_failures_total", **reason) == 2

    async def test_attributes_and_the_stores_processing(self, planted: Wire) -> None:
        asked = {"x-amz-object-attributes": "ETag,ObjectSize"}
        got = await planted.get("/strict/k", asked, query={"attributes": ""})
        assert (got.status, got.code) == (500, "InternalError")
        selected = await planted.request(
            "POST", "/strict/k", b"<x/>", query={"select": "", "select-type": "2"}
        )
        assert (selected.status, selected.code) == (500, "InternalError")

    async def test_parts_of_an_upload_are_not_taken_from_it(self, planted: Wire) -> None:
        begun = await planted.request("POST", "/plain/to", query={"uploads": ""})
        upload = {"uploadId": str(begun.text("UploadId")), "partNumber": "1"}
        part = await planted.copy("strict/k", "/plain/to", query=upload)
        assert (part.status, part.code) == (500, "InternalError")

    async def test_a_missing_object_is_just_missing(self, planted: Wire) -> None:
        assert (await planted.get("/strict/none")).code == "NoSuchKey"


async def test_sse_c_objects_stay_readable_where_new_ones_are_blocked(
    wire: Wire, store: MemoryStore
) -> None:
    await wire.put("/data/k", body_of(SMALL), customer(KEY))
    store.buckets["blocked"].versions["k"] = [store.raw("data", "k")]
    got = await wire.get("/blocked/k", customer(KEY))
    assert got.status == 500, "sealed for another bucket"
    wire.proxy.services.policies = Policies(buckets={"data": RULES["blocked"]})
    assert (await wire.get("/data/k", customer(KEY))).body == body_of(SMALL)


async def test_the_identity_is_what_is_sealed(wire: Wire, store: MemoryStore) -> None:
    await wire.put("/renamed/k", b"moved")
    store.buckets["data"].versions["k"] = [store.raw("renamed", "k")]
    assert (await wire.get("/data/k")).status == 500
    wire.proxy.services.policies = Policies(
        buckets={"data": BucketPolicy(SseMode.SSE_COS, identity="its-old-name")}
    )
    assert (await wire.get("/data/k")).body == b"moved"


async def test_a_passthrough_bucket_is_the_stores(wire: Wire, store: MemoryStore) -> None:
    assert (await wire.put("/through/k", b"as it is")).status == 200
    assert store.raw("through", "k").data == b"as it is"
    assert (await wire.get("/through/k")).body == b"as it is"
    unknown = await wire.put("/through/k", b"x", query={"append": "", "position": "0"})
    assert store.requests[-1].query == {"append": "", "position": "0"}
    assert unknown.status == 501, "the store's own answer"


async def test_a_passthrough_bucket_refuses_to_promise_encryption(
    wire: Wire, store: MemoryStore
) -> None:
    await wire.put("/data/from", b"x")
    for headers in (SSE_S3, customer(KEY), KMS):
        put = await wire.put("/through/k", b"x", headers)
        assert (put.status, put.code) == (400, "InvalidRequest")
        assert (await wire.copy("data/from", "/through/k", headers)).code == "InvalidRequest"
    assert store.keys("through") == []


async def test_a_copy_into_a_passthrough_bucket_is_opened(wire: Wire, store: MemoryStore) -> None:
    await wire.put("/data/from", body_of(SMALL))
    assert (await wire.copy("data/from", "/through/to")).code is None
    assert store.raw("through", "to").data == body_of(SMALL)
    assert RESERVED not in store.raw("through", "to").headers


class TestCustomerKeysWithoutTls:
    async def test_refused(self, serve: Serve, store: MemoryStore) -> None:
        wire = await serve(buckets=RULES, allow_insecure_ssec=False)
        put = await wire.put("/data/k", b"x", customer(KEY))
        assert (put.status, put.code) == (400, "InvalidRequest")
        assert store.keys("data") == []
        await wire.put("/data/k", b"x")
        assert (await wire.get("/data/k", customer(KEY))).code == "InvalidRequest"
        copied = await wire.copy("data/k", "/data/to", customer(KEY, copy_source=True))
        assert (copied.status, copied.code) == (400, "InvalidRequest")

    async def test_a_trusted_proxy_says_that_it_was_tls(
        self, serve: Serve, store: MemoryStore
    ) -> None:
        wire = await serve(buckets=RULES, allow_insecure_ssec=False)
        headers = {**customer(KEY), "x-forwarded-proto": "https"}
        assert (await wire.put("/data/k", b"x", headers)).status == 400
        wire.proxy.services.trusted_proxies = lambda peer: peer == "127.0.0.1"
        assert (await wire.put("/data/k", b"x", headers)).status == 200
        assert (await wire.put("/data/k", b"x", customer(KEY))).status == 400
