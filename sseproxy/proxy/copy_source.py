"""The source of a copy: what the request names, and what a copy takes over from it."""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from aiohttp import web

from sseproxy.proxy.exchange import Exchange
from sseproxy.proxy.get import admit_key
from sseproxy.proxy.lookup import Look, content_range, look
from sseproxy.proxy.pinning import client_etag
from sseproxy.proxy.plaintext import Span, stored_range
from sseproxy.proxy.policy import refuse_plaintext
from sseproxy.proxy.store_error import store_error
from sseproxy.s3.conditions import Outcome, evaluate, parse_conditions, parse_http_date
from sseproxy.s3.faults import Fault, S3Error
from sseproxy.s3.headers import (
    RESERVED_METADATA,
    forwarded_request_headers,
    is_reserved,
    without_digests,
)
from sseproxy.s3.request import encode_key, encode_query
from sseproxy.s3.sse import CustomerKey
from sseproxy.store.answers import parse_xml, text
from sseproxy.store.objects import StoreResponse

HEADER = "x-amz-copy-source"
_COS_HEADER = "x-cos-copy-source"
_ATTEMPTS = 5
_TAG_ERRORS_IGNORED = (404, 405, 501)
# What S3 calls system metadata that a copy takes over, and a REPLACE directive replaces.
_METADATA = (
    "content-type",
    "cache-control",
    "content-disposition",
    "content-encoding",
    "content-language",
    "expires",
)


@dataclass(frozen=True, slots=True)
class CopySource:
    """An object named by `x-amz-copy-source`. version: its version id, or ""."""

    bucket: str
    key: str
    version: str

    @property
    def encoded(self) -> str:
        """The header's value for the store."""
        path = f"/{encode_key(self.bucket)}/{encode_key(self.key)}"
        return f"{path}?{encode_query(self.query)}" if self.version else path

    @property
    def query(self) -> list[tuple[str, str]]:
        """Names the version in a request for the source itself."""
        return [("versionId", self.version)] if self.version else []

    def is_target(self, exchange: Exchange) -> bool:
        """The copy is one of an object onto itself."""
        return (self.bucket, self.key) == (exchange.bucket, exchange.key) and not self.version


@dataclass(frozen=True, slots=True)
class Directives:
    """Whether the copy's metadata and tags are those of the request instead of the source's."""

    replace_metadata: bool
    replace_tags: bool


def parse_copy_source(exchange: Exchange) -> CopySource:
    """The source. Raises S3Error: InvalidArgument, NoSuchBucket for the system bucket."""
    services = exchange.services
    value = exchange.head.headers.get(HEADER)
    if value is None or _COS_HEADER in exchange.head.headers:
        # Two sources, of which a store may take either.
        raise S3Error(Fault.NotImplemented, f"Copies are asked for with {HEADER} only.")
    target, version = services.addressing.resolve_copy_source(value)
    assert target.bucket is not None, "resolve_copy_source names an object"
    assert target.key is not None, "resolve_copy_source names an object"
    if target.bucket == services.system_bucket:
        raise S3Error(Fault.NoSuchBucket)
    services.store_limits.check_key(target.key)
    return CopySource(target.bucket, target.key, version or "")


def parse_directives(exchange: Exchange) -> Directives:
    """The directives of a CopyObject. Raises S3Error (InvalidArgument) for unknown ones."""
    return Directives(_replaces(exchange, "metadata"), _replaces(exchange, "tagging"))


def _replaces(exchange: Exchange, what: str) -> bool:
    header = f"x-amz-{what}-directive"
    value = exchange.head.headers.get(header, "COPY").upper()
    if value not in ("COPY", "REPLACE"):
        raise S3Error(Fault.InvalidArgument, f"Unknown {what} directive.", ArgumentName=header)
    return value == "REPLACE"


class SourceChanged(S3Error):
    """Another write came in between the look at a source and the copy: to be begun anew."""

    def __init__(self) -> None:
        super().__init__(Fault.ServiceUnavailable, "The source changed while it was copied.")


async def while_it_changes(copy: Callable[[], Awaitable[web.StreamResponse]]) -> web.StreamResponse:
    """A copy, begun anew a few times if its source has changed: S3 copies what there is.

    Raises SourceChanged if the source keeps changing.
    """
    for _ in range(_ATTEMPTS - 1):
        with contextlib.suppress(SourceChanged):
            return await copy()
    return await copy()


