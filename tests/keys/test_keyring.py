"""Keyring and settings: their records, the worker's freshness rules, and the epochs."""

from __future__ import annotations

import json
import logging
import math
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from sseproxy.errors import (
    FormatError,
    IntegrityError,
    KeyManagementError,
    KeyringConflict,
    KeyringMissing,
    KeyringStale,
    KeyUnavailable,
    RootKeyError,
    StoreUnavailable,
)
from sseproxy.format.record import RecordType, open_record, seal_record
from sseproxy.keys import epochs as epochs_module
from sseproxy.keys.bucket_settings import BucketSettings
from sseproxy.keys.epochs import EpochMemory
from sseproxy.keys.keyring import (
    KEYRING_REFRESH_S,
    KeyringService,
    load_keyring,
    load_settings,
)
from sseproxy.keys.keyring_record import open_keyring, seal_keyring
from sseproxy.keys.model import KEYRING_NAME, Keyring, new_key, new_keyring, settings_name
from sseproxy.keys.rootkey import RootKey
from sseproxy.keys.settings import Settings, first_settings, open_settings, seal_settings
from sseproxy.s3.bucket_encryption import BucketEncryption
from sseproxy.s3.sse import SseMode
from sseproxy.secret import Secret
from tests.keys.records import MemoryRecords

ID = bytes(range(16))
ROOT = RootKey(Secret(bytes(32)), ID, pending=False)
CREATED = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
SETTINGS_NAME = settings_name(ID)
PHOTOS = BucketSettings(BucketEncryption(SseMode.SSE_COS), epoch=2)


@pytest.fixture
def keyring() -> Keyring:
    return new_keyring(ID, CREATED)


@pytest.fixture
def store(keyring) -> MemoryRecords:
    store = MemoryRecords()
    store.records[KEYRING_NAME] = seal_keyring(keyring, ROOT)
    store.records[SETTINGS_NAME] = seal_settings(first_settings(ID), keyring)
    return store


class Clock:
    def __init__(self) -> None:
        self.now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def service(store, clock) -> KeyringService:
    service = KeyringService(store, ROOT, clock=clock)
    await service.start()
    return service


def rotated(keyring: Keyring) -> Keyring:
    """The next keyring: another version of each key, the first ones kept."""
    return replace(
        keyring,
        epoch=keyring.epoch + 1,
        master={**keyring.master, 2: new_key()},
        active_master=2,
        master_created={**keyring.master_created, 2: CREATED},
        attribute={**keyring.attribute, 2: new_key()},
        active_attribute=2,
        attribute_created={**keyring.attribute_created, 2: CREATED},
    )


# Records.


def test_a_keyring_comes_back_whole(keyring):
    later = rotated(keyring)
    assert open_keyring(seal_keyring(later, ROOT), ROOT) == later


def keyring_payload(keyring: Keyring) -> dict:
    record = seal_keyring(keyring, ROOT)
    return json.loads(open_record(record, lambda _: ROOT.key, RecordType.KEYRING, KEYRING_NAME))


def test_the_keyrings_payload_is_the_specs(keyring):
    record = seal_keyring(keyring, ROOT)
    payload = open_record(record, lambda _: ROOT.key, RecordType.KEYRING, KEYRING_NAME)
    document = json.loads(payload)
    assert payload == json.dumps(document, sort_keys=True, separators=(",", ":")).encode()
    assert set(document) == {"attribute", "epoch", "etag_key", "id", "master", "name_key"}
    assert document["id"] == ID.hex()
    assert document["master"]["versions"]["1"]["created"] == "2026-01-02T03:04:05Z"


def test_the_settings_payload_is_the_specs(keyring):
    record = seal_settings(first_settings(ID), keyring)
    payload = open_record(record, keyring.ak, RecordType.SETTINGS, SETTINGS_NAME)
    expected = f'{{"buckets":{{}},"epoch":1,"grants":{{}},"keyring":"{ID.hex()}","moves":{{}}}}'
    assert payload == expected.encode()


