"""Who is asking: SigV2 beside SigV4, session tokens, what the client used before the proxy."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit

import botocore.auth
import pytest
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from botocore.exceptions import ClientError

from sseproxy.app import _trust
from sseproxy.proxy.authenticate import authenticate_form
from sseproxy.proxy.exchange import Exchange
from sseproxy.s3.faults import S3Error
from sseproxy.secret import Secret
from tests.proxies import s3_client
from tests.proxy.conftest import Serve
from tests.proxy.samples import KEY, LARGE, SMALL, body_of
from tests.proxy.wire import Answer, Wire, customer, md5
from tests.store.memory import MemoryStore

SSE = "x-amz-server-side-encryption"


def v2_target(wire: Wire, method: str, target: str, headers=None, *, expires_s: int = 60) -> str:
    """A target with botocore's V2 signature in its query."""
    request = AWSRequest(method, f"http://{wire.host}{target}", headers=headers or {})
    credentials = Credentials(wire.access_key, wire.secret_key)
    botocore.auth.HmacV1QueryAuth(credentials, expires=expires_s).add_auth(request)
    parts = urlsplit(request.url)
    return f"{parts.path}?{parts.query}"


def v2_headers(wire: Wire, method: str, target: str, headers=None) -> dict[str, str]:
    request = AWSRequest(method, f"http://{wire.host}{target}", headers=headers or {})
    botocore.auth.HmacV1Auth(Credentials(wire.access_key, wire.secret_key)).add_auth(request)
    return {**dict(request.headers.items()), "host": wire.host}


async def send(
    wire: Wire, method: str, target: str, headers: dict[str, str], body: bytes = b""
) -> Answer:
    lines = [f"{n}: {v}" for n, v in ({"host": wire.host} | headers).items()]
    head = "\r\n".join([f"{method} {target} HTTP/1.1", *lines, f"content-length: {len(body)}"])
    async with wire.connect() as connection:
        await connection.send(head.encode() + b"\r\n\r\n" + body)
        return await connection.answer(head=method == "HEAD")


