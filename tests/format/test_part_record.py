"""Part records: all that is known of a part in a name, bound to its number and folder."""

from __future__ import annotations

import hashlib
import struct
from dataclasses import replace
from typing import Any

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import given
from hypothesis import strategies as st

from sseproxy.errors import IntegrityError
from sseproxy.format import b64url
from sseproxy.format.attributes import CHECKSUM_BYTES, CHECKSUM_TAGS
from sseproxy.format.names import hkdf, lp
from sseproxy.format.part_record import (
    PartRecord,
    open_part_record,
    part_number_of,
    part_record_key,
    seal_part_record,
    store_tag,
)
from sseproxy.secret import Secret

from .helpers import AK, DEK, SALT, flipped
from .test_attributes import exactly

FOLDER = "u/00112233445566778899aabbccddeeff/"
KEY = part_record_key(AK, SALT, FOLDER)
RECORD = PartRecord(7, b"t" * 16, 1000, b"e" * 16, b"s" * 16, b"crc64xz!")
WITH_CHECKSUM = replace(RECORD, checksum_algorithm="crc32", checksum=b"crc!")


@st.composite
def records(draw: st.DrawFn) -> PartRecord:
    algorithm = draw(st.none() | st.sampled_from(sorted(CHECKSUM_BYTES)))
    return PartRecord(
        number=draw(st.integers(1, 10_000)),
        store_tag=draw(exactly(16)),
        plain_size=draw(st.integers(0, 2**43)),
        etag=draw(exactly(16)),
        salt=draw(exactly(16)),
        crc64ecma=draw(exactly(8)),
        checksum_algorithm=algorithm,
        checksum=draw(exactly(0 if algorithm is None else CHECKSUM_BYTES[algorithm])),
    )


def refused(component: str, key: Secret = KEY, folder: str = FOLDER) -> str:
    with pytest.raises(IntegrityError) as caught:
        open_part_record(component, key, folder)
    assert caught.value.reason == "record"
    return str(caught.value)


@given(records())
def test_what_is_sealed_opens(record: PartRecord) -> None:
    component = seal_part_record(record, KEY, FOLDER)
    assert open_part_record(component, KEY, FOLDER) == record
    assert part_number_of(component) == record.number
    assert len(component) <= 216


def test_the_bytes_are_those_of_the_specification() -> None:
    number, _, sealed = seal_part_record(WITH_CHECKSUM, KEY, FOLDER).partition("-")
    data = b64url.decode(sealed)
    payload = b"t" * 16 + (1000).to_bytes(8) + b"e" * 16 + b"s" * 16 + b"crc64xz!" + b"\x10crc!"
    key = hkdf(AK, SALT, "sseproxy/v1/part-record", FOLDER).reveal()
    aad = lp(FOLDER, struct.pack(">I", 7))
    assert number == "00007"
    assert data[12:] == AESGCM(key).encrypt(data[:12], payload, aad)


def test_the_store_tag_is_a_short_digest() -> None:
    assert store_tag("abc-1") == hashlib.sha256(b"abc-1").digest()[:16]


def test_the_longest_name_is_within_its_limit() -> None:
    longest = replace(RECORD, checksum_algorithm="sha512", checksum=bytes(64))
    assert len(seal_part_record(longest, KEY, FOLDER)) == 216
    assert "not the name" in refused("00007-" + "A" * 211)


def test_every_seal_has_a_nonce_of_its_own() -> None:
    assert len({seal_part_record(RECORD, KEY, FOLDER)[6:22] for _ in range(20)}) == 20


def test_any_flipped_byte_fails() -> None:
    sealed = b64url.decode(seal_part_record(WITH_CHECKSUM, KEY, FOLDER)[6:])
    for position in range(len(sealed)):
        assert "authentic" in refused("00007-" + b64url.encode(flipped(sealed, position)))


@given(st.data())
def test_any_other_character_fails(draw: st.DataObject) -> None:
    component = seal_part_record(RECORD, KEY, FOLDER)
    position = draw.draw(st.integers(0, len(component) - 1))
    other = draw.draw(st.characters().filter(lambda c: c != component[position]))
    refused(component[:position] + other + component[position + 1 :])


