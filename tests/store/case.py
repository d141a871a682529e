"""What the contract tests work on: a store, real or in memory, and a bucket of their own."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Any

import pytest

from sseproxy.secret import Secret
from sseproxy.store.client import HttpPool
from sseproxy.store.objects import ObjectStore, S3Store, StoreCredential
from tests.store.memory import MemoryStore


@dataclass
class Case:
    """A store, a credential that may do anything, and a fresh bucket."""

    name: str
    store: ObjectStore
    credential: StoreCredential
    bucket: str

    async def ask(
        self, method: str, key: str | None, *, anonymous: bool = False, **options: Any
    ) -> tuple[int, Mapping[str, str], bytes]:
        credential = None if anonymous else self.credential
        sent = await self.store.send(credential, method, self.bucket, key, **options)
        async with sent as response:
            return response.status, response.headers, await response.read()


STORES = ["memory", "seaweedfs", pytest.param("minio", marks=pytest.mark.minio)]


async def cases(request: pytest.FixtureRequest) -> AsyncIterator[Case]:
    bucket = f"contract-{secrets.token_hex(4)}"
    if request.param == "memory":
        store = MemoryStore(bucket)
        yield Case(request.param, store, StoreCredential("any", Secret("any")), bucket)
        return
    server = request.getfixturevalue(request.param)
    pool = HttpPool(server.endpoint)
    credential = StoreCredential(server.access_key, Secret(server.secret_key))
    case = Case(request.param, S3Store(pool), credential, bucket)
    assert (await case.ask("PUT", None))[0] == 200
    yield case
    await pool.close()