class TestSigV2:
    async def test_boto3_put_get_list_copy_delete(self, wire: Wire, store: MemoryStore) -> None:
        s3 = s3_client(wire.proxy.endpoint, wire.access_key, wire.secret_key)
        s3.meta.events.register("choose-signer.s3.*", lambda **_: "s3")

        def work() -> None:
            for key, size in (("a/é b+c", SMALL), ("large", LARGE)):
                s3.put_object(Bucket="data", Key=key, Body=body_of(size), Metadata={"a": "1"})
                got = s3.get_object(Bucket="data", Key=key, ResponseContentType="text/x")
                assert got["Body"].read() == body_of(size)
                assert (got["Metadata"], got["ContentType"]) == ({"a": "1"}, "text/x")
            listed = s3.list_objects_v2(Bucket="data", Prefix="a/")["Contents"]
            assert [(item["Key"], item["Size"]) for item in listed] == [("a/é b+c", SMALL)]
            s3.copy_object(Bucket="data", Key="to", CopySource={"Bucket": "data", "Key": "large"})
            s3.delete_object(Bucket="data", Key="large")
            with pytest.raises(ClientError, match="404"):
                s3.head_object(Bucket="data", Key="large")

        signed = []
        s3.meta.events.register("before-send.s3.*", lambda request, **_: signed.append(request))
        await asyncio.to_thread(work)
        assert all(request.headers["Authorization"].startswith(b"AWS ") for request in signed)
        assert body_of(LARGE)[:100] not in store.raw("data", "to").data

    async def test_a_presigned_upload_asks_for_encryption_in_its_query(
        self, wire: Wire, store: MemoryStore
    ) -> None:
        """What boto3 makes in us-east-1 unless it is told otherwise."""
        body = body_of(SMALL)
        target = v2_target(wire, "PUT", "/plain/k", {SSE: "AES256", "content-type": "text/x"})
        put = await send(wire, "PUT", target, {}, body)
        assert (put.status, put.headers[SSE], put.etag) == (200, "AES256", md5(body))
        assert body not in store.raw("plain", "k").data
        got = await send(wire, "GET", v2_target(wire, "GET", "/plain/k"), {})
        assert (got.body, got.headers["content-type"]) == (body, "text/x")

    async def test_a_presigned_upload_with_a_customer_key_in_its_query(
        self, wire: Wire, store: MemoryStore
    ) -> None:
        target = v2_target(wire, "PUT", "/data/k", customer(KEY))
        assert (await send(wire, "PUT", target, {}, b"secret")).status == 200
        assert not any("customer" in name for asked in store.requests for name, _ in asked.query)
        assert (await send(wire, "GET", v2_target(wire, "GET", "/data/k"), {})).status == 400
        got = await send(wire, "GET", v2_target(wire, "GET", "/data/k", customer(KEY)), {})
        assert got.body == b"secret"

    async def test_nothing_can_be_added_to_a_presigned_upload(
        self, wire: Wire, store: MemoryStore
    ) -> None:
        target = v2_target(wire, "PUT", "/data/k", {SSE: "AES256"})
        for extra in ("&acl", "&x-amz-acl=public-read", "&uploadId=a&partNumber=1", "&append=1"):
            assert (await send(wire, "PUT", target + extra, {}, b"x")).status == 403
        for name in ("x-amz-copy-source", "x-cos-copy-source", "x-amz-meta-a", "content-type"):
            assert (await send(wire, "PUT", target, {name: "data/other"}, b"x")).status == 403
        assert (await send(wire, "PUT", target.replace("AES256", "aws%3Akms"), {})).status == 400
        assert store.requests == []

    async def test_kms_needs_version_4(self, wire: Wire, store: MemoryStore) -> None:
        target = v2_target(wire, "PUT", "/data/k", {SSE: "aws:kms"})
        refused = await send(wire, "PUT", target, {}, b"x")
        assert (refused.status, refused.code) == (400, "InvalidArgument")
        assert "Signature Version 4" in (refused.text("Message") or "")
        headers = v2_headers(wire, "PUT", "/data/k", {SSE: "aws:kms"})
        assert (await send(wire, "PUT", "/data/k", headers, b"x")).code == "InvalidArgument"
        assert store.requests == []

    async def test_virtual_host_style(self, serve: Serve) -> None:
        wire = await serve(domains=["s3.test"])
        await wire.put("/data/k", b"there")
        request = AWSRequest("GET", "http://data.s3.test/k", auth_path="/data/k")
        credentials = Credentials(wire.access_key, wire.secret_key)
        botocore.auth.HmacV1Auth(credentials).add_auth(request)
        sent = {**dict(request.headers.items()), "host": "data.s3.test"}
        assert (await send(wire, "GET", "/k", sent)).body == b"there"
        refused = await send(wire, "GET", "/k", {**sent, "host": "other.s3.test"})
        assert refused.code == "SignatureDoesNotMatch"

    async def test_skew_expiry_and_host(self, wire: Wire, serve: Serve, store: MemoryStore) -> None:
        expired = v2_target(wire, "GET", "/data/k", expires_s=-1)
        answer = await send(wire, "GET", expired, {})
        assert (answer.code, answer.text("Message")) == ("AccessDenied", "Request has expired")
        headers = v2_headers(wire, "GET", "/data/k", {"x-amz-date": "20150101T000000Z"})
        assert (await send(wire, "GET", "/data/k", headers)).code == "RequestTimeTooSkewed"
        wire.proxy.services.refused_hosts = frozenset({wire.host})
        headers = v2_headers(wire, "GET", "/data/k")
        assert (await send(wire, "GET", "/data/k", headers)).code == "AccessDenied"
        assert store.requests == []

    async def test_can_be_switched_off(self, wire: Wire, store: MemoryStore) -> None:
        wire.proxy.services.allow_sigv2 = False
        for target, headers in (
            ("/data/k", v2_headers(wire, "GET", "/data/k")),
            (v2_target(wire, "GET", "/data/k"), {}),
        ):
            refused = await send(wire, "GET", target, headers)
            assert (refused.status, refused.code) == (400, "InvalidRequest")
            assert "AWS4-HMAC-SHA256" in (refused.text("Message") or "")
        assert store.requests == []
        name = "sseproxy_authentication_failures_total"
        assert wire.proxy.metric(name, reason="UnsupportedSignature") == 2

    @pytest.mark.parametrize("kind", ["header", "query"])
    async def test_continue_only_after_authentication(
        self, wire: Wire, store: MemoryStore, kind: str
    ) -> None:
        body = body_of(LARGE)

        def head(target: str, headers: dict[str, str]) -> bytes:
            all_headers = {"host": wire.host, **headers, "expect": "100-continue"}
            lines = [f"{name}: {value}" for name, value in all_headers.items()]
            start = [f"PUT {target} HTTP/1.1", *lines, f"content-length: {len(body)}"]
            return "\r\n".join(start).encode() + b"\r\n\r\n"

        def signed(by: Wire) -> bytes:
            if kind == "query":
                return head(v2_target(by, "PUT", "/data/k"), {})
            return head("/data/k", v2_headers(by, "PUT", "/data/k"))

        async with wire.connect() as connection:
            await connection.send(signed(replace(wire, secret_key="wrong")))
            refused = await connection.answer()
            assert (refused.status, refused.code) == (403, "SignatureDoesNotMatch")
            assert await connection.is_closed()
        assert store.requests == []
        async with wire.connect() as connection:
            await connection.send(signed(wire))
            assert (await connection.answer()).status == 100
            await connection.send(body)
            assert (await connection.answer()).status == 200


