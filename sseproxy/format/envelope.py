"""The envelope: an object's one metadata entry, with its wrapped data key and sealed attributes.

Sealing and opening mirror each other. P, the bytes before the wrapped key, and the object's name
are authenticated by both the wrap and the attributes, so an envelope serves at its place only.
"""

from __future__ import annotations

import hmac
import secrets
import struct
from dataclasses import dataclass
from enum import IntEnum

from sseproxy.errors import FormatError, IntegrityError, UnknownVersion
from sseproxy.format import b64url
from sseproxy.format.attributes import Attributes, envelope_problem
from sseproxy.format.header import TAG_BYTES, VERSION
from sseproxy.format.names import ID_BYTES, KEY_BYTES, SALT_BYTES, ObjectName, hkdf
from sseproxy.format.once import open_once, seal_once
from sseproxy.secret import Secret

COMMITMENT_BYTES = 16
WRAPPED_DEK_BYTES = KEY_BYTES + TAG_BYTES
MAX_SEALED_ATTRIBUTES_BYTES = 2_064
NO_PART_SALT = bytes(SALT_BYTES)

_START = ">BB16sIIB"  # version, mode, keyring id, AK, data AK, length of the upper key id
_IDS = "16s16s16s"  # data id, envelope salt, part salt
_U32_MAX = 2**32 - 1
_U16_MAX = 2**16 - 1


class Mode(IntEnum):
    """How the upper key of an object comes about (section 2)."""

    SSE_COS = 1
    SSE_KMS = 2
    SSE_KMS_BUCKET = 3
    SSE_C = 4


_UPPER_KEY_ID_BYTES = {Mode.SSE_COS: 4, Mode.SSE_KMS: 32, Mode.SSE_KMS_BUCKET: 36, Mode.SSE_C: 0}


@dataclass(frozen=True, slots=True)
class UpperKey:
    """The key that a KEK is derived from, with the id that the envelope names it by (section 2)."""

    mode: Mode
    id: bytes
    key: Secret
    kms_blob: bytes = b""


@dataclass(frozen=True, slots=True)
class Envelope:
    """The fields of an envelope as stored, nothing opened yet (section 4).

    ValueError for fields that no envelope can have.
    """

    mode: Mode
    keyring_id: bytes
    ak_version: int
    data_ak_version: int
    upper_key_id: bytes
    kms_blob: bytes
    data_id: bytes
    salt: bytes
    part_salt: bytes
    wrapped_dek: bytes
    sealed_attributes: bytes

    def __post_init__(self) -> None:
        sixteen = (self.keyring_id, self.data_id, self.salt, self.part_salt)
        if any(len(value) != ID_BYTES for value in sixteen):
            raise ValueError("ids and salts of an envelope have 16 bytes")
        if not (0 <= self.ak_version <= _U32_MAX and 0 <= self.data_ak_version <= _U32_MAX):
            raise ValueError("key versions are u32")
        if len(self.upper_key_id) != _UPPER_KEY_ID_BYTES[self.mode]:
            raise ValueError(f"the upper key id is not one of mode {self.mode.name}")
        if bool(self.kms_blob) != (self.mode is Mode.SSE_KMS) or len(self.kms_blob) > _U16_MAX:
            raise ValueError(f"the KMS blob is not one of mode {self.mode.name}")
        if len(self.wrapped_dek) != WRAPPED_DEK_BYTES:
            raise ValueError("a wrapped data key has 48 bytes")
        if not TAG_BYTES <= len(self.sealed_attributes) <= MAX_SEALED_ATTRIBUTES_BYTES:
            raise ValueError("sealed attributes have 16 to 2,064 bytes")

    def prefix(self) -> bytes:
        """P: the bytes before the wrapped data key, which everything sealed here binds."""
        return _prefix(
            *(self.mode, self.keyring_id, self.ak_version, self.data_ak_version),
            *(self.upper_key_id, self.kms_blob, self.data_id, self.salt, self.part_salt),
        )

    def encode(self) -> str:
        """The value of the metadata entry: base64url without padding (section 4)."""
        return b64url.encode(self.prefix() + self.wrapped_dek + self.sealed_attributes)

    @classmethod
    def decode(cls, text: str) -> Envelope:
        """Read a metadata entry, trusting none of it (section 4).

        UnknownVersion, or IntegrityError("envelope") for anything else that v1 does not allow.
        """
        try:
            data = b64url.decode(text)
        except ValueError as error:
            raise IntegrityError("envelope", f"the envelope is {error}") from None
        if data and data[0] != VERSION:
            raise UnknownVersion(f"envelope of version {data[0]}; this reader knows 1")
        try:
            _, mode, keyring_id, ak, data_ak, id_length = struct.unpack_from(_START, data)
            place = struct.calcsize(_START)
            upper_key_id, blob_length = struct.unpack_from(f">{id_length}sH", data, place)
            place += id_length + 2
            rest = f">{blob_length}s{_IDS}{WRAPPED_DEK_BYTES}s"
            blob, data_id, salt, part_salt, wrapped = struct.unpack_from(rest, data, place)
            return cls(
                mode=Mode(mode),
                keyring_id=keyring_id,
                ak_version=ak,
                data_ak_version=data_ak,
                upper_key_id=upper_key_id,
                kms_blob=blob,
                data_id=data_id,
                salt=salt,
                part_salt=part_salt,
                wrapped_dek=wrapped,
                sealed_attributes=data[place + struct.calcsize(rest) :],
            )
        except struct.error:
            raise IntegrityError("envelope", "the envelope is cut short") from None
        except ValueError as error:
            raise IntegrityError("envelope", str(error)) from None


