"""Requests signed by botocore and sent by http.client; the answer as it was on the wire."""

from __future__ import annotations

import hashlib
import http.client
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import Enum
from urllib.parse import quote, urlsplit

from botocore.auth import HmacV1Auth, HmacV1QueryAuth, S3SigV4Auth, S3SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

REGION = "us-east-1"
TIMEOUT_S = 60
UNSIGNED = "UNSIGNED-PAYLOAD"
UNSIGNED_TRAILER = "STREAMING-UNSIGNED-PAYLOAD-TRAILER"


class Signing(Enum):
    """How a request says who sends it."""

    V4 = "v4"
    V4_QUERY = "v4 in the query"
    V2 = "v2"
    V2_QUERY = "v2 in the query"
    NONE = "none"


@dataclass(frozen=True)
class Reply:
    """An answer: status, headers with lower-case names, body."""

    status: int
    headers: dict[str, str]
    body: bytes


class _PayloadAuth(S3SigV4Auth):
    """SigV4 over a payload hash of ours."""

    def __init__(self, credentials: Credentials, payload_hash: str) -> None:
        super().__init__(credentials, "s3", REGION)
        self._payload_hash = payload_hash

    def payload(self, request: AWSRequest) -> str:
        return self._payload_hash


@dataclass(frozen=True)
class Endpoint:
    """A server, and the key pair that may do anything there."""

    url: str
    access_key: str
    secret_key: str

    @property
    def host(self) -> str:
        return urlsplit(self.url).netloc

    def send(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] = {},
        headers: Mapping[str, str] = {},
        body: bytes = b"",
        signing: Signing = Signing.V4,
        payload_hash: str | None = None,
        expires_s: int = 300,
        skew_s: int = 0,
        tamper: Mapping[str, str] = {},
    ) -> Reply:
        """Sign and send.

        path: decoded. skew_s: how far ahead the clock is that SigV4 signs by. tamper: headers set
        after signing.
        """
        target = quote(path, safe="/-_.~")
        if query:
            pairs = (f"{quote(n, safe='-_.~')}={quote(v, safe='-_.~')}" for n, v in query.items())
            target += "?" + "&".join(pairs)
        request = AWSRequest(method, self.url + target, headers=dict(headers))
        digest = payload_hash or hashlib.sha256(body).hexdigest()
        self._sign(request, signing, digest, expires_s, skew_s)
        parts = urlsplit(request.url)
        sent = {**dict(request.headers.items()), **tamper}
        target = f"{parts.path}?{parts.query}" if parts.query else parts.path
        return self._exchange(method, target, sent, body)

    def _sign(
        self, request: AWSRequest, signing: Signing, digest: str, expires_s: int, skew_s: int
    ) -> None:
        credentials = Credentials(self.access_key, self.secret_key)
        if signing is Signing.V4:
            request.headers["x-amz-content-sha256"] = digest
            _sign_v4(_PayloadAuth(credentials, digest), request, skew_s)
        elif signing is Signing.V4_QUERY:
            auth = S3SigV4QueryAuth(credentials, "s3", REGION, expires=expires_s)
            _sign_v4(auth, request, skew_s)
        elif signing is Signing.V2:
            HmacV1Auth(credentials).add_auth(request)
        elif signing is Signing.V2_QUERY:
            HmacV1QueryAuth(credentials, expires=expires_s).add_auth(request)

    def _exchange(self, method: str, target: str, headers: Mapping[str, str], body: bytes) -> Reply:
        connection = http.client.HTTPConnection(self.host, timeout=TIMEOUT_S)
        try:
            connection.putrequest(method, target, skip_accept_encoding=True)
            for name, value in headers.items():
                if name.lower() not in {"host", "content-length"}:
                    connection.putheader(name, value)
            if body or method in {"PUT", "POST"}:
                connection.putheader("content-length", str(len(body)))
            connection.endheaders(body or None)
            answer = connection.getresponse()
            data = answer.read()
            return Reply(answer.status, _joined(answer.getheaders()), data)
        finally:
            connection.close()


def _joined(pairs: list[tuple[str, str]]) -> dict[str, str]:
    """Headers by lower-case name; one that came more than once as RFC 9110 joins it."""
    headers: dict[str, str] = {}
    for name, value in pairs:
        lower = name.lower()
        headers[lower] = f"{headers[lower]}, {value}" if lower in headers else value
    return headers


def _sign_v4(auth: S3SigV4Auth, request: AWSRequest, skew_s: int) -> None:
    """What add_auth does, by a clock of ours."""
    moment = datetime.now(UTC) + timedelta(seconds=skew_s)
    request.context["timestamp"] = moment.strftime("%Y%m%dT%H%M%SZ")
    auth._modify_request_before_signing(request)
    canonical = auth.canonical_request(request)
    signature = auth.signature(auth.string_to_sign(request, canonical), request)
    auth._inject_signature_to_request(request, signature)
