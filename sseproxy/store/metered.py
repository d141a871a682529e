"""An ObjectStore that counts what is asked of another one."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence

from sseproxy.metrics import Metrics
from sseproxy.store.objects import ObjectStore, StoreBody, StoreCredential, StoreResponse


class MeteredStore:
    """Passes every request on, and counts those that were answered, by method and status.

    Failures are counted where they end up (`Metrics.store_error`): a body may fail much later.
    """

    def __init__(self, store: ObjectStore, metrics: Metrics) -> None:
        self._store, self._metrics = store, metrics

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
        """As `ObjectStore.send`."""
        started = time.monotonic()
        response = await self._store.send(
            credential,
            method,
            bucket,
            key,
            query=query,
            headers=headers,
            body=body,
            content_length=content_length,
        )
        self._metrics.store_answered(method, response.status, time.monotonic() - started)
        return response
