"""UpdateObjectEncryption: another key, and nothing else about the object changes."""

from __future__ import annotations

import asyncio
import hashlib
import secrets

import pytest
from botocore.auth import HmacV1Auth
from botocore.exceptions import ClientError

from sseproxy.format.attributes import Attributes
from sseproxy.format.envelope import Envelope, Mode, UpperKey
from sseproxy.keys.keymaster import Keymaster
from sseproxy.keys.model import Keyring
from sseproxy.proxy.policy import BucketPolicy
from sseproxy.proxy.update_encryption import NewEncryption, parse_object_encryption
from sseproxy.s3.faults import S3Error
from sseproxy.s3.sse import CustomerKey, SseMode
from sseproxy.secret import Secret
from tests.proxy.conftest import BUCKETS, Serve
from tests.proxy.copy_samples import write
from tests.proxy.samples import (
    KEY,
    LARGE,
    RESERVED,
    SMALL,
    asked,
    body_of,
    state_of,
    until,
)
from tests.proxy.wire import Answer, Wire, crc32_b64, customer, md5
from tests.store.memory import Failure, MemoryStore

ARN = "arn:aws:kms:us-east-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab"
XMLNS = ' xmlns="http://s3.amazonaws.com/doc/2006-03-01/"'


def document(arn: str | None = ARN, bucket_key: str | None = None, kind: str = "SSE-KMS") -> bytes:
    inner = "" if arn is None else f"<KMSKeyArn>{arn}</KMSKeyArn>"
    if bucket_key is not None:
        inner = f"<BucketKeyEnabled>{bucket_key}</BucketKeyEnabled>{inner}"
    return f"<ObjectEncryption{XMLNS}><{kind}>{inner}</{kind}></ObjectEncryption>".encode()


async def update(wire: Wire, path: str, body: bytes | None = None, **query: str) -> Answer:
    sent = document() if body is None else body
    return await wire.request("PUT", path, sent, query={"encryption": "", **query})


class KmsKeymaster(Keymaster):
    """A keymaster with a KMS that makes a key at every call."""

    def __init__(self, services) -> None:
        super().__init__(services.keys)
        self.made: dict[bytes, Secret] = {}

    async def upper_key_for_write(
        self, mode: SseMode, customer: CustomerKey | None = None, *, keyring: Keyring | None = None
    ) -> UpperKey:
        if mode is not SseMode.SSE_KMS:
            return await super().upper_key_for_write(mode, customer, keyring=keyring)
        blob = secrets.token_bytes(100)
        upper = UpperKey(
            Mode.SSE_KMS, hashlib.sha256(blob).digest(), Secret(secrets.token_bytes(32)), blob
        )
        self.made[upper.id] = upper.key
        return upper

    async def upper_key_for_read(
        self, envelope: Envelope, attributes: Attributes, customer: CustomerKey | None = None
    ) -> Secret:
        if envelope.mode is Mode.SSE_KMS:
            return self.made[envelope.upper_key_id]
        return await super().upper_key_for_read(envelope, attributes, customer)


@pytest.fixture
def kms(wire: Wire) -> KmsKeymaster:
    keymaster = KmsKeymaster(wire.proxy.services)
    wire.proxy.services.keymaster = keymaster
    return keymaster


def envelope_of(store: MemoryStore, key: str = "k") -> Envelope:
    return Envelope.decode(store.raw("data", key).headers[RESERVED])


