"""Multipart objects for the vectors: envelope, parts and sealed manifest."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from tests.testkit import kit
from tests.testkit.making import (
    AKS,
    BUCKET,
    ETAG_KEY,
    KEY,
    Made,
    Recipe,
    draw,
    key_fields,
    make,
    part,
)
from tests.testkit.vector import Vector, vector

Named = Iterator[tuple[str, Vector]]
Change = Callable[[bytes], bytes]
NAME_KEY = draw("name-key", count=32)


@dataclass(frozen=True)
class Plan:
    """What to write. The fields after `etag` make it wrong; None leaves it as it has to be."""

    label: str
    parts: Sequence[tuple[int, int]] = ((1, 1000), (2, 1000), (3, 7))
    mode: int = 1
    ak: int = 1
    data_ak: int = 1
    key: str = KEY
    flags: int = 0
    part_tag: int = 0
    checksums: tuple[tuple[int, bytes], ...] = ()
    etag: bytes | None = None
    name: tuple[str, str] | None = None
    data_id: bytes | None = None
    table: Callable[[list[kit.Part]], list[kit.Part]] | None = None
    attributes: Change | None = None
    payload: Change | None = None
    manifest_id: bytes | None = None
    record_type: int = 4


@dataclass(frozen=True)
class Assembled:
    """A multipart object and what was drawn for it. pieces, plains: of each part."""

    plan: Plan
    made: Made
    table: list[kit.Part]
    pieces: list[bytes]
    plains: list[bytes]
    attributes: dict[int, bytes]
    manifest_name: str
    manifest: bytes

    @property
    def blob(self) -> bytes:
        return b"".join(self.pieces)


def assemble(plan: Plan) -> Assembled:
    made = make(Recipe(plan.label, plan.mode, 0, True, BUCKET, plan.key, plan.ak, plan.data_ak))
    data_id, table, pieces, plains, etags = made.env.data_id, [], [], [], []
    for number, size in plan.parts:
        label = f"{plan.label}/{number}"
        salt = draw(label, "salt")
        header = kit.make_header(number, size, salt)
        sealed, plain = part(Recipe(label, size=size), made.dek, data_id, header)
        digest = draw(label, "sum", count=kit.LENGTHS[plan.part_tag][0]) if plan.part_tag else b""
        table.append(kit.Part(number, size, salt, digest))
        pieces.append(header + b"".join(sealed))
        plains.append(plain)
        md5 = hashlib.md5(plain, usedforsecurity=False).digest()
        etags.append(md5 if plan.mode == 1 else kit.part_etag(ETAG_KEY, data_id, salt))

    attributes = {2: plan.etag or kit.composite_etag(etags), **dict(plan.checksums)}
    encoded = kit.encode_attributes(sorted(attributes.items()))
    encoded = plan.attributes(encoded) if plan.attributes else encoded
    told = plan.table(table) if plan.table else table
    name, own = plan.name or (BUCKET, plan.key), plan.data_id or data_id
    payload = kit.manifest_payload(plan.flags, name, own, encoded, plan.part_tag, told)
    payload = plan.payload(payload) if plan.payload else payload
    composite = kit.composite([hashlib.sha256(piece).hexdigest()[:32] for piece in pieces])
    manifest_name = kit.manifest_name(NAME_KEY, plan.manifest_id or made.attributes[7], composite)
    record = kit.seal_record(
        payload,
        AKS[plan.data_ak],
        plan.data_ak,
        plan.record_type,
        manifest_name,
        draw(plan.label, "manifest-salt"),
    )
    return Assembled(plan, made, table, pieces, plains, attributes, manifest_name, record)


def show(
    assembled: Assembled,
    expect: str,
    comment: str,
    *,
    blob: bytes | None = None,
    parts_released: int = 0,
    plain_released: int = 0,
    manifest: tuple[str, bytes] | None = None,
    attribute_keys: tuple[int, ...] = (1, 2),
) -> Vector:
    """A vector of kind "multipart".

    parts_released, plain_released: on failure, the whole parts and the bytes of the next one
    that came before it.
    """
    plan, made = assembled.plan, assembled.made
    whole = b"".join(assembled.plains)
    before = sum(map(len, assembled.plains[:parts_released])) + plain_released
    manifest_name, record = manifest or (assembled.manifest_name, assembled.manifest)
    fields = [
        ("expect", expect if expect == "success" else f"{expect} failure"),
        ("payload", kit.sha256(whole if expect == "success" else whole[:before])),
        ("comment", comment),
        ("kind", "multipart"),
        ("bucket", kit.quoted(BUCKET)),
        ("key", kit.quoted(plan.key)),
        ("envelope", kit.quoted(made.env.text())),
        ("manifest-name", kit.quoted(manifest_name)),
        ("manifest", record.hex()),
        *key_fields(made, attribute_keys),
    ]
    if expect == "success":
        items = sorted({**made.attributes, **assembled.attributes}.items())
        fields += [("attribute", f"{tag:02x} {value.hex()}") for tag, value in items]
        fields.append(("manifest-flags", str(plan.flags)))
        fields.append(("part-checksum", f"{plan.part_tag:02x}"))
        fields += [("part", row(one)) for one in assembled.table]
    return vector(fields, assembled.blob if blob is None else blob)


def row(one: kit.Part) -> str:
    return f"{one.number} {one.plain} {one.salt.hex()} {one.checksum.hex()}".rstrip()