async def look_at_source(
    exchange: Exchange, source: CopySource, source_key: CustomerKey | None
) -> Look:
    """What is to be copied: it is there, may be read with this key, and meets the conditions.

    Raises S3Error: the store's own error, PreconditionFailed, InvalidRequest for a delete marker
    or a key that the source doesn't have; CustomerKeyMissing, CustomerKeyWrong, IntegrityError.
    """
    services = exchange.services
    seen = await look(services, exchange.credential, source.bucket, source.key, source.version)
    if seen.status == 405 and source.version:
        raise S3Error(
            Fault.InvalidRequest,
            "The source of a copy request may not specifically refer to a delete marker by "
            "version id.",
        )
    if not seen.found:
        raise store_error(seen.status, seen.body)
    if seen.sealed is not None:
        admit_key(services, seen.sealed, source_key)
    else:
        refuse_plaintext(services.policies.of(source.bucket))
        if source_key is not None:
            raise S3Error(Fault.InvalidRequest, "The source object has no customer key.")
    asked = parse_conditions(exchange.head.headers, f"{HEADER}-")
    modified = parse_http_date(seen.headers.get("last-modified", ""))
    if asked and (
        evaluate(asked, client_etag(seen), modified, reading=False) is not Outcome.PROCEED
    ):
        raise S3Error(Fault.PreconditionFailed)
    return seen


async def open_source(
    exchange: Exchange, source: CopySource, seen: Look, span: Span
) -> StoreResponse:
    """The source's stored bytes of a plain span, of the very object that was looked at.

    None is the whole object. Raises SourceChanged.
    """
    stored = span if seen.sealed is None else stored_range(seen.sealed, span)
    headers = {"x-amz-checksum-mode": "ENABLED"} if seen.sealed is None else {}
    if "etag" in seen.headers:
        headers["if-match"] = seen.headers["etag"]
    if stored is not None:
        headers["range"] = f"bytes={stored[0]}-{stored[1] - 1}"
    response = await exchange.services.store.send(
        exchange.credential, "GET", source.bucket, source.key, query=source.query, headers=headers
    )
    if not _is_as_seen(response, seen, stored):
        response.release()
        raise SourceChanged
    return response


def was_pinned(exchange: Exchange, response: StoreResponse) -> bool:
    """Whether a store's refusal can only be of the pin to what was looked at.

    The client's own conditions on the source go along, and the store may judge them otherwise.
    """
    conditional = any(name.startswith(f"{HEADER}-if-") for name in exchange.head.headers)
    return response.status == 412 and not conditional


def _is_as_seen(response: StoreResponse, seen: Look, stored: Span) -> bool:
    encoded = seen.sealed.encoded if seen.sealed is not None else None
    length = response.content_length
    if response.headers.get(RESERVED_METADATA) != encoded or length is None:
        return False
    if stored is None:
        sealed_size = seen.sealed.sealed_size if seen.sealed is not None else length
        return response.status == 200 and length == sealed_size
    return (
        response.status == 206
        and length == stored[1] - stored[0]
        and content_range(response.headers)[0] == stored[0]
    )


def copied_headers(exchange: Exchange, seen: Look, directives: Directives) -> dict[str, str]:
    """Headers of the new object: the source's metadata or the request's, as the directive says.

    Without the copy's own headers (source, directives, conditions, tags) and without digests.
    ACL, storage class, website redirect and object lock are never the source's, as in S3.
    """
    asked = {
        name: value
        for name, value in without_digests(forwarded_request_headers(exchange.head.headers)).items()
        if not name.startswith(HEADER)
        and not name.endswith("-directive")
        and name not in ("if-match", "if-none-match", "x-amz-tagging")
    }
    if directives.replace_metadata:
        return asked
    kept = {n: v for n, v in asked.items() if not is_metadata(n)}
    return kept | {n: v for n, v in seen.headers.items() if is_metadata(n)}


def is_metadata(name: str) -> bool:
    """A header that a copy takes over from its source; never the proxy's own entry."""
    return name in _METADATA or (name.startswith("x-amz-meta-") and not is_reserved(name))


async def new_tags(exchange: Exchange, source: CopySource, directives: Directives) -> str | None:
    """The new object's tags as `x-amz-tagging` has them, or None: the source's, or the request's.

    Raises S3Error (AccessDenied) where the client may not read the source's tags.
    """
    if directives.replace_tags:
        return exchange.head.headers.get("x-amz-tagging")
    return await tags_of(exchange, source)


async def tags_of(exchange: Exchange, source: CopySource) -> str | None:
    """The tags of an object as `x-amz-tagging` has them; None if it, or the store, has none."""
    response = await exchange.services.store.send(
        exchange.credential,
        "GET",
        source.bucket,
        source.key,
        query=[("tagging", ""), *source.query],
    )
    async with response:
        body = await response.read()
    if response.status in _TAG_ERRORS_IGNORED:
        return None
    if response.status != 200:
        raise S3Error(Fault.AccessDenied, "The tags of the source can't be read.")
    tags = [(text(tag, "Key"), text(tag, "Value")) for tag in parse_xml(body).iter("{*}Tag")]
    return encode_query(tags) or None