def test_no_two_keys_of_a_new_keyring_are_equal(keyring):
    keys = [keyring.master[1], keyring.attribute[1], keyring.name_key, keyring.etag_key]
    assert len({key.reveal() for key in keys}) == 4
    assert not any(key.reveal().hex() in repr(keyring) for key in keys)


def edits(document: dict) -> list[dict]:
    """Payloads that are sealed well and wrong all the same."""
    versions = {"active": 1, "versions": {"1": {"created": "2026-01-01T00:00:00Z", "key": "AA=="}}}
    return [
        {**document, "extra": 1},
        {name: value for name, value in document.items() if name != "epoch"},
        {**document, "epoch": 0},
        {**document, "epoch": "1"},
        {**document, "epoch": True},
        {**document, "epoch": 2**32},
        {**document, "id": "ab"},
        {**document, "id": 16},
        {**document, "id": "zz" * 16},
        {**document, "etag_key": "AA=="},
        {**document, "etag_key": "*"},
        {**document, "master": versions},
        {**document, "master": {**document["master"], "active": 2}},
        {**document, "master": {"active": 1, "versions": []}},
        {**document, "attribute": 7},
    ]


@pytest.mark.parametrize("case", range(15))
def test_a_sealed_payload_that_is_not_the_specs_is_refused(keyring, case):
    payload = json.dumps(edits(keyring_payload(keyring))[case]).encode()
    record = seal_record(payload, ROOT.key, ROOT.id, RecordType.KEYRING, KEYRING_NAME)
    with pytest.raises(FormatError, match="does not know"):
        open_keyring(record, ROOT)


@pytest.mark.parametrize(
    "document",
    [
        [],
        7,
        {"buckets": {}, "epoch": 1, "grants": {}, "keyring": ID.hex()},
        {"buckets": {}, "epoch": 1, "grants": {}, "keyring": "00" * 16, "moves": {}},
        {"buckets": {}, "epoch": 0, "grants": {}, "keyring": ID.hex(), "moves": {}},
        {"buckets": {}, "epoch": 1.0, "grants": {}, "keyring": ID.hex(), "moves": {}},
        {"buckets": [], "epoch": 1, "grants": {}, "keyring": ID.hex(), "moves": {}},
    ],
)
def test_sealed_settings_that_are_not_the_specs_are_refused(keyring, document):
    payload = json.dumps(document).encode()
    record = seal_record(payload, keyring.ak(1), 1, RecordType.SETTINGS, SETTINGS_NAME)
    with pytest.raises(FormatError, match="does not know"):
        open_settings(record, keyring)


def test_any_flipped_byte_is_caught(keyring):
    record = seal_keyring(keyring, ROOT)
    for index in range(len(record)):
        flipped = bytearray(record)
        flipped[index] ^= 1
        with pytest.raises((FormatError, RootKeyError)):
            open_keyring(bytes(flipped), ROOT)
    record = seal_settings(first_settings(ID), keyring)
    for index in range(len(record)):
        flipped = bytearray(record)
        flipped[index] ^= 1
        with pytest.raises((FormatError, KeyUnavailable)):
            open_settings(bytes(flipped), keyring)


def test_records_of_other_keyrings_are_refused(keyring):
    other = new_keyring(bytes(16), CREATED)
    with pytest.raises(KeyringConflict):
        open_keyring(seal_keyring(other, ROOT), ROOT)
    with pytest.raises(IntegrityError):
        open_settings(seal_settings(first_settings(other.id), other), keyring)
    with pytest.raises(RootKeyError):
        open_keyring(seal_keyring(keyring, replace(ROOT, key=new_key())), ROOT)


def test_a_missing_version_is_named(keyring):
    assert keyring.master_key(1) == keyring.master[1]
    with pytest.raises(KeyUnavailable, match="master key 9"):
        keyring.master_key(9)
    with pytest.raises(KeyUnavailable, match="attribute key 9"):
        keyring.ak(9)