def _prefix(
    mode: Mode,
    keyring_id: bytes,
    ak_version: int,
    data_ak_version: int,
    upper_key_id: bytes,
    kms_blob: bytes,
    data_id: bytes,
    salt: bytes,
    part_salt: bytes,
) -> bytes:
    return struct.pack(
        _START + f"{len(upper_key_id)}sH{len(kms_blob)}s" + _IDS,
        VERSION,
        mode,
        keyring_id,
        ak_version,
        data_ak_version,
        len(upper_key_id),
        upper_key_id,
        len(kms_blob),
        kms_blob,
        data_id,
        salt,
        part_salt,
    )


def new_salt() -> bytes:
    """A random salt of 16 bytes, for an envelope or a part."""
    return secrets.token_bytes(SALT_BYTES)


def new_data_id() -> bytes:
    """A random data id of 16 bytes, drawn once for an object's data."""
    return secrets.token_bytes(ID_BYTES)


def new_dek() -> Secret:
    """A random data key of 32 bytes."""
    return Secret(secrets.token_bytes(KEY_BYTES))


def seal_envelope(
    *,
    upper: UpperKey,
    keyring_id: bytes,
    ak_version: int,
    ak: Secret,
    data_ak_version: int,
    data_id: bytes,
    dek: Secret,
    salt: bytes,
    part_salt: bytes,
    name: ObjectName,
    attributes: Attributes,
) -> Envelope:
    """Wrap a data key and seal attributes for one object name (section 4).

    salt: from `new_salt`, for this envelope alone. part_salt: zeros exactly for a multipart
    object. attributes: without the commitment, which is added here. ValueError if they are not
    what section 4.2 has in such an envelope.
    """
    attributes = attributes.committed(_commitment(dek))
    problem = _problem(upper.mode, part_salt, attributes)
    if problem:
        raise ValueError(problem)
    prefix = _prefix(
        *(upper.mode, keyring_id, ak_version, data_ak_version, upper.id, upper.kms_blob),
        *(data_id, salt, part_salt),
    )
    bound = name.lp()
    kek = _kek(upper.key, upper.mode, upper.id, salt, name)
    wrapped = seal_once(kek, dek.reveal(), prefix + bound)
    key = _attribute_key(ak, salt)
    return Envelope(
        mode=upper.mode,
        keyring_id=keyring_id,
        ak_version=ak_version,
        data_ak_version=data_ak_version,
        upper_key_id=upper.id,
        kms_blob=upper.kms_blob,
        data_id=data_id,
        salt=salt,
        part_salt=part_salt,
        wrapped_dek=wrapped,
        sealed_attributes=seal_once(key, attributes.encode(), prefix + wrapped + bound),
    )


def open_attributes(envelope: Envelope, ak: Secret, name: ObjectName) -> Attributes:
    """Open the attributes; neither the data key nor a KMS is needed (section 4.3 step 1).

    ak: the version that the envelope names. IntegrityError("envelope") if anything of the
    envelope, or the name it was stored under, was changed; FormatError if the attributes are
    not what section 4.2 has in such an envelope.
    """
    plain = open_once(
        _attribute_key(ak, envelope.salt),
        envelope.sealed_attributes,
        envelope.prefix() + envelope.wrapped_dek + name.lp(),
        reason="envelope",
        what="the attributes of the envelope",
    )
    attributes = Attributes.decode(plain)
    problem = _problem(envelope.mode, envelope.part_salt, attributes)
    if problem:
        raise FormatError(problem)
    return attributes


def unwrap_dek(
    envelope: Envelope, upper_key: Secret, name: ObjectName, commitment: bytes
) -> Secret:
    """Unwrap the data key and check that it is the committed one (section 4.3 step 3).

    commitment: from the opened attributes. IntegrityError("envelope") if the wrap does not
    verify, ("commitment") if it gives another key than the one that was sealed.
    """
    kek = _kek(upper_key, envelope.mode, envelope.upper_key_id, envelope.salt, name)
    dek = Secret(
        open_once(
            kek,
            envelope.wrapped_dek,
            envelope.prefix() + name.lp(),
            reason="envelope",
            what="the wrapped data key of the envelope",
        )
    )
    if not hmac.compare_digest(_commitment(dek), commitment):
        raise IntegrityError("commitment", "the data key is not the one that was committed to")
    return dek


def _kek(upper_key: Secret, mode: Mode, key_id: bytes, salt: bytes, name: ObjectName) -> Secret:
    return hkdf(
        upper_key,
        salt,
        "sseproxy/v1/kek",
        bytes((VERSION,)),
        bytes((mode,)),
        name.bucket_identity,
        name.key,
        key_id,
    )


def _attribute_key(ak: Secret, salt: bytes) -> Secret:
    return hkdf(ak, salt, "sseproxy/v1/attributes")


def _commitment(dek: Secret) -> bytes:
    return hkdf(dek, b"", "sseproxy/v1/commit").reveal()[:COMMITMENT_BYTES]


def _problem(mode: Mode, part_salt: bytes, attributes: Attributes) -> str | None:
    return envelope_problem(
        attributes, customer_key=mode is Mode.SSE_C, part_salt=part_salt != NO_PART_SALT
    )
