"""S3 requests to the store: path or virtual-host style, signed afresh or anonymous."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum
from types import TracebackType
from typing import Protocol, Self

from sseproxy.s3.faults import Fault, S3Error
from sseproxy.s3.request import encode_key, encode_query
from sseproxy.s3.sigv4 import RequestSigner
from sseproxy.secret import Secret
from sseproxy.store.client import HttpPool
from sseproxy.store.connection import Buffer
from sseproxy.store.response import READ_LIMIT_BYTES

UNSIGNED_PAYLOAD = "UNSIGNED-PAYLOAD"
_MAX_SIGNERS = 4096

StoreBody = bytes | AsyncIterator[Buffer] | None


@dataclass(frozen=True, slots=True)
class StoreCredential:
    """A key pair of the store's, with which requests to it are signed.

    session_token: of temporary keys; sent, and signed, with every request.
    """

    access_key: str
    secret: Secret
    session_token: Secret | None = None


class StoreResponse(Protocol):
    """The store's answer; see HttpResponse, which is one."""

    @property
    def status(self) -> int: ...
    @property
    def headers(self) -> dict[str, str]: ...
    @property
    def content_length(self) -> int | None: ...
    async def readinto(self, view: memoryview) -> int: ...
    async def read(self, limit: int = READ_LIMIT_BYTES) -> bytes: ...
    def release(self) -> None: ...
    async def __aenter__(self) -> Self: ...
    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None: ...


class ObjectStore(Protocol):
    """What the rest of the product knows of a store."""

    async def send(
        self,
        credential: StoreCredential | None,
        method: str,
        bucket: str | None,
        key: str | None,
        *,
        query: Sequence[tuple[str, str]] = (),
        headers: Mapping[str, str] = {},
        body: StoreBody = None,
        content_length: int | None = None,
    ) -> StoreResponse:
        """Send one request; see S3Store.send."""
        ...


class Addressing(Enum):
    """Where the bucket's name goes."""

    PATH = "path"
    VIRTUAL = "virtual"


def _utc_now() -> datetime:
    return datetime.now(UTC)


class S3Store:
    """An ObjectStore that speaks S3 over an HttpPool.

    sign_payloads: cover bodies that are at hand as bytes with the signature; without it, and for
    streamed ones always, UNSIGNED-PAYLOAD (sealed bytes carry their own tags).
    """

    def __init__(
        self,
        pool: HttpPool,
        *,
        region: str = "us-east-1",
        addressing: Addressing = Addressing.PATH,
        sign_payloads: bool = False,
        clock: Callable[[], datetime] = _utc_now,
    ) -> None:
        self._pool, self._region, self._addressing = pool, region, addressing
        self._sign_payloads, self._clock = sign_payloads, clock
        self._signers: dict[str, tuple[Secret, RequestSigner]] = {}

    @property
    def host(self) -> str:
        """Host and port as in the Host header: a client that signed this one is refused."""
        return self._pool.host

    async def send(
        self,
        credential: StoreCredential | None,
        method: str,
        bucket: str | None,
        key: str | None,
        *,
        query: Sequence[tuple[str, str]] = (),
        headers: Mapping[str, str] = {},
        body: StoreBody = None,
        content_length: int | None = None,
    ) -> StoreResponse:
        """Send one request, signed with the credential or, with None, anonymous.

        key and query: decoded; encoded here, and never normalised. headers: names lower-case,
        sent as given. A streamed body needs content_length. Raises what HttpPool.request does.
        """
        host, path = self._place(bucket, key)
        sent = dict(headers)
        if credential is not None:
            if credential.session_token is not None:
                sent["x-amz-security-token"] = credential.session_token.reveal().decode()
            payload_hash = UNSIGNED_PAYLOAD
            if self._sign_payloads and (body is None or isinstance(body, bytes)):
                payload_hash = hashlib.sha256(body or b"").hexdigest()
            signer = self._signer(credential)
            sent |= signer.sign(
                method, host, path, query, sent, payload_hash=payload_hash, now=self._clock()
            )
        sent["host"] = host
        if content_length is not None:
            sent["content-length"] = str(content_length)
        target = f"{path}?{encode_query(query)}" if query else path
        return await self._pool.request(method, target, sent.items(), body)

    def _place(self, bucket: str | None, key: str | None) -> tuple[str, str]:
        host = self._pool.host
        if bucket is None:
            # With a key, a path of the store's own that is in no bucket.
            return host, "/" + encode_key(key or "")
        path = "/" if key is None else "/" + encode_key(key)
        if self._addressing is Addressing.VIRTUAL:
            if bucket != bucket.lower():
                # Host names have no case: another spelling would pass by the bucket's own rules.
                raise S3Error(Fault.InvalidBucketName)
            return f"{bucket}.{host}", path
        name = encode_key(bucket)
        return host, f"/{name}" if key is None else f"/{name}{path}"

    def _signer(self, credential: StoreCredential) -> RequestSigner:
        known = self._signers.get(credential.access_key)
        if known is not None and known[0] == credential.secret:
            return known[1]
        if len(self._signers) >= _MAX_SIGNERS:
            self._signers.clear()
        signer = RequestSigner(credential.access_key, credential.secret, self._region)
        self._signers[credential.access_key] = credential.secret, signer
        return signer
