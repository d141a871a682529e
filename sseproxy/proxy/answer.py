"""Answers that carry an object or what is known of it, as the client must see them."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache

from aiohttp import web
from multidict import CIMultiDict

from sseproxy.errors import IntegrityError
from sseproxy.proxy.cache import SealedObject
from sseproxy.proxy.exchange import Exchange
from sseproxy.proxy.lookup import sse_mode
from sseproxy.s3 import sse
from sseproxy.s3.checksums import checksum_headers
from sseproxy.s3.headers import RESERVED_METADATA, forwarded_response_headers
from sseproxy.s3.operations import Operation
from sseproxy.s3.ranges import content_range
from sseproxy.s3.request import Dialect
from sseproxy.s3.sse import CustomerKey, SseMode
from sseproxy.store.objects import StoreResponse

_ONE_WRITE_BYTES = 64 * 1024
_RELAY_BYTES = 256 * 1024


def sse_headers(exchange: Exchange, mode: SseMode, customer: CustomerKey | None) -> dict[str, str]:
    """What tells the client how the object is encrypted."""
    exchange.mode = mode
    return sse.response_headers(
        mode, exchange.dialect, customer_md5=customer.md5_b64 if customer else None
    )


def quoted(etag: str | None) -> str:
    return f'"{etag}"'


def object_headers(
    exchange: Exchange,
    store_headers: Mapping[str, str],
    state: SealedObject,
    customer: CustomerKey | None,
    span: tuple[int, int] | None,
    *,
    part: int | None = None,
) -> CIMultiDict[str]:
    """Headers of GET and HEAD of an encrypted object: plaintext size, ETag, checksums, mode.

    span: (start, stop) of a partial answer; part: index of the part that was asked for.
    """
    headers = CIMultiDict(_without_store_digests(store_headers))
    start, stop = span or (0, state.plain_size)
    headers["content-length"] = str(stop - start)
    headers["accept-ranges"] = "bytes"
    headers["etag"] = quoted(state.attributes.etag_text)
    if span is not None and start < stop:
        headers["content-range"] = content_range(start, stop, state.plain_size)
    if part is not None and state.part_count is not None:
        headers["x-amz-mp-parts-count"] = str(state.part_count)
    asked = exchange.head.headers.get("x-amz-checksum-mode", "").upper() == "ENABLED"
    if asked or exchange.dialect is Dialect.COS:
        headers.update(_checksums_of(exchange, state, span, part))
    headers.update(sse_headers(exchange, sse_mode(state.envelope), customer))
    return headers


def _checksums_of(
    exchange: Exchange, state: SealedObject, span: tuple[int, int] | None, part: int | None
) -> dict[str, str]:
    """The checksums of just what is sent: SDKs verify whatever they get against the bytes.

    Of a range, none; of a part, its own where S3 tells it, which is where the object's are
    composite. The only part of an object has those of the object.
    """
    checksums, count = state.attributes.checksums, state.part_count
    manifest = state.manifest
    composite = manifest is not None and manifest.composite
    if part is None:
        shown = checksums if span is None else {}
        return typed_checksums(exchange, shown, parts=count if composite else None)
    if manifest is None or count is None or (count == 1 and not composite):
        return typed_checksums(exchange, checksums)
    if not composite or manifest.part_checksum is None:
        return {}
    own = {manifest.part_checksum: manifest.parts[part].checksum}
    return typed_checksums(exchange, own, kind="COMPOSITE")


def typed_checksums(
    exchange: Exchange,
    checksums: Mapping[str, bytes],
    *,
    parts: int | None = None,
    kind: str = "FULL_OBJECT",
) -> dict[str, str]:
    """Checksum headers in the caller's dialect; S3's say what they are of.

    parts: how many parts a composite checksum is of, which its value tells. kind: of the object's
    checksums, where these are not composite themselves.
    """
    headers = checksum_headers(checksums, exchange.dialect)
    if headers and exchange.dialect is Dialect.S3:
        if parts is not None:
            headers = {name: f"{value}-{parts}" for name, value in headers.items()}
        headers["x-amz-checksum-type"] = kind if parts is None else "COMPOSITE"
    return headers


def _without_store_digests(headers: Mapping[str, str]) -> dict[str, str]:
    """The store's headers without its own size, ETag and digests, which are the ciphertext's."""
    kept = forwarded_response_headers(headers)
    for name in [name for name in kept if _is_store_digest(name)]:
        del kept[name]
    return kept


@lru_cache(maxsize=1024)
def _is_store_digest(name: str) -> bool:
    return name in _STORE_DIGESTS or name.startswith("x-amz-checksum-")


_STORE_DIGESTS = frozenset(
    {
        "etag",
        "content-range",
        "content-length",
        "content-md5",
        "x-amz-mp-parts-count",
        "seaweed-x-amz-etag",
    }
)


def written_headers(
    exchange: Exchange,
    store_headers: Mapping[str, str],
    etag: str,
    checksums: Mapping[str, bytes],
    mode: SseMode,
    customer: CustomerKey | None,
) -> dict[str, str]:
    """Headers of the answer to a sealed write."""
    headers = _without_store_digests(store_headers)
    headers.pop("content-type", None)
    headers["etag"] = quoted(etag)
    headers.update(typed_checksums(exchange, checksums))
    headers.update(sse_headers(exchange, mode, customer))
    return headers


async def relay(
    exchange: Exchange, response: StoreResponse, *, extra: Mapping[str, str] | None = None
) -> web.StreamResponse:
    """The store's own answer, as it is.

    An envelope has no business here: its object must be opened, or refused, by a handler. One
    that shows up (a race, an operation that should not carry one) is dropped with an error.
    """
    async with response:
        if RESERVED_METADATA in response.headers:
            if exchange.anonymous:
                raise exchange.anonymous_denied()
            raise IntegrityError("plaintext", "an encrypted object where plaintext was expected")
        headers = CIMultiDict(forwarded_response_headers(response.headers))
        if response.status == 412:
            # A refused write tells of what is there, which may be ciphertext; S3 tells nothing.
            headers.popall("etag", None)
            headers.popall("last-modified", None)
        headers.update(extra or {})
        length = response.content_length
        if exchange.operation is Operation.GetObject and response.status in (200, 206):
            exchange.services.metrics.plain_bytes.labels("out", "none").inc(length or 0)
        if exchange.head.method == "HEAD" or response.status in (204, 304):
            if length is not None and response.status not in (204, 304):
                headers["content-length"] = str(length)
            return await exchange.begin(response.status, headers)
        if length is not None and length <= _ONE_WRITE_BYTES:
            return exchange.answer(response.status, headers, await response.read())
        if length is not None:
            headers["content-length"] = str(length)
        answer = await exchange.begin(response.status, headers)
        buffer = memoryview(bytearray(_RELAY_BYTES))
        while got := await response.readinto(buffer):
            await exchange.write(buffer[:got])
        return answer
