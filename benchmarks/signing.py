"""Requests signed by botocore, as the bytes that go over the wire."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field

from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

REGION = "us-east-1"
SSE_S3 = {"x-amz-server-side-encryption": "AES256"}
_UNSIGNED = "UNSIGNED-PAYLOAD"


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where requests go. signed_for: the host to sign for, where a relay keeps the store's."""

    port: int
    access_key: str
    secret_key: str = field(repr=False)
    signed_for: str = ""

    @property
    def host(self) -> str:
        """The Host header."""
        return self.signed_for or f"127.0.0.1:{self.port}"

    @property
    def url(self) -> str:
        """For a client library."""
        return f"http://127.0.0.1:{self.port}"


def customer_key_headers(key: bytes) -> dict[str, str]:
    """The three headers of SSE-C."""
    prefix = "x-amz-server-side-encryption-customer"
    return {
        f"{prefix}-algorithm": "AES256",
        f"{prefix}-key": base64.b64encode(key).decode(),
        f"{prefix}-key-MD5": base64.b64encode(hashlib.md5(key).digest()).decode(),
    }


# botocore has no types.
class _UnsignedPayload(S3SigV4Auth):  # type: ignore[misc]
    def payload(self, request: AWSRequest) -> str:
        return _UNSIGNED


def signed_head(
    endpoint: Endpoint,
    method: str,
    target: str,
    headers: Mapping[str, str] | None = None,
    *,
    body: bytes | None = None,
    length: int | None = None,
) -> bytes:
    """A request's head, valid for 15 minutes, as often as it is sent.

    target: encoded path and query. body: signed if given; else length bytes go unsigned.
    """
    credentials = Credentials(endpoint.access_key, endpoint.secret_key)
    request = AWSRequest(
        method=method,
        url=f"http://{endpoint.host}{target}",
        data=body or b"",
        headers=dict(headers or {}),
    )
    if length is not None:
        request.headers["x-amz-content-sha256"] = _UNSIGNED
        _UnsignedPayload(credentials, "s3", REGION).add_auth(request)
    else:
        request.headers["x-amz-content-sha256"] = hashlib.sha256(body or b"").hexdigest()
        S3SigV4Auth(credentials, "s3", REGION).add_auth(request)
    lines = [f"{method} {target} HTTP/1.1", f"Host: {endpoint.host}"]
    lines += [f"{name}: {value}" for name, value in request.headers.items()]
    if length is not None or body is not None:
        lines.append(f"Content-Length: {len(body) if body is not None else length}")
    return "\r\n".join([*lines, "", ""]).encode()
