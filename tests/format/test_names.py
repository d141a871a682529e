"""Concatenation, HKDF and the derivations, against RFC 5869 and the text of the specification."""

from __future__ import annotations

import hashlib
import hmac

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sseproxy.format.derive import (
    composite_etag,
    customer_upper_key,
    random_etag,
    random_part_etag,
    verifier,
)
from sseproxy.format.header import part_key
from sseproxy.format.names import (
    ObjectName,
    composite_of,
    hkdf,
    keyed_name,
    lp,
    manifest_folder,
    manifest_name,
    upload_folder,
    upload_record_name,
)
from sseproxy.format.record import root_key_id
from sseproxy.secret import Secret

from .helpers import AK, DATA_ID, DEK, NAME, PART_SALT, SALT, header

CUSTOMER = Secret(b"c" * 32)


def rfc5869(key: bytes, salt: bytes, info: bytes) -> bytes:
    """One block of HKDF-SHA256, from HMAC."""
    extracted = hmac.digest(salt or bytes(32), key, "sha256")
    return hmac.digest(extracted, info + b"\x01", "sha256")


def test_lp_prefixes_each_item_with_its_length() -> None:
    assert lp("ab", b"\x01") == b"\0\0\0\x02ab\0\0\0\x01\x01"
    assert lp() == b""
    assert lp("ü") == b"\0\0\0\x02\xc3\xbc"


@given(st.lists(st.binary(max_size=5), max_size=4), st.lists(st.binary(max_size=5), max_size=4))
def test_lp_is_injective(one: list[bytes], other: list[bytes]) -> None:
    assert (lp(*one) == lp(*other)) == (one == other)


def test_the_reference_is_rfc_5869() -> None:
    # Test case 1 of the RFC, its first block; info there is no lp(), so it checks the reference.
    okm = rfc5869(b"\x0b" * 22, bytes(range(13)), bytes(range(0xF0, 0xFA)))
    assert okm.hex() == "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf"


@given(st.binary(min_size=1, max_size=40), st.binary(max_size=20), st.binary(max_size=20))
def test_hkdf_follows_the_rfc_with_any_salt(key: bytes, salt: bytes, info: bytes) -> None:
    derived = hkdf(Secret(key), salt, "label", info)
    assert derived.reveal() == rfc5869(key, salt, lp("label", info))


def test_an_object_name_binds_bucket_and_key_separately() -> None:
    assert ObjectName("a", "bc").lp() != ObjectName("ab", "c").lp()
    assert ObjectName("a", "bc").lp() == lp("a", "bc")


def test_the_part_key_is_derived_from_the_header_without_its_salt() -> None:
    head = header(5)
    info = lp("sseproxy/v1/part", DATA_ID, head.pack()[:48])
    assert part_key(DEK, DATA_ID, head).reveal() == rfc5869(DEK.reveal(), PART_SALT, info)


def test_customer_keys_are_peppered() -> None:
    pepper = rfc5869(AK.reveal(), b"", lp("sseproxy/v1/pepper"))
    upper = rfc5869(CUSTOMER.reveal(), pepper, lp("sseproxy/v1/sse-c"))
    assert customer_upper_key(CUSTOMER, AK).reveal() == upper
    verifier_key = rfc5869(pepper, SALT, lp("sseproxy/v1/verifier"))
    expected = hmac.new(verifier_key, CUSTOMER.reveal(), hashlib.sha256).digest()
    assert verifier(CUSTOMER, AK, SALT) == expected


def test_the_verifier_depends_on_the_envelope() -> None:
    assert verifier(CUSTOMER, AK, SALT) != verifier(CUSTOMER, AK, PART_SALT)


def test_a_random_etag_is_a_keyed_hash_of_the_data_id() -> None:
    expected = hmac.new(AK.reveal(), lp("sseproxy/v1/etag", DATA_ID), hashlib.sha256).digest()
    assert random_etag(AK, DATA_ID) == expected[:16]


def test_the_root_key_id_is_the_start_of_its_derivation() -> None:
    derived = rfc5869(AK.reveal(), b"", lp("sseproxy/v1/root-id"))
    assert root_key_id(AK) == int.from_bytes(derived[:4], "big")


def test_a_random_part_etag_is_one_of_data_id_and_salt() -> None:
    expected = hmac.new(AK.reveal(), lp("sseproxy/v1/etag", DATA_ID, PART_SALT), hashlib.sha256)
    assert random_part_etag(AK, DATA_ID, PART_SALT) == expected.digest()[:16]
    assert random_part_etag(AK, DATA_ID, SALT) != random_part_etag(AK, DATA_ID, PART_SALT)


def test_the_etag_of_a_multipart_object_is_that_of_s3() -> None:
    # As S3 computes it: MD5 of the parts' MD5s, then their number.
    parts = [hashlib.md5(data, usedforsecurity=False) for data in (b"one", b"two")]
    joined = hashlib.md5(b"".join(part.digest() for part in parts), usedforsecurity=False)
    assert composite_etag([part.digest() for part in parts]) == joined.digest() + b"\0\0\0\2"
    assert composite_of([part.hexdigest() for part in parts]) == f"{joined.hexdigest()}-2"


@pytest.mark.parametrize("etags", [[], [bytes(20)], [bytes(16), b""], [bytes(16)] * 10_001])
def test_a_composite_etag_is_of_one_to_ten_thousand_parts(etags: list[bytes]) -> None:
    with pytest.raises(ValueError):
        composite_etag(etags)


def test_names_are_keyed_hashes() -> None:
    info = lp("sseproxy/v1/name", "a", "bc")
    expected = hmac.new(AK.reveal(), info, hashlib.sha256).hexdigest()[:32]
    assert keyed_name(AK, "a", "bc") == expected
    assert keyed_name(AK, "ab", "c") != expected
    assert keyed_name(DEK, "a", "bc") != expected


def test_the_names_of_multipart_records() -> None:
    folder = upload_folder(AK, NAME, "id")
    assert folder == f"u/{keyed_name(AK, 'upload', NAME.bucket_identity, NAME.key, 'id')}/"
    assert upload_record_name(folder) == f"{folder}upload"
    assert manifest_folder(DATA_ID) == f"m/{DATA_ID.hex()}/"
    assert manifest_name(AK, DATA_ID, "x-1") == (
        f"m/{DATA_ID.hex()}/{keyed_name(AK, 'manifest', 'x-1')}"
    )


MD5 = "0" * 31 + "f"


@pytest.mark.parametrize(
    "etags",
    [[MD5.upper()], [MD5, MD5 + "-1"], [MD5[:-1]], [MD5 + "\n"], ["\u0660" * 32], [""]],
)
def test_etags_that_are_no_md5_are_hashed_as_text(etags: list[str]) -> None:
    assert composite_of(etags) == hashlib.sha256(lp(*etags)).hexdigest()


def test_no_parts_have_no_composite() -> None:
    with pytest.raises(ValueError):
        composite_of([])