async def test_absent_records_are_errors(keyring):
    with pytest.raises(KeyringMissing):
        await load_keyring(MemoryRecords(), ROOT)
    with pytest.raises(KeyringMissing, match=SETTINGS_NAME):
        await load_settings(MemoryRecords(), keyring)


# Freshness.


async def test_nothing_is_held_before_the_start(store):
    service = KeyringService(store, ROOT)
    for use in (service.for_reading, service.for_writing, lambda: service.settings):
        with pytest.raises(KeyringStale):
            use()
    assert service.keyring_age_s == service.settings_age_s == math.inf


async def test_a_started_service_reads_and_writes(service, keyring):
    assert service.for_reading() == service.for_writing() == keyring
    assert service.settings == first_settings(ID)
    assert service.keyring_age_s == service.settings_age_s == 0.0


@pytest.mark.parametrize("lost", [KEYRING_NAME, SETTINGS_NAME])
async def test_a_start_without_a_record_fails(store, lost):
    del store.records[lost]
    with pytest.raises(KeyringMissing):
        await KeyringService(store, ROOT).start()


async def down(_: str, __: str) -> None:
    raise StoreUnavailable("down")


async def test_settings_older_than_30_s_stop_writes_not_reads(service, store, clock):
    store.before = down
    clock.now_s += 30.0
    with pytest.raises(StoreUnavailable):
        await service.refresh()
    service.for_writing()
    clock.now_s += 0.1
    with pytest.raises(KeyringStale, match="settings"):
        service.for_writing()
    service.for_reading()
    store.before = None
    await service.refresh()
    service.for_writing()


async def test_a_keyring_older_than_60_s_stops_writes_not_reads(service, store, clock):
    async def keyring_down(_: str, name: str) -> None:
        if name == KEYRING_NAME:
            raise StoreUnavailable("down")

    store.before = keyring_down
    clock.now_s += 60.0
    with pytest.raises(StoreUnavailable):
        await service.refresh()
    service.for_writing()
    clock.now_s += 0.1
    with pytest.raises(StoreUnavailable):
        await service.refresh()
    with pytest.raises(KeyringStale, match="keyring"):
        service.for_writing()
    service.for_reading()
    assert service.settings_age_s == 0.0


async def test_age_counts_from_the_question_not_the_answer(store, clock):
    async def slow(_: str, __: str) -> None:
        clock.now_s += 20.0

    store.before = slow
    service = KeyringService(store, ROOT, clock=clock)
    await service.start()
    assert service.settings_age_s == 20.0
    assert service.keyring_age_s == 40.0


async def test_the_keyring_is_read_every_30_s_and_the_settings_each_time(service, store, clock):
    reads = []

    async def note(_: str, name: str) -> None:
        reads.append(name)

    store.before = note
    clock.now_s += KEYRING_REFRESH_S - 1
    await service.refresh()
    assert reads == [SETTINGS_NAME]
    clock.now_s += 1
    await service.refresh()
    assert reads == [SETTINGS_NAME, KEYRING_NAME, SETTINGS_NAME]


async def test_a_rotation_is_picked_up(service, store, clock, keyring):
    later = rotated(keyring)
    store.records[KEYRING_NAME] = seal_keyring(later, ROOT)
    clock.now_s += KEYRING_REFRESH_S
    await service.refresh()
    assert service.for_writing() == later


async def test_settings_under_a_newer_attribute_key_fetch_the_keyring(service, store, keyring):
    later = rotated(keyring)
    changed = replace(first_settings(ID), epoch=2, buckets={"b": PHOTOS})
    store.records[KEYRING_NAME] = seal_keyring(later, ROOT)
    store.records[SETTINGS_NAME] = seal_settings(changed, later)
    await service.refresh()
    assert service.settings == changed
    assert service.for_reading() == later


