"""Format v1 from docs/format.md alone: the writer is in pieces, the reader is strict.

Plain and slow on purpose, to be read next to the page; sections are named as there. The
writer's pieces take any bytes, so that a generator can also write what a reader must refuse.
"""

from __future__ import annotations

from tests.testkit.kit.attributes import LENGTHS, encode_attributes
from tests.testkit.kit.envelope import (
    Envelope,
    decode_envelope,
    open_attributes,
    open_envelope,
    open_object,
    seal_attributes,
    unwrap_dek,
    upper_key,
    wrap_dek,
)
from tests.testkit.kit.keys import (
    Keys,
    commitment,
    customer_upper_key,
    random_etag,
    root_id,
    verifier,
)
from tests.testkit.kit.notation import (
    SEGMENT,
    SMALL,
    TRAILER,
    Refused,
    b64url,
    quoted,
    seal,
    sha256,
    u32,
    u64,
    unb64url,
)
from tests.testkit.kit.parts import (
    make_header,
    nonce,
    object_size,
    open_part,
    open_trailer,
    part_key,
    part_size,
    seal_segments,
    seal_trailer,
    segments,
)
from tests.testkit.kit.record import open_record, seal_record

__all__ = [
    "LENGTHS",
    "SEGMENT",
    "SMALL",
    "TRAILER",
    "Envelope",
    "Keys",
    "Refused",
    "b64url",
    "commitment",
    "customer_upper_key",
    "decode_envelope",
    "encode_attributes",
    "make_header",
    "nonce",
    "object_size",
    "open_attributes",
    "open_envelope",
    "open_object",
    "open_part",
    "open_record",
    "open_trailer",
    "part_key",
    "part_size",
    "quoted",
    "random_etag",
    "root_id",
    "seal",
    "seal_attributes",
    "seal_record",
    "seal_segments",
    "seal_trailer",
    "segments",
    "sha256",
    "u32",
    "u64",
    "unb64url",
    "unwrap_dek",
    "upper_key",
    "verifier",
    "wrap_dek",
]
