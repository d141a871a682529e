"""The choice of the upper key, and the recognition of customer keys."""

from __future__ import annotations

import hmac
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from sseproxy.errors import (
    CustomerKeyMissing,
    CustomerKeyWrong,
    IntegrityError,
    KeyringStale,
    KeyUnavailable,
)
from sseproxy.format.attributes import Attributes
from sseproxy.format.derive import customer_upper_key, verifier
from sseproxy.format.envelope import (
    Envelope,
    Mode,
    new_data_id,
    new_dek,
    new_salt,
    open_attributes,
    seal_envelope,
    unwrap_dek,
)
from sseproxy.format.names import ObjectName
from sseproxy.keys import customer as customer_module
from sseproxy.keys.keymaster import Keymaster
from sseproxy.keys.keyring import KeyringService
from sseproxy.keys.keyring_record import seal_keyring
from sseproxy.keys.model import KEYRING_NAME, Keyring, new_keyring, settings_name
from sseproxy.keys.rootkey import RootKey
from sseproxy.keys.settings import first_settings, seal_settings
from sseproxy.s3.sse import CustomerKey, SseMode
from sseproxy.secret import Secret
from tests.keys.records import MemoryRecords

ID = bytes(range(16))
ROOT = RootKey(Secret(bytes(32)), ID, pending=False)
NAME = ObjectName("bucket", "key")
CUSTOMER = CustomerKey(Secret(b"c" * 32), "md5")
OTHER = CustomerKey(Secret(b"d" * 32), "md5")


@pytest.fixture
async def service() -> KeyringService:
    store, keyring = MemoryRecords(), new_keyring(ID, datetime.now(UTC))
    store.records[KEYRING_NAME] = seal_keyring(keyring, ROOT)
    store.records[settings_name(ID)] = seal_settings(first_settings(ID), keyring)
    service = KeyringService(store, ROOT)
    await service.start()
    return service


@pytest.fixture
def keyring(service) -> Keyring:
    return service.for_reading()


@pytest.fixture
def keymaster(service) -> Keymaster:
    return Keymaster(service)


async def sealed(
    keymaster: Keymaster, keyring: Keyring, mode: SseMode
) -> tuple[Envelope, Attributes, Secret]:
    """An envelope as a PUT makes it, its opened attributes, and its data key."""
    given = CUSTOMER if mode is SseMode.SSE_C else None
    salt, dek, ak = new_salt(), new_dek(), keyring.ak(1)
    attributes = Attributes(
        plain_size=1,
        etag=bytes(16),
        verifier=verifier(CUSTOMER.key, ak, salt) if given else None,
    )
    envelope = seal_envelope(
        upper=await keymaster.upper_key_for_write(mode, given),
        keyring_id=keyring.id,
        ak_version=1,
        ak=ak,
        data_ak_version=1,
        data_id=new_data_id(),
        dek=dek,
        salt=salt,
        part_salt=new_salt(),
        name=NAME,
        attributes=attributes,
    )
    return envelope, open_attributes(envelope, keymaster.attribute_key(envelope), NAME), dek


@pytest.mark.parametrize("mode", [SseMode.SSE_COS, SseMode.SSE_C])
async def test_what_is_wrapped_for_writing_is_unwrapped_for_reading(keymaster, keyring, mode):
    envelope, attributes, dek = await sealed(keymaster, keyring, mode)
    given = CUSTOMER if mode is SseMode.SSE_C else None
    upper = await keymaster.upper_key_for_read(envelope, attributes, given)
    assert attributes.commitment is not None
    assert unwrap_dek(envelope, upper, NAME, attributes.commitment) == dek
    assert keymaster.data_attribute_key(envelope) == keyring.ak(1)


async def test_sse_cos_names_the_active_master_version(keymaster, keyring):
    upper = await keymaster.upper_key_for_write(SseMode.SSE_COS)
    assert (upper.mode, upper.id) == (Mode.SSE_COS, b"\0\0\0\1")
    assert upper.key == keyring.master_key(1)
    key = Secret(b"2" * 32)
    later = replace(keyring, master={**keyring.master, 2: key}, active_master=2)
    upper = await keymaster.upper_key_for_write(SseMode.SSE_COS, keyring=later)
    assert (upper.id, upper.key) == (b"\0\0\0\2", key)


