"""Runs the kit's reader over a vector, as every reader's test has to."""

from __future__ import annotations

from collections.abc import Iterator

from tests.testkit import kit
from tests.testkit.vector import Vector


def pieces(vector: Vector) -> Iterator[bytes]:
    """The plaintext that the kit releases, in the order it does; raises kit.Refused."""
    kind = vector.one("kind")
    if kind in ("object", "envelope", "multipart"):
        yield from with_envelope(kind, vector)
    elif kind == "part":
        dek, data_id = vector.hex("data-key"), vector.hex("data-id")
        assert dek is not None
        assert data_id is not None
        yield from kit.open_part(vector.blob, dek, data_id)
    elif kind == "part-record":
        ak, salt, folder = vector.hex("ak"), vector.hex("part-key-salt"), vector.text("folder")
        assert ak is not None
        assert salt is not None
        key = kit.part_record_key(ak, salt, folder)
        yield kit.open_part_record(vector.text("component"), key, folder)
    else:
        record_type = int(vector.one("record-type"))
        keys_ = vector.versions("record-key")
        payload = kit.open_record(vector.blob, keys_, record_type, vector.text("name"))
        if kind == "upload":
            kit.check_upload_payload(payload)
        yield payload


def with_envelope(kind: str, vector: Vector) -> Iterator[bytes]:
    keys = kit.Keys(
        vector.versions("attribute-key"),
        vector.versions("master-key"),
        vector.hex("upper-key"),
        vector.hex("customer-key"),
    )
    bucket, key = vector.text("bucket"), vector.text("key")
    text = vector.text("envelope")
    if kind == "object":
        yield from kit.open_object(vector.blob, text, keys, bucket, key)
    elif kind == "envelope":
        yield kit.open_envelope(text, keys, bucket, key)
    else:
        record = vector.hex("manifest")
        assert record is not None
        manifest = (vector.text("manifest-name"), record)
        yield from kit.open_multipart(vector.blob, text, keys, (bucket, key), manifest)


def outcome(vector: Vector) -> tuple[str, str]:
    """What the kit makes of a vector: as its fields `expect` and `payload`."""
    released = []
    try:
        for piece in pieces(vector):
            released.append(piece)  # noqa: PERF402  # what came before a failure has to stay
    except kit.Refused as refused:
        return f"{refused.stage} failure", kit.sha256(b"".join(released))
    return "success", kit.sha256(b"".join(released))
