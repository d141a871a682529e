"""The probe sees what a store does, and refuses one that is not safe."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import pytest

from sseproxy.errors import StoreError, StoreRefused, StoreUnavailable
from sseproxy.secret import Secret
from sseproxy.store.client import HttpPool
from sseproxy.store.objects import S3Store, StoreBody, StoreCredential
from sseproxy.store.probe import check, probe
from sseproxy.store.quirks import REQUIRED, Quirks, UnsafeStore
from sseproxy.store.system import SystemBucket
from tests.store.memory import Failure, MemoryResponse, MemoryStore

CREDENTIAL = StoreCredential("svc", Secret("s"))


class Flawed(MemoryStore):
    """A store with one flaw."""

    def __init__(self, flaw: str) -> None:
        super().__init__("sys")
        self.flaw = flaw

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
    ) -> MemoryResponse:
        kept = {n: v for n, v in headers.items() if n != self.flaw}
        if self.flaw == "metadata":
            kept = {n: v for n, v in headers.items() if not n.startswith("x-amz-meta-")}
        if self.flaw == "long" and any(len(c) > 200 for c in (key or "").split("/")):
            return MemoryResponse(400, {}, head=method == "HEAD")
        if self.flaw == "cut" and body is not None and not isinstance(body, bytes):
            body, content_length = await _what_came(body), None
        return await super().send(
            credential,
            method,
            bucket,
            key,
            query=query,
            headers=kept,
            body=body,
            content_length=content_length,
        )


async def _what_came(body: AsyncIterator[Any]) -> bytes:
    data = b""
    try:
        async for buffer in body:
            data += buffer
    except Exception:
        return data
    return data


async def test_the_store_in_memory_is_measured_and_left_clean() -> None:
    store = MemoryStore("sys")
    quirks = await probe(store, CREDENTIAL, "sys")
    check(quirks)
    assert quirks == Quirks(
        server="memory",
        put_if_absent=True,
        put_if_match=True,
        cut_upload_discarded=True,
        ranges=True,
        metadata_kept=True,
        name_component_255=True,
        metadata_bytes=2048,
        delete_if_match=True,
        copy_if_match=True,
        complete_if_match=True,
        metadata_listing=False,
        post_form=True,
        name_component_long=False,
        key_1024=True,
        double_slash=True,
        leading_slash=True,
        folder_bodies=True,
    )
    assert store.keys("sys") == []


@pytest.mark.parametrize(
    ("flaw", "field"),
    [
        ("if-none-match", "put_if_absent"),
        ("if-match", "put_if_match"),
        ("range", "ranges"),
        ("cut", "cut_upload_discarded"),
        ("metadata", "metadata_kept"),
        ("long", "name_component_255"),
    ],
)
async def test_each_flaw_is_found_and_refused(flaw: str, field: str) -> None:
    quirks = await probe(Flawed(flaw), CREDENTIAL, "sys")
    assert quirks.failures() == (REQUIRED[field],)
    with pytest.raises(UnsafeStore, match=REQUIRED[field]) as caught:
        check(quirks)
    assert caught.value.failures == (REQUIRED[field],)


async def test_every_requirement_alone_refuses_the_store() -> None:
    good = await probe(MemoryStore("sys"), CREDENTIAL, "sys")
    for field in REQUIRED:
        assert replace(good, **{field: False}).failures() == (REQUIRED[field],)  # type: ignore[arg-type]  # a field's name


async def test_a_store_that_refuses_to_write_or_is_down_is_an_error() -> None:
    store = MemoryStore("sys")
    store.fail(Failure(status=403, count=9))
    with pytest.raises(StoreRefused):
        await probe(store, CREDENTIAL, "sys")
    store = MemoryStore("sys")
    store.fail(Failure(unreachable=True, count=9))
    with pytest.raises(StoreUnavailable):
        await probe(store, CREDENTIAL, "sys")
    assert issubclass(UnsafeStore, StoreError)


def test_the_table_shows_every_field() -> None:
    quirks = Quirks("s", *[True] * 6, 2048, *[False] * 10)
    table = dict(quirks.as_table())
    assert (table["server"], table["metadata_bytes"], len(table)) == ("s", 2048, 18)


@pytest.mark.parametrize("name", ["seaweedfs", pytest.param("minio", marks=pytest.mark.minio)])
async def test_a_real_store_is_safe(request: pytest.FixtureRequest, name: str) -> None:
    server = request.getfixturevalue(name)
    pool = HttpPool(server.endpoint)
    store = S3Store(pool)
    credential = StoreCredential(server.access_key, Secret(server.secret_key))
    records = SystemBucket(store, credential, f"probe-{secrets.token_hex(4)}")
    await records.ensure_bucket()
    quirks = await probe(store, credential, records._bucket)
    print(quirks)
    check(quirks)
    assert quirks.metadata_bytes >= 1024
    assert quirks.metadata_listing == (name == "minio")
    assert await records.list("") == []
    await pool.close()
