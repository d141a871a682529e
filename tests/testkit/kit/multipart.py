"""Sections 5.2 to 5.4: names, upload and part records, manifests, and multipart objects."""

from __future__ import annotations

import hashlib
import hmac
import json
import re
import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from tests.testkit.kit.attributes import LENGTHS, decode_attributes
from tests.testkit.kit.envelope import decode_envelope, open_attributes, unwrap_dek, upper_key
from tests.testkit.kit.keys import Keys
from tests.testkit.kit.notation import Refused, b64url, hkdf, lp, seal, u32, u64, unb64url, unseal
from tests.testkit.kit.parts import check_header, make_header, open_segments, part_key, part_size
from tests.testkit.kit.record import open_record

ALGORITHMS = [
    "crc32",
    "crc32c",
    "crc64nvme",
    "sha1",
    "sha256",
    "sha512",
    "md5",
    "xxhash64",
    "xxhash3",
    "xxhash128",
    "crc64ecma",
]


def keyed(name_key: bytes, *items: str) -> str:
    return hmac.digest(name_key, lp("sseproxy/v1/name", *items), "sha256")[:16].hex()


def upload_folder(name_key: bytes, bucket: str, key: str, upload_id: str) -> str:
    return f"u/{keyed(name_key, 'upload', bucket, key, upload_id)}/"


def composite(etags: Sequence[str]) -> str:
    if all(re.fullmatch(r"[0-9a-f]{32}", etag) for etag in etags):
        values = b"".join(bytes.fromhex(etag) for etag in etags)
        return f"{hashlib.md5(values, usedforsecurity=False).hexdigest()}-{len(etags)}"
    return hashlib.sha256(lp(*etags)).hexdigest()


def manifest_name(name_key: bytes, manifest_id: bytes, of: str) -> str:
    return f"m/{manifest_id.hex()}/{keyed(name_key, 'manifest', of)}"


def store_tag(etag: str) -> bytes:
    return hashlib.sha256(etag.encode()).digest()[:16]


# 5.3 Upload records