@pytest.mark.parametrize("record", [KEYRING_NAME, SETTINGS_NAME])
@pytest.mark.parametrize("attack", ["hidden", "tampered"])
async def test_a_store_that_contradicts_itself_stops_writes_at_once(
    service, store, clock, record, attack
):
    held = store.records[record]
    if attack == "hidden":
        del store.records[record]
    else:
        store.records[record] = held[:-1] + bytes([held[-1] ^ 1])
    clock.now_s += KEYRING_REFRESH_S
    with pytest.raises((KeyringMissing, IntegrityError)):
        await service.refresh()
    with pytest.raises(KeyringStale):
        service.for_writing()
    service.for_reading()
    store.records[record] = held
    await service.refresh()
    service.for_writing()


# Epochs.


async def test_a_lower_epoch_of_the_keyring_is_refused(service, store, clock, keyring):
    older = store.records[KEYRING_NAME]
    store.records[KEYRING_NAME] = seal_keyring(rotated(keyring), ROOT)
    clock.now_s += KEYRING_REFRESH_S
    await service.refresh()
    store.records[KEYRING_NAME] = older
    clock.now_s += KEYRING_REFRESH_S
    with pytest.raises(KeyringStale, match="epoch 1"):
        await service.refresh()
    with pytest.raises(KeyringStale):
        service.for_writing()
    assert service.for_reading().epoch == 2


async def test_a_lower_epoch_of_the_settings_is_refused(service, store, keyring):
    older = store.records[SETTINGS_NAME]
    changed = Settings(ID, 2, {"b": PHOTOS}, {}, {})
    store.records[SETTINGS_NAME] = seal_settings(changed, keyring)
    await service.refresh()
    store.records[SETTINGS_NAME] = older
    with pytest.raises(KeyringStale, match="settings"):
        await service.refresh()
    with pytest.raises(KeyringStale):
        service.for_writing()
    assert service.settings == changed


async def test_min_epoch_pins_a_fresh_worker(store):
    service = KeyringService(store, ROOT, epochs=EpochMemory(ID, min_epoch=2))
    with pytest.raises(KeyringStale, match="2 was seen or is required"):
        await service.start()


def test_epochs_are_remembered_across_restarts_by_keyring(tmp_path):
    path = tmp_path / "epochs.json"
    first = EpochMemory(ID, path=path)
    first.check("keyring", 3)
    first.check("settings", 7)
    second = EpochMemory(ID, path=path)
    second.check("keyring", 3)
    with pytest.raises(KeyringStale, match="remove"):
        second.check("keyring", 2)
    with pytest.raises(KeyringStale):
        second.check("settings", 6)
    EpochMemory(bytes(16), path=path).check("keyring", 1)
    assert path.stat().st_mode & 0o777 == 0o600


def test_two_workers_never_lower_what_the_other_saw(tmp_path):
    path = tmp_path / "epochs.json"
    first, second = EpochMemory(ID, path=path), EpochMemory(ID, path=path)
    first.check("keyring", 9)
    second.check("settings", 4)
    with pytest.raises(KeyringStale):
        second.check("keyring", 8)
    with pytest.raises(KeyringStale):
        EpochMemory(ID, path=path).check("keyring", 8)


@pytest.mark.parametrize("content", ["{", "[]", '{"a": 1}', '{"a": {"keyring": 1}}'])
def test_a_damaged_memory_is_an_error(tmp_path, content):
    path = tmp_path / "epochs.json"
    path.write_text(content)
    with pytest.raises(KeyManagementError, match="damaged"):
        EpochMemory(ID, path=path)


def test_a_full_disk_does_not_stop_the_memory_of_the_process(tmp_path, monkeypatch, caplog):
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(epochs_module, "write_private_file", full)
    memory = EpochMemory(ID, path=tmp_path / "epochs.json")
    with caplog.at_level(logging.WARNING):
        memory.check("keyring", 5)
    assert "No space left" in caplog.text
    with pytest.raises(KeyringStale):
        memory.check("keyring", 4)
