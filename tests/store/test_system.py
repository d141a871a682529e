"""The system bucket: records come back, conditions hold, and every failure has its name."""

from __future__ import annotations

import asyncio

import pytest

from sseproxy.errors import RecordConflict, StoreProtocolError, StoreRefused, StoreUnavailable
from sseproxy.secret import Secret
from sseproxy.store.answers import check_deleted, listed_keys, parse_xml
from sseproxy.store.objects import StoreCredential
from sseproxy.store.system import SystemBucket
from tests.store.memory import Failure, MemoryStore

CREDENTIAL = StoreCredential("svc", Secret("s"))


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore("sys")


@pytest.fixture
def records(store: MemoryStore) -> SystemBucket:
    return SystemBucket(store, CREDENTIAL, "sys")


async def test_a_record_comes_back_with_the_etag_of_its_writing(records: SystemBucket) -> None:
    etag = await records.put("keyring", b"sealed")
    record = await records.get("keyring")
    assert record is not None
    assert (record.data, record.etag) == (b"sealed", etag)
    assert '"' not in etag


async def test_a_missing_record_is_none_but_a_missing_bucket_an_error(store: MemoryStore) -> None:
    assert await SystemBucket(store, CREDENTIAL, "sys").get("none") is None
    with pytest.raises(StoreRefused) as caught:
        await SystemBucket(store, CREDENTIAL, "nowhere").get("none")
    assert caught.value.code == "NoSuchBucket"


async def test_if_absent_is_won_once(records: SystemBucket) -> None:
    writes = [records.put("k", bytes([n]), if_absent=True) for n in range(5)]
    results = await asyncio.gather(*writes, return_exceptions=True)
    assert sum(isinstance(result, RecordConflict) for result in results) == 4


async def test_if_match_refuses_a_stale_writer(records: SystemBucket) -> None:
    first = await records.put("k", b"1")
    second = await records.put("k", b"2", if_match=first)
    with pytest.raises(RecordConflict):
        await records.put("k", b"3", if_match=first)
    record = await records.get("k")
    assert record is not None
    assert (record.data, record.etag) == (b"2", second)
    await records.delete("k")
    with pytest.raises(RecordConflict):
        await records.put("k", b"3", if_match=second)


async def test_a_missing_bucket_is_no_conflict(store: MemoryStore) -> None:
    with pytest.raises(StoreRefused):
        await SystemBucket(store, CREDENTIAL, "nowhere").put("k", b"", if_absent=True)


async def test_delete_of_nothing_is_no_error(records: SystemBucket) -> None:
    await records.put("k", b"1")
    await records.delete("k")
    await records.delete("k")
    assert await records.get("k") is None


async def test_list_goes_through_every_page(records: SystemBucket) -> None:
    names = [f"u/a b+%2F/{n:05}" for n in range(1005)]
    for name in names:
        await records.put(name, b"")
    await records.put("other", b"")
    assert await records.list("u/a b+") == names
    assert await records.list("none/") == []


async def test_list_goes_on_behind_a_name_and_stops_at_a_limit(
    store: MemoryStore, records: SystemBucket
) -> None:
    names = [f"u/{n:05}" for n in range(1005)]
    for name in names:
        await records.put(name, b"")
    store.requests.clear()
    assert await records.list("u/", after="u/00002", limit=3) == names[3:6]
    assert len(store.requests) == 1
    assert await records.list("u/", after="u/00002x", limit=1002) == names[3:]
    assert await records.list("u/", limit=1001) == names[:1001]
    assert await records.list("u/", after=names[-1]) == []


async def test_many_are_deleted_a_thousand_at_a_time(
    store: MemoryStore, records: SystemBucket
) -> None:
    names = [f"u/a b+%2F<{n:05}" for n in range(1005)]
    for name in names[:3] + names[-1:]:
        await records.put(name, b"")
    await records.put("kept", b"")
    store.requests.clear()
    await records.delete_many(names)
    assert len(store.requests) == 2
    assert all("content-md5" in asked.headers for asked in store.requests)
    assert store.keys("sys") == ["kept"]
    await records.delete_many([])
    assert len(store.requests) == 2


@pytest.mark.parametrize("code", ["AccessDenied", "InternalError"])
def test_a_record_that_could_not_be_deleted_is_told(code: str) -> None:
    def body(code: str) -> bytes:
        return f"<D><Error><Key>k</Key><Code>{code}</Code></Error></D>".encode()

    check_deleted(body("NoSuchKey"))
    with pytest.raises(StoreRefused, match=code) as caught:
        check_deleted(body(code))
    assert caught.value.code == code


async def test_ensure_bucket_makes_it_once(store: MemoryStore) -> None:
    records = SystemBucket(store, CREDENTIAL, "new")
    await records.ensure_bucket()
    await records.put("k", b"1")
    await records.ensure_bucket()
    assert await records.list("") == ["k"]


async def test_ensure_bucket_survives_a_racing_worker(store: MemoryStore) -> None:
    store.fail(Failure(method="HEAD", status=404))
    await SystemBucket(store, CREDENTIAL, "sys").ensure_bucket()


@pytest.mark.parametrize("status", [403, 500, 503])
async def test_a_refusal_is_told_with_its_status(
    store: MemoryStore, records: SystemBucket, status: int
) -> None:
    for call in (
        records.get("k"),
        records.put("k", b""),
        records.put("k", b"", if_absent=True),
        records.delete("k"),
        records.delete_many(["k"]),
        records.list(""),
        records.ensure_bucket(),
    ):
        store.fail(Failure(status=status))
        with pytest.raises(StoreRefused) as caught:
            await call
        assert caught.value.status == status


async def test_an_unreachable_store_is_no_missing_record(
    store: MemoryStore, records: SystemBucket
) -> None:
    store.fail(Failure(unreachable=True))
    with pytest.raises(StoreUnavailable):
        await records.get("k")


def test_xml_entities_are_not_expanded() -> None:
    body = b'<!DOCTYPE a [<!ENTITY e SYSTEM "file:///etc/hostname">]><a><Code>&e;</Code></a>'
    assert parse_xml(body).findtext("Code") in {None, ""}


@pytest.mark.parametrize("body", [b"", b"not xml", b"<a>"])
def test_what_is_not_xml(body: bytes) -> None:
    with pytest.raises(StoreProtocolError):
        parse_xml(body)


def test_a_truncated_listing_without_token_is_refused() -> None:
    with pytest.raises(StoreProtocolError, match="token"):
        listed_keys(b"<L><IsTruncated>true</IsTruncated></L>")