class TestForms:
    """`authenticate_form`, by the fields of a form."""

    def exchange(self, wire: Wire) -> Exchange:
        return Exchange(None, wire.proxy.services)  # type: ignore[arg-type]  # not looked at

    def fields(self, wire: Wire, version: int, token: str | None = None) -> dict[str, str]:
        request = AWSRequest("POST", "http://h/data")
        request.context["s3-presign-post-fields"] = fields = {"key": "k"}
        request.context["s3-presign-post-policy"] = {"expiration": "x", "conditions": []}
        credentials = Credentials(wire.access_key, wire.secret_key, token)
        if version == 2:
            botocore.auth.HmacV1PostAuth(credentials).add_auth(request)
        else:
            botocore.auth.S3SigV4PostAuth(credentials, "s3", "eu-west-3").add_auth(request)
        return fields

    @pytest.mark.parametrize("version", [2, 4])
    async def test_the_client_is_found(self, wire: Wire, version: int) -> None:
        exchange = self.exchange(wire)
        await authenticate_form(exchange, self.fields(wire, version))
        assert exchange.client is not None
        assert exchange.client.access_key == "CLIENTKEY"
        assert exchange.signature_version == version

    async def test_without_signature_it_is_anonymous(self, wire: Wire) -> None:
        exchange = self.exchange(wire)
        await authenticate_form(exchange, {"key": "k"})
        assert exchange.anonymous

    @pytest.mark.parametrize("version", [2, 4])
    async def test_refusals(self, wire: Wire, version: int) -> None:
        async def code_of(fields: dict[str, str]) -> str:
            exchange = self.exchange(wire)
            with pytest.raises(S3Error) as caught:
                await authenticate_form(exchange, fields)
            assert exchange.anonymous
            return caught.value.code

        assert await code_of(self.fields(wire, version, "token")) == "InvalidToken"
        other = self.fields(replace(wire, access_key="OTHER"), version)
        assert await code_of(other) == "InvalidAccessKeyId"
        wrong = self.fields(replace(wire, secret_key="wrong"), version)
        assert await code_of(wrong) == "SignatureDoesNotMatch"
        wire.proxy.services.allow_sigv2 = False
        if version == 2:
            assert await code_of(self.fields(wire, version)) == "InvalidRequest"
        else:
            await authenticate_form(self.exchange(wire), self.fields(wire, version))


class TestSessionTokens:
    @pytest.fixture
    def token(self, wire: Wire) -> str:
        client = wire.proxy.services.clients["CLIENTKEY"]
        temporary = replace(client, session_token=Secret("the/token+="))
        wire.proxy.services.clients = {"CLIENTKEY": temporary}
        return "the/token+="

    async def asked(self, wire: Wire, token: str | None, version: str, presign: bool) -> Answer:
        request = AWSRequest("GET", f"http://{wire.host}/data/k")
        if not presign:
            request.headers["x-amz-content-sha256"] = "UNSIGNED-PAYLOAD"
        credentials = Credentials(wire.access_key, wire.secret_key, token)
        signer = {
            ("v4", False): lambda: botocore.auth.S3SigV4Auth(credentials, "s3", "us-east-1"),
            ("v4", True): lambda: botocore.auth.S3SigV4QueryAuth(credentials, "s3", "us-east-1"),
            ("v2", False): lambda: botocore.auth.HmacV1Auth(credentials),
            ("v2", True): lambda: botocore.auth.HmacV1QueryAuth(credentials),
        }[version, presign]()
        signer.add_auth(request)
        parts = urlsplit(request.url)
        target = f"{parts.path}?{parts.query}" if parts.query else parts.path
        return await send(wire, "GET", target, {} if presign else dict(request.headers.items()))

    @pytest.mark.parametrize("presign", [False, True], ids=["header", "query"])
    @pytest.mark.parametrize("version", ["v2", "v4"])
    async def test_it_must_be_the_clients(
        self, wire: Wire, store: MemoryStore, token: str, version: str, presign: bool
    ) -> None:
        client = wire.proxy.services.clients["CLIENTKEY"]
        wire.proxy.services.clients = {"CLIENTKEY": replace(client, session_token=None)}
        await wire.put("/data/k", b"there")
        wire.proxy.services.clients = {"CLIENTKEY": client}
        store.requests.clear()
        for wrong in (None, "the/token", "other", "é"):
            refused = await self.asked(wire, wrong, version, presign)
            assert (refused.status, refused.code) == (400, "InvalidToken")
            assert token.encode() not in refused.body
        assert store.requests == []
        assert (await self.asked(wire, token, version, presign)).body == b"there"
        # The client's token is for the proxy; the store key has none.
        assert all("x-amz-security-token" not in asked.headers for asked in store.requests)

    @pytest.mark.parametrize("presign", [False, True], ids=["header", "query"])
    @pytest.mark.parametrize("version", ["v2", "v4"])
    async def test_a_client_without_one_must_send_none(
        self, wire: Wire, store: MemoryStore, version: str, presign: bool
    ) -> None:
        refused = await self.asked(wire, "any", version, presign)
        assert (refused.status, refused.code) == (400, "InvalidToken")
        assert store.requests == []

    async def test_an_unknown_key_with_a_token_is_unknown(self, wire: Wire) -> None:
        wire.access_key = "OTHER"
        refused = await self.asked(wire, "any", "v4", False)
        assert (refused.status, refused.code) == (403, "InvalidAccessKeyId")


