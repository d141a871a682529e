"""The envelope: its bytes, what it binds, and everything a reader has to refuse."""

from __future__ import annotations

import base64
from dataclasses import replace

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import given
from hypothesis import strategies as st

from sseproxy.errors import FormatError, IntegrityError, UnknownVersion
from sseproxy.format.attributes import Attributes
from sseproxy.format.envelope import (
    Envelope,
    Mode,
    UpperKey,
    new_data_id,
    new_dek,
    new_salt,
    open_attributes,
    seal_envelope,
    unwrap_dek,
)
from sseproxy.format.names import ObjectName, hkdf
from sseproxy.secret import Secret

from .helpers import (
    AK,
    DATA_ID,
    DEK,
    KEYRING_ID,
    NAME,
    PART_SALT,
    SALT,
    UPPER,
    UPPER_KEYS,
    envelope,
    flipped,
)

modes = pytest.mark.parametrize("mode", list(Mode))


def unseal(sealed: Envelope, name: ObjectName = NAME) -> tuple[Attributes, Secret]:
    """Open everything, as a reader does."""
    attributes = open_attributes(sealed, AK, name)
    assert attributes.commitment is not None
    return attributes, unwrap_dek(sealed, UPPER, name, attributes.commitment)


def raw(sealed: Envelope) -> bytes:
    text = sealed.encode()
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def text(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


@modes
def test_what_is_sealed_opens(mode: Mode) -> None:
    sealed = envelope(mode)
    decoded = Envelope.decode(sealed.encode())
    assert decoded == sealed
    attributes, dek = unseal(decoded)
    assert dek == DEK
    assert (attributes.plain_size, attributes.etag) == (5, b"e" * 16)
    assert attributes.checksums == {"crc32": b"crc!"}


@modes
def test_the_bytes_are_those_of_the_specification(mode: Mode) -> None:
    upper, data, attributes = UPPER_KEYS[mode], raw(envelope(mode)), unseal(envelope(mode))[0]
    prefix = (
        bytes((1, mode))
        + KEYRING_ID
        + b"\0\0\0\x03\0\0\0\x02"
        + bytes((len(upper.id),))
        + upper.id
        + len(upper.kms_blob).to_bytes(2)
        + upper.kms_blob
        + DATA_ID
        + SALT
        + PART_SALT
    )
    kek = hkdf(
        UPPER, SALT, "sseproxy/v1/kek", b"\x01", bytes((mode,)), "bucket", "folder/key ü", upper.id
    )
    wrapped = AESGCM(kek.reveal()).encrypt(bytes(12), DEK.reveal(), prefix + NAME.lp())
    key = hkdf(AK, SALT, "sseproxy/v1/attributes").reveal()
    sealed = AESGCM(key).encrypt(bytes(12), attributes.encode(), prefix + wrapped + NAME.lp())
    assert data == prefix + wrapped + sealed
    assert attributes.commitment == hkdf(DEK, b"", "sseproxy/v1/commit").reveal()[:16]


@modes
def test_any_flipped_byte_fails(mode: Mode) -> None:
    data = raw(envelope(mode))
    for position in range(len(data)):
        with pytest.raises(FormatError):
            unseal(Envelope.decode(text(flipped(data, position, position % 8))))


@modes
def test_any_cut_fails(mode: Mode) -> None:
    data = raw(envelope(mode))
    for stop in range(len(data)):
        with pytest.raises(IntegrityError) as caught:
            unseal(Envelope.decode(text(data[:stop])))
        assert caught.value.reason == "envelope"


@pytest.mark.parametrize(
    "name",
    [
        ObjectName("bucket2", NAME.key),
        ObjectName("bucket", "folder/key"),
        ObjectName("bucketfolder/", "key ü"),
    ],
)
def test_an_envelope_serves_under_its_own_name_only(name: ObjectName) -> None:
    sealed = envelope()
    with pytest.raises(IntegrityError) as caught:
        open_attributes(sealed, AK, name)
    assert caught.value.reason == "envelope"
    commitment = open_attributes(sealed, AK, NAME).commitment
    assert commitment is not None
    with pytest.raises(IntegrityError) as caught:
        unwrap_dek(sealed, UPPER, name, commitment)
    assert caught.value.reason == "envelope"


def test_another_key_does_not_open_it() -> None:
    with pytest.raises(IntegrityError):
        open_attributes(envelope(), UPPER, NAME)
    with pytest.raises(IntegrityError):
        unwrap_dek(envelope(), AK, NAME, bytes(16))


def test_parts_of_two_envelopes_do_not_mix() -> None:
    one = envelope()
    other = envelope(attributes=Attributes(plain_size=6, etag=b"e" * 16))
    # Same salt on purpose: the attributes of one still do not go with the wrap of the other.
    wrapped = seal_envelope(
        upper=UPPER_KEYS[Mode.SSE_COS],
        keyring_id=KEYRING_ID,
        ak_version=3,
        ak=AK,
        data_ak_version=2,
        data_id=DATA_ID,
        dek=new_dek(),
        salt=SALT,
        part_salt=PART_SALT,
        name=NAME,
        attributes=Attributes(plain_size=6, etag=b"e" * 16),
    ).wrapped_dek
    assert one.wrapped_dek == other.wrapped_dek
    with pytest.raises(IntegrityError):
        open_attributes(replace(other, wrapped_dek=wrapped), AK, NAME)


def test_the_data_key_is_the_committed_one() -> None:
    sealed = envelope()
    with pytest.raises(IntegrityError) as caught:
        unwrap_dek(sealed, UPPER, NAME, bytes(16))
    assert caught.value.reason == "commitment"


@given(st.text(max_size=400) | st.binary(max_size=400).map(text))
def test_arbitrary_text_raises_format_errors_only(value: str) -> None:
    with pytest.raises(FormatError):
        Envelope.decode(value)


@given(
    st.dictionaries(st.integers(0, 60), st.integers(0, 255), max_size=4),
    st.sampled_from(list(Mode)),
    st.binary(max_size=40),
)
def test_damaged_envelopes_decode_canonically_or_not_at_all(
    changes: dict[int, int], mode: Mode, rest: bytes
) -> None:
    damaged = bytearray(raw(envelope(mode)) + rest)
    for position, value in changes.items():
        damaged[position] = value
    try:
        decoded = Envelope.decode(text(bytes(damaged)))
    except FormatError:
        return
    assert decoded.encode() == text(bytes(damaged))


def test_another_version_is_refused_by_name() -> None:
    with pytest.raises(UnknownVersion, match="version 2"):
        Envelope.decode(text(b"\x02" + raw(envelope())[1:]))
    with pytest.raises(UnknownVersion, match="version 9"):
        Envelope.decode(text(b"\x09"))


@pytest.mark.parametrize("foreign", ["=", "+", "/", "\n", " ", "ü", "\ud800", "*"])
def test_characters_outside_the_alphabet_are_refused(foreign: str) -> None:
    value = envelope().encode()
    for damaged in (value + foreign, value[:40] + foreign + value[40:], foreign + value[1:]):
        with pytest.raises(IntegrityError) as caught:
            Envelope.decode(damaged)
        assert caught.value.reason == "envelope"


def test_non_canonical_base64_is_refused() -> None:
    attributes = Attributes(plain_size=5, etag=b"e" * 16)
    value = envelope(attributes=attributes).encode()
    assert len(value) % 4 in (2, 3), "the example needs trailing bits"
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    trailing = alphabet[alphabet.index(value[-1]) + 1]
    assert Envelope.decode(value)
    with pytest.raises(IntegrityError, match="canonical"):
        Envelope.decode(value[:-1] + trailing)


def test_an_unknown_mode_is_refused() -> None:
    for mode in (0, 5, 255):
        data = bytearray(raw(envelope()))
        data[1] = mode
        with pytest.raises(IntegrityError):
            Envelope.decode(text(bytes(data)))


U32 = 2**32


@pytest.mark.parametrize(
    ("mode", "changes"),
    [
        pytest.param(Mode.SSE_COS, {"upper_key_id": b"12345"}, id="id of mode 1"),
        pytest.param(Mode.SSE_KMS, {"upper_key_id": b"h" * 31}, id="id of mode 2"),
        pytest.param(Mode.SSE_KMS_BUCKET, {"upper_key_id": b"w" * 32}, id="id of mode 3"),
        pytest.param(Mode.SSE_C, {"upper_key_id": b"1234"}, id="id of mode 4"),
        pytest.param(Mode.SSE_COS, {"kms_blob": b"x"}, id="blob in mode 1"),
        pytest.param(Mode.SSE_KMS, {"kms_blob": b""}, id="no blob in mode 2"),
        pytest.param(Mode.SSE_KMS_BUCKET, {"kms_blob": b"x"}, id="blob in mode 3"),
        pytest.param(Mode.SSE_C, {"kms_blob": b"x"}, id="blob in mode 4"),
        pytest.param(Mode.SSE_KMS, {"kms_blob": bytes(65_536)}, id="blob too long"),
        pytest.param(Mode.SSE_COS, {"ak_version": U32}, id="AK version"),
        pytest.param(Mode.SSE_COS, {"ak_version": -1}, id="negative AK version"),
        pytest.param(Mode.SSE_COS, {"data_ak_version": U32}, id="data AK version"),
        pytest.param(Mode.SSE_COS, {"keyring_id": bytes(15)}, id="keyring id"),
        pytest.param(Mode.SSE_COS, {"data_id": bytes(17)}, id="data id"),
        pytest.param(Mode.SSE_COS, {"wrapped_dek": bytes(47)}, id="wrapped key"),
        pytest.param(Mode.SSE_COS, {"sealed_attributes": bytes(15)}, id="attributes short"),
        pytest.param(Mode.SSE_COS, {"sealed_attributes": bytes(2_065)}, id="attributes long"),
    ],
)
def test_no_envelope_has_such_fields(mode: Mode, changes: dict[str, object]) -> None:
    with pytest.raises(ValueError):
        replace(envelope(mode), **changes)  # type: ignore[arg-type]  # the table mixes types


@pytest.mark.parametrize("size", [16, 2_064])
def test_sealed_attributes_of_the_extreme_sizes_decode(size: int) -> None:
    extreme = replace(envelope(), sealed_attributes=bytes(size))
    assert Envelope.decode(extreme.encode()) == extreme


@pytest.mark.parametrize(("position", "length"), [(26, 5), (26, 255)])
def test_an_upper_key_id_of_another_length_is_refused(position: int, length: int) -> None:
    data = bytearray(raw(envelope()))
    data[position] = length
    with pytest.raises(IntegrityError):
        Envelope.decode(text(bytes(data)))


def test_the_typical_sse_cos_entry_fits_the_stores_metadata() -> None:
    entry = len("x-amz-meta-sseproxy") + len(envelope().encode())
    assert entry < 400


def test_random_values_are_fresh() -> None:
    for draw, size in ((new_salt, 16), (new_data_id, 16)):
        values = {draw() for _ in range(20)}
        assert {len(value) for value in values} == {size}
        assert len(values) == 20
    assert len({new_dek().reveal() for _ in range(20)}) == 20
    assert len(new_dek()) == 32


def test_no_repr_shows_a_key() -> None:
    assert "hidden" in repr(UpperKey(Mode.SSE_C, b"", UPPER))
    assert repr(UPPER.reveal())[2:-1] not in repr(UpperKey(Mode.SSE_C, b"", UPPER))
