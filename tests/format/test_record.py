"""Sealed records: bound to their type and name, with a fresh salt at every write."""

from __future__ import annotations

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import given
from hypothesis import strategies as st

from sseproxy.errors import FormatError, IntegrityError, KeyUnavailable, UnknownVersion
from sseproxy.format.names import hkdf
from sseproxy.format.record import RecordType, open_record, record_key_version, seal_record
from sseproxy.secret import Secret

from .helpers import AK, DEK, flipped

NAME = "settings-00112233445566778899aabbccddeeff"
SETTINGS = RecordType.SETTINGS


def lookup(version: int) -> Secret:
    if version == 7:
        return AK
    raise KeyUnavailable(f"no version {version}")


def seal(payload: bytes = b"payload") -> bytes:
    return seal_record(payload, AK, 7, SETTINGS, NAME)


@given(st.binary(max_size=200))
def test_what_is_sealed_opens(payload: bytes) -> None:
    sealed = seal(payload)
    assert open_record(sealed, lookup, SETTINGS, NAME) == payload
    assert record_key_version(sealed) == 7


@pytest.mark.parametrize(
    ("record_type", "name"), [(RecordType.KEYRING, "keyring"), (SETTINGS, "settings")]
)
def test_the_bytes_are_those_of_the_specification(record_type: RecordType, name: str) -> None:
    sealed = seal_record(b"payload", AK, 7, record_type, "the name")
    start, salt = sealed[:22], sealed[6:22]
    assert start[:6] == bytes((1, record_type, 0, 0, 0, 7))
    key = hkdf(AK, salt, "sseproxy/v1/record", name, "the name").reveal()
    assert sealed[22:] == AESGCM(key).encrypt(bytes(12), b"payload", start + b"the name")


def test_every_write_has_a_salt_of_its_own() -> None:
    assert len({seal()[6:22] for _ in range(20)}) == 20


def test_any_flipped_byte_fails() -> None:
    sealed = seal()
    for position in range(len(sealed)):
        with pytest.raises((FormatError, KeyUnavailable)):
            open_record(flipped(sealed, position), lookup, SETTINGS, NAME)
        with pytest.raises(FormatError):
            open_record(flipped(sealed, position), lambda _: AK, SETTINGS, NAME)


def test_any_cut_fails() -> None:
    sealed = seal()
    for stop in range(len(sealed)):
        with pytest.raises(IntegrityError) as caught:
            open_record(sealed[:stop], lookup, SETTINGS, NAME)
        assert caught.value.reason == "record"


def test_a_record_serves_under_its_own_name_and_type_only() -> None:
    with pytest.raises(IntegrityError):
        open_record(seal(), lookup, SETTINGS, NAME + "0")
    with pytest.raises(IntegrityError, match="type 2 instead of 1"):
        open_record(seal(), lookup, RecordType.KEYRING, NAME)
    renamed = b"\x01\x01" + seal()[2:]
    with pytest.raises(IntegrityError):
        open_record(renamed, lookup, RecordType.KEYRING, NAME)


def test_the_lookup_decides_about_key_versions() -> None:
    sealed = seal_record(b"payload", AK, 8, SETTINGS, NAME)
    with pytest.raises(KeyUnavailable, match="no version 8"):
        open_record(sealed, lookup, SETTINGS, NAME)
    with pytest.raises(IntegrityError):
        open_record(seal(), lambda _: DEK, SETTINGS, NAME)


def test_another_version_is_refused_by_name() -> None:
    for read in (lambda data: open_record(data, lookup, SETTINGS, NAME), record_key_version):
        with pytest.raises(UnknownVersion, match="version 2"):
            read(b"\x02" + seal()[1:])


@given(st.binary(max_size=100) | st.binary(min_size=36, max_size=80).map(lambda b: b"\1\2" + b))
def test_arbitrary_bytes_raise_format_errors_only(data: bytes) -> None:
    with pytest.raises(FormatError):
        open_record(data, lambda _: AK, SETTINGS, NAME)


@pytest.mark.parametrize("version", [-1, 2**32])
def test_key_versions_are_u32(version: int) -> None:
    with pytest.raises(ValueError):
        seal_record(b"", AK, version, SETTINGS, NAME)