class TestClockSkew:
    @pytest.mark.parametrize("minutes", [16, -16])
    async def test_v4_skew(self, wire: Wire, store: MemoryStore, minutes: int) -> None:
        wire.clock_skew = timedelta(minutes=minutes)
        refused = await wire.get("/data/k")
        assert (refused.status, refused.code) == (403, "RequestTimeTooSkewed")
        assert refused.text("MaxAllowedSkewMilliseconds") == "900000"
        server_time = refused.text("ServerTime") or ""
        moment = datetime.strptime(server_time, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
        assert abs(moment - datetime.now(UTC)) < timedelta(minutes=5)
        assert store.requests == []


async def test_a_presigned_v4_upload_sends_the_encryption_it_signed(
    wire: Wire, store: MemoryStore
) -> None:
    body = body_of(SMALL)
    put = await wire.put("/plain/k", body, {SSE: "AES256"}, expires_s=60)
    assert (put.status, put.headers[SSE]) == (200, "AES256")
    assert body not in store.raw("plain", "k").data
    put = await wire.put("/plain/c", body, customer(KEY), expires_s=60)
    assert put.status == 200
    assert (await wire.get("/plain/c", customer(KEY), expires_s=60)).body == body
    store.requests.clear()
    unsent = await wire.put("/plain/x", body, {SSE: "AES256"}, expires_s=60, tamper={SSE: "aws"})
    assert unsent.code == "SignatureDoesNotMatch"
    added = await wire.put("/plain/x", body, expires_s=60, tamper={SSE: "AES256"})
    assert (added.code, added.text("HeadersNotSigned")) == ("AccessDenied", SSE)
    assert store.requests == []


class TestForwardedProto:
    @pytest.fixture
    async def behind(self, serve: Serve) -> Wire:
        """A proxy that requires TLS of customer keys, and trusts this machine to have ended it."""
        wire = await serve(allow_insecure_ssec=False)
        wire.proxy.services.trusted_proxies = _trust(["127.0.0.0/8"])
        return wire

    async def status(self, wire: Wire, *values: str) -> int:
        lines = wire.head("PUT", "/data/k", b"x", customer(KEY)).decode().split("\r\n")
        lines[1:1] = [f"X-Forwarded-Proto: {value}" for value in values]
        async with wire.connect() as connection:
            await connection.send("\r\n".join(lines).encode() + b"x")
            return (await connection.answer()).status

    @pytest.mark.parametrize("values", [["https"], ["HTTPS "], ["https", "https"], ["https,https"]])
    async def test_tls_before_a_trusted_proxy(self, behind: Wire, values: list[str]) -> None:
        assert await self.status(behind, *values) == 200

    @pytest.mark.parametrize(
        "values", [[], [""], ["http"], ["https", "http"], ["http", "https"], ["https, http"]]
    )
    async def test_one_that_the_client_made_up_does_not_help(
        self, behind: Wire, store: MemoryStore, values: list[str]
    ) -> None:
        assert await self.status(behind, *values) == 400
        assert store.keys("data") == []

    @pytest.mark.parametrize("networks", [[], ["10.0.0.0/8"], ["::/0"]])
    async def test_an_untrusted_peer_is_not_believed(
        self, behind: Wire, store: MemoryStore, networks: list[str]
    ) -> None:
        behind.proxy.services.trusted_proxies = _trust(networks)
        assert await self.status(behind, "https") == 400
        assert store.keys("data") == []

    @pytest.mark.parametrize(
        ("peer", "trusted"),
        [
            ("10.1.2.3", True),
            ("::ffff:10.1.2.3", True),
            ("11.1.2.3", False),
            ("::ffff:11.1.2.3", False),
            ("fd00::1", True),
            ("fd01::1", False),
            ("fe80::1%eth0", False),
        ],
    )
    def test_networks(self, peer: str, trusted: bool) -> None:
        assert _trust(["10.0.0.0/8", "fd00::/16"])(peer) is trusted
