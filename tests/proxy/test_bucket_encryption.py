"""Bucket encryption set by API: who may, what it does to writes, and what it can't weaken."""

from __future__ import annotations

import asyncio
import base64
import hashlib

import pytest

from sseproxy.keys.keyring import SETTINGS_MAX_AGE_S, KeyringService
from sseproxy.keys.model import settings_name
from sseproxy.proxy.policy import BucketPolicy
from sseproxy.s3.sse import SseMode
from tests.proxies import SYSTEM_BUCKET
from tests.proxy.conftest import Serve
from tests.proxy.samples import KEY, RESERVED, SMALL, body_of
from tests.proxy.wire import Answer, Wire, customer
from tests.store.memory import MemoryStore
from tests.store.memory_wire import Failure

SSE_S3 = {"x-amz-server-side-encryption": "AES256"}
COS = {"x-cos-acl": "private"}
RULES = {
    "data": BucketPolicy(SseMode.SSE_COS),
    "plain": BucketPolicy(SseMode.NONE),
    "required": BucketPolicy(SseMode.NONE, require_encryption_writes=True),
    "blocked": BucketPolicy(SseMode.SSE_COS, block_sse_c=True),
    "only-c": BucketPolicy(SseMode.NONE, allowed_modes=frozenset({SseMode.SSE_C, SseMode.NONE})),
    "kms": BucketPolicy(SseMode.SSE_KMS),
    "through": BucketPolicy(passthrough=True),
}
ENCRYPTION = {"encryption": ""}


def config(algorithm: str = "AES256", blocked: str | None = None, *, key: str = "") -> bytes:
    inner = f"<SSEAlgorithm>{algorithm}</SSEAlgorithm>{key}"
    rule = f"<ApplyServerSideEncryptionByDefault>{inner}</ApplyServerSideEncryptionByDefault>"
    if blocked is not None:
        types = f"<EncryptionType>{blocked}</EncryptionType>"
        rule += f"<BlockedEncryptionTypes>{types}</BlockedEncryptionTypes>"
    name = "ServerSideEncryptionConfiguration"
    return f"<{name}><Rule>{rule}</Rule></{name}>".encode()


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore(*RULES)


@pytest.fixture
async def wire(serve: Serve, store: MemoryStore) -> Wire:
    wire = await serve(buckets=RULES)
    store.requests.clear()
    return wire


async def put(wire: Wire, bucket: str, body: bytes = config(), **more) -> Answer:
    return await wire.put(f"/{bucket}", body, query=ENCRYPTION, **more)


async def show(wire: Wire, bucket: str, headers: dict[str, str] | None = None) -> Answer:
    return await wire.get(f"/{bucket}", headers or {}, query=ENCRYPTION)


async def delete(wire: Wire, bucket: str, **more) -> Answer:
    return await wire.request("DELETE", f"/{bucket}", query=ENCRYPTION, **more)


async def written(wire: Wire, store: MemoryStore, bucket: str, headers=None) -> str:
    """How a write is stored now: its mode, or the error."""
    answer = await wire.put(f"/{bucket}/k", body_of(SMALL), headers or {})
    if answer.status != 200:
        return str(answer.code)
    sealed = RESERVED in store.raw(bucket, "k").headers
    assert sealed == (store.raw(bucket, "k").data != body_of(SMALL))
    if "x-amz-server-side-encryption-customer-algorithm" in answer.headers:
        return "sse-c"
    return "sse-cos" if sealed else "none"