def test_any_cut_fails() -> None:
    component = seal_part_record(RECORD, KEY, FOLDER)
    for stop in range(len(component)):
        refused(component[:stop])


def test_a_record_serves_its_number_folder_and_upload_only() -> None:
    component = seal_part_record(RECORD, KEY, FOLDER)
    assert "part 8" in refused("00008" + component[5:])
    refused(component, folder="u/" + "0" * 32 + "/")
    refused(component, key=part_record_key(AK, bytes(16), FOLDER))
    refused(component, key=part_record_key(DEK, SALT, FOLDER))
    refused(component, key=part_record_key(AK, SALT, "u/" + "0" * 32 + "/"))


def by_hand(payload: bytes) -> str:
    nonce = b"nonce 12 byt"
    aad = lp(FOLDER, struct.pack(">I", 7))
    return "00007-" + b64url.encode(nonce + AESGCM(KEY.reveal()).encrypt(nonce, payload, aad))


FIXED = b"t" * 16 + bytes(8) + b"e" * 16 + b"s" * 16 + b"crc64xz!"


@pytest.mark.parametrize(
    ("payload", "problem"),
    [
        (b"", "cut short"),
        (FIXED[:-1], "cut short"),
        (FIXED[:16] + (2**43 + 1).to_bytes(8) + FIXED[24:], "within"),
        (FIXED[:16] + b"\xff" * 8 + FIXED[24:], "within"),
        (FIXED + b"\0", "0x00"),
        (FIXED + b"\x02" + bytes(16), "0x02"),
        (FIXED + b"\x1b" + bytes(8), "0x1b"),
        (FIXED + b"\x10", "crc32 of 0 bytes"),
        (FIXED + b"\x10" + bytes(3), "crc32 of 3 bytes"),
        (FIXED + b"\x10" + bytes(5), "crc32 of 5 bytes"),
    ],
)
def test_what_is_sealed_and_not_allowed_is_refused(payload: bytes, problem: str) -> None:
    assert open_part_record(by_hand(FIXED), KEY, FOLDER).plain_size == 0
    assert problem in refused(by_hand(payload))


@given(st.text(max_size=230) | st.from_regex(r"\A[01][0-9]{4}-[A-Za-z0-9_-]{120,211}\Z"))
def test_arbitrary_names_raise_integrity_errors(component: str) -> None:
    refused(component)


@pytest.mark.parametrize(
    ("component", "number"),
    [
        ("00001-A", 1),
        ("10000-A", 10_000),
        ("00000-A", None),
        ("10001-A", None),
        ("99999-A", None),
        ("1-A", None),
        ("000001-A", None),
        ("00001-", None),
        ("00001-A=", None),
        ("00001-A\n", None),
        ("00001_A", None),
        ("\u0660\u0660\u0660\u0660\u0661-A", None),
        ("upload", None),
        ("", None),
    ],
)
def test_the_number_is_read_from_names_of_part_records_only(
    component: str, number: int | None
) -> None:
    assert part_number_of(component) == number


@pytest.mark.parametrize("algorithm", sorted(CHECKSUM_TAGS))
def test_each_checksum_is_taken(algorithm: str) -> None:
    digest = bytes(CHECKSUM_BYTES[algorithm])
    payload = FIXED + bytes((CHECKSUM_TAGS[algorithm],)) + digest
    record = open_part_record(by_hand(payload), KEY, FOLDER)
    assert (record.checksum_algorithm, record.checksum) == (algorithm, digest)


@pytest.mark.parametrize(
    "fields",
    [
        {"number": 0},
        {"number": 10_001},
        {"plain_size": -1},
        {"plain_size": 2**43 + 1},
        {"store_tag": bytes(32)},
        {"etag": bytes(20)},
        {"salt": bytes(15)},
        {"crc64ecma": b""},
        {"checksum": b"crc!"},
        {"checksum_algorithm": "crc32"},
        {"checksum_algorithm": "crc16", "checksum": b"12"},
    ],
)
def test_what_no_record_can_hold_is_the_callers_error(fields: dict[str, Any]) -> None:
    with pytest.raises(ValueError):
        replace(RECORD, **fields)
