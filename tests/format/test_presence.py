"""What has to be in an envelope, and what must not: refused by the writer and by the reader."""

from __future__ import annotations

from dataclasses import replace

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from sseproxy.errors import FormatError
from sseproxy.format.attributes import Attributes
from sseproxy.format.envelope import Envelope, Mode, open_attributes, seal_envelope
from sseproxy.format.names import hkdf

from .helpers import AK, DATA_ID, DEK, KEYRING_ID, NAME, PART_SALT, SALT, UPPER_KEYS, envelope

NO_SALT = bytes(16)
ETAG = b"e" * 16
SINGLE = Attributes(plain_size=5, etag=ETAG)
LARGE = Attributes(plain_size=524_289)
MULTIPART = Attributes(manifest_id=b"m" * 16)


def seal(mode: Mode, part_salt: bytes, attributes: Attributes) -> Envelope:
    return seal_envelope(
        upper=UPPER_KEYS[mode],
        keyring_id=KEYRING_ID,
        ak_version=3,
        ak=AK,
        data_ak_version=2,
        data_id=DATA_ID,
        dek=DEK,
        salt=SALT,
        part_salt=part_salt,
        name=NAME,
        attributes=attributes,
    )


def forge(mode: Mode, part_salt: bytes, attributes: Attributes) -> Envelope:
    """An envelope whose attributes are sealed properly, whatever they are."""
    sealed = replace(envelope(mode), part_salt=part_salt)
    aad = sealed.prefix() + sealed.wrapped_dek + NAME.lp()
    key = hkdf(AK, SALT, "sseproxy/v1/attributes").reveal()
    return replace(
        sealed, sealed_attributes=AESGCM(key).encrypt(bytes(12), attributes.encode(), aad)
    )


def for_mode(mode: Mode, attributes: Attributes) -> Attributes:
    return replace(attributes, verifier=b"v" * 32) if mode is Mode.SSE_C else attributes


modes = pytest.mark.parametrize("mode", list(Mode))


@modes
@pytest.mark.parametrize(
    ("part_salt", "attributes"),
    [
        pytest.param(PART_SALT, SINGLE, id="small"),
        pytest.param(PART_SALT, replace(SINGLE, checksums={"crc32": b"crc!"}), id="checksum"),
        pytest.param(PART_SALT, replace(SINGLE, plain_size=0), id="empty"),
        pytest.param(PART_SALT, replace(SINGLE, plain_size=524_288), id="largest small"),
        pytest.param(PART_SALT, LARGE, id="smallest large"),
        pytest.param(PART_SALT, replace(LARGE, plain_size=2**43), id="largest"),
        pytest.param(NO_SALT, MULTIPART, id="multipart"),
        pytest.param(PART_SALT, replace(SINGLE, etag=ETAG + b"\0\0\0\2"), id="kept ETag"),
    ],
)
def test_what_is_complete_opens(mode: Mode, part_salt: bytes, attributes: Attributes) -> None:
    attributes = for_mode(mode, attributes)
    opened = open_attributes(seal(mode, part_salt, attributes), AK, NAME)
    assert replace(opened, commitment=None) == attributes


@modes
@pytest.mark.parametrize(
    ("part_salt", "attributes", "problem"),
    [
        pytest.param(PART_SALT, Attributes(etag=ETAG), "a plain size or", id="neither"),
        pytest.param(NO_SALT, Attributes(etag=ETAG), "a plain size or", id="neither, no salt"),
        pytest.param(
            PART_SALT, replace(SINGLE, manifest_id=bytes(16)), "a plain size or", id="both"
        ),
        pytest.param(
            NO_SALT, replace(MULTIPART, plain_size=5), "a plain size or", id="both, no salt"
        ),
        pytest.param(NO_SALT, SINGLE, "a part salt or", id="single PUT without salt"),
        pytest.param(NO_SALT, LARGE, "a part salt or", id="large PUT without salt"),
        pytest.param(PART_SALT, MULTIPART, "a part salt or", id="multipart with salt"),
        pytest.param(PART_SALT, replace(SINGLE, etag=None), "without the ETag", id="no ETag"),
        pytest.param(
            PART_SALT, Attributes(plain_size=524_288), "without the ETag", id="no ETag at the limit"
        ),
        pytest.param(PART_SALT, replace(LARGE, etag=ETAG), "with a trailer", id="early ETag"),
        pytest.param(
            PART_SALT,
            replace(LARGE, checksums={"crc32": b"crc!"}),
            "with a trailer",
            id="early checksum",
        ),
        pytest.param(NO_SALT, replace(MULTIPART, etag=ETAG), "with a manifest", id="ETag"),
        pytest.param(
            NO_SALT,
            replace(MULTIPART, etag=ETAG + b"\0\0\0\2"),
            "with a manifest",
            id="multipart ETag",
        ),
        pytest.param(
            NO_SALT,
            replace(MULTIPART, checksums={"crc32": b"crc!"}),
            "with a manifest",
            id="multipart checksum",
        ),
    ],
)
def test_what_breaks_a_rule_is_neither_made_nor_read(
    mode: Mode, part_salt: bytes, attributes: Attributes, problem: str
) -> None:
    attributes = for_mode(mode, attributes)
    with pytest.raises(ValueError, match=problem):
        seal(mode, part_salt, attributes)
    committed = replace(attributes, commitment=bytes(16))
    with pytest.raises(FormatError, match=problem):
        open_attributes(forge(mode, part_salt, committed), AK, NAME)


@modes
@pytest.mark.parametrize(("part_salt", "attributes"), [(PART_SALT, SINGLE), (NO_SALT, MULTIPART)])
def test_the_verifier_is_there_exactly_in_mode_sse_c(
    mode: Mode, part_salt: bytes, attributes: Attributes
) -> None:
    wrong = replace(attributes, verifier=None if mode is Mode.SSE_C else b"v" * 32)
    with pytest.raises(ValueError, match="verifier"):
        seal(mode, part_salt, wrong)
    with pytest.raises(FormatError, match="verifier"):
        open_attributes(forge(mode, part_salt, replace(wrong, commitment=bytes(16))), AK, NAME)


@modes
@pytest.mark.parametrize(("part_salt", "attributes"), [(PART_SALT, SINGLE), (NO_SALT, MULTIPART)])
def test_no_envelope_is_without_commitment(
    mode: Mode, part_salt: bytes, attributes: Attributes
) -> None:
    with pytest.raises(FormatError, match="commitment"):
        open_attributes(forge(mode, part_salt, for_mode(mode, attributes)), AK, NAME)
