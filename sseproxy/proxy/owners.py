"""Whose bucket a client expects: said again in every request that its own one leads to.

A store that checks `x-amz-expected-bucket-owner` must be able to refuse looks, tags and reads of
a copy's source as it would refuse the request itself.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence

from sseproxy.proxy.exchange import Exchange
from sseproxy.s3.faults import Fault, S3Error
from sseproxy.store.objects import ObjectStore, StoreBody, StoreCredential, StoreResponse

OWNER = "x-amz-expected-bucket-owner"
SOURCE_OWNER = "x-amz-source-expected-bucket-owner"
_COPY_SOURCE = "x-amz-copy-source"


def bind_owners(exchange: Exchange) -> None:
    """Let every request to the store on this client's behalf name the owners that it expects.

    Raises S3Error(AccessDenied) if it expects two owners of one bucket.
    """
    headers = exchange.head.headers
    if OWNER not in headers and SOURCE_OWNER not in headers:
        return
    owners: dict[str, str] = {}
    for bucket, name in ((exchange.bucket, OWNER), (_source_bucket(exchange), SOURCE_OWNER)):
        owner = headers.get(name)
        if bucket is None or owner is None:
            continue
        if owners.setdefault(bucket, owner) != owner:
            raise S3Error(Fault.AccessDenied)
    services = copy.copy(exchange.services)
    services.store = OwnedStore(services.store, owners)
    exchange.services = services


def _source_bucket(exchange: Exchange) -> str | None:
    source = exchange.head.headers.get(_COPY_SOURCE)
    if source is None:
        return None
    return exchange.services.addressing.resolve_copy_source(source)[0].bucket


class OwnedStore:
    """An ObjectStore that adds the expected owner to what is asked of these buckets."""

    def __init__(self, store: ObjectStore, owners: Mapping[str, str]) -> None:
        self._store, self._owners = store, owners

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
        """As ObjectStore.send."""
        sent = {name: value for name, value in headers.items() if name != OWNER}
        owner = self._owners.get(bucket) if bucket is not None else None
        if owner is not None:
            sent[OWNER] = owner
        if _COPY_SOURCE not in sent:
            sent.pop(SOURCE_OWNER, None)  # the copy has become a read and a write
        return await self._store.send(
            credential,
            method,
            bucket,
            key,
            query=query,
            headers=sent,
            body=body,
            content_length=content_length,
        )
