"""Copies that must not happen: conditions, keys, sources, and what was tampered with."""

from __future__ import annotations

import pytest

from tests.proxy.samples import (
    KEY,
    LARGE,
    OTHER_KEY,
    SMALL,
    body_of,
    state_of,
)
from tests.proxy.test_copy import MODES, source_headers
from tests.proxy.wire import Wire, customer
from tests.store.memory import MemoryStore

NONE = '"00000000000000000000000000000000"'


class TestConditions:
    @pytest.mark.parametrize("target", MODES)
    @pytest.mark.parametrize("source", MODES)
    async def test_on_the_source(
        self, wire: Wire, store: MemoryStore, source: str, target: str
    ) -> None:
        (from_bucket, from_key), (bucket, key) = MODES[source], MODES[target]
        put = await wire.put(f"/{from_bucket}/from", body_of(SMALL), from_key)
        etag, before = f'"{put.etag}"', state_of(store)
        headers = key | source_headers(source)
        prefix = "x-amz-copy-source-if"
        past, future = "Thu, 01 Jan 2015 00:00:00 GMT", "Thu, 01 Jan 2099 00:00:00 GMT"
        for condition in (
            {f"{prefix}-match": NONE},
            {f"{prefix}-none-match": etag},
            {f"{prefix}-modified-since": future},
            {f"{prefix}-unmodified-since": past},
        ):
            copied = await wire.copy(f"{from_bucket}/from", f"/{bucket}/to", headers | condition)
            assert (copied.status, copied.code) == (412, "PreconditionFailed"), condition
            assert state_of(store) == before
        for condition in (
            {f"{prefix}-match": etag},
            {f"{prefix}-none-match": NONE},
            {f"{prefix}-modified-since": past},
            {f"{prefix}-match": etag, f"{prefix}-unmodified-since": past},
        ):
            copied = await wire.copy(f"{from_bucket}/from", f"/{bucket}/to", headers | condition)
            assert copied.code is None, condition
        assert (await wire.get(f"/{bucket}/to", key)).body == body_of(SMALL)

    @pytest.mark.parametrize("target", MODES)
    @pytest.mark.parametrize("source", MODES)
    async def test_on_the_target(
        self, wire: Wire, store: MemoryStore, source: str, target: str
    ) -> None:
        (from_bucket, from_key), (bucket, key) = MODES[source], MODES[target]
        await wire.put(f"/{from_bucket}/from", body_of(SMALL), from_key)
        there = await wire.put(f"/{bucket}/to", b"there", key)
        before = state_of(store)
        headers = key | source_headers(source)
        for condition in ({"if-match": NONE}, {"if-none-match": "*"}):
            copied = await wire.copy(f"{from_bucket}/from", f"/{bucket}/to", headers | condition)
            assert (copied.status, copied.code) == (412, "PreconditionFailed"), condition
            assert state_of(store) == before
        condition = {"if-match": f'"{there.etag}"'}
        copied = await wire.copy(f"{from_bucket}/from", f"/{bucket}/to", headers | condition)
        assert copied.code is None
        assert (await wire.get(f"/{bucket}/to", key)).body == body_of(SMALL)


class TestRefused:
    @pytest.mark.parametrize("size", [SMALL, LARGE])
    async def test_the_sources_key(self, wire: Wire, store: MemoryStore, size: int) -> None:
        await wire.put("/data/from", body_of(size), customer(KEY))
        before = state_of(store)
        for bucket in ("data", "plain"):
            missing = await wire.copy("data/from", f"/{bucket}/to")
            assert (missing.status, missing.code) == (400, "InvalidRequest")
            wrong = customer(OTHER_KEY, copy_source=True)
            refused = await wire.copy("data/from", f"/{bucket}/to", wrong)
            assert (refused.status, refused.code) == (403, "AccessDenied")
        assert state_of(store) == before

    async def test_a_key_that_the_source_does_not_have(
        self, wire: Wire, store: MemoryStore
    ) -> None:
        for bucket in ("data", "plain"):
            await wire.put(f"/{bucket}/from", b"x")
            key = customer(KEY, copy_source=True)
            copied = await wire.copy(f"{bucket}/from", "/data/to", key)
            assert (copied.status, copied.code) == (400, "InvalidRequest")
        assert store.keys("data") == ["from"]

    async def test_no_source(self, wire: Wire, store: MemoryStore) -> None:
        for source, status, code in (
            ("data/none", 404, "NoSuchKey"),
            ("nowhere/k", 404, "NoSuchBucket"),
            ("sseproxy-system/keyring", 404, "NoSuchBucket"),
            ("data", 400, "InvalidArgument"),
            ("", 400, "InvalidArgument"),
            ("data/../sseproxy-system/keyring", 400, "InvalidURI"),
        ):
            copied = await wire.copy(source, "/data/to")
            assert (copied.status, copied.code) == (status, code), source
        assert store.keys("data") == []

    async def test_to_sse_kms(self, wire: Wire, store: MemoryStore) -> None:
        await wire.put("/data/from", b"x")
        copied = await wire.copy(
            "data/from", "/data/to", {"x-amz-server-side-encryption": "aws:kms"}
        )
        assert (copied.status, copied.code) == (501, "NotImplemented")
        assert store.keys("data") == ["from"]

    async def test_a_tampered_source(self, wire: Wire, store: MemoryStore) -> None:
        for size in (SMALL, LARGE):
            await wire.put("/data/from", body_of(size))
            raw = store.raw("data", "from")
            raw.data = raw.data[:-300] + bytes([raw.data[-300] ^ 1]) + raw.data[-299:]
            for bucket, headers in (("plain", {}), ("data", customer(KEY))):
                copied = await wire.copy("data/from", f"/{bucket}/to", headers)
                assert (copied.status, copied.code) == (500, "InternalError")
                assert "to" not in store.keys(bucket)


@pytest.mark.parametrize("target", MODES)
@pytest.mark.parametrize("source", MODES)
async def test_more_than_a_copy_may_move(
    wire: Wire, store: MemoryStore, monkeypatch: pytest.MonkeyPatch, source: str, target: str
) -> None:
    """5 GiB, as S3 has it; from plaintext to plaintext it is the store that says so."""
    monkeypatch.setattr("sseproxy.proxy.copy_body.MAX_COPY_BYTES", SMALL)
    (from_bucket, from_key), (bucket, key) = MODES[source], MODES[target]
    await wire.put(f"/{from_bucket}/small", body_of(SMALL), from_key)
    await wire.put(f"/{from_bucket}/large", body_of(SMALL + 1), from_key)
    headers = key | source_headers(source)
    assert (await wire.copy(f"{from_bucket}/small", f"/{bucket}/to-s", headers)).code is None
    if source == target == "plain":
        return
    refused = await wire.copy(f"{from_bucket}/large", f"/{bucket}/to-l", headers)
    assert (refused.status, refused.code) == (400, "InvalidRequest")
    assert "maximum allowable size" in str(refused.text("Message"))
    assert "to-l" not in store.keys(bucket)