async def test_the_customer_key_itself_is_never_the_upper_key(keymaster, keyring):
    upper = await keymaster.upper_key_for_write(SseMode.SSE_C, CUSTOMER)
    assert (upper.mode, upper.id) == (Mode.SSE_C, b"")
    assert upper.key == customer_upper_key(CUSTOMER.key, keyring.ak(1))
    assert upper.key != CUSTOMER.key


async def test_a_customer_key_that_is_missing_or_wrong_is_refused(keymaster, keyring):
    with pytest.raises(CustomerKeyMissing):
        await keymaster.upper_key_for_write(SseMode.SSE_C)
    envelope, attributes, _ = await sealed(keymaster, keyring, SseMode.SSE_C)
    with pytest.raises(CustomerKeyMissing):
        await keymaster.upper_key_for_read(envelope, attributes)
    with pytest.raises(CustomerKeyWrong):
        await keymaster.upper_key_for_read(envelope, attributes, OTHER)
    without = replace(attributes, verifier=None)
    with pytest.raises(IntegrityError, match="verifier"):
        await keymaster.upper_key_for_read(envelope, without, CUSTOMER)


async def test_the_verifier_is_salted_and_compared_in_constant_time(
    keymaster, keyring, monkeypatch
):
    envelope, attributes, _ = await sealed(keymaster, keyring, SseMode.SSE_C)
    again, same_key, _ = await sealed(keymaster, keyring, SseMode.SSE_C)
    assert envelope.salt != again.salt
    assert attributes.verifier != same_key.verifier
    compared = []

    class Spy:
        @staticmethod
        def compare_digest(a: bytes, b: bytes) -> bool:
            compared.append((a, b))
            return hmac.compare_digest(a, b)

    monkeypatch.setattr(customer_module, "hmac", Spy)
    await keymaster.upper_key_for_read(envelope, attributes, CUSTOMER)
    assert compared == [(attributes.verifier, attributes.verifier)]


async def test_sse_kms_and_none_have_no_key(keymaster, keyring):
    with pytest.raises(KeyUnavailable, match="SSE-KMS"):
        await keymaster.upper_key_for_write(SseMode.SSE_KMS)
    with pytest.raises(ValueError, match="not encrypted"):
        await keymaster.upper_key_for_write(SseMode.NONE)
    envelope, attributes, _ = await sealed(keymaster, keyring, SseMode.SSE_COS)
    direct = replace(envelope, mode=Mode.SSE_KMS, upper_key_id=bytes(32), kms_blob=b"blob")
    bucket = replace(envelope, mode=Mode.SSE_KMS_BUCKET, upper_key_id=bytes(36))
    for kms in (direct, bucket):
        with pytest.raises(KeyUnavailable, match="SSE-KMS"):
            await keymaster.upper_key_for_read(kms, attributes)


async def test_an_object_of_another_keyring_is_refused_by_name(keymaster, keyring):
    envelope, attributes, _ = await sealed(keymaster, keyring, SseMode.SSE_COS)
    foreign = replace(envelope, keyring_id=bytes(16))
    with pytest.raises(KeyUnavailable, match="00000000"):
        await keymaster.upper_key_for_read(foreign, attributes)
    with pytest.raises(KeyUnavailable):
        keymaster.attribute_key(foreign)


async def test_versions_that_the_keyring_lacks_are_unavailable(keymaster, keyring):
    envelope, attributes, _ = await sealed(keymaster, keyring, SseMode.SSE_COS)
    with pytest.raises(KeyUnavailable, match="master key 7"):
        await keymaster.upper_key_for_read(replace(envelope, upper_key_id=b"\0\0\0\7"), attributes)
    with pytest.raises(KeyUnavailable, match="attribute key 7"):
        keymaster.data_attribute_key(replace(envelope, data_ak_version=7))


async def test_stale_keys_stop_writing(service):
    service._settings.at_s = float("-inf")
    with pytest.raises(KeyringStale):
        await Keymaster(service).upper_key_for_write(SseMode.SSE_COS)
