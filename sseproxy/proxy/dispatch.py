"""One request from its head to its answer: classify, authenticate, handle, account."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace

from aiohttp import web
from aiohttp.http_exceptions import BadStatusLine, HttpProcessingError, LineTooLong

from sseproxy.errors import CustomerKeyMissing, CustomerKeyWrong, IntegrityError, StoreError
from sseproxy.proxy import (
    attributes,
    bucket_encryption,
    bucket_policy,
    complete,
    copy,
    copy_part,
    create_upload,
    delete,
    get,
    listing,
    multipart,
    parts,
    passthrough,
    post,
    put,
    store_paths,
)
from sseproxy.proxy.authenticate import authenticate
from sseproxy.proxy.exchange import Exchange, Services
from sseproxy.proxy.owners import bind_owners
from sseproxy.proxy.policy import NEVER_ENCRYPTED
from sseproxy.proxy.translate import to_s3_error
from sseproxy.proxy.update_encryption import update_object_encryption
from sseproxy.s3 import sse
from sseproxy.s3.addressing import Target
from sseproxy.s3.faults import Fault, S3Error, error_xml
from sseproxy.s3.headers import hoisted_headers
from sseproxy.s3.operation_routes import SOURCE_HEADERS
from sseproxy.s3.operations import Operation, classify
from sseproxy.s3.request import Dialect, RequestHead, decode, make_head

log = logging.getLogger("sseproxy")

Handler = Callable[[Exchange], Awaitable[web.StreamResponse]]

# What is not here and writes no object data passes through.
HANDLERS: dict[Operation, Handler] = {
    Operation.GetObject: get.get_object,
    Operation.HeadObject: get.get_object,
    Operation.PutObject: put.put_object,
    Operation.PostObject: post.post_object,
    Operation.CopyObject: copy.copy_object,
    Operation.DeleteObject: delete.delete_object,
    Operation.UpdateObjectEncryption: update_object_encryption,
    Operation.GetObjectAttributes: attributes.get_object_attributes,
    Operation.ListBuckets: passthrough.list_buckets,
    Operation.ListObjects: listing.list_objects,
    Operation.ListObjectsV2: listing.list_objects,
    Operation.ListObjectVersions: listing.list_objects,
    Operation.CreateMultipartUpload: create_upload.create_multipart_upload,
    Operation.UploadPart: multipart.upload_part,
    Operation.UploadPartCopy: copy_part.upload_part_copy,
    Operation.CompleteMultipartUpload: complete.complete_multipart_upload,
    Operation.AbortMultipartUpload: multipart.abort_multipart_upload,
    Operation.ListParts: parts.list_parts,
    Operation.GetBucketEncryption: bucket_encryption.get_bucket_encryption,
    Operation.PutBucketEncryption: bucket_encryption.put_bucket_encryption,
    Operation.DeleteBucketEncryption: bucket_encryption.delete_bucket_encryption,
    Operation.DeleteBucket: bucket_encryption.delete_bucket,
    Operation.GetBucketPolicy: bucket_policy.get_bucket_policy,
    Operation.PutBucketPolicy: bucket_policy.put_bucket_policy,
    Operation.DeleteBucketPolicy: bucket_policy.delete_bucket_policy,
    Operation.SelectObjectContent: passthrough.plain_data_only,
    Operation.GetObjectTorrent: passthrough.plain_data_only,
    Operation.UnknownObjectRead: passthrough.plain_data_only,
    Operation.GetObjectAnnotation: passthrough.plain_data_only,
    Operation.ListObjectAnnotations: passthrough.plain_data_only,
    Operation.UnknownBucketWrite: passthrough.unknown_bucket_write,
    Operation.DeleteObjects: delete.delete_objects,
    # These hand out keys of the store, or belong to services that the proxy is not.
    Operation.CreateSession: passthrough.not_implemented,
    Operation.UnknownService: passthrough.not_implemented,
    Operation.WriteGetObjectResponse: passthrough.not_implemented,
    Operation.RestoreObject: passthrough.plain_data_only,
}

# Copies read another bucket, whose objects the proxy may have to open, and a form is signed with
# a key that the store doesn't know: handled here also where all else passes.
_NEVER_PASSED = frozenset({Operation.CopyObject, Operation.UploadPartCopy, Operation.PostObject})
# What lies there at MinIO is no bucket but its admin API, which takes the same signatures.
_MINIO_API = "minio"


def handler_of(operation: Operation) -> Handler:
    """The handler of an operation: an object write that no handler knows is refused."""
    known = HANDLERS.get(operation)
    if known is not None:
        return known
    return passthrough.not_implemented if operation.writes_object_data else passthrough.passthrough


class Dispatcher:
    """The request handler of the S3 port. Never raises for what a client or the store does."""

    def __init__(self, services: Services) -> None:
        self._services = services
        services.metrics.in_flight.set_function(lambda: services.in_flight)

    async def __call__(self, request: web.BaseRequest) -> web.StreamResponse:
        exchange = Exchange(request, self._services)
        self._services.in_flight += 1
        try:
            if self._services.in_flight > self._services.limits.max_requests:
                raise S3Error(Fault.SlowDown)
            response = await self._answer(exchange)
        except asyncio.CancelledError:
            raise
        except Exception as error:
            response = self._failed(exchange, error)
        finally:
            self._services.in_flight -= 1
        exchange.abandon_body()
        self._account(exchange, "cut" if exchange.cut else str(response.status))
        return response

    def error_page(self, status: int, error: BaseException | None) -> web.StreamResponse:
        """The answer to what the HTTP parser refused, or to a defect of ours."""
        fault = S3Error(Fault.InternalError)
        if isinstance(error, LineTooLong):
            fault = S3Error(Fault.RequestHeaderSectionTooLarge)
        elif isinstance(error, HttpProcessingError) or status == 400:
            text = "bad request line" if isinstance(error, BadStatusLine) else "malformed HTTP"
            fault = S3Error(Fault.BadRequest, f"The request could not be understood: {text}.")
        else:
            log.error("unhandled failure", exc_info=error)
        self._services.metrics.requests.labels(
            Operation.UnknownService.value, "none", Dialect.S3.value, str(fault.status)
        ).inc()
        return web.Response(
            status=fault.status,
            body=error_xml(fault, resource="", request_id=""),
            headers={"content-type": "application/xml", "server": "sseproxy"},
        )

    async def _answer(self, exchange: Exchange) -> web.StreamResponse:
        request, services = exchange.request, self._services
        headers = [(n.decode("latin-1"), _text(v)) for n, v in request.raw_headers]
        exchange.head = make_head(
            request.method, request.raw_path, headers, secure=self._secure(request)
        )
        if any(name.startswith(Dialect.COS.prefix) for name in exchange.head.headers):
            exchange.dialect = Dialect.COS
        passed = store_paths.is_store_path(exchange)
        exchange.target = (
            Target(None, exchange.head.raw_path[1:])
            if passed
            else services.addressing.resolve(exchange.head)
        )
        # Pre-signing moves headers into the query; they mean the same there, and decide as much.
        hoisted = _hoisted(exchange.head) if exchange.head.query else {}
        merged = hoisted | exchange.head.headers
        exchange.operation = classify(
            exchange.head.method, exchange.target, exchange.head.query, merged
        )
        try:
            if not (passed and store_paths.has_store_token(exchange)):
                await authenticate(exchange)
        except S3Error as error:
            services.metrics.authentication_failures.labels(error.fault.name).inc()
            raise
        if hoisted:
            exchange.head = replace(exchange.head, headers=merged)
        if passed:
            return await store_paths.pass_store_path(exchange)
        if exchange.target.bucket is not None:
            _refuse_reserved(exchange, services.system_bucket)
            bind_owners(exchange)
            if exchange.target.key is not None:
                services.store_limits.check_key(exchange.target.key)
            if exchange.policy.passthrough and exchange.operation not in _NEVER_PASSED:
                _refuse_encryption(exchange)
                return await passthrough.passthrough(exchange)
        return await handler_of(exchange.operation)(exchange)

    def _secure(self, request: web.BaseRequest) -> bool:
        transport = request.transport
        if transport is None:
            return False
        if request.protocol.ssl_context is not None:
            return True
        if "x-forwarded-proto" not in request.headers:
            return False
        peer = transport.get_extra_info("peername")
        # One that a client made up may stand beside the terminator's own.
        forwarded = ",".join(request.headers.getall("x-forwarded-proto", ())).lower().split(",")
        return (
            all(scheme.strip() == "https" for scheme in forwarded)
            and isinstance(peer, tuple)
            and self._services.trusted_proxies(str(peer[0]))
        )

    def _failed(self, exchange: Exchange, error: Exception) -> web.StreamResponse:
        """The error's answer; or, when one has begun, an end that nobody takes for clean."""
        self._count(exchange, error)
        fault = to_s3_error(error, exchange.dialect)
        if fault.status >= 500 and not isinstance(error, S3Error):
            log.warning(
                "%s %s %s failed: %s: %s",
                exchange.request_id,
                exchange.operation.value,
                exchange.head.raw_path if exchange.head is not None else "",
                type(error).__name__,
                error,
                exc_info=fault.fault is Fault.InternalError and not _expected(error),
            )
        begun = exchange.response
        if begun is not None and begun.prepared:
            transport = exchange.request.transport
            if transport is not None:
                transport.abort()
            exchange.cut = True
            return begun
        head = exchange.head
        headers = {"content-type": "application/xml", **fault.headers}
        body = error_xml(
            fault,
            resource=head.raw_path if head is not None else "",
            request_id=exchange.request_id,
            dialect=exchange.dialect,
        )
        if fault.status == 304 or exchange.request.method == "HEAD":
            body = b""
        return exchange.answer(fault.status, headers, body)

    def _count(self, exchange: Exchange, error: Exception) -> None:
        metrics = self._services.metrics
        if isinstance(error, IntegrityError):
            metrics.integrity_failures.labels(error.reason).inc()
        elif isinstance(error, CustomerKeyMissing | CustomerKeyWrong):
            metrics.authentication_failures.labels(type(error).__name__).inc()
        elif isinstance(error, StoreError):
            metrics.store_error(error)

    def _account(self, exchange: Exchange, status: str) -> None:
        metrics, now = self._services.metrics, time.monotonic()
        metrics.answered(
            exchange.operation.value,
            exchange.mode.value,
            exchange.dialect.value,
            status,
            first_byte_s=(exchange.first_byte or now) - exchange.started,
            total_s=now - exchange.started,
        )


