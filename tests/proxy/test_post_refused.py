"""Form uploads that are refused: S3's error, and nothing stored."""

from __future__ import annotations

import base64
import json
from contextlib import suppress

import pytest

from sseproxy.proxy.exchange import StoreLimits
from sseproxy.proxy.policy import BucketPolicy
from sseproxy.s3.sse import SseMode
from tests.proxies import SYSTEM_BUCKET
from tests.proxy.conftest import Serve
from tests.proxy.forms import BOUNDARY, form_body, part, policy_text, post, presigned
from tests.proxy.wire import Answer, Dropped, Wire, customer
from tests.store.memory import Failure, MemoryStore

SSE = "x-amz-server-side-encryption"
END = f"--{BOUNDARY}--\r\n".encode()


@pytest.fixture(autouse=True)
def _nothing_is_stored(store: MemoryStore):
    yield
    for bucket in ("data", "other", "plain", "public"):
        assert store.keys(bucket) == []


def denied(answer: Answer) -> str | None:
    assert (answer.status, answer.code) == (403, "AccessDenied")
    return answer.text("Message")


class TestPolicy:
    @pytest.mark.parametrize("version", ["s3v4", "s3"])
    async def test_expired(self, wire: Wire, version: str) -> None:
        fields = presigned(wire, "data", "k", version=version, expires_s=-1)
        answer = await post(wire, "data", fields)
        assert denied(answer) == "Invalid according to Policy: Policy expired."

    @pytest.mark.parametrize("version", ["s3v4", "s3"])
    async def test_tampered(self, wire: Wire, version: str) -> None:
        fields = presigned(wire, "data", "k", version=version)
        document = json.loads(base64.b64decode(fields["policy"]))
        document["conditions"].append(["starts-with", "$acl", ""])
        policy = base64.b64encode(json.dumps(document).encode()).decode()
        answer = await post(wire, "data", fields | {"policy": policy})
        assert (answer.status, answer.code) == (403, "SignatureDoesNotMatch")
        count = wire.proxy.metric(
            "sseproxy_authentication_failures_total", reason="SignatureDoesNotMatch"
        )
        assert count == 1

    @pytest.mark.parametrize("version", ["s3v4", "s3"])
    @pytest.mark.parametrize(
        ("keys", "code"),
        [
            ({"secret_key": "another"}, "SignatureDoesNotMatch"),
            ({"access_key": "NOBODY"}, "InvalidAccessKeyId"),
        ],
    )
    async def test_signed_by_another(
        self, wire: Wire, version: str, keys: dict[str, str], code: str
    ) -> None:
        fields = presigned(wire, "data", "k", version=version, **keys)
        answer = await post(wire, "data", fields)
        assert (answer.status, answer.code) == (403, code)

    async def test_a_policy_that_is_none(self, wire: Wire) -> None:
        fields = presigned(wire, "data", "k", conditions=[["ends-with", "$key", "k"]])
        answer = await post(wire, "data", fields)
        assert (answer.status, answer.code) == (400, "InvalidPolicyDocument")

    @pytest.mark.parametrize("missing", ["policy", "x-amz-signature", "x-amz-credential"])
    async def test_half_signed(self, wire: Wire, missing: str) -> None:
        """Never taken for anonymous."""
        fields = presigned(wire, "plain", "k")
        del fields[missing]
        answer = await post(wire, "plain", fields)
        assert (answer.status, answer.code) == (400, "InvalidArgument")
        assert answer.text("ArgumentName") == missing

    async def test_a_policy_without_signature(self, wire: Wire, store: MemoryStore) -> None:
        policy = policy_text([{"bucket": "plain"}, {"key": "k"}])
        answer = await post(wire, "plain", {"key": "k", "policy": policy})
        assert (answer.status, answer.code) == (400, "InvalidArgument")
        assert store.requests == []

    async def test_conditions_that_do_not_hold(self, wire: Wire) -> None:
        fields = presigned(wire, "data", "user/${filename}", {"acl": "private"})
        answer = await post(wire, "data", fields | {"key": "other/k"})
        condition = '["starts-with", "$key", "user/"]'
        message = f"Invalid according to Policy: Policy Condition failed: {condition}"
        assert denied(answer) == message
        assert "$acl" in (denied(await post(wire, "data", fields | {"acl": "public-read"})) or "")
        del fields["acl"]
        assert "$acl" in (denied(await post(wire, "data", fields)) or "")

    async def test_another_bucket(self, wire: Wire) -> None:
        fields = presigned(wire, "data", "k")
        assert "$bucket" in (denied(await post(wire, "plain", fields)) or "")
        assert "$bucket" in (denied(await post(wire, "plain", fields | {"bucket": "data"})) or "")

    @pytest.mark.parametrize(
        "extra",
        ["acl", "x-amz-meta-a", "X-Amz-Storage-Class", SSE, "success_action_status", "submit"],
    )
    async def test_fields_that_no_condition_covers(self, wire: Wire, extra: str) -> None:
        fields = presigned(wire, "data", "k")
        answer = await post(wire, "data", fields | {extra: "AES256"})
        message = f"Invalid according to Policy: Extra input fields: {extra.lower()}"
        assert denied(answer) == message

    async def test_lengths(self, wire: Wire, store: MemoryStore) -> None:
        limits = [["content-length-range", 3, 600_000]]
        fields = presigned(wire, "data", "k", conditions=limits)
        small = await post(wire, "data", fields, b"12")
        assert (small.status, small.code) == (400, "EntityTooSmall")
        assert (small.text("ProposedSize"), small.text("MinSizeAllowed")) == ("2", "3")
        large = await post(wire, "data", fields, bytes(600_001))
        assert (large.status, large.code) == (400, "EntityTooLarge")
        assert large.text("MaxSizeAllowed") == "600000"
        assert store.requests == []
        assert (await post(wire, "data", fields, bytes(600_000))).status == 204
        assert (await wire.request("DELETE", "/data/k")).status == 204


