"""One client request and what has been learnt of it, and the services a handler works with."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from aiohttp import web
from multidict import CIMultiDict

from sseproxy.format.names import ObjectName
from sseproxy.keys.keymaster import Keymaster
from sseproxy.keys.keyring import KeyringService
from sseproxy.metrics import Metrics
from sseproxy.proxy.buffers import BufferPool
from sseproxy.proxy.cache import AttributeCache, ListedEntries, OpenedEnvelopes
from sseproxy.proxy.manifests import Manifests
from sseproxy.proxy.policy import BucketPolicy, Policies, refuse_by_documents
from sseproxy.proxy.server import S3RequestHandler, WholeAnswer
from sseproxy.proxy.uploads import RecentUploads
from sseproxy.s3.addressing import Addressing, Target
from sseproxy.s3.faults import Fault, S3Error
from sseproxy.s3.headers import forwarded_query
from sseproxy.s3.operations import Operation
from sseproxy.s3.request import Dialect, RequestHead
from sseproxy.s3.sigv4 import ChunkSigner
from sseproxy.s3.sse import SseMode, SseRequest
from sseproxy.secret import Secret
from sseproxy.store.objects import ObjectStore, StoreBody, StoreCredential, StoreResponse
from sseproxy.store.system import SystemBucket

# The writes that s3:PutObject is about and that say how to encrypt; parts follow their upload.
_CREATES = frozenset(
    {
        Operation.PutObject,
        Operation.PostObject,
        Operation.CopyObject,
        Operation.CreateMultipartUpload,
    }
)


@dataclass(frozen=True, slots=True)
class Client:
    """A client's key, and the store key that its requests are signed with.

    session_token: what every request of a temporary key must carry, else none may.
    """

    access_key: str
    secret: Secret
    store_credential: StoreCredential
    session_token: Secret | None = None

    @property
    def names(self) -> frozenset[str]:
        """What a bucket policy may call it: its access key, here and at the store."""
        return frozenset({self.access_key, self.store_credential.access_key})


class CredentialSource(Protocol):
    """Where clients are looked up that the configuration does not name."""

    async def find(self, access_key: str, session_token: str | None) -> Client:
        """The client that may use both. Raises S3Error: InvalidAccessKeyId, and other ones."""
        ...


@dataclass(frozen=True, slots=True)
class Limits:
    """max_requests: served at a time; then SlowDown. listing_looks: look-ups at a time for a
    listing. client_idle_s: seconds between two pieces of a client's body."""

    max_requests: int = 1000
    listing_looks: int = 32
    client_idle_s: float = 60.0


@dataclass(frozen=True, slots=True)
class StoreLimits:
    """What the probe found that this store can't keep, so that it is refused, not mangled.

    folds_slashes, folds_leading_slash: `a//b`, `/a` would replace `a/b`, `a`. drops_folder_bodies:
    an object whose key ends with "/" loses its data. metadata_bytes: of user metadata, or None.
    has_minio_api: paths below `/minio/` are not a bucket's.
    """

    folds_slashes: bool = False
    folds_leading_slash: bool = False
    drops_folder_bodies: bool = False
    metadata_bytes: int | None = None
    has_minio_api: bool = True

    def check_key(self, key: str) -> None:
        """Raise S3Error for a key that the store would take for another one."""
        if (self.folds_slashes and "//" in key) or (
            self.folds_leading_slash and key.startswith("/")
        ):
            raise S3Error(
                Fault.InvalidArgument,
                "This object store can't keep keys with empty components apart from others.",
            )

    def is_bare_folder(self, key: str, plain_length: int) -> bool:
        """An empty "folder" object of a store that keeps nothing else under such a key.

        There is no data to encrypt. Raises S3Error (InvalidArgument) if there is.
        """
        if not (self.drops_folder_bodies and key.endswith("/")):
            return False
        if plain_length:
            raise S3Error(
                Fault.InvalidArgument,
                "This object store loses the data of objects whose key ends with '/'.",
            )
        return True

    def check_metadata(self, headers: Mapping[str, str]) -> None:
        """Raise S3Error (MetadataTooLarge) for more user metadata than the store takes."""
        size = sum(
            len(name) + len(value.encode("utf-8", "surrogateescape"))
            for name, value in headers.items()
            if name.startswith("x-amz-meta-")
        )
        if self.metadata_bytes is not None and size > self.metadata_bytes:
            raise S3Error(
                Fault.MetadataTooLarge,
                Size=str(size),
                MaxSizeAllowed=str(self.metadata_bytes),
            )