class TestSetting:
    async def test_it_decides_over_the_yaml_from_at_once(self, wire: Wire, store) -> None:
        assert await written(wire, store, "plain") == "none"
        set_ = await put(wire, "plain")
        assert (set_.status, set_.body) == (200, b"")
        assert await written(wire, store, "plain") == "sse-cos"
        assert (await show(wire, "plain")).text("SSEAlgorithm") == "AES256"
        assert await written(wire, store, "only-c") == "none", "another bucket"
        gone = await delete(wire, "plain")
        assert (gone.status, gone.body) == (204, b"")
        assert await written(wire, store, "plain") == "none"
        assert (await delete(wire, "plain")).status == 204
        assert (await show(wire, "plain")).status == 404

    async def test_the_store_never_sees_it(self, wire: Wire, store: MemoryStore) -> None:
        await put(wire, "plain")
        await show(wire, "plain")
        await delete(wire, "plain")
        client = [asked for asked in store.requests if asked.bucket == "plain"]
        assert {(asked.method, *asked.query) for asked in client} == {("GET", "location")}

    async def test_a_header_still_decides(self, wire: Wire, store: MemoryStore) -> None:
        await put(wire, "plain")
        assert await written(wire, store, "plain", customer(KEY)) == "sse-c"

    async def test_copies_and_uploads_and_forms_too(self, wire: Wire, store: MemoryStore) -> None:
        await wire.put("/plain/from", b"x")
        await put(wire, "plain")
        assert (await wire.copy("plain/from", "/plain/to")).status == 200
        assert RESERVED in store.raw("plain", "to").headers
        upload = await wire.request("POST", "/plain/k", query={"uploads": ""})
        assert upload.headers["x-amz-server-side-encryption"] == "AES256"

    async def test_blocked_sse_c(self, wire: Wire, store: MemoryStore) -> None:
        await wire.put("/data/old", body_of(SMALL), customer(KEY))
        await put(wire, "data", config(blocked="SSE-C"))
        assert await written(wire, store, "data", customer(KEY)) == "AccessDenied"
        copied = await wire.copy("data/old", "/data/k", customer(KEY))
        assert copied.code == "AccessDenied"
        upload = await wire.request("POST", "/data/k", b"", customer(KEY), query={"uploads": ""})
        assert (upload.status, upload.code) == (403, "AccessDenied")
        assert (await wire.get("/data/old", customer(KEY))).body == body_of(SMALL)
        assert (await show(wire, "data")).text("EncryptionType") == "SSE-C"
        await put(wire, "data", config(blocked="NONE"))
        assert await written(wire, store, "data", customer(KEY)) == "sse-c"

    async def test_a_body_that_is_not_what_was_promised(self, wire: Wire) -> None:
        md5 = base64.b64encode(hashlib.md5(b"other").digest()).decode()
        answer = await put(wire, "plain", headers={"content-md5": md5})
        assert (answer.status, answer.code) == (400, "BadDigest")
        assert (await show(wire, "plain")).status == 404

    @pytest.mark.parametrize(
        ("body", "status", "code"),
        [
            (b"", 400, "MalformedXML"),
            (b"x" * 70_000, 400, "MaxMessageLengthExceeded"),
            (config("rot13"), 400, "MalformedXML"),
            (config(key="<KMSMasterKeyID>k</KMSMasterKeyID>"), 400, "InvalidArgument"),
            (config("aws:kms"), 501, "NotImplemented"),
            (config("aws:kms:dsse"), 501, "NotImplemented"),
        ],
    )
    async def test_refused(self, wire: Wire, body: bytes, status: int, code: str) -> None:
        answer = await put(wire, "plain", body)
        assert (answer.status, answer.code) == (status, code)
        assert (await show(wire, "plain")).status == 404

    async def test_the_cos_dialect(self, wire: Wire) -> None:
        none = await show(wire, "plain", COS)
        assert (none.status, none.code) == (404, "NoSuchEncryptionConfiguration")
        assert (await show(wire, "plain")).code == "ServerSideEncryptionConfigurationNotFoundError"
        assert (await put(wire, "plain", config("KMS"), headers=COS)).code == "NotImplemented"
        assert (await put(wire, "plain", config("SM4"), headers=COS)).status == 400
        assert (await put(wire, "plain", headers=COS)).status == 200
        shown = await show(wire, "plain", COS)
        assert shown.text("SSEAlgorithm") == "AES256"
        assert b"xmlns" not in shown.body


class TestWhoMay:
    async def test_only_administrators(self, serve: Serve, store: MemoryStore) -> None:
        wire = await serve(buckets=RULES, administrators=["SOMEBODY-ELSE"])
        for answer in (await put(wire, "plain"), await delete(wire, "plain")):
            assert (answer.status, answer.code) == (403, "AccessDenied")
        assert (await show(wire, "data")).status == 200
        assert wire.proxy.services.keys.settings.epoch == 1

    async def test_nobody_without_a_signature(self, wire: Wire, store: MemoryStore) -> None:
        for answer in (
            await put(wire, "plain", anonymous=True),
            await delete(wire, "plain", anonymous=True),
        ):
            assert (answer.status, answer.code) == (403, "AccessDenied")
        assert store.requests == []

    async def test_a_bucket_that_the_store_hides(self, wire: Wire) -> None:
        for answer in (
            await put(wire, "none"),
            await show(wire, "none"),
            await delete(wire, "none"),
        ):
            assert (answer.status, answer.code) == (404, "NoSuchBucket")
        assert wire.proxy.services.keys.settings.epoch == 1


class TestFloors:
    """What the YAML says, nobody weakens by API."""

    async def test_what_is_not_allowed_can_not_be_set(self, wire: Wire) -> None:
        answer = await put(wire, "only-c")
        assert (answer.status, answer.code) == (403, "AccessDenied")

    async def test_required_stays_required(self, wire: Wire, store: MemoryStore) -> None:
        assert await written(wire, store, "required") == "AccessDenied"
        await put(wire, "required")
        assert await written(wire, store, "required") == "sse-cos"
        await delete(wire, "required")
        assert await written(wire, store, "required") == "AccessDenied"

    async def test_blocked_stays_blocked(self, wire: Wire, store: MemoryStore) -> None:
        await put(wire, "blocked", config(blocked="NONE"))
        assert await written(wire, store, "blocked", customer(KEY)) == "AccessDenied"
        assert (await show(wire, "blocked")).text("EncryptionType") == "SSE-C"

    async def test_a_passthrough_bucket_stays_the_stores(self, wire: Wire, store) -> None:
        await put(wire, "through")
        assert (store.requests[-1].method, store.requests[-1].query) == ("PUT", ENCRYPTION)
        assert wire.proxy.services.keys.settings.epoch == 1

    async def test_an_api_default_replaces_the_yamls(self, wire: Wire, store: MemoryStore) -> None:
        assert await written(wire, store, "kms") == "NotImplemented"
        assert (await show(wire, "kms")).text("SSEAlgorithm") == "aws:kms"
        await put(wire, "kms")
        assert await written(wire, store, "kms") == "sse-cos"


