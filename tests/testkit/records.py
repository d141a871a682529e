"""Sealed records (section 5), whole and altered."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from tests.testkit import kit
from tests.testkit.making import AKS, KEYRING_ID, draw, flip
from tests.testkit.vector import Vector, vector

Named = Iterator[tuple[str, Vector]]
ROOT = draw("root", count=32)
OTHER_ROOT = draw("root-2", count=32)


@dataclass(frozen=True)
class Record:
    record_type: int
    name: str
    payload: bytes
    data: bytes
    keys: Mapping[int, bytes]


def root_version(root: bytes) -> int:
    return int.from_bytes(kit.root_id(root))


def record(record_type: int, name: str, payload: bytes, version: int, key: bytes) -> Record:
    salt = draw("record", record_type, name, len(payload))
    data = kit.seal_record(payload, key, version, record_type, name, salt)
    return Record(record_type, name, payload, data, {version: key})


def show(
    made: Record,
    expect: str,
    comment: str,
    *,
    data: bytes | None = None,
    name: str | None = None,
    record_type: int | None = None,
    keys: Mapping[int, bytes] | None = None,
) -> Vector:
    payload = made.payload if expect == "success" else b""
    fields = [
        ("expect", expect if expect == "success" else f"{expect} failure"),
        ("payload", kit.sha256(payload)),
        ("comment", comment),
        ("kind", "record"),
        ("record-type", str(record_type or made.record_type)),
        ("name", kit.quoted(name or made.name)),
    ]
    known = made.keys if keys is None else keys
    fields += [("record-key", f"{version} {key.hex()}") for version, key in known.items()]
    return vector(fields, made.data if data is None else data)


KEYRING_JSON = b'{"epoch":1,"id":"' + KEYRING_ID.hex().encode() + b'"}'
SETTINGS = f"settings-{KEYRING_ID.hex()}"
SETTINGS_JSON = b'{"buckets":{},"epoch":1,"grants":{},"keyring":"","moves":{}}'


def records() -> Named:
    keyring = record(1, "keyring", KEYRING_JSON, root_version(ROOT), ROOT)
    settings = record(2, SETTINGS, SETTINGS_JSON, 2, AKS[2])
    empty = record(2, SETTINGS, b"", 2, AKS[2])
    yield "record-keyring", show(keyring, "success", "under the root key and its id")
    yield "record-settings", show(settings, "success", "under an attribute key")
    yield "record-empty", show(empty, "success", "an empty payload")
    odd = record(2, "settings-\u00e9\U0001f511", b"x" * 70_000, 1, AKS[1])
    yield "record-name", show(odd, "success", "a name that is not ASCII, a large payload")
    for label, made in (("keyring", keyring), ("settings", settings)):
        yield from altered(label, made)

    foreign = {root_version(OTHER_ROOT): OTHER_ROOT}
    comment = "under another root key: its id is not the record's"
    yield "record-keyring-root", show(keyring, "key", comment, keys=foreign)
    data = keyring.data[:2] + kit.root_id(OTHER_ROOT) + keyring.data[6:]
    comment = "the id altered to that of another root key"
    yield "record-keyring-root-id", show(keyring, "record", comment, data=data, keys=foreign)
    data = settings.data[:2] + kit.u32(1) + settings.data[6:]
    comment = "the key version altered to another that exists"
    yield "record-settings-ak", show(settings, "record", comment, data=data, keys=AKS)
    both = {**keyring.keys, **settings.keys}
    yield (
        "record-type-swapped",
        show(settings, "record", "settings read as keyring", record_type=1, keys=both),
    )
    data = settings.data[:1] + b"\1" + settings.data[2:]
    comment = "the type byte altered to the one that is asked for"
    yield "record-type-altered", show(settings, "record", comment, data=data, record_type=1)


def altered(label: str, made: Record) -> Named:
    data = made.data
    for version in (0, 2, 255):
        other = bytes([version]) + data[1:]
        comment = "another version is refused by name"
        yield f"record-{label}-version-{version}", show(made, "version", comment, data=other)
    for kind in (0, 3, 255):
        other = data[:1] + bytes([kind]) + data[2:]
        yield f"record-{label}-type-{kind}", show(made, "record", "another type", data=other)
    for place, offset in {"salt": 6, "salt-last": 21, "payload": 22, "tag": -1}.items():
        other = flip(data, offset)
        yield f"record-{label}-altered-{place}", show(made, "record", "one bit", data=other)
    missing = data[:2] + kit.u32(99) + data[6:]
    yield f"record-{label}-key", show(made, "key", "a key that is not there", data=missing)
    for length in (0, 1, 2, 6, 21, 22, 37, len(data) - 1):
        comment = f"the first {length} bytes"
        yield f"record-{label}-cut-{length}", show(made, "record", comment, data=data[:length])
    yield f"record-{label}-appended", show(made, "record", "a byte more", data=data + b"\0")
    for place, name in {"name": made.name + "2", "case": made.name.upper()}.items():
        yield f"record-{label}-{place}", show(made, "record", "moved to another name", name=name)