@dataclass(slots=True)
class Services:
    """What handlers work with; built once, by `sseproxy.app`."""

    store: ObjectStore
    clients: Mapping[str, Client]
    keys: KeyringService
    keymaster: Keymaster
    policies: Policies
    addressing: Addressing
    metrics: Metrics
    system_bucket: str
    service_credential: StoreCredential
    records: SystemBucket
    clock: Callable[[], datetime]
    cache: AttributeCache
    opened: OpenedEnvelopes
    listed: ListedEntries
    manifests: Manifests
    buffers: BufferPool
    credential_source: CredentialSource | None = None
    allow_sigv2: bool = True
    refused_hosts: frozenset[str] = frozenset()
    accepted_hosts: frozenset[str] = frozenset()
    trusted_proxies: Callable[[str], bool] = field(default=lambda _peer: False)
    allow_insecure_ssec: bool = False
    administrators: frozenset[str] = frozenset()
    passes_store_paths: bool = False
    exact_listing: bool = True
    metadata_listing: bool = False
    limits: Limits = field(default_factory=Limits)
    store_limits: StoreLimits = field(default_factory=StoreLimits)
    # Each holds a part of 8 MiB (sseproxy/proxy/unsized.py).
    unsized_slots: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(32))
    recent_uploads: RecentUploads = field(default_factory=RecentUploads)
    in_flight: int = 0

    def name(self, bucket: str, key: str) -> ObjectName:
        """The name sealed into the envelope of `bucket`/`key`."""
        return ObjectName(self.policies.identity(bucket), key)


def _new_request_id() -> str:
    # Not a secret; and Python draws the seed afresh after a fork.
    return f"{random.getrandbits(64):016X}"