def escaped(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def upload_payload(
    bucket: str,
    key: str,
    upload_id: str,
    envelope: str,
    salt: bytes,
    checksum: tuple[str, str] | None,
    created: int,
) -> bytes:
    chosen = f'{{"algorithm":"{checksum[0]}","type":"{checksum[1]}"}}' if checksum else "null"
    fields = (
        f'"bucket":{escaped(bucket)}',
        f'"checksum":{chosen}',
        f'"created":{created}',
        f'"envelope":{escaped(envelope)}',
        f'"key":{escaped(key)}',
        f'"part_key_salt":"{salt.hex()}"',
        f'"upload_id":{escaped(upload_id)}',
    )
    return ("{" + ",".join(fields) + "}").encode()


def check_upload_payload(payload: bytes) -> None:
    """Refuse what is not the one form of an upload record's payload."""
    if len(payload) > 262_144:
        raise Refused("record", "too long")
    try:
        found = json.loads(payload.decode())
        chosen = found["checksum"] and (found["checksum"]["algorithm"], found["checksum"]["type"])
        salt = bytes.fromhex(found["part_key_salt"])
        name, created = (found["bucket"], found["key"]), int(found["created"])
        again = upload_payload(*name, found["upload_id"], found["envelope"], salt, chosen, created)
    except (ValueError, TypeError, KeyError, RecursionError):
        raise Refused("record", "not the JSON of an upload record") from None
    texts = (*name, found["upload_id"], found["envelope"])
    if again != payload or not all(isinstance(text, str) for text in texts):
        raise Refused("record", "not canonical, or no text where there has to be one")
    if len(salt) != 16 or not 0 <= created < 2**53:
        raise Refused("record", "out of bounds")
    if chosen and (chosen[0] not in ALGORITHMS or chosen[1] not in ("COMPOSITE", "FULL_OBJECT")):
        raise Refused("record", "checksum")


# 5.3 Part records


@dataclass(frozen=True)
class PartFields:
    tag: bytes
    size: int
    etag: bytes
    salt: bytes
    crc64: bytes
    checksum: tuple[int, bytes] | None = None

    def payload(self) -> bytes:
        fixed = self.tag + u64(self.size) + self.etag + self.salt + self.crc64
        return fixed + (bytes([self.checksum[0]]) + self.checksum[1] if self.checksum else b"")


def part_record_key(ak: bytes, part_key_salt: bytes, folder: str) -> bytes:
    return hkdf(ak, part_key_salt, "part-record", folder)


def seal_part_record(payload: bytes, key: bytes, folder: str, number: int, nonce: bytes) -> str:
    sealed = nonce + seal(key, nonce, payload, lp(folder, u32(number)))
    return f"{number:05}-{b64url(sealed)}"


def open_part_record(component: str, key: bytes, folder: str) -> bytes:
    """The payload, of the only form it has."""
    match = re.fullmatch(r"(\d{5})-(.*)", component, re.ASCII)
    if not match or not 1 <= int(match[1]) <= 10_000 or len(component) > 216:
        raise Refused("record", "not the name of a part record")
    try:
        data = unb64url(match[2])
    except Refused:
        raise Refused("record", "not base64url") from None
    if len(data) < 12 + 64 + 16:
        raise Refused("record", "cut")
    aad = lp(folder, u32(int(match[1])))
    payload = unseal("record", key, data[:12], data[12:], aad)
    if int.from_bytes(payload[16:24]) > 2**43:
        raise Refused("record", "plain size")
    if len(payload) > 64:
        tag = payload[64]
        if tag < 0x10 or len(payload) - 65 not in LENGTHS.get(tag, ()):
            raise Refused("record", "checksum")
    return payload


# 5.4 Manifests


@dataclass(frozen=True)
class Part:
    number: int
    plain: int
    salt: bytes
    checksum: bytes = b""

    def encode(self) -> bytes:
        return u32(self.number) + u64(self.plain) + self.salt + self.checksum


@dataclass(frozen=True)
class Manifest:
    flags: int
    bucket: str
    key: str
    data_id: bytes
    attributes: Mapping[int, bytes]
    part_tag: int
    parts: Sequence[Part]


def manifest_payload(
    flags: int,
    name: tuple[str, str],
    data_id: bytes,
    attributes: bytes,
    part_tag: int,
    parts: Sequence[Part],
) -> bytes:
    head = bytes([flags]) + lp(*name) + data_id + lp(attributes)
    return head + bytes([part_tag]) + u32(len(parts)) + b"".join(part.encode() for part in parts)


def decode_manifest(payload: bytes) -> Manifest:
    rest = payload

    def take(count: int) -> bytes:
        nonlocal rest
        if len(rest) < count:
            raise Refused("record", "manifest cut")
        taken, rest = rest[:count], rest[count:]
        return taken

    def text() -> str:
        try:
            return take(int.from_bytes(take(4))).decode()
        except UnicodeDecodeError:
            raise Refused("record", "not UTF-8") from None

    flags, bucket, key, data_id = take(1)[0], text(), text(), take(16)
    attributes = decode_attributes(take(int.from_bytes(take(4))), "record")
    part_tag, count = take(1)[0], int.from_bytes(take(4))
    if flags > 7 or 2 not in attributes or any(2 < tag < 0x10 or tag == 1 for tag in attributes):
        raise Refused("record", "flags or attributes")
    if part_tag and (part_tag < 0x10 or part_tag not in LENGTHS):
        raise Refused("record", "checksum")
    width = LENGTHS[part_tag][0] if part_tag else 0
    if not 1 <= count <= 10_000 or len(rest) != count * (28 + width):
        raise Refused("record", "number of parts")
    parts = []
    for _ in range(count):
        number, plain = struct.unpack(">IQ", take(12))
        parts.append(Part(number, plain, take(16), take(width)))
    numbers = [part.number for part in parts]
    if numbers != sorted(set(numbers)) or not 1 <= numbers[0] <= numbers[-1] <= 10_000:
        raise Refused("record", "part numbers")
    if any(part.plain > 2**43 for part in parts):
        raise Refused("record", "plain size of a part")
    return Manifest(flags, bucket, key, data_id, attributes, part_tag, parts)


def open_multipart(
    blob: bytes, text: str, keys: Keys, name: tuple[str, str], manifest: tuple[str, bytes]
) -> Iterator[bytes]:
    """The plaintext of a multipart object, a segment at a time; manifest: full name and record."""
    env = decode_envelope(text)
    attributes = open_attributes(env, keys, *name)
    if 7 not in attributes or not manifest[0].startswith(f"m/{attributes[7].hex()}/"):
        raise Refused("record", "no manifest of this object")
    found = decode_manifest(open_record(manifest[1], keys.attribute, 4, manifest[0]))
    if (found.bucket, found.key, found.data_id) != (*name, env.data_id):
        raise Refused("record", "the manifest of another object")
    if len(blob) != sum(part_size(part.plain) for part in found.parts):
        raise Refused("size", "stored size")
    dek = unwrap_dek(env, upper_key(env, attributes, keys), *name, attributes[3])
    for part in found.parts:
        header = make_header(part.number, part.plain, part.salt)
        check_header(blob[:64])
        if blob[:64] != header:
            raise Refused("header", "not the one that the manifest says")
        end = part_size(part.plain)
        yield from open_segments(part_key(dek, env.data_id, header), part.plain, blob[64:end])
        blob = blob[end:]
