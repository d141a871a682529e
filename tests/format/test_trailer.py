"""The trailer: 256 bytes, bound to their header, holding ETag and checksums."""

from __future__ import annotations

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import given
from hypothesis import strategies as st

from sseproxy.errors import FormatError, IntegrityError
from sseproxy.format.attributes import Attributes
from sseproxy.format.layout import object_header
from sseproxy.format.names import hkdf
from sseproxy.format.trailer import open_trailer, seal_trailer

from .helpers import AK, DATA_ID, DEK, PART_SALT, flipped
from .test_attributes import CHECKSUM_BYTES, checksums, exactly

HEADER = object_header(600_000, PART_SALT)
ATTRIBUTES = Attributes(etag=b"e" * 16, checksums={"sha256": b"s" * 32})


def sealed_by_hand(plain: bytes) -> bytes:
    key = hkdf(AK, PART_SALT, "sseproxy/v1/trailer", DATA_ID).reveal()
    return AESGCM(key).encrypt(bytes(12), plain, HEADER.pack())


@given(exactly(16) | exactly(20), checksums)
def test_what_is_sealed_opens(etag: bytes, digests: dict[str, bytes]) -> None:
    attributes = Attributes(etag=etag, checksums=digests)
    sealed = seal_trailer(attributes, AK, DATA_ID, HEADER)
    assert len(sealed) == 256
    assert open_trailer(sealed, AK, DATA_ID, HEADER) == attributes
    assert sealed == sealed_by_hand(attributes.encode().ljust(240, b"\0"))


def test_every_checksum_fits() -> None:
    digests = {name: b"x" * size for name, size in CHECKSUM_BYTES.items()}
    attributes = Attributes(etag=b"e" * 16, checksums=digests)
    sealed = seal_trailer(attributes, AK, DATA_ID, HEADER)
    assert open_trailer(sealed, AK, DATA_ID, HEADER) == attributes


def test_any_flipped_byte_fails() -> None:
    sealed = seal_trailer(ATTRIBUTES, AK, DATA_ID, HEADER)
    for position in range(256):
        with pytest.raises(IntegrityError) as caught:
            open_trailer(flipped(sealed, position, position % 8), AK, DATA_ID, HEADER)
        assert caught.value.reason == "trailer"


@pytest.mark.parametrize(
    "header",
    [
        pytest.param(object_header(600_001, PART_SALT), id="size"),
        pytest.param(object_header(600_000, b"another salt, 16"), id="salt"),
        pytest.param(object_header(5, PART_SALT), id="no trailer"),
    ],
)
def test_a_trailer_belongs_to_its_header(header: object) -> None:
    sealed = seal_trailer(ATTRIBUTES, AK, DATA_ID, HEADER)
    with pytest.raises(IntegrityError):
        open_trailer(sealed, AK, DATA_ID, header)  # type: ignore[arg-type]  # a Header


def test_another_key_or_data_id_does_not_open_it() -> None:
    sealed = seal_trailer(ATTRIBUTES, AK, DATA_ID, HEADER)
    with pytest.raises(IntegrityError):
        open_trailer(sealed, DEK, DATA_ID, HEADER)
    with pytest.raises(IntegrityError):
        open_trailer(sealed, AK, bytes(16), HEADER)


@given(st.binary(max_size=300) | exactly(256))
def test_arbitrary_bytes_raise_integrity_errors(data: bytes) -> None:
    with pytest.raises(IntegrityError) as caught:
        open_trailer(data, AK, DATA_ID, HEADER)
    assert caught.value.reason == "trailer"


@pytest.mark.parametrize(
    ("attributes", "problem"),
    [
        (Attributes(etag=b"e" * 16, plain_size=600_000), "only"),
        (Attributes(etag=b"e" * 16, commitment=bytes(16)), "only"),
        (Attributes(etag=b"e" * 16, verifier=bytes(32)), "only"),
        (Attributes(etag=b"e" * 16, key_id="k"), "only"),
        (Attributes(etag=b"e" * 16, context=b"{}"), "only"),
        (Attributes(etag=b"e" * 16, manifest_id=bytes(16)), "only"),
        (Attributes(checksums={"crc32": b"crc!"}), "without ETag"),
        (Attributes(), "without ETag"),
    ],
)
def test_nothing_but_an_etag_and_checksums_is_taken(attributes: Attributes, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        seal_trailer(attributes, AK, DATA_ID, HEADER)
    with pytest.raises(FormatError, match=problem):
        open_trailer(sealed_by_hand(attributes.encode().ljust(240, b"\0")), AK, DATA_ID, HEADER)


def test_bytes_in_the_padding_are_refused() -> None:
    plain = ATTRIBUTES.encode().ljust(239, b"\0") + b"\x01"
    with pytest.raises(FormatError, match="after"):
        open_trailer(sealed_by_hand(plain), AK, DATA_ID, HEADER)


def test_no_trailer_without_its_flag() -> None:
    with pytest.raises(ValueError, match="announces"):
        seal_trailer(ATTRIBUTES, AK, DATA_ID, object_header(5, PART_SALT))