@dataclass(slots=True)
class Exchange:
    """One request on its way through the proxy."""

    request: web.BaseRequest
    services: Services
    request_id: str = field(default_factory=_new_request_id)
    started: float = field(default_factory=time.monotonic)
    dialect: Dialect = Dialect.S3
    head: RequestHead = None  # type: ignore[assignment]  # set by the dispatcher's first step
    target: Target = field(default_factory=lambda: Target(None, None))
    operation: Operation = Operation.UnknownService
    client: Client | None = None
    chunk_signer: ChunkSigner | None = None
    signature_version: int | None = None  # 4 or 2; None if anonymous
    mode: SseMode = SseMode.NONE
    response: web.StreamResponse | None = None
    first_byte: float | None = None
    continue_sent: bool = False
    listed_by_proxy: bool = False
    cut: bool = False

    @property
    def bucket(self) -> str:
        assert self.target.bucket is not None, "the operation has a bucket"
        return self.target.bucket

    @property
    def key(self) -> str:
        assert self.target.key is not None, "the operation has an object"
        return self.target.key

    @property
    def policy(self) -> BucketPolicy:
        return self.services.policies.of(self.bucket)

    def mode_of_write(self, asked: SseRequest) -> SseMode:
        """The mode of a write: header, then what is set by API, then the YAML; and its rules.

        Raises S3Error (AccessDenied, ...) for what YAML, BlockedEncryptionTypes or bucket policy
        refuse; KeyringStale, so 503, when the settings are too old to know.
        """
        if self.policy.passthrough:
            return self.policy.mode_of_write(asked)
        self.services.keys.for_writing()
        by_api = self.services.keys.settings.of(self.bucket)
        if self.operation in _CREATES and by_api.policies:
            resource = f"{self.bucket}/{self.key}"
            refuse_by_documents(by_api, asked, self.user_names, resource)
        return self.policy.mode_of_write(asked, by_api)

    @property
    def writes_stay_plain(self) -> bool:
        """A write without SSE headers is stored as it comes."""
        by_api = self.services.keys.settings.of(self.bucket)
        return self.policy.writes_stay_plain(by_api)

    @property
    def user_names(self) -> frozenset[str]:
        """What a bucket policy may call the client; nothing for an anonymous request."""
        return frozenset() if self.client is None else self.client.names

    @property
    def name(self) -> ObjectName:
        return self.services.name(self.bucket, self.key)

    @property
    def credential(self) -> StoreCredential | None:
        """The store key this request is re-signed with; None for an anonymous one."""
        return self.client.store_credential if self.client else None

    @property
    def anonymous(self) -> bool:
        return self.client is None

    @property
    def over_tls(self) -> bool:
        """This very connection is TLS (a terminator in front is not)."""
        transport = self.request.transport
        return transport is not None and transport.get_extra_info("sslcontext") is not None

    def query_to_store(self) -> list[tuple[str, str]]:
        """The client's query without what authenticated it."""
        return forwarded_query(self.head.query)

    async def send(
        self,
        method: str,
        headers: Mapping[str, str],
        *,
        query: list[tuple[str, str]] | None = None,
        body: StoreBody = None,
        content_length: int | None = None,
    ) -> StoreResponse:
        """The same target at the store, as this client's store key."""
        return await self.services.store.send(
            self.credential,
            method,
            self.target.bucket,
            self.target.key,
            query=self.query_to_store() if query is None else query,
            headers=headers,
            body=body,
            content_length=content_length,
        )

    def anonymous_denied(self) -> S3Error:
        """The one answer to an anonymous request that touches an encrypted object."""
        self.services.metrics.anonymous_denials.labels(self.operation.value).inc()
        return S3Error(Fault.AccessDenied)

    async def begin(self, status: int, headers: CIMultiDict[str]) -> web.StreamResponse:
        """Send the head of a streamed answer."""
        response = web.StreamResponse(status=status, headers=self._named(headers))
        self.response = response
        transport = self.request.transport
        if transport is not None and not self.over_tls:
            # A buffer may be reused only when the transport holds none of it.
            transport.set_write_buffer_limits(0)
        await response.prepare(self.request)
        self.first_byte = time.monotonic()
        return response

    async def write(self, view: bytes | memoryview) -> None:
        """Send body bytes; when this returns, the buffer is the caller's again."""
        assert self.response is not None
        # A TLS transport does not resume at a limit of 0, and may keep what it is given: it gets
        # a copy, which costs little beside the encryption.
        await self.response.write(bytes(view) if self.over_tls else view)
        await self.request.writer.drain()

    def answer(
        self, status: int, headers: Mapping[str, str] | None = None, body: bytes | bytearray = b""
    ) -> web.StreamResponse:
        """A short answer in one write."""
        named = self._named(CIMultiDict(headers or {}))
        if status in (204, 304):
            named.popall("content-type", None)
        response = WholeAnswer(status, named, body)
        self.response = response
        return response

    def _named(self, headers: CIMultiDict[str]) -> CIMultiDict[str]:
        headers.setdefault(f"{self.dialect.prefix}request-id", self.request_id)
        headers["server"] = "sseproxy"
        return headers

    def send_continue(self) -> None:
        """Ask for the body of a client that waits with it, once it is known to be wanted."""
        if not self.continue_sent:
            self.continue_sent = True
            transport = self.request.transport
            if self.waits_for_continue and transport is not None:
                transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    @property
    def waits_for_continue(self) -> bool:
        return self.head.headers.get("expect", "").lower() == "100-continue"

    def abandon_body(self) -> None:
        """The answer comes without the body having been read: the connection ends with it."""
        if self.request.content.is_eof():
            return
        if self.response is not None:
            self.response.force_close()
        protocol = self.request.protocol
        assert isinstance(protocol, S3RequestHandler)
        protocol.abandon_body()
        if self.head is not None and self.waits_for_continue and not self.continue_sent:
            protocol.dont_linger()
