"""Sections 4 and 4.3: the envelope, and the reading of an object."""

from __future__ import annotations

import hmac
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from tests.testkit.kit.attributes import decode_attributes
from tests.testkit.kit.keys import Keys, commitment, customer_upper_key, verifier
from tests.testkit.kit.notation import (
    SMALL,
    ZERO_NONCE,
    Refused,
    b64url,
    hkdf,
    lp,
    seal,
    u32,
    unb64url,
    unseal,
)
from tests.testkit.kit.parts import (
    check_header,
    make_header,
    object_size,
    open_segments,
    open_trailer,
    part_key,
    part_size,
)

ID_BYTES = {1: 4, 2: 32, 3: 36, 4: 0}


@dataclass(frozen=True)
class Envelope:
    mode: int
    keyring_id: bytes
    ak_version: int
    data_ak_version: int
    upper_id: bytes
    kms_blob: bytes
    data_id: bytes
    salt: bytes
    part_salt: bytes
    wrapped: bytes = b""
    sealed: bytes = b""
    version: int = 1

    def prefix(self) -> bytes:
        """The bytes that the page calls P."""
        head = bytes([self.version, self.mode]) + self.keyring_id
        head += u32(self.ak_version) + u32(self.data_ak_version)
        head += bytes([len(self.upper_id)]) + self.upper_id
        head += struct.pack(">H", len(self.kms_blob)) + self.kms_blob
        return head + self.data_id + self.salt + self.part_salt

    def text(self) -> str:
        return b64url(self.prefix() + self.wrapped + self.sealed)


def kek(upper: bytes, env: Envelope, bucket: str, key: str) -> bytes:
    modes = (bytes([env.version]), bytes([env.mode]))
    return hkdf(upper, env.salt, "kek", *modes, bucket, key, env.upper_id)


def wrap_dek(dek: bytes, upper: bytes, env: Envelope, bucket: str, key: str) -> bytes:
    aad = env.prefix() + lp(bucket, key)
    return seal(kek(upper, env, bucket, key), ZERO_NONCE, dek, aad)


def seal_attributes(data: bytes, ak: bytes, env: Envelope, bucket: str, key: str) -> bytes:
    aad = env.prefix() + env.wrapped + lp(bucket, key)
    return seal(hkdf(ak, env.salt, "attributes"), ZERO_NONCE, data, aad)


def decode_envelope(text: str) -> Envelope:
    data = unb64url(text)
    position = 0

    def take(count: int) -> bytes:
        nonlocal position
        if position + count > len(data):
            raise Refused("envelope", "cut")
        position += count
        return data[position - count : position]

    version = take(1)[0]
    if version != 1:
        raise Refused("version", f"envelope version {version}")
    mode, keyring_id = take(1)[0], take(16)
    ak_version, data_ak_version = int.from_bytes(take(4)), int.from_bytes(take(4))
    upper_id = take(take(1)[0])
    kms_blob = take(int.from_bytes(take(2)))
    if mode not in ID_BYTES or len(upper_id) != ID_BYTES[mode] or bool(kms_blob) != (mode == 2):
        raise Refused("envelope", "mode, upper key id and KMS blob do not fit")
    data_id, salt, part_salt, wrapped = take(16), take(16), take(16), take(48)
    sealed = take(len(data) - position)
    if not 16 <= len(sealed) <= 2064:
        raise Refused("envelope", "length of the sealed attributes")
    ids = (mode, keyring_id, ak_version, data_ak_version, upper_id, kms_blob)
    return Envelope(*ids, data_id, salt, part_salt, wrapped, sealed)


def attribute_key(keys: Keys, version: int) -> bytes:
    if version not in keys.attribute:
        raise Refused("key", f"no attribute key {version}")
    return keys.attribute[version]


def open_attributes(env: Envelope, keys: Keys, bucket: str, key: str) -> dict[int, bytes]:
    own = hkdf(attribute_key(keys, env.ak_version), env.salt, "attributes")
    aad = env.prefix() + env.wrapped + lp(bucket, key)
    found = decode_attributes(unseal("envelope", own, ZERO_NONCE, env.sealed, aad), "envelope")
    check_presence(env, found)
    return found


def check_presence(env: Envelope, found: Mapping[int, bytes]) -> None:
    multipart = 0x07 in found
    size = int.from_bytes(found.get(0x01, b""))
    digests = [tag for tag in found if tag == 0x02 or tag >= 0x10]
    if 0x03 not in found or (0x04 in found) != (env.mode == 4):
        raise Refused("envelope", "commitment or verifier")
    if (0x01 in found) == multipart:
        raise Refused("envelope", "neither plain size nor manifest id, or both")
    if any(env.part_salt) == multipart:
        raise Refused("envelope", "neither part salt nor manifest id, or both")
    if size > 2**43:
        raise Refused("envelope", "the plain size is above 2^43")
    if (size > SMALL or multipart) and digests:
        raise Refused("envelope", "ETag or checksums that belong to the trailer or manifest")
    if size <= SMALL and not multipart and 0x02 not in digests:
        raise Refused("envelope", "no ETag")


def upper_key(env: Envelope, attributes: Mapping[int, bytes], keys: Keys) -> bytes:
    if env.mode == 1:
        upper = keys.master.get(int.from_bytes(env.upper_id))
    elif env.mode == 4 and keys.customer is not None:
        ak = attribute_key(keys, env.ak_version)
        given = verifier(keys.customer, ak, env.salt)
        if not hmac.compare_digest(given, attributes[0x04]):
            raise Refused("key", "another customer key")
        upper = customer_upper_key(keys.customer, ak)
    else:
        upper = keys.upper
    if upper is None:
        raise Refused("key", "no upper key")
    return upper


def unwrap_dek(env: Envelope, upper: bytes, bucket: str, key: str, committed: bytes) -> bytes:
    aad = env.prefix() + lp(bucket, key)
    dek = unseal("envelope", kek(upper, env, bucket, key), ZERO_NONCE, env.wrapped, aad)
    if not hmac.compare_digest(commitment(dek), committed):
        raise Refused("commitment", "the wrapped key is not the one that was committed to")
    return dek


def open_envelope(text: str, keys: Keys, bucket: str, key: str) -> bytes:
    """The data key, by the envelope alone."""
    env = decode_envelope(text)
    attributes = open_attributes(env, keys, bucket, key)
    upper = upper_key(env, attributes, keys)
    return unwrap_dek(env, upper, bucket, key, attributes[0x03])


def open_object(blob: bytes, text: str, keys: Keys, bucket: str, key: str) -> Iterator[bytes]:
    """The plaintext of a single PUT, a segment at a time; raises Refused, then or later."""
    env = decode_envelope(text)
    attributes = open_attributes(env, keys, bucket, key)
    if 0x01 not in attributes:
        raise Refused("record", "a multipart object: not read without its manifest")
    plain_size = int.from_bytes(attributes[0x01])
    if len(blob) != object_size(plain_size):
        raise Refused("size", "stored size")
    upper = upper_key(env, attributes, keys)
    dek = unwrap_dek(env, upper, bucket, key, attributes[0x03])
    header = make_header(1, plain_size, env.part_salt, trailer=plain_size > SMALL)
    check_header(blob[:64])
    if blob[:64] != header:
        raise Refused("header", "not the one that the envelope says")
    end = part_size(plain_size)
    yield from open_segments(part_key(dek, env.data_id, header), plain_size, blob[64:end])
    if plain_size > SMALL:
        ak = attribute_key(keys, env.data_ak_version)
        open_trailer(blob[end:], ak, env.data_id, header)
