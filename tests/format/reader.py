"""A reader of vectors over sseproxy.format: section 4.3 of docs/format.md, step by step."""

from __future__ import annotations

import hmac
from collections.abc import Iterator
from contextlib import contextmanager

from sseproxy.errors import (
    FormatError,
    IntegrityError,
    KeyUnavailable,
    UnknownVersion,
)
from sseproxy.format import derive, layout
from sseproxy.format.attributes import Attributes
from sseproxy.format.envelope import Envelope, Mode, open_attributes, unwrap_dek
from sseproxy.format.header import (
    HEADER_BYTES,
    SEALED_SEGMENT_BYTES,
    SEGMENT_BYTES,
    Header,
)
from sseproxy.format.manifest import Manifest
from sseproxy.format.names import ObjectName, manifest_folder
from sseproxy.format.part_record import PartRecord, open_part_record, part_record_key
from sseproxy.format.record import RecordType, open_record
from sseproxy.format.segments import PartOpener, part_cipher
from sseproxy.format.trailer import open_trailer
from sseproxy.format.upload import UploadRecord
from sseproxy.secret import Secret
from tests.testkit.vector import Vector

REASONS = {
    "segment": {"segment", "truncated"},
    "record": {"record"},
    "header": {"header"},
    "size": {"size"},
    "commitment": {"commitment"},
    "envelope": {"envelope"},
    "trailer": {"trailer"},
}
CHECKSUMS = {
    0x10: "crc32",
    0x11: "crc32c",
    0x12: "crc64nvme",
    0x13: "sha1",
    0x14: "sha256",
    0x15: "sha512",
    0x16: "md5",
    0x17: "xxhash64",
    0x18: "xxhash3",
    0x19: "xxhash128",
    0x1A: "crc64ecma",
}


class WrongReason(AssertionError):
    """A refusal, but not as docs/format.md has it."""


@contextmanager
def step(name: str) -> Iterator[None]:
    """Turn a refusal by the package into (name, ) and check that its reason fits the step."""
    try:
        yield
    except UnknownVersion:
        raise Stopped("version") from None
    except KeyUnavailable:
        raise Stopped("key") from None
    except IntegrityError as error:
        if error.reason == "commitment":
            raise Stopped("commitment") from None
        if error.reason not in REASONS[name]:
            raise WrongReason(f"{error.reason} in step {name}") from error
        raise Stopped(name) from None
    except FormatError as error:
        # Attributes and payloads are decoded without knowing whose they are: no reason of
        # their own.
        if name not in ("envelope", "trailer", "record"):
            raise WrongReason(f"{error!r} in step {name}") from error
        raise Stopped(name) from None


class Stopped(Exception):  # an outcome, compared with the vector's
    def __init__(self, stage: str) -> None:
        self.stage = stage
        super().__init__(stage)


def lookup(keys: dict[int, bytes], version: int) -> Secret:
    if version not in keys:
        raise KeyUnavailable(f"no key {version}")
    return Secret(keys[version])


def upper_key(vector: Vector, envelope: Envelope, attributes: Attributes, ak: Secret) -> Secret:
    if envelope.mode is Mode.SSE_COS:
        version = int.from_bytes(envelope.upper_key_id)
        return lookup(vector.versions("master-key"), version)
    customer = vector.hex("customer-key")
    if customer is not None:
        given = derive.verifier(Secret(customer), ak, envelope.salt)
        if not hmac.compare_digest(given, attributes.verifier or b""):
            raise Stopped("key")
        return derive.customer_upper_key(Secret(customer), ak)
    upper = vector.hex("upper-key")
    assert upper is not None
    return Secret(upper)