class TestForm:
    @pytest.mark.parametrize(
        ("body", "code"),
        [
            (b"", "MalformedPOSTRequest"),
            (b"key=k&file=x", "MalformedPOSTRequest"),
            (bytes(200_000), "MalformedPOSTRequest"),
            (part("key", b"k") + part("file", b"x"), "MalformedPOSTRequest"),
            (part("key", b"k") + part("file", b"x")[:-3], "MalformedPOSTRequest"),
            (part("key", b"\xff") + part("file", b"x") + END, "MalformedPOSTRequest"),
            (f"--{BOUNDARY}\r\n\r\nx\r\n".encode() + END, "MalformedPOSTRequest"),
            (part("key", b"k") + END, "InvalidArgument"),
            (END, "InvalidArgument"),
            (part("file", b"x") + part("key", b"k") + END, "InvalidArgument"),
            (part("key", b"") + part("file", b"x") + END, "InvalidArgument"),
            (part("key", b"k") + part("KEY", b"l") + part("file", b"x") + END, "InvalidArgument"),
            (part("key", b"k" * 1025) + part("file", b"x") + END, "KeyTooLongError"),
            (
                part("key", b"k") + part("x-ignore", b"x" * 20480) + part("file", b"x") + END,
                "MaxPostPreDataLengthExceededError",
            ),
            (
                b"".join(part(f"x-ignore-{i}", b"") for i in range(300)) + part("file", b"x") + END,
                "MaxPostPreDataLengthExceededError",
            ),
        ],
    )
    @pytest.mark.parametrize("splits", [(), range(1, 200, 7)])
    async def test_what_is_no_form(self, wire: Wire, body: bytes, code: str, splits) -> None:
        answer = await post(wire, "plain", {}, body=body, splits=tuple(splits), content_length=None)
        assert (answer.status, answer.code) == (400, code)

    @pytest.mark.parametrize(
        ("content_type", "status", "code"),
        [
            ("application/x-www-form-urlencoded", 412, "PreconditionFailed"),
            ("multipart/form-data-not; boundary=x", 412, "PreconditionFailed"),
            ("multipart/form-data", 400, "MalformedPOSTRequest"),
            ("multipart/form-data; boundary=", 400, "MalformedPOSTRequest"),
            ('multipart/form-data; boundary="a\tb"', 400, "MalformedPOSTRequest"),
            (f"multipart/form-data; boundary={'b' * 71}", 400, "MalformedPOSTRequest"),
        ],
    )
    async def test_content_types(
        self, wire: Wire, content_type: str, status: int, code: str
    ) -> None:
        headers = {"content-type": content_type}
        answer = await post(wire, "plain", {"key": "k"}, headers=headers)
        assert (answer.status, answer.code) == (status, code)

    async def test_two_files(self, wire: Wire) -> None:
        fields = presigned(wire, "data", "k")
        answer = await post(wire, "data", fields, after=[("File", "another")])
        assert (answer.status, answer.code) == (400, "InvalidArgument")
        message = "POST requires exactly one file upload per request."
        assert answer.text("Message") == message

    async def test_fields_behind_the_file_count_for_nothing(self, wire: Wire) -> None:
        fields = presigned(wire, "data", "k")
        del fields["key"]
        late = [("key", "k"), ("acl", "public-read"), ("x-amz-meta-a", "1")]
        answer = await post(wire, "data", fields, after=late)
        assert (answer.status, answer.text("ArgumentName")) == (400, "key")

    @pytest.mark.parametrize("bucket", ["data", "plain"])
    @pytest.mark.parametrize("size", [100, 600_000])
    async def test_cut(self, wire: Wire, bucket: str, size: int) -> None:
        fields = presigned(wire, bucket, "k")
        body = form_body(fields, bytes(size))
        for stop in (len(body) - 1, len(body) - size // 2):
            try:
                answer = await post(
                    wire, bucket, {}, body=body[:stop], content_length=len(body), end=True
                )
            except Dropped:
                continue
            assert answer.code in ("IncompleteBody", "MalformedPOSTRequest")

    async def test_cut_behind_its_end(self, wire: Wire) -> None:
        """What was announced and did not come may have been another file."""
        body = form_body(presigned(wire, "data", "k"), b"x")
        with suppress(Dropped):
            answer = await post(
                wire, "data", {}, body=body, content_length=len(body) + 10, end=True
            )
            assert (answer.status, answer.code) == (400, "IncompleteBody")

    async def test_another_body_than_its_request_was_signed_for(self, wire: Wire) -> None:
        answer = await post(wire, "data", {"key": "k"}, anonymous=False, payload_hash="0" * 64)
        assert (answer.status, answer.code) == (400, "XAmzContentSHA256Mismatch")

    async def test_the_boundary_in_the_file(self, wire: Wire) -> None:
        """The parser could overlook the end behind it, and take it all for the file."""
        fields = presigned(wire, "data", "k")
        file = f"a\r\n--{BOUNDARY}x\r\nb".encode()
        assert (await post(wire, "data", fields, file)).code == "MalformedPOSTRequest"

    async def test_no_length(self, wire: Wire) -> None:
        answer = await post(
            wire, "data", {"key": "k"}, headers={"transfer-encoding": "chunked"}, body=b"0\r\n\r\n"
        )
        assert (answer.status, answer.code) == (411, "MissingContentLength")

    async def test_far_too_long(self, wire: Wire) -> None:
        answer = await post(wire, "data", {"key": "k"}, content_length=5 * 1024**3 + 10**7)
        assert (answer.status, answer.code) == (400, "EntityTooLarge")


class TestRules:
    """What holds for PutObject holds here."""

    @pytest.mark.parametrize(
        "name", [SSE, f"{SSE}-customer-algorithm", "x-cos-server-side-encryption"]
    )
    async def test_encryption_is_asked_for_in_fields(self, wire: Wire, name: str) -> None:
        fields = presigned(wire, "data", "k")
        answer = await post(wire, "data", fields, headers={name: "AES256"})
        assert (answer.status, answer.code) == (400, "InvalidArgument")
        assert f"send {name} as a field" in (answer.text("Message") or "")
        assert answer.text("ArgumentName") == name

    async def test_nor_in_the_query(self, wire: Wire) -> None:
        fields = presigned(wire, "data", "k")
        answer = await post(wire, "data", fields, query={SSE: "AES256"})
        assert (answer.status, answer.code) == (400, "InvalidArgument")

    @pytest.mark.parametrize(
        ("given", "code"),
        [
            ({SSE: "aes"}, "InvalidArgument"),
            ({SSE: "aws:kms"}, "NotImplemented"),
            ({SSE: "AES256", **customer(bytes(32))}, "InvalidArgument"),
            ({f"{SSE}-customer-algorithm": "AES256"}, "InvalidArgument"),
            ({"x-cos-server-side-encryption": "SM4"}, "SSEContentNotSupported"),
            ({"x-amz-meta-sseproxy": "AQ"}, "InvalidArgument"),
            ({"x-amz-meta-a": "b\r\nx-amz-acl: public-read"}, "InvalidArgument"),
            ({"x-amz-meta-a b": "c"}, "InvalidArgument"),
            ({"x-amz-checksum-crc31": "AA=="}, "InvalidRequest"),
            ({"Content-MD5": "AA=="}, "InvalidDigest"),
            ({"tagging": "a=b"}, "MalformedXML"),
            ({"x-amz-copy-source": f"{SYSTEM_BUCKET}/keyring"}, "NotImplemented"),
            ({"x-amz-write-offset-bytes": "0"}, "NotImplemented"),
            ({"x-amz-meta-snowball-auto-extract": "true"}, "NotImplemented"),
        ],
    )
    async def test_fields(
        self, wire: Wire, store: MemoryStore, given: dict[str, str], code: str
    ) -> None:
        answer = await post(wire, "data", presigned(wire, "data", "k", given))
        assert answer.code == code
        assert store.requests == []

    async def test_a_customer_key_needs_tls(self, serve: Serve) -> None:
        wire = await serve(allow_insecure_ssec=False)
        fields = presigned(wire, "data", "k", customer(bytes(32)))
        assert (await post(wire, "data", fields)).code == "InvalidRequest"

    @pytest.mark.parametrize(
        "key", [f"../{SYSTEM_BUCKET}/keyring", f"a/../../{SYSTEM_BUCKET}/keyring", ".."]
    )
    async def test_keys_that_lead_out_of_the_bucket(
        self, wire: Wire, store: MemoryStore, key: str
    ) -> None:
        before = store.keys(SYSTEM_BUCKET)
        answer = await post(wire, "data", presigned(wire, "data", key))
        assert (answer.status, answer.code) == (400, "InvalidURI")
        by_name = presigned(wire, "data", "${filename}")
        assert (await post(wire, "data", by_name, filename="..")).code == "InvalidURI"
        assert store.keys(SYSTEM_BUCKET) == before
        assert store.requests == []

    async def test_the_system_bucket(self, wire: Wire, store: MemoryStore) -> None:
        answer = await post(wire, SYSTEM_BUCKET, presigned(wire, SYSTEM_BUCKET, "keyring"))
        assert (answer.status, answer.code) == (404, "NoSuchBucket")
        assert store.requests == []

    async def test_keys_that_the_store_would_take_for_others(self, serve: Serve) -> None:
        wire = await serve()
        wire.proxy.services.store_limits = StoreLimits(folds_slashes=True, drops_folder_bodies=True)
        for key in ("a//b", "folder/"):
            answer = await post(wire, "data", presigned(wire, "data", key))
            assert (answer.status, answer.code) == (400, "InvalidArgument")

    async def test_the_buckets_rules(self, serve: Serve) -> None:
        policy = BucketPolicy(require_encryption_writes=True, block_sse_c=True)
        wire = await serve(buckets={"data": policy})
        for given in ({}, customer(bytes(32))):
            answer = await post(wire, "data", presigned(wire, "data", "k", given))
            assert (answer.status, answer.code) == (403, "AccessDenied")

    async def test_metadata_that_the_store_does_not_take(self, wire: Wire) -> None:
        fields = presigned(wire, "data", "k", {"x-amz-meta-a": "a" * 2000})
        answer = await post(wire, "data", fields)
        assert (answer.status, answer.code) == (400, "MetadataTooLarge")

    async def test_a_store_that_fails(self, wire: Wire, store: MemoryStore) -> None:
        store.fail(Failure(method="PUT", unreachable=True))
        answer = await post(wire, "data", presigned(wire, "data", "k"))
        assert (answer.status, answer.code) == (503, "ServiceUnavailable")

    async def test_encryption_is_on_for_anonymous_forms_too(self, serve: Serve) -> None:
        wire = await serve(buckets={"public": BucketPolicy(SseMode.SSE_COS)})
        answer = await post(wire, "public", {"key": "k"})
        assert (answer.status, answer.code) == (403, "AccessDenied")