class TestMechanism:
    @pytest.mark.parametrize("size", [0, SMALL, 524288, LARGE, 3 * 1024 * 1024])
    async def test_nothing_else_changes(
        self, wire: Wire, store: MemoryStore, kms: KmsKeymaster, size: int
    ) -> None:
        body = body_of(size)
        sent = {
            "content-type": "text/csv",
            "cache-control": "no-store",
            "x-amz-meta-a": "b",
            "x-amz-tagging": "t=1&u=2",
            "x-amz-website-redirect-location": "/elsewhere",
            "x-amz-storage-class": "STANDARD_IA",
            "x-amz-checksum-crc32": crc32_b64(body),
        }
        put = await wire.put("/data/k", body, sent)
        enabled = {"x-amz-checksum-mode": "ENABLED"}
        was, raw = await wire.inspect("/data/k", enabled), store.raw("data", "k").data
        answer = await update(wire, "/data/k")
        assert (answer.status, answer.body) == (200, b"")
        now = await wire.inspect("/data/k", enabled)
        changed = {"date", "last-modified", "x-amz-request-id", "x-amz-server-side-encryption"}
        assert now.headers["x-amz-server-side-encryption"] == "aws:kms"
        for name in was.headers.keys() - changed:
            assert now.headers[name] == was.headers[name], name
        assert now.etag == put.etag == md5(body)
        assert (await wire.get("/data/k")).body == body
        tags = await wire.get("/data/k", query={"tagging": ""})
        assert b"<Value>1</Value>" in tags.body
        assert b"<Value>2</Value>" in tags.body
        stored = store.raw("data", "k").data
        assert len(stored) == len(raw)
        assert size == 0 or body[:16] not in stored

    async def test_the_data_key_stays_and_the_salts_do_not(
        self, wire: Wire, store: MemoryStore, kms: KmsKeymaster
    ) -> None:
        for size in (SMALL, LARGE):
            await wire.put("/data/k", body_of(size))
            old, raw = envelope_of(store), store.raw("data", "k").data
            assert (await update(wire, "/data/k")).status == 200
            new, stored = envelope_of(store), store.raw("data", "k").data
            assert new.data_id == old.data_id
            assert new.mode is Mode.SSE_KMS
            assert {new.salt, new.part_salt}.isdisjoint({old.salt, old.part_salt})
            # No segment is the old one: under the same key they would be.
            assert raw[64:80] != stored[64:80]

    async def test_from_one_kms_key_to_another(
        self, wire: Wire, store: MemoryStore, kms: KmsKeymaster
    ) -> None:
        await wire.put("/data/k", body_of(SMALL))
        for _ in range(2):
            assert (await update(wire, "/data/k")).status == 200
        assert len(kms.made) == 2
        kms.made.pop(next(iter(kms.made)))
        assert (await wire.get("/data/k")).body == body_of(SMALL)

    async def test_a_write_in_between_is_never_lost(
        self, wire: Wire, store: MemoryStore, kms: KmsKeymaster
    ) -> None:
        await wire.put("/data/k", b"first")
        gate = asyncio.Event()
        store.requests.clear()
        store.fail(Failure(method="PUT", key="k", gate=gate))
        slow = asyncio.create_task(update(wire, "/data/k"))
        await until(lambda: asked(store, "PUT") == 1)
        assert (await wire.put("/data/k", b"theirs")).status == 200
        gate.set()
        assert (await slow).status == 200
        assert (await wire.get("/data/k")).body == b"theirs"
        assert envelope_of(store).mode is Mode.SSE_KMS

    async def test_an_object_that_keeps_changing(
        self, wire: Wire, store: MemoryStore, kms: KmsKeymaster
    ) -> None:
        await wire.put("/data/k", b"x")
        before = state_of(store)
        store.fail(Failure(method="PUT", key="k", status=412, count=1000))
        answer = await update(wire, "/data/k")
        assert (answer.status, answer.code) == (503, "ServiceUnavailable")
        assert state_of(store) == before

    async def test_the_stores_own_refusal(
        self, wire: Wire, store: MemoryStore, kms: KmsKeymaster
    ) -> None:
        """The caller's key must be allowed to write: nothing is done with another one."""
        await wire.put("/data/k", b"x")
        before = state_of(store)
        store.fail(Failure(method="PUT", key="k", status=403))
        assert (await update(wire, "/data/k")).status == 403
        assert state_of(store) == before

    @pytest.mark.parametrize("size", [SMALL, LARGE])
    async def test_tampered_data_is_not_sealed_again(
        self, wire: Wire, store: MemoryStore, kms: KmsKeymaster, size: int
    ) -> None:
        await wire.put("/data/k", body_of(size))
        raw = store.raw("data", "k")
        raw.data = raw.data[:-300] + bytes([raw.data[-300] ^ 1]) + raw.data[-299:]
        before = state_of(store)
        assert (await update(wire, "/data/k")).status == 500
        assert state_of(store) == before

    @pytest.mark.usefixtures("small_parts")
    @pytest.mark.parametrize("kind", ["COMPOSITE", "FULL_OBJECT"])
    async def test_of_an_object_made_of_parts(
        self, wire: Wire, store: MemoryStore, kms: KmsKeymaster, kind: str
    ) -> None:
        """It keeps its parts, and with them its ETag and composite checksums."""
        bodies = [body_of(LARGE), body_of(70_000, seed=1), body_of(5, seed=2)]
        sent = {"x-amz-checksum-algorithm": "CRC32", "x-amz-checksum-type": kind}
        await write(wire, "/data/k", bodies, sent, {})
        enabled = {"x-amz-checksum-mode": "ENABLED"}
        was, raw = await wire.inspect("/data/k", enabled), store.raw("data", "k").data
        assert (await update(wire, "/data/k")).status == 200
        wire.proxy.services.manifests._known.clear()
        now = await wire.inspect("/data/k", enabled)
        assert now.headers["x-amz-server-side-encryption"] == "aws:kms"
        for name in ("etag", "content-length", "x-amz-checksum-crc32", "x-amz-checksum-type"):
            assert now.headers[name] == was.headers[name]
        assert (await wire.get("/data/k")).body == b"".join(bodies)
        for number, body in enumerate(bodies, 1):
            part = await wire.get("/data/k", query={"partNumber": str(number)})
            assert (part.status, part.body) == (206, body)
        stored = store.raw("data", "k").data
        assert len(stored) == len(raw)
        assert stored[64:80] != raw[64:80]

    async def test_more_than_one_write_may_replace(
        self,
        wire: Wire,
        store: MemoryStore,
        kms: KmsKeymaster,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        monkeypatch.setattr("sseproxy.proxy.update_encryption.MAX_COPY_BYTES", SMALL)
        await wire.put("/data/k", body_of(SMALL + 1))
        before = state_of(store)
        answer = await update(wire, "/data/k")
        assert (answer.status, answer.code) == (501, "NotImplemented")
        assert state_of(store) == before


class TestRefused:
    async def refused(self, wire: Wire, store: MemoryStore, code: str, *args, **query) -> Answer:
        before = state_of(store)
        answer = await update(wire, *args, **query)
        assert answer.code == code
        assert state_of(store) == before
        return answer

    async def test_without_a_kms(self, wire: Wire, store: MemoryStore) -> None:
        await wire.put("/data/k", b"x")
        answer = await self.refused(wire, store, "NotImplemented", "/data/k")
        assert answer.status == 501
        assert "no KMS is configured" in str(answer.text("Message"))

    async def test_plaintext(self, wire: Wire, store: MemoryStore, kms: KmsKeymaster) -> None:
        await wire.put("/plain/k", b"x")
        await self.refused(wire, store, "InvalidRequest", "/plain/k")

    async def test_a_customers_key(self, wire: Wire, store: MemoryStore, kms: KmsKeymaster) -> None:
        await wire.put("/data/k", b"x", customer(KEY))
        answer = await self.refused(wire, store, "InvalidRequest", "/data/k")
        assert "SSE-C" in str(answer.text("Message"))

    async def test_nothing_there(self, wire: Wire, store: MemoryStore, kms: KmsKeymaster) -> None:
        await self.refused(wire, store, "NoSuchKey", "/data/none")
        await self.refused(wire, store, "NoSuchBucket", "/nowhere/k")

    async def test_anonymous(self, wire: Wire, store: MemoryStore, kms: KmsKeymaster) -> None:
        await wire.put("/data/k", b"x")
        sent = {"query": {"encryption": ""}, "anonymous": True}
        answer = await wire.request("PUT", "/data/k", document(), **sent)
        assert (answer.status, answer.code) == (403, "AccessDenied")

    async def test_signed_with_sigv2(
        self,
        wire: Wire,
        store: MemoryStore,
        kms: KmsKeymaster,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        """As boto3 asks, which also shows what it sends; the same with SigV4 is done."""
        await wire.put("/data/k", b"x")
        s3 = wire.proxy.client()
        asked_for = {
            "Bucket": "data",
            "Key": "k",
            "ObjectEncryption": {"SSEKMS": {"KMSKeyArn": ARN, "BucketKeyEnabled": True}},
        }
        await asyncio.to_thread(s3.update_object_encryption, **asked_for)
        assert envelope_of(store).mode is Mode.SSE_KMS
        before = state_of(store)
        s3.meta.events.register("choose-signer.s3.*", lambda **_: "s3")
        # Without it botocore leaves a sub-resource that is younger than SigV2 out of it.
        signed = [*HmacV1Auth.QSAOfInterest, "encryption"]
        monkeypatch.setattr(HmacV1Auth, "QSAOfInterest", signed)
        with pytest.raises(ClientError, match=r"InvalidRequest.*Signature\s+Version 4"):
            await asyncio.to_thread(s3.update_object_encryption, **asked_for)
        assert state_of(store) == before

    async def test_a_mode_that_the_bucket_does_not_allow(
        self, serve: Serve, store: MemoryStore
    ) -> None:
        only = BucketPolicy(SseMode.SSE_COS, allowed_modes=frozenset({SseMode.SSE_COS}))
        wire = await serve(buckets={**BUCKETS, "data": only})
        wire.proxy.services.keymaster = KmsKeymaster(wire.proxy.services)
        await wire.put("/data/k", b"x")
        await self.refused(wire, store, "AccessDenied", "/data/k")

    @pytest.mark.parametrize(
        "lock",
        [
            {"x-amz-object-lock-legal-hold": "ON"},
            {
                "x-amz-object-lock-mode": "GOVERNANCE",
                "x-amz-object-lock-retain-until-date": "2099-01-01T00:00:00Z",
            },
            {
                "x-amz-object-lock-mode": "COMPLIANCE",
                "x-amz-object-lock-retain-until-date": "never",
            },
        ],
    )
    async def test_a_locked_object(
        self, wire: Wire, store: MemoryStore, kms: KmsKeymaster, lock: dict[str, str]
    ) -> None:
        await wire.put("/data/k", b"x")
        store.raw("data", "k").headers |= lock
        answer = await self.refused(wire, store, "AccessDenied", "/data/k")
        assert "Object Lock" in str(answer.text("Message"))

    async def test_a_lock_that_is_over(
        self, wire: Wire, store: MemoryStore, kms: KmsKeymaster
    ) -> None:
        await wire.put("/data/k", b"x")
        store.raw("data", "k").headers |= {
            "x-amz-object-lock-legal-hold": "OFF",
            "x-amz-object-lock-mode": "GOVERNANCE",
            "x-amz-object-lock-retain-until-date": "2015-01-01T00:00:00Z",
        }
        assert (await update(wire, "/data/k")).status == 200

    async def test_versions(self, wire: Wire, store: MemoryStore, kms: KmsKeymaster) -> None:
        store.buckets["data"].versioned = True
        old = (await wire.put("/data/k", b"old")).headers["x-amz-version-id"]
        new = (await wire.put("/data/k", b"new")).headers["x-amz-version-id"]
        await self.refused(wire, store, "NotImplemented", "/data/k", versionId=old)
        await self.refused(wire, store, "NoSuchVersion", "/data/k", versionId="none")
        assert (await update(wire, "/data/k", versionId=new)).status == 200
        assert (await wire.get("/data/k")).body == b"new"
        assert (await wire.get("/data/k", query={"versionId": old})).body == b"old"

    async def test_too_long(self, wire: Wire, store: MemoryStore, kms: KmsKeymaster) -> None:
        await wire.put("/data/k", b"x")
        body = document() + b" " * 70_000
        await self.refused(wire, store, "MaxMessageLengthExceeded", "/data/k", body)


class TestDocument:
    def test_what_it_says(self) -> None:
        assert parse_object_encryption(document()) == NewEncryption(ARN, None)
        assert parse_object_encryption(document(bucket_key="true")) == NewEncryption(ARN, True)
        assert parse_object_encryption(document(bucket_key="false")) == NewEncryption(ARN, False)
        china = ARN.replace("arn:aws:", "arn:aws-cn:")
        assert parse_object_encryption(document(china)).key_arn == china

    @pytest.mark.parametrize(
        ("body", "code"),
        [
            (b"", "MalformedXML"),
            (b"no xml", "MalformedXML"),
            (b"<Other/>", "MalformedXML"),
            (b"<!DOCTYPE a><ObjectEncryption/>", "MalformedXML"),
            (b"<ObjectEncryption/>", "InvalidRequest"),
            (document(kind="SSE-S3"), "InvalidRequest"),
            (document(kind="DSSE-KMS"), "InvalidRequest"),
            (document(None), "InvalidRequest"),
            (document(""), "InvalidRequest"),
            (document("1234abcd-12ab-34cd-56ef-1234567890ab"), "InvalidRequest"),
            (document("arn:aws:s3:::bucket/key"), "InvalidRequest"),
            (document(ARN.replace("key/", "alias/")), "InvalidRequest"),
            (document(bucket_key="yes"), "InvalidRequest"),
            (document(bucket_key=""), "InvalidRequest"),
            (document().replace(b"</SSE-KMS>", b"</SSE-KMS><SSE-S3/>"), "InvalidRequest"),
        ],
    )
    def test_what_is_none(self, body: bytes, code: str) -> None:
        with pytest.raises(S3Error) as caught:
            parse_object_encryption(body)
        assert caught.value.code == code