def _expected(error: Exception) -> bool:
    """A failure that the exception tree knows: its message says all, a traceback adds nothing."""
    return type(error).__module__.startswith("sseproxy.")


def _hoisted(head: RequestHead) -> dict[str, str]:
    return {**hoisted_headers(head.query), **sse.hoisted_headers(head.query)}


def _refuse_reserved(exchange: Exchange, system_bucket: str) -> None:
    """Raise S3Error for buckets that no client may address, as target or as another's source."""
    bucket = exchange.bucket.lower()  # a store whose host names carry buckets folds their case
    if bucket == system_bucket:
        if exchange.operation is Operation.CreateBucket:
            raise S3Error(Fault.BucketAlreadyExists)
        raise S3Error(Fault.NoSuchBucket)
    if bucket == _MINIO_API and exchange.services.store_limits.has_minio_api:
        raise S3Error(Fault.InvalidBucketName, "The bucket name is MinIO's, for its own API.")
    for name in SOURCE_HEADERS & exchange.head.headers.keys():
        path = decode(exchange.head.headers[name]).lstrip("/")
        if path.partition("/")[0].lower() == system_bucket:
            raise S3Error(Fault.NoSuchBucket)


def _refuse_encryption(exchange: Exchange) -> None:
    """Raise S3Error if encryption is asked of a bucket that the proxy stays out of.

    Its headers never reach the store, so the object would be stored in plaintext without a word.
    """
    if any(sse.is_sse_header(name) for name in exchange.head.headers):
        raise S3Error(Fault.InvalidRequest, NEVER_ENCRYPTED)


def _text(value: bytes) -> str:
    return value.decode("utf-8", "surrogateescape")
