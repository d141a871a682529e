"""Runs the kit's reader over a vector, as every reader's test has to."""

from __future__ import annotations

from collections.abc import Iterator

from tests.testkit import kit
from tests.testkit.vector import Vector


def pieces(vector: Vector) -> Iterator[bytes]:
    """The plaintext that the kit releases, in the order it does; raises kit.Refused."""
    kind = vector.one("kind")
    if kind in ("object", "envelope"):
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
        else:
            yield kit.open_envelope(text, keys, bucket, key)
    elif kind == "part":
        dek, data_id = vector.hex("data-key"), vector.hex("data-id")
        assert dek is not None
        assert data_id is not None
        yield from kit.open_part(vector.blob, dek, data_id)
    else:
        record_type = int(vector.one("record-type"))
        keys_ = vector.versions("record-key")
        yield kit.open_record(vector.blob, keys_, record_type, vector.text("name"))


def outcome(vector: Vector) -> tuple[str, str]:
    """What the kit makes of a vector: as its fields `expect` and `payload`."""
    released = []
    try:
        for piece in pieces(vector):
            released.append(piece)  # noqa: PERF402  # what came before a failure has to stay
    except kit.Refused as refused:
        return f"{refused.stage} failure", kit.sha256(b"".join(released))
    return "success", kit.sha256(b"".join(released))