class TestFreshness:
    @pytest.mark.parametrize("bucket", ["data", "plain"])
    async def test_no_write_on_old_settings(self, wire: Wire, store: MemoryStore, bucket) -> None:
        """Also where nothing is encrypted: by now somebody may have asked for it."""
        await wire.put("/plain/from", b"x")
        await wire.put("/data/read", b"x")
        age(wire.proxy.services.keys, SETTINGS_MAX_AGE_S + 1)
        for answer in (
            await wire.put(f"/{bucket}/k", b"x"),
            await wire.put(f"/{bucket}/k", b"x", anonymous=True),
            await wire.copy("plain/from", f"/{bucket}/k"),
            await wire.request("POST", f"/{bucket}/k", query={"uploads": ""}),
            await put(wire, bucket),
        ):
            assert (answer.status, answer.code) == (503, "ServiceUnavailable")
        assert "k" not in store.keys(bucket)
        assert (await wire.get("/data/read")).body == b"x"
        assert (await show(wire, "data")).status == 200

    async def test_an_index_that_is_gone_is_not_unset(self, wire: Wire, store: MemoryStore) -> None:
        await put(wire, "plain")
        name = settings_name(wire.proxy.services.keys.for_reading().id)
        del store.buckets[SYSTEM_BUCKET].versions[name]
        assert (await put(wire, "plain")).status == 503
        assert await written(wire, store, "plain") == "ServiceUnavailable"

    async def test_another_worker_sees_it_with_its_next_refresh(
        self, wire: Wire, serve: Serve, store: MemoryStore
    ) -> None:
        other = await serve(buckets=RULES)
        await put(wire, "plain")
        assert await written(other, store, "plain") == "none"
        await other.proxy.services.keys.refresh()
        assert await written(other, store, "plain") == "sse-cos"

    async def test_workers_racing_lose_nothing(self, wire: Wire, serve: Serve) -> None:
        other = await serve(buckets=RULES)
        answers = await asyncio.gather(
            put(wire, "plain"), put(other, "data"), put(other, "required"), put(wire, "blocked")
        )
        assert {answer.status for answer in answers} == {200}
        settings = await wire.proxy.services.keys.refresh_settings()
        assert set(settings.buckets) == {"plain", "data", "required", "blocked"}


def age(keys: KeyringService, seconds: float) -> None:
    """As if the last refresh was that long ago."""
    clock = keys._clock
    keys._clock = lambda: clock() + seconds


class TestDeletedBuckets:
    async def test_a_new_bucket_of_that_name_does_not_inherit(self, wire: Wire, store) -> None:
        await put(wire, "plain")
        assert (await wire.request("DELETE", "/plain")).status == 204
        await wire.put("/plain", b"")
        assert (await show(wire, "plain")).status == 404
        assert await written(wire, store, "plain") == "none"

    async def test_one_that_was_not_deleted_keeps_it(self, wire: Wire, store) -> None:
        await put(wire, "plain")
        await wire.put("/plain/k", b"x")
        assert (await wire.request("DELETE", "/plain")).status == 409
        assert (await show(wire, "plain")).status == 200

    async def test_what_another_worker_set_is_forgotten_too(self, wire: Wire, serve: Serve) -> None:
        other = await serve(buckets=RULES)
        await put(other, "plain")
        await wire.request("DELETE", "/plain")
        assert (await other.proxy.services.keys.refresh_settings()).buckets == {}

    async def test_what_was_set_for_the_next_bucket_stays(
        self, wire: Wire, serve: Serve, store: MemoryStore
    ) -> None:
        """Deleted, made again and set by somebody else before the first entry is forgotten."""
        other = await serve(buckets=RULES)
        await put(wire, "plain")
        gate = asyncio.Event()
        store.fail(Failure("DELETE", None, gate=gate))
        deleting = asyncio.create_task(wire.request("DELETE", "/plain"))
        while not any(asked.method == "DELETE" for asked in store.requests):
            await asyncio.sleep(0)
        await delete(other, "plain")
        await put(other, "plain")
        gate.set()
        assert (await deleting).status == 204
        settings = await wire.proxy.services.keys.refresh_settings()
        assert settings.of("plain").encryption is not None

    async def test_if_it_can_not_be_forgotten_it_stays(
        self, wire: Wire, store: MemoryStore, caplog
    ) -> None:
        await put(wire, "plain")
        name = settings_name(wire.proxy.services.keys.for_reading().id)
        store.fail(Failure("GET", name, count=99, unreachable=True))
        assert (await wire.request("DELETE", "/plain")).status == 204
        assert "what was set for deleted bucket plain stays" in caplog.text
        await wire.put("/plain", b"")
        assert await written(wire, store, "plain") == "sse-cos"
