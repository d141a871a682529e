"""The answer to a copy: the store's own, or one about an object that the store sees as another."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime

from aiohttp import web

from sseproxy.proxy.answer import relay, sse_headers
from sseproxy.proxy.exchange import Exchange
from sseproxy.proxy.lookup import Look
from sseproxy.proxy.store_error import success_of
from sseproxy.s3.headers import forwarded_response_headers
from sseproxy.s3.sse import CustomerKey, SseMode
from sseproxy.s3.xml import copy_result
from sseproxy.store.objects import StoreResponse

_XML = {"content-type": "application/xml"}


async def relay_copy(
    exchange: Exchange, response: StoreResponse, root: str, seen: Look | None = None
) -> web.StreamResponse:
    """The store's own answer to a copy that it made, unless that is an error with status 200.

    seen: the source, whose version not every store names.
    """
    async with response:
        if response.status != 200:
            return await relay(exchange, response)
        body = await response.read()
    success_of(body, root)
    headers = _source_version(seen) | forwarded_response_headers(response.headers) | _XML
    return exchange.answer(200, headers, body.lstrip())


def copied(
    exchange: Exchange,
    store_headers: Mapping[str, str],
    seen: Look,
    *,
    etag: str,
    mode: SseMode,
    customer: CustomerKey | None,
    last_modified: str | None = None,
    checksums: Mapping[str, str] | None = None,
    root: str = "CopyObjectResult",
) -> web.StreamResponse:
    """The answer to a copy that went through the proxy, or that the proxy has wrapped anew.

    store_headers: of the store's answer; seen: the source. last_modified: as in S3's XML, by
    default now. checksums: from `checksum_elements`.
    """
    headers = {
        name: value
        for name, value in forwarded_response_headers(store_headers).items()
        if not name.startswith("x-amz-checksum-")  # of what is stored
    }
    headers.pop("etag", None)
    headers |= _source_version(seen) | _XML | sse_headers(exchange, mode, customer)
    when = last_modified or datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z")
    return exchange.answer(200, headers, copy_result(etag, when, root=root, extra=checksums))


def _source_version(seen: Look | None) -> dict[str, str]:
    version = seen.headers.get("x-amz-version-id") if seen is not None else None
    return {} if version is None else {"x-amz-copy-source-version-id": version}