class Reader:
    """Reads one vector.

    released: the plaintext so far; attributes: the envelope's and the trailer's or manifest's.
    """

    def __init__(self, vector: Vector) -> None:
        self.vector = vector
        self.released = bytearray()
        self.attributes: Attributes | None = None
        self.manifest: Manifest | None = None

    def read(self) -> None:
        kinds = {
            "object": self.read_object,
            "envelope": self.read_envelope,
            "part": self.read_part,
            "record": self.read_record,
            "multipart": self.read_multipart,
            "upload": self.read_upload,
            "part-record": self.read_part_record,
        }
        kinds[self.vector.one("kind")]()

    def read_object(self) -> None:
        vector, blob = self.vector, self.vector.blob
        name = ObjectName(vector.text("bucket"), vector.text("key"))
        aks = vector.versions("attribute-key")
        with step("envelope"):
            envelope = Envelope.decode(vector.text("envelope"))
            ak = lookup(aks, envelope.ak_version)
            attributes = open_attributes(envelope, ak, name)
        assert attributes.plain_size is not None
        assert attributes.commitment is not None
        with step("size"):
            if len(blob) != layout.sealed_object_size(attributes.plain_size):
                raise IntegrityError("size", "not the stored size")
        with step("envelope"):
            upper = upper_key(vector, envelope, attributes, ak)
            dek = unwrap_dek(envelope, upper, name, attributes.commitment)
        header = layout.object_header(attributes.plain_size, envelope.part_salt)
        with step("header"):
            header.check(blob[:HEADER_BYTES])
        end = layout.sealed_part_size(attributes.plain_size)
        self.open_segments(
            PartOpener(part_cipher(dek, envelope.data_id, header), header), blob[HEADER_BYTES:end]
        )
        self.attributes = attributes
        if header.has_trailer:
            with step("trailer"):
                data_ak = lookup(aks, envelope.data_ak_version)
                late = open_trailer(blob[end:], data_ak, envelope.data_id, header)
                self.attributes = attributes.merged(late)

    def read_envelope(self) -> None:
        """Of a multipart object: what it says, and the data key as the payload."""
        vector = self.vector
        name = ObjectName(vector.text("bucket"), vector.text("key"))
        with step("envelope"):
            envelope = Envelope.decode(vector.text("envelope"))
            ak = lookup(vector.versions("attribute-key"), envelope.ak_version)
            self.attributes = open_attributes(envelope, ak, name)
            assert self.attributes.commitment is not None
            upper = upper_key(vector, envelope, self.attributes, ak)
            dek = unwrap_dek(envelope, upper, name, self.attributes.commitment)
        self.released += dek.reveal()

    def read_multipart(self) -> None:
        """A multipart object as its stream comes, each header where it lies."""
        vector, blob = self.vector, self.vector.blob
        name = ObjectName(vector.text("bucket"), vector.text("key"))
        aks = vector.versions("attribute-key")
        with step("envelope"):
            envelope = Envelope.decode(vector.text("envelope"))
            attributes = open_attributes(envelope, lookup(aks, envelope.ak_version), name)
        with step("record"):
            manifest = self.open_manifest(aks, attributes.manifest_id)
            manifest.check(name, envelope.data_id)
        with step("size"):
            if len(blob) != manifest.sealed_size:
                raise IntegrityError("size", "not the stored size")
        with step("envelope"):
            upper = upper_key(vector, envelope, attributes, lookup(aks, envelope.ak_version))
            assert attributes.commitment is not None
            dek = unwrap_dek(envelope, upper, name, attributes.commitment)
        for found in manifest.windows(0, manifest.plain_size):
            start, stop = found.sealed_start, found.sealed_start + found.window.sealed_stop
            with step("header"):
                found.header.check(blob[start : start + HEADER_BYTES])
            opener = PartOpener(part_cipher(dek, envelope.data_id, found.header), found.header)
            self.open_segments(opener, blob[start + found.window.sealed_start : stop])
        digests = Attributes(etag=manifest.etag, checksums=manifest.checksums)
        self.attributes, self.manifest = attributes.merged(digests), manifest

    def open_manifest(self, aks: dict[int, bytes], manifest_id: bytes | None) -> Manifest:
        name, record = self.vector.text("manifest-name"), self.vector.hex("manifest")
        assert manifest_id is not None
        assert record is not None
        if not name.startswith(manifest_folder(manifest_id)):
            raise IntegrityError("record", "not among the manifests of this object")
        payload = open_record(record, lambda v: lookup(aks, v), RecordType.MANIFEST, name)
        manifest = Manifest.decode(payload)
        assert manifest.encode() == payload
        return manifest

    def read_upload(self) -> None:
        vector = self.vector
        keys = vector.versions("record-key")
        with step("record"):
            payload = open_record(
                vector.blob, lambda v: lookup(keys, v), RecordType.UPLOAD, vector.text("name")
            )
            self.released += UploadRecord.decode(payload).encode()

    def read_part_record(self) -> None:
        vector, folder = self.vector, self.vector.text("folder")
        ak, salt = vector.hex("ak"), vector.hex("part-key-salt")
        assert ak is not None
        assert salt is not None
        key = part_record_key(Secret(ak), salt, folder)
        with step("record"):
            record = open_part_record(vector.text("component"), key, folder)
        self.released += part_record_payload(record)

    def read_part(self) -> None:
        vector = self.vector
        dek, data_id = vector.hex("data-key"), vector.hex("data-id")
        assert dek is not None
        assert data_id is not None
        with step("header"):
            header = Header.parse(vector.blob[:HEADER_BYTES])
        self.open_segments(
            PartOpener(part_cipher(Secret(dek), data_id, header), header),
            vector.blob[HEADER_BYTES:],
        )

    def open_segments(self, opener: PartOpener, sealed: bytes) -> None:
        """As a stream comes: a sealed segment at a time, until the bytes end."""
        out = bytearray(SEGMENT_BYTES)
        with step("segment"):
            for start in range(0, len(sealed), SEALED_SEGMENT_BYTES):
                piece = sealed[start : start + SEALED_SEGMENT_BYTES]
                before = opener.plain_bytes
                try:
                    opener.open_into(piece, memoryview(out))
                finally:
                    self.released += out[: opener.plain_bytes - before]
            opener.finish()

    def read_record(self) -> None:
        vector = self.vector
        keys = vector.versions("record-key")
        record_type = RecordType(int(vector.one("record-type")))
        with step("record"):
            self.released += open_record(
                vector.blob, lambda v: lookup(keys, v), record_type, vector.text("name")
            )


def part_record_payload(record: PartRecord) -> bytes:
    """The bytes of section 5.3 that such a record was read from."""
    fixed = record.store_tag + record.plain_size.to_bytes(8) + record.etag + record.salt
    tags = {name: tag for tag, name in CHECKSUMS.items()}
    algorithm = record.checksum_algorithm
    late = b"" if algorithm is None else bytes((tags[algorithm],)) + record.checksum
    return fixed + record.crc64ecma + late


def as_items(attributes: Attributes) -> dict[int, bytes]:
    """The values of section 4.2 by their tags."""
    size = attributes.plain_size
    values = {
        1: None if size is None else size.to_bytes(8),
        2: attributes.etag,
        3: attributes.commitment,
        4: attributes.verifier,
        5: None if attributes.key_id is None else attributes.key_id.encode(),
        6: attributes.context,
        7: attributes.manifest_id,
    }
    values |= {tag: attributes.checksums.get(name) for tag, name in CHECKSUMS.items()}
    return {tag: value for tag, value in values.items() if value is not None}
