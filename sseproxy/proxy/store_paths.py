"""Paths that are no bucket's but the store's own: MinIO's admin API, health and metrics.

With `store_paths: pass` those that are known are sent on as they are: signed again with the
client's store key, or with nothing at all; never with the proxy's own key.
"""

from __future__ import annotations

import re

from aiohttp import web

from sseproxy.proxy.answer import relay
from sseproxy.proxy.exchange import Exchange
from sseproxy.proxy.passthrough import forward
from sseproxy.s3.headers import forwarded_request_headers

# Listed, not all below /minio/: no unknown path may store anything. Without encoding, empty or
# dotted segments: the store must find there what is recognised here.
_KNOWN = re.compile(
    r"/(minio/(?:admin|health|kms|metrics|prometheus/metrics|v2/metrics)"
    r"(?:/[A-Za-z0-9_-][A-Za-z0-9_.-]*)*/?)"
)


def is_store_path(exchange: Exchange) -> bool:
    """Whether the request is for such a path, and those are passed."""
    services, head = exchange.services, exchange.head
    return (
        services.passes_store_paths
        and services.store_limits.has_minio_api
        and _KNOWN.fullmatch(head.raw_path) is not None
        and services.addressing.bucket_of_host(head.host) is None
    )


def has_store_token(exchange: Exchange) -> bool:
    """Whether the request has a token of the store's (metrics), no signature for the proxy."""
    return exchange.head.headers.get("authorization", "").lower().startswith("bearer ")


async def pass_store_path(exchange: Exchange) -> web.StreamResponse:
    """Send the request on to the same path of the store."""
    if not has_store_token(exchange):
        return await relay(exchange, await forward(exchange))
    headers = forwarded_request_headers(exchange.head.headers)
    headers["authorization"] = exchange.head.headers["authorization"]
    return await relay(exchange, await exchange.send(exchange.head.method, headers))
