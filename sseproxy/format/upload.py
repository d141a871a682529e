"""The upload record: what was decided when a multipart upload was created (section 5.3)."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TypeVar

from sseproxy.errors import FormatError
from sseproxy.format.attributes import CHECKSUM_TAGS
from sseproxy.format.names import SALT_BYTES, ObjectName

# Above what any record has: the largest KMS blob in the envelope, and the longest of names.
MAX_PAYLOAD_BYTES = 2**18
_MAX_CREATED = 2**53 - 1  # what every reader of JSON takes as a whole number
_Kind = TypeVar("_Kind")
_TYPES = {"COMPOSITE": True, "FULL_OBJECT": False}


@dataclass(frozen=True, slots=True)
class UploadRecord:
    """What the sealed record of an upload says (section 5.3).

    upload_id: the store's; envelope: the metadata entry byte for byte, empty if the upload is
    not encrypted; part_key_salt: 16 bytes; checksum_algorithm: a name of section 4.2, or None;
    created: seconds since 1970. ValueError for what no record can hold.
    """

    name: ObjectName
    upload_id: str
    envelope: str
    part_key_salt: bytes
    checksum_algorithm: str | None
    checksum_composite: bool
    created: int

    def __post_init__(self) -> None:
        if len(self.part_key_salt) != SALT_BYTES:
            raise ValueError("the part key salt has 16 bytes")
        if self.checksum_algorithm is None:
            if self.checksum_composite:
                raise ValueError("no checksum can't be composite")
        elif self.checksum_algorithm not in CHECKSUM_TAGS:
            raise ValueError(f"no checksum is called {self.checksum_algorithm!r}")
        if not 0 <= self.created <= _MAX_CREATED:
            raise ValueError(f"created at {self.created}")

    def encode(self) -> bytes:
        """The payload of the record, in its one form; ValueError if a string is no Unicode."""
        algorithm = self.checksum_algorithm
        kind = "COMPOSITE" if self.checksum_composite else "FULL_OBJECT"
        fields = {
            "bucket": self.name.bucket_identity,
            "checksum": None if algorithm is None else {"algorithm": algorithm, "type": kind},
            "created": self.created,
            "envelope": self.envelope,
            "key": self.name.key,
            "part_key_salt": self.part_key_salt.hex(),
            "upload_id": self.upload_id,
        }
        text = json.dumps(fields, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
        return text.encode()

    @classmethod
    def decode(cls, payload: bytes) -> UploadRecord:
        """Read an opened record, trusting none of it; FormatError for any but its one form."""
        if len(payload) > MAX_PAYLOAD_BYTES:
            raise FormatError(f"an upload record of {len(payload)} bytes")
        try:
            record = cls._read(json.loads(payload))
            canonical = record.encode() == payload
        except (ValueError, TypeError, KeyError, RecursionError):
            raise FormatError("this is no upload record") from None
        if not canonical:
            raise FormatError("the upload record is not in its canonical form")
        return record

    @classmethod
    def _read(cls, fields: dict[str, object]) -> UploadRecord:
        """The record of parsed JSON; TypeError, KeyError or ValueError if it is none.

        What is there beyond the fields is found when the record is compared with its encoding.
        """
        checksum = fields["checksum"]
        chosen = None if checksum is None else _instance(checksum, dict)
        return cls(
            name=ObjectName(_instance(fields["bucket"], str), _instance(fields["key"], str)),
            upload_id=_instance(fields["upload_id"], str),
            envelope=_instance(fields["envelope"], str),
            part_key_salt=bytes.fromhex(_instance(fields["part_key_salt"], str)),
            checksum_algorithm=None if chosen is None else _instance(chosen["algorithm"], str),
            checksum_composite=False if chosen is None else _TYPES[chosen["type"]],
            created=_instance(fields["created"], int),
        )


def _instance(value: object, kind: type[_Kind]) -> _Kind:
    if type(value) is not kind:  # exactly: to Python, true is an int
        raise TypeError(f"no {kind.__name__}")
    return value
