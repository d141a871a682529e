"""What is set for buckets by API: its record, and changes by several workers at once."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sseproxy.errors import (
    FormatError,
    KeyManagementError,
    KeyringStale,
    RecordConflict,
    StoreUnavailable,
)
from sseproxy.format.record import RecordType, open_record, seal_record
from sseproxy.keys import keyring as keyring_module
from sseproxy.keys import settings as settings_module
from sseproxy.keys.bucket_settings import BucketSettings
from sseproxy.keys.keyring import KeyringService
from sseproxy.keys.keyring_record import seal_keyring
from sseproxy.keys.model import KEYRING_NAME, Keyring, new_keyring, settings_name
from sseproxy.keys.rootkey import RootKey
from sseproxy.keys.settings import Settings, first_settings, open_settings, seal_settings
from sseproxy.s3.bucket_encryption import BucketEncryption
from sseproxy.s3.bucket_policy import parse_bucket_policy
from sseproxy.s3.sse import SseMode
from sseproxy.secret import Secret
from tests.keys.records import MemoryRecords

ID = bytes(range(16))
NAME = settings_name(ID)
ROOT = RootKey(Secret(bytes(32)), ID, pending=False)
POLICY_TEXT = json.dumps(
    {
        "Statement": {
            "Effect": "Deny",
            "Principal": "*",
            "Action": "s3:PutObject",
            "Resource": "*",
            "Condition": {"Null": {"s3:x-amz-server-side-encryption": "true"}},
        }
    }
)
POLICY = parse_bucket_policy(POLICY_TEXT, "photos")
SSE_COS = BucketEncryption(SseMode.SSE_COS)
SSE_KMS = BucketEncryption(SseMode.SSE_KMS, "a-key", bucket_key=True, blocks_sse_c=True)


@pytest.fixture
def keyring() -> Keyring:
    return new_keyring(ID, datetime(2026, 1, 2, tzinfo=UTC))


@pytest.fixture
def store(keyring) -> MemoryRecords:
    store = MemoryRecords()
    store.records[KEYRING_NAME] = seal_keyring(keyring, ROOT)
    store.records[NAME] = seal_settings(first_settings(ID), keyring)
    return store


async def started(store: MemoryRecords) -> KeyringService:
    service = KeyringService(store, ROOT)
    await service.start()
    return service


@pytest.fixture
async def service(store) -> KeyringService:
    return await started(store)


def payload_of(record: bytes, keyring: Keyring) -> bytes:
    return open_record(record, keyring.ak, RecordType.SETTINGS, NAME)


def with_encryption(bucket: str, encryption: BucketEncryption | None):
    def change(settings: Settings) -> Settings:
        return settings.with_bucket(bucket, replace(settings.of(bucket), encryption=encryption))

    return change


# The record.


def test_the_payload_is_the_specs(keyring):
    entry = BucketSettings(SSE_KMS, (POLICY,), pending=7)
    record = seal_settings(first_settings(ID).with_bucket("photos", entry), keyring)
    assert json.loads(payload_of(record, keyring)) == {
        "buckets": {
            "photos": {
                "encryption": {
                    "blocks_sse_c": True,
                    "bucket_key": True,
                    "key_id": "a-key",
                    "mode": "sse-kms",
                },
                "epoch": 2,
                "pending": 7,
                "policies": [POLICY_TEXT],
            }
        },
        "epoch": 2,
        "grants": {},
        "keyring": ID.hex(),
        "moves": {},
    }


@given(
    name=st.text(min_size=1).filter(lambda text: text.isprintable()),
    encryption=st.none()
    | st.builds(
        BucketEncryption,
        st.sampled_from([SseMode.SSE_COS, SseMode.SSE_KMS]),
        st.none() | st.text(),
        st.booleans(),
        st.booleans(),
    ),
    policies=st.sampled_from([(), (POLICY,), (POLICY, POLICY)]),
    pending=st.integers(0, 2**40),
)
def test_what_is_set_comes_back(name, encryption, policies, pending):
    keyring = new_keyring(ID, datetime(2026, 1, 2, tzinfo=UTC))
    entry = BucketSettings(encryption, policies, pending)
    settings = first_settings(ID).with_bucket(name, entry)
    opened = open_settings(seal_settings(settings, keyring), keyring)
    assert opened == settings
    assert replace(opened.of(name), epoch=0) == entry


def test_an_entry_that_says_nothing_is_not_kept():
    settings = first_settings(ID)
    assert settings.with_bucket("b", BucketSettings(epoch=9)) is settings
    changed = settings.with_bucket("b", BucketSettings(SSE_COS))
    assert changed.of("b") == BucketSettings(SSE_COS, epoch=2)
    assert not changed.of("b").blocks_sse_c
    assert not changed.of("c").blocks_sse_c
    assert changed.with_bucket("b", BucketSettings(SSE_KMS)).of("b").blocks_sse_c
    assert changed.with_bucket("b", BucketSettings(SSE_COS, epoch=0)) is changed
    gone = changed.with_bucket("b", BucketSettings())
    assert (gone.buckets, gone.epoch) == ({}, 3)


ENTRY = {"encryption": None, "epoch": 1, "pending": 0, "policies": []}
ENCRYPTION = {"blocks_sse_c": False, "bucket_key": False, "key_id": None, "mode": "sse-cos"}


@pytest.mark.parametrize(
    "entry",
    [
        {},
        7,
        [],
        {**ENTRY, "later": 1},
        {**ENTRY, "epoch": -1},
        {**ENTRY, "epoch": True},
        {**ENTRY, "pending": "now"},
        {**ENTRY, "policies": POLICY_TEXT},
        {**ENTRY, "policies": [7]},
        {**ENTRY, "policies": ["{"]},
        {**ENTRY, "policies": ["{}"]},
        {**ENTRY, "encryption": 7},
        {**ENTRY, "encryption": {}},
        {**ENTRY, "encryption": {**ENCRYPTION, "later": 1}},
        {**ENTRY, "encryption": {**ENCRYPTION, "mode": "sse-c"}},
        {**ENTRY, "encryption": {**ENCRYPTION, "mode": "sse-new"}},
        {**ENTRY, "encryption": {**ENCRYPTION, "mode": []}},
        {**ENTRY, "encryption": {**ENCRYPTION, "key_id": 7}},
        {**ENTRY, "encryption": {**ENCRYPTION, "bucket_key": "true"}},
    ],
)
def test_what_a_later_version_may_have_written_is_refused_by_name(keyring, entry):
    document = {"buckets": {"b": entry}, "epoch": 1, "grants": {}, "keyring": ID.hex(), "moves": {}}
    record = seal_record(json.dumps(document).encode(), keyring.ak(1), 1, RecordType.SETTINGS, NAME)
    with pytest.raises(FormatError, match="does not know"):
        open_settings(record, keyring)


def test_more_than_can_be_read_again_is_not_written(keyring, monkeypatch):
    monkeypatch.setattr(settings_module, "MAX_SETTINGS_BYTES", 200)
    settings = first_settings(ID)
    seal_settings(settings, keyring)
    with pytest.raises(KeyManagementError, match="full"):
        seal_settings(settings.with_bucket("b" * 100, BucketSettings(SSE_COS)), keyring)


# Changing them.


async def test_the_writer_sees_its_change_at_once_and_others_with_their_next_refresh(
    service, store
):
    other = await started(store)
    changed = await service.update_settings(with_encryption("b", SSE_COS))
    assert service.settings == changed
    assert changed.of("b").encryption == SSE_COS
    assert changed.epoch == 2
    assert other.settings.epoch == 1
    assert await other.refresh_settings() == changed


async def test_a_change_of_nothing_writes_nothing(service, store):
    store.operations.clear()
    await service.update_settings(with_encryption("b", None))
    assert store.operations == []
    assert service.settings.epoch == 1


async def test_two_workers_racing_lose_no_change(store):
    workers = [await started(store) for _ in range(4)]

    async def give_way(_: str, __: str) -> None:
        await asyncio.sleep(0)

    store.before = store.after = give_way
    await asyncio.gather(
        *(
            worker.update_settings(with_encryption(f"bucket-{number}-{index}", SSE_COS))
            for index in range(3)
            for number, worker in enumerate(workers)
        )
    )
    settings = await workers[0].refresh_settings()
    assert len(settings.buckets) == 12
    assert settings.epoch == 13
    assert sum(operation == "put" for operation, _ in store.operations) > 12, "they did race"


async def test_a_change_sees_what_another_worker_set_before(service, store):
    other = await started(store)
    await other.update_settings(with_encryption("b", SSE_KMS))
    seen = []

    def change(settings: Settings) -> Settings:
        seen.append(settings.of("b").encryption)
        return settings

    await service.update_settings(change)
    assert seen == [SSE_KMS]


async def test_who_is_never_fast_enough_says_so(service, store, keyring, monkeypatch):
    monkeypatch.setattr(keyring_module, "UPDATE_ATTEMPTS", 3)
    epoch = 1

    async def overtake(operation: str, name: str) -> None:
        nonlocal epoch
        if operation == "put":
            epoch += 1
            store.records[name] = seal_settings(replace(first_settings(ID), epoch=epoch), keyring)

    store.before = overtake
    with pytest.raises(RecordConflict, match="keeps changing"):
        await service.update_settings(with_encryption("b", SSE_COS))
    assert epoch == 4


async def test_a_refresh_under_way_does_not_take_back_a_change(service, store):
    """Its answer is older than the change; taken for a playback it would stop all writes."""
    reading, go_on = asyncio.Event(), asyncio.Event()

    async def hold_answer(operation: str, _: str) -> None:
        if operation == "get" and not reading.is_set():
            reading.set()
            await go_on.wait()

    store.after = hold_answer
    refresh = asyncio.create_task(service.refresh_settings())
    await reading.wait()
    change = asyncio.create_task(service.update_settings(with_encryption("b", SSE_COS)))
    for _ in range(50):  # time enough for the change, if nothing kept it back
        await asyncio.sleep(0)
    go_on.set()
    await asyncio.gather(refresh, change)
    service.for_writing()
    assert service.settings.of("b").encryption == SSE_COS


async def test_a_change_that_gives_up_leaves_everything(service, store):
    def refuse(_: Settings) -> Settings:
        raise ValueError("no")

    before = dict(store.records)
    with pytest.raises(ValueError, match="no"):
        await service.update_settings(refuse)
    assert store.records == before
    await service.update_settings(with_encryption("b", SSE_COS))


async def test_without_the_record_nothing_is_set(service, store):
    del store.records[NAME]
    with pytest.raises(KeyringStale, match="is not in the system bucket"):
        await service.update_settings(with_encryption("b", SSE_COS))
    assert NAME not in store.records
    with pytest.raises(KeyringStale):
        service.for_writing()


async def test_nothing_is_changed_on_what_is_stale(service, store, keyring):
    older = store.records[NAME]
    await service.update_settings(with_encryption("b", SSE_COS))
    store.records[NAME] = older
    with pytest.raises(KeyringStale):
        await service.update_settings(with_encryption("c", SSE_COS))
    assert store.records[NAME] == older
    with pytest.raises(KeyringStale):
        await service.update_settings(with_encryption("c", SSE_COS))


async def test_a_lost_answer_is_an_error_and_the_next_refresh_tells(service, store):
    async def lose(operation: str, _: str) -> None:
        if operation == "put":
            raise StoreUnavailable("the answer was lost")

    store.after = lose
    with pytest.raises(StoreUnavailable):
        await service.update_settings(with_encryption("b", SSE_COS))
    store.after = None
    assert (await service.refresh_settings()).of("b").encryption == SSE_COS
